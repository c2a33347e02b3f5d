//! Licences of users: the set from users delta, and the slow sweep of how each was assigned, which delta does not track.
//! <https://learn.microsoft.com/graph/api/resources/licenseassignmentstate>

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use super::definition::{Definition, Source, children, key};
use crate::mirror::{ChildRow, ChildTable, Column, Kind, Value, canonical_time};

pub(super) static ASSIGNED_LICENSES: Definition = Definition {
    name: "assigned_licenses",
    summary: "how each licence was assigned: directly or by which group, state, error (slow sweep)",
    source: Source::List { path: "users", top: Some(999) },
    properties: &[key("id"), children("licenseAssignmentStates", &FROM_SWEEP, read_states)],
    rows_of: Some("users"),
    permissions: &["User.Read.All", "Directory.Read.All"],
    schedule: "0 15 */6 * * *",
    ..Definition::DEFAULT
};

const NAME: &str = "assigned_licenses";
const STAGED: Option<&str> = Some("assigned_licenses_staged");
const PARENT: &str = "user_id";
const KEYS: &[&str] = &["sku_id", "assigned_by_group"];
const COLUMNS: &[Column] = &[
    Column { name: "disabled_plans", kind: Kind::Json },
    Column { name: "state", kind: Kind::Text },
    Column { name: "error", kind: Kind::Text },
    Column { name: "last_updated_date_time", kind: Kind::Time },
];
const SKU: usize = 0;
const DISABLED_PLANS: usize = 2;
const STATE: usize = 3;

/// Rows as users delta tells them: which products, and which plans are off in the end.
pub(super) static FROM_DELTA: ChildTable =
    ChildTable { name: NAME, parent: PARENT, keys: KEYS, columns: COLUMNS, reconcile: after_delta, staged: STAGED };

/// Rows as the sweep tells them: one for each way of assignment.
static FROM_SWEEP: ChildTable =
    ChildTable { name: NAME, parent: PARENT, keys: KEYS, columns: COLUMNS, reconcile: after_sweep, staged: STAGED };

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Assignment {
    sku_id: String,
    #[serde(default)]
    disabled_plans: Vec<String>,
    assigned_by_group: Option<String>,
    state: Option<String>,
    error: Option<String>,
    last_updated_date_time: Option<String>,
}

fn row(assignment: Assignment) -> Result<ChildRow<'static>, String> {
    let text = |value: Option<String>| value.map_or(Value::Null, |text| Value::Text(Cow::Owned(text)));
    let mut plans = assignment.disabled_plans;
    plans.sort_unstable();
    plans.dedup();
    let updated = match assignment.last_updated_date_time {
        None => None,
        Some(at) => Some(canonical_time(&at).ok_or_else(|| format!("lastUpdatedDateTime is no time: {at:?}"))?.into_owned()),
    };
    Ok(vec![
        Value::Text(Cow::Owned(assignment.sku_id)),
        Value::Text(Cow::Owned(assignment.assigned_by_group.unwrap_or_default())),
        text((!plans.is_empty()).then(|| serde_json::Value::from(plans).to_string())),
        text(assignment.state),
        // Graph says None for no error in some answers and null in others.
        text(assignment.error.filter(|error| !error.is_empty() && error != "None")),
        text(updated),
    ])
}

/// `assignedLicenses`: product and plans that are off; nothing of state.
pub(super) fn read_assigned(json: &str) -> Result<Vec<ChildRow<'static>>, String> {
    read_states(json)
}

/// `licenseAssignmentStates`.
fn read_states(json: &str) -> Result<Vec<ChildRow<'static>>, String> {
    let assignments: Vec<Assignment> = serde_json::from_str(json).map_err(|e| e.to_string())?;
    assignments.into_iter().map(row).collect()
}

fn plans(row: &ChildRow<'_>) -> Vec<String> {
    row[DISABLED_PLANS].as_text().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

fn failed(row: &ChildRow<'_>) -> bool {
    row[STATE].as_text() == Some("Error")
}

/// What the sweep found stays while it agrees with delta; where it does not, the product stands once with its way unknown until the
/// next sweep. An assignment in error is no licence, so delta says nothing of it and it stays.
fn after_delta<'a>(stand: &[ChildRow<'static>], came: Vec<ChildRow<'a>>) -> Vec<ChildRow<'a>> {
    let mut by_sku: BTreeMap<&str, Vec<&ChildRow<'static>>> = BTreeMap::new();
    let mut result: Vec<ChildRow<'a>> = Vec::new();
    for row in stand {
        if failed(row) {
            result.push(row.clone());
        } else {
            by_sku.entry(row[SKU].as_text().unwrap_or_default()).or_default().push(row);
        }
    }
    for row in came {
        let known = by_sku.get(row[SKU].as_text().unwrap_or_default());
        // A plan is off when it is off in every assignment.
        let off_in_all = known.map(|rows| {
            let mut off = plans(rows[0]);
            off.retain(|plan| rows.iter().all(|row| plans(row).contains(plan)));
            off
        });
        match known {
            Some(rows) if off_in_all.as_ref() == Some(&plans(&row)) => result.extend(rows.iter().copied().cloned()),
            _ => result.push(row),
        }
    }
    result
}

/// Ways of assignment replace what an earlier sweep said; a product that only delta knows stays (states have been seen incomplete).
fn after_sweep<'a>(stand: &[ChildRow<'static>], came: Vec<ChildRow<'a>>) -> Vec<ChildRow<'a>> {
    let unknown = stand.iter().filter(|row| row[STATE] == Value::Null && !came.iter().any(|new| new[SKU] == row[SKU] && !failed(new)));
    let kept: Vec<ChildRow<'a>> = unknown.cloned().collect();
    came.into_iter().chain(kept).collect()
}
