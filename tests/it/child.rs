//! Children of the test with less than it has itself: another user, lower limits, a folder that is mounted read-only.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A user without rights; modes do not bind root, as which tests often run.
const NOBODY: u32 = 65_534;

pub fn is_root() -> bool {
    // SAFETY: asks for a number.
    unsafe { libc::geteuid() == 0 }
}

/// Gives the child a soft and hard limit.
pub fn limit(command: &mut Command, which: libc::__rlimit_resource_t, value: u64) {
    // SAFETY: what runs between fork and exec only makes a system call.
    unsafe {
        command.pre_exec(move || {
            let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
            if libc::setrlimit(which, &raw const limit) == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        });
    }
}

/// Lets the child run as a user that modes bind; `folder` and all in it become that user's.
pub fn unprivileged(command: &mut Command, folder: &Path) {
    if !is_root() {
        return;
    }
    give(folder);
    command.gid(NOBODY).uid(NOBODY);
}

fn give(path: &Path) {
    std::os::unix::fs::lchown(path, Some(NOBODY), Some(NOBODY)).expect("given away");
    if path.is_dir() {
        for entry in std::fs::read_dir(path).expect("a folder") {
            give(&entry.expect("an entry").path());
        }
    }
}

/// Mounts `folder` read-only for the child alone. It cannot start where it may not mount.
pub fn read_only(command: &mut Command, folder: &Path) {
    let folder = CString::new(folder.as_os_str().as_bytes()).expect("a path");
    let mount = move |source: &CString, flags| {
        // SAFETY: both names end with a zero and outlive the call; no data is passed.
        let done = unsafe { libc::mount(source.as_ptr(), source.as_ptr(), std::ptr::null(), flags, std::ptr::null()) };
        if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    let root = c"/".to_owned();
    // SAFETY: what runs between fork and exec only makes system calls, with strings made before.
    unsafe {
        command.pre_exec(move || {
            if libc::unshare(libc::CLONE_NEWNS) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            mount(&root, libc::MS_REC | libc::MS_PRIVATE)?;
            mount(&folder, libc::MS_BIND)?;
            mount(&folder, libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY)
        });
    }
}

/// A disk of its own size.
pub struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// Mounts it; where that is not allowed, says why.
    pub fn mount(at: &Path, kib: u32) -> Result<SmallDisk, String> {
        std::fs::create_dir_all(at).expect("a folder");
        mount_tmpfs(at, 0, kib)?;
        Ok(SmallDisk { at: at.into() })
    }

    pub fn resize(&self, kib: u32) {
        mount_tmpfs(&self.at, libc::MS_REMOUNT, kib).expect("resized");
    }
}

fn mount_tmpfs(at: &Path, flags: libc::c_ulong, kib: u32) -> Result<(), String> {
    let at = CString::new(at.as_os_str().as_bytes()).expect("a path");
    let options = CString::new(format!("size={kib}k,mode=0700")).expect("options");
    // SAFETY: all strings end with a zero and outlive the call.
    let done = unsafe { libc::mount(c"tmpfs".as_ptr(), at.as_ptr(), c"tmpfs".as_ptr(), flags, options.as_ptr().cast()) };
    if done == 0 { Ok(()) } else { Err(format!("mount: {}", std::io::Error::last_os_error())) }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let at = CString::new(self.at.as_os_str().as_bytes()).expect("a path");
        // SAFETY: the name ends with a zero and outlives the call. Detached, so that a file that is still open does not keep it.
        unsafe { libc::umount2(at.as_ptr(), libc::MNT_DETACH) };
    }
}
