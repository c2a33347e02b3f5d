//! Limits of the process: as many files as it may have, and an error instead of a signal for a file that grows too large.

/// With fewer descriptors not even one tenant can be synced: runtime and signals take about a dozen, each resource a lock and a connection.
const FEWEST: u64 = 64;

/// Sets them; to be called first.
///
/// # Errors
/// What is too low, and where it is raised.
pub(super) fn set() -> Result<(), String> {
    // SAFETY: replaces the handling of one signal with ignoring it; no handler of ours runs. Writing beyond RLIMIT_FSIZE then fails with
    // EFBIG, which is told like a full disk, where the signal would kill the process.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
    let mut files = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure outlives the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut files) } != 0 {
        return Ok(());
    }
    // The low soft limit is for programs that use select(2); a thousand tenants need more.
    let raised = libc::rlimit { rlim_cur: files.rlim_max, ..files };
    // SAFETY: the structure outlives the call.
    if raised.rlim_cur > files.rlim_cur && unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) } == 0 {
        files = raised;
    }
    if files.rlim_cur < FEWEST {
        return Err(format!(
            "this process may open only {} files, and needs {FEWEST} at least: raise LimitNOFILE in its unit file (or `ulimit -n`)",
            files.rlim_cur
        ));
    }
    Ok(())
}
