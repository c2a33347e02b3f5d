//! Which path is answered how, and with which permission. Knows collections; no sockets.

use serde_json::{Value, json};

use super::answer::Answer;
use super::delta::{self, Twist};
use super::listing::{self, Listing, Paging, Query, related, selection, shown};
use super::logs;
use super::options::Premium;
use super::schema::Kind;
use super::store::{Life, Relation};
use super::tenant::Tenant;

/// One request for Graph, taken apart.
pub(super) struct Request<'r> {
    pub tenant: &'r Tenant,
    /// Permissions of the token.
    pub roles: &'r [String],
    /// `v1.0` or `beta`.
    pub version: &'static str,
    /// Path under the version, without slashes at its ends.
    pub path: &'r str,
    pub query: Query,
    pub eventual: bool,
    pub minimal: bool,
    /// Whether members that enumerations got later are wanted.
    pub unknown_members: bool,
    pub origin: &'r str,
    pub twist: Twist,
}

/// Collection path, what it lists, and what may read it; any of the permissions will do.
fn collection(path: &str) -> Option<(Listing, &'static [&'static str])> {
    let paged = |kind, filters| Listing { kind, max_top: Some(999), default_top: 100, filters };
    let whole = |kind, filters| Listing { kind, max_top: None, default_top: usize::MAX, filters };
    const ROLE: &[&str] = &["RoleManagement.Read.Directory", "RoleManagement.Read.All", "Directory.Read.All"];
    Some(match path {
        "users" => (paged(Kind::User, true), &["User.Read.All", "Directory.Read.All"]),
        "groups" => (paged(Kind::Group, true), &["GroupMember.Read.All", "Group.Read.All", "Directory.Read.All"]),
        "devices" => (paged(Kind::Device, true), &["Device.Read.All", "Directory.Read.All"]),
        "servicePrincipals" => (paged(Kind::ServicePrincipal, true), &["Application.Read.All", "Directory.Read.All"]),
        "applications" => (paged(Kind::Application, true), &["Application.Read.All", "Directory.Read.All"]),
        "directory/administrativeUnits" | "administrativeUnits" => {
            (paged(Kind::AdministrativeUnit, true), &["AdministrativeUnit.Read.All", "Directory.Read.All"])
        }
        "organization" => (whole(Kind::Organization, false), &["Organization.Read.All", "Directory.Read.All"]),
        "subscribedSkus" => {
            (whole(Kind::SubscribedSku, false), &["LicenseAssignment.Read.All", "Organization.Read.All", "Directory.Read.All"])
        }
        "directoryRoles" => (whole(Kind::DirectoryRole, true), ROLE),
        "roleManagement/directory/roleDefinitions" => (paged(Kind::RoleDefinition, true), ROLE),
        "roleManagement/directory/roleAssignments" => (paged(Kind::RoleAssignment, true), ROLE),
        "roleManagement/directory/roleAssignmentScheduleInstances" => (
            paged(Kind::RoleAssignmentScheduleInstance, true),
            &["RoleAssignmentSchedule.Read.Directory", "RoleManagement.Read.Directory", "RoleManagement.Read.All"],
        ),
        "roleManagement/directory/roleEligibilityScheduleInstances" => (
            paged(Kind::RoleEligibilityScheduleInstance, true),
            &["RoleEligibilitySchedule.Read.Directory", "RoleManagement.Read.Directory", "RoleManagement.Read.All"],
        ),
        _ => return None,
    })
}

fn needs_p2(kind: Kind) -> bool {
    matches!(kind, Kind::RoleAssignmentScheduleInstance | Kind::RoleEligibilityScheduleInstance)
}

pub(super) fn denied() -> Answer {
    Answer::error(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
}

/// Answers a GET.
pub(super) fn answer(request: &Request<'_>) -> Answer {
    if let Some(answer) = logs::answer(request).or_else(|| logs::refuse_activity(request)) {
        return answer;
    }
    if request.version == "beta" {
        let segment = request.path.split('/').next().unwrap_or_default();
        return Answer::bad_request(&format!("Resource not found for the segment '{segment}'."));
    }
    logs::with_activity(request, directory(request))
}

/// Answers a GET of the directory.
fn directory(request: &Request<'_>) -> Answer {
    let allowed = |permissions: &[&str]| permissions.iter().any(|p| request.roles.iter().any(|role| role == p));
    let path = request.path;
    if let Some((listing, permissions)) = collection(path) {
        if !allowed(permissions) {
            return denied();
        }
        if needs_p2(listing.kind) && request.tenant.shared.options.premium != Premium::P2 {
            return Answer::error(
                400,
                "AadPremiumLicenseRequired",
                "The tenant needs to have Microsoft Entra ID P2 or Microsoft Entra ID Governance license.",
            );
        }
        if request.twist.empty {
            return Answer::ok(&json!({"value": []}));
        }
        return listing::answer(
            &request.tenant.read(),
            listing,
            path,
            &request.query,
            request.eventual,
            request.origin,
            Paging {
                largest: request.tenant.shared.options.list_page,
                now: request.tenant.now().as_second(),
                life: request.tenant.shared.options.skiptoken_life.map(|life| life.as_secs() as i64),
                twist: request.twist,
            },
        );
    }
    let (parent, last) = path.rsplit_once('/').unwrap_or(("", path));
    let delta = matches!(last, "delta" | "delta()" | "microsoft.graph.delta" | "microsoft.graph.delta()");
    if let (true, Some((listing, permissions))) = (delta, collection(parent)) {
        if !allowed(permissions) {
            return denied();
        }
        if !listing.kind.has_delta() {
            return Answer::bad_request(&format!("Resource not found for the segment '{last}'."));
        }
        return delta::answer(request.tenant, listing.kind, path, &request.query, request.minimal, request.origin, request.twist);
    }
    if let (Some((listing, permissions)), "$count") = (collection(parent), last) {
        return match (allowed(permissions), request.eventual) {
            (false, _) => denied(),
            (true, false) => Answer::bad_request("$count is not currently supported."),
            (true, true) => {
                let count = request.tenant.read().live(listing.kind).count();
                Answer { content_type: "text/plain", ..Answer::json(200, count.to_string()) }
            }
        };
    }
    if let Some(kind) = path.strip_prefix("directory/deletedItems/microsoft.graph.") {
        return deleted(request, kind, allowed);
    }
    single(request, allowed)
}

fn deleted(request: &Request<'_>, kind: &str, allowed: impl Fn(&[&str]) -> bool) -> Answer {
    let (kind, permission) = match kind {
        "user" => (Kind::User, "User.Read.All"),
        "group" => (Kind::Group, "GroupMember.Read.All"),
        "application" => (Kind::Application, "Application.Read.All"),
        "servicePrincipal" => (Kind::ServicePrincipal, "Application.Read.All"),
        _ => return Answer::bad_request("Resource not found for the segment."),
    };
    if !allowed(&[permission, "Directory.Read.All"]) {
        return denied();
    }
    let store = request.tenant.read();
    let items: Vec<Value> = store
        .all(kind)
        .iter()
        .map(|index| store.object(*index))
        .filter_map(|object| match object.life {
            Life::SoftDeleted(at) => Some(json!({
                "id": object.id, "displayName": object.get("displayName"), "userPrincipalName": object.get("userPrincipalName"),
                "deletedDateTime": at.to_string(),
            })),
            _ => None,
        })
        .collect();
    Answer::ok(&json!({"value": items}))
}

/// `collection/{id}` and `collection/{id}/relationship`.
fn single(request: &Request<'_>, allowed: impl Fn(&[&str]) -> bool) -> Answer {
    let missing = || {
        Answer::bad_request(&format!("Resource not found for the segment '{}'.", request.path.split('/').next_back().unwrap_or_default()))
    };
    let parts: Vec<&str> = request.path.split('/').collect();
    let Some((depth, (listing, permissions))) =
        (1..parts.len()).rev().find_map(|depth| collection(&parts[..depth].join("/")).map(|found| (depth, found)))
    else {
        return missing();
    };
    if !allowed(permissions) {
        return denied();
    }
    let id = parts[depth];
    let store = request.tenant.read();
    let by_name = || store.live(listing.kind).find(|o| o.text("userPrincipalName").eq_ignore_ascii_case(id));
    let found = store.find_of(listing.kind, id).map(|index| store.object(index)).filter(|object| object.is_live()).or_else(by_name);
    let Some(object) = found else { return Answer::not_found(id) };
    let relation = match parts[depth + 1..] {
        [] => {
            return match selection(listing.kind, request.query.get("$select"), false) {
                Ok(select) => Answer::ok(&shown(&store, object, select.as_deref(), request.query.get("$expand"))),
                Err(refused) => refused,
            };
        }
        ["members"] => Relation::Members,
        ["owners"] => Relation::Owners,
        ["manager"] => {
            return match object.live_links(Relation::Manager).map(|link| store.object(link.target)).find(|manager| manager.is_live()) {
                Some(manager) => Answer::ok(&shown(&store, manager, None, None)),
                None => Answer::not_found("manager"),
            };
        }
        _ => return missing(),
    };
    related(&store, object, relation, request.path, request.origin)
}
