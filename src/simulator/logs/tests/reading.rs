//! Filters, order, windows, pages.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use serde_json::json;

use super::*;

#[test]
fn windows_are_half_open_and_dates_may_have_any_fraction() {
    let tenant = tenant(options());
    let id = |text: &str| tenant.sign_in(json!({"createdDateTime": text}));
    let day = (tenant.now() - SignedDuration::from_hours(30)).strftime("%Y-%m-%d").to_string();
    let first = id(&format!("{day}T10:00:00Z"));
    let second = id(&format!("{day}T10:00:00.0000001Z"));
    let third = id(&format!("{day}T11:00:00Z"));
    let found = |filter: String| {
        let (status, body) = get(&tenant, SIGN_INS, &format!("$filter={filter}"));
        assert_eq!(status, 200, "{filter}: {body}");
        set(ids(&body))
    };
    let at = |operator: &str, time: &str| format!("createdDateTime {operator} {day}T{time}Z");
    let both = |a: String, b: String| format!("{a} and {b}");
    assert_eq!(found(both(at("ge", "10:00:00"), at("lt", "11:00:00"))), set([first.clone(), second.clone()]));
    assert_eq!(found(both(at("ge", "10:00:00.0000001"), at("le", "11:00:00.000"))), set([second.clone(), third.clone()]));
    assert_eq!(found(at("gt", "10:00:00")), set([second.clone(), third.clone()]));
    assert_eq!(found(at("eq", "10:00:00.0000000000000")), set([first.clone()]));
    assert_eq!(found(both(at("ge", "12:00:00"), at("lt", "10:00:00"))), set([]));
    let (_, body) = get(&tenant, SIGN_INS, &format!("$filter={}", at("eq", "10:00:00")));
    assert_eq!(body["value"][0]["createdDateTime"], json!(format!("{day}T10:00:00.0000000Z")));
}

#[test]
fn documented_properties_filter_and_others_are_refused() {
    let tenant = tenant(options());
    let user = tenant.ids(crate::simulator::Kind::User)[3].clone();
    let wanted = tenant.sign_in(json!({
        "userId": user, "appId": "a-b", "appDisplayName": "Graph Explorer", "ipAddress": "192.0.2.7", "status": {"errorCode": 50126},
    }));
    tenant.sign_in(json!({"userId": null, "status": {"errorCode": 0}}));
    for filter in [
        format!("userId eq '{user}'"),
        "appId eq 'a-b'".to_owned(),
        "ipAddress eq '192.0.2.7'".to_owned(),
        "startsWith(ipAddress,'192.0.2')".to_owned(),
        "startsWith(appDisplayName,'Graph E')".to_owned(),
        "status/errorCode eq 50126 and createdDateTime ge 2020-01-01T00:00:00Z".to_owned(),
        "(status/errorCode eq 50126 or appId eq 'x') and not(userId eq 'y')".to_owned(),
    ] {
        let (status, body) = get(&tenant, SIGN_INS, &format!("$filter={filter}"));
        assert_eq!((status, ids(&body)), (200, vec![wanted.clone()]), "{filter}");
    }
    for filter in [
        "createdDateTime ge '2026-01-01T00:00:00Z'",
        "createdDateTime ge 2026-01-01",
        "createdDateTime ge 2026-01-01T00:00:00",
        "createdDateTime ge yesterday",
        "createdDateTime ge 2026-13-01T00:00:00Z",
        "startsWith(userId,'a')",
        "isInteractive eq true",
        "signInEventTypes/any(t: t eq 'interactiveUser')",
        "userId eq",
    ] {
        let (status, body) = get(&tenant, SIGN_INS, &format!("$filter={filter}"));
        assert_eq!((status, &body["error"]["message"]), (400, &json!("Invalid filter clause")), "{filter}");
    }
    for query in ["$top=1001", "$top=0", "$orderby=userId", "$skip=3", "$skiptoken=", "$skiptoken=abcd"] {
        assert_eq!(get(&tenant, SIGN_INS, query).0, 400, "{query}");
    }
}

#[test]
fn audits_are_filtered_by_what_was_done_and_to_whom() {
    let tenant = tenant(options());
    let target = json!([{"id": "t1", "displayName": "Café", "type": "User", "modifiedProperties": []}]);
    let wanted = tenant.audit(json!({
        "activityDisplayName": "Add member to role completed (PIM activation)", "loggedByService": "PIM", "targetResources": target,
        "initiatedBy": {"app": null, "user": null},
    }));
    tenant.audit(json!({}));
    for filter in [
        "startsWith(activityDisplayName,'Add member to role')",
        "loggedByService eq 'PIM'",
        "targetResources/any(t: t/id eq 't1')",
        "targetResources/any(t:startsWith(t/displayName,'caf'))",
    ] {
        assert_eq!(ids(&get(&tenant, AUDITS, &format!("$filter={filter}")).1), vec![wanted.clone()], "{filter}");
    }
    assert_eq!(get(&tenant, AUDITS, "$filter=activityDateTime ge 'x'").0, 400);
    let (status, body) = get(&tenant, &format!("{AUDITS}/{wanted}"), "");
    assert_eq!((status, &body["initiatedBy"]), (200, &json!({"app": null, "user": null})));
}

#[test]
fn provisioning_is_read_by_the_letter() {
    let tenant = tenant(TenantOptions { provisioning_events: 200, ..options() });
    let count = |filter: &str| ids(&get(&tenant, "auditLogs/provisioning", &format!("$filter={filter}")).1).len();
    assert!(count("provisioningAction eq 'create'") > 0);
    assert_eq!(count("provisioningAction eq 'Create'"), 0);
    assert!(count("contains(servicePrincipal/displayName,'Force')") == 0 && count("contains(servicePrincipal/displayName,'force')") > 0);
    assert!(count("activityDateTime gt 2020-01-01T00:00:00Z") == 200);
}

#[test]
fn newest_come_first_unless_asked_otherwise() {
    let tenant = tenant(TenantOptions { sign_ins: 300, directory_audits: 100, ..options() });
    for (path, time) in [(SIGN_INS, "createdDateTime"), (AUDITS, "activityDateTime")] {
        let times = |query: &str| -> Vec<String> {
            let body = get(&tenant, path, query).1;
            body["value"].as_array().unwrap().iter().map(|event| event[time].as_str().unwrap().to_owned()).collect()
        };
        let (newest, oldest) = (times(""), times(&format!("$orderby={time} asc")));
        assert!(newest.is_sorted_by(|a, b| a >= b) && oldest.is_sorted() && newest.len() > 50);
        assert_eq!(newest, times(&format!("$orderby={time} desc")));
    }
}

#[test]
fn pages_stay_where_they_are_while_events_arrive() {
    let tenant = tenant(TenantOptions { sign_ins: 400, ..options() });
    let before = set(ids(&get(&tenant, SIGN_INS, "").1));
    assert!(before.len() > 150);
    for order in ["asc", "desc"] {
        let query = format!("$filter=createdDateTime ge 2020-01-01T00:00:00Z&$top=7&$orderby=createdDateTime {order}");
        let mut n = 0;
        let pages = all_pages(&tenant, SIGN_INS, &query, || {
            // Late ones, some of the very same time: they may be seen or not, but shift nothing.
            n += 1;
            let time = before.len() as i64 + n;
            tenant.sign_in(json!({"createdDateTime": hours_ago(&tenant, time % 600).to_string(), "id": format!("new-{order}-{n}")}));
        });
        let seen: Vec<String> = pages.concat();
        let old: Vec<&String> = seen.iter().filter(|id| before.contains(*id)).collect();
        assert_eq!(old.len(), before.len(), "{order}: nothing skipped, nothing repeated");
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len());
    }
}

#[test]
fn identical_times_across_pages_are_neither_lost_nor_doubled() {
    let tenant = tenant(options());
    let at = hours_ago(&tenant, 5).to_string();
    let made = set((0..25).map(|_| tenant.sign_in(json!({"createdDateTime": at}))));
    let pages = all_pages(&tenant, SIGN_INS, "$top=4", || {});
    assert!(pages.iter().all(|page| page.len() <= 4));
    assert_eq!(pages.concat().len(), 25);
    assert_eq!(set(pages.concat()), made);
}

#[test]
fn links_keep_the_query_readable_and_tokens_fit_no_other() {
    let tenant = tenant(TenantOptions { sign_ins: 60, ..options() });
    let (_, body) = get(&tenant, SIGN_INS, "$filter=createdDateTime ge 2020-01-01T00:00:00Z&$top=3");
    let link = body["@odata.nextLink"].as_str().unwrap();
    assert!(link.starts_with("http://sim/v1.0/auditLogs/signIns?$filter=createdDateTime%20ge%20"), "{link}");
    assert!(link.contains("&$top=3&$skiptoken="), "{link}");
    let token = link.split("$skiptoken=").nth(1).unwrap();
    let (status, body) = get(&tenant, SIGN_INS, &format!("$top=3&$skiptoken={token}"));
    assert_eq!((status, &body["error"]["message"]), (400, &json!("Token not found: token is either invalid or expired.")));
}

#[test]
fn the_last_event_of_a_page_may_come_again() {
    let quirks = Quirks { repeat_last_event: true, empty_page_every: 3, ..Quirks::none() };
    let tenant = tenant(TenantOptions { sign_ins: 120, quirks, ..options() });
    let all = set(ids(&get(&tenant, SIGN_INS, "").1));
    let pages = all_pages(&tenant, SIGN_INS, "$top=6", || {});
    assert_eq!(pages[1][0], *pages[0].last().unwrap());
    assert!(pages[3].is_empty(), "an empty page that goes on");
    assert_eq!(set(pages.concat()), all);
    assert_eq!(set(all_pages(&tenant, SIGN_INS, "$top=1", || {}).concat()), all, "pages of one event come to an end");
}
