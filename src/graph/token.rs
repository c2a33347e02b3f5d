//! Tokens by client credentials: one for an app and tenant, refreshed early, by one request however many wait for it.
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>

use std::sync::Arc;
use std::time::{Duration, Instant};

use oauth2::basic::BasicClient;
use oauth2::{AuthType, ClientId, ClientSecret, HttpRequest, HttpResponse, Scope, TokenResponse, TokenUrl};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use super::aadsts;
use super::client::{Endpoint, SecretSource};
use super::clock::Clock;
use super::error::GraphError;
use super::retry;

/// A token is renewed this long before it ends, or at four fifths of its life when that is short.
const EARLY: Duration = Duration::from_secs(5 * 60);
/// Tokens live for a day at most, whatever is said: a moment too far away could not be reckoned with.
const LONGEST_LIFE: Duration = Duration::from_secs(86_400);
/// Tries of a token request that fails in passing.
const TRIES: u32 = 5;
/// Longest answer of the token endpoint, bytes.
const LONGEST_ANSWER: usize = 256 * 1024;

/// A token in use. Its number tells it from its successor.
#[derive(Clone)]
pub(super) struct Token {
    pub number: u64,
    pub bearer: Arc<SecretString>,
    renew_at: Instant,
}

/// The tokens of one app in one tenant.
pub(super) struct Tokens {
    endpoint: Endpoint,
    state: Mutex<(u64, Option<Token>)>,
    /// The service's clock, as its answers show it.
    pub clock: Clock,
}

impl Tokens {
    pub fn new(endpoint: Endpoint) -> Tokens {
        Tokens { endpoint, state: Mutex::new((0, None)), clock: Clock::default() }
    }

    /// A token that is good for a while. Callers that come while one is fetched wait for that one.
    pub async fn get(&self, http: &reqwest::Client) -> Result<Token, GraphError> {
        let mut state = self.state.lock().await;
        if let Some(token) = state.1.as_ref().filter(|token| Instant::now() < token.renew_at) {
            return Ok(token.clone());
        }
        let (bearer, life) = self.fetch(http).await?;
        // Jitter keeps the tenants of a daemon from renewing all at once.
        let early = EARLY.min(life / 5).mul_f64(1.0 + 0.2 * fastrand::f64());
        state.0 += 1;
        let token = Token { number: state.0, bearer: Arc::new(bearer), renew_at: Instant::now() + life.saturating_sub(early) };
        state.1 = Some(token.clone());
        Ok(token)
    }

    /// Graph did not accept this token. Only its first report counts: whoever comes later gets the successor.
    pub async fn refused(&self, number: u64) {
        let mut state = self.state.lock().await;
        if state.1.as_ref().is_some_and(|token| token.number == number) {
            state.1 = None;
        }
    }

    /// Takes a new token the next time.
    pub async fn forget(&self) {
        self.state.lock().await.1 = None;
    }

    async fn fetch(&self, http: &reqwest::Client) -> Result<(SecretString, Duration), GraphError> {
        let mut attempt = 0;
        loop {
            let error = match self.request(http).await {
                Ok(token) => return Ok(token),
                Err(error) => error,
            };
            attempt += 1;
            if attempt >= TRIES || !error.is_transient() {
                return Err(error);
            }
            tracing::debug!(tenant = self.endpoint.name, attempt, %error, "token request");
            tokio::time::sleep(retry::backoff(attempt, fastrand::f64())).await;
        }
    }

    async fn request(&self, http: &reqwest::Client) -> Result<(SecretString, Duration), GraphError> {
        let Endpoint { tenant_id, login_url, graph_url, client_id, secret, .. } = &self.endpoint;
        let secret = read_secret(secret)?;
        let url = TokenUrl::new(format!("{login_url}/{tenant_id}/oauth2/v2.0/token"))
            .map_err(|_| GraphError::setup(format_args!("the tenant id {tenant_id:?} makes no URL")))?;
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
                oauth2::RequestTokenError::Request(SendError(error)) => error,
                // The parse error of the crate quotes the answer, which may hold a token.
                _ => self.refused_login(None, "invalid_response", "the answer is not the JSON of a token", true),
            })?;
        Ok((SecretString::from(answer.access_token().secret().as_str()), life(answer.expires_in())))
    }

    fn refused_login(&self, code: Option<u32>, error: &str, description: &str, transient: bool) -> GraphError {
        GraphError::login(&self.endpoint.tenant_id, code, error, description, transient)
    }

    /// Sends a token request; an answer that is not a success becomes the error that its body tells.
    async fn send(&self, http: &reqwest::Client, request: HttpRequest) -> Result<HttpResponse, SendError> {
        let request = reqwest::Request::try_from(request).map_err(|e| SendError(GraphError::transport(&e)))?;
        let response = http.execute(request).await.map_err(|e| SendError(GraphError::transport(&e)))?;
        let status = response.status();
        self.clock.heard(response.headers());
        let body = super::body::read(response, LONGEST_ANSWER, "the token endpoint").await.map_err(SendError)?;
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
            return Err(SendError(self.refused_login(code, &error, text("error_description"), transient)));
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
struct SendError(GraphError);

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
