//! Users that Identity Protection holds for risky. <https://learn.microsoft.com/graph/api/riskyuser-list>

use super::definition::{Definition, Source, boolean, key, text, time};
use crate::graph::Workload;

pub(super) static RISKY_USERS: Definition = Definition {
    name: "risky_users",
    summary: "users that Identity Protection holds for risky",
    source: Source::List { path: "identityProtection/riskyUsers", top: Some(500) },
    properties: &[
        key("id"),
        text("userPrincipalName"),
        text("userDisplayName"),
        boolean("isDeleted"),
        boolean("isProcessing"),
        text("riskDetail"),
        text("riskLevel"),
        text("riskState"),
        time("riskLastUpdatedDateTime"),
    ],
    workload: Workload::IdentityProtection,
    permissions: &["IdentityRiskyUser.Read.All"],
    licence: Some("Microsoft Entra ID P2"),
    schedule: "35 */15 * * * *",
    ..Definition::DEFAULT
};
