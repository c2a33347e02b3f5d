//! Licences, permissions, beta, and the service's failures.

use std::time::Duration;

use serde_json::json;

use super::*;

const REGISTRATION: &str = "reports/authenticationMethods/userRegistrationDetails";
const ACTIVITY: &str = "$select=id,signInActivity";

#[test]
fn a_free_tenant_has_audits_only() {
    let tenant = with_premium(Premium::Free);
    let premium = (403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant".to_owned());
    assert_eq!(refusal(&tenant, SIGN_INS, ""), premium);
    assert_eq!(refusal(&tenant, REGISTRATION, ""), premium);
    assert_eq!(refusal(&tenant, "users", ACTIVITY), premium);
    assert_eq!(get(&tenant, AUDITS, "").0, 200);
    assert_eq!(get(&tenant, "auditLogs/provisioning", "").0, 200);
    assert_eq!(get(&tenant, "users", "$select=id").0, 200);
    for premium in [Premium::Free, Premium::P1] {
        let tenant = with_premium(premium);
        assert_eq!(refusal(&tenant, "identityProtection/riskyUsers", ""), (403, "Forbidden".to_owned()));
        assert_eq!(refusal(&tenant, "identityProtection/riskDetections", ""), (403, "Forbidden".to_owned()));
    }
}

#[test]
fn risk_is_hidden_without_p2() {
    for (premium, level) in [(Premium::P1, "hidden"), (Premium::P2, "high")] {
        let tenant = with_premium(premium);
        tenant.sign_in(json!({"riskLevelDuringSignIn": "high"}));
        assert_eq!(get(&tenant, SIGN_INS, "").1["value"][0]["riskLevelDuringSignIn"], json!(level));
    }
    let tenant = with_premium(Premium::P2);
    let user = tenant.ids(crate::simulator::Kind::User)[2].clone();
    let sign_in = tenant.sign_in(json!({"riskLevelDuringSignIn": "medium", "userId": user}));
    assert_eq!(get(&tenant, "identityProtection/riskDetections", "").1["value"], json!([]), "nobody knows of it yet");
    tenant.advance(std::time::Duration::from_secs(90));
    let (_, detections) = get(&tenant, "identityProtection/riskDetections", "$filter=riskLevel eq 'medium'");
    assert_eq!(detections["value"][0]["requestId"], json!(sign_in));
    let (_, users) = get(&tenant, "identityProtection/riskyUsers", "$filter=riskLastUpdatedDateTime ge 2020-01-01T00:00:00Z");
    assert_eq!((&users["value"][0]["id"], &users["value"][0]["riskState"]), (&json!(user), &json!("atRisk")));
}

#[test]
fn every_log_needs_its_permission() {
    let tenant = tenant(options());
    tenant.set_permissions(&["User.Read.All"]);
    for path in
        [SIGN_INS, AUDITS, "auditLogs/provisioning", REGISTRATION, "identityProtection/riskyUsers", "identityProtection/riskDetections"]
    {
        assert_eq!(refusal(&tenant, path, ""), (403, "Authorization_RequestDenied".to_owned()), "{path}");
    }
    assert_eq!(get(&tenant, "users", ACTIVITY).0, 403);
    tenant.set_permissions(&["AuditLog.Read.All"]);
    assert_eq!(get(&tenant, "users", ACTIVITY).0, 403, "User.Read.All is needed too");
    assert_eq!(get(&tenant, SIGN_INS, "").0, 200);
}

#[test]
fn policies_are_told_with_their_permission_only() {
    let tenant = tenant(options());
    tenant.sign_in(json!({}));
    let policies = || get(&tenant, SIGN_INS, "").1["value"][0]["appliedConditionalAccessPolicies"].as_array().unwrap().len();
    assert_eq!(policies(), 0);
    tenant.set_permissions(&["AuditLog.Read.All", "Policy.Read.ConditionalAccess"]);
    assert!(policies() > 0);
}

#[test]
fn activity_follows_from_what_is_seen() {
    let tenant = tenant(TenantOptions { quirks: Quirks { unset_as_year_one: true, ..Quirks::none() }, ..options() });
    let users = tenant.ids(crate::simulator::Kind::User);
    let at = |hours: i64| hours_ago(&tenant, hours).to_string();
    tenant.sign_in(json!({"userId": users[0], "createdDateTime": at(50)}));
    let failed = tenant.sign_in(json!({"userId": users[0], "createdDateTime": at(9), "status": {"errorCode": 50126}}));
    // Older than any retention: activity stays as long as the user.
    let old = tenant.sign_in(json!({"userId": users[1], "createdDateTime": at(2000), "signInEventTypes": ["nonInteractiveUser"]}));
    let (status, body) = get(&tenant, "users", ACTIVITY);
    assert_eq!(status, 200);
    let of = |id: &str| body["value"].as_array().unwrap().iter().find(|user| user["id"] == *id).unwrap()["signInActivity"].clone();
    assert_eq!(of(&users[0])["lastSignInDateTime"], json!(at(9)));
    assert_eq!(of(&users[0])["lastSignInRequestId"], json!(failed));
    assert_eq!(of(&users[0])["lastSuccessfulSignInDateTime"], json!(at(50)));
    assert_eq!(of(&users[1])["lastNonInteractiveSignInRequestId"], json!(old));
    assert_eq!(of(&users[1])["lastSignInDateTime"], json!("0001-01-01T00:00:00Z"));
    assert_eq!(of(&users[2]), Value::Null);
    assert_eq!(get(&tenant, "users", &format!("{ACTIVITY}&$top=500")).0, 200);
    assert_eq!(get(&tenant, "users", &format!("{ACTIVITY}&$top=501")).0, 400);
    let (_, one) = get(&tenant, &format!("users/{}", users[0]), ACTIVITY);
    assert_eq!(one["signInActivity"]["lastSignInRequestId"], json!(failed));
    let truth = tenant.ground_truth();
    assert_eq!(truth["signInActivity"].as_array().unwrap().len(), 2);
}

#[test]
fn beta_tells_types_when_asked_and_warns() {
    let tenant = tenant(options());
    let made: Vec<(&str, String)> = ["interactiveUser", "nonInteractiveUser", "servicePrincipal", "managedIdentity"]
        .into_iter()
        .map(|kind| (kind, tenant.sign_in(json!({"signInEventTypes": [kind]}))))
        .collect();
    let beta = |query: &str| get_full(&tenant, "beta", SIGN_INS, query, false);
    let (status, body, headers) = beta("");
    assert_eq!((status, ids(&body)), (200, vec![made[0].1.clone()]), "interactive only, unless asked");
    assert!(headers.contains("link: ") && headers.contains("rel=\"deprecation\""), "{headers}");
    for (kind, id) in &made {
        let (_, body, _) = beta(&format!("$filter=signInEventTypes/any(t: t eq '{kind}')"));
        assert_eq!(ids(&body), vec![id.clone()]);
        let event = &body["value"][0];
        assert_eq!(event["signInEventTypes"], json!([kind]));
        assert!(event["authenticationRequirement"].is_string() && event["userAgent"].is_string());
    }
    let (_, body, _) = beta("$filter=signInEventTypes/any(t: t eq 'servicePrincipal' or t eq 'managedIdentity')");
    assert_eq!(set(ids(&body)), set([made[2].1.clone(), made[3].1.clone()]));
    let (_, body, _) = beta("$filter=signInEventTypes/any(t: t ne 'interactiveUser')");
    assert_eq!(ids(&body).len(), 3);
    let (_, v1, headers) = get_full(&tenant, "v1.0", SIGN_INS, "", false);
    assert_eq!(ids(&v1), vec![made[0].1.clone()]);
    assert!(v1["value"][0].get("signInEventTypes").is_none() && headers.is_empty());
    assert_eq!(get_full(&tenant, "beta", "users", "", false).0, 400, "nothing else is in beta here");
    assert_eq!(get_full(&tenant, "beta", AUDITS, "", false).0, 400);
}

#[test]
fn later_members_are_told_to_those_who_ask() {
    let tenant = tenant(options());
    tenant.sign_in(json!({"riskDetail": "userChangedPasswordOnPremises"}));
    let detail = |asked: bool| get_full(&tenant, "v1.0", SIGN_INS, "", asked).1["value"][0]["riskDetail"].clone();
    assert_eq!(detail(false), json!("unknownFutureValue"));
    assert_eq!(detail(true), json!("userChangedPasswordOnPremises"));
}

#[test]
fn wide_windows_time_out() {
    let tenant = tenant(TenantOptions { logs_window_limit: Some(Duration::from_secs(3600)), ..options() });
    let (a, b, c) = (hours_ago(&tenant, 3), hours_ago(&tenant, 2), hours_ago(&tenant, 1));
    for (path, time) in [(SIGN_INS, "createdDateTime"), (AUDITS, "activityDateTime")] {
        let status = |from: Timestamp, to: Timestamp| get(&tenant, path, &format!("$filter={time} ge {from} and {time} lt {to}")).0;
        assert_eq!((status(a, b), status(a, c)), (200, 504));
        let (status, body) = get(&tenant, path, "");
        assert_eq!((status, &body["error"]["code"], &body["error"]["message"]), (504, &json!("UnknownError"), &json!("")));
        assert_eq!(get(&tenant, path, &format!("$filter={time} ge {c}")).0, 200);
    }
}

#[test]
fn skip_tokens_die_after_so_many_pages() {
    let tenant = tenant(TenantOptions { sign_ins: 200, skiptoken_life_pages: Some(3), ..options() });
    let mut query = "$top=5".to_owned();
    for _ in 0..3 {
        let (status, body) = get(&tenant, SIGN_INS, &query);
        assert_eq!(status, 200);
        query = next(&body).unwrap();
    }
    let (status, body) = get(&tenant, SIGN_INS, &query);
    assert_eq!((status, &body["error"]["message"]), (400, &json!("Token not found: token is either invalid or expired.")));
}

#[test]
fn licences_flap() {
    let tenant = tenant(TenantOptions { licence_flaps: 0.5, ..options() });
    for (path, query) in [(SIGN_INS, ""), (REGISTRATION, ""), ("users", ACTIVITY)] {
        let refused = (0..40).filter(|_| refusal(&tenant, path, query).0 == 403).count();
        assert!((5..36).contains(&refused), "{path}: {refused}");
    }
    assert!((0..20).all(|_| get(&tenant, AUDITS, "").0 == 200));
}

#[test]
fn registrations_can_be_set_and_filtered() {
    let tenant = tenant(options());
    let user = tenant.ids(crate::simulator::Kind::User)[1].clone();
    tenant.set_registration(&user, json!({"methodsRegistered": ["hardwareOneTimePasscode"]}));
    let (_, body) = get(&tenant, REGISTRATION, "$filter=methodsRegistered/any(t: t eq 'hardwareOneTimePasscode')");
    assert_eq!(ids(&body), vec![user]);
    let pages = all_pages(&tenant, REGISTRATION, "$top=9", || {}).concat();
    assert_eq!(pages.len(), tenant.ids(crate::simulator::Kind::User).len());
}
