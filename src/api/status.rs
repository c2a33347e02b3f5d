//! `GET /status`: everything the daemon knows of its own work, as JSON. No delta links, no tokens, nobody's data.

use jiff::Timestamp;
use serde::Serialize;

use super::server::Sources;
use crate::daemon::{LastFailure, RunInHand, utc};
use crate::graph::{BreakerStatus, LaneStatus};

/// What the daemon does.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    version: &'static str,
    pid: u32,
    #[serde(serialize_with = "utc")]
    started_at: Timestamp,
    /// Since the daemon's loop last went round, seconds.
    loop_age_seconds: f64,
    /// Runs in progress.
    runs: Vec<RunInHand>,
    /// Runs whose time has come and that wait for room.
    due_runs: usize,
    lanes: Vec<LaneStatus>,
    breakers: Vec<BreakerStatus>,
    /// The last run of each resource whose last run failed.
    failures: Vec<LastFailure>,
}

impl Status {
    pub fn now(sources: &Sources) -> Status {
        let moment = sources.live.moment();
        Status {
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            started_at: moment.started_at,
            loop_age_seconds: moment.turned.as_secs_f64(),
            runs: moment.running,
            due_runs: moment.due,
            lanes: sources.engine.queue_status(),
            breakers: sources.engine.breakers(),
            failures: moment.failures,
        }
    }
}
