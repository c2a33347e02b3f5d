//! Compares the events a mirror holds with those that really happened.

use std::collections::BTreeMap;

use entra_mirror::simulator::Tenant;
use rusqlite::Connection;
use serde_json::Value;

/// The kind of sign-ins that v1.0 tells.
pub const INTERACTIVE: &[&str] = &["interactiveUser"];

/// Events as the mirror holds them: id -> the whole event.
fn held(connection: &Connection, table: &str) -> BTreeMap<String, Value> {
    connection
        .prepare(&format!("SELECT id, raw FROM {table}"))
        .and_then(|mut statement| {
            statement
                .query_map([], |row| Ok((row.get::<_, String>(0)?, serde_json::from_str(&row.get::<_, String>(1)?).expect("raw is JSON"))))?
                .collect()
        })
        .expect(table)
}

/// Events as they really are; of sign-ins those of these kinds.
fn real(tenant: &Tenant, name: &str, kinds: &[&str]) -> BTreeMap<String, Value> {
    let truth = tenant.ground_truth();
    let of_kind = |event: &&Value| {
        let types = event["signInEventTypes"].as_array();
        types.is_none_or(|types| types.iter().any(|kind| kinds.contains(&kind.as_str().unwrap_or_default())))
    };
    let events = truth[name].as_array().expect(name).iter().filter(of_kind);
    events.map(|event| (event["id"].as_str().expect("id").to_owned(), event.clone())).collect()
}

/// Every event is there once, with its last content. Properties that only beta shows are not compared where v1.0 was asked.
pub fn assert_same(connection: &Connection, tenant: &Tenant, table: &str, name: &str, kinds: &[&str]) {
    let (held, real) = (held(connection, table), real(tenant, name, kinds));
    let missing: Vec<_> = real.keys().filter(|id| !held.contains_key(*id)).collect();
    let surplus: Vec<_> = held.keys().filter(|id| !real.contains_key(*id)).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "{table}: {} missing, {} surplus of {}", missing.len(), surplus.len(), real.len());
    for (id, event) in &held {
        for (property, value) in event.as_object().expect("an event") {
            assert_eq!(Some(value), real[id].get(property), "{table} {id}: {property}");
        }
    }
}
