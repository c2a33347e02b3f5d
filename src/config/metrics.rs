//! Section `[metrics]`: where the daemon may be asked over TCP. Opens no port.

use std::net::SocketAddr;

use super::MetricsSettings;
use super::raw::RawMetrics;
use super::validate::Checks;

/// Checks the section; what it does not say is off.
pub(super) fn metrics(raw: &RawMetrics, checks: &mut Checks) -> MetricsSettings {
    let Some(text) = raw.listen.as_deref() else {
        if raw.listen_anywhere {
            checks.wrong("metrics.listen_anywhere", "means nothing without metrics.listen, such as \"0.0.0.0:9477\"");
        }
        return MetricsSettings::default();
    };
    // A name could come to mean another machine's address tomorrow; an address means what it says.
    let Ok(listen) = text.parse::<SocketAddr>() else {
        checks.wrong(
            "metrics.listen",
            format!("{text:?} is no address with a port: expected one such as \"127.0.0.1:9477\" or \"[::1]:9477\""),
        );
        return MetricsSettings::default();
    };
    if listen.port() == 0 {
        checks.wrong("metrics.listen", "port 0 is another port at each start, where no scraper would look; name one, such as 9477");
    }
    // There is no password: whoever reaches the port reads the names of tenants and how they fare.
    if !listen.ip().is_loopback() && !raw.listen_anywhere {
        checks.wrong(
            "metrics.listen",
            format!("{listen} is reachable from other machines: listen on 127.0.0.1, or say metrics.listen_anywhere = true"),
        );
    }
    MetricsSettings { listen: Some(listen) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(listen: Option<&str>, listen_anywhere: bool) -> Result<Option<SocketAddr>, Vec<String>> {
        let mut checks = Checks::default();
        let settings = metrics(&RawMetrics { listen: listen.map(str::to_owned), listen_anywhere }, &mut checks);
        let mistakes = checks.keys();
        if mistakes.is_empty() { Ok(settings.listen) } else { Err(mistakes) }
    }

    #[test]
    fn loopback_is_free_and_the_rest_must_be_asked_for() {
        assert_eq!(read(None, false), Ok(None));
        for good in ["127.0.0.1:9477", "[::1]:9477", "127.8.8.8:1"] {
            assert_eq!(read(Some(good), false), Ok(good.parse().ok()), "{good}");
        }
        for far in ["0.0.0.0:9477", "192.0.2.1:9477", "[::]:9477"] {
            assert_eq!(read(Some(far), false), Err(vec!["metrics.listen".to_owned()]), "{far}");
            assert_eq!(read(Some(far), true), Ok(far.parse().ok()), "{far}");
        }
        for bad in ["", "9477", "localhost:9477", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999"] {
            assert_eq!(read(Some(bad), false), Err(vec!["metrics.listen".to_owned()]), "{bad}");
        }
        assert_eq!(read(None, true), Err(vec!["metrics.listen_anywhere".to_owned()]));
    }
}
