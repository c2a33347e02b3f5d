//! PIM: role assignments in force, with start and end.
//! <https://learn.microsoft.com/graph/api/rbacapplication-list-roleassignmentscheduleinstances>

use super::definition::{Definition, Source, key, text, time};
use crate::graph::Workload;

pub(super) static ROLE_ASSIGNMENT_SCHEDULE_INSTANCES: Definition = Definition {
    name: "role_assignment_schedule_instances",
    summary: "PIM: role assignments in force, with start and end",
    source: Source::List { path: "roleManagement/directory/roleAssignmentScheduleInstances", top: None },
    properties: &[
        key("id"),
        text("principalId"),
        text("roleDefinitionId"),
        text("directoryScopeId"),
        text("appScopeId"),
        text("assignmentType"),
        text("memberType"),
        time("startDateTime"),
        time("endDateTime"),
        text("roleAssignmentOriginId"),
        text("roleAssignmentScheduleId"),
    ],
    workload: Workload::RoleManagement,
    permissions: &["RoleAssignmentSchedule.Read.Directory", "RoleManagement.Read.Directory", "RoleManagement.Read.All"],
    licence: Some("Microsoft Entra ID P2 or Microsoft Entra ID Governance"),
    schedule: "25 */15 * * * *",
    ..Definition::DEFAULT
};
