//! What the daemon is doing right now and has done since it started, for whoever asks. An observer of the runs: it counts and decides nothing.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::sync::{Mode, Observer, Outcome, RunReport};

/// Tenant and resource.
type Key = (String, &'static str);

/// One a daemon. Everything in it is bounded by tenants times resources.
#[derive(Debug)]
pub struct Live {
    started_at: Timestamp,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    turned: Instant,
    due: usize,
    tenants: Vec<TenantWork>,
    running: BTreeMap<Key, RunInHand>,
    /// The last run of each, where it failed.
    failures: BTreeMap<Key, LastFailure>,
    totals: BTreeMap<Key, Totals>,
}

/// A tenant that the daemon mirrors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantWork {
    pub name: String,
    pub resources: Vec<&'static str>,
}

/// Times as the tables have them: UTC with milliseconds.
pub(crate) fn utc<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"))
}

/// A run in progress. Times are UTC.
#[derive(Clone, Debug, Serialize)]
pub struct RunInHand {
    pub tenant: String,
    pub resource: &'static str,
    #[serde(serialize_with = "utc")]
    pub since: Timestamp,
    pub mode: Mode,
    /// Who holds the lock that it waits for; `None` = it goes on.
    pub waits_for: Option<String>,
    pub pages: u64,
    /// Objects received.
    pub rows: u64,
    /// What is counted in the totals already.
    #[serde(skip)]
    counted: Progress,
}

/// The last run of a resource, where it did not succeed.
#[derive(Clone, Debug, Serialize)]
pub struct LastFailure {
    pub tenant: String,
    pub resource: &'static str,
    #[serde(serialize_with = "utc")]
    pub at: Timestamp,
    pub outcome: Outcome,
    pub message: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// What a run has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub pages: u64,
    /// Objects received.
    pub rows: u64,
    /// Rows inserted, updated or deleted in mirrored tables.
    pub writes: u64,
    /// Rows written to the change feed.
    pub changes: u64,
    /// Events that came after the time they belong to had been read.
    pub late: u64,
}

impl Progress {
    fn of(report: &RunReport) -> Progress {
        Progress { pages: report.pages, rows: report.rows, writes: report.writes, changes: report.changes, late: report.late }
    }

    /// Adds what came since `before`.
    fn grow(&mut self, now: Progress, before: Progress) {
        self.pages += now.pages.saturating_sub(before.pages);
        self.rows += now.rows.saturating_sub(before.rows);
        self.writes += now.writes.saturating_sub(before.writes);
        self.changes += now.changes.saturating_sub(before.changes);
        self.late += now.late.saturating_sub(before.late);
    }
}

/// What the runs of a resource did since the daemon started.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    pub done: Progress,
    /// Runs that ended, by outcome.
    pub runs: BTreeMap<&'static str, u64>,
}

/// Everything at one moment.
#[derive(Clone, Debug)]
pub struct Moment {
    pub started_at: Timestamp,
    /// Since the daemon's loop last went round.
    pub turned: Duration,
    /// Runs whose time has come and that wait for room.
    pub due: usize,
    pub running: Vec<RunInHand>,
    pub failures: Vec<LastFailure>,
}

impl Default for Live {
    fn default() -> Live {
        Live::new()
    }
}

impl Live {
    /// For a daemon that starts now.
    pub fn new() -> Live {
        let state = State {
            turned: Instant::now(),
            due: 0,
            tenants: Vec::new(),
            running: BTreeMap::new(),
            failures: BTreeMap::new(),
            totals: BTreeMap::new(),
        };
        Live { started_at: Timestamp::now(), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The daemon's loop went round.
    pub(super) fn turned(&self, due: usize) {
        let mut state = self.state();
        (state.turned, state.due) = (Instant::now(), due);
    }

    /// These tenants are mirrored from now on; what is known of others is forgotten.
    pub(super) fn serves(&self, tenants: Vec<TenantWork>) {
        let mut state = self.state();
        let stays = |(tenant, resource): &Key| tenants.iter().any(|t| t.name == *tenant && t.resources.contains(resource));
        state.failures.retain(|key, _| stays(key));
        state.totals.retain(|key, _| stays(key));
        state.tenants = tenants;
    }

    /// Since the daemon's loop last went round: long means that it hangs.
    pub fn since_turn(&self) -> Duration {
        self.state().turned.elapsed()
    }

    /// The tenants that are mirrored.
    pub fn tenants(&self) -> Vec<TenantWork> {
        self.state().tenants.clone()
    }

    /// What goes on, and what went wrong last.
    pub fn moment(&self) -> Moment {
        let state = self.state();
        Moment {
            started_at: self.started_at,
            turned: state.turned.elapsed(),
            due: state.due,
            running: state.running.values().cloned().collect(),
            failures: state.failures.values().cloned().collect(),
        }
    }

    /// What was done since the start, by tenant and resource.
    pub fn totals(&self) -> Vec<(Key, Totals)> {
        self.state().totals.iter().map(|(key, totals)| (key.clone(), totals.clone())).collect()
    }
}

impl RunInHand {
    fn new(tenant: &str, resource: &'static str, mode: Mode) -> RunInHand {
        let (tenant, since) = (tenant.to_owned(), Timestamp::now());
        RunInHand { tenant, resource, since, mode, waits_for: None, pages: 0, rows: 0, counted: Progress::default() }
    }
}

impl Observer for Live {
    fn waiting(&self, tenant: &str, resource: &'static str, holder: &str) {
        let run = RunInHand { waits_for: Some(holder.to_owned()), ..RunInHand::new(tenant, resource, Mode::Incremental) };
        self.state().running.insert((tenant.to_owned(), resource), run);
    }

    fn started(&self, tenant: &str, resource: &'static str, mode: Mode) {
        self.state().running.insert((tenant.to_owned(), resource), RunInHand::new(tenant, resource, mode));
    }

    fn page(&self, progress: &RunReport) {
        let mut guard = self.state();
        let state = &mut *guard;
        let key = (progress.tenant.clone(), progress.resource);
        let Some(run) = state.running.get_mut(&key) else { return };
        let now = Progress::of(progress);
        (run.pages, run.rows, run.mode) = (now.pages, now.rows, progress.mode);
        let before = std::mem::replace(&mut run.counted, now);
        state.totals.entry(key).or_default().done.grow(now, before);
    }

    fn finished(&self, report: &RunReport) {
        let mut guard = self.state();
        let state = &mut *guard;
        let key = (report.tenant.clone(), report.resource);
        let before = state.running.remove(&key).map(|run| run.counted).unwrap_or_default();
        let totals = state.totals.entry(key.clone()).or_default();
        totals.done.grow(Progress::of(report), before);
        *totals.runs.entry(report.outcome.as_str()).or_default() += 1;
        match report.outcome {
            Outcome::Done => drop(state.failures.remove(&key)),
            // Being stopped says nothing about the resource.
            Outcome::Stopped => {}
            Outcome::Unavailable | Outcome::Held | Outcome::Failed => {
                let failure = LastFailure {
                    tenant: report.tenant.clone(),
                    resource: report.resource,
                    at: Timestamp::now(),
                    outcome: report.outcome,
                    message: report.message.clone(),
                    hint: report.hint.clone(),
                };
                state.failures.insert(key, failure);
            }
        }
    }
}
