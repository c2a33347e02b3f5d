//! Products the tenant has bought, with their service plans. <https://learn.microsoft.com/graph/api/subscribedsku-list>

use std::borrow::Cow;

use serde::Deserialize;

use super::definition::{Definition, Source, children, integer, json, key, members, text};
use crate::mirror::{ChildRow, ChildTable, Column, Kind, Value};

pub(super) static SUBSCRIBED_SKUS: Definition = Definition {
    name: "subscribed_skus",
    summary: "products bought, units used, and their service plans",
    source: Source::List { path: "subscribedSkus", top: None },
    properties: &[
        key("skuId"),
        text("id"),
        text("skuPartNumber"),
        text("appliesTo"),
        text("capabilityStatus"),
        integer("consumedUnits"),
        members("prepaidUnits", &["enabled", "suspended", "warning", "lockedOut"]),
        text("accountId"),
        text("accountName"),
        json("subscriptionIds"),
        children("servicePlans", &SERVICE_PLANS, read_plans),
    ],
    permissions: &["LicenseAssignment.Read.All", "Organization.Read.All", "Directory.Read.All"],
    schedule: "45 0 * * * *",
    ..Definition::DEFAULT
};

static SERVICE_PLANS: ChildTable = ChildTable {
    name: "service_plans",
    parent: "sku_id",
    keys: &["service_plan_id"],
    columns: &[
        Column { name: "service_plan_name", kind: Kind::Text },
        Column { name: "provisioning_status", kind: Kind::Text },
        Column { name: "applies_to", kind: Kind::Text },
    ],
    reconcile: |_, came| came,
    staged: None,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServicePlan {
    service_plan_id: String,
    service_plan_name: Option<String>,
    provisioning_status: Option<String>,
    applies_to: Option<String>,
}

fn read_plans(json: &str) -> Result<Vec<ChildRow<'static>>, String> {
    let plans: Vec<ServicePlan> = serde_json::from_str(json).map_err(|e| e.to_string())?;
    let text = |value: Option<String>| value.map_or(Value::Null, |text| Value::Text(Cow::Owned(text)));
    let row = |plan: ServicePlan| {
        vec![text(Some(plan.service_plan_id)), text(plan.service_plan_name), text(plan.provisioning_status), text(plan.applies_to)]
    };
    Ok(plans.into_iter().map(row).collect())
}
