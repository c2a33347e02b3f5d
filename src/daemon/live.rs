//! What the daemon is doing right now and has done since it started, for whoever asks. An observer of the runs: it counts and decides nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::clock;
use crate::sync::{Mode, Observer, Outcome, RunReport};

/// Tenant and resource.
type Key = (String, &'static str);
/// With whether it is the walk beside the live token, which goes on beside the live round of the same resource.
type RunKey = (String, &'static str, bool);

fn run_key(tenant: &str, resource: &'static str, mode: Mode) -> RunKey {
    (tenant.to_owned(), resource, mode == Mode::Reconcile)
}

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
    running: BTreeMap<RunKey, RunInHand>,
    /// The last run of each, where it failed.
    failures: BTreeMap<RunKey, LastFailure>,
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
    pub mode: Mode,
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
        Live { started_at: clock::now(), state: Mutex::new(state) }
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
        let resources: HashMap<&str, &[&str]> = tenants.iter().map(|t| (t.name.as_str(), t.resources.as_slice())).collect();
        let stays = |tenant: &str, resource| resources.get(tenant).is_some_and(|resources| resources.contains(&resource));
        state.failures.retain(|(tenant, resource, _), _| stays(tenant, resource));
        state.totals.retain(|(tenant, resource), _| stays(tenant, resource));
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
        let (tenant, since) = (tenant.to_owned(), clock::now());
        RunInHand { tenant, resource, since, mode, waits_for: None, pages: 0, rows: 0, counted: Progress::default() }
    }
}

impl Observer for Live {
    fn waiting(&self, tenant: &str, resource: &'static str, mode: Mode, holder: &str) {
        let run = RunInHand { waits_for: Some(holder.to_owned()), ..RunInHand::new(tenant, resource, mode) };
        self.state().running.insert(run_key(tenant, resource, mode), run);
    }

    fn started(&self, tenant: &str, resource: &'static str, mode: Mode) {
        self.state().running.insert(run_key(tenant, resource, mode), RunInHand::new(tenant, resource, mode));
    }

    fn page(&self, progress: &RunReport) {
        let mut guard = self.state();
        let state = &mut *guard;
        let Some(run) = state.running.get_mut(&run_key(&progress.tenant, progress.resource, progress.mode)) else { return };
        let now = Progress::of(progress);
        (run.pages, run.rows, run.mode) = (now.pages, now.rows, progress.mode);
        let before = std::mem::replace(&mut run.counted, now);
        state.totals.entry((progress.tenant.clone(), progress.resource)).or_default().done.grow(now, before);
    }

    fn finished(&self, report: &RunReport) {
        let mut guard = self.state();
        let state = &mut *guard;
        let key = run_key(&report.tenant, report.resource, report.mode);
        let before = state.running.remove(&key).map(|run| run.counted).unwrap_or_default();
        let totals = state.totals.entry((report.tenant.clone(), report.resource)).or_default();
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
                    mode: report.mode,
                    at: clock::now(),
                    outcome: report.outcome,
                    message: report.message.clone(),
                    hint: report.hint.clone(),
                };
                state.failures.insert(key, failure);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_and_a_live_round_of_the_same_resource_are_two_runs() {
        let live = Live::new();
        let report = |mode, rows, outcome| RunReport { rows, outcome, ..RunReport::new("contoso", "users", mode) };
        live.started("contoso", "users", Mode::Reconcile);
        live.page(&report(Mode::Reconcile, 200, Outcome::Done));
        live.started("contoso", "users", Mode::Incremental);
        live.page(&report(Mode::Incremental, 3, Outcome::Done));
        let running = live.moment().running;
        let shown: Vec<(Mode, u64)> = running.iter().map(|run| (run.mode, run.rows)).collect();
        assert_eq!(shown, [(Mode::Incremental, 3), (Mode::Reconcile, 200)]);
        // A live round that succeeds neither ends the walk nor excuses one that failed.
        live.finished(&report(Mode::Full, 5, Outcome::Done));
        assert_eq!(live.moment().running.len(), 1);
        live.finished(&report(Mode::Reconcile, 210, Outcome::Failed));
        live.finished(&report(Mode::Incremental, 0, Outcome::Done));
        let moment = live.moment();
        assert!(moment.running.is_empty());
        assert_eq!(moment.failures.iter().map(|failure| failure.mode).collect::<Vec<_>>(), [Mode::Reconcile]);
        let totals = live.totals();
        assert_eq!(totals[0].1.done.rows, 215, "each counts once");
        live.finished(&report(Mode::Reconcile, 0, Outcome::Done));
        assert!(live.moment().failures.is_empty());
        live.serves(vec![]);
        assert!(live.totals().is_empty());
    }
}
