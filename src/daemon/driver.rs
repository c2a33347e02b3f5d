//! Which runs are due, which are running, which must wait: within limits, and never the same resource of a tenant twice at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::line::{Limits, Line, Ticket};
use super::live::{Live, TenantWork};
use super::schedule::{spread, walk_spread};
use crate::clock;
use crate::config::{Config, Tenant};
use crate::resources::{self, Resource};
use crate::sync::{Engine, Mode, Outcome, RunReport, RunRequest, Target, Trigger};

/// A resource that is ruled out is tried again after this, then after twice as long, and so on.
const FIRST_RETRY: Duration = Duration::from_secs(3600);
/// But at least this often.
const LONGEST_RETRY: Duration = Duration::from_secs(24 * 3600);
/// How long the pages in hand may take at the end.
const LAST_PAGES: Duration = Duration::from_secs(20);

/// Tenant and resource.
pub(super) type Key = (String, &'static str);

/// The state of the daemon's work. Everything in it is bounded by tenants times resources.
pub(super) struct Driver {
    engine: Engine,
    config: Config,
    live: Arc<Live>,
    stop: CancellationToken,
    /// Not before these instants.
    later: BTreeMap<(Instant, Key), ()>,
    line: Line,
    /// In `later`, in `line`, waiting for a parent, or running.
    known: BTreeSet<Key>,
    /// Runs that wait for the run of another resource of the tenant, with their places in the line.
    waiting: HashMap<Key, Vec<(Ticket, Key)>>,
    running: JoinSet<RunReport>,
    /// What runs, by the task that runs it.
    tasks: HashMap<tokio::task::Id, Key>,
    ruled_out: HashMap<Key, (u32, Instant)>,
    done: u64,
    failed: u64,
}

impl Driver {
    pub fn new(engine: Engine, config: Config, live: Arc<Live>, stop: CancellationToken) -> Driver {
        live.serves(work(&config));
        Driver {
            engine,
            config,
            live,
            stop,
            later: BTreeMap::new(),
            line: Line::default(),
            known: BTreeSet::new(),
            waiting: HashMap::new(),
            running: JoinSet::new(),
            tasks: HashMap::new(),
            ruled_out: HashMap::new(),
            done: 0,
            failed: 0,
        }
    }

    pub fn tenants(&self) -> usize {
        self.config.tenants.len()
    }

    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// What the queue waits for and why, lane by lane, for the log.
    pub fn tell_waits(&self) {
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        tracing::debug!(running = self.running.len(), due = self.line.len(), later = self.later.len(), "runs");
        for lane in self.engine.queue_status() {
            let Some(reason) = lane.reason else { continue };
            let (used, allowed, paused_seconds) = (lane.used, lane.allowed, lane.paused_for_seconds);
            tracing::debug!(
                tenant = lane.tenant,
                workload = lane.workload,
                waiting = lane.waiting.total(),
                in_flight = lane.in_flight,
                used,
                allowed,
                paused_seconds,
                "waits for: {reason}"
            );
        }
    }

    /// That it goes on, and how: for logs in which rounds without news are not told.
    pub fn tell_summary(&self) {
        tracing::info!("{}", self.summary());
    }

    /// One line for `systemctl status`.
    pub fn summary(&self) -> String {
        format!(
            "{} tenants; {} runs in progress, {} due, {} done, {} failed",
            self.config.tenants.len(),
            self.running.len(),
            self.line.len(),
            self.done,
            self.failed
        )
    }

    /// At the start everything is due at once, within the limits.
    pub fn everything(&mut self) {
        for key in keys(&self.config) {
            self.enqueue(key, Duration::ZERO);
        }
    }

    /// The schedule names a resource: every tenant that mirrors it follows, each at its place in the interval.
    pub fn tick(&mut self, resource: &'static str, interval: Duration) {
        let mirrors = |tenant: &&Tenant| tenant.resources.contains(&resource);
        let names: Vec<String> = self.config.tenants.iter().filter(mirrors).map(|t| t.name.clone()).collect();
        for name in names {
            let after = spread(&name, interval);
            self.enqueue((name, resource), after);
        }
    }

    /// The weekly time has come: every delta resource is walked from scratch beside its live token.
    pub fn reconcile(&mut self) {
        for (tenant, name) in keys(&self.config) {
            let Some(resource) = resources::find(name).filter(|resource| resource.is_delta()) else { continue };
            let key = (tenant, resource.table.reconcile_key);
            let after = walk_spread(&key.0);
            self.enqueue(key, after);
        }
    }

    /// Puts a run in line, unless it is there already: a tick that comes while it is is not made up for.
    fn enqueue(&mut self, key: Key, after: Duration) {
        let ruled_out = self.ruled_out.get(&key).is_some_and(|(_, until)| clock::instant() + after < *until);
        if ruled_out || !self.known.insert(key.clone()) {
            return;
        }
        match after {
            Duration::ZERO => self.line_up(key),
            after => drop(self.later.insert((clock::instant() + after, key), ())),
        }
    }

    /// A run whose rows hang on another resource's rows waits for that one's run.
    fn line_up(&mut self, key: Key) {
        let ticket = self.line.ticket();
        let parent = resources::find(key.1).and_then(|r| r.definition.rows_of).map(|parent| (key.0.clone(), parent));
        match parent {
            Some(parent) if self.known.contains(&parent) => self.waiting.entry(parent).or_default().push((ticket, key)),
            _ => self.line.push(ticket, key),
        }
    }

    /// Starts runs while there is room.
    pub fn start_what_is_due(&mut self) {
        let now = clock::instant();
        while let Some(entry) = self.later.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((_, key), ()) = entry.remove_entry();
            self.line_up(key);
        }
        let limits = Limits { tenants: self.config.sync.tenants_at_once, resources: self.config.sync.resources_at_once };
        while !self.stop.is_cancelled() {
            let Some(key) = self.line.take(limits) else { break };
            let tenant = self.config.tenants.iter().find(|t| t.name == key.0);
            let beside = resources::find_reconcile(key.1);
            let mode = if beside.is_some() { Mode::Reconcile } else { Mode::Incremental };
            let (Some(tenant), Some(resource)) = (tenant, beside.or_else(|| resources::find(key.1))) else {
                // The tenant went with a reload.
                self.over(&key);
                continue;
            };
            self.start(tenant.clone(), resource, mode, key);
        }
        self.live.turned(self.line.len());
    }

    fn start(&mut self, tenant: Tenant, resource: &'static Resource, mode: Mode, key: Key) {
        let (engine, cancel) = (self.engine.clone(), self.stop.clone());
        let task = self.running.spawn(async move {
            let target = Target::from(&tenant);
            let request = RunRequest { mode, accept_sweep: false, trigger: Trigger::Schedule, backfill: true, cancel };
            engine.run(&target, resource, request).await
        });
        self.tasks.insert(task.id(), key);
    }

    /// A run has given its place back: the next one of its kind may come, and so may what waited for it.
    fn over(&mut self, key: &Key) {
        self.line.ended(&key.0);
        self.known.remove(key);
        for (ticket, key) in self.waiting.remove(key).unwrap_or_default() {
            self.line.push(ticket, key);
        }
    }

    /// How long until a run is due that is put off; `None` when there is none.
    pub fn until_due(&self) -> Option<Duration> {
        self.later.first_key_value().map(|((at, _), ())| at.saturating_duration_since(clock::instant()))
    }

    /// Whether nothing goes on and nothing is due.
    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && self.line.len() == 0
    }

    /// Waits for the end of a run; for ever when there is none.
    pub async fn a_run_ends(&mut self) {
        match self.running.join_next_with_id().await {
            Some(Ok((task, report))) => {
                let key = self.tasks.remove(&task).unwrap_or_else(|| (report.tenant.clone(), report.resource));
                self.ended(key, report);
            }
            Some(Err(error)) => {
                // A mistake of this program; the resource is tried again at its next time.
                tracing::error!(%error, "a run broke off");
                self.failed += 1;
                if let Some(key) = self.tasks.remove(&error.id()) {
                    self.over(&key);
                }
            }
            None => std::future::pending().await,
        }
    }

    fn ended(&mut self, key: Key, report: RunReport) {
        self.over(&key);
        let message = report.message.as_deref().unwrap_or_default();
        let hint = report.hint.as_deref().unwrap_or_default();
        let (tenant, resource) = (&report.tenant, report.resource);
        match report.outcome {
            Outcome::Done => {
                self.done += 1;
                self.ruled_out.remove(&key);
                if report.backfill_left {
                    // A long backfill takes its turn after everything else that is due.
                    self.enqueue(key.clone(), Duration::ZERO);
                }
                tell_success(&report);
            }
            Outcome::Stopped => tracing::info!(tenant, resource, "stopped"),
            Outcome::Unavailable => {
                let times = self.ruled_out.get(&key).map_or(0, |(times, _)| *times);
                let wait = FIRST_RETRY.saturating_mul(1 << times.min(5)).min(LONGEST_RETRY);
                tracing::warn!(tenant, resource, retry_seconds = wait.as_secs(), "ruled out: {message}. {hint}");
                self.ruled_out.insert(key, (times + 1, clock::instant() + wait));
            }
            Outcome::Held => tracing::warn!(tenant, resource, "held: {message}. {hint}"),
            Outcome::Failed => {
                self.failed += 1;
                tracing::error!(tenant, resource, "failed: {message}. {hint}");
            }
        }
    }

    /// Takes a new configuration over: what runs goes on, new tenants are synced at once.
    pub fn reconfigure(&mut self, config: Config) {
        if config.data_dir != self.config.data_dir {
            tracing::warn!("data_dir changes only with a restart");
        }
        if config.metrics != self.config.metrics {
            tracing::warn!("metrics changes only with a restart");
        }
        let old: BTreeSet<Key> = keys(&self.config).into_iter().collect();
        self.config = Config { data_dir: self.config.data_dir.clone(), ..config };
        self.live.serves(work(&self.config));
        self.engine.set_budgets(self.config.budgets.clone());
        // Permissions may have been granted: what was ruled out is tried again.
        self.ruled_out.clear();
        for key in keys(&self.config).into_iter().filter(|key| !old.contains(key)) {
            self.enqueue(key, Duration::ZERO);
        }
    }

    /// Waits for the pages in hand.
    pub async fn finish(mut self) {
        let all = async {
            while let Some(ended) = self.running.join_next().await {
                if let Ok(report) = ended {
                    tracing::debug!(tenant = report.tenant, resource = report.resource, outcome = report.outcome.as_str(), "ended");
                }
            }
        };
        if tokio::time::timeout(LAST_PAGES, all).await.is_err() {
            tracing::warn!("some pages took too long; the next start fetches them again");
        }
    }
}

/// Most rounds bring nothing: a thousand tenants would fill a log with them.
fn tell_success(report: &RunReport) {
    macro_rules! tell {
        ($level:expr) => {
            tracing::event!(
                $level,
                tenant = report.tenant,
                resource = report.resource,
                round = report.mode.as_str(),
                pages = report.pages,
                rows = report.rows,
                writes = report.writes,
                changes = report.changes,
                requests = report.requests,
                throttled = report.throttled,
                seconds = report.seconds,
                "synced"
            )
        };
    }
    match report.writes > 0 || report.throttled > 0 || report.mode == Mode::Reconcile {
        true => tell!(tracing::Level::INFO),
        false => tell!(tracing::Level::DEBUG),
    }
}

fn work(config: &Config) -> Vec<TenantWork> {
    config.tenants.iter().map(|tenant| TenantWork { name: tenant.name.clone(), resources: tenant.resources.clone() }).collect()
}

/// Everything that is mirrored.
fn keys(config: &Config) -> Vec<Key> {
    config.tenants.iter().flat_map(|tenant| tenant.resources.iter().map(|resource| (tenant.name.clone(), *resource))).collect()
}
