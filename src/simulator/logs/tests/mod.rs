//! Tests of the logs through their requests, without sockets.

mod arrival;
mod history;
mod reading;
mod refusals;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::super::delta::Twist;
use super::super::listing::Query;
use super::super::options::{Premium, Quirks, TenantOptions};
use super::super::routes::{self, Request};
use super::super::tenant::Tenant;

pub(super) const SIGN_INS: &str = "auditLogs/signIns";
pub(super) const AUDITS: &str = "auditLogs/directoryAudits";

/// A service that behaves, with logs but no history.
pub(super) fn options() -> TenantOptions {
    TenantOptions { logs: true, quirks: Quirks::none(), late_share: 0.0, amended_share: 0.0, ..TenantOptions::new("contoso", 3, 60) }
}

pub(super) fn tenant(options: TenantOptions) -> Tenant {
    Tenant::new(options)
}

/// Status, body and headers of a GET; the query is not encoded.
pub(super) fn get_full(tenant: &Tenant, version: &'static str, path: &str, query: &str, unknown_members: bool) -> (u16, Value, String) {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned()));
    let roles = tenant.permissions();
    let answer = routes::answer(&Request {
        tenant,
        roles: &roles,
        version,
        path,
        query: Query(pairs.collect()),
        eventual: false,
        minimal: false,
        unknown_members,
        origin: "http://sim",
        twist: Twist::default(),
    });
    let headers: Vec<String> = answer.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    (answer.status, serde_json::from_str(&answer.body).unwrap(), headers.concat())
}

pub(super) fn get(tenant: &Tenant, path: &str, query: &str) -> (u16, Value) {
    let (status, body, _) = get_full(tenant, "v1.0", path, query, false);
    (status, body)
}

/// Status and error code.
pub(super) fn refusal(tenant: &Tenant, path: &str, query: &str) -> (u16, String) {
    let (status, body) = get(tenant, path, query);
    (status, body["error"]["code"].as_str().unwrap_or_default().to_owned())
}

/// The query of a page's link, decoded.
pub(super) fn next(body: &Value) -> Option<String> {
    let link = url::Url::parse(body["@odata.nextLink"].as_str()?).unwrap();
    let pairs: Vec<String> = link.query_pairs().map(|(name, value)| format!("{name}={value}")).collect();
    Some(pairs.join("&"))
}

pub(super) fn ids(body: &Value) -> Vec<String> {
    body["value"].as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

/// All pages of a query; `between` happens after each.
pub(super) fn all_pages(tenant: &Tenant, path: &str, query: &str, mut between: impl FnMut()) -> Vec<Vec<String>> {
    let (mut pages, mut query) = (Vec::new(), Some(query.to_owned()));
    while let Some(asked) = query {
        let (status, body) = get(tenant, path, &asked);
        assert_eq!(status, 200, "{asked}: {body}");
        pages.push(ids(&body));
        query = next(&body);
        assert!(pages.len() < 500, "the chain does not end");
        between();
    }
    pages
}

pub(super) fn set(ids: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    ids.into_iter().collect()
}

pub(super) fn hours_ago(tenant: &Tenant, hours: i64) -> Timestamp {
    tenant.now() - SignedDuration::from_hours(hours)
}

pub(super) fn with_premium(premium: Premium) -> Tenant {
    tenant(TenantOptions { premium, ..options() })
}
