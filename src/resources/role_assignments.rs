//! Active assignments of directory roles. <https://learn.microsoft.com/graph/api/rbacapplication-list-roleassignments>

use super::definition::{Definition, Source, key, text};
use crate::graph::Workload;

pub(super) static ROLE_ASSIGNMENTS: Definition = Definition {
    name: "role_assignments",
    summary: "who holds which directory role now",
    source: Source::List { path: "roleManagement/directory/roleAssignments", top: None },
    properties: &[
        key("id"),
        text("principalId"),
        text("roleDefinitionId"),
        text("directoryScopeId"),
        text("appScopeId"),
        text("principalOrganizationId"),
        text("condition"),
    ],
    // Somebody always is Global Administrator.
    never_empty: true,
    workload: Workload::RoleManagement,
    permissions: &["RoleManagement.Read.Directory", "Directory.Read.All"],
    schedule: "15 */15 * * * *",
    ..Definition::DEFAULT
};
