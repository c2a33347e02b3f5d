//! Which answers are worth another try, and how long to wait before it. Pure; sleeping is done elsewhere.

use std::time::{Duration, SystemTime};

/// No single wait is longer: a service that says more is asked again anyway.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// First backoff of failures that say nothing about waiting.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// Backoff stops growing here.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// Whether a GET with this status may succeed when it is sent again.
pub(super) fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504 | 509)
}

/// `Retry-After`: whole or decimal seconds, or an HTTP date.
pub(super) fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    let wait = match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds >= 0.0 => Duration::from_secs_f64(seconds.min(LONGEST_WAIT.as_secs_f64())),
        Ok(_) => return None,
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(LONGEST_WAIT))
}

/// Full jitter over an exponential ceiling: anything from nothing to the ceiling. `attempt` counts from 0, `random` is in 0..1.
pub(super) fn backoff(attempt: u32, random: f64) -> Duration {
    let ceiling = FIRST_BACKOFF.saturating_mul(1 << attempt.min(10)).min(LONGEST_BACKOFF);
    ceiling.mul_f64(random.clamp(0.0, 1.0))
}

/// How long a lane stops for a throttled answer: never less than the service says, and that is waited once, not on top of a backoff. A
/// service that keeps saying little, or nothing, is not asked ever more often: the floor doubles with every throttled answer in a row, and
/// jitter above it, from nothing to as much again, keeps clients apart.
pub(super) fn throttle_wait(asked: Option<Duration>, in_a_row: u32, random: f64) -> Duration {
    let floor = FIRST_BACKOFF.saturating_mul(1 << in_a_row.saturating_sub(2).min(8)).min(LONGEST_BACKOFF) / 2;
    let jittered = floor + floor.mul_f64(random.clamp(0.0, 1.0));
    match asked {
        // The first two in a row are believed to the letter.
        Some(asked) if in_a_row <= 2 => asked,
        Some(asked) => asked.max(jittered),
        None => jittered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_policy() {
        let retried: Vec<u16> = (100..600).filter(|status| is_transient(*status)).collect();
        assert_eq!(retried, [408, 429, 500, 502, 503, 504, 509]);
    }

    #[test]
    fn retry_after_in_all_its_forms() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (text, wait) in [
            ("3", Some(Duration::from_secs(3))),
            ("2.128", Some(Duration::from_millis(2128))),
            (" 0 ", Some(Duration::ZERO)),
            ("99999999", Some(LONGEST_WAIT)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(Duration::from_secs(10))),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(Duration::ZERO)),
            ("-1", None),
            ("NaN", None),
            ("inf", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(retry_after(text, now), wait, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn waits_are_bounded(text in ".{0,40}", attempt in 0u32..100, random in 0.0f64..1.0) {
            if let Some(wait) = retry_after(&text, SystemTime::now()) {
                proptest::prop_assert!(wait <= LONGEST_WAIT);
            }
            proptest::prop_assert!(backoff(attempt, random) <= LONGEST_BACKOFF);
            proptest::prop_assert!(throttle_wait(None, attempt, random) <= LONGEST_BACKOFF);
            let asked = Duration::from_millis(1_900);
            proptest::prop_assert!(throttle_wait(Some(asked), attempt, random) >= asked, "not before Retry-After");
        }
    }

    #[test]
    fn a_service_that_always_says_one_second_is_asked_less_and_less() {
        let one = Some(Duration::from_secs(1));
        assert_eq!(throttle_wait(one, 1, 0.0), Duration::from_secs(1));
        assert!(throttle_wait(one, 8, 0.0) >= Duration::from_secs(10));
        assert!(throttle_wait(one, 8, 1.0) >= throttle_wait(one, 8, 0.0) * 2);
        assert_eq!(throttle_wait(Some(Duration::from_secs(120)), 8, 0.5), Duration::from_secs(120));
    }
}
