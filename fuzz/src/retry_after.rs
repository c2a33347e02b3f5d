//! `Retry-After`, throttling headers and the waits that follow from them: bounded, whatever a service says and whatever the clock shows.

use std::time::{Duration, SystemTime};

use entra_mirror::graph::fuzzing;
use http::{HeaderMap, HeaderValue};

/// No wait is longer.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// Six bytes are the clock, one says how often it was throttled in a row, the rest is the header.
pub fn run(data: &[u8]) {
    let Some((clock, rest)) = data.split_at_checked(6) else { return };
    let Some((in_a_row, header)) = rest.split_first() else { return };
    let seconds = clock.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let Ok(value) = HeaderValue::from_bytes(header) else { return };
    let asked = value.to_str().ok().and_then(|text| {
        let asked = fuzzing::retry_after(text, now);
        if let Ok(seconds) = text.trim().parse::<u32>() {
            assert_eq!(asked, Some(Duration::from_secs(seconds.into()).min(LONGEST)), "{text:?}");
        }
        asked
    });
    assert!(asked <= Some(LONGEST), "{header:?} means {asked:?}");
    for random in [0.0, 0.5, 1.0] {
        let waits = fuzzing::waits(asked, (*in_a_row).into(), random);
        assert!(waits.iter().all(|wait| *wait <= LONGEST), "{waits:?}");
        // A service that says how long is not asked before, the first times.
        if let (Some(asked), 0..=2) = (asked, *in_a_row) {
            assert_eq!(waits[0], asked);
        }
    }
    let mut headers = HeaderMap::new();
    for name in ["x-ms-resource-unit", "x-ms-throttle-limit-percentage", "x-ms-throttle-scope"] {
        headers.insert(name, value.clone());
    }
    let (units, share) = fuzzing::signals(&headers);
    assert_ne!(units, Some(0));
    assert!(share.is_none_or(|share| (0.0..=10.0).contains(&share)), "{share:?}");
}
