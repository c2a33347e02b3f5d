//! PIM: roles that principals may activate. <https://learn.microsoft.com/graph/api/rbacapplication-list-roleeligibilityscheduleinstances>

use super::definition::{Definition, Source, key, text, time};
use crate::graph::Workload;

pub(super) static ROLE_ELIGIBILITY_SCHEDULE_INSTANCES: Definition = Definition {
    name: "role_eligibility_schedule_instances",
    summary: "PIM: roles that principals may activate, with start and end",
    source: Source::List { path: "roleManagement/directory/roleEligibilityScheduleInstances", top: None },
    properties: &[
        key("id"),
        text("principalId"),
        text("roleDefinitionId"),
        text("directoryScopeId"),
        text("appScopeId"),
        text("memberType"),
        time("startDateTime"),
        time("endDateTime"),
        text("roleEligibilityScheduleId"),
    ],
    workload: Workload::RoleManagement,
    permissions: &["RoleEligibilitySchedule.Read.Directory", "RoleManagement.Read.Directory", "RoleManagement.Read.All"],
    licence: Some("Microsoft Entra ID P2 or Microsoft Entra ID Governance"),
    schedule: "35 */15 * * * *",
    ..Definition::DEFAULT
};
