//! Lines of the matrix about logs, roles and licences: what is late, amended, at one instant, too old, hidden, nameless, or over.

use std::collections::BTreeSet;
use std::time::Duration;

use entra_mirror::simulator::{Action, Fault, Kind as Object, Premium, Retry, TenantOptions};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::scenes::scene;
use super::{LISTING, LOG, Line, READ_AGAIN, done, equal, sync};
use crate::events::{INTERACTIVE, assert_same};
use crate::support::World;
use crate::truth::{Without, assert_equal, number, open};

const EVENTS: &str = "only logs have events";
const DAY: u64 = 24 * 3600;
const READER: &str = "f2ef992c-3afb-46b9-b7cf-a126ee74c451";

pub fn scenes() -> Vec<Line> {
    vec![
        scene(38, "late, out of order, within what was read", LOG, "next run, or next day", late_events).because(EVENTS),
        scene(39, "wide windows 504, tokens of two pages, 429", LOG, "at once", narrow_windows)
            .with(|plain| TenantOptions {
                log_days: 20,
                list_page: Some(3),
                logs_window_limit: Some(Duration::from_secs(5 * DAY)),
                skiptoken_life_pages: Some(2),
                ..plain
            })
            .because("the others are not read in windows"),
        scene(40, "one instant, at edges, amended, seven digits", LOG, "at once", at_one_instant).because(EVENTS),
        scene(41, "retention moves during a backfill", LOG, "at once", retention_moves)
            .with(|plain| TenantOptions {
                log_days: 30,
                sign_ins: 400,
                directory_audits: 200,
                logs_window_limit: Some(Duration::from_secs(2 * DAY)),
                ..plain
            })
            .because("only logs age"),
        scene(42, "no licence at all", READ_AGAIN, "unavailable, all else at once", free)
            .with(|plain| TenantOptions { premium: Premium::Free, ..plain })
            .because("no delta needs a licence"),
        scene(42, "P1: PIM refused, risk hidden", READ_AGAIN, "unavailable, all else at once", no_p2)
            .with(|plain| TenantOptions { premium: Premium::P1, ..plain })
            .because("no delta needs a licence"),
        scene(43, "beta's kinds, deprecation link, unknown members", LOG, "at once", kinds_of_sign_ins)
            .configured("[resources.sign_ins]\nevent_types = [\"interactiveUser\", \"nonInteractiveUser\", \"servicePrincipal\", \"managedIdentity\"]\n")
            .because("only sign-ins have kinds"),
        scene(44, "guests' names, nobody, prefixes, PIM in parts", LOG, "at once", names_in_events).because(EVENTS),
        scene(45, "roles of all principals, in units, that end", LISTING, "at once", roles_of_all_kinds)
            .because("roles are read by listings"),
        scene(46, "units overused, suspended; licences in error", LISTING, "at once", licences_in_trouble)
            .because("18 has what delta does not tell of them; logs know no licences"),
    ]
}

fn ago(world: &World, minutes: i64) -> String {
    (world.tenant().now() - SignedDuration::from_mins(minutes)).to_string()
}

fn late_events(world: &World) {
    let tenant = world.tenant();
    done(world, "sync");
    // Two of the past hour that were not there before, the older one last, and one of each that is told many hours later.
    let later = (tenant.now() + SignedDuration::from_hours(20)).to_string();
    for minutes in [20, 40] {
        tenant.sign_in(json!({"createdDateTime": ago(world, minutes)}));
        tenant.audit(json!({"activityDateTime": ago(world, minutes)}));
    }
    tenant.sign_in(json!({"visibleFrom": later, "riskLevelDuringSignIn": "high"}));
    tenant.audit(json!({"visibleFrom": later}));
    done(world, "sync");
    equal(world);
    for hours in [3, 3, 19] {
        tenant.advance(Duration::from_secs(hours * 3600));
        tenant.sign_in(json!({}));
        done(world, "sync");
    }
    equal(world);
    let late = number(&open(&world.file()), "SELECT sum(late) FROM log_progress WHERE resource IN ('sign_ins', 'directory_audits')");
    assert!(late >= 4, "{late} were told as late");
}

fn narrow_windows(world: &World) {
    let tenant = world.tenant();
    for path in ["auditLogs/signIns skiptoken", "auditLogs/directoryAudits skiptoken"] {
        let wait = Action::Error { status: 429, code: "".into(), message: "".into(), retry_after: Retry::Seconds("0.05".into()) };
        tenant.fault(Fault::new(path, wait).after(1).every(3));
    }
    done(world, "sync");
    let hits = tenant.fault_hits();
    assert!(hits.iter().all(|(_, hits)| *hits > 0), "{hits:?}");
    let answered = |status: u16| tenant.requests().iter().filter(|r| r.path.starts_with("auditLogs/") && r.status == status).count();
    assert!(answered(504) > 0 && answered(400) > 0, "{} of 504, {} of 400", answered(504), answered(400));
    tenant.clear_faults();
    equal(world);
}

fn at_one_instant(world: &World) {
    let tenant = world.tenant();
    // More than two pages of each at one instant, at the edge of the first window, and at the instant of the first run itself.
    let mut first = String::new();
    for minutes in [30, 24 * 60, 0] {
        for _ in 0..30 {
            first = tenant.sign_in(json!({"createdDateTime": ago(world, minutes)}));
            tenant.audit(json!({"activityDateTime": ago(world, minutes)}));
        }
    }
    done(world, "sync");
    equal(world);
    tenant.amend_sign_in(&first, json!({"status": {"errorCode": 50126, "failureReason": "amended"}}));
    done(world, "sync");
    equal(world);
    let amended = format!("SELECT status_error_code FROM sign_ins WHERE id = '{first}'");
    assert_eq!(number(&open(&world.file()), &amended), 50126);
}

fn retention_moves(world: &World) {
    let tenant = world.tenant();
    for path in ["auditLogs/signIns", "auditLogs/directoryAudits"] {
        tenant.fault(Fault::new(path, Action::Pass { seconds: DAY }).after(4).every(5).times(3));
    }
    done(world, "sync");
    let hits = tenant.fault_hits();
    assert!(hits.iter().all(|(_, hits)| *hits > 0), "{hits:?}");
    tenant.clear_faults();
    done(world, "sync");
    let (truth, connection) = (tenant.ground_truth(), open(&world.file()));
    let kept = tenant.now() - SignedDuration::from_hours(30 * 24);
    for (table, collection, time) in
        [("sign_ins", "signIns", "createdDateTime"), ("directory_audits", "directoryAudits", "activityDateTime")]
    {
        let held: BTreeSet<String> = connection
            .prepare(&format!("SELECT id FROM {table}"))
            .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
            .expect("ids");
        let interactive = |event: &&Value| event["signInEventTypes"][0].as_str().is_none_or(|kind| INTERACTIVE.contains(&kind));
        let (mut missing, mut aged) = (Vec::new(), 0);
        for event in truth[collection].as_array().expect("events").iter().filter(interactive) {
            let at: Timestamp = event[time].as_str().and_then(|at| at.parse().ok()).expect("a time");
            if !held.contains(event["id"].as_str().expect("id")) && at >= kept {
                missing.push(event["id"].clone());
            }
            aged += i32::from(at < kept);
        }
        assert!(missing.is_empty() && aged > 0 && !held.is_empty(), "{table}: {} missing, {aged} aged", missing.len());
    }
}

/// The log and everything that needs no licence.
fn equal_but(world: &World, without: Without) {
    assert_equal(&world.file(), &world.tenant().ground_truth(), without);
    assert_same(&open(&world.file()), world.tenant(), "directory_audits", "directoryAudits", &[]);
}

fn free(world: &World) {
    let told = sync(world, "sync");
    for resource in ["sign_ins", "user_registration_details", "user_sign_in_activity", "role_assignment_schedule_instances"] {
        let (outcome, why) = &told[resource];
        assert!(outcome == "unavailable" && why.contains("the tenant needs Microsoft Entra ID P"), "{resource} {outcome}: {why}");
    }
    equal_but(world, Without { pim: true, ..Without::default() });
}

fn no_p2(world: &World) {
    world.tenant().sign_in(json!({"riskLevelDuringSignIn": "high"}));
    let told = sync(world, "sync");
    for resource in ["role_assignment_schedule_instances", "role_eligibility_schedule_instances"] {
        let (outcome, why) = &told[resource];
        assert!(outcome == "unavailable" && why.contains("AadPremiumLicenseRequired") && why.contains("P2"), "{resource} {outcome}: {why}");
    }
    equal_but(world, Without { pim: true, ..Without::default() });
    let connection = open(&world.file());
    assert_same(&connection, world.tenant(), "sign_ins", "signIns", INTERACTIVE);
    assert!(number(&connection, "SELECT count(*) FROM sign_ins WHERE risk_level_during_sign_in = 'hidden'") > 0);
}

fn kinds_of_sign_ins(world: &World) {
    let tenant = world.tenant();
    done(world, "sync");
    let all = ["interactiveUser", "nonInteractiveUser", "servicePrincipal", "managedIdentity"];
    let connection = open(&world.file());
    assert_same(&connection, tenant, "sign_ins", "signIns", &all);
    assert_eq!(number(&connection, "SELECT count(DISTINCT sign_in_event_types) FROM sign_ins"), 4);
    assert!(tenant.requests().iter().any(|r| r.path.starts_with("beta/")), "beta's answers carry a deprecation link");
    // A member that enumerations got later is told by a word that says so, for it was not asked for.
    let id = tenant.sign_in(json!({"riskDetail": "adminConfirmedAccountSafe"}));
    done(world, "sync");
    let detail: String = connection
        .query_row(&format!("SELECT risk_detail FROM sign_ins WHERE id = '{id}'"), [], |row| row.get(0))
        .expect("the sign-in is there");
    assert_eq!(detail, "unknownFutureValue");
}

fn names_in_events(world: &World) {
    let tenant = world.tenant();
    let user = tenant.ids(Object::User)[1].clone();
    tenant.sign_in(json!({"id": "guest", "userId": user, "userPrincipalName": "somebody@home.example"}));
    tenant.sign_in(
        json!({"id": "nobody", "userId": "00000000-0000-0000-0000-000000000000", "userPrincipalName": null, "userDisplayName": null}),
    );
    for (id, by) in [("AAD_1", Value::Null), ("SSGM_1", json!({"user": null, "app": null})), ("Directory_1", json!({}))] {
        tenant.audit(json!({"id": id, "initiatedBy": by, "targetResources": []}));
    }
    let role = json!({"id": READER, "type": "Role", "displayName": "Global Reader", "modifiedProperties": []});
    let target = json!([role, {"id": user, "type": "User", "displayName": "Somebody", "modifiedProperties": []}]);
    let records = [
        ("PIM_1", "Add member to role in PIM requested (timebound)", "PIM", "one"),
        ("Directory_2", "Add member to role", "Core Directory", "one"),
        ("PIM_2", "Add member to role in PIM completed (timebound)", "PIM", "one"),
        ("PIM_3", "Add member to role in PIM completed (time bound)", "PIM", "two"),
    ];
    for (id, activity, service, correlation) in records {
        tenant.audit(json!({
            "id": id, "activityDisplayName": activity, "category": "RoleManagement", "loggedByService": service, "correlationId": correlation,
            "targetResources": target,
        }));
        // The records of two requests are not of one and the same minute.
        tenant.advance(Duration::from_secs(if id == "PIM_2" { 3600 } else { 1 }));
    }
    done(world, "sync");
    equal(world);
    let connection = open(&world.file());
    let joined = "SELECT count(*) FROM sign_ins AS s JOIN users AS u ON u.id = s.user_id WHERE s.id = 'guest' AND u.user_principal_name <> s.user_principal_name";
    assert_eq!(number(&connection, joined), 1, "a guest is found by id");
    let nameless = "SELECT count(*) FROM directory_audits WHERE id IN ('AAD_1', 'SSGM_1', 'Directory_1') AND initiator_type IS NULL";
    assert_eq!(number(&connection, nameless), 3);
    let events = format!("SELECT count(*) FROM role_assignment_events WHERE principal_id = '{user}' AND role_name = 'Global Reader'");
    assert_eq!(number(&connection, &events), 2, "one event for three records, and one in the other spelling");
}

fn roles_of_all_kinds(world: &World) {
    let tenant = world.tenant();
    let (users, groups) = (tenant.ids(Object::User), tenant.ids(Object::Group));
    let (app, unit) = (tenant.ids(Object::ServicePrincipal)[0].clone(), tenant.ids(Object::AdministrativeUnit)[0].clone());
    let scope = format!("/administrativeUnits/{unit}");
    let gone = tenant.assign_role(&users[7], READER, None);
    let (in_group, of_app) = (tenant.assign_role(&groups[1], READER, None), tenant.assign_role(&app, READER, None));
    let in_unit = tenant.assign_role_in(&users[8], READER, &scope, None);
    assert!(tenant.delete(&users[7]) && tenant.purge(&users[7]));
    done(world, "sync");
    equal(world);
    let activated = tenant.assign_role(&users[9], READER, Some(tenant.now() + SignedDuration::from_hours(1)));
    done(world, "sync");
    equal(world);
    let held = |table: &str, id: &str| number(&open(&world.file()), &format!("SELECT count(*) FROM {table} WHERE id = '{id}'"));
    for id in [&gone, &in_group, &of_app, &in_unit, &activated] {
        assert_eq!((held("role_assignments", id), held("role_assignment_schedule_instances", id)), (1, 1), "{id}");
    }
    let permanent = "SELECT count(*) FROM role_assignment_schedule_instances WHERE end_date_time IS NULL";
    assert!(number(&open(&world.file()), permanent) > 0);
    tenant.advance(Duration::from_secs(2 * 3600));
    done(world, "sync");
    equal(world);
    assert_eq!((held("role_assignments", &activated), held("role_assignment_schedule_instances", &activated)), (0, 0), "it is over");
}

fn licences_in_trouble(world: &World) {
    let tenant = world.tenant();
    done(world, "sync");
    let (skus, users, group) = (tenant.ids(Object::SubscribedSku), tenant.ids(Object::User), tenant.ids(Object::Group)[2].clone());
    tenant.update(&skus[0], json!({
        "consumedUnits": 99, "capabilityStatus": "Warning", "prepaidUnits": {"enabled": 10, "suspended": 3, "warning": 2, "lockedOut": 1},
    }));
    let sku = "06ebc4ee-1bb5-47dd-8120-11324bc54e06";
    let state = |group: Option<&str>, state: &str, error: &str| {
        json!({"skuId": sku, "disabledPlans": [], "assignedByGroup": group,
        "state": state, "error": error, "lastUpdatedDateTime": "2026-01-01T00:00:00Z"})
    };
    let both = json!([state(None, "Active", "None"), state(Some(&group), "ActiveWithError", "DependencyViolation")]);
    tenant.update(&users[1], json!({"assignedLicenses": [{"skuId": sku, "disabledPlans": []}], "licenseAssignmentStates": both}));
    let failed = json!([state(Some(&group), "Error", "CountViolation")]);
    tenant.update(&users[2], json!({"assignedLicenses": [], "licenseAssignmentStates": failed}));
    done(world, "sync");
    equal(world);
    let over = "SELECT count(*) FROM subscribed_skus WHERE consumed_units > prepaid_units_enabled AND capability_status = 'Warning'";
    assert_eq!(number(&open(&world.file()), over), 1);
    let errors = |user: &str| format!("SELECT count(*) FROM assigned_licenses WHERE user_id = '{user}' AND error LIKE '%Violation'");
    for user in &users[1..3] {
        assert_eq!(number(&open(&world.file()), &errors(user)), 1);
    }
    // Delta tells the licences again, without a word about how; what is known stays.
    tenant.update(&users[2], json!({"jobTitle": "Nobody"}));
    done(world, "sync");
    equal(world);
}
