//! The client: one for the process. Sends requests through the queue, with a token, and tries again where that can help.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, DATE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::call::{Call, CallStats, Priority, Version};
use super::error::{Answer, GraphError, read_error_body};
use super::link::{Link, Origin};
use super::page::Page;
use super::queue::{Lane, LaneKey, Queue};
use super::retry;
use super::token::Tokens;

/// A wait that is longer than this is told at info.
const TELL_WAIT: Duration = Duration::from_secs(5);
/// Clocks that differ more than this are told.
const SKEW: Duration = Duration::from_secs(120);

/// Settings of the client.
#[derive(Clone, Debug)]
pub struct Settings {
    pub connect_timeout: Duration,
    /// Of one request, from sending to the last byte.
    pub request_timeout: Duration,
    /// Longest body that is accepted, bytes, uncompressed.
    pub max_body_bytes: usize,
    /// Requests under way at once in a lane.
    pub lane_concurrency: usize,
    /// Tries of a request that fails in passing, throttling not counted.
    pub max_attempts: u32,
    /// How long a call goes on being throttled before it gives up; `None` = for ever.
    pub give_up_after: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(120),
            max_body_bytes: 64 * 1024 * 1024,
            lane_concurrency: 8,
            max_attempts: 8,
            give_up_after: Some(Duration::from_secs(600)),
        }
    }
}

/// Where a client secret comes from. It is read anew for each token.
#[derive(Clone, Debug)]
pub enum SecretSource {
    File(PathBuf),
    Env(String),
    /// For a simulated tenant.
    Value(SecretString),
}

impl SecretSource {
    /// Where it comes from, which is no secret.
    fn place(&self) -> String {
        match self {
            SecretSource::File(path) => path.display().to_string(),
            SecretSource::Env(name) => format!("${name}"),
            SecretSource::Value(_) => "a value".into(),
        }
    }
}

/// Everything needed to talk to one tenant.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The tenant's name in the configuration, for messages.
    pub name: String,
    /// Tenant id or verified domain.
    pub tenant_id: String,
    pub login_url: Origin,
    pub graph_url: Origin,
    pub client_id: String,
    pub secret: SecretSource,
}

/// One a process; cheap to clone.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    http: reqwest::Client,
    /// Keeps no connection: Graph asks for a new one after a 503.
    fresh: reqwest::Client,
    queue: Queue,
    tokens: Mutex<HashMap<(String, String, String), Arc<Tokens>>>,
    /// Unix seconds of the last warning about clocks.
    skew_told: AtomicI64,
}

impl Client {
    /// Builds the client with the system's TLS roots.
    pub fn new(settings: Settings) -> Result<Client, GraphError> {
        let builder = || {
            reqwest::Client::builder()
                .user_agent(concat!("entra-mirror/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(settings.connect_timeout)
                .timeout(settings.request_timeout)
                .redirect(reqwest::redirect::Policy::none())
        };
        let http = builder().build().map_err(GraphError::setup)?;
        let fresh = builder().pool_max_idle_per_host(0).build().map_err(GraphError::setup)?;
        let shared = Shared { settings, http, fresh, queue: Queue::default(), tokens: Mutex::default(), skew_told: AtomicI64::new(0) };
        Ok(Client { shared: Arc::new(shared) })
    }

    /// The way to a tenant. Tokens are shared by all who ask for the same tenant and app.
    pub fn tenant(&self, endpoint: Endpoint) -> TenantClient {
        // Another secret or another Graph, after a reload, is another token.
        let key = (
            format!("{} {}", endpoint.login_url, endpoint.graph_url),
            endpoint.tenant_id.clone(),
            format!("{} {}", endpoint.client_id, endpoint.secret.place()),
        );
        let mut tokens = self.shared.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let tokens = tokens.entry(key).or_insert_with(|| Arc::new(Tokens::new(endpoint.clone())));
        TenantClient { shared: Arc::clone(&self.shared), tokens: Arc::clone(tokens), endpoint: Arc::new(endpoint) }
    }
}

/// The way to one tenant; cheap to clone.
#[derive(Clone)]
pub struct TenantClient {
    shared: Arc<Shared>,
    tokens: Arc<Tokens>,
    endpoint: Arc<Endpoint>,
}

/// What to do after a failed attempt.
enum Next {
    /// Wait this long by oneself, then try.
    Backoff(Duration),
    /// The lane waits.
    LaneWaits,
    Fail,
}

impl TenantClient {
    /// A first query: path and query under the version, such as `users/delta?$select=id`.
    pub fn link(&self, path_and_query: &str) -> Result<Link, GraphError> {
        self.link_in(Version::V1, path_and_query)
    }

    /// The same in a version of the API.
    pub fn link_in(&self, version: Version, path_and_query: &str) -> Result<Link, GraphError> {
        let origin = &self.endpoint.graph_url;
        Link::parse(origin, &format!("{origin}/{}/{path_and_query}", version.as_str()))
    }

    /// The service's time, by the `Date` of its last answer; this machine's own where they agree within two seconds.
    ///
    /// # Errors
    /// When no token can be had: the service has not answered yet then.
    pub async fn server_now(&self) -> Result<SystemTime, GraphError> {
        self.tokens.get(&self.shared.http).await?;
        Ok(self.tokens.clock.now())
    }

    /// The next request takes a new token: permissions may have been granted since.
    pub async fn forget_token(&self) {
        self.tokens.forget().await;
    }

    /// A link from a checkpoint.
    ///
    /// # Errors
    /// [`GraphError::is_foreign_link`] when `graph_url` changed since it was stored.
    pub fn resume(&self, stored: &str) -> Result<Link, GraphError> {
        Link::parse(&self.endpoint.graph_url, stored)
    }

    /// Fetches a page. Waits its turn, renews the token, and tries again where that can help. Dropping the future gives everything back.
    pub async fn page(&self, call: Call<'_>) -> Result<Page, GraphError> {
        let mut stats = CallStats::default();
        match self.attempts(call, &mut stats).await {
            Ok(page) => Ok(page.with_stats(stats)),
            Err(error) => Err(error.with_stats(stats)),
        }
    }

    async fn attempts(&self, call: Call<'_>, stats: &mut CallStats) -> Result<Page, GraphError> {
        let settings = &self.shared.settings;
        let lane = self.shared.queue.lane(
            LaneKey { client_id: self.endpoint.client_id.clone(), tenant_id: self.endpoint.tenant_id.clone(), workload: call.workload },
            settings.lane_concurrency,
        );
        let began = Instant::now();
        let (mut failures, mut token_refused, mut new_connection) = (0, false, false);
        loop {
            let token = self.tokens.get(&self.shared.http).await?;
            let place = lane.enter(call.priority).await;
            stats.requests += 1;
            let http = if new_connection { &self.shared.fresh } else { &self.shared.http };
            let answer = self.send(http, call, token.bearer.expose_secret(), &lane).await;
            drop(place);
            let (error, asked) = match answer {
                Ok(page) => return Ok(page),
                Err(failure) => failure,
            };
            new_connection = error.status() == Some(503);
            if error.status() == Some(401) && !token_refused {
                token_refused = true;
                self.tokens.refused(token.number).await;
                continue;
            }
            let give_up = |error| match settings.give_up_after {
                Some(limit) if began.elapsed() > limit => Err(GraphError::gave_up(call.link.path(), limit, &error)),
                _ => Ok(error),
            };
            match self.judge(&error, asked, &lane, call.max_attempts, &mut failures, stats) {
                Next::Fail => return Err(error),
                Next::LaneWaits => drop(give_up(error)?),
                Next::Backoff(wait) => {
                    give_up(error)?;
                    tokio::time::sleep(wait).await;
                }
            }
            stats.retries += 1;
        }
    }

    fn judge(
        &self,
        error: &GraphError,
        asked: Option<Duration>,
        lane: &Lane,
        max_attempts: Option<u32>,
        failures: &mut u32,
        stats: &mut CallStats,
    ) -> Next {
        let throttled = error.status() == Some(429) || error.status() == Some(503) && asked.is_some();
        if throttled {
            let wait = lane.throttled(asked);
            stats.throttled += 1;
            stats.waited += wait;
            if wait > TELL_WAIT {
                tracing::info!(tenant = self.endpoint.name, wait_seconds = wait.as_secs(), "Graph asks to wait");
            }
            return Next::LaneWaits;
        }
        *failures += 1;
        let again = error.is_transient() && *failures < max_attempts.unwrap_or(self.shared.settings.max_attempts);
        if again || (error.is_body_less_400() && *failures == 1) {
            Next::Backoff(retry::backoff(*failures, fastrand::f64()))
        } else {
            Next::Fail
        }
    }

    /// One attempt. A failure comes with the wait that the answer asked for.
    async fn send(
        &self,
        http: &reqwest::Client,
        call: Call<'_>,
        bearer: &str,
        lane: &Lane,
    ) -> Result<Page, (GraphError, Option<Duration>)> {
        let path = call.link.path();
        let request_id = uuid::Uuid::new_v4().to_string();
        let mut headers = HeaderMap::new();
        let mut authorization = HeaderValue::try_from(format!("Bearer {bearer}")).map_err(|e| (GraphError::setup(e), None))?;
        authorization.set_sensitive(true);
        headers.insert(AUTHORIZATION, authorization);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Ok(id) = HeaderValue::try_from(&request_id) {
            headers.insert(HeaderName::from_static("client-request-id"), id);
        }
        if call.priority != Priority::Interactive {
            headers.insert(HeaderName::from_static("x-ms-throttle-priority"), HeaderValue::from_static("low"));
        }
        if call.eventual {
            headers.insert(HeaderName::from_static("consistencylevel"), HeaderValue::from_static("eventual"));
        }
        let sent = http.get(call.link.url().clone()).headers(headers).send().await;
        let response = match sent {
            Ok(response) => response,
            Err(error) => {
                let error = GraphError::transport(&error);
                tracing::debug!(tenant = self.endpoint.name, path, client_request_id = request_id, %error, "request failed");
                return Err((error, None));
            }
        };
        let (status, headers) = (response.status(), response.headers().clone());
        let text = |name: HeaderName| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        self.compare_clocks(&text(DATE));
        let body = super::body::read(response, self.shared.settings.max_body_bytes, path).await;
        if status == StatusCode::OK {
            let page = body.and_then(|body| Page::parse(body, &self.endpoint.graph_url, path));
            if page.is_ok() {
                lane.answered();
            }
            return page.map_err(|error| (error, None));
        }
        let asked = retry::retry_after(&text(RETRY_AFTER), SystemTime::now());
        let error = self.error_answer(path, status, &headers, body.unwrap_or_default());
        tracing::debug!(
            tenant = self.endpoint.name,
            path,
            status = status.as_u16(),
            request_id = text(HeaderName::from_static("request-id")),
            client_request_id = request_id,
            date = text(DATE),
            diagnostic = text(HeaderName::from_static("x-ms-ags-diagnostic")),
            %error,
            "request refused"
        );
        Err((error, asked))
    }

    fn error_answer(&self, path: &str, status: StatusCode, headers: &HeaderMap, body: Bytes) -> GraphError {
        let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let location = text(LOCATION.as_str());
        if status.is_redirection() {
            let to = url::Url::parse(location).map_or_else(|_| "another place".into(), |url| url.origin().ascii_serialization());
            return GraphError::redirect(path, status.as_u16(), to);
        }
        let (code, message) = read_error_body(&body);
        GraphError::answer(Answer {
            path: path.to_owned(),
            status: status.as_u16(),
            code,
            message,
            request_id: text("request-id").to_owned(),
            location: Link::parse(&self.endpoint.graph_url, location).ok(),
            body_empty: body.is_empty(),
        })
    }

    /// A wrong clock makes tokens look expired or not yet valid, so it is told, once an hour.
    fn compare_clocks(&self, date: &str) {
        let Ok(theirs) = httpdate::parse_http_date(date) else { return };
        self.tokens.clock.answered(theirs);
        let ours = SystemTime::now();
        let apart = ours.duration_since(theirs).or_else(|_| theirs.duration_since(ours)).unwrap_or_default();
        if apart <= SKEW {
            return;
        }
        let now = ours.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(0));
        let told = self.shared.skew_told.load(Ordering::Relaxed);
        if (now - told).abs() > 3600 && self.shared.skew_told.compare_exchange(told, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            tracing::warn!(
                tenant = self.endpoint.name,
                apart_seconds = apart.as_secs(),
                "this machine's clock and Graph's differ: correct this machine's time"
            );
        }
    }
}
