//! Counts what was sent against one limit, says when there is room for more, and moves the limit by what Graph answers. Knows no lane.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::budget::{Limit, Style};

/// What is sent within this part of a window is counted as one: a window of thousands of requests stays small.
const GRAIN: u32 = 100;
/// A window is taken to be this much longer than Graph's: requests do not travel equally fast.
const MARGIN: f64 = 1.02;
/// With even steps the same, as a share of a step and at most in time over all steps of a window.
const STEP_MARGIN: f64 = 0.08;
const LONGEST_STEP_MARGIN: Duration = Duration::from_millis(80);
/// What a late request may make up for leaves this much of a window, and at most so long, to requests that travel at different speed.
const TRAVEL: f64 = 0.08;
const LONGEST_TRAVEL: Duration = Duration::from_millis(250);
/// What was learnt is raised by this share after a quiet time, and by twice as much after each further one.
const STEP_UP: f64 = 0.02;
const MOST_DOUBLINGS: u32 = 4;
/// A quiet time is twice as long after each rise that ended in a refusal, so often at most.
const MOST_PATIENCE: u32 = 3;
/// Nothing is raised sooner than this after the last sign of throttling.
const QUIET: Duration = Duration::from_secs(10);
/// A refusal takes at least this share off what was learnt, and at most the other one.
const BACK_DOWN: f64 = 0.95;
const FURTHEST_DOWN: f64 = 0.5;
/// A refusal with less than this share of the limit used has another reason than the limit.
const EXPLAINED: f64 = 0.5;
/// Refusals rarer than this are no sign of a limit: slowing down would cost more than they do.
const WORTH_LEARNING: f64 = 0.04;
/// How much more may pass from one refusal to the next when both are due to the same limit.
const SAME: f64 = 1.25;
/// Refusals further apart than so many windows have nothing to do with each other.
const TOGETHER: u32 = 4;
/// Less than this in a window is not learnt from refusals that no limit explains: a quiet lane says little.
const FEWEST: f64 = 5.0;
/// A learnt limit that has grown beyond this is none.
const LEARNT_ENOUGH: f64 = 50_000.0;
/// With fewer than this to a window, steps are even.
const FEW: f64 = 20.0;

/// Requests or units that count as one.
#[derive(Debug)]
struct Slot {
    first: Instant,
    last: Instant,
    amount: f64,
}

/// Refusals that seem to come from one and the same limit.
#[derive(Clone, Copy, Debug)]
struct Suspicion {
    since: Instant,
    last: Instant,
    /// The most that passed in a window.
    passed: f64,
    /// The totals when its first window began.
    sent: f64,
    lost: f64,
}

/// The count of one limit.
#[derive(Debug)]
pub(super) struct Meter {
    limit: Limit,
    aim: f64,
    /// What refusals and hints taught, in place of the published limit or for want of one.
    learnt: Option<f64>,
    suspicion: Option<Suspicion>,
    slots: VecDeque<Slot>,
    used: f64,
    /// What was refused of that, by the instant of its sending.
    bounced: VecDeque<(Instant, f64)>,
    /// All that was ever sent, and refused.
    sent: f64,
    lost: f64,
    /// When the limit was last lowered, raised, or told to be near.
    moved: Option<Instant>,
    lowered: Option<Instant>,
    /// Rises since it was lowered, and how many in a row ended in a refusal.
    rises: u32,
    falls: u32,
    /// When the last was due, which is a little before it was sent where it was late, and what it cost.
    last: Option<(Instant, f64)>,
}

impl Meter {
    pub fn new(limit: Limit, aim: f64) -> Meter {
        Meter {
            limit,
            aim: aim.clamp(0.05, 1.0),
            learnt: None,
            suspicion: None,
            slots: VecDeque::new(),
            used: 0.0,
            bounced: VecDeque::new(),
            sent: 0.0,
            lost: 0.0,
            moved: None,
            lowered: None,
            rises: 0,
            falls: 0,
            last: None,
        }
    }

    /// The published limit changed: the tenant's size is known now.
    pub fn set_limit(&mut self, limit: Limit) {
        self.limit = limit;
    }

    /// Another share of the limit is to be used.
    pub fn set_aim(&mut self, aim: f64) {
        self.aim = aim.clamp(0.05, 1.0);
    }

    /// The limit that is believed in at the moment.
    fn believed(&self) -> Option<f64> {
        match (self.limit.amount, self.learnt) {
            (Some(amount), Some(learnt)) => Some(learnt.min(amount)),
            (amount, learnt) => amount.or(learnt),
        }
    }

    /// What may be sent in a window at the moment; `None` = as much as one likes.
    pub fn allowed(&self) -> Option<f64> {
        self.believed().map(|limit| limit * self.aim)
    }

    /// The limit as published or learnt, and its window.
    pub fn limit(&self) -> (Option<f64>, Duration) {
        (self.limit.amount.or(self.learnt), self.limit.window)
    }

    /// What was sent in the window that ends now.
    pub fn used(&mut self, now: Instant) -> f64 {
        self.forget(now);
        self.used
    }

    /// Whether throttling left a trace in the limit.
    pub fn has_learnt(&self) -> bool {
        self.learnt.is_some()
    }

    /// Nothing of what was sent counts any more.
    pub fn is_clear(&mut self, now: Instant) -> bool {
        self.forget(now);
        let step_over = self.last.is_none_or(|(at, cost)| at + self.step(cost) <= now);
        self.slots.is_empty() && step_over
    }

    fn span(&self) -> Duration {
        self.limit.window.mul_f64(MARGIN)
    }

    fn forget(&mut self, now: Instant) {
        let span = self.span();
        while let Some(slot) = self.slots.front().filter(|slot| slot.last + span <= now) {
            self.used -= slot.amount;
            self.slots.pop_front();
        }
        if self.slots.is_empty() {
            self.used = 0.0;
        }
        while self.bounced.front().is_some_and(|(sent, _)| *sent + span <= now) {
            self.bounced.pop_front();
        }
    }

    fn is_even(&self) -> bool {
        self.limit.style == Style::Even || self.learnt.is_some_and(|learnt| learnt < FEW)
    }

    /// Time that sending something of this cost takes up, with even steps.
    fn step(&self, cost: f64) -> Duration {
        match self.allowed() {
            Some(allowed) if self.is_even() => {
                let step = self.limit.window.div_f64(allowed.max(0.001));
                let bare = self.limit.window.div_f64(self.believed().unwrap_or(allowed).max(0.001));
                let steps = self.believed().unwrap_or(1.0).max(1.0);
                step.max(bare + bare.mul_f64(STEP_MARGIN).min(LONGEST_STEP_MARGIN.div_f64(steps))).mul_f64(cost.max(0.0))
            }
            _ => Duration::ZERO,
        }
    }

    /// With even steps: how late a request may be without a loss. Those that follow make up for it, and still no window holds too many.
    fn credit(&self) -> Duration {
        let steps = self.believed().unwrap_or(0.0).floor();
        let window = self.limit.window;
        self.step(steps).saturating_sub(window + window.mul_f64(TRAVEL).min(LONGEST_TRAVEL))
    }

    /// When something of this cost may be sent: `None` = now.
    pub fn room(&mut self, cost: f64, now: Instant) -> Option<Instant> {
        self.feel_up(now);
        self.forget(now);
        let allowed = self.allowed()?;
        if self.is_even() {
            let (at, last) = self.last?;
            return Some(at + self.step(last)).filter(|at| *at > now);
        }
        // What costs more than a whole window waits for an empty one.
        let mut too_much = self.used + cost - allowed.max(cost);
        let mut at = None;
        for slot in &self.slots {
            if too_much <= 1e-6 {
                break;
            }
            too_much -= slot.amount;
            at = Some(slot.last + self.span());
        }
        at
    }

    /// Something is sent.
    pub fn take(&mut self, cost: f64, now: Instant) {
        let due = match self.last {
            Some((at, last)) if self.is_even() => (at + self.step(last)).max(now.checked_sub(self.credit()).unwrap_or(now)).min(now),
            _ => now,
        };
        self.last = Some((due, cost));
        self.used += cost;
        self.sent += cost;
        let grain = self.limit.window / GRAIN;
        match self.slots.back_mut().filter(|slot| now < slot.first + grain) {
            Some(slot) => {
                slot.last = now;
                slot.amount += cost;
            }
            None => self.slots.push_back(Slot { first: now, last: now, amount: cost }),
        }
    }

    /// Something that was sent cost so much more, or less, than was thought.
    pub fn correct(&mut self, difference: f64) {
        if let Some(slot) = self.slots.back_mut() {
            let difference = difference.max(-slot.amount);
            slot.amount += difference;
            self.used += difference;
        }
    }

    /// Graph refused a request that was sent at `sent`. `first` = the first of a row of refusals, which alone says something about the rate;
    /// `under_way` is what was sent and not answered yet.
    pub fn refused(&mut self, cost: f64, sent: Instant, first: bool, under_way: f64, now: Instant) {
        self.forget(now);
        let lost_before = self.lost;
        self.lost += cost;
        self.bounced.push_back((sent, cost));
        self.moved = Some(now);
        if !first || self.lowered.is_some_and(|at| now < at + self.limit.window) {
            return;
        }
        let bounced: f64 = self.bounced.iter().map(|(_, cost)| cost).sum();
        let passed = (self.used - bounced - under_way).max(0.0);
        if self.is_explained() {
            self.lower(passed, now);
            return;
        }
        let new = Suspicion { since: now, last: now, passed, sent: self.sent - self.used, lost: lost_before };
        let known =
            self.suspicion.filter(|known| now < known.last + self.limit.window * TOGETHER && passed <= known.passed.max(FEWEST) * SAME);
        let it = known.map_or(new, |known| Suspicion { last: now, passed: known.passed.max(passed), ..known });
        let share = (self.lost - it.lost) / (self.sent - it.sent).max(1.0);
        // What has passed grows until the first window is over: before that it tells no limit.
        if it.since + self.limit.window <= now && share >= WORTH_LEARNING {
            self.lower(it.passed.max(FEWEST), now);
        } else {
            self.suspicion = Some(it);
        }
    }

    /// So much is used that the limit may well be the reason for a refusal.
    fn is_explained(&self) -> bool {
        self.allowed().is_some_and(|allowed| self.used >= allowed * EXPLAINED)
    }

    /// Graph says how much of the limit is used: 1 = all. What is over the aim is taken back; what is near it only keeps the limit from
    /// rising. Even steps touch the limit for an instant whenever all the requests of a window are in it, which is no sign of excess.
    pub fn told(&mut self, share: f64, now: Instant) {
        let most = if self.is_even() { 1.0 } else { self.aim };
        if share >= 0.8 {
            self.moved = Some(now);
        }
        self.forget(now);
        // A limit that is far from used up by our count is not the one that is meant: refusals will tell. And what was sent already keeps the share up for a while: it is not held against the limit again and again.
        let lately = self.lowered.is_some_and(|at| now < at + self.limit.window / 4);
        if share > most + 1e-6
            && !lately
            && self.is_explained()
            && let Some(believed) = self.believed()
        {
            self.lower(believed * (self.aim / share).clamp(0.7, 0.99), now);
        }
    }

    fn lower(&mut self, to: f64, now: Instant) {
        let least = self.limit.amount.map_or(1.0, |amount| (amount * 0.1).min(1.0));
        let to = match self.believed() {
            Some(believed) if self.learnt.is_some() => to.min(believed * BACK_DOWN).max(believed * FURTHEST_DOWN),
            Some(believed) => to.min(believed),
            None => to,
        };
        self.learnt = Some(to.max(least));
        self.falls = if self.rises > 0 { (self.falls + 1).min(MOST_PATIENCE) } else { self.falls };
        self.rises = 0;
        self.suspicion = None;
        self.moved = Some(now);
        self.lowered = Some(now);
    }

    /// Raises a lowered limit, one step for each quiet time that has passed: slowly at first, then faster and faster.
    fn feel_up(&mut self, now: Instant) {
        let (Some(mut learnt), Some(moved)) = (self.learnt, self.moved) else { return };
        let quiet = self.limit.window.max(QUIET.min(self.limit.window.saturating_mul(10))) * (1 << self.falls);
        let times = now.saturating_duration_since(moved).as_secs_f64() / quiet.as_secs_f64().max(1e-3);
        let steps = times.min(1_000.0) as u32;
        if steps == 0 {
            return;
        }
        self.moved = Some(moved.max(now - quiet.mul_f64(times.fract())));
        for _ in 0..steps {
            learnt += learnt * STEP_UP * f64::from(1u32 << self.rises.min(MOST_DOUBLINGS));
            self.rises = self.rises.saturating_add(1);
        }
        if self.rises > MOST_DOUBLINGS {
            self.falls = 0;
        }
        let enough = self.limit.amount.unwrap_or(LEARNT_ENOUGH);
        self.learnt = Some(learnt).filter(|learnt| *learnt < enough);
        if self.learnt.is_none() {
            (self.rises, self.falls) = (0, 0);
        }
    }
}

#[cfg(test)]
mod tests;
