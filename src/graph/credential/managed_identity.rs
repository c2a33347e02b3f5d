//! The managed identity of a virtual machine or an App Service: where it is asked, how often, and how its answers are read.
//! <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use secrecy::SecretString;
use url::{Host, Url};

use crate::graph::error::GraphError;
use crate::graph::link::Origin;

/// Tries of a request; before the first and each further one it is waited so long. <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#retry-guidance>
pub const DELAYS: [Duration; 5] =
    [Duration::ZERO, Duration::from_secs(2), Duration::from_secs(6), Duration::from_secs(14), Duration::from_secs(30)];
/// The service is updated for up to 70 seconds when it says so.
const WHILE_UPDATING: Duration = Duration::from_secs(20);
/// The metadata service of a virtual machine.
const METADATA: &str = "http://169.254.169.254";
/// Overrides its origin, as in Microsoft's own libraries; here for a stand-in on this machine.
const METADATA_ENV: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";
const ENDPOINT_ENV: &str = "IDENTITY_ENDPOINT";
const HEADER_ENV: &str = "IDENTITY_HEADER";

/// One way to ask.
#[derive(Debug)]
pub(in crate::graph) struct Question {
    pub url: Url,
    pub header: (&'static str, SecretString),
}

/// Origin that is asked: for its breaker and for messages.
pub(in crate::graph) fn origin() -> String {
    question(None, None, environment).map_or_else(|_| METADATA.into(), |question| question.url.origin().ascii_serialization())
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What to ask for a token for Graph, by this machine's environment.
pub(in crate::graph) fn ask(client_id: Option<&str>, graph_url: &Origin) -> Result<Question, GraphError> {
    question(client_id, Some(graph_url), environment)
}

fn question(
    client_id: Option<&str>,
    graph_url: Option<&Origin>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Question, GraphError> {
    let (place, name, version, header) = match (variable(ENDPOINT_ENV), variable(HEADER_ENV)) {
        (Some(endpoint), Some(header)) => (endpoint, ENDPOINT_ENV, "2019-08-01", ("x-identity-header", SecretString::from(header))),
        _ => {
            let origin = variable(METADATA_ENV).unwrap_or_else(|| METADATA.into());
            let endpoint = format!("{}/metadata/identity/oauth2/token", origin.trim_end_matches('/'));
            (endpoint, METADATA_ENV, "2018-02-01", ("metadata", SecretString::from("true")))
        }
    };
    let mut url = Url::parse(&place).ok().filter(is_of_this_machine).ok_or_else(|| {
        GraphError::secret(format!(
            "the environment variable {name} names no place on this machine: expected http:// and a loopback or link-local address"
        ))
    })?;
    let mut query = url.query_pairs_mut();
    query.clear().append_pair("api-version", version);
    if let Some(graph_url) = graph_url {
        query.append_pair("resource", graph_url.as_str());
    }
    if let Some(client_id) = client_id {
        query.append_pair("client_id", client_id);
    }
    drop(query);
    Ok(Question { url, header })
}

/// Such tokens travel unencrypted, so only where nobody else listens.
fn is_of_this_machine(url: &Url) -> bool {
    url.scheme() == "http"
        && match url.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback() || ip.is_link_local(),
            Some(Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        }
}

/// The way there: never through a proxy, and no redirect.
pub(in crate::graph) fn http() -> Result<reqwest::Client, GraphError> {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(30))
        .build()
        .map_err(GraphError::setup)
}

/// Whether a status goes away by itself: the service is updated (404, 410), busy, or in trouble.
pub(in crate::graph) fn is_transient(status: u16) -> bool {
    matches!(status, 404 | 408 | 410 | 429 | 500..)
}

/// How long to wait before the next try, at least; `None` = there is none.
pub(in crate::graph) fn delay(failures: u32, status: Option<u16>) -> Option<Duration> {
    let planned = *DELAYS.get(failures as usize)?;
    Some(if status == Some(410) { planned.max(WHILE_UPDATING) } else { planned })
}

/// Token and rest of its life. Figures come as numbers or as text; one service tells the span, the other the end in Unix seconds.
pub(in crate::graph) fn token(json: &serde_json::Value, now: SystemTime) -> Option<(SecretString, Duration)> {
    let number = |name: &str| {
        let value = json.get(name)?;
        value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
    };
    let token = json.get("access_token")?.as_str().filter(|token| !token.is_empty())?;
    let life = match (number("expires_in"), number("expires_on")) {
        (Some(seconds), _) => Duration::from_secs(seconds),
        (None, Some(end)) => (UNIX_EPOCH + Duration::from_secs(end.min(1 << 40))).duration_since(now).unwrap_or_default(),
        (None, None) => Duration::from_secs(300),
    };
    Some((SecretString::from(token), life))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn asked(variables: &[(&str, &str)], client_id: Option<&str>) -> Result<Question, String> {
        let origin = Origin::parse("https://graph.microsoft.com").expect("an origin");
        let variable = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        question(client_id, Some(&origin), variable).map_err(|e| e.to_string())
    }

    #[test]
    fn the_environment_says_where_to_ask() {
        let machine = asked(&[], None).expect("a question");
        assert_eq!(
            machine.url.as_str(),
            "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fgraph.microsoft.com"
        );
        assert_eq!((machine.header.0, machine.header.1.expose_secret()), ("metadata", "true"));
        let service = [("IDENTITY_ENDPOINT", "http://127.0.0.1:41234/msi/token/"), ("IDENTITY_HEADER", "h")];
        let service = asked(&service, Some("c")).expect("a question");
        assert_eq!(
            service.url.as_str(),
            "http://127.0.0.1:41234/msi/token/?api-version=2019-08-01&resource=https%3A%2F%2Fgraph.microsoft.com&client_id=c"
        );
        assert!(!format!("{service:?}").contains("\"h\""), "{service:?}");
    }

    #[test]
    fn nothing_is_asked_of_another_machine() {
        for place in [
            "http://10.0.0.1",
            "https://127.0.0.1",
            "http://169.253.169.254",
            "http://example.com",
            "nonsense",
            "http://localhost.example.com",
        ] {
            let error = asked(&[(METADATA_ENV, place)], None).expect_err(place);
            assert!(error.contains(METADATA_ENV) && error.contains("loopback"), "{error}");
            assert!(asked(&[(ENDPOINT_ENV, place), (HEADER_ENV, "h")], None).is_err(), "{place}");
        }
        for place in ["http://127.0.0.1:8080", "http://[::1]:80/", "http://localhost:9", "http://169.254.169.254"] {
            assert!(asked(&[(METADATA_ENV, place)], None).is_ok(), "{place}");
        }
    }

    #[test]
    fn figures_are_numbers_or_text() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        for (text, life) in [
            (r#"{"access_token":"t","expires_in":"3599","expires_on":"1"}"#, 3599),
            (r#"{"access_token":"t","expires_in":86399}"#, 86399),
            (r#"{"access_token":"t","expires_on":"1003600"}"#, 3600),
            (r#"{"access_token":"t","expires_on":"999"}"#, 0),
            (r#"{"access_token":"t","expires_on":"soon"}"#, 300),
        ] {
            let (bearer, span) = token(&serde_json::from_str(text).expect("json"), now).expect(text);
            assert_eq!((bearer.expose_secret(), span), ("t", Duration::from_secs(life)), "{text}");
        }
        for text in ["{}", r#"{"access_token":""}"#, r#"{"access_token":5}"#, "[]"] {
            assert!(token(&serde_json::from_str(text).expect("json"), now).is_none(), "{text}");
        }
    }

    #[test]
    fn the_retry_plan_is_microsofts() {
        let waits: Vec<u64> = (1..).map_while(|failures| delay(failures, Some(500))).map(|wait| wait.as_secs()).collect();
        assert_eq!(waits, [2, 6, 14, 30]);
        // Whoever is told of an update waits longer than it takes.
        let updating: Duration = (1..).map_while(|failures| delay(failures, Some(410))).sum();
        assert!(updating >= Duration::from_secs(70), "{updating:?}");
        let retried: Vec<u16> = (400..600).filter(|status| is_transient(*status)).collect();
        assert_eq!(retried[..4], [404, 408, 410, 429]);
        assert!(!is_transient(400) && is_transient(503));
    }
}
