//! What a generated history is like, and what life in the tenant adds to it.

use jiff::tz::TimeZone;
use serde_json::json;

use super::*;

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

#[test]
fn sign_ins_are_believable() {
    let lively = TenantOptions { sign_ins: 6000, late_share: 0.03, amended_share: 0.01, ..options() };
    let tenant = tenant(lively);
    let truth = tenant.ground_truth();
    let events = truth["signIns"].as_array().unwrap();
    assert!(events.len() > 5800);
    let share = |wanted: &dyn Fn(&Value) -> bool| events.iter().filter(|event| wanted(event)).count() as f64 / events.len() as f64;
    let weekend = share(&|event| {
        let at: Timestamp = text(event, "createdDateTime").parse().unwrap();
        at.to_zoned(TimeZone::UTC).weekday().to_monday_zero_offset() >= 5
    });
    assert!(weekend < 0.15, "{weekend}");
    let good = share(&|event| event["status"]["errorCode"] == json!(0));
    assert!((0.8..0.97).contains(&good), "{good}");
    let interactive = share(&|event| event["isInteractive"] == json!(true));
    assert!((0.45..0.65).contains(&interactive), "{interactive}");
    for kind in ["nonInteractiveUser", "servicePrincipal", "managedIdentity"] {
        assert!(share(&|event| event["signInEventTypes"] == json!([kind])) > 0.01, "{kind}");
    }
    assert!(share(&|event| text(event, "clientAppUsed") == "IMAP4") > 0.0);
    assert!(share(&|event| event["userId"].is_null()) > 0.0);
    assert!(events.iter().all(|event| text(event, "createdDateTime").split('.').nth(1).is_some_and(|fraction| fraction.len() == 8)));
    let mut times: Vec<&str> = events.iter().map(|event| text(event, "createdDateTime")).collect();
    times.dedup();
    assert!(times.len() < events.len(), "some are of the same time");
    assert!(events.iter().all(|event| !text(event, "userPrincipalName").contains("#EXT#")), "guests go by their home address");
    assert!(share(&|event| event["userType"] == json!("guest")) > 0.0);
    assert!(events.iter().all(|event| text(event, "userPrincipalName") == text(event, "userPrincipalName").to_lowercase()));
}

#[test]
fn audits_are_believable() {
    let tenant = tenant(TenantOptions { directory_audits: 3000, ..options() });
    let truth = tenant.ground_truth();
    let events = truth["directoryAudits"].as_array().unwrap();
    let some = |wanted: &dyn Fn(&Value) -> bool| events.iter().any(wanted);
    for prefix in ["Directory_", "PIM_", "SSGM_"] {
        assert!(some(&|event| text(event, "id").starts_with(prefix)), "{prefix}");
    }
    for name in ["(timebound)", "(time bound)", "requested (PIM activation)", "completed (PIM activation)"] {
        assert!(some(&|event| text(event, "activityDisplayName").ends_with(name)), "{name}");
    }
    assert!(some(&|event| event["initiatedBy"]["user"].is_null() && event["initiatedBy"]["app"].is_null()));
    assert!(some(&|event| event["initiatedBy"]["app"].is_object()));
    let pim = events.iter().find(|event| text(event, "activityDisplayName").contains("completed (PIM")).unwrap();
    let together = events.iter().filter(|event| event["correlationId"] == pim["correlationId"]).count();
    assert_eq!(together, 3, "asked for, given, done");
    let changed = events.iter().flat_map(|event| event["targetResources"].as_array().unwrap());
    let value = changed.filter_map(|target| target["modifiedProperties"][0]["newValue"].as_str()).next().unwrap();
    assert!(serde_json::from_str::<Value>(value).is_ok_and(|inner| inner.is_array()), "JSON within a string: {value}");
}

#[test]
fn the_directory_is_the_same_whatever_its_logs() {
    let (plain, logged) = (
        tenant(TenantOptions { logs: false, ..options() }),
        tenant(TenantOptions { sign_ins: 50, directory_audits: 50, provisioning_events: 10, ..options() }),
    );
    assert_eq!(plain.ground_truth()["users"], logged.ground_truth()["users"]);
    assert!(plain.ground_truth()["signIns"].as_array().unwrap().is_empty());
}

#[test]
fn life_leaves_traces() {
    let quiet = tenant(TenantOptions { logs: false, ..options() });
    quiet.live(50);
    assert!(quiet.ground_truth()["directoryAudits"].as_array().unwrap().is_empty());
    let tenant = tenant(options());
    tenant.live(400);
    let truth = tenant.ground_truth();
    let events = truth["directoryAudits"].as_array().unwrap();
    for name in [
        "Add user",
        "Update user",
        "Delete user",
        "Restore user",
        "Hard Delete user",
        "Add member to group",
        "Remove member from group",
        "Add owner to group",
        "Change user license",
        "Add member to role",
        "Update group",
        "Add group",
        "Delete group",
    ] {
        assert!(events.iter().any(|event| text(event, "activityDisplayName") == name), "{name}");
    }
    assert!(events.iter().any(|event| text(event, "id").starts_with("PIM_")));
    assert!(truth["signIns"].as_array().unwrap().len() > 300);
}
