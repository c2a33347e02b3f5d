//! The runner: takes the lock of a resource, opens the tenant's file for as long as it is needed, and keeps the ledger.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use super::lock::{self, ResourceLock};
use super::run::{Run, begin_beside};
use super::types::{EngineSettings, Mode, Observer, Outcome, RunReport, RunRequest, Target};
use crate::clock;
use crate::graph::{BreakerStatus, Budgets, Client, GraphError, LaneStatus};
use crate::mirror::{self, FileId, Mirror, MirrorError, RunEnd, RunStart, format_time, now};
use crate::resources::{self, Resource};

/// How long the ledger remembers runs.
const LEDGER: jiff::SignedDuration = jiff::SignedDuration::from_hours(90 * 24);

/// One a process; cheap to clone.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    settings: EngineSettings,
    client: Client,
    observer: Arc<dyn Observer>,
    /// Files in use. A tenant that is not being synced has no open file.
    mirrors: Mutex<HashMap<String, Weak<Mirror>>>,
    /// The file that each tenant had when it was last opened: one that was exchanged in between is told.
    seen: Mutex<HashMap<String, FileId>>,
}

/// Rows of the change feed that one transaction of pruning removes.
const PRUNE_CHANGES: u32 = 2000;

impl Engine {
    /// Builds the engine; `observer` is told of every run's progress.
    pub fn new(settings: EngineSettings, observer: Arc<dyn Observer>) -> Result<Engine, GraphError> {
        let client = Client::new(settings.graph.clone())?;
        Ok(Engine { shared: Arc::new(Shared { settings, client, observer, mirrors: Mutex::default(), seen: Mutex::default() }) })
    }

    /// Other budgets hold from now on: the configuration was read again.
    pub fn set_budgets(&self, budgets: Budgets) {
        self.shared.client.set_budgets(budgets);
    }

    /// What the fetch queue holds, lane by lane, and why it waits.
    pub fn queue_status(&self) -> Vec<LaneStatus> {
        self.shared.client.queue_status()
    }

    /// Whether each origin is taken to be in service.
    pub fn breakers(&self) -> Vec<BreakerStatus> {
        self.shared.client.breakers()
    }

    /// A tenant's file.
    pub fn file(&self, tenant: &str) -> PathBuf {
        self.shared.settings.data_dir.join(format!("{tenant}.db"))
    }

    /// Brings one resource of a tenant up to date. Never panics on what the service or the disk does: the report says what went wrong.
    pub async fn run(&self, target: &Target, resource: &'static Resource, request: RunRequest) -> RunReport {
        let began = Instant::now();
        let mut report = RunReport::new(&target.name, resource.name(), request.mode);
        self.locked(target, resource, &request, &mut report).await;
        report.seconds = began.elapsed().as_secs_f64();
        self.shared.observer.finished(&report);
        report
    }

    async fn locked(&self, target: &Target, resource: &'static Resource, request: &RunRequest, report: &mut RunReport) {
        let Some(mut _lock) = self.lock(target, resource.name(), request, report).await else { return };
        let mirror = match self.mirror(&target.name).await {
            Ok(mirror) => mirror,
            Err(error) => return fail_with(report, &error),
        };
        if request.mode == Mode::Reconcile {
            // Begun while no live round is in progress; from then on both go on side by side, each under a lock of its own.
            if let Err(error) = begin_beside(&mirror, target, resource).await {
                return fail_with(report, &error);
            }
            let name = format!("{}.reconcile", resource.name());
            let Some(own) = self.lock(target, &name, request, report).await else { return };
            _lock = own;
        }
        self.shared.observer.started(&target.name, resource.name(), request.mode);
        if let Err(error) = self.in_ledger(&mirror, target, resource, request, report).await {
            fail_with(report, &error);
        }
        // Closing the file may checkpoint its WAL: not on the reactor's thread.
        let _ = tokio::task::spawn_blocking(move || drop(mirror)).await;
    }

    /// The lock of this name; `None` when it cannot be had, which the report says then.
    async fn lock(&self, target: &Target, name: &str, request: &RunRequest, report: &mut RunReport) -> Option<ResourceLock> {
        let data_dir = &self.shared.settings.data_dir;
        let tell = |holder: &str| self.shared.observer.waiting(&target.name, report.resource, request.mode, holder);
        match lock::acquire(data_dir, &target.name, name, &request.cancel, tell).await {
            Ok(Some(lock)) => Some(lock),
            Ok(None) => {
                report.outcome = Outcome::Stopped;
                report.message = Some("stopped while waiting for another process".into());
                None
            }
            Err(error) => {
                report.message = Some(format!("cannot lock {name} in {}: {error}", data_dir.display()));
                report.hint = Some(match mirror::is_out_of_descriptors(&error) {
                    true => mirror::DESCRIPTORS_HINT.into(),
                    false => "data_dir must exist, be writable for this user, and have room".into(),
                });
                None
            }
        }
    }

    async fn in_ledger(
        &self,
        mirror: &Arc<Mirror>,
        target: &Target,
        resource: &'static Resource,
        request: &RunRequest,
        report: &mut RunReport,
    ) -> Result<(), MirrorError> {
        let started_at = now();
        let id = blocking(mirror, {
            let (mode, triggered_by, started_at) = (request.mode.as_str(), request.trigger.as_str(), started_at.clone());
            move |mirror| {
                let resource = resource.name();
                let forget_before = format_time(clock::now() - LEDGER);
                mirror.start_run(RunStart {
                    resource,
                    mode,
                    reason: None,
                    triggered_by,
                    started_at: &started_at,
                    forget_before: &forget_before,
                })
            }
        })
        .await?;
        let client = self.shared.client.tenant(target.endpoint.clone());
        if let Some(users) = resources::find("users") {
            // Graph's budget depends on how many users the tenant has.
            client.tenant_size_hint(blocking(mirror, move |mirror| mirror.about_rows(users.table)).await?);
        }
        let mut run = Run {
            mirror,
            client,
            target,
            resource,
            request,
            hold: self.shared.settings.hold,
            observer: &*self.shared.observer,
            report,
            page_divisor: 1,
        };
        let mut ended = run.go().await;
        if ended.is_ok() && report.outcome == Outcome::Done {
            ended = prune_changes(mirror, target, request).await;
        }
        if let Err(error) = &ended {
            fail_with(report, error);
            if matches!(error, MirrorError::Moved { .. }) {
                return Ok(());
            }
        }
        let end = RunEnd {
            mode: report.mode.as_str(),
            reason: report.reason.clone(),
            outcome: report.outcome.as_str(),
            pages: report.pages,
            rows: report.rows,
            writes: report.writes,
            changes: report.changes,
            skipped: report.skipped,
            requests: report.requests,
            throttled: report.throttled,
            bytes: report.bytes,
            late: report.late,
            late_by: (report.late > 0).then(|| report.late_by.json()),
            error: report.message.clone(),
        };
        let kept = blocking(mirror, move |mirror| mirror.end_run(id, &end, &now()).and_then(|()| mirror.in_place())).await;
        // What made the run fail says more than that the ledger cannot be written either.
        if ended.is_err() { Ok(()) } else { kept }
    }

    /// The tenant's file, shared by its resources that run at the same time.
    async fn mirror(&self, tenant: &str) -> Result<Arc<Mirror>, MirrorError> {
        let path = self.file(tenant);
        let shared = Arc::clone(&self.shared);
        let tenant = tenant.to_owned();
        join(tokio::task::spawn_blocking(move || {
            let mut mirrors = shared.mirrors.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(mirror) = mirrors.get(&tenant).and_then(Weak::upgrade) {
                // While runs still hold a file that was exchanged, no other is opened: SQLite would mix up their logs, which go by name.
                // Those runs end at their next page, and the next round opens what stands there then.
                mirror.in_place()?;
                return Ok(mirror);
            }
            mirrors.retain(|_, mirror| mirror.strong_count() > 0);
            let mirror = Arc::new(Mirror::open(&path, &shared.settings.access, resources::tables())?);
            shared.note_file(&tenant, &path);
            mirrors.insert(tenant, Arc::downgrade(&mirror));
            Ok(mirror)
        }))
        .await
    }
}

/// Removes what the change feed need not keep any longer, in small transactions.
async fn prune_changes(mirror: &Arc<Mirror>, target: &Target, request: &RunRequest) -> Result<(), MirrorError> {
    let now = clock::now();
    let keep = jiff::SignedDuration::try_from(target.keep_changes).unwrap_or(jiff::SignedDuration::MAX);
    let Ok(before) = now.checked_sub(keep) else { return Ok(()) };
    let (before, now) = (format_time(before), format_time(now));
    loop {
        let (before, now) = (before.clone(), now.clone());
        let removed = blocking(mirror, move |mirror| mirror.prune_changes(&before, &now, PRUNE_CHANGES)).await?;
        if removed == 0 || request.cancel.is_cancelled() {
            return Ok(());
        }
    }
}

impl Shared {
    /// Tells when a tenant's file is not the one that was used before.
    fn note_file(&self, tenant: &str, path: &std::path::Path) {
        let Ok(found) = FileId::of(path) else { return };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.insert(tenant.to_owned(), found).is_some_and(|before| before != found) {
            tracing::warn!(tenant, file = %path.display(), "the file was removed or replaced since the last run; this one goes on from what stands there now");
        }
    }
}

/// Does one unit of work on the file where blocking is allowed, if it still is the file that its name leads to.
pub(super) async fn blocking<T: Send + 'static>(
    mirror: &Arc<Mirror>,
    work: impl FnOnce(&Mirror) -> Result<T, MirrorError> + Send + 'static,
) -> Result<T, MirrorError> {
    let mirror = Arc::clone(mirror);
    join(tokio::task::spawn_blocking(move || mirror.in_place().and_then(|()| work(&mirror)))).await
}

async fn join<T>(task: tokio::task::JoinHandle<T>) -> T {
    match task.await {
        Ok(value) => value,
        // These tasks are never cancelled, so the only other way to end is a panic, which goes on here.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn fail_with(report: &mut RunReport, error: &MirrorError) {
    report.outcome = Outcome::Failed;
    report.message = Some(error.to_string());
    report.hint = error.hint();
}
