//! Notices that this machine's clock was set: a schedule waits for a time of day, and one that moved away would leave it waiting.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Interval;

use super::every;
use crate::clock;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(15);
/// Less is corrected without anybody's schedule suffering: a tick comes so much too early or too late, once.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(30);

/// Compares the time of day with the time that passed.
pub(super) struct Watch {
    interval: Interval,
    last: (Instant, Timestamp),
}

impl Watch {
    pub fn start() -> Watch {
        Watch { interval: every(EVERY), last: (clock::instant(), clock::now()) }
    }

    /// Waits until the clock was set; returns by how much. A machine that slept looks like one whose clock was set forward, and needs the
    /// same.
    pub async fn was_set(&mut self) -> SignedDuration {
        loop {
            self.interval.tick().await;
            let (instant, now) = (clock::instant(), clock::now());
            let jump = jump(now.duration_since(self.last.1), instant.duration_since(self.last.0));
            self.last = (instant, now);
            if let Some(by) = jump {
                return by;
            }
        }
    }
}

/// By how much the clock was set, when it matters.
fn jump(by_the_clock: SignedDuration, passed: Duration) -> Option<SignedDuration> {
    let by = by_the_clock.saturating_sub(SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX));
    (by.abs() > TOLERANCE).then_some(by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clock_that_was_set_is_told() {
        let (passed, secs) = (Duration::from_secs(15), SignedDuration::from_secs);
        assert_eq!(jump(secs(15), passed), None);
        assert_eq!(jump(secs(14), passed), None);
        assert_eq!(jump(secs(40), passed), None);
        assert_eq!(jump(secs(15 + 86_400), passed), Some(secs(86_400)));
        assert_eq!(jump(secs(15 - 86_400), passed), Some(secs(-86_400)));
    }
}
