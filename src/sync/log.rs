//! Logs: read in time windows, the last day first, then from the oldest that is kept forward; late and amended events are found by reading
//! a little of the past again. The state is what times are read, never a page token. Knows no SQL.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::circles::Circles;
use super::engine::blocking;
use super::run::{End, Run, STALL};
use super::types::{Mode, Trigger};
use super::windows::{self, Effort, begin, close, first, next_length};
use crate::graph::{Call, GraphError, Link, Page, Priority};
use crate::mirror::{EventPage, LogProgress, MirrorError, format_time, now};
use crate::resources::{LogSource, Stream, decode_event};

/// A backfill looks at the present this often.
const PRESENT_EVERY: Duration = Duration::from_secs(5 * 60);
/// How long a scheduled run goes on with a backfill before others get its place; the daemon starts it again at once.
const SLICE: Duration = Duration::from_secs(60);
/// Windows that bring nothing, one after the other, before the run gives up.
const VAIN: u32 = 8;
/// Tries of a request for a window that can still be made smaller.
const IMPATIENT: u32 = 2;
/// Rows that one transaction of pruning removes.
const PRUNE_ROWS: u32 = 2000;

/// One query of the log and how far it is read.
struct Reader {
    stream: &'static Stream,
    progress: LogProgress,
}

/// What a window came to.
struct Reached {
    /// Everything from the window's start to here has been read.
    to: Timestamp,
    effort: Effort,
    /// Why it ended before its end.
    error: Option<GraphError>,
}

/// What is read: a round of the present or a part of the backfill.
#[derive(Clone, Copy)]
struct Purpose<'p> {
    backfill: bool,
    /// Graph's time when the round began.
    at: Timestamp,
    late_before: Option<&'p str>,
}

impl Run<'_> {
    /// Brings a log up to date. `Err` is the file's.
    pub(super) async fn log_round(&mut self, log: LogSource) -> Result<End, MirrorError> {
        let name = self.resource.name();
        self.report.mode = self.request.mode;
        let mut at = match self.server_now().await {
            Ok(at) => at,
            Err(error) => return Ok(End::Failed(error)),
        };
        let known = match self.request.mode {
            Mode::Incremental => blocking(self.mirror, move |mirror| mirror.log_progress(name)).await?,
            // From scratch: every time that is kept is read again; nothing is ever swept.
            Mode::Full | Mode::Reconcile => Vec::new(),
        };
        let mut readers: Vec<Reader> = Vec::new();
        for stream in self.resource.streams(&self.target.event_types) {
            let progress = known.iter().find(|progress| progress.stream == stream.name).cloned();
            let progress = progress.unwrap_or_else(|| first(stream.name, at, self.oldest(at)));
            readers.push(Reader { stream, progress });
        }
        match self.present_of_all(log, &mut readers, at).await? {
            End::Complete => {}
            end => return Ok(end),
        }
        self.prune(at).await?;
        let (began, mut looked) = (Instant::now(), Instant::now());
        while let Some(reader) = readers.iter_mut().find(|reader| reader.progress.backfill_to.is_some()) {
            self.report.backfill_share = reader.progress.backfill_share();
            if !self.request.backfill || (self.request.trigger == Trigger::Schedule && began.elapsed() > SLICE) {
                self.report.backfill_left = true;
                return Ok(End::Complete);
            }
            match self.backfill_window(log, reader, at).await? {
                End::Complete => {}
                end => return Ok(end),
            }
            if looked.elapsed() > PRESENT_EVERY {
                looked = Instant::now();
                at = match self.server_now().await {
                    Ok(at) => at,
                    Err(error) => return Ok(End::Failed(error)),
                };
                match self.present_of_all(log, &mut readers, at).await? {
                    End::Complete => {}
                    end => return Ok(end),
                }
            }
        }
        self.report.backfill_share = None;
        Ok(End::Complete)
    }

    /// Reads the present of every query of the log, and says so in the checkpoint.
    async fn present_of_all(&mut self, log: LogSource, readers: &mut [Reader], at: Timestamp) -> Result<End, MirrorError> {
        for reader in readers {
            match self.present(log, reader, at).await? {
                End::Complete => {}
                end => return Ok(end),
            }
        }
        self.present_is_read().await?;
        Ok(End::Complete)
    }

    /// Graph's time: windows are cut by the clock that stamps the events, so a wrong clock here loses nothing.
    async fn server_now(&self) -> Result<Timestamp, GraphError> {
        let now = self.client.server_now().await?;
        Timestamp::try_from(now).map_err(|_| GraphError::internal("the time is out of range"))
    }

    /// Older events are neither kept by Entra nor wanted here.
    fn oldest(&self, at: Timestamp) -> Timestamp {
        at - windows::RETENTION.min(self.keep())
    }

    fn keep(&self) -> SignedDuration {
        SignedDuration::try_from(self.target.keep(self.resource.name())).unwrap_or(SignedDuration::MAX)
    }

    /// Reads what is new since the last round, a little of the past again, and once a day the last two days.
    async fn present(&mut self, log: LogSource, reader: &mut Reader, at: Timestamp) -> Result<End, MirrorError> {
        let overlap = SignedDuration::try_from(self.target.overlap).unwrap_or(SignedDuration::ZERO);
        let (mut from, sweep) = begin(&reader.progress, at, overlap, self.oldest(at));
        let before = reader.progress.watermark.clone();
        // What a first round reads is not late.
        let late_before = (before != reader.progress.recent_from).then_some(before.as_str());
        let mut vain = 0;
        while from < at {
            let purpose = Purpose { backfill: false, at, late_before };
            let to = windows::end(from, reader.progress.window_seconds, at);
            let reached = match self.window(log, reader, from, to, purpose).await? {
                Ok(reached) => reached,
                Err(end) => return Ok(end),
            };
            let shortest = reader.progress.window_seconds <= windows::SHORTEST;
            reader.progress.window_seconds = next_length(reader.progress.window_seconds, reached.effort);
            let to = reached.to;
            match self.worth(reached, from, shortest, &mut vain) {
                Some(end) => return Ok(end),
                None => from = to,
            }
        }
        if sweep {
            reader.progress.swept_at = format_time(at);
        }
        self.store_progress(&reader.progress).await?;
        Ok(End::Complete)
    }

    /// Reads the next window of the backfill.
    async fn backfill_window(&mut self, log: LogSource, reader: &mut Reader, at: Timestamp) -> Result<End, MirrorError> {
        let mut vain = 0;
        loop {
            let begin = reader.progress.backfill_to.as_deref().and_then(windows::parse).unwrap_or_else(|| self.oldest(at));
            let goal = windows::parse(&reader.progress.recent_from).unwrap_or(at);
            // What has aged out meanwhile is not asked for any more.
            let from = begin.max(self.oldest(at)).min(goal);
            let to = windows::end(from, reader.progress.backfill_window_seconds, goal);
            let purpose = Purpose { backfill: true, at, late_before: None };
            let reached = match self.window(log, reader, from, to, purpose).await? {
                Ok(reached) => reached,
                Err(end) => return Ok(end),
            };
            let shortest = reader.progress.backfill_window_seconds <= windows::SHORTEST;
            reader.progress.backfill_window_seconds = next_length(reader.progress.backfill_window_seconds, reached.effort);
            self.store_progress(&reader.progress).await?;
            let to = reached.to;
            if let Some(end) = self.worth(reached, from, shortest, &mut vain) {
                return Ok(end);
            }
            if to > from || from >= goal {
                return Ok(End::Complete);
            }
        }
    }

    /// Whether to go on after a window; an end says why not.
    fn worth(&self, reached: Reached, from: Timestamp, shortest: bool, vain: &mut u32) -> Option<End> {
        let Some(error) = reached.error else {
            *vain = 0;
            return None;
        };
        *vain = if reached.to > from { 0 } else { *vain + 1 };
        tracing::debug!(tenant = self.target.name, resource = self.resource.name(), %error, vain = *vain, "a window ended early");
        (*vain >= VAIN || (shortest && *vain >= 3)).then_some(End::Failed(error))
    }

    /// Reads one window. Events come in the order of their time, so what has been read up to the last page's end is closed with that page.
    async fn window(
        &mut self,
        log: LogSource,
        reader: &mut Reader,
        from: Timestamp,
        to: Timestamp,
        purpose: Purpose<'_>,
    ) -> Result<Result<Reached, End>, MirrorError> {
        let at_start = reader.progress.clone();
        let patient = to.duration_since(from).as_secs() <= windows::SHORTEST;
        let link = match self.client.link_in(reader.stream.version, &self.window_query(log, reader.stream, from, to)) {
            Ok(link) => link,
            Err(error) => return Ok(Err(End::Failed(error))),
        };
        let mut circles = Circles::default();
        let (mut reached, mut newest, mut in_order) = (from, from, true);
        let mut effort = Effort::default();
        let mut fetch = self.fetch_events(link, patient, purpose.backfill);
        loop {
            let page = tokio::select! {
                page = &mut fetch => page,
                () = self.request.cancel.cancelled() => {
                    fetch.abort();
                    return Ok(Err(End::Stopped));
                }
                () = self.patience() => {
                    fetch.abort();
                    return Ok(Err(End::Failed(GraphError::stalled(STALL))));
                }
            };
            let page = match page {
                Ok(Ok(page)) => page,
                Ok(Err(error)) => {
                    self.report.spent(error.stats());
                    effort.throttled |= error.stats().throttled > 0;
                    // Waiting as long again for a smaller window would be waiting longer than was told.
                    if error.is_gave_up()
                        || !(error.page_token_lost() || error.is_transient() || error.status() == Some(404) && effort.pages > 0)
                    {
                        return Ok(Err(End::Failed(error)));
                    }
                    effort.failed = true;
                    return Ok(Ok(Reached { to: reached, effort, error: Some(error) }));
                }
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            };
            self.report.spent(page.stats());
            effort.pages += 1;
            effort.throttled |= page.stats().throttled > 0;
            if let Some(circle) = circles.note(page.items()) {
                return Ok(Err(End::Circle(circle)));
            }
            let ahead = page.next().cloned();
            let cut = ahead.is_some() && effort.pages >= windows::MANY_PAGES && in_order;
            let fetching = ahead.clone().filter(|_| !cut).map(|link| self.fetch_events(link, patient, purpose.backfill));
            let items;
            (items, newest) = self.read_events(&page, newest, &mut in_order);
            reached = match (&ahead, in_order) {
                (None, _) => to,
                (Some(_), true) => newest.min(to).max(from),
                // Not sorted as asked: nothing is closed before the end of the chain.
                (Some(_), false) => from,
            };
            if in_order || ahead.is_none() {
                close(&mut reader.progress, reached, purpose.at, purpose.backfill);
            } else {
                (reader.progress.watermark, reader.progress.backfill_to) = (at_start.watermark.clone(), at_start.backfill_to.clone());
            }
            let stored = self.store_events(page, items, reader, purpose).await;
            if let (Err(_), Some(fetching)) = (&stored, &fetching) {
                fetching.abort();
            }
            stored?;
            self.observer.page(self.report);
            // Cut within a page's worth of events at one instant: the chain must go on.
            let at_one_instant = ahead.filter(|_| cut && reached <= from);
            let going_on = fetching.or_else(|| at_one_instant.map(|link| self.fetch_events(link, patient, purpose.backfill)));
            let Some(going_on) = going_on else { return Ok(Ok(Reached { to: reached, effort, error: None })) };
            fetch = going_on;
            if self.request.cancel.is_cancelled() {
                fetch.abort();
                return Ok(Err(End::Stopped));
            }
        }
    }

    fn window_query(&self, log: LogSource, stream: &Stream, from: Timestamp, to: Timestamp) -> String {
        let LogSource { path, time, .. } = log;
        let top = (log.top / self.page_divisor).max(1);
        let filter = stream.filter.map(|filter| format!(" and {filter}")).unwrap_or_default();
        let (from, to) = (format_time(from), format_time(to));
        // Both ends belong to a window: an event at an edge comes twice and is stored once.
        format!("{path}?$filter={time} ge {from} and {time} le {to}{filter}&$orderby={time} asc&$top={top}").replace(' ', "%20")
    }

    fn fetch_events(&self, link: Link, patient: bool, backfill: bool) -> tokio::task::JoinHandle<Result<Page, GraphError>> {
        let client = self.client.clone();
        let workload = self.resource.definition.workload;
        let priority = if backfill { Priority::Backfill } else { self.request.trigger.priority() };
        let max_attempts = (!patient).then_some(IMPATIENT);
        tokio::spawn(async move { client.page(Call { link: &link, workload, priority, eventual: false, max_attempts }).await })
    }

    /// Decodes a page's events; the newest time so far. What cannot be read is told.
    fn read_events(&mut self, page: &Page, newest: Timestamp, in_order: &mut bool) -> (Vec<crate::mirror::Item<'static>>, Timestamp) {
        let resource = self.resource;
        let time = resource.table.time_column();
        let mut items = Vec::with_capacity(page.len());
        let mut last = newest;
        for json in page.items() {
            match decode_event(resource, json) {
                Ok(event) => {
                    if let Some(misfit) = event.misfit {
                        tracing::warn!(tenant = self.target.name, %misfit, "a value did not fit its column; it stands in raw");
                        self.report
                            .message
                            .get_or_insert_with(|| format!("a value did not fit its column and stands in raw only: {misfit}"));
                    }
                    let happened = time.and_then(|time| event.item.values[time].as_ref()?.as_text()).and_then(windows::parse);
                    if let Some(happened) = happened {
                        *in_order &= happened >= last;
                        last = last.max(happened);
                    }
                    items.push(event.item);
                }
                Err(error) => {
                    tracing::warn!(tenant = self.target.name, %error, "an event was skipped");
                    self.report.skipped += 1;
                    self.report.message.get_or_insert_with(|| format!("skipped: {error}"));
                }
            }
        }
        (items, last)
    }

    async fn store_events(
        &mut self,
        page: Page,
        items: Vec<crate::mirror::Item<'static>>,
        reader: &mut Reader,
        purpose: Purpose<'_>,
    ) -> Result<(), MirrorError> {
        let resource = self.resource;
        let progress = reader.progress.clone();
        let late_before = purpose.late_before.map(str::to_owned);
        let applied = blocking(self.mirror, move |mirror| {
            mirror.apply_events(EventPage {
                resource: resource.name(),
                table: resource.table,
                items,
                progress: &progress,
                late_before: late_before.as_deref(),
                at: purpose.at,
                now: &now(),
            })
        })
        .await?;
        reader.progress.late.add(&applied.late);
        let report = &mut *self.report;
        report.pages += 1;
        report.bytes += page.bytes() as u64;
        report.rows += applied.rows;
        report.writes += applied.writes;
        report.late_by.add(&applied.late);
        report.late = report.late_by.total();
        report.backfill_share = reader.progress.backfill_share();
        Ok(())
    }

    async fn store_progress(&self, progress: &LogProgress) -> Result<(), MirrorError> {
        let (name, progress) = (self.resource.name(), progress.clone());
        blocking(self.mirror, move |mirror| mirror.store_log_progress(name, &progress)).await
    }

    /// Removes what is older than the operator keeps, in small transactions: nobody waits long for any of them.
    async fn prune(&mut self, at: Timestamp) -> Result<(), MirrorError> {
        let table = self.resource.table;
        let Ok(before) = at.checked_sub(self.keep()) else { return Ok(()) };
        let before = format_time(before);
        loop {
            let before = before.clone();
            let removed = blocking(self.mirror, move |mirror| mirror.prune(table, &before, PRUNE_ROWS)).await?;
            self.report.pruned += removed;
            if removed < u64::from(PRUNE_ROWS) || self.request.cancel.is_cancelled() {
                return Ok(());
            }
        }
    }
}
