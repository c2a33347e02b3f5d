//! Tokens of an app: one for an app and tenant, refreshed early, by one request however many wait for it.
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use http::header::RETRY_AFTER;
use oauth2::basic::BasicClient;
use oauth2::{AuthType, ClientId, ClientSecret, HttpRequest, HttpResponse, Scope, TokenResponse, TokenUrl};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use super::aadsts;
use super::client::Endpoint;
use super::clock::Clock as ServiceClock;
use super::credential::{Credential, EXPIRY_WARNING, Proof, Statement, managed_identity};
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

/// The same of one whose federated credential is not known yet: a new one takes a while to be known everywhere.
const TRIES_WHILE_SETTLING: u32 = 6;
/// That a certificate ends soon is told so often.
const TELL_AGAIN: Duration = Duration::from_secs(24 * 3600);

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
    /// When it was told last that the certificate ends.
    expiry_told: std::sync::Mutex<Option<Instant>>,
    /// The service's clock, as its answers show it.
    pub clock: ServiceClock,
}

/// What a failed request says of the token endpoint.
#[derive(Clone, Copy, Debug)]
struct Heard {
    sign: Sign,
    /// It asked to wait.
    asked: Option<Duration>,
    /// Of its answer.
    status: Option<u16>,
}

impl Default for Heard {
    fn default() -> Heard {
        Heard { sign: Sign::Works, asked: None, status: None }
    }
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
            expiry_told: std::sync::Mutex::default(),
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
        let Endpoint { name, tenant_id, .. } = &self.endpoint;
        let issuer = self.endpoint.issuer();
        let path = format!("/{tenant_id}/oauth2/v2.0/token");
        let mut attempt = 0;
        let mut clock_corrected = false;
        loop {
            let Some(pass) = self.queue.pass(&issuer, tenant_id, patience).await else {
                return Err(self.refused_login(None, "unavailable", &format!("{issuer} does not answer"), true));
            };
            let asked = match self.endpoint.credential {
                Credential::ManagedIdentity { .. } => self.request_of_machine().await,
                _ => self.request(http).await,
            };
            let (error, heard) = match asked {
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
            // An assertion has its time by the service's clock, which this answer told.
            if self.is_mistimed(&error) && !std::mem::replace(&mut clock_corrected, true) {
                continue;
            }
            let Some(wait) = self.wait(&error, heard, attempt, tries, patience) else { return Err(error) };
            tracing::debug!(tenant = name, attempt, %error, "token request");
            tokio::time::sleep(wait).await;
        }
    }

    /// An own assertion was made by a wrong clock.
    fn is_mistimed(&self, error: &GraphError) -> bool {
        matches!(self.endpoint.credential, Credential::Certificate(_)) && error.login_code() == Some(aadsts::MISTIMED)
    }

    /// How long to wait before the next try; `None` = there is none.
    fn wait(&self, error: &GraphError, heard: Option<Heard>, attempt: u32, tries: u32, patience: Option<Duration>) -> Option<Duration> {
        let heard = heard.unwrap_or_default();
        let settling = tries > 1 && error.login_code().is_some_and(|code| aadsts::SETTLING.contains(&code));
        if settling {
            let spread = 0.5 + 0.5 * fastrand::f64();
            return (attempt < TRIES_WHILE_SETTLING).then(|| Duration::from_secs(1 << (attempt - 1).min(6)).mul_f64(spread));
        }
        if attempt >= tries || !error.is_transient() {
            return None;
        }
        let backoff = match self.endpoint.credential {
            Credential::ManagedIdentity { .. } => managed_identity::delay(attempt, heard.status)?,
            _ => retry::backoff(attempt, fastrand::f64()),
        };
        match heard.asked {
            Some(asked) if patience.is_some_and(|limit| asked > limit) => None,
            // Believed to the letter, unless it proves too short.
            Some(asked) if attempt <= 2 => Some(asked),
            asked => Some(backoff.max(asked.unwrap_or_default())),
        }
    }

    async fn request(&self, http: &reqwest::Client) -> Result<(SecretString, Duration), SendError> {
        let Endpoint { tenant_id, login_url, graph_url, client_id, credential, .. } = &self.endpoint;
        let url = format!("{login_url}/{tenant_id}/oauth2/v2.0/token");
        let statement = Statement { client_id, audience: &url, now: self.clock.now() };
        let proof = credential.proof(&statement).map_err(SendError::unsent)?;
        let url = TokenUrl::new(url)
            .map_err(|_| SendError::unsent(GraphError::setup(format_args!("the tenant id {tenant_id:?} makes no URL"))))?;
        let mut client = BasicClient::new(ClientId::new(client_id.clone())).set_token_uri(url).set_auth_type(AuthType::RequestBody);
        let assertion = match proof {
            Some(Proof::Secret(secret)) => {
                client = client.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()));
                None
            }
            Some(Proof::Assertion { token, not_after }) => {
                self.tell_expiry(not_after);
                Some(token)
            }
            None => None,
        };
        let mut exchange = client.exchange_client_credentials().add_scope(Scope::new(format!("{graph_url}/.default")));
        if let Some(assertion) = &assertion {
            exchange = exchange
                .add_extra_param("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
                .add_extra_param("client_assertion", assertion.expose_secret());
        }
        let send = Sender { tokens: self, http };
        let answer = exchange.request_async(&send).await.map_err(|error| match error {
            oauth2::RequestTokenError::Request(error) => error,
            // The parse error of the crate quotes the answer, which may hold a token.
            _ => self.unreadable(),
        })?;
        let life = life(answer.expires_in());
        Ok((SecretString::from(answer.access_token().secret().as_str()), life))
    }

    /// Asks the managed identity of this machine.
    async fn request_of_machine(&self) -> Result<(SecretString, Duration), SendError> {
        let Credential::ManagedIdentity { client_id } = &self.endpoint.credential else {
            return Err(SendError::unsent(GraphError::internal("no managed identity is configured")));
        };
        let question = managed_identity::ask(client_id.as_deref(), &self.endpoint.graph_url).map_err(SendError::unsent)?;
        let http = managed_identity::http().map_err(SendError::unsent)?;
        let (name, value) = &question.header;
        let mut value = http::HeaderValue::from_str(value.expose_secret())
            .map_err(|_| SendError::unsent(GraphError::secret("the environment variable IDENTITY_HEADER holds no header value".into())))?;
        value.set_sensitive(true);
        let request = http.get(question.url).header(*name, value).build().map_err(|e| SendError::unsent(GraphError::transport(&e)))?;
        let (json, _) = self.exchange(&http, request).await?;
        managed_identity::token(&json, self.clock.now()).ok_or_else(|| self.unreadable())
    }

    /// A certificate that ends soon is told, once a day.
    fn tell_expiry(&self, not_after: Option<SystemTime>) {
        let Some(left) = not_after.map(|end| end.duration_since(self.clock.now()).unwrap_or_default()) else { return };
        let mut told = self.expiry_told.lock().unwrap_or_else(PoisonError::into_inner);
        if left > EXPIRY_WARNING || told.is_some_and(|at| at.elapsed() < TELL_AGAIN) {
            return;
        }
        *told = Some(Instant::now());
        tracing::warn!(
            tenant = self.endpoint.name,
            days_left = left.as_secs() / (24 * 3600),
            credential = self.endpoint.credential.place(),
            "the app's certificate ends soon: upload a new one under App registrations > your app > Certificates & secrets, then write it to the same file"
        );
    }

    fn unreadable(&self) -> SendError {
        let error = self.refused_login(None, "invalid_response", "the answer is not the JSON of a token", true);
        SendError(error, Some(Heard { sign: Sign::Works, asked: None, status: None }))
    }

    fn refused_login(&self, code: Option<u32>, error: &str, description: &str, transient: bool) -> GraphError {
        GraphError::login(&self.endpoint.tenant_id, code, error, description, transient)
    }

    /// Sends a token request for the library.
    async fn send(&self, http: &reqwest::Client, request: HttpRequest) -> Result<HttpResponse, SendError> {
        let request = reqwest::Request::try_from(request).map_err(|e| SendError::unsent(GraphError::transport(&e)))?;
        let (json, body) = self.exchange(http, request).await?;
        let mut answer = HttpResponse::new(numbers(json, &body));
        answer.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        Ok(answer)
    }

    /// Sends a token request; an answer that is not a success becomes the error that its body tells.
    async fn exchange(&self, http: &reqwest::Client, request: reqwest::Request) -> Result<(serde_json::Value, bytes::Bytes), SendError> {
        let of_machine = matches!(self.endpoint.credential, Credential::ManagedIdentity { .. });
        let response = http.execute(request).await.map_err(|e| SendError::broken(GraphError::transport(&e)))?;
        let status = response.status();
        let now = self.clock.heard(response.headers()).unwrap_or_else(SystemTime::now);
        let retry_after = response.headers().get(RETRY_AFTER);
        let asked = retry_after.and_then(|value| retry::retry_after(value.to_str().ok()?, now));
        let body = super::body::read(response, LONGEST_ANSWER, "the token endpoint").await.map_err(SendError::broken)?;
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        if status.is_success() {
            return Ok((json, body));
        }
        let text = |name: &str| json.get(name).and_then(|v| v.as_str()).unwrap_or_default();
        let code = json
            .get("error_codes")
            .and_then(|codes| codes.get(0)?.as_u64())
            .and_then(|code| u32::try_from(code).ok())
            .or_else(|| code_in(text("error_description")));
        let by_status = if of_machine { managed_identity::is_transient(status.as_u16()) } else { retry::is_transient(status.as_u16()) };
        let transient =
            by_status || text("error") == "temporarily_unavailable" || code.is_some_and(|code| aadsts::TRANSIENT.contains(&code));
        let error = match text("error") {
            "" => format!("{} answered {status}", self.endpoint.issuer()),
            error => error.to_owned(),
        };
        let error = if of_machine && code.is_none() {
            let description = text("error_description").lines().next().unwrap_or_default();
            let colon = if description.is_empty() { "" } else { ": " };
            GraphError::identity(format!("{error}{colon}{description}"), transient)
        } else {
            self.refused_login(code, &error, text("error_description"), transient)
        };
        let sign = if status.is_server_error() { Sign::Fails { connected: true } } else { Sign::Works };
        Err(SendError(error, Some(Heard { sign, asked, status: Some(status.as_u16()) })))
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
        SendError(error, Some(Heard { sign, asked: None, status: None }))
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
