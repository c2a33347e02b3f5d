//! What time it is: this machine's, or, in a developer's test, a time that the test moves. Knows nobody who asks.
//!
//! Whoever stores, compares or waits for times of the mirrored world asks here. What protects against a machine or a network that hangs
//! (timeouts, pauses, the watchdog) goes by real time in any case.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use jiff::{SignedDuration, Timestamp};

/// How far the time of day is ahead of this machine's, milliseconds. 0 but in a test.
static AHEAD: AtomicI64 = AtomicI64::new(0);
/// How much time was left out, milliseconds. 0 but in a test.
static LEFT_OUT: AtomicU64 = AtomicU64::new(0);
static MOVED: AtomicBool = AtomicBool::new(false);

/// The time of day.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    now.checked_add(SignedDuration::from_millis(AHEAD.load(Ordering::Relaxed))).unwrap_or(now)
}

/// The same as the standard library has it.
pub fn system_now() -> SystemTime {
    now().into()
}

/// An instant of a clock that only goes forward; time that was left out has passed. To be compared with others from here only.
pub fn instant() -> Instant {
    let now = Instant::now();
    now.checked_add(Duration::from_millis(LEFT_OUT.load(Ordering::Relaxed))).unwrap_or(now)
}

/// Whether a test moves the time.
pub fn is_moved() -> bool {
    MOVED.load(Ordering::Relaxed)
}

/// From now on a test moves the time, and it is `at`. Time goes on by itself beside that.
pub fn start_at(at: Timestamp) {
    MOVED.store(true, Ordering::Relaxed);
    AHEAD.store(at.as_millisecond().saturating_sub(Timestamp::now().as_millisecond()), Ordering::Relaxed);
}

/// Leaves out the time until `at`; what lies in the past is no leap. Nothing happens unless [`start_at`] was called.
pub fn leap_to(at: Timestamp) {
    if !is_moved() {
        return;
    }
    let by = at.as_millisecond().saturating_sub(now().as_millisecond());
    if let Ok(left_out @ 1..) = u64::try_from(by) {
        LEFT_OUT.fetch_add(left_out, Ordering::Relaxed);
        AHEAD.fetch_add(by, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Nothing here moves the time: the tests of other rooms run in this process. `tests/it/week.rs` does, in a process of its own.
    #[test]
    fn nothing_leaps_unless_a_test_began_to_move_the_time() {
        let (before, instant_before) = (now(), instant());
        leap_to(before + SignedDuration::from_hours(1));
        assert!(!is_moved());
        assert!(now().duration_since(before) < SignedDuration::from_mins(30));
        assert!(instant().duration_since(instant_before) < Duration::from_secs(1800));
        assert!(Timestamp::now().duration_since(now()).abs() < SignedDuration::from_mins(30));
    }
}
