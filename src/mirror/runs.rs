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

/// Closes what a dead process left open. By the index of runs in progress.
const INTERRUPT: &str = "UPDATE sync_runs SET outcome = 'interrupted', ended_at = ?2 \
    WHERE resource = ?1 AND outcome = 'running' AND (mode = 'reconcile') = (?3 = 'reconcile')";

/// Forgets old runs of a resource. Touches only those, and the first that is kept.
const FORGET: &str = "DELETE FROM sync_runs WHERE resource = ?1 AND started_at < ?2 AND id < coalesce( \
    (SELECT id FROM sync_runs WHERE resource = ?1 AND started_at BETWEEN ?2 AND ?3 ORDER BY id LIMIT 1), 9223372036854775807)";

impl Mirror {
    /// Opens a row in the ledger and returns its id. Rows that a dead process left open are closed as interrupted: the caller holds the
    /// resource's lock, so nobody else can be running it.
    pub fn start_run(&self, start: RunStart<'_>) -> Result<i64, MirrorError> {
        let writer = self.writer();
        let connection = &writer.connection;
        let started = || -> rusqlite::Result<i64> {
            connection.prepare_cached(INTERRUPT)?.execute(params![start.resource, start.started_at, start.mode])?;
            // Runs are numbered in the order of their starts, so what is to be forgotten lies before the first that is kept; what a wrong
            // clock dated into the future is not that one.
            connection.prepare_cached(FORGET)?.execute(params![start.resource, start.forget_before, start.started_at])?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::Access;
    use rusqlite::Connection;

    fn start<'a>(mode: &'a str, started_at: &'a str, forget_before: &'a str) -> RunStart<'a> {
        RunStart { resource: "users", mode, reason: None, triggered_by: "schedule", started_at, forget_before }
    }

    fn ids(mirror: &Mirror, condition: &str) -> Vec<i64> {
        let writer = mirror.writer();
        let mut statement = writer.connection.prepare(&format!("SELECT id FROM sync_runs WHERE {condition} ORDER BY id")).expect("SQL");
        statement.query_map([], |row| row.get(0)).expect("rows").map(|id| id.expect("an id")).collect()
    }

    #[test]
    fn old_runs_are_forgotten_and_what_a_dead_process_left_is_closed() {
        let folder = tempfile::tempdir().expect("a folder");
        let mirror = Mirror::open(&folder.path().join("t.db"), &Access::default(), &[]).expect("a mirror");
        let run = |mode, at, before| mirror.start_run(start(mode, at, before)).expect("a run");
        let wrong_clock = run("incremental", "2036-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z");
        let old = run("incremental", "2026-02-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z");
        let walk = run("reconcile", "2026-05-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z");
        let last = run("incremental", "2026-05-02T00:00:00.000Z", "2026-02-02T00:00:00.000Z");
        assert_eq!(ids(&mirror, "1"), [wrong_clock, walk, last], "{old} is forgotten, whatever stands before it");
        assert_eq!(ids(&mirror, "outcome = 'running'"), [walk, last], "a walk and a live round go on side by side");
        assert_eq!(ids(&mirror, "outcome = 'interrupted'"), [wrong_clock]);
        // Nothing that is kept: everything old goes.
        let only = run("incremental", "2027-01-01T00:00:00.000Z", "2026-12-31T00:00:00.000Z");
        assert_eq!(ids(&mirror, "1"), [wrong_clock, only]);
    }

    #[test]
    fn a_run_starts_without_looking_through_the_ledger() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("t.db");
        drop(Mirror::open(&file, &Access::default(), &[]).expect("a mirror"));
        let connection = Connection::open(&file).expect("open");
        let plan = |sql: &str| -> String {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("SQL");
            let lines = statement.query_map(["users", "x", "y"], |row| row.get::<_, String>(3)).expect("a plan");
            lines.map(|line| line.expect("a line")).collect::<Vec<_>>().join("; ")
        };
        assert!(plan(INTERRUPT).contains("sync_runs_in_progress"), "{}", plan(INTERRUPT));
        let forget = plan(FORGET);
        assert!(forget.contains("sync_runs_by_resource (resource=? AND id<?)"), "{forget}");
        assert!(!forget.contains("SCAN") && !forget.contains("TEMP B-TREE"), "{forget}");
    }
}
