//! Tests of the meter, on a clock that is only written down.

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
