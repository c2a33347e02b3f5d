//! Named sets of faults for application developers, who want to see what their program does while a mirror has a bad day. Plain data.

use super::faults::{Action, Fault, Retry};

/// What there is, with what it is like.
pub const SCENARIOS: &[(&str, &str)] = &[
    ("throttled", "one request in five is refused with 429 and a Retry-After of a second"),
    ("flaky", "15 % of all requests fail in passing: 429, 500, 502, 503, 504, 509, broken, unreadable and slow answers"),
    ("outage", "nothing is answered but 503, from the second minute to the fourth"),
    ("spells", "throttling comes in spells of a second that grow for who asks again too early; some answers speak of the whole app"),
    ("sign-in", "the token endpoint is busy now and then, tokens are refused and challenged in the middle of a chain"),
    ("expired-tokens", "delta tokens and page tokens die now and then, so that rounds begin anew"),
    ("slow", "every answer takes a second, one in ten comes in drips over five"),
    ("messy", "deltas as bad as they get: empty pages, objects again and again, unknown types and annotations, changes during a round"),
];

/// A scenario.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    pub faults: Vec<Fault>,
    /// Delta with all its quirks, on small pages.
    pub messy: bool,
}

fn error(status: u16, code: &str, retry_after: Retry) -> Action {
    Action::Error { status, code: code.into(), message: "The simulator was asked for this.".into(), retry_after }
}

impl Scenario {
    /// The scenario of this name.
    pub fn named(name: &str) -> Option<Scenario> {
        let second = || Retry::Seconds("1".into());
        let faults = match name {
            "throttled" => vec![Fault::new("", error(429, "TooManyRequests", second())).every(5)],
            "flaky" => flaky(0.15),
            "spells" => {
                let shared = Action::Throttled { retry_after: second(), scope: "Application/ReadWrite".into(), share: "1.2".into() };
                vec![Fault::new("", Action::Spell { millis: 1000 }).after(10), Fault::new("", shared).after(30).every(40)]
            }
            "sign-in" => vec![
                Fault::new("oauth2", error(400, "90055", Retry::Missing)).every(3),
                Fault::new("", error(401, "InvalidAuthenticationToken", Retry::Missing)).after(10).every(25),
                Fault::new("", Action::Challenge { claims: "eyJhY2Nlc3NfdG9rZW4iOnt9fQ==".into() }).after(20).every(25),
            ],
            "outage" => vec![Fault::new("", error(503, "serviceNotAvailable", Retry::Missing)).within(60, 240)],
            "expired-tokens" => vec![
                Fault::new("$deltatoken", Action::Gone { location: true }).every(7),
                Fault::new("$deltatoken", error(400, "syncStateNotFound", Retry::Missing)).after(3).every(7),
                Fault::new("skiptoken", error(400, "Directory_ExpiredPageToken", Retry::Missing)).after(4).every(40),
                Fault::new("skiptoken", Action::LosePageToken).after(20).every(40),
            ],
            "slow" => {
                vec![Fault::new("", Action::Trickle { millis: 5000 }).every(10), Fault::new("", Action::Hang { millis: 1000 })]
            }
            "messy" => vec![
                Fault::new("delta", Action::Twice).every(5),
                Fault::new("delta", Action::Context).after(1).every(5),
                Fault::new("delta", Action::Change { events: 1 }).after(2).every(10),
                Fault::new("delta", Action::Parts).after(3).every(3),
                Fault::new("", Action::EmptyPage).after(4).every(9),
                Fault::new("skiptoken", Action::Overlap).after(5).every(9),
            ],
            _ => return None,
        };
        Some(Scenario { faults, messy: name == "messy" })
    }

    /// Faults as JSON: a list of what `POST /_simulator/faults` takes.
    ///
    /// # Errors
    /// Says where and why it cannot be read.
    pub fn read(json: &str) -> Result<Scenario, serde_json::Error> {
        Ok(Scenario { faults: serde_json::from_str(json)?, messy: false })
    }
}

/// This share of all requests fails, in every way that passes.
fn flaky(share: f64) -> Vec<Fault> {
    let plain = Action::Plain { status: 429, text: "Too Many Requests".into(), retry_after: Retry::Seconds("0".into()) };
    let actions = [
        error(429, "TooManyRequests", Retry::Seconds("0.05".into())),
        error(429, "TooManyRequests", Retry::Missing),
        error(429, "UnknownError", Retry::Date(1)),
        plain,
        Action::Throttled { retry_after: Retry::Seconds("0.05".into()), scope: "Tenant_Application/Read".into(), share: "1.1".into() },
        error(500, "Service_InternalServerError", Retry::Missing),
        error(502, "UnknownError", Retry::Missing),
        error(503, "serviceNotAvailable", Retry::Missing),
        error(503, "serviceNotAvailable", Retry::Seconds("0.05".into())),
        error(504, "UnknownError", Retry::Missing),
        error(509, "BandwidthLimitExceeded", Retry::Missing),
        Action::Reset,
        Action::Truncate,
        Action::Html { status: 200 },
        Action::Html { status: 503 },
        Action::Hang { millis: 2500 },
        Action::Trickle { millis: 2500 },
    ];
    // The first that hits counts: of what one leaves, the next has to take more for all to be equal.
    let each = share / actions.len() as f64;
    let left = |number: usize| 1.0 - each * number as f64;
    actions.into_iter().enumerate().map(|(number, action)| Fault::new("", action).probability(each / left(number))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_that_is_told_exists_and_files_are_read() {
        assert!(SCENARIOS.iter().all(|(name, _)| Scenario::named(name).is_some_and(|scenario| !scenario.faults.is_empty())));
        assert!(Scenario::named("calm").is_none());
        let json =
            r#"[{"matching": "users/delta", "times": 1, "from_seconds": 60, "action": {"error": {"status": 503}}}, {"action": "twice"}]"#;
        assert_eq!(Scenario::read(json).expect("faults").faults.len(), 2);
        assert!(Scenario::read(r#"[{"action": "twice", "probabilty": 0.1}]"#).is_err());
    }
}
