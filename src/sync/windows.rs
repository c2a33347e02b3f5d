//! Time windows of a log: where reading begins, how long the next window is, what a window closes. Pure arithmetic, no I/O.

use jiff::{SignedDuration, Timestamp};

use crate::mirror::{LogProgress, format_time};

/// What a first run reads before anything older.
pub(super) const RECENT: SignedDuration = SignedDuration::from_hours(24);
/// Events of the last minutes may still be on their way: a window that ends later does not count as complete.
pub(super) const HOLD_BACK: SignedDuration = SignedDuration::from_mins(15);
/// The last two days are read again this often.
const SWEEP_EVERY: SignedDuration = SignedDuration::from_hours(24);
/// How far back that goes at least, and how late an event may come in between to be found.
const SWEEP: SignedDuration = SignedDuration::from_hours(48);
const SWEEP_LATENESS: SignedDuration = SignedDuration::from_hours(24);
/// Entra keeps logs at most this long. <https://learn.microsoft.com/entra/identity/monitoring-health/reference-reports-data-retention>
pub(super) const RETENTION: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A window is never shorter: a service that fails on it fails for another reason.
pub(super) const SHORTEST: i64 = 60;
/// A window that only was throttled is not made shorter than this: each window costs a request.
const SHORTEST_WHEN_THROTTLED: i64 = 3600;
/// A window is never longer.
const LONGEST: i64 = 30 * 24 * 3600;
/// First window of a log. Empty ones cost a request each, so reading starts wide and splits when it must.
const FIRST: i64 = 7 * 24 * 3600;
/// A window with more pages is cut there.
pub(super) const MANY_PAGES: u32 = 20;
/// With so few pages or fewer the next window is longer.
const FEW_PAGES: u32 = 5;

/// Progress of a log that is read for the first time: the last day now, then from `oldest` forward.
pub(super) fn first(stream: &str, now: Timestamp, oldest: Timestamp) -> LogProgress {
    let recent_from = (now - RECENT).max(oldest);
    let backfill = recent_from > oldest;
    LogProgress {
        stream: stream.to_owned(),
        recent_from: format_time(recent_from),
        watermark: format_time(recent_from),
        backfill_from: backfill.then(|| format_time(oldest)),
        backfill_to: backfill.then(|| format_time(oldest)),
        window_seconds: FIRST,
        backfill_window_seconds: FIRST,
        swept_at: format_time(now),
        late: Default::default(),
    }
}

/// Where the next round begins, and whether it reads the last days again.
pub(super) fn begin(progress: &LogProgress, now: Timestamp, overlap: SignedDuration, oldest: Timestamp) -> (Timestamp, bool) {
    // A mark in the future was set by a clock that was wrong: what it says was read cannot have been.
    let ahead = |at: &Timestamp| *at > now;
    let watermark = parse(&progress.watermark).unwrap_or(oldest);
    let distrusted = ahead(&watermark);
    let swept_at = parse(&progress.swept_at).unwrap_or(oldest);
    let mut from = watermark - overlap;
    let since = now.duration_since(swept_at);
    // A clock that was set back makes this negative: sweeping once more costs little.
    let sweep = since >= SWEEP_EVERY || since < SignedDuration::ZERO || distrusted;
    if sweep {
        from = from.min(now - SWEEP).min(swept_at - SWEEP_LATENESS);
    }
    // Nothing before the stretch that was read: the backfill has that, or it is older than Entra keeps.
    let floor = parse(&progress.recent_from).filter(|at| !ahead(at)).unwrap_or(oldest).max(oldest);
    (from.max(floor).min(now), sweep)
}

/// End of a window of this length.
pub(super) fn end(from: Timestamp, seconds: i64, limit: Timestamp) -> Timestamp {
    (from + SignedDuration::from_secs(seconds)).min(limit)
}

/// What reading a window was like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Effort {
    pub pages: u32,
    /// The service failed, timed out or lost its place.
    pub failed: bool,
    pub throttled: bool,
}

/// Length of the next window.
pub(super) fn next_length(seconds: i64, effort: Effort) -> i64 {
    let next = match effort {
        Effort { failed: true, .. } => seconds / 4,
        Effort { pages, .. } if pages >= MANY_PAGES => seconds / 2,
        Effort { throttled: true, .. } if seconds > SHORTEST_WHEN_THROTTLED => (seconds / 2).max(SHORTEST_WHEN_THROTTLED),
        Effort { throttled: true, .. } => seconds,
        Effort { pages, .. } if pages <= FEW_PAGES => seconds.saturating_mul(2),
        _ => seconds,
    };
    next.clamp(SHORTEST, LONGEST)
}

/// Takes note that everything from the window's start to `to` has been read.
pub(super) fn close(progress: &mut LogProgress, to: Timestamp, now: Timestamp, backfill: bool) {
    if !backfill {
        let to = format_time(to.min(now - HOLD_BACK));
        // One in the future comes from a clock that was wrong, and is put back: until then nothing would be told as missing.
        if to > progress.watermark || progress.watermark > format_time(now) {
            progress.watermark = to;
        }
        return;
    }
    let reached = format_time(to);
    if reached < progress.recent_from {
        progress.backfill_to = Some(reached);
    } else if let Some(from) = progress.backfill_from.take() {
        progress.recent_from = from;
        progress.backfill_to = None;
    }
}

pub(super) fn parse(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    const OVERLAP: SignedDuration = SignedDuration::from_mins(60);

    #[test]
    fn a_first_run_takes_the_last_day_and_then_the_oldest_forward() {
        let now = at("2026-11-24T12:00:00Z");
        let mut progress = first("x", now, now - RETENTION);
        assert_eq!(progress.recent_from, "2026-11-23T12:00:00.000Z");
        assert_eq!(begin(&progress, now, OVERLAP, now - RETENTION), (at("2026-11-23T12:00:00Z"), false));
        close(&mut progress, now, now, false);
        assert_eq!(progress.watermark, "2026-11-24T11:45:00.000Z");
        close(&mut progress, at("2026-11-01T00:00:00Z"), now, true);
        assert_eq!(progress.backfill_to.as_deref(), Some("2026-11-01T00:00:00.000Z"));
        close(&mut progress, at("2026-11-23T12:00:00Z"), now, true);
        assert_eq!((progress.backfill_from, progress.backfill_to), (None, None));
        assert_eq!(progress.recent_from, "2026-10-25T12:00:00.000Z");
    }

    #[test]
    fn a_short_retention_needs_no_backfill() {
        let now = at("2026-11-24T12:00:00Z");
        let progress = first("", now, now - SignedDuration::from_hours(10));
        assert_eq!((progress.backfill_from, progress.recent_from.as_str()), (None, "2026-11-24T02:00:00.000Z"));
    }

    #[test]
    fn a_round_reads_an_overlap_and_once_a_day_two_days() {
        let now = at("2026-11-24T12:00:00Z");
        let progress = LogProgress {
            recent_from: "2026-10-25T12:00:00.000Z".into(),
            watermark: "2026-11-24T11:40:00.000Z".into(),
            swept_at: "2026-11-24T00:00:00.000Z".into(),
            ..first("", now, now - RETENTION)
        };
        assert_eq!(begin(&progress, now, OVERLAP, now - RETENTION), (at("2026-11-24T10:40:00Z"), false));
        let due = LogProgress { swept_at: "2026-11-23T12:00:00.000Z".into(), ..progress.clone() };
        assert_eq!(begin(&due, now, OVERLAP, now - RETENTION), (at("2026-11-22T12:00:00Z"), true));
        // After a week off, what came late before it is looked for too.
        let old = LogProgress { swept_at: "2026-11-17T12:00:00.000Z".into(), watermark: "2026-11-17T12:00:00.000Z".into(), ..progress };
        assert_eq!(begin(&old, now, OVERLAP, now - RETENTION), (at("2026-11-16T12:00:00Z"), true));
    }

    #[test]
    fn windows_adapt() {
        let effort = |pages, failed, throttled| Effort { pages, failed, throttled };
        assert_eq!(next_length(4000, effort(1, false, false)), 8000);
        assert_eq!(next_length(4000, effort(12, false, false)), 4000);
        assert_eq!(next_length(4000, effort(20, false, false)), 2000);
        assert_eq!(next_length(4000, effort(0, true, false)), 1000);
        assert_eq!(next_length(4000, effort(1, false, true)), 3600);
        assert_eq!(next_length(100, effort(1, true, false)), SHORTEST);
        assert_eq!(next_length(LONGEST, effort(0, false, false)), LONGEST);
    }

    #[test]
    fn a_watermark_never_goes_back() {
        let now = at("2026-11-24T12:00:00Z");
        let mut progress = first("", now, now - RETENTION);
        close(&mut progress, now, now, false);
        let before = progress.watermark.clone();
        close(&mut progress, at("2026-11-24T01:00:00Z"), now, false);
        assert_eq!(progress.watermark, before);
    }

    #[test]
    fn a_clock_that_jumped_loses_no_events() {
        let now = at("2026-11-24T12:00:00Z");
        let good = LogProgress {
            recent_from: "2026-10-25T12:00:00.000Z".into(),
            watermark: "2026-11-24T11:40:00.000Z".into(),
            swept_at: "2026-11-24T00:00:00.000Z".into(),
            ..first("", now, now - RETENTION)
        };
        // Half a day ahead, where nothing was swept, and back again: the last two days are read, and the mark is put back.
        let mut ahead = LogProgress { watermark: "2026-11-24T23:40:00.000Z".into(), ..good.clone() };
        assert_eq!(begin(&ahead, now, OVERLAP, now - RETENTION), (at("2026-11-22T12:00:00Z"), true));
        close(&mut ahead, now, now, false);
        assert_eq!(ahead.watermark, "2026-11-24T11:45:00.000Z");
        // A week ahead, where it was swept too.
        let week =
            LogProgress { watermark: "2026-12-01T11:40:00.000Z".into(), swept_at: "2026-12-01T00:00:00.000Z".into(), ..good.clone() };
        assert_eq!(begin(&week, now, OVERLAP, now - RETENTION), (at("2026-11-22T12:00:00Z"), true));
        // The very first run was a week ahead.
        let born = LogProgress { recent_from: "2026-11-30T12:00:00.000Z".into(), ..week };
        assert_eq!(begin(&born, now, OVERLAP, now - RETENTION).0, at("2026-11-22T12:00:00Z"));
        // Back by a month: nothing before that is marked as read wrongly, and nothing is asked from the future.
        let then = at("2026-10-24T12:00:00Z");
        let (from, sweep) = begin(&good, then, OVERLAP, then - RETENTION);
        assert!(from <= then - SWEEP && sweep, "{from}");
        // Ahead by a year: as far back as Graph keeps, no further.
        let later = at("2027-11-24T12:00:00Z");
        assert_eq!(begin(&good, later, OVERLAP, later - RETENTION), (later - RETENTION, true));
    }
}
