//! What of this machine explains that a file could not be opened or written: a full disk, a size limit, too few descriptors.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A disk with less is full for our purposes: SQLite adds to the index of its log in pieces of 32 KiB.
const FULL: u64 = 64 * 1024;
/// With so few descriptors left opening a database (file, log, index, folder) fails, or just did.
const SPARE: u64 = 8;

/// What to do when descriptors run out.
pub const DESCRIPTORS_HINT: &str = "this process may not open more files: raise LimitNOFILE in its unit file (or `ulimit -n`), or lower [sync] tenants_at_once and \
     resources_at_once; the next run goes on from here";

/// Whether an error says that no descriptor is left, here or on the whole machine.
pub fn is_out_of_descriptors(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// What it means that a file could not be opened, when it is the descriptors.
pub(super) fn why_not_opened() -> Option<String> {
    let limit = limit(libc::RLIMIT_NOFILE)?;
    // SAFETY: makes a new descriptor of one that is ours for the life of the process, and touches no memory.
    let lowest = unsafe { libc::fcntl(libc::STDERR_FILENO, libc::F_DUPFD_CLOEXEC, 0) };
    if let Ok(free) = u64::try_from(lowest) {
        // SAFETY: closes the descriptor that was just made and that nobody else knows.
        unsafe { libc::close(lowest) };
        if free.saturating_add(SPARE) < limit {
            return None;
        }
    }
    Some(format!("all {limit} file descriptors are in use: {DESCRIPTORS_HINT}"))
}

/// What it means that a file could not be written, when the disk or a limit explains it.
pub(super) fn why_not_written(path: &Path) -> Option<String> {
    if free_bytes(path).is_some_and(|free| free < FULL) {
        return Some(DISK_FULL.into());
    }
    // How large the log was cannot be asked any more: it is gone with the connection.
    limit(libc::RLIMIT_FSIZE).map(|limit| {
        format!(
            "this process may not write files larger than {limit} bytes: raise LimitFSIZE in its unit file (or `ulimit -f`); if the file is far \
             from that, check the system log and the disk. The next run goes on where this one stopped"
        )
    })
}

/// What to do when the disk is full.
pub(super) const DISK_FULL: &str = "the disk is full: free space; the next run goes on where this one stopped";

/// Bytes that are free for us where the file is.
fn free_bytes(path: &Path) -> Option<u64> {
    let name = CString::new(path.parent()?.as_os_str().as_bytes()).ok()?;
    // SAFETY: the structure is plain numbers, for which zeros are values.
    let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the name ends with a zero and the structure outlives the call.
    let ended = unsafe { libc::statvfs(name.as_ptr(), &raw mut found) };
    (ended == 0).then(|| found.f_bavail.saturating_mul(found.f_frsize))
}

/// The limit in force, when there is one.
fn limit(which: libc::__rlimit_resource_t) -> Option<u64> {
    let mut found = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure outlives the call.
    let ended = unsafe { libc::getrlimit(which, &raw mut found) };
    (ended == 0 && found.rlim_cur != libc::RLIM_INFINITY).then_some(found.rlim_cur)
}
