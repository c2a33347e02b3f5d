//! Opening a tenant's file: who may read it, pragmas, refusal of files that are not ours. Knows no table but by migration.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::error::MirrorError;
use super::migrate::{self, APPLICATION_ID, SCHEMA_VERSION};
use super::objects::OidCache;
use super::place::{self, Place};
use super::table::Table;

/// How long a writer waits for another process's transaction before it gives up, when nothing else is said.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// Portions of long work wait for others at most this long.
const LONGEST_WAY: Duration = Duration::from_secs(1);
/// Page cache of the writer in KiB. A full round comes in order of ids, portion by portion, so each page of a tree is passed once a portion
/// and need not be kept; more would only make a large tenant take more memory than a small one.
const CACHE_KIB: i64 = 10 * 1024;
/// WAL pages (4 KiB each) after which a checkpoint is tried: 256 MiB. Random ids touch the same index pages again and again during a first
/// round; the fewer checkpoints, the fewer times each is copied into the file.
const AUTOCHECKPOINT_PAGES: i64 = 65_536;
/// The WAL file is cut to this size after a checkpoint.
const JOURNAL_SIZE_LIMIT: i64 = 64 * 1024 * 1024;

/// How the file is shared with others: who besides the owner may read it, and how long a writer waits for its turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Group id that gets read access (mode 0640); without it the file is 0600.
    pub group: Option<u32>,
    /// How long a write waits for another program's lock; without it half a minute.
    pub busy_timeout: Option<Duration>,
}

/// The writer's side of one tenant's file. One a process; cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Mirror {
    path: PathBuf,
    tables: &'static [&'static Table],
    place: Place,
    writer: Mutex<Writer>,
    /// Who waits for the writer now: long work in small portions lets them go first.
    waiting: AtomicUsize,
}

#[derive(Debug)]
pub(super) struct Writer {
    pub connection: Connection,
    pub oids: OidCache,
}

impl Drop for Mirror {
    fn drop(&mut self) {
        if self.in_place().is_err() {
            self.place.take_log_along(&self.path);
        }
    }
}

impl Mirror {
    /// Opens the file, makes it when it is missing, and brings it to this program's schema. `tables` are all that are mirrored.
    ///
    /// # Errors
    /// A file that is not ours, or from a newer version, is refused untouched.
    pub fn open(path: &Path, access: &Access, tables: &'static [&'static Table]) -> Result<Mirror, MirrorError> {
        let io = |source| MirrorError::Open { path: path.into(), source };
        let _alone = place::make_way(path).map_err(io)?;
        create_private(path, access).map_err(io)?;
        place::same_mode(path);
        let from = look(path)?;
        let sql = |source| MirrorError::Sql { path: path.into(), source };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags).map_err(sql)?;
        prepare_writer(&connection, access.busy_timeout.unwrap_or(BUSY_TIMEOUT)).map_err(sql)?;
        if access.group.is_some() {
            // Readers of the group may not make files in the folder: the last writer leaves them the WAL and its index.
            let mut keep = 1;
            connection.file_control(None::<&str>, rusqlite::FileControl::PersistWal(&mut keep)).map_err(sql)?;
        }
        migrate::migrate(&mut connection, from).map_err(|source| MirrorError::Migrate {
            path: path.into(),
            from,
            to: SCHEMA_VERSION,
            source,
        })?;
        let place = Place::of(path).map_err(io)?;
        Ok(Mirror {
            path: path.into(),
            tables,
            place,
            writer: Mutex::new(Writer { connection, oids: OidCache::default() }),
            waiting: AtomicUsize::new(0),
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file that was opened still is the one under its name. What is written to another is lost: nobody finds it again.
    ///
    /// # Errors
    /// [`MirrorError::Moved`], which says what stands there now.
    pub fn in_place(&self) -> Result<(), MirrorError> {
        self.place.check(&self.path)
    }

    pub(super) fn tables(&self) -> &'static [&'static Table] {
        self.tables
    }

    /// The writer, for one unit of work. Blocks while another resource of the tenant is written.
    pub(super) fn writer(&self) -> MutexGuard<'_, Writer> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let locked = self.writer.lock();
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        // A panic elsewhere rolled its transaction back when it was dropped; the cache is emptied before it is used again.
        locked.unwrap_or_else(|poisoned: PoisonError<_>| {
            let mut guard = poisoned.into_inner();
            guard.oids.clear();
            guard
        })
    }

    /// Lets those go first who wait for the writer. A mutex promises nothing about turns, and whoever gives it back and takes it again at
    /// once mostly gets it.
    pub(super) fn give_way(&self) {
        let began = Instant::now();
        while self.waiting.load(Ordering::Relaxed) > 0 && began.elapsed() < LONGEST_WAY {
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    pub(super) fn sql(&self, source: rusqlite::Error) -> MirrorError {
        MirrorError::Sql { path: self.path.clone(), source }
    }
}

/// Opens the file for reading only; never makes, migrates or changes it.
///
/// # Errors
/// As [`Mirror::open`]; a missing file is [`MirrorError::Open`] with `NotFound`.
pub fn open_reader(path: &Path) -> Result<Connection, MirrorError> {
    if let Err(source) = fs::metadata(path) {
        return Err(MirrorError::Open { path: path.into(), source });
    }
    let found = look(path)?;
    if found == 0 {
        // Made a moment ago: its first transaction is still to come.
        let source = std::io::Error::new(std::io::ErrorKind::NotFound, "nothing is stored in it yet");
        return Err(MirrorError::Open { path: path.into(), source });
    }
    if found != SCHEMA_VERSION {
        let what = format!("schema version {found} is older than {SCHEMA_VERSION}; run `entra-mirror sync` once to bring it forward");
        return Err(MirrorError::NotOurs { path: path.into(), what });
    }
    reader(path).map_err(|source| MirrorError::Sql { path: path.into(), source })
}

fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

/// Looks at a file without changing it: its schema version, 0 for an empty one.
fn look(path: &Path) -> Result<i64, MirrorError> {
    if fs::metadata(path).is_ok_and(|m| m.len() == 0) {
        return Ok(0);
    }
    let not_ours = |what: String| MirrorError::NotOurs { path: path.into(), what };
    let facts = reader(path).and_then(|c| {
        let application: i64 = c.query_row("PRAGMA application_id", [], |r| r.get(0))?;
        let version: i64 = c.query_row("PRAGMA user_version", [], |r| r.get(0))?;
        // Reading the schema takes longer than all the rest, and only a file without numbers makes it matter.
        let tables: i64 = match (application, version) {
            (0, 0) => c.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))?,
            _ => 0,
        };
        Ok((application, version, tables))
    });
    match facts {
        Ok((0, 0, 0)) => Ok(0),
        Ok((APPLICATION_ID, version, _)) if version <= SCHEMA_VERSION => Ok(version),
        Ok((APPLICATION_ID, found, _)) => Err(MirrorError::Newer { path: path.into(), found, known: SCHEMA_VERSION }),
        Ok(_) => Err(not_ours("it is an SQLite database of another program".into())),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => {
            Err(not_ours("it is not an SQLite database".into()))
        }
        Err(source) => Err(MirrorError::Sql { path: path.into(), source }),
    }
}

/// Makes the file with its mode before SQLite opens it: the WAL and shared-memory files copy the mode from it.
fn create_private(path: &Path, access: &Access) -> std::io::Result<()> {
    let mode = if access.group.is_some() { 0o640 } else { 0o600 };
    match fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path) {
        Ok(file) => {
            // The umask may have taken bits away.
            tracing::info!(file = %path.display(), "made a new file");
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            if let Some(group) = access.group {
                std::os::unix::fs::fchown(&file, None, Some(group))?;
            }
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

fn prepare_writer(connection: &Connection, busy_timeout: Duration) -> rusqlite::Result<()> {
    connection.busy_timeout(busy_timeout)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A killed process loses nothing. A power cut may lose the last transactions, rows and cursor together, which are then fetched again.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "wal_autocheckpoint", AUTOCHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", JOURNAL_SIZE_LIMIT)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(())
}
