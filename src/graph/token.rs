//! Tokens by client credentials: one for an app and tenant, refreshed early, by one request however many wait for it.
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use http::header::RETRY_AFTER;
use oauth2::basic::BasicClient;
use oauth2::{AuthType, ClientId, ClientSecret, HttpRequest, HttpResponse, Scope, TokenResponse, TokenUrl};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use super::aadsts;
use super::client::{Endpoint, SecretSource};
use super::clock::Clock as ServiceClock;
use super::error::GraphError;
use super::queue::{Queue, Sign};
use super::retry;
use crate::clock;

/// A token is renewed this long before it ends, or at four fifths of its life when that is short.
const EARLY: Duration = Duration::from_secs(5 * 60);
/// Tokens live for a day at most, whatever is said: a moment too far away could not be reckoned with.
const LONGEST_LIFE: Duration = Duration::from_secs(86_400);
/// Tries of a token request that fails in passing.
const TRIES: u32 = 5;
/// Longest answer of the token endpoint, bytes.
const LONGEST_ANSWER: usize = 256 * 1024;

/// While a token is good still, its renewal is tried again so often.
const RENEW_AGAIN: Duration = Duration::from_secs(30);
/// A caller that does not wait for ever waits at most this long for a token endpoint that is out.
const PATIENCE: Duration = Duration::from_secs(20);

/// A token in use. Its number tells it from its successor.
#[derive(Clone)]
pub(super) struct Token {
    pub number: u64,
    pub bearer: Arc<SecretString>,
    renew_at: Instant,
    ends_at: Instant,
}

/// The tokens of one app in one tenant.
pub(super) struct Tokens {
    endpoint: Endpoint,
    /// Never held while anything is awaited.
    current: std::sync::Mutex<Option<Token>>,
    /// Held by who fetches one; the number of the last.
    fetching: Mutex<u64>,
    /// For the breaker of the token endpoint.
    queue: Arc<Queue>,
    /// How long to wait for an endpoint that is out; `None` = for ever.
    patience: Option<Duration>,
    /// The service's clock, as its answers show it.
    pub clock: ServiceClock,
}

/// What a failed request says of the token endpoint.
#[derive(Clone, Copy, Debug)]
struct Heard {
    sign: Sign,
    /// It asked to wait.
    asked: Option<Duration>,
}

impl Tokens {
    /// `give_up_after` is how long the client's calls go on, see [`super::client::Settings`].
    pub fn new(endpoint: Endpoint, queue: Arc<Queue>, give_up_after: Option<Duration>) -> Tokens {
        Tokens {
            endpoint,
            current: std::sync::Mutex::default(),
            fetching: Mutex::default(),
            queue,
            patience: give_up_after.map(|limit| limit.min(PATIENCE)),
            clock: ServiceClock::default(),
        }
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Option<Token>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token in hand, when it is good at this moment. Fetches none.
    pub fn in_hand(&self) -> Option<Token> {
        self.current().clone().filter(|token| clock::instant() < token.ends_at)
    }

    /// A token that is good for a while. Callers that come while one is fetched wait for that one.
    pub async fn get(&self, http: &reqwest::Client) -> Result<Token, GraphError> {
        let mut number = self.fetching.lock().await;
        let old = self.in_hand();
        if let Some(token) = old.as_ref().filter(|token| clock::instant() < token.renew_at) {
            return Ok(token.clone());
        }
        // A renewal is early: should it fail, the token in hand does for now.
        let (tries, patience) = if old.is_some() { (1, Some(Duration::ZERO)) } else { (TRIES, self.patience) };
        let (bearer, life) = match (self.fetch(http, tries, patience).await, old) {
            (Ok(fetched), _) => fetched,
            (Err(error), Some(mut old)) if error.is_transient() => {
                tracing::debug!(tenant = self.endpoint.name, %error, "the token is not renewed yet");
                old.renew_at = clock::instant() + RENEW_AGAIN;
                // It may have been refused or forgotten meanwhile.
                if let Some(current) = self.current().as_mut().filter(|current| current.number == old.number) {
                    current.renew_at = old.renew_at;
                }
                return Ok(old);
            }
            (Err(error), _) => return Err(error),
        };
        // Jitter keeps the tenants of a daemon from renewing all at once.
        let early = EARLY.min(life / 5).mul_f64(1.0 + 0.2 * fastrand::f64());
        *number += 1;
        let now = clock::instant();
        let token = Token {
            number: *number,
            bearer: Arc::new(bearer),
            renew_at: now + life.saturating_sub(early),
            ends_at: now + life.mul_f64(0.95),
        };
        *self.current() = Some(token.clone());
        Ok(token)
    }

    /// Graph did not accept this token. Only its first report counts: whoever comes later gets the successor.
    pub fn refused(&self, number: u64) {
        let mut current = self.current();
        if current.as_ref().is_some_and(|token| token.number == number) {
            *current = None;
        }
    }

    /// Takes a new token the next time.
    pub fn forget(&self) {
        *self.current() = None;
    }

    async fn fetch(&self, http: &reqwest::Client, tries: u32, patience: Option<Duration>) -> Result<(SecretString, Duration), GraphError> {
        let Endpoint { name, tenant_id, login_url, .. } = &self.endpoint;
        let path = format!("/{tenant_id}/oauth2/v2.0/token");
        let mut attempt = 0;
        loop {
            let Some(pass) = self.queue.pass(login_url.as_str(), tenant_id, patience).await else {
                return Err(self.refused_login(None, "unavailable", &format!("{login_url} does not answer"), true));
            };
            let (error, heard) = match self.request(http).await {
                Ok(token) => {
                    pass.ended(&path, Sign::Works);
                    return Ok(token);
                }
                Err(SendError(error, heard)) => (error, heard),
            };
            if let Some(heard) = heard {
                pass.ended(&path, heard.sign);
            }
            attempt += 1;
            if attempt >= tries || !error.is_transient() {
                return Err(error);
            }
            tracing::debug!(tenant = name, attempt, %error, "token request");
            let backoff = retry::backoff(attempt, fastrand::f64());
            let wait = match heard.and_then(|heard| heard.asked) {
                Some(asked) if patience.is_some_and(|limit| asked > limit) => return Err(error),
                // Believed to the letter, unless it proves too short.
                Some(asked) if attempt <= 2 => asked,
                asked => backoff.max(asked.unwrap_or_default()),
            };
            tokio::time::sleep(wait).await;
        }
    }

    async fn request(&self, http: &reqwest::Client) -> Result<(SecretString, Duration), SendError> {
        let Endpoint { tenant_id, login_url, graph_url, client_id, secret, .. } = &self.endpoint;
        let secret = read_secret(secret).map_err(SendError::unsent)?;
        let url = TokenUrl::new(format!("{login_url}/{tenant_id}/oauth2/v2.0/token"))
            .map_err(|_| SendError::unsent(GraphError::setup(format_args!("the tenant id {tenant_id:?} makes no URL"))))?;
        let client = BasicClient::new(ClientId::new(client_id.clone()))
            .set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()))
            .set_token_uri(url)
            .set_auth_type(AuthType::RequestBody);
        let send = Sender { tokens: self, http };
        let answer = client
            .exchange_client_credentials()
            .add_scope(Scope::new(format!("{graph_url}/.default")))
            .request_async(&send)
            .await
            .map_err(|error| match error {
                oauth2::RequestTokenError::Request(error) => error,
                // The parse error of the crate quotes the answer, which may hold a token.
                _ => SendError(
                    self.refused_login(None, "invalid_response", "the answer is not the JSON of a token", true),
                    Some(Heard { sign: Sign::Works, asked: None }),
                ),
            })?;
        Ok((SecretString::from(answer.access_token().secret().as_str()), life(answer.expires_in())))
    }

    fn refused_login(&self, code: Option<u32>, error: &str, description: &str, transient: bool) -> GraphError {
        GraphError::login(&self.endpoint.tenant_id, code, error, description, transient)
    }

    /// Sends a token request; an answer that is not a success becomes the error that its body tells.
    async fn send(&self, http: &reqwest::Client, request: HttpRequest) -> Result<HttpResponse, SendError> {
        let request = reqwest::Request::try_from(request).map_err(|e| SendError::unsent(GraphError::transport(&e)))?;
        let response = http.execute(request).await.map_err(|e| SendError::broken(GraphError::transport(&e)))?;
        let status = response.status();
        let now = self.clock.heard(response.headers()).unwrap_or_else(SystemTime::now);
        let retry_after = response.headers().get(RETRY_AFTER);
        let asked = retry_after.and_then(|value| retry::retry_after(value.to_str().ok()?, now));
        let body = super::body::read(response, LONGEST_ANSWER, "the token endpoint").await.map_err(SendError::broken)?;
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        if !status.is_success() {
            let text = |name: &str| json.get(name).and_then(|v| v.as_str()).unwrap_or_default();
            let code = json
                .get("error_codes")
                .and_then(|codes| codes.get(0)?.as_u64())
                .and_then(|code| u32::try_from(code).ok())
                .or_else(|| code_in(text("error_description")));
            let transient = retry::is_transient(status.as_u16())
                || text("error") == "temporarily_unavailable"
                || code.is_some_and(|code| aadsts::TRANSIENT.contains(&code));
            let error = match text("error") {
                "" => format!("{} answered {status}", self.endpoint.login_url),
                error => error.to_owned(),
            };
            let sign = if status.is_server_error() { Sign::Fails { connected: true } } else { Sign::Works };
            let heard = Heard { sign, asked };
            return Err(SendError(self.refused_login(code, &error, text("error_description"), transient), Some(heard)));
        }
        let mut answer = HttpResponse::new(numbers(json, &body));
        answer.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        Ok(answer)
    }
}

/// How long a token is good for, when its issuer says this.
fn life(told: Option<Duration>) -> Duration {
    told.unwrap_or(Duration::from_secs(300)).min(LONGEST_LIFE)
}

/// Some issuers write numbers as strings; the library wants numbers.
fn numbers(mut json: serde_json::Value, body: &[u8]) -> Vec<u8> {
    let number = json.get("expires_in").and_then(|v| v.as_str()?.parse::<u64>().ok());
    match (number, json.get_mut("expires_in")) {
        (Some(number), Some(place)) => {
            *place = number.into();
            json.to_string().into_bytes()
        }
        _ => body.to_vec(),
    }
}

fn code_in(description: &str) -> Option<u32> {
    let digits: String = description.split("AADSTS").nth(1)?.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Reads the secret anew each time: it may have been exchanged.
fn read_secret(source: &SecretSource) -> Result<SecretString, GraphError> {
    let (text, from) = match source {
        SecretSource::File(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|e| GraphError::secret(format!("cannot read the client secret from {}: {e}", path.display())))?;
            (text, path.display().to_string())
        }
        SecretSource::Env(name) => {
            let text = std::env::var(name)
                .map_err(|_| GraphError::secret(format!("the environment variable {name} (client_secret_env) is not set")))?;
            (text, name.clone())
        }
        SecretSource::Value(secret) => return Ok(secret.clone()),
    };
    match text.trim() {
        "" => Err(GraphError::secret(format!("the client secret in {from} is empty"))),
        secret => Ok(SecretString::from(secret)),
    }
}

/// The library's way to our HTTP client.
struct Sender<'s> {
    tokens: &'s Tokens,
    http: &'s reqwest::Client,
}

impl<'c> oauth2::AsyncHttpClient<'c> for Sender<'_> {
    type Error = SendError;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<HttpResponse, SendError>> + Send + 'c>>;
    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.tokens.send(self.http, request))
    }
}

/// The library wants an error type of its own kind.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct SendError(GraphError, Option<Heard>);

impl SendError {
    fn unsent(error: GraphError) -> SendError {
        SendError(error, None)
    }

    fn broken(error: GraphError) -> SendError {
        let sign = Sign::Fails { connected: !error.is_unreachable() };
        SendError(error, Some(Heard { sign, asked: None }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_in_descriptions() {
        assert_eq!(code_in("AADSTS7000215: Invalid client secret provided."), Some(7_000_215));
        assert_eq!(code_in("no code"), None);
    }

    #[test]
    fn no_lifetime_is_too_long_to_reckon_with() {
        assert_eq!(life(Some(Duration::from_secs(3599))), Duration::from_secs(3599));
        for told in [Duration::from_secs(u64::MAX), Duration::MAX] {
            assert!(Instant::now().checked_add(life(Some(told))).is_some());
        }
    }

    #[test]
    fn lifetimes_may_be_text() {
        let body = br#"{"expires_in":"3599"}"#;
        let json = serde_json::from_slice(body).expect("json");
        assert_eq!(numbers(json, body), br#"{"expires_in":3599}"#);
    }
}
