//! What can go wrong with a call, by status first and code second, with what to do about it. Shows no token, secret or query of a link.

use std::fmt;

use super::aadsts;
use super::call::CallStats;
use super::link::{Link, Origin};

/// An error of Graph or of the way to it.
#[derive(Debug)]
pub struct GraphError {
    kind: Box<Kind>,
    stats: CallStats,
}

#[derive(Debug)]
enum Kind {
    /// Graph answered with an error.
    Answer(Answer),
    /// The token endpoint refused.
    Login {
        tenant: String,
        code: Option<u32>,
        error: String,
        description: String,
        transient: bool,
    },
    /// The secret could not be read.
    Secret {
        what: String,
    },
    ForeignLink {
        expected: String,
        found: String,
    },
    BadLink {
        what: &'static str,
    },
    /// The answer is not what Graph promises.
    Body {
        path: String,
        what: String,
    },
    Redirect {
        path: String,
        status: u16,
        to: String,
    },
    Transport {
        what: String,
        timeout: bool,
        connected: bool,
    },
    /// Nothing came for a long time.
    Stalled {
        after: std::time::Duration,
    },
    /// A one-shot command waited long enough.
    GaveUp {
        path: String,
        after: std::time::Duration,
        last: String,
    },
    Setup {
        what: String,
    },
}

/// An error answer of Graph.
#[derive(Debug)]
pub(super) struct Answer {
    pub path: String,
    pub status: u16,
    pub code: String,
    pub message: String,
    pub request_id: String,
    pub location: Option<Link>,
    /// Whether the page was asked by a stored or followed link rather than a first query.
    pub body_empty: bool,
}

/// Why a resource cannot be read at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The app lacks a permission.
    Permission,
    /// The tenant lacks a licence.
    Licence,
}

/// A refusal that no retry changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub kind: RefusalKind,
    pub code: String,
    pub message: String,
}

impl GraphError {
    fn new(kind: Kind) -> GraphError {
        GraphError { kind: Box::new(kind), stats: CallStats::default() }
    }
    pub(super) fn answer(answer: Answer) -> GraphError {
        GraphError::new(Kind::Answer(answer))
    }
    pub(super) fn login(tenant: &str, code: Option<u32>, error: &str, description: &str, transient: bool) -> GraphError {
        // Descriptions end with ids and a timestamp on lines of their own: only the first line says what happened.
        let description = description.lines().next().unwrap_or_default().to_owned();
        GraphError::new(Kind::Login { tenant: tenant.into(), code, error: error.into(), description, transient })
    }
    pub(super) fn secret(what: String) -> GraphError {
        GraphError::new(Kind::Secret { what })
    }
    pub(super) fn foreign_link(expected: &Origin, found: &str) -> GraphError {
        GraphError::new(Kind::ForeignLink { expected: expected.to_string(), found: found.into() })
    }
    pub(super) fn bad_link(what: &'static str) -> GraphError {
        GraphError::new(Kind::BadLink { what })
    }
    pub(super) fn body(path: &str, what: impl Into<String>) -> GraphError {
        GraphError::new(Kind::Body { path: path.into(), what: what.into() })
    }
    pub(super) fn redirect(path: &str, status: u16, to: String) -> GraphError {
        GraphError::new(Kind::Redirect { path: path.into(), status, to })
    }
    pub(super) fn transport(error: &reqwest::Error) -> GraphError {
        // The error's own text would show the URL with its tokens.
        let mut what = match () {
            () if error.is_timeout() => "the request timed out".to_owned(),
            () if error.is_connect() => "cannot connect".to_owned(),
            () => "the connection failed".to_owned(),
        };
        let mut source = std::error::Error::source(error);
        let mut innermost = None;
        while let Some(inner) = source {
            innermost = Some(inner.to_string());
            source = inner.source();
        }
        if let Some(inner) = innermost.filter(|inner| !inner.contains("http")) {
            what = format!("{what}: {inner}");
        }
        GraphError::new(Kind::Transport { what, timeout: error.is_timeout(), connected: !error.is_connect() })
    }
    pub(super) fn gave_up(path: &str, after: std::time::Duration, last: impl fmt::Display) -> GraphError {
        GraphError::new(Kind::GaveUp { path: path.into(), after, last: last.to_string() })
    }
    /// Nothing came for so long; who waits decides how long that is.
    pub fn stalled(after: std::time::Duration) -> GraphError {
        GraphError::new(Kind::Stalled { after })
    }
    pub(super) fn setup(what: impl fmt::Display) -> GraphError {
        GraphError::new(Kind::Setup { what: what.to_string() })
    }
    /// For what cannot happen while this program is right.
    pub fn internal(what: &str) -> GraphError {
        GraphError::new(Kind::Setup { what: what.to_owned() })
    }
    pub(super) fn with_stats(mut self, stats: CallStats) -> GraphError {
        self.stats = stats;
        self
    }

    /// What the failed call cost.
    pub fn stats(&self) -> CallStats {
        self.stats
    }

    /// HTTP status of Graph's answer.
    pub fn status(&self) -> Option<u16> {
        match &*self.kind {
            Kind::Answer(answer) => Some(answer.status),
            Kind::Redirect { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Graph's error code, the deepest one that says something.
    pub fn code(&self) -> Option<&str> {
        match &*self.kind {
            Kind::Answer(answer) => Some(&answer.code),
            _ => None,
        }
    }

    /// The delta token or page chain is no longer valid and the stream must start from scratch; the inner link is where Graph says to
    /// start, when that is on our origin. <https://learn.microsoft.com/graph/delta-query-overview>
    pub fn sync_state_lost(&self) -> Option<Option<&Link>> {
        let Kind::Answer(answer) = &*self.kind else { return None };
        let code = answer.code.to_ascii_lowercase();
        let lost = answer.status == 410
            || (400..500).contains(&answer.status) && (code == "syncstatenotfound" || code == "resyncrequired")
            || answer.status == 400 && answer.message.contains("must reach steady state");
        lost.then_some(answer.location.as_ref())
    }

    /// A page token died: the listing must be started over. <https://learn.microsoft.com/graph/paging>
    pub fn page_token_lost(&self) -> bool {
        let Kind::Answer(answer) = &*self.kind else { return false };
        let code = answer.code.to_ascii_lowercase();
        let message = answer.message.to_ascii_lowercase();
        matches!(answer.status, 400 | 404)
            && (code.contains("expiredpagetoken")
                || code.contains("pagetokennotfound")
                || message.contains("pagetokennotfound")
                || message.contains("skip token")
                || message.contains("skiptoken")
                || message.contains("token not found"))
    }

    /// Graph does not accept the page size that was asked for; some endpoints have changed theirs without notice.
    pub fn is_page_size_refusal(&self) -> bool {
        let Kind::Answer(answer) = &*self.kind else { return false };
        let message = answer.message.to_ascii_lowercase();
        answer.status == 400 && (message.contains("page size") || message.contains("'top'") || message.contains("$top"))
    }

    /// The resource cannot be read at all by this app in this tenant.
    pub fn refusal(&self) -> Option<Refusal> {
        let Kind::Answer(answer) = &*self.kind else { return None };
        let kind = match (answer.status, answer.code.as_str()) {
            (403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant") | (400, "AadPremiumLicenseRequired") => RefusalKind::Licence,
            (403, _) => RefusalKind::Permission,
            _ => return None,
        };
        Some(Refusal { kind, code: answer.code.clone(), message: answer.message.clone() })
    }

    /// The token endpoint refused, or the secret could not be read.
    pub fn is_login(&self) -> bool {
        matches!(&*self.kind, Kind::Login { .. } | Kind::Secret { .. })
    }

    /// A link or redirect led to another host.
    pub fn is_foreign_link(&self) -> bool {
        matches!(&*self.kind, Kind::ForeignLink { .. } | Kind::Redirect { .. })
    }

    /// Another try may succeed.
    pub fn is_transient(&self) -> bool {
        match &*self.kind {
            Kind::Answer(answer) => super::retry::is_transient(answer.status),
            Kind::Login { transient, .. } => *transient,
            Kind::Transport { .. } | Kind::Body { .. } | Kind::GaveUp { .. } => true,
            _ => false,
        }
    }

    /// Nobody is at the other end, or nothing came from there.
    pub(super) fn is_unreachable(&self) -> bool {
        matches!(&*self.kind, Kind::Transport { connected: false, .. })
    }

    pub(super) fn is_gave_up(&self) -> bool {
        matches!(&*self.kind, Kind::GaveUp { .. })
    }

    /// Part of the answer came, but not one that can be read. Sending it again may help, but for ever would be too long: some stay so.
    pub(super) fn is_body(&self) -> bool {
        matches!(&*self.kind, Kind::Body { .. })
    }

    pub(super) fn is_body_less_400(&self) -> bool {
        matches!(&*self.kind, Kind::Answer(answer) if answer.status == 400 && answer.body_empty)
    }

    /// Graph's `request-id`, for a support case.
    pub fn request_id(&self) -> Option<&str> {
        match &*self.kind {
            Kind::Answer(answer) if !answer.request_id.is_empty() => Some(&answer.request_id),
            _ => None,
        }
    }

    /// What an operator can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match &*self.kind {
            Kind::Login { code, tenant, .. } => return code.and_then(|code| aadsts::hint(code, tenant)),
            Kind::Secret { .. } => "check client_secret_file or client_secret_env of the app in the configuration".into(),
            Kind::Answer(answer) => match answer.status {
                401 => {
                    "Graph does not accept the token: check that login_url, graph_url and cloud belong together, and this machine's clock"
                        .into()
                }
                429 | 503 => "Graph asks to wait: the next run goes on from here".into(),
                500..=599 => "Graph is in trouble, not this program: the next run goes on from here".into(),
                _ => return None,
            },
            Kind::ForeignLink { .. } | Kind::Redirect { .. } => {
                "nothing was sent there. Check graph_url; if it is right, report this to Microsoft with the time".into()
            }
            // Of what was tried before a request was given up only the text is left.
            Kind::Transport { what: last, .. } | Kind::GaveUp { last, .. } if last.contains("Too many open files") => {
                "this process may not open more files: raise LimitNOFILE in its unit file (or `ulimit -n`); the next run goes on from here"
                    .into()
            }
            Kind::Transport { timeout: true, .. } => "the network or the service is slow: the next run goes on from here".into(),
            Kind::Transport { .. } => "check the network, DNS, proxy and firewall between this machine and login_url and graph_url".into(),
            Kind::GaveUp { .. } => "run it again later, or raise [sync] give_up_after_secs; what was fetched is kept".into(),
            Kind::Stalled { .. } => "Graph is out, slow, or asks to wait: the next run goes on from here".into(),
            Kind::Body { .. } | Kind::BadLink { .. } | Kind::Setup { .. } => return None,
        })
    }
}

impl fmt::Display for GraphError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.kind {
            Kind::Answer(Answer { path, status, code, message, request_id, .. }) => {
                write!(f, "GET {path} answered {status}")?;
                if !code.is_empty() {
                    write!(f, " {code}")?;
                }
                if !message.is_empty() {
                    write!(f, ": {message}")?;
                }
                if !request_id.is_empty() {
                    write!(f, " (request-id {request_id})")?;
                }
                Ok(())
            }
            Kind::Login { tenant, code, error, description, .. } => {
                write!(f, "no token for tenant {tenant}: ")?;
                match code {
                    Some(code) if !description.contains("AADSTS") => write!(f, "AADSTS{code} {error}: {description}"),
                    _ if description.is_empty() => f.write_str(error),
                    _ => f.write_str(description),
                }
            }
            Kind::Secret { what } => f.write_str(what),
            Kind::ForeignLink { expected, found } => write!(f, "Graph sent a link to {found} instead of {expected}: refused"),
            Kind::BadLink { what } => write!(f, "Graph sent a link that cannot be followed: {what}"),
            Kind::Body { path, what } => write!(f, "GET {path}: {what}"),
            Kind::Redirect { path, status, to } => write!(f, "GET {path} answered {status}, a redirect to {to}: refused"),
            Kind::Transport { what, .. } => f.write_str(what),
            Kind::GaveUp { path, after, last } => write!(f, "GET {path}: gave up after {} s: {last}", after.as_secs()),
            Kind::Setup { what } => write!(f, "cannot set up the request: {what}"),
            Kind::Stalled { after } => write!(f, "no page came for {} s", after.as_secs()),
        }
    }
}

impl std::error::Error for GraphError {}

/// Code and message of an error body: the deepest code of `error` and its nested `innerError`s. Bodies may be empty or not JSON.
pub(super) fn read_error_body(body: &[u8]) -> (String, String) {
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(body) else { return Default::default() };
    let mut error = json.get("error").unwrap_or(&serde_json::Value::Null);
    let text = |value: &serde_json::Value, name: &str| value.get(name).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
    let message = text(error, "message");
    let mut code = text(error, "code");
    for _ in 0..8 {
        let Some(inner) = error.get("innerError").or_else(|| error.get("innererror")) else { break };
        let deeper = text(inner, "code");
        if !deeper.is_empty() {
            code = deeper;
        }
        error = inner;
    }
    // Both are shown: short, and without what would steer a terminal or begin a new line of a log.
    let shown = |text: String, most: usize| -> String { text.chars().filter(|c| !c.is_control()).take(most).collect() };
    (shown(code, 100), shown(message, 500))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> GraphError {
        let (code, message) = read_error_body(body.as_bytes());
        GraphError::answer(Answer {
            path: "/v1.0/users/delta".into(),
            status,
            code,
            message,
            request_id: "r".into(),
            location: None,
            body_empty: body.is_empty(),
        })
    }

    #[test]
    fn lost_state_is_known_by_status_or_code_in_any_case() {
        assert!(answer(410, "").sync_state_lost().is_some());
        for code in ["syncStateNotFound", "SyncStateNotFound", "resyncRequired"] {
            assert!(answer(400, &format!(r#"{{"error":{{"code":"{code}","message":"m"}}}}"#)).sync_state_lost().is_some());
            let nested = format!(r#"{{"error":{{"code":"BadRequest","innererror":{{"code":"{code}"}}}}}}"#);
            assert!(answer(400, &nested).sync_state_lost().is_some());
        }
        assert!(answer(400, r#"{"error":{"code":"Request_BadRequest"}}"#).sync_state_lost().is_none());
        assert!(answer(500, r#"{"error":{"code":"syncStateNotFound"}}"#).sync_state_lost().is_none());
    }

    #[test]
    fn dead_page_tokens_are_known() {
        assert!(answer(400, r#"{"error":{"code":"Directory_ExpiredPageToken","message":"x"}}"#).page_token_lost());
        assert!(answer(400, r#"{"error":{"code":"UnknownError","message":"Invalid Skip Token, skip token is null"}}"#).page_token_lost());
        assert!(!answer(400, r#"{"error":{"code":"Request_UnsupportedQuery","message":"x"}}"#).page_token_lost());
    }

    #[test]
    fn refusals_tell_licence_from_permission() {
        let kind =
            |status, code: &str| answer(status, &format!(r#"{{"error":{{"code":"{code}","message":"m"}}}}"#)).refusal().map(|r| r.kind);
        assert_eq!(kind(403, "Authorization_RequestDenied"), Some(RefusalKind::Permission));
        assert_eq!(kind(403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant"), Some(RefusalKind::Licence));
        assert_eq!(kind(400, "AadPremiumLicenseRequired"), Some(RefusalKind::Licence));
        assert_eq!(kind(404, "Request_ResourceNotFound"), None);
    }

    #[test]
    fn bodies_of_any_kind_are_read() {
        assert_eq!(read_error_body(b""), Default::default());
        assert_eq!(read_error_body(b"<html>"), Default::default());
        assert_eq!(read_error_body(br#"{"error":"text"}"#), Default::default());
        assert_eq!(read_error_body(br#"{"error":{"code":"","message":"a\nb"}}"#), (String::new(), "ab".into()));
        let (code, message) =
            read_error_body(format!(r#"{{"error":{{"code":"a\u001b[2J{0}","message":"{0}"}}}}"#, "b".repeat(1000)).as_bytes());
        assert!(code.starts_with("a[2Jb") && code.len() == 100 && message.len() == 500, "{code:?} {message:?}");
    }
}
