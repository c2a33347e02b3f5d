//! Times as the contract wants them: UTC text of fixed width, so that they sort as text.

use std::borrow::Cow;

/// `YYYY-MM-DDTHH:MM:SS.sssZ` of now.
pub fn now() -> String {
    format_time(jiff::Timestamp::now())
}

/// `YYYY-MM-DDTHH:MM:SS.sssZ` of an instant; what is below a millisecond is cut.
pub fn format_time(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
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
    let at: jiff::Timestamp = text.parse().ok()?;
    let plain_fraction = |fraction: &str| fraction.is_empty() || fraction.starts_with('.');
    // A leap second, and a comma before the fraction, are read as well and mean the same as another text.
    if !utc || &bytes[17..19] == b"60" || !plain_fraction(&text[19..text.len() - 1]) {
        // Years before 1 and after 9999 have no fixed width.
        let time = format_time(at);
        return (time.len() == 24 && !time.starts_with('-')).then_some(Cow::Owned(time));
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
            ("2026-08-20T05:06:07,1239Z", "2026-08-20T05:06:07.123Z"),
            ("2026-08-20T05:06:07,123Z", "2026-08-20T05:06:07.123Z"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.000Z"),
            ("1969-12-31T23:59:59.7+00:00", "1969-12-31T23:59:59.700Z"),
        ] {
            assert_eq!(canonical_time(graph).as_deref(), Some(stored), "{graph}");
        }
        for bad in [
            "",
            "datetime-value",
            "2026-08-20",
            "2026-13-20T05:06:07Z",
            "2026-08-20T05:06:07",
            "-000001-01-01T00:00:00Z",
            "２026-08-20T05:06:07Z",
        ] {
            assert_eq!(canonical_time(bad), None, "{bad}");
        }
    }

    #[test]
    fn formatting_cuts_below_a_millisecond() {
        let at = jiff::Timestamp::new(1_700_000_000, 999_999_999).expect("in range");
        assert_eq!(format_time(at), "2023-11-14T22:13:20.999Z");
        let before_the_epoch = jiff::Timestamp::from_millisecond(-300).expect("in range");
        assert_eq!(format_time(before_the_epoch), "1969-12-31T23:59:59.700Z");
    }
}
