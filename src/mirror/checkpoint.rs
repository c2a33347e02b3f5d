//! The checkpoint of a resource: the cursor, the round in hand, and its state. Stores what the runner decides and decides nothing.

use rusqlite::{Connection, OptionalExtension, params};

use super::error::MirrorError;
use super::open::Mirror;

/// The round in hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// None: the last round is complete.
    #[default]
    Idle,
    Incremental,
    Full,
}

/// What state a resource is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Never synced to the end yet.
    #[default]
    Pending,
    Ok,
    /// The tenant's licence or the app's permissions rule it out.
    Unavailable,
    /// A sweep is held.
    Held,
    Failed,
}

macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),* $(,)? }) => {
        impl $type {
            /// The word in the file.
            pub fn as_str(self) -> &'static str {
                match self { $($type::$variant => $word),* }
            }
            fn parse(word: &str) -> $type {
                match word { $($word => $type::$variant,)* _ => $type::default() }
            }
        }
    };
}
words!(Phase { Idle = "idle", Incremental = "incremental", Full = "full" });
words!(State { Pending = "pending", Ok = "ok", Unavailable = "unavailable", Held = "held", Failed = "failed" });

/// One row of `checkpoints`; column comments are in the schema. Its links are secrets: `Debug` does not show them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Checkpoint {
    pub selection: Option<String>,
    pub delta_link: Option<String>,
    pub next_link: Option<String>,
    pub phase: Phase,
    pub phase_reason: Option<String>,
    pub phase_started_at: Option<String>,
    pub round: i64,
    pub attempts: i64,
    pub baseline_at: Option<String>,
    pub delta_link_at: Option<String>,
    pub last_success_at: Option<String>,
    pub last_full_at: Option<String>,
    pub last_attempt_at: Option<String>,
    pub state: State,
    pub reason: Option<String>,
    pub remedy: Option<String>,
    pub failures: i64,
    pub refused_since: Option<String>,
    pub held: Option<String>,
}

impl std::fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkpoint")
            .field("phase", &self.phase)
            .field("round", &self.round)
            .field("state", &self.state)
            .field("has_delta_link", &self.delta_link.is_some())
            .field("has_next_link", &self.next_link.is_some())
            .finish_non_exhaustive()
    }
}

const COLUMNS: &str = "selection, delta_link, next_link, phase, phase_reason, phase_started_at, round, attempts, baseline_at, \
     delta_link_at, last_success_at, last_full_at, last_attempt_at, state, reason, remedy, failures, refused_since, held";

impl Checkpoint {
    pub(super) fn load(connection: &Connection, resource: &str) -> rusqlite::Result<Option<Checkpoint>> {
        connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM checkpoints WHERE resource = ?1"))?
            .query_row([resource], |row| {
                Ok(Checkpoint {
                    selection: row.get(0)?,
                    delta_link: row.get(1)?,
                    next_link: row.get(2)?,
                    phase: Phase::parse(row.get_ref(3)?.as_str()?),
                    phase_reason: row.get(4)?,
                    phase_started_at: row.get(5)?,
                    round: row.get(6)?,
                    attempts: row.get(7)?,
                    baseline_at: row.get(8)?,
                    delta_link_at: row.get(9)?,
                    last_success_at: row.get(10)?,
                    last_full_at: row.get(11)?,
                    last_attempt_at: row.get(12)?,
                    state: State::parse(row.get_ref(13)?.as_str()?),
                    reason: row.get(14)?,
                    remedy: row.get(15)?,
                    failures: row.get(16)?,
                    refused_since: row.get(17)?,
                    held: row.get(18)?,
                })
            })
            .optional()
    }

    pub(super) fn store(&self, connection: &Connection, resource: &str) -> rusqlite::Result<()> {
        connection
            .prepare_cached(&format!(
                "INSERT OR REPLACE INTO checkpoints (resource, {COLUMNS}) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)"
            ))?
            .execute(params![
                resource,
                self.selection,
                self.delta_link,
                self.next_link,
                self.phase.as_str(),
                self.phase_reason,
                self.phase_started_at,
                self.round,
                self.attempts,
                self.baseline_at,
                self.delta_link_at,
                self.last_success_at,
                self.last_full_at,
                self.last_attempt_at,
                self.state.as_str(),
                self.reason,
                self.remedy,
                self.failures,
                self.refused_since,
                self.held,
            ])
            .map(|_| ())
    }
}

impl Mirror {
    /// The checkpoint of a resource; a fresh one when it was never synced.
    pub fn checkpoint(&self, resource: &str) -> Result<Checkpoint, MirrorError> {
        let writer = self.writer();
        Checkpoint::load(&writer.connection, resource).map(Option::unwrap_or_default).map_err(|e| self.sql(e))
    }

    /// Stores a checkpoint by itself, for what does not go with a page (a failure, the start of a round).
    pub fn store_checkpoint(&self, resource: &str, checkpoint: &Checkpoint) -> Result<(), MirrorError> {
        let writer = self.writer();
        checkpoint.store(&writer.connection, resource).map_err(|e| self.sql(e))
    }
}
