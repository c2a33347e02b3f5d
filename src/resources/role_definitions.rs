//! Directory roles, built-in and custom. <https://learn.microsoft.com/graph/api/rbacapplication-list-roledefinitions>

use std::borrow::Cow;

use super::definition::{Definition, Source, boolean, derived, json, key, text};
use super::privileged_roles::{PRIVILEGED, SOURCE};
use crate::graph::Workload;
use crate::mirror::{Item, Kind, Table, Value};

pub(super) static ROLE_DEFINITIONS: Definition = Definition {
    name: "role_definitions",
    summary: "directory roles, built-in and custom",
    source: Source::List { path: "roleManagement/directory/roleDefinitions", top: None },
    properties: &[
        key("id"),
        text("displayName"),
        text("description"),
        boolean("isBuiltIn"),
        boolean("isEnabled"),
        derived("is_privileged", Kind::Boolean),
        derived("is_privileged_source", Kind::Text),
        text("templateId"),
        text("version"),
        json("resourceScopes"),
        json("rolePermissions"),
    ],
    never_empty: true,
    workload: Workload::RoleManagement,
    permissions: &["RoleManagement.Read.Directory", "Directory.Read.All"],
    schedule: "5 0 * * * *",
    finish: Some(mark_privileged),
    ..Definition::DEFAULT
};

/// v1.0 does not say which roles are privileged; for built-in ones the dated list does. Of custom roles it is not known.
fn mark_privileged(table: &Table, item: &mut Item<'_>) {
    let text = |name: &str| table.column(name).and_then(|index| item.values[index].as_ref()?.as_text());
    let built_in = table.column("is_built_in").is_some_and(|i| item.values[i] == Some(Value::Integer(1)));
    let template = text("template_id").unwrap_or(&item.id);
    let privileged = built_in.then(|| PRIVILEGED.contains(&template));
    let flag = privileged.map_or(Value::Null, |yes| Value::Integer(i64::from(yes)));
    let source = privileged.map_or(Value::Null, |_| Value::Text(Cow::Borrowed(SOURCE)));
    for (name, value) in [("is_privileged", flag), ("is_privileged_source", source)] {
        if let Some(index) = table.column(name) {
            item.values[index] = Some(value);
        }
    }
}
