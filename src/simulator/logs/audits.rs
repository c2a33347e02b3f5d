//! Directory audits: how a record looks, and the ones that a tenant's history is made of. Knows people's and objects' names; nothing of HTTP.

use serde_json::{Map, Value, json};

use super::super::generate::{Random, guid, pick};
use super::super::schema::Kind;
use super::super::store::{Object, Store};
use super::sign_ins::into_map;

/// Name, category, service and operation type of what was done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Activity(pub &'static str, pub &'static str, pub &'static str, pub &'static str);

const CORE: &str = "Core Directory";
const USERS: &str = "UserManagement";
const GROUPS: &str = "GroupManagement";
const ROLES: &str = "RoleManagement";

pub(super) const ADD_USER: Activity = Activity("Add user", USERS, CORE, "Add");
pub(super) const UPDATE_USER: Activity = Activity("Update user", USERS, CORE, "Update");
pub(super) const DELETE_USER: Activity = Activity("Delete user", USERS, CORE, "Delete");
pub(super) const RESTORE_USER: Activity = Activity("Restore user", USERS, CORE, "Update");
pub(super) const PURGE_USER: Activity = Activity("Hard Delete user", USERS, CORE, "Delete");
pub(super) const CHANGE_LICENSE: Activity = Activity("Change user license", USERS, CORE, "Update");
pub(super) const RESET_PASSWORD: Activity = Activity("Reset user password", USERS, CORE, "Update");
pub(super) const ADD_MEMBER: Activity = Activity("Add member to group", GROUPS, CORE, "Assign");
pub(super) const REMOVE_MEMBER: Activity = Activity("Remove member from group", GROUPS, CORE, "Unassign");
pub(super) const ADD_OWNER: Activity = Activity("Add owner to group", GROUPS, CORE, "Assign");
pub(super) const ADD_GROUP: Activity = Activity("Add group", GROUPS, CORE, "Add");
pub(super) const UPDATE_GROUP: Activity = Activity("Update group", GROUPS, CORE, "Update");
pub(super) const DELETE_GROUP: Activity = Activity("Delete group", GROUPS, CORE, "Delete");
pub(super) const UPDATE_DEVICE: Activity = Activity("Update device", "Device", CORE, "Update");
pub(super) const ADD_TO_ROLE: Activity = Activity("Add member to role", ROLES, CORE, "Assign");
pub(super) const REMOVE_FROM_ROLE: Activity = Activity("Remove member from role", ROLES, CORE, "Unassign");
pub(super) const SELF_SERVICE: Activity = Activity("GroupLifecyclePolicies_Get", GROUPS, "Self-service Group Management", "Update");
const PIM_ACTIVATION: [Activity; 2] = [
    Activity("Add member to role requested (PIM activation)", ROLES, "PIM", "CreateRequestedRole"),
    Activity("Add member to role completed (PIM activation)", ROLES, "PIM", "ActivateRole"),
];
/// The service spells the same word in two ways.
const PIM_ASSIGNMENT: [Activity; 4] = [
    Activity("Add member to role in PIM requested (timebound)", ROLES, "PIM", "CreateRequestedRole"),
    Activity("Add member to role in PIM completed (timebound)", ROLES, "PIM", "AssignEligibleRole"),
    Activity("Add member to role in PIM requested (time bound)", ROLES, "PIM", "CreateRequestedRole"),
    Activity("Add member to role in PIM completed (time bound)", ROLES, "PIM", "AssignEligibleRole"),
];

/// A record's id: its prefix tells the service.
pub(super) fn id(activity: &Activity, correlation: &str, random: &mut Random) -> String {
    let prefix = match activity.2 {
        CORE => "Directory",
        "PIM" => "PIM",
        "Self-service Group Management" => "SSGM",
        _ => "Other",
    };
    let machine: String = (0..5).map(|_| random.alphanumeric().to_ascii_uppercase()).collect();
    format!("{prefix}_{correlation}_{machine}_{}", random.u32(10_000_000..))
}

/// A record's body without id and time, which the log adds.
pub(super) fn body(activity: &Activity, initiator: Value, targets: &[Value], correlation: &str, random: &mut Random) -> Map<String, Value> {
    let failed = random.u8(..50) == 0;
    let agent = json!({"key": "User-Agent", "value": "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"});
    into_map(json!({
        "category": activity.1, "correlationId": correlation, "result": if failed { "failure" } else { "success" },
        "resultReason": if failed { "The object could not be changed." } else { "" },
        "activityDisplayName": activity.0, "loggedByService": activity.2, "operationType": activity.3, "initiatedBy": initiator,
        "targetResources": targets, "additionalDetails": if random.bool() { vec![agent] } else { Vec::new() },
    }))
}

/// Who did it: mostly a person, sometimes an application, seldom nobody who could be named.
pub(super) fn initiator(store: &Store, random: &mut Random) -> Value {
    let (people, apps) = (store.all(Kind::User), store.all(Kind::ServicePrincipal));
    match random.u8(..20) {
        0 => json!({"user": Value::Null, "app": Value::Null}),
        1..=4 if !apps.is_empty() => by_app(store.object(*pick(random, apps))),
        // Few people are administrators.
        _ if !people.is_empty() => by_user(store.object(people[random.usize(..people.len().min(12))]), random),
        _ => json!({"user": Value::Null, "app": Value::Null}),
    }
}

fn by_app(app: &Object) -> Value {
    json!({"user": Value::Null, "app": {
        "appId": Value::Null, "displayName": app.text("displayName"), "servicePrincipalId": app.id, "servicePrincipalName": Value::Null,
    }})
}

pub(super) fn by_user(user: &Object, random: &mut Random) -> Value {
    json!({"app": Value::Null, "user": {
        "id": user.id, "displayName": Value::Null, "userPrincipalName": user.text("userPrincipalName"),
        "ipAddress": format!("203.0.113.{}", random.u8(1..255)), "userType": Value::Null, "homeTenantId": Value::Null,
        "homeTenantName": Value::Null,
    }})
}

/// The service that carries out what PIM decided.
fn by_pim() -> Value {
    json!({"user": Value::Null, "app": {
        "appId": "01fc33a7-78ba-4d2f-a4b7-768e336e890e", "displayName": "MS-PIM",
        "servicePrincipalId": "5e1f0c2a-94b7-4d3e-8a61-0b9c7d2e3f41", "servicePrincipalName": Value::Null,
    }})
}

/// A changed property. The values are JSON within strings, as the service keeps them.
pub(super) fn modified(name: &str, old: &Value, new: &Value) -> Value {
    let text = |value: &Value| match value {
        Value::Null => Value::Null,
        Value::Array(_) => Value::String(value.to_string()),
        other => Value::String(json!([other]).to_string()),
    };
    json!({"displayName": name, "oldValue": text(old), "newValue": text(new)})
}

/// An object as the target of what was done.
pub(super) fn target(object: &Object, changed: &[Value]) -> Value {
    let (kind, group_type) = match object.kind {
        Kind::User => ("User", Value::Null),
        Kind::Group if object.get("groupTypes").is_some_and(|types| types.to_string().contains("Unified")) => {
            ("Group", json!("unifiedGroups"))
        }
        Kind::Group => ("Group", json!("azureAD")),
        Kind::Device => ("Device", Value::Null),
        Kind::ServicePrincipal => ("ServicePrincipal", Value::Null),
        _ => ("Other", Value::Null),
    };
    let upn = if object.kind == Kind::User { json!(object.text("userPrincipalName")) } else { Value::Null };
    json!({
        "id": object.id, "displayName": object.get("displayName"), "type": kind, "userPrincipalName": upn, "groupType": group_type,
        "modifiedProperties": changed,
    })
}

/// A role as a target.
fn role_target(id: &str, name: &str) -> Value {
    json!({
        "id": id, "displayName": name, "type": "Role", "userPrincipalName": Value::Null, "groupType": Value::Null, "modifiedProperties": [],
    })
}

/// A record that is to be: its activity, body and correlation.
pub(super) struct Draft {
    pub activity: Activity,
    pub body: Map<String, Value>,
    pub correlation: String,
}

/// One record of its own.
pub(super) fn single(activity: Activity, initiator: Value, targets: &[Value], random: &mut Random) -> Vec<Draft> {
    let correlation = guid(random);
    let body = body(&activity, initiator, targets, &correlation, random);
    vec![Draft { activity, body, correlation }]
}

/// The records of one role assignment: with PIM they are three, under ids of their own and one correlation.
pub(super) fn role_given(user: &Object, role: (&str, &str), timed: bool, initiator: Value, random: &mut Random) -> Vec<Draft> {
    let targets = [
        target(
            user,
            &[modified("Role.DisplayName", &Value::Null, &json!(role.1)), modified("Role.TemplateId", &Value::Null, &json!(role.0))],
        ),
        role_target(role.0, role.1),
    ];
    if !timed {
        return single(ADD_TO_ROLE, initiator, &targets, random);
    }
    let correlation = guid(random);
    let pair: &[Activity] = match random.u8(..4) {
        0 => &PIM_ASSIGNMENT[..2],
        1 => &PIM_ASSIGNMENT[2..],
        _ => &PIM_ACTIVATION,
    };
    let mut drafts = Vec::new();
    for (activity, by) in [(pair[0], initiator.clone()), (ADD_TO_ROLE, by_pim()), (pair[1], initiator)] {
        let body = body(&activity, by, &targets, &correlation, random);
        drafts.push(Draft { activity, body, correlation: correlation.clone() });
    }
    drafts
}

/// Something that happened at random in the past: one record or the few that belong together.
pub(super) fn anything(store: &Store, random: &mut Random) -> Vec<Draft> {
    let (users, groups) = (store.all(Kind::User), store.all(Kind::Group));
    if users.is_empty() || groups.is_empty() {
        return Vec::new();
    }
    let (user, group) = (store.object(*pick(random, users)), store.object(*pick(random, groups)));
    let by = initiator(store, random);
    let group_name = modified("Group.DisplayName", &Value::Null, group.get("displayName").unwrap_or(&Value::Null));
    let in_group = [target(user, &[group_name]), target(group, &[])];
    match random.u8(..100) {
        0..=4 => single(ADD_USER, by, &[target(user, &[modified("AccountEnabled", &json!([]), &json!([true]))])], random),
        5..=34 => {
            let (old, new) = (json!(user.text("jobTitle")), json!("Senior Associate"));
            single(UPDATE_USER, by, &[target(user, &[modified("JobTitle", &old, &new)])], random)
        }
        35..=54 => single(ADD_MEMBER, by, &in_group, random),
        55..=66 => single(REMOVE_MEMBER, by, &in_group, random),
        67..=70 => single(ADD_OWNER, by, &in_group, random),
        71..=76 => single(RESET_PASSWORD, by, &[target(user, &[])], random),
        77..=81 => single(CHANGE_LICENSE, by, &[target(user, &[])], random),
        82..=85 => single(UPDATE_GROUP, by, &[target(group, &[modified("Description", &Value::Null, &json!("changed"))])], random),
        86..=89 => {
            let nobody = json!({"app": Value::Null, "user": {
                "id": "00000000-0000-0000-0000-000000000000", "displayName": Value::Null, "userPrincipalName": Value::Null, "ipAddress": "10.0.0.1",
            }});
            single(SELF_SERVICE, nobody, &[], random)
        }
        90 => single(DELETE_USER, by, &[target(user, &[])], random),
        91 => single(REMOVE_FROM_ROLE, by, &[target(user, &[])], random),
        draw => {
            let role = *pick(random, super::super::roles::ROLES);
            let by = by_user(user, random);
            role_given(user, role, draw % 4 > 0, by, random)
        }
    }
}

/// A record as it is told: what was kept as text, with id and time.
pub(super) fn written(key: &super::store::Key, text: &str, time: &str) -> Map<String, Value> {
    let mut body = into_map(serde_json::from_str(text).unwrap_or_default());
    body.insert("id".into(), (*key.1).into());
    body.insert(time.into(), super::store::seven_digits(key.0).into());
    body
}
