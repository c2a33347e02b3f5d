//! What Graph's answers say about throttling, in their headers. Reads only; what follows from it is decided in the queue.
//! <https://learn.microsoft.com/graph/throttling-limits>

use http::HeaderMap;

/// The throttling headers of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Signals {
    /// Resource units that the request cost.
    pub units: Option<u32>,
    /// Share of the limit that is used: 1 = all of it. Told from 0.8 on, and by no means always.
    pub share: Option<f64>,
    /// The limit that was hit is the app's over all its tenants.
    pub application: bool,
}

impl Signals {
    pub fn read(headers: &HeaderMap) -> Signals {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let share = text("x-ms-throttle-limit-percentage").and_then(|share| share.parse::<f64>().ok());
        Signals {
            units: text("x-ms-resource-unit").and_then(|units| units.parse().ok()).filter(|units| *units > 0),
            share: share.filter(|share| share.is_finite() && (0.0..=10.0).contains(share)),
            application: text("x-ms-throttle-scope").is_some_and(|scope| scope.to_ascii_lowercase().starts_with("application")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&'static str, &'static str)]) -> Signals {
        let headers = headers.iter().map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value)));
        Signals::read(&headers.collect())
    }

    #[test]
    fn headers_are_read_and_nonsense_is_not_believed() {
        let all = read(&[
            ("x-ms-resource-unit", "3"),
            ("x-ms-throttle-limit-percentage", "1.2"),
            ("x-ms-throttle-scope", "Application/ReadWrite/app/tenant"),
        ]);
        assert_eq!(all, Signals { units: Some(3), share: Some(1.2), application: true });
        assert!(!read(&[("x-ms-throttle-scope", "Tenant_Application/ReadWrite/app/tenant")]).application);
        for headers in [
            vec![],
            vec![("x-ms-resource-unit", "0"), ("x-ms-throttle-limit-percentage", "NaN")],
            vec![("x-ms-resource-unit", "-1"), ("x-ms-throttle-limit-percentage", "1e99"), ("x-ms-throttle-scope", "")],
        ] {
            assert_eq!(read(&headers), Signals::default(), "{headers:?}");
        }
    }
}
