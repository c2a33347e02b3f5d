//! One lane: who waits in it, how many are under way, whether Graph asked it to stop. Decides nothing about other lanes.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::call::{Priority, Workload};
use super::super::retry;
use super::meter::Meter;
use super::status::{Counts, Waiting};
use super::turns::{CLASSES, Turns, class};

/// A lane that throttling left a trace in is remembered for this long after its last use.
const REMEMBER: Duration = Duration::from_secs(15 * 60);

/// A stop that is longer than this is told at info.
const TELL: Duration = Duration::from_secs(5);

/// App, tenant and workload: Graph keeps a budget for each.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in super::super) struct LaneKey {
    pub client_id: String,
    pub tenant_id: String,
    pub workload: Workload,
}

/// Leave to send.
#[derive(Debug)]
pub(super) struct Grant {
    pub at: Instant,
    pub cost: u32,
    /// The request shows whether the origin is back.
    pub probe: bool,
    pub waited: Duration,
}

/// A request that waits.
#[derive(Debug)]
pub(super) struct Waiter {
    pub sender: oneshot::Sender<Grant>,
    pub cost: u32,
    pub since: Instant,
}

/// A stop that Graph asked for.
#[derive(Debug, Default)]
pub(super) struct Pause {
    until: Option<Instant>,
    reason: String,
    /// Throttled answers in a row, those to requests of before the last one not counted.
    in_a_row: u32,
    /// When the last of them came, and the first.
    at: Option<Instant>,
    since: Option<Instant>,
    /// It is long enough to be told, and was.
    told: bool,
}

/// A stop, as it was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Stop {
    /// From now.
    pub wait: Duration,
    /// The first that is heard of it: answers to other requests that were under way follow.
    pub news: bool,
    /// To be told: it is long, and nothing was said of it yet.
    pub tell: bool,
}

impl Pause {
    /// A throttled answer to a request that was sent at `sent`.
    pub fn throttled(&mut self, asked: Option<Duration>, sent: Instant, status: u16, now: Instant) -> Stop {
        let news = self.at.is_none_or(|at| sent > at);
        if news {
            self.in_a_row = self.in_a_row.saturating_add(1);
            self.at = Some(now);
        }
        self.since.get_or_insert(now);
        let wait = retry::throttle_wait(asked, self.in_a_row, fastrand::f64());
        let until = now + wait;
        if self.until.is_none_or(|standing| standing < until) {
            self.until = Some(until);
            self.reason = match asked {
                Some(asked) if asked == wait => format!("Graph answered {status} and asked for {} s", round(asked)),
                Some(asked) => {
                    format!("Graph answered {status} {} times in a row and asks for {} s only: backing off", self.in_a_row, round(asked))
                }
                None => format!("Graph answered {status} without saying for how long: backing off"),
            };
        }
        let until = self.until.map_or(wait, |until| until.saturating_duration_since(now));
        // Once for all refusals in a row: one that asks for half a minute again and again is one stop.
        let tell = until > TELL && !self.told;
        self.told |= tell;
        Stop { wait: until, news, tell }
    }

    /// An answer that did not ask to wait, to a request that was sent at `sent`. Where it ended a stop that was told: how long that was.
    pub fn answered(&mut self, sent: Instant, now: Instant) -> Option<Duration> {
        if self.in_a_row == 0 || self.at.is_some_and(|at| sent < at) {
            return None;
        }
        self.in_a_row = 0;
        let since = self.since.take();
        let told = std::mem::take(&mut self.told);
        since.filter(|_| told).map(|since| now.saturating_duration_since(since))
    }

    /// Until when, when it lasts.
    pub fn until(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| *until > now)
    }

    /// Graph's last word was to wait: one request shows whether that is over before the others follow.
    pub fn is_tentative(&self) -> bool {
        self.in_a_row > 0
    }

    /// Since when Graph has asked for nothing but to wait, and its last reason.
    pub fn since(&self) -> Option<(Instant, &str)> {
        self.since.map(|since| (since, self.reason.as_str()))
    }

    pub fn describe(&self, now: Instant) -> Option<(Duration, &str)> {
        self.until(now).map(|until| (until.saturating_duration_since(now), self.reason.as_str()))
    }
}

fn round(wait: Duration) -> f64 {
    (wait.as_secs_f64() * 1000.0).round() / 1000.0
}

/// A lane.
#[derive(Debug)]
pub(super) struct Lane {
    pub key: LaneKey,
    /// The tenant's name, for people.
    pub tenant: String,
    /// What it shares with other lanes, and where its requests go.
    pub shared: u64,
    pub origin: usize,
    waiting: [BTreeMap<u64, Waiter>; CLASSES],
    pub turns: Turns,
    pub in_flight: usize,
    pub pause: Pause,
    pub meter: Meter,
    pub counts: Counts,
    /// In line for the shared budget, by class, and for the origin.
    pub in_line: [bool; CLASSES],
    pub parked: bool,
    pub timer: Option<Instant>,
    used_at: Instant,
}

impl Lane {
    pub fn new(key: LaneKey, tenant: &str, shared: u64, origin: usize, meter: Meter, now: Instant) -> Lane {
        Lane {
            key,
            tenant: tenant.to_owned(),
            shared,
            origin,
            waiting: Default::default(),
            turns: Turns::default(),
            in_flight: 0,
            pause: Pause::default(),
            meter,
            counts: Counts::default(),
            in_line: [false; CLASSES],
            parked: false,
            timer: None,
            used_at: now,
        }
    }

    pub fn wait(&mut self, priority: Priority, ticket: u64, waiter: Waiter) {
        self.used_at = waiter.since;
        self.waiting[class(priority)].insert(ticket, waiter);
    }

    /// A request that does not wait any more; `false` when it was let go already.
    pub fn leave(&mut self, priority: Priority, ticket: u64) -> bool {
        self.waiting[class(priority)].remove(&ticket).is_some()
    }

    pub fn waits(&self) -> [bool; CLASSES] {
        self.waiting.each_ref().map(|class| !class.is_empty())
    }

    pub fn first(&self, class: usize) -> Option<&Waiter> {
        self.waiting[class].first_key_value().map(|(_, waiter)| waiter)
    }

    /// Lets the first of a class go.
    pub fn pop(&mut self, class: usize, now: Instant) -> Option<Waiter> {
        let waits = self.waits();
        let (_, waiter) = self.waiting[class].pop_first()?;
        self.turns.went(class, waits);
        self.in_flight += 1;
        self.meter.take(f64::from(waiter.cost), now);
        self.counts.requests += 1;
        self.counts.waited_seconds += now.saturating_duration_since(waiter.since).as_secs_f64();
        self.used_at = now;
        Some(waiter)
    }

    /// Whether it can be forgotten: nothing uses it, and what was sent and learnt does not matter any more.
    pub fn is_over(&mut self, now: Instant) -> bool {
        self.in_flight == 0
            && !self.is_waiting()
            && self.pause.until(now).is_none()
            && self.meter.is_clear(now)
            && (self.used_at + REMEMBER <= now || !(self.meter.has_learnt() || self.pause.is_tentative()))
    }

    pub fn waiting(&self) -> Waiting {
        let [interactive, scheduled, backfill] = self.waiting.each_ref().map(BTreeMap::len);
        Waiting { interactive, scheduled, backfill }
    }

    pub fn is_waiting(&self) -> bool {
        self.waits() != [false; CLASSES]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_stop_is_told_once_and_so_is_its_end() {
        let start = Instant::now();
        let after = |seconds: u64| start + Duration::from_secs(seconds);
        let mut pause = Pause::default();
        // A short one is not worth a line, neither at its start nor at its end.
        assert!(!pause.throttled(Some(Duration::from_secs(1)), start, 429, start).tell);
        assert_eq!(pause.answered(after(2), after(2)), None);
        let tells = [2, 32, 62].map(|at| pause.throttled(Some(Duration::from_secs(30)), after(at), 429, after(at)).tell);
        assert_eq!(tells, [true, false, false]);
        assert_eq!(pause.answered(after(40), after(63)), None, "an answer to a request of before");
        assert_eq!(pause.answered(after(92), after(93)), Some(Duration::from_secs(91)));
        assert_eq!(pause.answered(after(94), after(95)), None);
        assert!(pause.throttled(Some(Duration::from_secs(30)), after(96), 429, after(96)).tell);
    }
}
