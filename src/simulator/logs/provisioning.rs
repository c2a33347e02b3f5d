//! Provisioning records: what the provisioning service did in another system for a user. Knows people's names; nothing of HTTP.

use serde_json::{Map, Value, json};

use super::super::generate::{Random, guid, pick};
use super::super::schema::Kind;
use super::super::store::Store;
use super::sign_ins::into_map;

/// A record's body without id and time, which the log adds; `None` in a tenant without users.
pub(super) fn anything(store: &Store, tenant_id: &str, random: &mut Random) -> Option<Map<String, Value>> {
    let users = store.all(Kind::User);
    if users.is_empty() {
        return None;
    }
    let user = store.object(*pick(random, users));
    let system = *pick(random, &["Salesforce", "ServiceNow", "Slack", "GitHub Enterprise"]);
    let action = *pick(random, &["create", "update", "update", "update", "disable", "delete", "other"]);
    let failed = random.u8(..25) == 0;
    let status = if failed { "failure" } else { *pick(random, &["success", "success", "success", "skipped"]) };
    let error = failed.then(|| {
        json!({
            "errorCode": "InsufficientRights", "errorCategory": "failure", "reason": "The target system refused the change.",
            "additionalDetails": Value::Null, "recommendedAction": Value::Null,
        })
    });
    // The job is the same for ever; its cycles and changes are not.
    let habit = super::cast::habit(system);
    let target = format!("{:08x}", random.u32(..));
    let step = |name: &str, kind: &str, status: &str| json!({"name": name, "provisioningStepType": kind, "status": status, "description": format!("{name} of '{}'", user.text("userPrincipalName")), "details": {}});
    Some(into_map(json!({
        "tenantId": tenant_id, "jobId": format!("{}.{}.{habit:016x}", system.to_lowercase().replace(' ', ""), tenant_id.replace('-', "")),
        "cycleId": guid(random), "changeId": guid(random), "provisioningAction": action, "durationInMilliseconds": random.u32(80..9000),
        "provisioningStatusInfo": {"status": status, "errorInformation": error},
        "provisioningSteps": [step("EntryImport", "import", "success"), step("EntryExport", "export", status)],
        "modifiedProperties": [{"displayName": "displayName", "oldValue": Value::Null, "newValue": user.text("displayName")}],
        "servicePrincipal": {"id": format!("{:08x}-0000-4000-8000-{:012x}", habit as u32, habit >> 16), "displayName": system},
        "sourceSystem": {"id": "5c3ef0a1-2b4d-4e6f-8a90-b1c2d3e4f506", "displayName": "Microsoft Entra ID", "details": {}},
        "targetSystem": {"id": format!("{habit:016x}"), "displayName": system, "details": {}},
        "initiatedBy": {"id": "", "displayName": "Azure AD Provisioning Service", "initiatorType": "system"},
        "sourceIdentity": {"id": user.id, "displayName": user.text("displayName"), "identityType": "User", "details": {}},
        "targetIdentity": {"id": target, "displayName": user.text("displayName"), "identityType": "User", "details": {}},
    })))
}
