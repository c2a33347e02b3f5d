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
    fn who_is_late_makes_up_for_it_and_no_window_holds_too_many() {
        for (amount, seconds) in [(300.0, 10), (5.0, 10), (1.0, 1), (10.0, 60), (20.0, 1)] {
            let mut meter = Meter::new(limit(amount, seconds, Style::Even), 0.95);
            let (start, window) = (Instant::now(), Duration::from_secs(seconds));
            let (mut now, mut sent) = (start, Vec::new());
            let mut random = fastrand::Rng::with_seed(7);
            while now < start + window * 40 {
                if let Some(at) = meter.room(1.0, now) {
                    now = at;
                    // Timers and answers are late, by up to a third of a step.
                    now += window.div_f64(amount * 3.0).mul_f64(random.f64());
                    continue;
                }
                meter.take(1.0, now);
                sent.push((now, 1.0));
            }
            let most = heaviest_window(&sent, window);
            let share = sent.len() as f64 / (amount * 40.0);
            let case = format!("{amount} in {seconds} s: {most} in a window, {:.1} % used", share * 100.0);
            assert!(most <= amount, "{case}");
            assert!(share >= if amount > 4.0 && seconds >= 10 { 0.9 } else { 0.75 }, "{case}");
        }
    }

    #[test]
    fn a_window_of_thousands_is_remembered_in_a_hundred_places() {
        let mut meter = Meter::new(limit(8000.0, 10, Style::Burst), 0.95);
        drive(&mut meter, Instant::now(), Duration::from_secs(60), || 1.0);
        assert!(meter.slots.len() <= GRAIN as usize + 3, "{}", meter.slots.len());
    }

    fn send(meter: &mut Meter, amount: u32, now: Instant) {
        (0..amount).for_each(|_| meter.take(1.0, now));
    }

    #[test]
    fn a_refusal_at_the_limit_lowers_it_to_what_passed_and_quiet_time_raises_it_again() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut meter = Meter::new(limit(1300.0, 10, Style::Burst), 0.95);
        // The true limit is 700; 8 were on their way when the first refusal came.
        send(&mut meter, 708, start);
        for n in 0..8 {
            meter.refused(1.0, start, n == 0, f64::from(7 - n), start);
        }
        assert_eq!(meter.allowed(), Some(665.0), "once for all that were refused together, and just under what passed");
        meter.room(1.0, at(19));
        assert_eq!(meter.allowed().map(f64::round), Some(678.0));
        // It comes back slowly, then faster.
        let mut before = 665.0 * 1.02;
        let mut rises = Vec::new();
        for n in 2..6 {
            meter.room(1.0, at(n * 10 + 5));
            let allowed = meter.allowed().expect("a limit");
            rises.push(allowed - before);
            before = allowed;
        }
        assert!(rises.windows(2).all(|pair| pair[1] > pair[0]), "{rises:?}");
        meter.room(1.0, at(400));
        assert!(!meter.has_learnt());
    }

    #[test]
    fn a_refusal_far_below_the_limit_or_in_a_row_of_refusals_says_nothing_about_it() {
        let start = Instant::now();
        let mut meter = Meter::new(limit(8000.0, 10, Style::Burst), 0.95);
        let mut now = start;
        // One in fifty, whatever the rate.
        for _ in 0..200 {
            send(&mut meter, 50, now);
            meter.refused(1.0, now, true, 0.0, now);
            now += Duration::from_millis(1200);
        }
        assert!(!meter.has_learnt(), "{meter:?}");
        for _ in 0..50 {
            send(&mut meter, 1, now);
            meter.refused(1.0, now, false, 0.0, now);
            now += Duration::from_secs(5);
        }
        assert!(!meter.has_learnt(), "{meter:?}");
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
            let allowed = meter.allowed().expect("a limit");
            send(&mut meter, allowed as u32, now);
            meter.told(meter.allowed().expect("a limit") / 600.0, now);
        }
        let allowed = meter.allowed().expect("a limit");
        assert!((500.0..=630.0).contains(&allowed), "{allowed}");
        let mut far = Meter::new(limit(1e6, 10, Style::Burst), 0.95);
        send(&mut far, 20, start);
        far.told(1.2, start);
        assert!(!far.has_learnt(), "whatever is meant, it is not a million");
        let mut even = Meter::new(limit(5.0, 10, Style::Even), 0.95);
        send(&mut even, 5, start);
        even.told(1.0, start);
        assert_eq!(even.allowed(), Some(4.75), "five of five in a window is what was meant");
        even.told(1.2, start);
        assert!(even.allowed().expect("a limit") < 4.0);
    }

    /// A service that lets so many of any window through and counts what it refuses, asked as fast as the meter and `wait` let one.
    /// Seconds of the quarters of the time are given; passed and refused in each.
    fn against(meter: &mut Meter, truth: usize, wait: Duration, length: Duration) -> [(u32, u32); 4] {
        let start = Instant::now();
        let (mut now, mut seen) = (start, VecDeque::<Instant>::new());
        let mut quarters = [(0, 0); 4];
        let mut row = 0;
        while now < start + length {
            if let Some(at) = meter.room(1.0, now) {
                now = at;
                continue;
            }
            let quarter = ((now - start).as_secs_f64() / length.as_secs_f64() * 4.0) as usize;
            meter.take(1.0, now);
            while seen.front().is_some_and(|at| *at + Duration::from_secs(10) <= now) {
                seen.pop_front();
            }
            seen.push_back(now);
            if seen.len() > truth {
                row += 1;
                meter.refused(1.0, now, row == 1, 0.0, now);
                quarters[quarter].1 += 1;
                now += wait * row;
            } else {
                row = 0;
                quarters[quarter].0 += 1;
            }
            now += Duration::from_millis(20);
        }
        quarters
    }

    #[test]
    fn a_limit_that_nobody_publishes_is_learnt_from_refusals_and_settled_just_under() {
        for amount in [None, Some(1e6), Some(60.0)] {
            for (truth, hint) in [(30, 300), (30, 5_000), (30, 11_000), (50, 100), (50, 1_000)] {
                let mut meter = Meter::new(limit(amount, 10, Style::Burst), 0.95);
                let quarters = against(&mut meter, truth, Duration::from_millis(hint), Duration::from_secs(1200));
                let case = format!("{amount:?}, {truth} in 10 s, hints of {hint} ms: {quarters:?}");
                for (passed, refused) in quarters {
                    assert!(f64::from(passed) >= truth as f64 * 30.0 * 0.8, "{case}");
                    assert!(refused * 25 <= passed, "{case}");
                }
            }
        }
    }
}
