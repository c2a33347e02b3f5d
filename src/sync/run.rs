//! One run: follows the chain of pages, stores each with its cursor, and decides what a failure means for the checkpoint.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::chain::Chain;
use super::circles::Circles;
use super::ending::{abandoned, restart};
use super::engine::blocking;
use super::plan::{Plan, plan};
use super::types::{Mode, Observer, RunReport, RunRequest, SLOW_PAGE, Target, Trigger};
use crate::graph::{GraphError, Link, Page, RefusalKind, TenantClient};
use crate::mirror::{self, Applied, Checkpoint, Ending, HoldRules, Mirror, MirrorError, Phase, now};
use crate::resources::{self, Resource, Source, decode};

/// How often one run starts its round over before it gives up.
const RESTARTS: u32 = 5;

/// How often a refusal for want of a licence is asked again in one run, and about how long after.
const LICENCE_RETRIES: u32 = 2;
const LICENCE_PAUSE: Duration = Duration::from_millis(700);
/// Pages are not asked for smaller than the definition's size divided by this.
const SMALLEST_PAGE: u32 = 16;

/// A scheduled run that gets no page for so long ends.
pub(super) const STALL: Duration = Duration::from_secs(5 * 60);
/// Pages that are stored in one transaction at most, when they have arrived already.
const PAGES_TOGETHER: usize = 32;
/// And bytes of them.
const BYTES_TOGETHER: usize = 4 * 1024 * 1024;

/// A run in progress.
pub(super) struct Run<'r> {
    pub mirror: &'r Arc<Mirror>,
    pub client: TenantClient,
    pub target: &'r Target,
    pub resource: &'static Resource,
    pub request: &'r RunRequest,
    pub hold: HoldRules,
    pub observer: &'r dyn Observer,
    pub report: &'r mut RunReport,
    /// Pages are asked for with the definition's size divided by this: it doubles when Graph refuses a size.
    pub page_divisor: u32,
}

/// How following a chain ended.
pub(super) enum End {
    Complete,
    Held,
    /// A sweep is held and was looked at lately.
    Left,
    Stopped,
    Circle(String),
    Failed(GraphError),
}

impl Run<'_> {
    fn extra(&self) -> &[String] {
        self.target.extra(self.resource.name())
    }

    /// The row of this run's checkpoint.
    pub(super) fn key(&self) -> &'static str {
        match self.request.mode {
            Mode::Reconcile => self.resource.table.reconcile_key,
            _ => self.resource.name(),
        }
    }

    /// The first query of a full round.
    fn first_query(&self, selection: &str) -> String {
        match self.resource.definition.source {
            Source::Delta(path) => format!("{path}?$select={selection}"),
            Source::List { path, top } => {
                let select = self.resource.definition.selects.then(|| format!("$select={selection}"));
                let top = top.map(|top| format!("$top={}", (top / self.page_divisor).max(1)));
                let options: Vec<String> = select.into_iter().chain(top).collect();
                if options.is_empty() { path.to_owned() } else { format!("{path}?{}", options.join("&")) }
            }
            Source::Log(log) => log.path.to_owned(),
        }
    }

    pub async fn go(&mut self) -> Result<(), MirrorError> {
        let (name, key) = (self.resource.name(), self.key());
        let mut checkpoint = blocking(self.mirror, move |mirror| mirror.checkpoint(key)).await?;
        if resources::is_missing(name, self.target.cloud) {
            return self.not_offered(checkpoint).await;
        }
        checkpoint.last_attempt_at = Some(now());
        let mut refusals = 0;
        loop {
            let end = match self.resource.definition.source {
                Source::Log(log) => self.log_round(log).await?,
                _ => self.round(&mut checkpoint).await?,
            };
            let error = match end {
                End::Failed(error) => error,
                end => return self.finish(end, checkpoint).await,
            };
            match error.refusal().map(|refusal| refusal.kind) {
                // Permissions may have been granted since the token was issued.
                Some(RefusalKind::Permission) if refusals == 0 => self.client.forget_token().await,
                // Licensed tenants are refused now and then, and have the answer a moment later.
                Some(RefusalKind::Licence) if refusals < LICENCE_RETRIES => {
                    tokio::time::sleep(LICENCE_PAUSE.mul_f64(0.5 + fastrand::f64())).await;
                }
                _ if error.is_page_size_refusal() && self.page_divisor < SMALLEST_PAGE => self.page_divisor *= 2,
                _ => return self.finish(End::Failed(error), checkpoint).await,
            }
            refusals += 1;
            if self.request.cancel.is_cancelled() {
                return self.finish(End::Stopped, checkpoint).await;
            }
        }
    }

    /// One round of a delta query or a listing, started over where that can help.
    async fn round(&mut self, checkpoint: &mut Checkpoint) -> Result<End, MirrorError> {
        let name = self.resource.name();
        let selection = self.resource.selection(self.extra(), self.target.cloud);
        let trigger = self.request.trigger;
        let first = plan(checkpoint, &selection, self.resource.is_delta(), self.request.mode, trigger, crate::clock::now());
        if first == Plan::Leave {
            return Ok(End::Left);
        }
        if self.request.mode == Mode::Reconcile && checkpoint.baseline_at.is_none() {
            self.report.message = Some("nothing to reconcile yet: the first sync is not complete".into());
            return Ok(End::Complete);
        }
        let mut next = self.begin(first, checkpoint, &selection).await?;
        for restarts in 0.. {
            let end = match next {
                Ok(link) => self.follow(link, checkpoint).await?,
                Err(error) => End::Failed(error),
            };
            let error = match end {
                End::Failed(error) if restarts < RESTARTS => error,
                end => return Ok(end),
            };
            let Some(again) = restart(&error, checkpoint, self.resource.is_delta()) else {
                return Ok(End::Failed(error));
            };
            tracing::info!(tenant = self.target.name, resource = name, %error, "starting the round over");
            next = match error.sync_state_lost().flatten() {
                // Microsoft says where to start; it is followed when it asks for the same properties as we do.
                Some(link) if matches!(again, Plan::Full { .. }) && link.query_contains(&format!("$select={selection}")) => {
                    let link = link.clone();
                    self.begin(again, checkpoint, &selection).await?.map(|_| link)
                }
                _ => self.begin(again, checkpoint, &selection).await?,
            };
        }
        Ok(End::Stopped)
    }

    /// Puts the checkpoint at the start of what is planned and gives the first link. The outer error is the file's.
    async fn begin(&mut self, plan: Plan, checkpoint: &mut Checkpoint, selection: &str) -> Result<Result<Link, GraphError>, MirrorError> {
        let key = self.key();
        let link = match plan {
            Plan::Continue { link, mode } => {
                self.report.mode = if self.request.mode == Mode::Reconcile { Mode::Reconcile } else { mode };
                self.client.resume(&link)
            }
            Plan::Incremental { link } => {
                self.report.mode = Mode::Incremental;
                checkpoint.phase = Phase::Incremental;
                checkpoint.phase_reason = None;
                checkpoint.next_link = None;
                checkpoint.phase_started_at = Some(now());
                self.client.resume(&link)
            }
            // Its number was given when it began, together with the live round's: starting over keeps both.
            Plan::Full { .. } if self.request.mode == Mode::Reconcile => {
                self.report.mode = Mode::Reconcile;
                checkpoint.next_link = None;
                checkpoint.selection = Some(selection.to_owned());
                let stored = checkpoint.clone();
                blocking(self.mirror, move |mirror| mirror.store_checkpoint(key, &stored)).await?;
                self.client.link(&self.first_query(selection))
            }
            Plan::Full { reason } => {
                self.report.mode = Mode::Full;
                let going_on = checkpoint.phase == Phase::Full && checkpoint.phase_reason.as_deref() == Some(reason);
                checkpoint.attempts = if going_on { checkpoint.attempts + 1 } else { 1 };
                checkpoint.round += 1;
                checkpoint.phase = Phase::Full;
                checkpoint.phase_reason = Some(reason.into());
                checkpoint.phase_started_at = Some(now());
                checkpoint.next_link = None;
                checkpoint.selection = Some(selection.to_owned());
                if reason == "expired" {
                    // Dead: it would only be refused again.
                    checkpoint.delta_link = None;
                }
                let stored = checkpoint.clone();
                blocking(self.mirror, move |mirror| mirror.begin_round(key, &stored)).await?;
                self.client.link(&self.first_query(selection))
            }
            Plan::Leave => unreachable_plan(),
        };
        self.report.reason = checkpoint.phase_reason.clone();
        Ok(link)
    }

    /// Follows the chain from `link` to its end. Pages are fetched ahead while others are stored; those that have arrived meanwhile are
    /// stored together, so a slow network costs a transaction a page and a fast one is not held up by the disk.
    async fn follow(&mut self, link: Link, checkpoint: &mut Checkpoint) -> Result<End, MirrorError> {
        let mut circles = Circles::default();
        let mut chain = self.chain(link);
        loop {
            let first = tokio::select! {
                page = chain.next() => page,
                () = self.request.cancel.cancelled() => return Ok(End::Stopped),
                () = self.patience() => return Ok(End::Failed(GraphError::stalled(STALL))),
            };
            let (mut pages, mut bytes, mut failed) = (Vec::new(), 0, None);
            let mut came = Some(first);
            while let Some(page) = came.take() {
                match page {
                    Ok(page) => {
                        self.report.spent(page.stats());
                        if let Some(circle) = circles.note(page.items()) {
                            return Ok(End::Circle(circle));
                        }
                        bytes += page.bytes();
                        let last = page.next().is_none();
                        pages.push(page);
                        if !last && pages.len() < PAGES_TOGETHER && bytes < BYTES_TOGETHER {
                            came = chain.arrived();
                        }
                    }
                    Err(error) => {
                        self.report.spent(error.stats());
                        failed = Some(error);
                    }
                }
            }
            let complete = pages.last().is_some_and(|page| page.next().is_none());
            if !pages.is_empty() {
                let began = Instant::now();
                let applied = self.store(pages, checkpoint).await?;
                if began.elapsed() > SLOW_PAGE {
                    tracing::warn!(
                        tenant = self.target.name,
                        resource = self.resource.name(),
                        seconds = began.elapsed().as_secs(),
                        "storing a page took long: is the disk slow, or does another program hold the file?"
                    );
                }
                self.observer.page(self.report);
                if complete {
                    let held = applied.held.is_some();
                    self.report.held = applied.held;
                    return Ok(if held { End::Held } else { End::Complete });
                }
            }
            if let Some(error) = failed {
                return Ok(End::Failed(error));
            }
            if self.request.cancel.is_cancelled() {
                return Ok(End::Stopped);
            }
        }
    }

    /// A scheduled run that gets nothing for so long makes room for others; the next one goes on. A command waits as long as it was told.
    pub(super) async fn patience(&self) {
        match self.request.trigger {
            Trigger::Schedule => tokio::time::sleep(STALL).await,
            Trigger::Command => std::future::pending().await,
        }
    }

    /// Starts fetching a chain.
    fn chain(&self, link: Link) -> Chain {
        Chain::start(self.client.clone(), link, self.resource.definition.workload, self.request.trigger.priority())
    }

    /// Stores pages that follow one another, with the cursor that follows the last; `checkpoint` becomes what was stored.
    async fn store(&mut self, pages: Vec<Page>, checkpoint: &mut Checkpoint) -> Result<Applied, MirrorError> {
        let (count, bytes) = (pages.len() as u64, pages.iter().map(|page| page.bytes() as u64).sum::<u64>());
        let (next_link, delta) = pages.last().map_or((None, None), |page| (page.next(), page.delta()));
        let (resource, key, extra) = (self.resource, self.key(), self.extra().to_vec());
        let beside_since = (self.request.mode == Mode::Reconcile).then(|| checkpoint.phase_started_at.clone().unwrap_or_default());
        let rules = (!self.request.accept_sweep).then_some(self.hold);
        let full = checkpoint.phase == Phase::Full;
        let at = now();
        let last = next_link.is_none();
        let next = Checkpoint { next_link: next_link.map(|link| link.expose().to_owned()), ..checkpoint.clone() };
        let done = self.completed(checkpoint, delta, full, &at);
        let held = abandoned(checkpoint);
        let round = checkpoint.round;
        let (applied, skipped, stored) = blocking(self.mirror, move |mirror| {
            let mut items = Vec::with_capacity(pages.iter().map(Page::len).sum());
            let mut skipped = Vec::new();
            for json in pages.iter().flat_map(Page::items) {
                match decode(resource, &extra, json) {
                    Ok(item) => items.push(item),
                    Err(error) => skipped.push(error),
                }
            }
            if full {
                // Neighbours in the trees that are in order of ids are written together. What came twice stays in its order.
                items.sort_by(|a, b| a.id.cmp(&b.id));
            }
            let unread: Vec<&str> = skipped.iter().map(|error| error.id.as_str()).collect();
            let ending = last.then_some(Ending { done: &done, held: &held, rules });
            let applied = mirror.apply(mirror::Page {
                resource: key,
                table: resource.table,
                round,
                full,
                beside_since: beside_since.as_deref(),
                items,
                unread: &unread,
                next: &next,
                ending,
                now: &at,
            })?;
            let stored = match (last, &applied.held) {
                (false, _) => next,
                (true, None) => done,
                (true, Some(_)) => held,
            };
            Ok((applied, skipped, stored))
        })
        .await?;
        *checkpoint = stored;
        let report = &mut *self.report;
        report.pages += count;
        report.bytes += bytes;
        report.rows += applied.rows + skipped.len() as u64;
        report.writes += applied.writes;
        report.changes += applied.changes;
        report.swept += applied.swept;
        report.skipped += skipped.len() as u64;
        if let Some(error) = skipped.first() {
            tracing::warn!(tenant = self.target.name, %error, skipped = skipped.len(), "objects were skipped");
            report.message.get_or_insert_with(|| format!("skipped: {error}"));
        }
        Ok(applied)
    }
}

/// Whether a round beside the live token goes on where it was interrupted; otherwise it is begun here, under the live lock.
pub(super) async fn begin_beside(mirror: &Arc<Mirror>, target: &Target, resource: &'static Resource) -> Result<(), MirrorError> {
    let selection = resource.selection(target.extra(resource.name()), target.cloud);
    let (name, key) = (resource.name(), resource.table.reconcile_key);
    blocking(mirror, move |mirror| {
        let before = mirror.checkpoint(key)?;
        let at = crate::clock::now();
        if matches!(plan(&before, &selection, true, Mode::Reconcile, Trigger::Command, at), Plan::Continue { .. }) {
            return Ok(());
        }
        let fresh = Checkpoint {
            phase: Phase::Full,
            phase_reason: Some("reconcile".into()),
            phase_started_at: Some(now()),
            next_link: None,
            ..before
        };
        mirror.begin_beside(name, key, fresh).map(|_| ())
    })
    .await
}

/// `Leave` is answered before anything begins; should that ever change, the run fails with a message instead of a panic.
fn unreachable_plan() -> Result<Link, GraphError> {
    Err(GraphError::internal("nothing was planned"))
}
