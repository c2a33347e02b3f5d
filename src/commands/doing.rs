//! What a running daemon does for one tenant, picked from what it says of itself, as JSON and in words. Asks nobody.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::output;
use crate::config::Tenant;
use crate::graph::Waiting;

/// The daemon's part in a tenant's status. Lanes, runs and failures are as the daemon tells them: it may be of another version.
#[derive(Debug, Serialize)]
pub(super) struct Doing {
    pid: u64,
    version: String,
    /// When it started, UTC.
    since: String,
    /// Lanes of the fetch queue: the tenant's own, and those (with tenant null) that all tenants of its app share.
    lanes: Vec<Value>,
    /// Whether Graph is taken to be in service.
    breakers: Vec<Value>,
    runs: Vec<Value>,
    /// The last run of each resource whose last run failed.
    failures: Vec<Value>,
}

#[derive(Deserialize)]
struct Lane {
    workload: String,
    waiting: Waiting,
    in_flight: u64,
    allowed: Option<f64>,
    used: f64,
    paused_for_seconds: f64,
    reason: Option<String>,
    tenant: Option<String>,
}

#[derive(Deserialize)]
struct Run {
    resource: String,
    since: String,
    mode: String,
    waits_for: Option<String>,
    pages: u64,
    rows: u64,
}

#[derive(Deserialize)]
struct Breaker {
    origin: String,
    state: String,
    probe_in_seconds: Option<f64>,
}

#[derive(Deserialize)]
struct Failed {
    resource: String,
    at: String,
    message: Option<String>,
}

fn list<'v>(daemon: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    daemon[name].as_array().into_iter().flatten()
}

/// One line on whether a daemon runs.
pub(super) fn headline(daemon: Option<&Value>) -> String {
    match daemon {
        None => "No daemon answers: this is what the files say.".into(),
        Some(daemon) => format!(
            "The daemon (process {}, version {}) runs since {} UTC: {} runs in progress, {} due.",
            daemon["pid"],
            daemon["version"].as_str().unwrap_or("unknown"),
            output::minute(daemon["started_at"].as_str().unwrap_or_default()),
            list(daemon, "runs").count(),
            daemon["due_runs"],
        ),
    }
}

impl Doing {
    /// What of the daemon's answer (`GET /status`) concerns a tenant; `None` when it is no such answer.
    pub fn of(daemon: &Value, tenant: &Tenant) -> Option<Doing> {
        let name = tenant.name.as_str();
        let own = |list_name: &str| list(daemon, list_name).filter(|it| it["tenant"] == name).cloned().collect();
        let concerns = |lane: &&Value| lane["tenant"] == name || lane["tenant"].is_null() && lane["client_id"] == tenant.client_id.as_str();
        let origins = [tenant.graph_url.to_string(), tenant.login_url.to_string()];
        Some(Doing {
            pid: daemon["pid"].as_u64()?,
            version: daemon["version"].as_str()?.to_owned(),
            since: daemon["started_at"].as_str()?.to_owned(),
            lanes: list(daemon, "lanes").filter(concerns).cloned().collect(),
            breakers: list(daemon, "breakers").filter(|it| origins.iter().any(|origin| it["origin"] == origin.as_str())).cloned().collect(),
            runs: own("runs"),
            failures: own("failures"),
        })
    }

    /// The same for people: what goes on, what waits and why, what went wrong.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = read::<Run>(&self.runs).map(|run| run.line()).collect();
        lines.extend(read::<Lane>(&self.lanes).filter_map(|lane| lane.line()));
        lines.extend(read::<Breaker>(&self.breakers).filter_map(|breaker| breaker.line()));
        lines.extend(read::<Failed>(&self.failures).map(|failed| {
            let message = failed.message.as_deref().unwrap_or("it did not say why");
            format!("{} last failed at {} UTC: {}", failed.resource, output::minute(&failed.at), output::cell(message, 200))
        }));
        lines
    }
}

/// What can be read of it; a daemon of another version may tell things that are not known here.
fn read<T: for<'de> Deserialize<'de>>(values: &[Value]) -> impl Iterator<Item = T> {
    values.iter().filter_map(|value| T::deserialize(value).ok())
}

impl Lane {
    /// `directory: 3 waiting, paused 12 s (...), 410 of 3,325 units used`; `None` when nothing goes on in it.
    fn line(&self) -> Option<String> {
        let waiting = self.waiting.total();
        let paused = self.paused_for_seconds > 0.0;
        if waiting == 0 && self.in_flight == 0 && !paused {
            return None;
        }
        let mut parts = Vec::new();
        if waiting > 0 {
            parts.push(format!("{} waiting", output::thousands(waiting as u64)));
        }
        if self.in_flight > 0 {
            parts.push(format!("{} under way", self.in_flight));
        }
        let reason = self.reason.as_deref().map(|reason| format!(" ({})", output::cell(reason, 120))).unwrap_or_default();
        if paused {
            parts.push(format!("paused {:.0} s{reason}", self.paused_for_seconds.ceil()));
        } else if waiting > 0
            && let Some(last) = parts.first_mut()
        {
            last.push_str(&reason.replacen('(', "(for ", 1));
        }
        let unit = if self.workload == "directory" { "units" } else { "requests" };
        let figure = |number: f64| output::thousands(number.max(0.0).round() as u64);
        if let Some(allowed) = self.allowed {
            parts.push(format!("{} of {} {unit} used", figure(self.used), figure(allowed)));
        }
        let whose = if self.tenant.is_none() { " of all tenants of the app" } else { "" };
        Some(format!("{}{whose}: {}", self.workload, parts.join(", ")))
    }
}

impl Run {
    fn line(&self) -> String {
        let Run { resource, since, mode, pages, rows, .. } = self;
        let since = since.get(11..19).unwrap_or(since);
        match &self.waits_for {
            Some(holder) => format!("{resource}: since {since} UTC waits for {}", output::cell(holder, 100)),
            None => format!(
                "{resource}: {mode} round since {since} UTC, {} pages, {} rows",
                output::thousands(*pages),
                output::thousands(*rows)
            ),
        }
    }
}

impl Breaker {
    fn line(&self) -> Option<String> {
        let probe = self.probe_in_seconds.map(|seconds| format!(", tried again in {:.0} s", seconds.ceil())).unwrap_or_default();
        (self.state != "closed").then(|| format!("{} does not answer: requests to it wait{probe}", self.origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(more: Value) -> Option<String> {
        let mut value = serde_json::json!({
            "tenant": "contoso", "workload": "directory", "waiting": {"interactive": 0, "scheduled": 3, "backfill": 0}, "in_flight": 0,
            "allowed": 3325.0, "used": 410.2, "paused_for_seconds": 0.0, "reason": null
        });
        for (key, what) in more.as_object().expect("an object") {
            value[key] = what.clone();
        }
        Lane::deserialize(&value).expect("a lane").line()
    }

    #[test]
    fn lanes_in_words() {
        let paused = serde_json::json!({"paused_for_seconds": 11.4, "reason": "Graph answered 429 and asked for 30 s"});
        let said = "directory: 3 waiting, paused 12 s (Graph answered 429 and asked for 30 s), 410 of 3,325 units used";
        assert_eq!(lane(paused).as_deref(), Some(said));
        let budget = serde_json::json!({"workload": "reports", "allowed": 4.75, "used": 5.0, "reason": "the budget of the tenant: room in 1.2 s", "in_flight": 1});
        let said = "reports: 3 waiting (for the budget of the tenant: room in 1.2 s), 1 under way, 5 of 5 requests used";
        assert_eq!(lane(budget).as_deref(), Some(said));
        let idle = serde_json::json!({"waiting": {"interactive": 0, "scheduled": 0, "backfill": 0}});
        assert_eq!(lane(idle), None);
        let shared = serde_json::json!({"tenant": null, "allowed": null, "in_flight": 2, "waiting": {"interactive": 0, "scheduled": 0, "backfill": 0}});
        assert_eq!(lane(shared).as_deref(), Some("directory of all tenants of the app: 2 under way"));
    }
}
