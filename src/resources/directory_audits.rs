//! Directory audits: who changed what, with every changed property as a row. <https://learn.microsoft.com/graph/api/directoryaudit-list>

use std::borrow::Cow;

use serde_json::Value as Json;

use super::definition::{Definition, LogSource, RAW, Source, Stream, children, derived, json, key, nested, text, time};
use crate::graph::Workload;
use crate::mirror::{ChildRow, ChildTable, Column, Item, Kind, Table, Value};

pub(super) static DIRECTORY_AUDITS: Definition = Definition {
    name: "directory_audits",
    summary: "who changed what in the directory",
    source: Source::Log(LogSource { path: "auditLogs/directoryAudits", time: "activityDateTime", top: 999, streams: Stream::ALL }),
    properties: &[
        key("id"),
        time("activityDateTime"),
        text("activityDisplayName"),
        text("category"),
        text("operationType"),
        text("result"),
        text("resultReason"),
        text("loggedByService"),
        text("correlationId"),
        derived("initiator_type", Kind::Text),
        derived("initiator_id", Kind::Text),
        derived("initiator_name", Kind::Text),
        nested("initiatedBy.user.id", Kind::Text),
        nested("initiatedBy.user.displayName", Kind::Text),
        nested("initiatedBy.user.userPrincipalName", Kind::Text),
        nested("initiatedBy.user.ipAddress", Kind::Text),
        nested("initiatedBy.app.appId", Kind::Text),
        nested("initiatedBy.app.displayName", Kind::Text),
        nested("initiatedBy.app.servicePrincipalId", Kind::Text),
        derived("target_type", Kind::Text),
        derived("target_id", Kind::Text),
        derived("target_name", Kind::Text),
        derived("second_target_type", Kind::Text),
        derived("second_target_id", Kind::Text),
        derived("second_target_name", Kind::Text),
        json("additionalDetails"),
        children("targetResources", &TARGETS, read_targets),
        RAW,
    ],
    workload: Workload::Reports,
    permissions: &["AuditLog.Read.All"],
    schedule: "25 */5 * * * *",
    finish: Some(first_ones),
    ..Definition::DEFAULT
};

static TARGETS: ChildTable = ChildTable {
    name: "directory_audit_targets",
    parent: "directory_audit_id",
    keys: &["target_position", "property_position"],
    columns: &[
        Column { name: "target_type", kind: Kind::Text },
        Column { name: "target_id", kind: Kind::Text },
        Column { name: "target_display_name", kind: Kind::Text },
        Column { name: "target_user_principal_name", kind: Kind::Text },
        Column { name: "target_group_type", kind: Kind::Text },
        Column { name: "property_display_name", kind: Kind::Text },
        Column { name: "old_value", kind: Kind::Text },
        Column { name: "new_value", kind: Kind::Text },
    ],
    reconcile: |_, came| came,
    staged: None,
};
const POSITION: usize = 0;
const TYPE: usize = 2;
const ID: usize = 3;
const DISPLAY_NAME: usize = 4;
const USER_PRINCIPAL_NAME: usize = 5;

/// One row for each changed property of each target; a target without one has a row of its own.
fn read_targets(json: &str) -> Result<Vec<ChildRow<'static>>, String> {
    let targets: Vec<Json> = serde_json::from_str(json).map_err(|e| e.to_string())?;
    let mut rows = Vec::new();
    for (position, target) in targets.iter().enumerate() {
        // The documentation shows both spellings of `type`.
        let kind = member(target, &["type", "Type"]);
        let nothing = [Json::Null];
        let properties = target["modifiedProperties"].as_array().filter(|list| !list.is_empty()).map_or(&nothing[..], Vec::as_slice);
        for (number, property) in properties.iter().enumerate() {
            rows.push(vec![
                integer(position),
                integer(number),
                kind.clone(),
                member(target, &["id"]),
                member(target, &["displayName"]),
                member(target, &["userPrincipalName"]),
                member(target, &["groupType"]),
                member(property, &["displayName"]),
                member(property, &["oldValue"]),
                member(property, &["newValue"]),
            ]);
        }
    }
    Ok(rows)
}

fn integer(number: usize) -> Value<'static> {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

/// The first of these members that is set, as text.
fn member(of: &Json, names: &[&str]) -> Value<'static> {
    let found = names.iter().find_map(|name| of.get(*name)).filter(|value| !value.is_null());
    match found {
        None => Value::Null,
        Some(Json::String(text)) if text.is_empty() => Value::Null,
        Some(Json::String(text)) => Value::Text(Cow::Owned(text.clone())),
        Some(other) => Value::Text(Cow::Owned(other.to_string())),
    }
}

/// Who did it and the first two targets, in columns that need no join.
fn first_ones(table: &Table, item: &mut Item<'_>) {
    // Some services write an id of zeros where they know nobody.
    let nobody = |value: &Value<'_>| value.as_text().is_some_and(|id| id.starts_with("00000000-0000-0000-0000-"));
    let value = |item: &Item<'_>, name: &str| {
        table.column(name).and_then(|i| item.values[i].clone()).filter(|v| !nobody(v)).unwrap_or(Value::Null).into_owned()
    };
    let first = |item: &Item<'_>, names: &[&str]| names.iter().map(|n| value(item, n)).find(|v| *v != Value::Null).unwrap_or(Value::Null);
    let user = first(item, &["initiated_by_user_id", "initiated_by_user_user_principal_name", "initiated_by_user_display_name"]);
    let app = first(item, &["initiated_by_app_app_id", "initiated_by_app_service_principal_id", "initiated_by_app_display_name"]);
    let (kind, id, name) = match (&user, &app) {
        (Value::Null, Value::Null) => (Value::Null, Value::Null, Value::Null),
        (Value::Null, _) => (
            Value::Text(Cow::Borrowed("app")),
            first(item, &["initiated_by_app_service_principal_id", "initiated_by_app_app_id"]),
            value(item, "initiated_by_app_display_name"),
        ),
        _ => (
            Value::Text(Cow::Borrowed("user")),
            value(item, "initiated_by_user_id"),
            first(item, &["initiated_by_user_user_principal_name", "initiated_by_user_display_name"]),
        ),
    };
    let mut derived = vec![("initiator_type", kind), ("initiator_id", id), ("initiator_name", name)];
    let rows: &[ChildRow<'_>] = item.children.first().map_or(&[], |(_, rows)| rows);
    for (position, names) in
        [["target_type", "target_id", "target_name"], ["second_target_type", "second_target_id", "second_target_name"]].iter().enumerate()
    {
        let Some(row) = rows.iter().find(|row| row[POSITION] == integer(position)) else { continue };
        let name = if row[USER_PRINCIPAL_NAME] == Value::Null { DISPLAY_NAME } else { USER_PRINCIPAL_NAME };
        for (column, index) in names.iter().zip([TYPE, ID, name]) {
            derived.push((column, row[index].clone().into_owned()));
        }
    }
    for (name, value) in derived {
        if let Some(index) = table.column(name) {
            item.values[index] = Some(value);
        }
    }
}
