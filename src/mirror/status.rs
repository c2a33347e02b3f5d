//! What state a tenant's file is in, read without a daemon and without changing anything.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;

use super::checkpoint::{Checkpoint, Phase};
use super::error::MirrorError;
use super::freshness::{FileMark, file_mark};
use super::log::LogStatus;
use super::open::{Mirror, open_reader};
use super::page::Held;
use super::table::Table;

/// A tenant's file.
#[derive(Clone, Debug, Serialize)]
pub struct TenantStatus {
    /// Whether the file exists; without it every resource is pending.
    pub exists: bool,
    /// Size of the file in bytes, without the WAL.
    pub file_bytes: u64,
    /// Size of the write-ahead log in bytes.
    pub wal_bytes: u64,
    /// What the size of the write-ahead log says, when it is large.
    pub warning: Option<String>,
    pub resources: Vec<ResourceStatus>,
}

/// One resource of a tenant. Times are UTC text.
#[derive(Clone, Debug, Serialize)]
pub struct ResourceStatus {
    pub resource: &'static str,
    /// ok, pending, unavailable, held, failed.
    pub state: String,
    /// What is wrong.
    pub reason: Option<String>,
    /// What to do about it.
    pub remedy: Option<String>,
    /// The round in hand: incremental or full, with why; none when idle.
    pub round_in_hand: Option<String>,
    pub round_started_at: Option<String>,
    /// Rows that stand in the table.
    pub rows: u64,
    /// Links that are stored, by the view that shows them; those that a deletion hides are counted too.
    pub links: Vec<(&'static str, u64)>,
    pub last_success_at: Option<String>,
    pub last_full_at: Option<String>,
    pub last_attempt_at: Option<String>,
    /// When the delta link in use was issued; Graph promises it for seven days.
    pub delta_link_at: Option<String>,
    /// Failed or refused attempts in a row.
    pub failures: i64,
    pub held: Option<Held>,
    /// When the resource was last walked from scratch beside its live delta token.
    pub reconciled_at: Option<String>,
    /// Of a log: what it holds from when to when.
    pub log: Option<LogStatus>,
}

/// From this size on the write-ahead log is told: a checkpoint is tried at half of it, so something keeps it from being emptied.
const LARGE_WAL: u64 = 256 * 1024 * 1024;

/// What a large write-ahead log means.
fn wal_warning(wal_bytes: u64) -> Option<String> {
    (wal_bytes >= LARGE_WAL).then(|| {
        format!(
            "the WAL has {} MiB: a reader has kept a transaction open, and the WAL cannot be emptied before it ends; it grows with every change \
             until then. Applications should end each read transaction soon",
            wal_bytes / (1024 * 1024)
        )
    })
}

/// Reads the status of a tenant's file; a missing file is not an error.
pub fn status(path: &Path, tables: &'static [&'static Table]) -> Result<TenantStatus, MirrorError> {
    let connection = match open_reader(path) {
        Ok(connection) => Some(connection),
        Err(MirrorError::Open { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let resources = tables
        .iter()
        .map(|table| match &connection {
            Some(connection) => resource(connection, table),
            None => Ok(pending(table)),
        })
        .collect::<Result<_, _>>()
        .map_err(|source| MirrorError::Sql { path: path.into(), source })?;
    let FileMark { file_bytes, wal_bytes, .. } = file_mark(path);
    Ok(TenantStatus { exists: connection.is_some(), file_bytes, wal_bytes, warning: wal_warning(wal_bytes), resources })
}

impl Mirror {
    /// About how many rows a table has, without counting them: what its highest rowid says.
    pub fn about_rows(&self, table: &'static Table) -> Result<u64, MirrorError> {
        let writer = self.writer();
        let sql = format!("SELECT coalesce(max(rowid), 0) FROM {}", table.name);
        let rows: rusqlite::Result<i64> = writer.connection.prepare_cached(&sql).and_then(|mut s| s.query_row([], |row| row.get(0)));
        rows.map(i64::unsigned_abs).map_err(|e| self.sql(e))
    }
}

fn pending(table: &'static Table) -> ResourceStatus {
    describe(table, Checkpoint::default(), 0, Vec::new(), None)
}

fn resource(connection: &Connection, table: &'static Table) -> rusqlite::Result<ResourceStatus> {
    let checkpoint = Checkpoint::load(connection, table.name)?.unwrap_or_default();
    let rows = count(connection, table.name)?;
    let links = table.links.iter().map(|link| Ok((link.view, count(connection, link.name)?))).collect::<rusqlite::Result<_>>()?;
    let beside = Checkpoint::load(connection, table.reconcile_key)?;
    let status = describe(table, checkpoint, rows, links, super::log::status(connection, table)?);
    Ok(ResourceStatus { reconciled_at: beside.and_then(|beside| beside.last_success_at), ..status })
}

fn count(connection: &Connection, table: &str) -> rusqlite::Result<u64> {
    let rows: Option<i64> = connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).optional()?;
    Ok(rows.unwrap_or(0).unsigned_abs())
}

fn describe(
    table: &'static Table,
    checkpoint: Checkpoint,
    rows: u64,
    links: Vec<(&'static str, u64)>,
    log: Option<LogStatus>,
) -> ResourceStatus {
    let round = match (checkpoint.phase, checkpoint.phase_reason) {
        (Phase::Idle, _) => None,
        (phase, None) => Some(phase.as_str().to_owned()),
        (phase, Some(reason)) => Some(format!("{} ({reason})", phase.as_str())),
    };
    ResourceStatus {
        resource: table.name,
        state: checkpoint.state.as_str().to_owned(),
        reason: checkpoint.reason,
        remedy: checkpoint.remedy,
        round_in_hand: round,
        round_started_at: checkpoint.phase_started_at,
        rows,
        links,
        last_success_at: checkpoint.last_success_at,
        last_full_at: checkpoint.last_full_at,
        last_attempt_at: checkpoint.last_attempt_at,
        delta_link_at: checkpoint.delta_link_at,
        failures: checkpoint.failures,
        held: checkpoint.held.and_then(|text| serde_json::from_str(&text).ok()),
        reconciled_at: None,
        log,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_large_log_is_told() {
        assert_eq!(wal_warning(LARGE_WAL - 1), None);
        let said = wal_warning(3 * LARGE_WAL).expect("a warning");
        assert!(said.starts_with("the WAL has 768 MiB: a reader has kept a transaction open"), "{said}");
    }
}
