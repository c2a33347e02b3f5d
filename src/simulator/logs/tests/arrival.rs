//! Late events, amended ones, retention, ground truth.

use std::time::Duration;

use serde_json::json;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_late_event_appears_within_a_window_that_was_read() {
    let tenant = tenant(options());
    let at = hours_ago(&tenant, 2);
    let seen_from = tenant.now() + SignedDuration::from_hours(20);
    let query = format!("$filter=createdDateTime ge {at} and createdDateTime lt {}", tenant.now());
    let id = tenant.sign_in(json!({"createdDateTime": at.to_string(), "visibleFrom": seen_from.to_string()}));
    let found = || ids(&get(&tenant, SIGN_INS, &query).1);
    assert!(found().is_empty());
    assert_eq!(get(&tenant, &format!("{SIGN_INS}/{id}"), "").0, 404);
    assert!(tenant.ground_truth()["signIns"].as_array().unwrap().is_empty());
    tenant.advance(HOUR * 20);
    assert_eq!(found(), vec![id.clone()]);
    assert_eq!(tenant.ground_truth()["signIns"][0]["id"], json!(id));
}

#[test]
fn amended_events_change_under_the_same_id() {
    let tenant = tenant(options());
    let id = tenant.sign_in(json!({"status": {"errorCode": 50074, "failureReason": "MFA"}}));
    let told = || get(&tenant, SIGN_INS, "").1["value"][0].clone();
    assert_eq!(told()["status"]["errorCode"], 50074);
    assert!(tenant.amend_sign_in(&id, json!({"status": {"errorCode": 0, "failureReason": null}, "riskState": "remediated"})));
    let (now, truth) = (told(), tenant.ground_truth());
    assert_eq!((&now["id"], &now["status"]["errorCode"], &now["riskState"]), (&json!(id), &json!(0), &json!("remediated")));
    for (name, value) in now.as_object().unwrap() {
        assert_eq!(*value, truth["signIns"][0][name], "{name}");
    }
    assert!(!tenant.amend_sign_in("none", json!({})));
}

#[test]
fn generated_events_arrive_late_and_change_as_often_as_asked() {
    let tenant = tenant(TenantOptions { late_share: 0.5, late_by_hours: 20.0, amended_share: 0.5, ..options() });
    let (from, to) = (tenant.now(), tenant.now() + SignedDuration::from_hours(24));
    tenant.generate_logs(from, to, 2000, 50);
    let snapshot = || -> std::collections::BTreeMap<String, Value> {
        tenant.ground_truth()["signIns"].as_array().unwrap().iter().map(|e| (e["id"].as_str().unwrap().to_owned(), e.clone())).collect()
    };
    assert!(snapshot().is_empty(), "what is still to happen is not told");
    tenant.advance(HOUR * 24);
    let early = snapshot();
    assert!((750..2000).contains(&early.len()), "{}", early.len());
    tenant.advance(HOUR * 48);
    let late = snapshot();
    assert_eq!(late.len(), 2000);
    let changed = early.iter().filter(|(id, event)| late[*id] != **event).count();
    assert!(changed > 20, "{changed}");
    assert_eq!(tenant.ground_truth()["directoryAudits"].as_array().unwrap().len(), 50);
}

#[test]
fn retention_moves_with_the_clock_and_truth_keeps_everything() {
    for (premium, days, path) in [(Premium::P2, 30, SIGN_INS), (Premium::P2, 30, AUDITS), (Premium::Free, 7, AUDITS)] {
        let tenant = with_premium(premium);
        let at = (tenant.now() - SignedDuration::from_hours(24 * days - 1)).to_string();
        if path == AUDITS {
            tenant.audit(json!({"activityDateTime": at}));
        } else {
            tenant.sign_in(json!({"createdDateTime": at}));
        }
        let count = || ids(&get(&tenant, path, "").1).len();
        assert_eq!(count(), 1, "{premium:?} {path}");
        tenant.advance(HOUR * 2);
        assert_eq!(count(), 0, "{premium:?} {path}");
        let collection = if path == AUDITS { "directoryAudits" } else { "signIns" };
        assert_eq!(tenant.ground_truth()[collection].as_array().unwrap().len(), 1);
    }
}

#[test]
fn pages_agree_with_the_truth() {
    let lively = TenantOptions {
        sign_ins: 2500,
        directory_audits: 1200,
        provisioning_events: 300,
        log_days: 29,
        quirks: Quirks::default(),
        late_share: 0.1,
        amended_share: 0.1,
        ..options()
    };
    let tenant = tenant(lively);
    tenant.advance(HOUR * 12);
    let truth = tenant.ground_truth();
    let of = |collection: &str, wanted: &dyn Fn(&Value) -> bool| {
        set(truth[collection].as_array().unwrap().iter().filter(|e| wanted(e)).map(|e| e["id"].as_str().unwrap().to_owned()))
    };
    let read = |path: &str| set(all_pages(&tenant, path, "$top=200", || {}).concat());
    assert!(read(SIGN_INS) == of("signIns", &|event| event["signInEventTypes"] == json!(["interactiveUser"])));
    assert!(read(AUDITS) == of("directoryAudits", &|_| true));
    assert!(read("auditLogs/provisioning") == of("provisioning", &|_| true));
    assert!(read("reports/authenticationMethods/userRegistrationDetails") == of("userRegistrationDetails", &|_| true));
    assert!(read("identityProtection/riskyUsers") == of("riskyUsers", &|_| true));
    assert!(read("identityProtection/riskDetections") == of("riskDetections", &|_| true));
    assert!(!of("riskDetections", &|_| true).is_empty());
}
