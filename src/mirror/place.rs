//! Which file stands under a path: notices that it was removed or replaced while it is open, and keeps a file from inheriting another's log.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::error::MirrorError;

/// A file as the kernel knows it, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    device: u64,
    inode: u64,
    /// When it was made, where the file system says so: the number of a removed file is soon given to another.
    made: Option<SystemTime>,
}

impl FileId {
    /// The file that stands under a path now.
    pub fn of(path: &Path) -> io::Result<FileId> {
        fs::metadata(path).map(|found| FileId { device: found.dev(), inode: found.ino(), made: found.created().ok() })
    }
}

/// The file that was opened, with its write-ahead log and that log's index.
#[derive(Debug)]
pub(super) struct Place {
    file: FileId,
    log: Option<FileId>,
    index: Option<FileId>,
}

impl Place {
    /// Takes note of what is open; to be called when SQLite has opened all three.
    pub fn of(path: &Path) -> io::Result<Place> {
        Ok(Place { file: FileId::of(path)?, log: FileId::of(&beside(path, "-wal")).ok(), index: FileId::of(&beside(path, "-shm")).ok() })
    }

    /// Whether the path still leads to the file.
    pub fn check(&self, path: &Path) -> Result<(), MirrorError> {
        let what = match FileId::of(path) {
            Ok(found) if found == self.file => return Ok(()),
            Ok(_) => "replaced by another file",
            Err(error) if error.kind() == io::ErrorKind::NotFound => "removed",
            // What cannot be looked at now (no permission, no descriptors) may well be in its place: writing will tell.
            Err(_) => return Ok(()),
        };
        Err(MirrorError::Moved { path: path.into(), what })
    }

    /// Removes the log and its index that belong to a file that is gone: SQLite finds them by name, and would apply them to whatever
    /// stands there next.
    pub fn take_log_along(&self, path: &Path) {
        for (ending, ours) in [("-wal", self.log), ("-shm", self.index)] {
            let path = beside(path, ending);
            if ours.is_some() && FileId::of(&path).ok() == ours {
                // Whoever makes the file anew removes them too: nothing is lost when it cannot be done here.
                let _ = fs::remove_file(&path);
            }
        }
    }
}

/// Before a file is made: removes the log and the index that a file of that name left, because they are not of the new one. Returns the lock
/// under which the file must be made, or none when the file is there: two processes that make it at once would take each other's log away.
pub(super) fn make_way(path: &Path) -> io::Result<Option<File>> {
    let fresh = || fs::metadata(path).map_or_else(|e| e.kind() == io::ErrorKind::NotFound, |found| found.is_file() && found.len() == 0);
    if !fresh() {
        return Ok(None);
    }
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let lock = File::open(folder)?;
    // Where a folder cannot be locked (NFS), two first syncs at the same moment are the only ones that miss it.
    let _ = lock.lock();
    if fresh() {
        for ending in ["-wal", "-shm", "-journal"] {
            match fs::remove_file(beside(path, ending)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(Some(lock))
}

/// Gives the log and its index the file's mode, as SQLite did when it made them: made while the file was read-only by mistake, they would
/// stay so when the file's mode is corrected.
pub(super) fn same_mode(path: &Path) {
    let Ok(wanted) = fs::metadata(path).map(|found| found.permissions()) else { return };
    for ending in ["-wal", "-shm"] {
        let path = beside(path, ending);
        if fs::metadata(&path).is_ok_and(|found| found.permissions() != wanted) {
            // Not ours to change: opening it will tell.
            let _ = fs::set_permissions(&path, wanted.clone());
        }
    }
}

/// A file that SQLite keeps beside another.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = path.into();
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_moved_is_noticed_and_its_log_goes_with_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.db");
        let wal = beside(&path, "-wal");
        let write = |path: &Path| fs::write(path, "x").expect("a file");
        write(&path);
        write(&wal);
        let place = Place::of(&path).expect("a place");
        assert!(place.check(&path).is_ok());
        fs::rename(&path, folder.path().join("y.db")).expect("renamed");
        let gone = place.check(&path).expect_err("gone").to_string();
        assert!(gone.contains("removed"), "{gone}");
        write(&path);
        let other = place.check(&path).expect_err("another").to_string();
        assert!(other.contains("replaced"), "{other}");
        place.take_log_along(&path);
        assert!(!wal.exists());
        // A log that is not the one that was open stays.
        write(&wal);
        let _held = File::open(&wal).expect("held, so that its number is not given again");
        let place = Place { log: Some(FileId { device: 0, inode: 0, made: None }), ..place };
        place.take_log_along(&path);
        assert!(wal.exists());
    }
}
