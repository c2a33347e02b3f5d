//! Compares a mirror's file with the simulator's ground truth, row for row. Written from the contract, not from the program's own tables.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

type Rows = BTreeMap<String, BTreeMap<String, Value>>;

/// Opens the file as an application would.
pub fn open(file: &Path) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags).expect("open the mirror");
    connection.busy_timeout(std::time::Duration::from_secs(5)).expect("busy timeout");
    connection
}

/// A query's single number.
pub fn number(connection: &Connection, sql: &str) -> i64 {
    connection.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|e| panic!("{sql}: {e}"))
}

fn snake(name: &str) -> String {
    name.chars().flat_map(|c| if c.is_ascii_uppercase() { vec!['_', c.to_ascii_lowercase()] } else { vec![c] }).collect()
}

/// All rows of a table by key; NULLs left out.
fn rows(connection: &Connection, table: &str, key: &str) -> Rows {
    let mut statement = connection.prepare(&format!("SELECT * FROM {table}")).expect("prepare");
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut out = Rows::new();
    let mut found = statement.query([]).expect("query");
    while let Some(row) = found.next().expect("row") {
        let mut values = BTreeMap::new();
        for (index, name) in names.iter().enumerate() {
            let value = match row.get_ref(index).expect("value") {
                ValueRef::Null => continue,
                ValueRef::Integer(i) => Value::from(i),
                ValueRef::Text(t) => Value::from(std::str::from_utf8(t).expect("utf-8")),
                other => panic!("{table}.{name} holds {other:?}"),
            };
            values.insert(name.clone(), value);
        }
        let id = values[key].as_str().expect("key").to_owned();
        assert!(out.insert(id, values).is_none(), "{table}: a key twice");
    }
    out
}

/// What a column should hold for Graph's value; `None` = NULL.
fn stored(value: &Value, time: bool) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Bool(flag) => Some(Value::from(i64::from(*flag))),
        Value::Array(list) if list.is_empty() => None,
        Value::Array(_) | Value::Object(_) => Some(value.clone()),
        Value::String(text) if time => {
            // To the millisecond, whatever Graph writes.
            let (seconds, fraction) = text.trim_end_matches('Z').split_once('.').unwrap_or((text.trim_end_matches('Z'), ""));
            Some(Value::from(format!("{seconds}.{:0<3.3}Z", fraction)))
        }
        other => Some(other.clone()),
    }
}

/// Compares the columns of one table with objects of the truth.
fn table(connection: &Connection, truth: &[Value], name: &str, key: &str, graph_key: &str) {
    let rows = rows(connection, name, key);
    let expected: BTreeSet<&str> = truth.iter().filter_map(|o| o[graph_key].as_str()).collect();
    let found: BTreeSet<&str> = rows.keys().map(String::as_str).collect();
    assert_eq!(found.difference(&expected).collect::<Vec<_>>(), Vec::<&&str>::new(), "{name}: rows that should not be there");
    assert_eq!(expected.difference(&found).collect::<Vec<_>>(), Vec::<&&str>::new(), "{name}: rows that are missing");
    let columns: Vec<String> = connection
        .prepare(&format!("SELECT name FROM pragma_table_info('{name}')"))
        .and_then(|mut s| s.query_map([], |r| r.get(0))?.collect())
        .expect("columns");
    for object in truth {
        let row = &rows[object[graph_key].as_str().expect("id")];
        let by_column: BTreeMap<String, &Value> = object.as_object().expect("object").iter().map(|(n, v)| (snake(n), v)).collect();
        for column in &columns {
            if matches!(
                column.as_str(),
                "first_seen_at" | "last_changed_at" | "extra" | "manager_id" | "is_privileged" | "is_privileged_source" | "user_id"
            ) || column.starts_with("prepaid_units_")
            {
                continue;
            }
            let time = column.ends_with("date_time") || column == "employee_hire_date";
            let expected = by_column.get(column.as_str()).and_then(|value| stored(value, time));
            let found = row.get(column).map(|value| match (&expected, value) {
                // JSON columns are compared as JSON.
                (Some(Value::Array(_) | Value::Object(_)), Value::String(text)) => serde_json::from_str(text).expect("JSON"),
                _ => value.clone(),
            });
            assert_eq!(found, expected, "{name}.{column} of {}", object[graph_key]);
        }
    }
}

/// Compares the lists of states that come with the logs, which a sync of everything has read.
pub fn assert_reports(connection: &Connection, truth: &Value) {
    let list = |name: &str| truth[name].as_array().expect(name).as_slice();
    table(connection, list("userRegistrationDetails"), "user_registration_details", "id", "id");
    table(connection, list("riskyUsers"), "risky_users", "id", "id");
    // Activity is told of those who are there; of some there is none.
    let activity: BTreeMap<&str, &Value> = list("signInActivity").iter().filter_map(|of| Some((of["id"].as_str()?, of))).collect();
    let none = |user: &Value| serde_json::json!({"id": user["id"]});
    let of = |user: &Value| activity.get(user["id"].as_str().unwrap_or_default()).map_or_else(|| none(user), |of| (*of).clone());
    let activity: Vec<Value> = list("users").iter().map(of).collect();
    table(connection, &activity, "user_sign_in_activity", "user_id", "id");
}

fn pairs(connection: &Connection, sql: &str) -> BTreeSet<(String, String, String)> {
    connection
        .prepare(sql)
        .and_then(|mut s| s.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?.collect())
        .unwrap_or_else(|e| panic!("{sql}: {e}"))
}

fn links(truth: &[Value], relation: &str, hidden: &BTreeSet<&str>) -> BTreeSet<(String, String, String)> {
    let mut out = BTreeSet::new();
    for object in truth {
        for link in object[relation].as_array().into_iter().flatten() {
            let id = link["id"].as_str().expect("id");
            if !hidden.contains(id) {
                let kind = link["@odata.type"].as_str().expect("type").trim_start_matches("#microsoft.graph.");
                out.insert((object["id"].as_str().expect("id").into(), id.into(), kind.into()));
            }
        }
    }
    out
}

fn assert_same<T: Ord + std::fmt::Debug>(what: &str, found: &BTreeSet<T>, expected: &BTreeSet<T>) {
    let surplus: Vec<_> = found.difference(expected).take(5).collect();
    let missing: Vec<_> = expected.difference(found).take(5).collect();
    assert!(surplus.is_empty() && missing.is_empty(), "{what}: surplus {surplus:?}, missing {missing:?}");
}

/// What a comparison leaves out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Without {
    /// The PIM tables (a tenant without P2).
    pub pim: bool,
    /// How licences were assigned (the slow sweep did not run since).
    pub licence_states: bool,
}

/// Compares every mirrored table with the truth.
pub fn assert_equal(file: &Path, truth: &Value, without: Without) {
    let connection = open(file);
    let list = |name: &str| truth[name].as_array().expect(name).as_slice();
    let check: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("integrity_check");
    assert_eq!(check, "ok");
    for (name, key, collection, graph_key) in [
        ("organization", "id", "organization", "id"),
        ("users", "id", "users", "id"),
        ("groups", "id", "groups", "id"),
        ("administrative_units", "id", "administrativeUnits", "id"),
        ("devices", "id", "devices", "id"),
        ("service_principals", "id", "servicePrincipals", "id"),
        ("applications", "id", "applications", "id"),
        ("role_definitions", "id", "roleDefinitions", "id"),
        ("role_assignments", "id", "roleAssignments", "id"),
        ("role_assignment_schedule_instances", "id", "roleAssignmentScheduleInstances", "id"),
        ("role_eligibility_schedule_instances", "id", "roleEligibilityScheduleInstances", "id"),
        ("subscribed_skus", "sku_id", "subscribedSkus", "skuId"),
    ] {
        if !(without.pim && name.contains("schedule_instances")) {
            table(&connection, list(collection), name, key, graph_key);
        }
    }
    let managers = rows(&connection, "users", "id");
    for user in list("users") {
        let found = managers[user["id"].as_str().expect("id")].get("manager_id").cloned().unwrap_or_default();
        assert_eq!(found, user["manager"], "manager of {}", user["id"]);
    }
    let hidden: BTreeSet<&str> = list("deleted").iter().filter_map(|o| o["id"].as_str()).collect();
    for (view, what, relation) in [
        ("SELECT group_id, member_id, member_type FROM group_members", "groups", "members"),
        ("SELECT group_id, owner_id, owner_type FROM group_owners", "groups", "owners"),
        ("SELECT administrative_unit_id, member_id, member_type FROM administrative_unit_members", "administrativeUnits", "members"),
    ] {
        assert_same(view, &pairs(&connection, view), &links(list(what), relation, &hidden));
    }
    licences(&connection, list("users"), without);
    plans(&connection, list("subscribedSkus"));
    for (table, collection, parent) in [
        ("application_credentials", "applications", "application_id"),
        ("service_principal_credentials", "servicePrincipals", "service_principal_id"),
    ] {
        let mut expected = BTreeSet::new();
        for object in list(collection) {
            for (kind, property) in [("password", "passwordCredentials"), ("key", "keyCredentials")] {
                for credential in object[property].as_array().into_iter().flatten() {
                    let end = credential["endDateTime"].as_str().expect("end").replace('Z', ".000Z");
                    expected.insert((
                        object["id"].as_str().expect("id").to_owned(),
                        format!("{kind} {}", credential["keyId"].as_str().expect("key")),
                        end,
                    ));
                }
            }
        }
        let sql = format!("SELECT {parent}, credential_type || ' ' || key_id, end_date_time FROM {table}");
        assert_same(table, &pairs(&connection, &sql), &expected);
    }
}

fn licences(connection: &Connection, users: &[Value], without: Without) {
    let plans = |value: &Value| {
        let mut plans: Vec<String> =
            value["disabledPlans"].as_array().into_iter().flatten().filter_map(|p| p.as_str()).map(str::to_owned).collect();
        plans.sort();
        serde_json::to_string(&plans).expect("JSON")
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if without.licence_states {
        let expected: BTreeSet<_> = users
            .iter()
            .flat_map(|user| {
                user["assignedLicenses"].as_array().into_iter().flatten().map(|l| (text(&user["id"]), text(&l["skuId"]), String::new()))
            })
            .collect();
        let sql = "SELECT DISTINCT user_id, sku_id, '' FROM assigned_licenses WHERE coalesce(state, '') <> 'Error'";
        return assert_same("licences", &pairs(connection, sql), &expected);
    }
    let mut expected = BTreeSet::new();
    for user in users {
        for state in user["licenseAssignmentStates"].as_array().into_iter().flatten() {
            let how = format!("{} {} {}", text(&state["skuId"]), text(&state["assignedByGroup"]), text(&state["state"]));
            expected.insert((text(&user["id"]), how, plans(state)));
        }
    }
    let sql = "SELECT user_id, sku_id || ' ' || assigned_by_group || ' ' || coalesce(state, ''), coalesce(disabled_plans, '[]') FROM assigned_licenses";
    assert_same("licences", &pairs(connection, sql), &expected);
}

fn plans(connection: &Connection, skus: &[Value]) {
    let mut expected = BTreeSet::new();
    for sku in skus {
        let id = sku["skuId"].as_str().expect("sku");
        for plan in sku["servicePlans"].as_array().into_iter().flatten() {
            expected.insert((
                id.to_owned(),
                plan["servicePlanId"].as_str().expect("plan").to_owned(),
                plan["servicePlanName"].as_str().expect("name").to_owned(),
            ));
        }
        for (member, column) in [("enabled", "enabled"), ("warning", "warning"), ("suspended", "suspended"), ("lockedOut", "locked_out")] {
            let found = number(connection, &format!("SELECT prepaid_units_{column} FROM subscribed_skus WHERE sku_id = '{id}'"));
            assert_eq!(found, sku["prepaidUnits"][member].as_i64().expect("units"), "{id} {member}");
        }
    }
    assert_same("service plans", &pairs(connection, "SELECT sku_id, service_plan_id, service_plan_name FROM service_plans"), &expected);
}
