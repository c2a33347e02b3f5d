//! One run at a time for a resource of a tenant, over all processes: a file lock that the kernel releases when its holder dies.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How often a waiting run looks again.
const RETRY: Duration = Duration::from_millis(200);

/// The lock, held until dropped.
#[derive(Debug)]
pub(super) struct ResourceLock {
    /// Dropping the file releases the lock.
    _file: File,
}

/// Folder of the lock files within the data directory.
const FOLDER: &str = ".locks";

/// Where the locks of a data directory are; only its owner may look into it.
pub fn lock_folder(data_dir: &Path) -> PathBuf {
    data_dir.join(FOLDER)
}

fn path(data_dir: &Path, tenant: &str, resource: &str) -> PathBuf {
    lock_folder(data_dir).join(format!("{tenant}.{resource}"))
}

/// Waits for the lock; `waiting` is told once who holds it. `None` when cancelled meanwhile.
pub(super) async fn acquire(
    data_dir: &Path,
    tenant: &str,
    resource: &str,
    cancel: &CancellationToken,
    waiting: impl FnOnce(&str),
) -> io::Result<Option<ResourceLock>> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(lock_folder(data_dir))?;
    let mut file =
        fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path(data_dir, tenant, resource))?;
    let mut waiting = Some(waiting);
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) => {
                if let Some(waiting) = waiting.take() {
                    waiting(&holder(&mut file));
                }
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        tokio::select! {
            () = cancel.cancelled() => return Ok(None),
            () = tokio::time::sleep(RETRY) => {}
        }
    }
    // For whoever waits; that it cannot be written is no reason not to run.
    let _ = file
        .rewind()
        .and_then(|()| file.set_len(0))
        .and_then(|()| write!(file, "process {} ({}), since {}", std::process::id(), command(), crate::mirror::now()));
    Ok(Some(ResourceLock { _file: file }))
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(200).read_to_string(&mut text));
    match read {
        Ok(_) if !text.is_empty() => text,
        _ => "another process".into(),
    }
}

/// The program and its command, without arguments that could be private.
fn command() -> String {
    const COMMANDS: [&str; 5] = ["run", "sync", "resync", "reconcile", "demo"];
    let command = std::env::args().skip(1).find(|argument| COMMANDS.contains(&argument.as_str()));
    format!("entra-mirror{}{}", if command.is_some() { " " } else { "" }, command.unwrap_or_default())
}
