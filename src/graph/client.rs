//! The client: one for the process. Sends requests through the queue, with a token, and tries again where that can help.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, DATE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use secrecy::ExposeSecret;
use tokio::time::Instant;

use super::call::{Call, CallStats, Priority, Version};
use super::credential::{Credential, managed_identity};
use super::error::{Answer, GraphError, read_error_body};
use super::link::{Link, Origin};
use super::page::Page;
use super::queue::{Ask, BreakerStatus, Budgets, LaneKey, LaneStatus, Place, Queue};
use super::retry;
use super::signals::Signals;
use super::token::Tokens;
use crate::clock;

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
    /// Tries of a request that fails in passing, throttling not counted. Without `give_up_after` only answers that cannot be read are
    /// counted.
    pub max_attempts: u32,
    /// How long a call goes on being throttled, or failing in passing, before it gives up; `None` = for ever, as a daemon does.
    pub give_up_after: Option<Duration>,
    /// What may be sent.
    pub budgets: Budgets,
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
            budgets: Budgets::default(),
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
    /// Application id; with a managed identity the identity's, or a word for the system-assigned one.
    pub client_id: String,
    pub credential: Credential,
}

impl Endpoint {
    /// Origin that gives the tokens.
    pub(super) fn issuer(&self) -> String {
        match &self.credential {
            Credential::ManagedIdentity { .. } => managed_identity::origin(),
            _ => self.login_url.to_string(),
        }
    }
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
    queue: Arc<Queue>,
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
        let queue = Arc::new(Queue::new(settings.budgets.clone(), settings.lane_concurrency));
        let shared = Shared { settings, http, fresh, queue, tokens: Mutex::default(), skew_told: AtomicI64::new(0) };
        Ok(Client { shared: Arc::new(shared) })
    }

    /// The way to a tenant. Tokens are shared by all who ask for the same tenant and app.
    pub fn tenant(&self, endpoint: Endpoint) -> TenantClient {
        self.shared.queue.serve(&endpoint.issuer(), &endpoint.tenant_id);
        self.shared.queue.serve(endpoint.graph_url.as_str(), &endpoint.tenant_id);
        // Another secret or another Graph, after a reload, is another token.
        let key = (
            format!("{} {}", endpoint.login_url, endpoint.graph_url),
            endpoint.tenant_id.clone(),
            format!("{} {}", endpoint.client_id, endpoint.credential.place()),
        );
        let mut tokens = self.shared.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let tokens = tokens
            .entry(key)
            .or_insert_with(|| Arc::new(Tokens::new(endpoint.clone(), Arc::clone(&self.shared.queue), self.shared.settings.give_up_after)));
        TenantClient { shared: Arc::clone(&self.shared), tokens: Arc::clone(tokens), endpoint: Arc::new(endpoint) }
    }

    /// Paces by other budgets from now on, as after a reload of the configuration. What was learnt of throttling stays.
    pub fn set_budgets(&self, budgets: Budgets) {
        self.shared.queue.set_budgets(budgets);
    }

    /// What the queue holds, lane by lane, and why it waits. Cheap to call.
    pub fn queue_status(&self) -> Vec<LaneStatus> {
        self.shared.queue.status()
    }

    /// Whether each origin is taken to be in service.
    pub fn breakers(&self) -> Vec<BreakerStatus> {
        self.shared.queue.breakers()
    }
}

/// The way to one tenant; cheap to clone.
#[derive(Clone)]
pub struct TenantClient {
    shared: Arc<Shared>,
    tokens: Arc<Tokens>,
    endpoint: Arc<Endpoint>,
}

/// How a call went so far.
#[derive(Default)]
struct Tries {
    /// The first failure.
    trouble: Option<Instant>,
    /// Throttled answers not counted.
    failures: u32,
    /// Answers that could not be read.
    unreadable: u32,
    token_refused: bool,
    /// A 400 without a body was seen: once it is tried again.
    body_less: bool,
    /// Graph asks for a new connection after a 503.
    new_connection: bool,
}

/// A failed attempt.
struct Failure {
    error: GraphError,
    /// The answer asked to wait, and the lane does so, for this long from then.
    stopped: Option<Duration>,
    /// There was no token to send it with.
    tokenless: bool,
}

impl Failure {
    fn of(error: GraphError) -> Failure {
        Failure { error, stopped: None, tokenless: false }
    }

    fn without_token(error: GraphError) -> Failure {
        Failure { error, stopped: None, tokenless: true }
    }
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
        self.tokens.forget();
    }

    /// Tells how many users the tenant has, roughly: its budget depends on it. Until it is told the smallest budget holds.
    pub fn tenant_size_hint(&self, users: u64) {
        self.shared.queue.size_hint(&self.endpoint.client_id, &self.endpoint.tenant_id, users);
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
        let Endpoint { name, tenant_id, client_id, graph_url, .. } = &*self.endpoint;
        let key = LaneKey { client_id: client_id.clone(), tenant_id: tenant_id.clone(), workload: call.workload };
        let mut tries = Tries::default();
        loop {
            let again = stats.requests > 0;
            let ask = Ask { key: &key, tenant: name, origin: graph_url.as_str(), link: call.link, priority: call.priority, again };
            let failure = match self.attempt(ask, call, &mut tries, stats).await {
                Ok(page) => return Ok(page),
                Err(failure) => failure,
            };
            if failure.error.status() == Some(401) && !tries.token_refused {
                tries.token_refused = true;
                continue;
            }
            let wait = self.judge(failure, &mut tries, call, stats)?;
            tokio::time::sleep(wait).await;
            stats.retries += 1;
        }
    }

    /// Gets a token, waits for its turn, sends.
    async fn attempt(&self, ask: Ask<'_>, call: Call<'_>, tries: &mut Tries, stats: &mut CallStats) -> Result<Page, Failure> {
        let shared = &self.shared;
        let (token, mut place) = loop {
            // Before the queue, so that no place is held while a token is fetched; the one in hand after it, because the wait may have been
            // long.
            self.tokens.get(&shared.http).await.map_err(Failure::without_token)?;
            let place = shared.queue.enter_within(ask, shared.settings.give_up_after).await;
            let place = place.map_err(|why| {
                let limit = shared.settings.give_up_after.unwrap_or_default();
                Failure::of(GraphError::gave_up(call.link.path(), limit, why))
            })?;
            stats.queued += place.waited();
            if let Some(token) = self.tokens.in_hand() {
                break (token, place);
            }
        };
        stats.requests += 1;
        let http = if tries.new_connection { &shared.fresh } else { &shared.http };
        let answer = self.send(http, call, token.bearer.expose_secret(), &mut place, stats).await;
        if matches!(&answer, Err(failure) if failure.error.status() == Some(401)) && !tries.token_refused {
            self.tokens.refused(token.number);
        }
        answer
    }

    /// What to do after a failed attempt: how long to wait by oneself before the next one, or the end.
    fn judge(&self, failure: Failure, tries: &mut Tries, call: Call<'_>, stats: &mut CallStats) -> Result<Duration, GraphError> {
        let Failure { error, stopped, tokenless } = failure;
        let settings = &self.shared.settings;
        if error.is_gave_up() {
            return Err(error);
        }
        tries.new_connection = error.status() == Some(503);
        // Waiting for a budget is no trouble: it is from the first failure on that patience is counted.
        let trouble = tries.trouble.get_or_insert_with(Instant::now).elapsed();
        if let Some(limit) = settings.give_up_after.filter(|limit| trouble > *limit)
            && (stopped.is_some() || error.is_transient())
        {
            return Err(GraphError::gave_up(call.link.path(), limit, format_args!("the last answer was: {error}")));
        }
        if let Some(wait) = stopped {
            stats.throttled += 1;
            stats.waited += wait;
            // The lane waits.
            return Ok(Duration::ZERO);
        }
        tries.failures = tries.failures.saturating_add(1);
        tries.unreadable += u32::from(error.is_body());
        if error.is_body_less_400() && !std::mem::replace(&mut tries.body_less, true) {
            return Ok(retry::backoff(0, fastrand::f64()));
        }
        let left = match (call.max_attempts, settings.give_up_after) {
            // The caller has something better to do than to ask the same again.
            (Some(max_attempts), _) => tries.failures < max_attempts,
            // The token endpoint was asked several times already.
            (None, Some(_)) => tries.failures < settings.max_attempts && !tokenless,
            (None, None) => tries.unreadable < settings.max_attempts,
        };
        if !(error.is_transient() && left) {
            return Err(error);
        }
        Ok(retry::backoff(tries.failures, fastrand::f64()))
    }

    /// One attempt.
    async fn send(
        &self,
        http: &reqwest::Client,
        call: Call<'_>,
        bearer: &str,
        place: &mut Place,
        stats: &mut CallStats,
    ) -> Result<Page, Failure> {
        let path = call.link.path();
        let request_id = uuid::Uuid::new_v4().to_string();
        let mut headers = HeaderMap::new();
        let mut authorization = HeaderValue::try_from(format!("Bearer {bearer}")).map_err(|e| Failure::of(GraphError::setup(e)))?;
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
                place.failed(!error.is_unreachable());
                tracing::debug!(tenant = self.endpoint.name, path, client_request_id = request_id, %error, "request failed");
                return Err(Failure::of(error));
            }
        };
        let (status, headers) = (response.status(), response.headers().clone());
        let signals = Signals::read(&headers);
        let text = |name: HeaderName| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        // A date in Retry-After is by the service's clock, to the second as its `Date` is.
        let theirs = self.compare_clocks(&headers).unwrap_or_else(clock::system_now);
        let body = super::body::read(response, self.shared.settings.max_body_bytes, path).await;
        if status == StatusCode::OK {
            // A body that breaks off is the connection's fault; one that is no page is an answer none the less.
            match &body {
                Ok(_) => stats.units = stats.units.saturating_add(place.answered(status.as_u16(), &signals)),
                Err(error) if error.is_body() => drop(place.answered(status.as_u16(), &signals)),
                Err(_) => place.failed(true),
            }
            return body.and_then(|body| Page::parse(body, &self.endpoint.graph_url, path)).map_err(Failure::of);
        }
        let asked = retry::retry_after(&text(RETRY_AFTER), theirs);
        let throttled = status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE && asked.is_some();
        let stopped = if throttled {
            let stop = place.throttled(status.as_u16(), asked, &signals);
            if stop.tell {
                tracing::info!(
                    tenant = self.endpoint.name,
                    workload = call.workload.as_str(),
                    wait_seconds = stop.wait.as_secs(),
                    "Graph asks to wait"
                );
            }
            Some(stop.wait)
        } else {
            place.answered(status.as_u16(), &signals);
            None
        };
        let error = self.error_answer(path, status, &headers, body.unwrap_or_default());
        tracing::debug!(
            tenant = self.endpoint.name,
            path,
            status = status.as_u16(),
            request_id = text(HeaderName::from_static("request-id")),
            client_request_id = request_id,
            date = text(DATE),
            diagnostic = text(HeaderName::from_static("x-ms-ags-diagnostic")),
            throttle_scope = text(HeaderName::from_static("x-ms-throttle-scope")),
            throttle_information = text(HeaderName::from_static("x-ms-throttle-information")),
            %error,
            "request refused"
        );
        Err(Failure { error, stopped, tokenless: false })
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

    /// The service's time. A wrong clock makes tokens look expired or not yet valid, so it is told, once an hour.
    fn compare_clocks(&self, headers: &HeaderMap) -> Option<SystemTime> {
        let theirs = self.tokens.clock.heard(headers)?;
        let ours = clock::system_now();
        let apart = ours.duration_since(theirs).or_else(|_| theirs.duration_since(ours)).unwrap_or_default();
        if apart <= SKEW {
            return Some(theirs);
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
        Some(theirs)
    }
}
