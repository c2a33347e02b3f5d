//! How fresh a tenant's file is, read from its checkpoints alone: cheap whatever the file's size, for those who ask every few seconds.

use std::path::Path;
use std::time::SystemTime;

use super::checkpoint::Checkpoint;
use super::error::MirrorError;
use super::open::open_reader;
use super::place::beside;
use super::table::Table;

/// Sizes and times by which it is seen that a file changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileMark {
    /// Size of the file, bytes.
    pub file_bytes: u64,
    /// Size of the write-ahead log, bytes.
    pub wal_bytes: u64,
    changed: [Option<SystemTime>; 2],
}

/// What is known of a tenant's file without reading its tables.
#[derive(Clone, Debug, Default)]
pub struct FileFacts {
    /// Resources that were tried at least once.
    pub resources: Vec<Freshness>,
}

/// How fresh a resource is. Times are UTC text.
#[derive(Clone, Debug)]
pub struct Freshness {
    pub resource: &'static str,
    pub last_success_at: Option<String>,
    /// When the delta link in use was issued; Graph promises it for seven days.
    pub delta_link_at: Option<String>,
}

/// Looks at a file from outside; all 0 when there is none.
pub fn file_mark(path: &Path) -> FileMark {
    let look = |path: &Path| std::fs::metadata(path).map_or((0, None), |meta| (meta.len(), meta.modified().ok()));
    let ((file_bytes, file), (wal_bytes, log)) = (look(path), look(&beside(path, "-wal")));
    FileMark { file_bytes, wal_bytes, changed: [file, log] }
}

/// Opens the file, reads its checkpoints, and closes it.
///
/// # Errors
/// As [`open_reader`], and what SQLite says.
pub fn file_facts(path: &Path, tables: &'static [&'static Table]) -> Result<FileFacts, MirrorError> {
    let connection = open_reader(path)?;
    let mut resources = Vec::new();
    for table in tables {
        let checkpoint = Checkpoint::load(&connection, table.name).map_err(|source| MirrorError::Sql { path: path.into(), source })?;
        resources.extend(checkpoint.map(|checkpoint| Freshness {
            resource: table.name,
            last_success_at: checkpoint.last_success_at,
            delta_link_at: checkpoint.delta_link_at,
        }));
    }
    Ok(FileFacts { resources })
}
