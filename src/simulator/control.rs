//! What is only of the simulator, over HTTP, for whoever runs `entra-mirror simulate`:
//! `GET /_simulator/tenants`, `GET /_simulator/ground-truth?tenant=T`, `GET /_simulator/requests?tenant=T`,
//! `POST /_simulator/advance?tenant=T&seconds=N`, `POST /_simulator/live?tenant=T&events=N`,
//! `POST /_simulator/faults?tenant=T` (a fault as JSON; `DELETE` takes all away).

use std::time::Duration;

use http::Method;
use serde_json::json;

use super::answer::Answer;
use super::faults::Fault;
use super::listing::Query;
use super::server::Shared;
use super::token;

const HELP: &str = "entra-mirror simulator. login_url and graph_url are this origin.\n\
    GET  /_simulator/tenants\n\
    GET  /_simulator/ground-truth?tenant=NAME\n\
    GET  /_simulator/requests?tenant=NAME\n\
    POST /_simulator/advance?tenant=NAME&seconds=N\n\
    POST /_simulator/live?tenant=NAME&events=N\n\
    POST /_simulator/faults?tenant=NAME   body: {\"matching\": \"users/delta\", \"times\": 1, \"action\": {\"error\": {\"status\": 503}}}\n\
    DELETE /_simulator/faults?tenant=NAME\n";

pub(super) fn answer(shared: &Shared, method: &Method, path: &str, query: &str, body: &[u8]) -> Answer {
    let query = Query::parse(query);
    let wrong = |message: &str| Answer::error(400, "BadRequest", message);
    let what = path.strip_prefix("_simulator").unwrap_or_default().trim_matches('/');
    if what.is_empty() {
        return Answer { content_type: "text/plain", ..Answer::json(200, HELP) };
    }
    if what == "tenants" {
        return Answer::ok(
            &json!({"origin": shared.origin(), "tenants": shared.tenants().iter().map(token::describe).collect::<Vec<_>>()}),
        );
    }
    let tenant = match query.get("tenant") {
        Some(name) => shared.tenant(name),
        None => shared.tenants().into_iter().next(),
    };
    let Some(tenant) = tenant else { return wrong("there is no such tenant; GET /_simulator/tenants lists them") };
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<u64>().ok());
    match (method, what) {
        (&Method::GET, "ground-truth") => Answer::ok(&tenant.ground_truth()),
        (&Method::GET, "requests") => {
            let requests: Vec<_> = tenant
                .requests()
                .iter()
                .map(|r| json!({"method": r.method, "path": r.path, "query": r.query, "status": r.status}))
                .collect();
            Answer::ok(&json!({"requests": requests}))
        }
        (&Method::POST, "advance") => match number("seconds") {
            Some(seconds) => {
                tenant.advance(Duration::from_secs(seconds));
                Answer::ok(&json!({"now": tenant.now().to_string()}))
            }
            None => wrong("seconds=N is missing"),
        },
        (&Method::POST, "live") => {
            tenant.live(number("events").unwrap_or(1) as usize);
            Answer::ok(&json!({}))
        }
        (&Method::POST, "faults") => match serde_json::from_slice::<Fault>(body) {
            Ok(fault) => {
                tenant.fault(fault);
                Answer::ok(&json!({}))
            }
            Err(error) => wrong(&format!("the fault cannot be read: {error}")),
        },
        (&Method::DELETE, "faults") => {
            tenant.clear_faults();
            Answer::ok(&json!({}))
        }
        _ => wrong("there is no such thing; GET / tells what there is"),
    }
}
