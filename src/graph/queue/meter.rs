//! Counts what was sent against one limit, says when there is room for more, and moves the limit by what Graph answers. Knows no lane.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::budget::{Limit, Style};

/// What is sent within this part of a window is counted as one: a window of thousands of requests stays small.
const GRAIN: u32 = 100;
/// A window is taken to be this much longer than Graph's: requests do not travel equally fast.
const MARGIN: f64 = 1.02;
/// With even steps the same, as a share of a step and at most in time.
const STEP_MARGIN: f64 = 0.08;
const LONGEST_STEP_MARGIN: Duration = Duration::from_millis(80);
/// A limit is never taken to be less than this share of the published one.
const LOWEST: f64 = 0.1;
/// Share of the published limit that comes back after each quiet time.
const STEP_UP: f64 = 0.05;
/// The same of a learnt limit, and the least: what was learnt from a burst may be far too low.
const LEARNT_STEP_UP: f64 = 0.1;
const LEAST_STEP_UP: f64 = 1.0;
/// Nothing is raised sooner than this after the last sign of throttling.
const QUIET: Duration = Duration::from_secs(10);
/// The first limit that is learnt is not lower than this in a window: one refusal in a quiet lane says little.
const FIRST_LEARNT: f64 = 10.0;
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

/// The count of one limit.
#[derive(Debug)]
pub(super) struct Meter {
    limit: Limit,
    aim: f64,
    /// Of the published limit, what is believed at the moment.
    factor: f64,
    /// In place of a published limit, what refusals taught.
    learnt: Option<f64>,
    slots: VecDeque<Slot>,
    used: f64,
    /// When the limit was last lowered, raised, or told to be near.
    moved: Option<Instant>,
    /// Last sending and what it cost.
    last: Option<(Instant, f64)>,
}

impl Meter {
    pub fn new(limit: Limit, aim: f64) -> Meter {
        Meter { limit, aim: aim.clamp(0.05, 1.0), factor: 1.0, learnt: None, slots: VecDeque::new(), used: 0.0, moved: None, last: None }
    }

    /// The published limit changed: the tenant's size is known now.
    pub fn set_limit(&mut self, limit: Limit) {
        self.limit = limit;
    }

    /// What may be sent in a window at the moment; `None` = as much as one likes.
    pub fn allowed(&self) -> Option<f64> {
        match self.limit.amount {
            Some(amount) => Some(amount * self.aim * self.factor),
            None => self.learnt,
        }
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
        self.factor < 1.0 || self.learnt.is_some()
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
    }

    fn is_even(&self) -> bool {
        self.limit.style == Style::Even || self.limit.amount.is_none() && self.learnt.is_some_and(|learnt| learnt < FEW)
    }

    /// Time that sending something of this cost takes up, with even steps.
    fn step(&self, cost: f64) -> Duration {
        match self.allowed() {
            Some(allowed) if self.is_even() => {
                let step = self.limit.window.div_f64(allowed.max(0.001));
                let bare = self.limit.window.div_f64(self.limit.amount.unwrap_or(allowed).max(0.001));
                step.max(bare + bare.mul_f64(STEP_MARGIN).min(LONGEST_STEP_MARGIN)).mul_f64(cost.max(0.0))
            }
            _ => Duration::ZERO,
        }
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
        self.last = Some((now, cost));
        self.used += cost;
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

    /// Graph refused.
    pub fn refused(&mut self, now: Instant) {
        self.back_down(0.7, now);
    }

    /// Graph says how much of the limit is used: 1 = all. What is over the aim is taken back; what is near it only keeps the limit from
    /// rising. Even steps touch the limit for an instant whenever all the requests of a window are in it, which is no sign of excess.
    pub fn told(&mut self, share: f64, now: Instant) {
        let most = if self.is_even() { 1.0 } else { self.aim };
        if share > most + 1e-6 {
            self.back_down((self.aim / share).clamp(0.7, 0.99), now);
        } else if share >= 0.8 {
            self.moved = Some(now);
        }
    }

    fn back_down(&mut self, by: f64, now: Instant) {
        self.forget(now);
        self.moved = Some(now);
        match self.limit.amount {
            Some(_) => self.factor = (self.factor * by).max(LOWEST),
            None => self.learnt = Some(self.learnt.map_or((self.used * by).max(FIRST_LEARNT), |learnt| (learnt * by).max(1.0))),
        }
    }

    /// Raises a lowered limit, one step for each quiet time that has passed.
    fn feel_up(&mut self, now: Instant) {
        if !self.has_learnt() {
            return;
        }
        let quiet = self.limit.window.max(QUIET.min(self.limit.window.saturating_mul(10)));
        let Some(moved) = self.moved else { return };
        let times = now.saturating_duration_since(moved).as_secs_f64() / quiet.as_secs_f64().max(1e-3);
        let steps = times.min(1_000.0) as u32;
        if steps == 0 {
            return;
        }
        self.moved = Some(moved.max(now - quiet.mul_f64(times.fract())));
        self.factor = (self.factor + STEP_UP * f64::from(steps)).min(1.0);
        for _ in 0..steps {
            self.learnt =
                self.learnt.map(|learnt| learnt + (learnt * LEARNT_STEP_UP).max(LEAST_STEP_UP)).filter(|learnt| *learnt < LEARNT_ENOUGH);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(amount: impl Into<Option<f64>>, seconds: u64, style: Style) -> Limit {
        Limit { amount: amount.into(), window: Duration::from_secs(seconds), style }
    }

    /// Sends as fast as the meter lets it; the instants and costs.
    fn drive(meter: &mut Meter, start: Instant, length: Duration, mut cost: impl FnMut() -> f64) -> Vec<(Instant, f64)> {
        let (mut now, mut sent) = (start, Vec::new());
        while now < start + length {
            let cost = cost();
            while let Some(at) = meter.room(cost, now) {
                assert!(at > now, "a wait that is over");
                now = at;
            }
            meter.take(cost, now);
            sent.push((now, cost));
            // A request takes a moment, so that a window is not spent in an instant.
            now += Duration::from_micros(500);
        }
        sent
    }

    fn heaviest_window(sent: &[(Instant, f64)], window: Duration) -> f64 {
        let (mut from, mut sum, mut most) = (0, 0.0, 0.0f64);
        for (at, cost) in sent {
            sum += cost;
            while sent[from].0 + window <= *at {
                sum -= sent[from].1;
                from += 1;
            }
            most = most.max(sum);
        }
        most
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]
        #[test]
        fn no_window_is_overspent_and_nine_tenths_are_used(amount in 300.0f64..9000.0, seed in 0u64..1000) {
            let mut meter = Meter::new(limit(amount, 10, Style::Burst), 0.95);
            let mut random = fastrand::Rng::with_seed(seed);
            let length = Duration::from_secs(200);
            let sent = drive(&mut meter, Instant::now(), length, || f64::from(random.u32(1..=5)));
            let most = heaviest_window(&sent, Duration::from_secs(10));
            proptest::prop_assert!(most <= amount * 0.95 + 1e-6, "{} of {}", most, amount);
            let total: f64 = sent.iter().map(|(_, cost)| cost).sum();
            // Half a window at the end may not be spent yet, and the first comes at once.
            let share = total / (amount * 20.0);
            proptest::prop_assert!(share >= 0.90, "used {}", share);
        }

        #[test]
        fn even_steps_never_put_more_than_the_limit_into_a_window(amount in 1u32..40, seconds in 1u64..61, jitter in 0u64..40) {
            let mut meter = Meter::new(limit(f64::from(amount), seconds, Style::Even), 0.95);
            let length = Duration::from_secs(seconds * 30);
            let sent = drive(&mut meter, Instant::now(), length, || 1.0);
            let step = Duration::from_secs(seconds) / amount;
            let mut random = fastrand::Rng::with_seed(jitter);
            // Each arrives up to a twenty-fifth of a step later than the last.
            let arrived: Vec<_> = sent.iter().map(|(at, cost)| (*at + step.mul_f64(0.04 * random.f64()), *cost)).collect();
            let most = heaviest_window(&arrived, Duration::from_secs(seconds));
            proptest::prop_assert!(most <= f64::from(amount), "{} of {}", most, amount);
            let share = sent.len() as f64 / (f64::from(amount) * 30.0);
            proptest::prop_assert!(share >= 0.90, "used {}", share);
        }
    }

    #[test]
    fn a_window_of_thousands_is_remembered_in_a_hundred_places() {
        let mut meter = Meter::new(limit(8000.0, 10, Style::Burst), 0.95);
        drive(&mut meter, Instant::now(), Duration::from_secs(60), || 1.0);
        assert!(meter.slots.len() <= GRAIN as usize + 3, "{}", meter.slots.len());
    }

    #[test]
    fn refusals_lower_the_limit_and_quiet_time_raises_it_again() {
        let start = Instant::now();
        let mut meter = Meter::new(limit(1000.0, 10, Style::Burst), 0.95);
        let after = |meter: &mut Meter, seconds: u64, expected: f64| {
            assert!(meter.room(1.0, start + Duration::from_secs(seconds)).is_none());
            let allowed = meter.allowed().expect("a limit");
            assert!((allowed - expected).abs() < 1e-6, "{allowed} after {seconds} s");
        };
        meter.refused(start);
        meter.refused(start);
        after(&mut meter, 0, 465.5);
        for _ in 0..50 {
            meter.refused(start);
        }
        after(&mut meter, 9, 95.0);
        after(&mut meter, 25, 190.0);
        // The rest of the second quiet time counts.
        after(&mut meter, 31, 237.5);
        after(&mut meter, 400, 950.0);
        assert!(!meter.has_learnt());
    }

    #[test]
    fn what_graph_tells_of_the_limit_settles_just_under_it() {
        let start = Instant::now();
        let mut meter = Meter::new(limit(1000.0, 10, Style::Burst), 0.95);
        meter.told(0.94, start);
        assert_eq!(meter.allowed(), Some(950.0));
        // The true limit is 600.
        let mut now = start;
        for _ in 0..40 {
            now += Duration::from_secs(10);
            meter.room(1.0, now);
            meter.told(meter.allowed().expect("a limit") / 600.0, now);
        }
        let allowed = meter.allowed().expect("a limit");
        assert!((500.0..=630.0).contains(&allowed), "{allowed}");
        let mut even = Meter::new(limit(5.0, 10, Style::Even), 0.95);
        even.told(1.0, start);
        assert_eq!(even.allowed(), Some(4.75), "five of five in a window is what was meant");
        even.told(1.2, start);
        assert!(even.allowed().expect("a limit") < 4.0);
    }

    #[test]
    fn where_nothing_is_published_the_limit_is_learnt_from_refusals_alone() {
        let start = Instant::now();
        let mut meter = Meter::new(limit(None, 10, Style::Burst), 0.95);
        for _ in 0..100 {
            assert!(meter.room(1.0, start).is_none());
            meter.take(1.0, start);
        }
        meter.refused(start);
        assert_eq!(meter.allowed().map(f64::round), Some(70.0));
        assert!(meter.room(1.0, start).is_some());
        // A server that lets 30 through in 10 s: the rate stays around that.
        let (mut now, mut sent, mut refused): (Instant, VecDeque<Instant>, u32) = (start + Duration::from_secs(60), VecDeque::new(), 0);
        let (began, mut through) = (now, 0u32);
        while now < began + Duration::from_secs(1200) {
            if let Some(at) = meter.room(1.0, now) {
                now = at;
                continue;
            }
            meter.take(1.0, now);
            while sent.front().is_some_and(|at| *at + Duration::from_secs(10) <= now) {
                sent.pop_front();
            }
            if sent.len() >= 30 {
                meter.refused(now);
                refused += 1;
                now += Duration::from_secs(5);
            } else {
                sent.push_back(now);
                through += 1;
            }
            now += Duration::from_millis(20);
        }
        assert!(refused < 40, "{refused} refusals");
        assert!(through > 1800, "{through} of 3600");
    }
}
