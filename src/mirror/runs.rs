//! The run ledger: a row for every run of every resource, open while it runs.

use rusqlite::params;

use super::error::MirrorError;
use super::open::Mirror;

/// What is known when a run starts.
#[derive(Clone, Copy, Debug)]
pub struct RunStart<'a> {
    pub resource: &'static str,
    /// incremental or full.
    pub mode: &'a str,
    /// Why a full round runs.
    pub reason: Option<&'a str>,
    /// command or schedule.
    pub triggered_by: &'a str,
    pub started_at: &'a str,
    /// Runs that started before this are forgotten.
    pub forget_before: &'a str,
}

/// What is known when it ends; column comments are in the schema.
#[derive(Clone, Debug, Default)]
pub struct RunEnd {
    /// incremental or full; a run may turn from one into the other.
    pub mode: &'static str,
    pub reason: Option<String>,
    pub outcome: &'static str,
    pub pages: u64,
    pub rows: u64,
    pub writes: u64,
    pub changes: u64,
    pub skipped: u64,
    pub requests: u64,
    pub throttled: u64,
    pub bytes: u64,
    pub late: u64,
    pub late_by: Option<String>,
    pub error: Option<String>,
}

impl Mirror {
    /// Opens a row in the ledger and returns its id. Rows that a dead process left open are closed as interrupted: the caller holds the
    /// resource's lock, so nobody else can be running it.
    pub fn start_run(&self, start: RunStart<'_>) -> Result<i64, MirrorError> {
        let writer = self.writer();
        let connection = &writer.connection;
        let started = || -> rusqlite::Result<i64> {
            connection
                .prepare_cached(
                    "UPDATE sync_runs SET outcome = 'interrupted', ended_at = ?2 \
                     WHERE resource = ?1 AND outcome = 'running' AND (mode = 'reconcile') = (?3 = 'reconcile')",
                )?
                .execute(params![start.resource, start.started_at, start.mode])?;
            connection
                .prepare_cached("DELETE FROM sync_runs WHERE resource = ?1 AND started_at < ?2")?
                .execute(params![start.resource, start.forget_before])?;
            connection
                .prepare_cached(
                    "INSERT INTO sync_runs (resource, mode, reason, triggered_by, started_at, outcome) VALUES (?1, ?2, ?3, ?4, ?5, 'running')",
                )?
                .insert(params![start.resource, start.mode, start.reason, start.triggered_by, start.started_at])
        };
        started().map_err(|e| self.sql(e))
    }

    /// Closes a row of the ledger.
    pub fn end_run(&self, id: i64, end: &RunEnd, ended_at: &str) -> Result<(), MirrorError> {
        let writer = self.writer();
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let ended = || -> rusqlite::Result<usize> {
            writer
                .connection
                .prepare_cached(
                    "UPDATE sync_runs SET ended_at = ?2, mode = ?3, reason = ?4, outcome = ?5, pages = ?6, rows = ?7, writes = ?8, \
                     changes = ?9, skipped = ?10, requests = ?11, throttled = ?12, bytes = ?13, late = ?14, late_by = ?15, error = ?16 WHERE id = ?1",
                )?
                .execute(params![
                    id,
                    ended_at,
                    end.mode,
                    end.reason,
                    end.outcome,
                    number(end.pages),
                    number(end.rows),
                    number(end.writes),
                    number(end.changes),
                    number(end.skipped),
                    number(end.requests),
                    number(end.throttled),
                    number(end.bytes),
                    number(end.late),
                    end.late_by,
                    end.error,
                ])
        };
        ended().map(|_| ()).map_err(|e| self.sql(e))
    }
}
