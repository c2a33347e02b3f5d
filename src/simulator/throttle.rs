//! Throttling as Graph does it: budgets of apps and tenants counted in sliding windows on the wall clock, refusals, and the headers that
//! tell of them. Knows paths and costs; no objects. <https://learn.microsoft.com/graph/throttling-limits>

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use super::answer::Answer;
use super::listing::Query;
use super::tenant::Tenant;

/// How a refusal says for how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wait {
    /// Whole seconds, rounded up.
    #[default]
    Seconds,
    /// Seconds with decimals.
    Decimal,
    /// An HTTP date.
    Date,
    /// Always 1, however long it lasts.
    One,
    /// Not at all.
    Missing,
}

/// The throttling of a tenant. Amounts are of a window; windows are as Graph has them, times `scale`.
#[derive(Clone, Debug, PartialEq)]
pub struct Throttle {
    /// Whether there is any.
    pub on: bool,
    /// Factor on the length of all windows: with 0.1 ten seconds take one.
    pub scale: f64,
    /// Resource units in 10 s; 3,500, 5,000 or 8,000 by the number of people when not said.
    pub directory_units: Option<f64>,
    /// Resource units in 20 s over all tenants of the app.
    pub app_directory_units: f64,
    /// Requests for logs and reports in 10 s.
    pub reports: f64,
    /// The same over all tenants of the app.
    pub app_reports: f64,
    /// Requests with `signInActivity` in 60 s over all tenants of the app.
    pub sign_in_activity: f64,
    /// Requests for Identity Protection and Conditional Access in 1 s, over all apps of the tenant.
    pub identity_protection: f64,
    /// Requests for roles and PIM in 10 s; Graph publishes none, and without it there is none.
    pub role_management: Option<f64>,
    pub wait: Wait,
    /// Whether `x-ms-throttle-limit-percentage` is told from 0.8 on; many tenants never see it.
    pub percentage: bool,
}

impl Default for Throttle {
    fn default() -> Throttle {
        Throttle::off()
    }
}

impl Throttle {
    /// None.
    pub fn off() -> Throttle {
        Throttle { on: false, ..Throttle::published() }
    }

    /// As Graph publishes it.
    pub fn published() -> Throttle {
        Throttle {
            on: true,
            scale: 1.0,
            directory_units: None,
            app_directory_units: 150_000.0,
            reports: 5.0,
            app_reports: 122.0,
            sign_in_activity: 10.0,
            identity_protection: 1.0,
            role_management: None,
            wait: Wait::Seconds,
            percentage: true,
        }
    }

    fn directory_units(&self, people: usize) -> f64 {
        self.directory_units.unwrap_or(match people {
            ..50 => 3_500.0,
            50..=500 => 5_000.0,
            _ => 8_000.0,
        })
    }
}

/// What throttling did to a tenant so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ThrottleStats {
    pub requests: u64,
    /// Of them, answered 429.
    pub rejected: u64,
    /// Units or requests that were counted, refused ones included, by budget.
    pub units: BTreeMap<String, f64>,
    /// Refusals by budget.
    pub rejected_by: BTreeMap<String, u64>,
}

/// What was sent in a sliding window.
#[derive(Debug, Default)]
struct Bucket {
    sent: VecDeque<(Instant, f64)>,
    used: f64,
}

impl Bucket {
    /// Counts a request, whether it is let through or not: asking too early prolongs the wait. The share that is used, and how long it is
    /// until there was room, when there is none.
    fn count(&mut self, cost: f64, limit: f64, window: Duration, now: Instant) -> (f64, Option<Duration>) {
        while let Some((_, cost)) = self.sent.front().filter(|(at, _)| *at + window <= now) {
            self.used -= cost;
            self.sent.pop_front();
        }
        if self.sent.is_empty() {
            self.used = 0.0;
        }
        let mut over = self.used + cost - limit;
        let fits = over <= 1e-9 || self.sent.is_empty();
        self.sent.push_back((now, cost));
        self.used += cost;
        let share = self.used / limit.max(1e-9);
        if fits {
            return (share, None);
        }
        let mut wait = window;
        for (at, cost) in &self.sent {
            over -= cost;
            wait = (*at + window).saturating_duration_since(now);
            if over <= 1e-9 {
                break;
            }
        }
        (share, Some(wait))
    }
}

/// One budget that a request falls under.
struct Budget {
    name: &'static str,
    /// First word of `x-ms-throttle-scope`.
    scope: &'static str,
    information: &'static str,
    key: String,
    cost: f64,
    limit: f64,
    window: Duration,
}

/// The budgets of everybody.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    buckets: Mutex<HashMap<String, Bucket>>,
}

/// What throttling says to a request.
pub(super) enum Verdict {
    /// Let through; these headers go with the answer.
    Through(Vec<(&'static str, String)>),
    Refused(Answer),
}

impl Buckets {
    /// Counts a request.
    pub fn count(&self, tenant: &Tenant, path: &str, query: &str) -> Verdict {
        let query = Query::parse(query);
        let throttle = &tenant.shared.options.throttle;
        let directory = is_directory(path);
        let cost = cost(path, &query);
        let units = || directory.then(|| ("x-ms-resource-unit", cost.to_string()));
        if !throttle.on {
            return Verdict::Through(units().into_iter().collect());
        }
        let now = Instant::now();
        let (mut share, mut refused): (f64, Option<(Duration, Budget)>) = (0.0, None);
        let mut stats = tenant.shared.throttle_stats.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        stats.requests += 1;
        for budget in budgets(tenant, throttle, path, &query, cost) {
            *stats.units.entry(budget.name.into()).or_default() += budget.cost;
            let bucket = buckets.entry(budget.key.clone()).or_default();
            let (used, wait) = bucket.count(budget.cost, budget.limit, budget.window, now);
            share = share.max(used);
            if let Some(wait) = wait {
                *stats.rejected_by.entry(budget.name.into()).or_default() += 1;
                if refused.as_ref().is_none_or(|(longest, _)| *longest < wait) {
                    refused = Some((wait, budget));
                }
            }
        }
        let percentage =
            (throttle.percentage && share >= 0.8).then(|| ("x-ms-throttle-limit-percentage", format!("{:.2}", share.min(1.8))));
        let Some((wait, budget)) = refused else { return Verdict::Through(units().into_iter().chain(percentage).collect()) };
        stats.rejected += 1;
        let scope = format!("{}/ReadWrite/{}/{}", budget.scope, tenant.client_id(), tenant.tenant_id());
        let mut answer = Answer::error(429, "TooManyRequests", "Too many requests.")
            .with_header("x-ms-throttle-scope", scope)
            .with_header("x-ms-throttle-information", budget.information);
        let text = match throttle.wait {
            Wait::Seconds => Some(wait.as_secs_f64().ceil().max(1.0).to_string()),
            Wait::Decimal => Some(format!("{:.3}", wait.as_secs_f64() + 0.001)),
            Wait::Date => Some(httpdate::fmt_http_date(SystemTime::from(tenant.now()) + wait + Duration::from_secs(1))),
            Wait::One => Some("1".to_owned()),
            Wait::Missing => None,
        };
        if let Some(text) = text {
            answer = answer.with_header("retry-after", text);
        }
        if let Some((name, value)) = percentage {
            answer = answer.with_header(name, value);
        }
        Verdict::Refused(answer)
    }
}

fn selects_sign_in_activity(query: &Query) -> bool {
    ["$select", "$filter"].iter().any(|name| query.get(name).is_some_and(|text| text.contains("signInActivity")))
}

fn is_reports(path: &str) -> bool {
    path.starts_with("auditLogs") || path.starts_with("reports")
}

fn is_identity_protection(path: &str) -> bool {
    path.starts_with("identityProtection") || path.starts_with("identity/conditionalAccess")
}

/// Directory objects: what is counted in units.
fn is_directory(path: &str) -> bool {
    !(is_reports(path) || is_identity_protection(path) || path.starts_with("roleManagement"))
}

/// The budgets a request falls under; the first that is exceeded refuses it, and all count it.
fn budgets(tenant: &Tenant, throttle: &Throttle, path: &str, query: &Query, units: u32) -> Vec<Budget> {
    const REQUESTS: &str = "RequestLimitExceeded";
    const UNITS: &str = "ResourceUnitLimitExceeded";
    let (app, id) = (tenant.client_id(), tenant.tenant_id());
    let budget = |name: &'static str, scope: &'static str, information, key: String, cost: f64, limit: f64, seconds: u64| Budget {
        name,
        scope,
        information,
        key: format!("{name} {key}"),
        cost,
        limit,
        window: Duration::from_secs(seconds).mul_f64(throttle.scale.max(0.001)),
    };
    let both = format!("{app} {id}");
    let units = f64::from(units);
    if is_reports(path) {
        return vec![
            budget("reports", "Tenant_Application", REQUESTS, both, 1.0, throttle.reports, 10),
            budget("app_reports", "Application", REQUESTS, app.to_owned(), 1.0, throttle.app_reports, 10),
        ];
    }
    if is_identity_protection(path) {
        return vec![budget("identity_protection", "Tenant", REQUESTS, id.to_owned(), 1.0, throttle.identity_protection, 1)];
    }
    if path.starts_with("roleManagement") {
        let limit = throttle.role_management;
        return limit
            .map(|limit| budget("role_management", "Tenant_Application", "CPULimitExceeded", both, 1.0, limit, 10))
            .into_iter()
            .collect();
    }
    let people = tenant.shared.options.people;
    let mut budgets = vec![
        budget("directory", "Tenant_Application", UNITS, both, units, throttle.directory_units(people), 10),
        budget("app_directory", "Application", UNITS, app.to_owned(), units, throttle.app_directory_units, 20),
    ];
    if selects_sign_in_activity(query) {
        budgets.push(budget("sign_in_activity", "Application", REQUESTS, app.to_owned(), 1.0, throttle.sign_in_activity, 60));
    }
    budgets
}

/// Cost in units of a GET.
fn cost(path: &str, query: &Query) -> u32 {
    let parts: Vec<&str> = path.split('/').collect();
    let base: i32 = match parts[..] {
        ["domains", _, "domainNameReferences"] => 4,
        ["groups", _, "transitiveMembers"] => 5,
        ["groups", _, "members"] | ["subscribedSkus" | "contracts"] => 3,
        ["users" | "applications" | "oauth2PermissionGrants"] => 2,
        ["users", _, "memberOf" | "transitiveMemberOf" | "ownedObjects" | "licenseDetails"] => 2,
        ["servicePrincipals", _, "appRoleAssignments"] => 2,
        _ => 1,
    };
    let few = query.get("$top").and_then(|top| top.parse::<u32>().ok()).is_some_and(|top| top < 20);
    let cost = base - i32::from(query.get("$select").is_some()) + i32::from(query.get("$expand").is_some()) - i32::from(few);
    u32::try_from(cost).unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_slides_and_refused_requests_count() {
        let (mut bucket, start, window) = (Bucket::default(), Instant::now(), Duration::from_secs(10));
        let at = |millis: u64| start + Duration::from_millis(millis);
        for n in 0..5 {
            assert_eq!(bucket.count(1.0, 5.0, window, at(n * 1000)).1, None);
        }
        assert_eq!(bucket.count(1.0, 5.0, window, at(5_000)), (1.2, Some(Duration::from_secs(5))));
        assert_eq!(bucket.count(1.0, 5.0, window, at(10_500)), (1.2, Some(Duration::from_millis(500))), "the early one counted");
        assert_eq!(bucket.count(1.0, 5.0, window, at(25_000)), (0.2, None));
        assert_eq!(Bucket::default().count(9.0, 5.0, window, start).1, None, "what never fits is let through alone");
    }

    #[test]
    fn costs_are_those_of_the_table() {
        for (path, query, units) in [
            ("users", "", 2),
            ("users", "$select=id", 1),
            ("users", "$expand=manager", 3),
            ("users/delta", "$select=id", 1),
            ("groups/x/members", "$top=5", 2),
            ("groups/x/transitiveMembers", "", 5),
            ("subscribedSkus", "$select=id", 2),
            ("organization", "", 1),
        ] {
            assert_eq!(cost(path, &Query::parse(query)), units, "{path}?{query}");
        }
    }
}
