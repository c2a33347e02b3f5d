//! Times as the contract wants them: UTC text of fixed width, so that they sort as text.

use std::borrow::Cow;

/// `YYYY-MM-DDTHH:MM:SS.sssZ` of now.
pub fn now() -> String {
    format_time(crate::clock::now())
}

/// `YYYY-MM-DDTHH:MM:SS.sssZ` of an instant; what is below a millisecond is cut.
pub fn format_time(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.").to_string() + &format!("{:03}Z", at.subsec_millisecond().unsigned_abs())
}

/// Canonical form of a time that Graph sent (RFC 3339, any number of fraction digits, any offset). `None` when it is not a time.
pub fn canonical_time(text: &str) -> Option<Cow<'_, str>> {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| bytes[range].iter().all(u8::is_ascii_digit);
    let utc = bytes.len() >= 20
        && bytes[bytes.len() - 1] == b'Z'
        && [4, 7].iter().all(|&i| bytes[i] == b'-')
        && bytes[10] == b'T'
        && [13, 16].iter().all(|&i| bytes[i] == b':')
        && digits(0..4)
        && digits(5..7)
        && digits(8..10)
        && digits(11..13)
        && digits(14..16)
        && digits(17..19);
    if !utc || text.parse::<jiff::Timestamp>().is_err() {
        return Some(Cow::Owned(format_time(text.parse().ok()?)));
    }
    let seconds = &text[..19];
    let fraction = &text[19..text.len() - 1];
    if fraction.len() == 4 {
        return Some(Cow::Borrowed(text));
    }
    let millis: String = fraction.trim_start_matches('.').chars().chain("000".chars()).take(3).collect();
    Some(Cow::Owned(format!("{seconds}.{millis}Z")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_get_exactly_three_decimals_in_utc() {
        for (graph, stored) in [
            ("2026-08-20T05:06:07Z", "2026-08-20T05:06:07.000Z"),
            ("2026-08-20T05:06:07.5Z", "2026-08-20T05:06:07.500Z"),
            ("2026-08-20T05:06:07.123Z", "2026-08-20T05:06:07.123Z"),
            ("2026-08-20T05:06:07.1239999Z", "2026-08-20T05:06:07.123Z"),
            ("2026-08-20T05:06:07+02:00", "2026-08-20T03:06:07.000Z"),
            ("2026-08-20T05:06:07.9999999-01:30", "2026-08-20T06:36:07.999Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(canonical_time(graph).as_deref(), Some(stored), "{graph}");
        }
        for bad in ["", "datetime-value", "2026-08-20", "2026-13-20T05:06:07Z", "2026-08-20T05:06:07", "２026-08-20T05:06:07Z"] {
            assert_eq!(canonical_time(bad), None, "{bad}");
        }
    }

    #[test]
    fn formatting_cuts_below_a_millisecond() {
        let at = jiff::Timestamp::new(1_700_000_000, 999_999_999).expect("in range");
        assert_eq!(format_time(at), "2023-11-14T22:13:20.999Z");
    }
}
