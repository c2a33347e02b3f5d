//! The words in which a run is asked for and reported. Plain data; knows nothing of how a run is done.

use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::config::Tenant;
use crate::graph;
use crate::mirror::{Access, Held, HoldRules, Late};

/// Settings of the engine, the same for all tenants.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// Folder of the tenants' files.
    pub data_dir: std::path::PathBuf,
    /// Who else may read the files.
    pub access: Access,
    /// When a sweep is held.
    pub hold: HoldRules,
    /// The Graph client's settings.
    pub graph: graph::Settings,
}

/// A tenant as the engine needs it.
#[derive(Clone, Debug)]
pub struct Target {
    /// Name of the tenant: its file is `<data_dir>/<name>.db`.
    pub name: String,
    /// How to reach it.
    pub endpoint: graph::Endpoint,
    /// Extra properties by resource.
    pub extra: std::collections::BTreeMap<String, Vec<String>>,
    /// Word of the national cloud in the configuration.
    pub cloud: &'static str,
    /// Kinds of sign-ins that are mirrored; none named means the interactive ones.
    pub event_types: Vec<String>,
    /// How much of the past each round of a log reads again.
    pub overlap: Duration,
    /// How long the events of a log are kept, by resource.
    pub keep: std::collections::BTreeMap<&'static str, Duration>,
    /// How long rows of the change feed are kept.
    pub keep_changes: Duration,
}

impl Target {
    /// Extra properties of this resource.
    pub(super) fn extra(&self, resource: &str) -> &[String] {
        self.extra.get(resource).map_or(&[], Vec::as_slice)
    }

    /// How long the events of this log are kept.
    pub(super) fn keep(&self, resource: &str) -> Duration {
        self.keep.get(resource).copied().unwrap_or(Duration::MAX)
    }
}

impl From<&Tenant> for Target {
    fn from(tenant: &Tenant) -> Target {
        Target {
            name: tenant.name.clone(),
            endpoint: graph::Endpoint {
                name: tenant.name.clone(),
                tenant_id: tenant.id.clone(),
                login_url: tenant.login_url.clone(),
                graph_url: tenant.graph_url.clone(),
                client_id: tenant.client_id.clone(),
                credential: tenant.credential.clone(),
            },
            extra: tenant.extra.clone(),
            cloud: tenant.cloud.as_str(),
            event_types: tenant.logs.event_types.clone(),
            overlap: tenant.logs.overlap,
            keep: tenant.logs.keep.clone(),
            keep_changes: tenant.keep_changes,
        }
    }
}

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// What changed since the last round (everything, when there is none).
    Incremental,
    /// Everything from scratch, and what is gone swept.
    Full,
    /// The same beside the live delta token, which stays in use: repairs what delta has lost.
    Reconcile,
}

impl Mode {
    /// The word in `sync_runs.mode`.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Incremental => "incremental",
            Mode::Full => "full",
            Mode::Reconcile => "reconcile",
        }
    }
}

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// A person at a terminal, who waits for it.
    Command,
    /// The daemon's schedule.
    Schedule,
}

impl Trigger {
    /// How its requests are ranked.
    pub(super) fn priority(self) -> graph::Priority {
        match self {
            Trigger::Command => graph::Priority::Interactive,
            Trigger::Schedule => graph::Priority::Scheduled,
        }
    }

    /// The word in `sync_runs.triggered_by`.
    pub fn as_str(self) -> &'static str {
        match self {
            Trigger::Command => "command",
            Trigger::Schedule => "schedule",
        }
    }
}

/// What is asked of a run.
#[derive(Clone, Debug)]
pub struct RunRequest {
    pub mode: Mode,
    /// Lets a sweep through however much is missing.
    pub accept_sweep: bool,
    pub trigger: Trigger,
    /// Whether old events of logs are fetched too, after the present ones.
    pub backfill: bool,
    /// When cancelled, the page in hand is finished and the run stops.
    pub cancel: CancellationToken,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Done,
    /// Cancelled at a page; the next run goes on from there.
    Stopped,
    /// The tenant's licence or the app's permissions rule the resource out.
    Unavailable,
    /// A sweep is held: too much was missing to be believed.
    Held,
    Failed,
}

impl Outcome {
    /// The word in `sync_runs.outcome`.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Stopped => "stopped",
            Outcome::Unavailable => "unavailable",
            Outcome::Held => "held",
            Outcome::Failed => "failed",
        }
    }
}

/// What a run did.
#[derive(Clone, Debug, Serialize)]
pub struct RunReport {
    pub tenant: String,
    pub resource: &'static str,
    pub outcome: Outcome,
    /// What it was at its end: an incremental run may have become full.
    pub mode: Mode,
    /// Why it was full: first, resync, expired, selection, snapshot.
    pub reason: Option<String>,
    /// Pages applied.
    pub pages: u64,
    /// Objects received.
    pub rows: u64,
    /// Rows inserted, updated or deleted in mirrored tables.
    pub writes: u64,
    /// Rows written to the change feed.
    pub changes: u64,
    /// Rows a sweep removed.
    pub swept: u64,
    /// Objects refused because a value had the wrong type.
    pub skipped: u64,
    /// Events of a log that were older than is kept and were removed.
    pub pruned: u64,
    /// Events that came after the time they belong to had been read.
    pub late: u64,
    /// How late they were -> how many.
    pub late_by: Late,
    /// Share of a log's backfill that is done, 0 to 1; none when there is none (left).
    pub backfill_share: Option<f64>,
    /// Whether a backfill goes on at the next run.
    pub backfill_left: bool,
    /// HTTP requests sent.
    pub requests: u64,
    /// Answers that asked to wait.
    pub throttled: u64,
    /// Time spent waiting because the service asked for it, seconds.
    pub waited_seconds: f64,
    /// Bytes of pages, uncompressed.
    pub bytes: u64,
    /// Duration in seconds.
    pub seconds: f64,
    /// What went wrong, or is to be known.
    pub message: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The sweep that was held.
    pub held: Option<Held>,
}

impl RunReport {
    pub(crate) fn new(tenant: &str, resource: &'static str, mode: Mode) -> RunReport {
        RunReport {
            tenant: tenant.to_owned(),
            resource,
            outcome: Outcome::Failed,
            mode,
            reason: None,
            pages: 0,
            rows: 0,
            writes: 0,
            changes: 0,
            swept: 0,
            skipped: 0,
            pruned: 0,
            late: 0,
            late_by: Late::default(),
            backfill_share: None,
            backfill_left: false,
            requests: 0,
            throttled: 0,
            waited_seconds: 0.0,
            bytes: 0,
            seconds: 0.0,
            message: None,
            hint: None,
            held: None,
        }
    }

    pub(super) fn spent(&mut self, stats: graph::CallStats) {
        self.requests += u64::from(stats.requests);
        self.throttled += u64::from(stats.throttled);
        self.waited_seconds += stats.waited.as_secs_f64();
    }
}

/// What a run tells while it goes on. Called from the run's task: be quick.
pub trait Observer: Send + Sync {
    /// Another process syncs the same resource; `holder` says which.
    fn waiting(&self, tenant: &str, resource: &'static str, mode: Mode, holder: &str) {
        let _ = (tenant, resource, mode, holder);
    }
    /// The run begins.
    fn started(&self, tenant: &str, resource: &'static str, mode: Mode) {
        let _ = (tenant, resource, mode);
    }
    /// A page was stored.
    fn page(&self, progress: &RunReport) {
        let _ = progress;
    }
    /// The run ended.
    fn finished(&self, report: &RunReport) {
        let _ = report;
    }
}

/// An observer that ignores everything.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Observer for Silent {}

/// A duration that is long enough to be a sign of trouble in one page, for the log.
pub(super) const SLOW_PAGE: Duration = Duration::from_secs(30);
