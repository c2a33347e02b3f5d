//! The server: sockets, tokens, faults, the request log. Knows nothing of what is answered.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request as HttpRequest, State};
use axum::response::Response;
use http::{HeaderName, HeaderValue, Method};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::answer::Answer;
use super::control;
use super::delta::Twist;
use super::faults::{Action, Struck};
use super::identity;
use super::listing::Query;
use super::options::TenantOptions;
use super::routes::{self, Request};
use super::strike;
use super::tenant::{RequestRecord, Tenant};
use super::throttle::{Buckets, Verdict};
use super::token;

/// A simulated Microsoft: login and Graph of any number of tenants on one port. Ends when the last handle is dropped or stopped.
#[derive(Clone)]
pub struct Simulator {
    pub(super) shared: Arc<Shared>,
    _stop: Arc<tokio_util::sync::DropGuard>,
    stopping: CancellationToken,
}

pub(super) struct Shared {
    address: SocketAddr,
    tenants: RwLock<BTreeMap<String, Tenant>>,
    buckets: Buckets,
}

impl Shared {
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A tenant by id, domain or name.
    pub fn tenant(&self, name: &str) -> Option<Tenant> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.values().find(|t| t.tenant_id() == name || t.shared.options.domain == name || t.name() == name).cloned()
    }

    /// The tenant of the machine: the first one that gave it an identity.
    fn machine(&self) -> Option<Tenant> {
        self.tenants().into_iter().find(|tenant| tenant.credentials().identity.is_some())
    }

    pub fn tenants(&self) -> Vec<Tenant> {
        self.tenants.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

impl Simulator {
    /// Starts on this address; port 0 takes a free one.
    pub async fn start(listen: SocketAddr) -> io::Result<Simulator> {
        let listener = TcpListener::bind(listen).await?;
        let shared = Arc::new(Shared { address: listener.local_addr()?, tenants: RwLock::default(), buckets: Buckets::default() });
        let stopping = CancellationToken::new();
        let router = Router::new().fallback(handle).with_state(Arc::clone(&shared));
        let stopped = stopping.clone();
        tokio::spawn(async move {
            let serve = axum::serve(listener, router);
            tokio::select! {
                // The listener ends only with an error of the machine.
                result = async { serve.await } => if let Err(error) = result {
                    tracing::error!(%error, "the simulator stopped");
                },
                () = stopped.cancelled() => {}
            }
        });
        Ok(Simulator { shared, _stop: Arc::new(stopping.clone().drop_guard()), stopping })
    }

    /// Starts on a free port of loopback.
    pub async fn start_local() -> io::Result<Simulator> {
        Simulator::start(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Both login_url and graph_url.
    pub fn origin(&self) -> String {
        self.shared.origin()
    }

    /// Makes a tenant. One of the same name is replaced.
    pub fn add_tenant(&self, options: TenantOptions) -> Tenant {
        let tenant = Tenant::new(options);
        self.shared.tenants.write().unwrap_or_else(PoisonError::into_inner).insert(tenant.name().to_owned(), tenant.clone());
        tenant
    }

    /// Stops listening.
    pub fn stop(&self) {
        self.stopping.cancel();
    }
}

async fn handle(State(shared): State<Arc<Shared>>, request: HttpRequest) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().trim_matches('/').to_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let header = |name: &str| parts.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let gzip = header("accept-encoding").contains("gzip");
    let body = axum::body::to_bytes(body, 1024 * 1024).await.unwrap_or_default();
    let segments: Vec<&str> = path.split('/').collect();
    // Whose clock the answer's `Date` shows: each tenant has its own.
    let of = match segments[..] {
        [tenant, "oauth2", ..] => shared.tenant(tenant),
        ["metadata" | "msi", ..] => shared.machine(),
        _ => token::read(header("authorization").strip_prefix("Bearer ").unwrap_or_default())
            .and_then(|(tenant, _, _)| shared.tenant(&tenant)),
    };
    let mut response = match segments[..] {
        ["_simulator", ..] | [""] => control::answer(&shared, &parts.method, &path, &query, &body).into_response(gzip),
        [tenant, "oauth2", "v2.0", "token"] if parts.method == Method::POST => login(&shared, tenant, &body),
        ["metadata", "identity", "oauth2", "token"] | ["msi", "token"] if parts.method == Method::GET => {
            let asked = identity::Asked {
                query: &query,
                metadata: &header("metadata"),
                secret: &header("x-identity-header"),
                origin: &shared.origin(),
                app_service: segments[0] == "msi",
            };
            machine(&shared, &path, &asked)
        }
        ["v1.0" | "beta", ..] => {
            let version = if segments[0] == "beta" { "beta" } else { "v1.0" };
            let asked = Asked {
                method: parts.method.clone(),
                version,
                path: path.strip_prefix(version).unwrap_or_default().trim_matches('/').to_owned(),
                query,
                bearer: header("authorization").strip_prefix("Bearer ").unwrap_or_default().to_owned(),
                eventual: header("consistencylevel").eq_ignore_ascii_case("eventual"),
                minimal: header("prefer").contains("return=minimal"),
                unknown_members: header("prefer").contains("include-unknown-enum-members"),
                priority: Some(header("x-ms-throttle-priority")).filter(|p| !p.is_empty()),
                gzip,
            };
            graph(&shared, asked, &body).await
        }
        _ => Answer::error(404, "ResourceNotFound", "Resource not found for the segment.").into_response(gzip),
    };
    let headers = response.headers_mut();
    if let Some(date) = of.and_then(|tenant| HeaderValue::try_from(httpdate::fmt_http_date(tenant.now().into())).ok()) {
        headers.insert(http::header::DATE, date);
    }
    for (name, value) in [
        ("request-id", uuid::Uuid::new_v4().to_string()),
        ("client-request-id", header("client-request-id")),
        (
            "x-ms-ags-diagnostic",
            json!({"ServerInfo": {"DataCenter": "Simulator", "Slice": "E", "Ring": "0", "ScaleUnit": "000", "RoleInstance": "SIM"}})
                .to_string(),
        ),
    ] {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    response
}

fn login(shared: &Shared, name: &str, body: &Bytes) -> Response {
    let form: Vec<(String, String)> = url::form_urlencoded::parse(body).into_owned().collect();
    let tenant = shared.tenant(name);
    if let Some(tenant) = &tenant
        && let Some(Action::Error { status, code, message, .. }) =
            strike(tenant, &format!("{name}/oauth2/v2.0/token")).map(|struck| struck.action)
    {
        tenant.credentials().asked += 1;
        return token::fault(status, &code, &message).into_response(false);
    }
    token::answer(name, tenant.as_ref(), &form, &shared.origin()).into_response(false)
}

fn machine(shared: &Shared, path: &str, asked: &identity::Asked<'_>) -> Response {
    let tenant = shared.machine();
    if let Some(Action::Error { status, code, message, .. }) =
        tenant.as_ref().and_then(|tenant| strike(tenant, path)).map(|struck| struck.action)
    {
        tenant.iter().for_each(|tenant| tenant.credentials().asked += 1);
        return Answer::ok(&json!({"error": code, "error_description": message})).with_status(status).into_response(false);
    }
    identity::answer(tenant.as_ref(), asked).into_response(false)
}

struct Asked {
    method: Method,
    version: &'static str,
    path: String,
    query: String,
    bearer: String,
    eventual: bool,
    minimal: bool,
    unknown_members: bool,
    priority: Option<String>,
    gzip: bool,
}

impl Asked {
    /// Faults and the request log name a path of v1.0 without its version.
    fn named(&self) -> String {
        if self.version == "beta" { format!("beta/{}", self.path) } else { self.path.clone() }
    }

    fn record(&self, status: u16) -> RequestRecord {
        RequestRecord {
            method: self.method.to_string(),
            path: self.named(),
            query: self.query.clone(),
            status,
            priority: self.priority.clone(),
            at: Instant::now(),
        }
    }
}

fn strike(tenant: &Tenant, text: &str) -> Option<Struck> {
    tenant.shared.faults.lock().unwrap_or_else(PoisonError::into_inner).strike(text, tenant.now())
}

async fn graph(shared: &Arc<Shared>, asked: Asked, body: &Bytes) -> Response {
    let refuse = |message: &str| token::unauthorized(message).into_response(asked.gzip);
    let Some((tenant, expires, roles)) = token::read(&asked.bearer) else {
        return refuse(if asked.bearer.is_empty() {
            "Access token is empty."
        } else {
            "CompactToken parsing failed with error code: 80049217"
        });
    };
    let Some(tenant) = shared.tenant(&tenant) else { return refuse("Access token validation failure. Invalid tenant.") };
    if tenant.now().as_second() >= expires || token::is_revoked(&asked.bearer, &tenant) {
        return refuse("Access token has expired or is not yet valid.");
    }
    let through = match shared.buckets.count(&tenant, &asked.path, &asked.query) {
        Verdict::Through(headers) => headers,
        Verdict::Refused(answer) => {
            tenant.record(asked.record(answer.status));
            return answer.into_response(asked.gzip);
        }
    };
    tokio::time::sleep(tenant.latency()).await;
    let text = format!("{}?{}", asked.named(), asked.query);
    let leads_nowhere = tenant.shared.faults.lock().unwrap_or_else(PoisonError::into_inner).leads_nowhere(&text);
    let struck = if leads_nowhere { None } else { strike(&tenant, &text) };
    let action = struck.as_ref().map(|struck| &struck.action);
    match action {
        Some(Action::Change { events }) => tenant.live(*events),
        Some(Action::Pass { seconds }) => tenant.advance(Duration::from_secs(*seconds)),
        Some(Action::Hang { millis }) => tokio::time::sleep(Duration::from_millis(*millis)).await,
        _ => {}
    }
    if tenant.now().as_second() >= expires {
        return refuse("Access token has expired or is not yet valid.");
    }
    let twist = action.map(Twist::of).unwrap_or_default();
    let origin = shared.origin();
    let answered = |path: &str, query: &str, twist: Twist| {
        let request = Request {
            tenant: &tenant,
            roles: &roles,
            version: asked.version,
            path,
            query: Query::parse(query),
            eventual: asked.eventual,
            minimal: asked.minimal || action == Some(&Action::Minimal),
            unknown_members: asked.unknown_members,
            origin: &origin,
            twist,
        };
        routes::answer(&request)
    };
    let mut answer = match (&asked.method, asked.path.as_str()) {
        (&Method::GET, _) if strike::is_lost(&asked.query) => strike::lost(),
        (&Method::GET, path) => answered(path, &asked.query, twist),
        (&Method::POST, "$batch") => batch(body, |path, query| answered(path, query, Twist::default())),
        _ => Answer::error(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target."),
    };
    if let Some(struck) = &struck {
        let plain = struck.action.changes_pages().then(|| match twist == Twist::default() {
            true => answer.clone(),
            false => answered(&asked.path, &asked.query, Twist::default()),
        });
        answer = strike::shape(&struck.action, answer, &origin, &format!("{}/{}", asked.version, asked.path), tenant.now().into());
        if plain.is_some_and(|plain| answer.says_the_same(&plain)) {
            tenant.shared.faults.lock().unwrap_or_else(PoisonError::into_inner).missed(struck);
        }
    }
    tenant.record(asked.record(answer.status));
    // What a refused request would have cost is not told.
    if answer.status < 400 {
        answer.headers.extend(through);
    }
    if leads_nowhere {
        answer = strike::leading_nowhere(answer);
    }
    match action {
        Some(Action::Reset) => strike::broken(answer),
        Some(Action::Trickle { millis }) => strike::trickled(answer, Duration::from_millis(*millis)),
        _ => answer.into_response(asked.gzip),
    }
}

/// `$batch` of GETs: at most twenty, ids unique, answered in any order.
fn batch(body: &Bytes, answered: impl Fn(&str, &str) -> Answer) -> Answer {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let Some(requests) = json["requests"].as_array().filter(|r| r.len() <= 20) else {
        return Answer::error(400, "BadRequest", "Invalid batch payload format.");
    };
    let mut ids: Vec<String> = requests.iter().map(|r| r["id"].as_str().unwrap_or_default().to_lowercase()).collect();
    ids.sort();
    ids.dedup();
    if ids.len() != requests.len() || ids.iter().any(String::is_empty) {
        return Answer::error(400, "BadRequest", "Ids of requests in a batch must be unique.");
    }
    let responses: Vec<serde_json::Value> = requests
        .iter()
        .rev()
        .map(|request| {
            let url = request["url"].as_str().unwrap_or_default().trim_matches('/');
            let (path, query) = url.split_once('?').unwrap_or((url, ""));
            let answer = answered(path, query);
            let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
            json!({"id": request["id"], "status": answer.status, "headers": {"Content-Type": "application/json"}, "body": body})
        })
        .collect();
    Answer::ok(&json!({"responses": responses}))
}
