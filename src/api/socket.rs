//! The daemon's Unix socket: its place, and how it is put there so that nobody but the owner ever reaches it. Serves nothing.

use std::ffi::OsString;
use std::fs;
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use crate::sync::lock_folder;

/// The kernel's limit of a socket's path, bytes, less the ending of the temporary name. `man 7 unix`
const LONGEST_PATH: usize = 107 - 4;

/// Where the daemon of a data directory listens.
pub(super) fn path(data_dir: &Path) -> PathBuf {
    lock_folder(data_dir).join("daemon.sock")
}

/// The socket, removed when it is dropped.
#[derive(Debug)]
pub(super) struct Socket {
    path: PathBuf,
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Listens there. The caller holds the daemon's lock, so whatever socket is there belongs to nobody any more.
///
/// # Errors
/// Something else than a socket is in its place, or what the system says.
pub(super) fn listen(data_dir: &Path) -> Result<(UnixListener, Socket)> {
    let path = path(data_dir);
    if path.as_os_str().len() > LONGEST_PATH {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("its path is longer than the {LONGEST_PATH} bytes that a socket may have"),
        ));
    }
    let mut name = OsString::from(&path);
    name.push(".new");
    let new = PathBuf::from(name);
    for path in [&path, &new] {
        remove_stale(path)?;
    }
    // Under another name until its mode is right: no moment passes in which others could connect.
    let listener = UnixListener::bind(&new)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600))?;
    fs::rename(&new, &path)?;
    Ok((listener, Socket { path }))
}

fn remove_stale(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.file_type().is_socket() => fs::remove_file(path),
        Ok(_) => Err(Error::new(ErrorKind::AlreadyExists, format!("{} is there and is no socket: remove it", path.display()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_anything_else_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join(".locks")).expect("a folder");
        let path = path(folder.path());
        drop(UnixListener::bind(&path).expect("a socket"));
        let (listener, socket) = listen(folder.path()).expect("replaced");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        drop((listener, socket));
        assert!(!path.exists());
        for wrong in ["a file", "a link"] {
            match wrong {
                "a file" => fs::write(&path, "mine").expect("a file"),
                _ => std::os::unix::fs::symlink("/nowhere", &path).expect("a link"),
            }
            let error = listen(folder.path()).expect_err(wrong);
            assert!(error.to_string().contains("is no socket"), "{error}");
            assert!(path.symlink_metadata().is_ok(), "{wrong} stays");
            fs::remove_file(&path).expect("removed");
        }
        let deep = folder.path().join("d".repeat(120));
        assert_eq!(listen(&deep).expect_err("too long").kind(), ErrorKind::InvalidInput);
    }
}
