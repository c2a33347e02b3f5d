//! The service's clock, as the `Date` of its answers shows it. Knows nothing of what is answered.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::DATE;

/// `Date` has whole seconds and answers take a while: a smaller difference says nothing.
const TOLERANCE_MILLIS: i64 = 2000;

/// How far the service's clock is ahead of ours, milliseconds.
#[derive(Debug, Default)]
pub(super) struct Clock {
    ahead: AtomicI64,
}

impl Clock {
    /// Takes note of the `Date` of an answer, and gives it; `None` when there is none that can be read.
    pub fn heard(&self, headers: &HeaderMap) -> Option<SystemTime> {
        let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
        self.answered(date);
        Some(date)
    }

    fn answered(&self, theirs: SystemTime) {
        let ours = crate::clock::system_now();
        let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let ahead = match theirs.duration_since(ours) {
            Ok(ahead) => millis(ahead),
            Err(behind) => -millis(behind.duration()),
        };
        self.ahead.store(if ahead.abs() <= TOLERANCE_MILLIS { 0 } else { ahead }, Ordering::Relaxed);
    }

    /// The service's time now.
    pub fn now(&self) -> SystemTime {
        let ahead = self.ahead.load(Ordering::Relaxed);
        let span = Duration::from_millis(ahead.unsigned_abs());
        let now = crate::clock::system_now();
        if ahead >= 0 { now.checked_add(span) } else { now.checked_sub(span) }.unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_agrees_is_ours_and_another_is_theirs() {
        let clock = Clock::default();
        let apart = |clock: &Clock| {
            let (theirs, ours) = (clock.now(), SystemTime::now());
            theirs.duration_since(ours).map_or_else(|behind| -behind.duration().as_secs_f64(), |ahead| ahead.as_secs_f64())
        };
        clock.answered(SystemTime::now() - Duration::from_millis(900));
        assert!(apart(&clock).abs() < 0.5);
        clock.answered(SystemTime::now() + Duration::from_secs(86_400));
        assert!((apart(&clock) - 86_400.0).abs() < 5.0);
        clock.answered(SystemTime::now() - Duration::from_secs(86_400));
        assert!((apart(&clock) + 86_400.0).abs() < 5.0);
    }
}
