//! One daemon for a data directory: a file lock that the kernel releases when its holder dies.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::sync::lock_folder;

/// Takes the lock; it is held until the file is dropped.
///
/// # Errors
/// A sentence that names the daemon that has it.
pub fn lock_data_dir(data_dir: &Path) -> Result<File, String> {
    let folder = lock_folder(data_dir);
    let path = folder.join("daemon");
    let cannot = |error: std::io::Error| format!("cannot lock {}: {error}", path.display());
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(cannot)?;
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id())).map_err(cannot)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            let pid = if pid.is_empty() { "unknown" } else { pid.as_str() };
            Err(format!("another daemon (process {pid}) already mirrors into {}; give this one another data_dir", data_dir.display()))
        }
        Err(TryLockError::Error(error)) => Err(cannot(error)),
    }
}
