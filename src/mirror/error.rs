//! What can go wrong with a mirror file, with the file's name and what to do about it. Knows nothing of the network.

use std::path::PathBuf;

use super::limits;

/// An error of the mirror file.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    #[error("cannot open {path}: {source}")]
    Open { path: PathBuf, source: std::io::Error },
    #[error("{path} is not an entra-mirror file: {what}")]
    NotOurs { path: PathBuf, what: String },
    #[error("{path} was written by a newer entra-mirror (schema version {found}, this program knows {known})")]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("cannot bring {path} from schema version {from} to {to}: {source}")]
    Migrate { path: PathBuf, from: i64, to: i64, source: rusqlite::Error },
    #[error("{path} was {what} while it was in use; what this run wrote is not in it")]
    Moved { path: PathBuf, what: &'static str },
    #[error("{path}: {source}")]
    Sql { path: PathBuf, source: rusqlite::Error },
}

impl MirrorError {
    /// What an operator can do about it.
    pub fn hint(&self) -> Option<String> {
        use rusqlite::ErrorCode as Code;
        Some(match self {
            MirrorError::Open { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                "run as the user that owns the data directory, or correct its owner and mode".into()
            }
            MirrorError::Open { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                "the file is made by the first sync of the tenant: run `entra-mirror sync`".into()
            }
            MirrorError::Open { source, .. } if limits::is_out_of_descriptors(source) => limits::DESCRIPTORS_HINT.into(),
            MirrorError::Open { source, .. } if matches!(source.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT)) => {
                limits::DISK_FULL.into()
            }
            MirrorError::Open { source, .. } if source.kind() == std::io::ErrorKind::ReadOnlyFilesystem => {
                "the file or its directory cannot be written: check owner, mode and mount".into()
            }
            MirrorError::Open { .. } => return None,
            MirrorError::Moved { .. } => {
                "nothing to do if that was meant: the next run takes what stands there, or makes the file anew from Graph. Stop the daemon \
                 before a file is moved or restored"
                    .into()
            }
            MirrorError::NotOurs { .. } => "the file was left untouched; move it away or choose another data_dir or tenant name".into(),
            MirrorError::Newer { .. } => "the file was left untouched; install that version or newer, or use another data_dir".into(),
            MirrorError::Migrate { path, source, .. } | MirrorError::Sql { path, source } => match source.sqlite_error_code()? {
                Code::DiskFull => limits::DISK_FULL.into(),
                Code::DatabaseBusy | Code::DatabaseLocked => {
                    "another program holds a write lock on the file: end its transaction; the next run goes on from here".into()
                }
                Code::CannotOpen if let Some(why) = limits::why_not_opened() => why,
                Code::ReadOnly | Code::PermissionDenied | Code::CannotOpen => {
                    "the file or its directory cannot be written: check owner, mode and mount".into()
                }
                Code::DatabaseCorrupt => {
                    "the file is damaged: move it away and run `entra-mirror sync`, which builds it anew from Graph".into()
                }
                Code::NotADatabase => "move the file away: it is not an SQLite database".into(),
                Code::SystemIoFailure if let Some(why) = limits::why_not_written(path) => why,
                Code::SystemIoFailure => "the disk reported an error: check the system log and the disk".into(),
                _ => return None,
            },
        })
    }
}
