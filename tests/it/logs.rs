//! Activity logs: every event once with its last content, whatever comes late, is amended or breaks; what is told about it; what is kept.

use std::collections::BTreeMap;
use std::time::Duration;

use entra_mirror::simulator::{Action, Fault, Premium, Retry, Tenant, TenantOptions};
use serde_json::{Value, json};

use crate::events::{INTERACTIVE, assert_same};
use crate::support::{World, wait_for};
use crate::truth::{number, open};

const HOUR: u64 = 3600;

fn options(name: &str, seed: u64, sign_ins: usize, audits: usize) -> TenantOptions {
    TenantOptions { sign_ins, directory_audits: audits, provisioning_events: audits / 10, ..TenantOptions::new(name, seed, 60) }
}

fn assert_logs(world: &World) {
    let connection = open(&world.file());
    assert_same(&connection, world.tenant(), "sign_ins", "signIns", INTERACTIVE);
    assert_same(&connection, world.tenant(), "directory_audits", "directoryAudits", &[]);
    assert_same(&connection, world.tenant(), "provisioning_events", "provisioning", &[]);
}

const LOGS: [&str; 6] = ["--resource", "sign_ins", "--resource", "directory_audits", "--resource", "provisioning_events"];

/// Lets time pass in the tenant, with events.
fn pass(tenant: &Tenant, hours: u64, sign_ins: usize, audits: usize) {
    let from = tenant.now();
    tenant.advance(Duration::from_secs(hours * HOUR));
    tenant.generate_logs(from, tenant.now(), sign_ins, audits);
}

/// Events of the full size are only for a release build: `cargo test --release --test it logs -- --ignored`.
fn nothing_is_lost(sign_ins: usize, audits: usize) {
    let mut tenant = options("contoso", 40, sign_ins, audits);
    tenant.logs_window_limit = Some(Duration::from_secs(3 * 24 * HOUR));
    tenant.skiptoken_life_pages = Some(6);
    let world = World::one(tenant);
    let tenant = world.tenant();
    let throttled = Action::Error {
        status: 429,
        code: "TooManyRequests".into(),
        message: "by fault".into(),
        retry_after: Retry::Seconds("0.05".into()),
    };
    tenant.fault(Fault::new("auditLogs", throttled).every(9));
    let expired = Action::Error {
        status: 400,
        code: "UnknownError".into(),
        message: "Token not found: token is either invalid or expired.".into(),
        retry_after: Retry::Missing,
    };
    tenant.fault(Fault::new("$skiptoken", expired).every(5));
    world.sync(&LOGS);
    // While new ones arrive, late ones among them.
    for _ in 0..6 {
        pass(tenant, 5, sign_ins / 200, audits / 200);
        world.sync(&LOGS);
    }
    let late = number(&open(&world.file()), "SELECT sum(late) FROM log_progress");
    assert!(late > 0, "late events were found and counted");
    // Quiescence: what is late has come, and the daily sweep has found it.
    for _ in 0..3 {
        tenant.advance(Duration::from_secs(25 * HOUR));
        world.sync(&LOGS);
    }
    assert_logs(&world);
    let connection = open(&world.file());
    assert_eq!(
        number(&connection, "SELECT count(*) FROM changes WHERE resource IN ('sign_ins', 'directory_audits', 'provisioning_events')"),
        0
    );
    assert_eq!(number(&connection, "SELECT sum(late) FROM sync_runs"), number(&connection, "SELECT sum(late) FROM log_progress"));
    let status: Value = serde_json::from_str(&world.ok(&["--json", "status"]).stdout).expect("status");
    let log = status[0]["resources"].as_array().expect("resources").iter().find(|r| r["resource"] == "sign_ins").expect("sign_ins")["log"]
        .clone();
    assert!(log["from"].as_str() < log["to"].as_str() && log["streams"][0]["late_by"].is_object(), "{log}");
}

#[test]
fn every_event_is_there_once_with_its_last_content() {
    nothing_is_lost(12_000, 1500);
}

#[test]
#[ignore = "two hundred thousand events: for a release build"]
fn every_event_of_a_large_tenant_is_there_once() {
    nothing_is_lost(200_000, 20_000);
}

#[test]
fn a_round_without_news_writes_nothing_and_the_present_comes_first() {
    let world = World::one(options("contoso", 41, 3000, 300));
    world.sync(&[&LOGS[..], &["--no-backfill"]].concat());
    let connection = open(&world.file());
    let day_ago = number(&connection, "SELECT count(*) FROM sign_ins");
    assert!(day_ago < 3000 / 4, "only the last day: {day_ago}");
    assert_eq!(number(&connection, "SELECT count(*) FROM log_progress WHERE backfill_to IS NOT NULL"), 3);
    world.sync(&LOGS);
    assert_eq!(number(&connection, "SELECT count(*) FROM log_progress WHERE backfill_to IS NOT NULL"), 0);
    world.tenant().clear_requests();
    let reports = world.sync(&LOGS);
    assert!(reports.iter().all(|r| r["writes"] == 0), "{reports:#?}");
    assert_eq!(world.tenant().requests().len(), 3, "one request a log");
}

#[test]
fn killed_during_a_backfill_it_repeats_at_most_the_window_in_hand() {
    let world = World::one(TenantOptions { logs_window_limit: Some(Duration::from_secs(36 * HOUR)), ..options("contoso", 42, 4000, 0) });
    world.tenant().set_latency(Duration::from_millis(15));
    let mut kills = 0;
    let mut random = fastrand::Rng::with_seed(42);
    for _ in 0..15 {
        let mut running = world.spawn(&["sync", "--resource", "sign_ins"]);
        std::thread::sleep(Duration::from_millis(random.u64(40..250)));
        if running.child.try_wait().expect("wait").is_none() {
            kills += 1;
        }
        running.kill();
    }
    world.tenant().set_latency(Duration::ZERO);
    world.sync(&["--resource", "sign_ins"]);
    let connection = open(&world.file());
    assert_same(&connection, world.tenant(), "sign_ins", "signIns", INTERACTIVE);
    assert_eq!(number(&connection, "SELECT count(*) FROM sign_ins"), number(&connection, "SELECT count(DISTINCT id) FROM sign_ins"));
    // A window of the backfill is known by its beginning; the present is read again by design.
    let mut begun: BTreeMap<String, u32> = BTreeMap::new();
    for request in world.tenant().requests().iter().filter(|request| request.status == 200 && !request.query.contains("skiptoken")) {
        *begun.entry(request.query.clone()).or_default() += 1;
    }
    let again: u32 = begun.values().map(|count| count - 1).sum();
    assert!(again <= 2 * kills, "{again} windows were read again after {kills} kills");
}

#[test]
fn free_unpermitted_and_licensed_tenants_each_end_as_they_should() {
    let free = TenantOptions { premium: Premium::Free, ..options("free", 43, 500, 200) };
    let mut poor = options("poor", 44, 500, 200);
    poor.permissions.retain(|permission| permission != "AuditLog.Read.All");
    let rich = TenantOptions { licence_flaps: 0.3, ..options("rich", 45, 500, 200) };
    let world = World::new(vec![free, poor, rich]);
    let connection = |name: &str| open(&world.file_of(name));
    let state = |name: &str, resource: &str| -> (String, String) {
        let sql = format!("SELECT state, coalesce(remedy, '') FROM checkpoints WHERE resource = '{resource}'");
        connection(name).query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?))).expect("a checkpoint")
    };
    world.ok(&["sync", "--tenant", "free", "--tenant", "poor"]);
    let (unavailable, remedy) = state("free", "sign_ins");
    assert_eq!(unavailable, "unavailable");
    assert!(remedy.contains("Microsoft Entra ID P1 or P2"), "{remedy}");
    assert_eq!(state("free", "directory_audits").0, "ok");
    assert_eq!(state("free", "users").0, "ok");
    let (unavailable, remedy) = state("poor", "directory_audits");
    assert_eq!(unavailable, "unavailable");
    assert!(remedy.contains("AuditLog.Read.All"), "{remedy}");
    assert_eq!(state("poor", "users").0, "ok");
    // Refused now and then although licensed: once it has worked, one refusal marks nothing.
    wait_for("the licensed tenant is mirrored", || {
        world.run(&["sync", "--tenant", "rich"]).code == 0 && state("rich", "sign_ins").0 == "ok"
    });
    let refused = Action::Error {
        status: 403,
        code: "Authentication_RequestFromNonPremiumTenantOrB2CTenant".into(),
        message: "Neither tenant is B2C or tenant doesn't have premium license".into(),
        retry_after: Retry::Missing,
    };
    world.tenants[2].fault(Fault::new("auditLogs/signIns", refused));
    let ended = world.run(&["sync", "--tenant", "rich", "--resource", "sign_ins"]);
    assert_eq!(ended.code, 1, "{}", ended.said());
    assert_eq!(state("rich", "sign_ins").0, "ok");
    world.tenants[2].clear_faults();
    wait_for("it goes on", || world.run(&["sync", "--tenant", "rich", "--resource", "sign_ins"]).code == 0);
    assert_same(&connection("rich"), &world.tenants[2], "sign_ins", "signIns", INTERACTIVE);
    // Granted: the next sync has it.
    world.tenants[1].set_permissions(&["Directory.Read.All", "AuditLog.Read.All"]);
    world.ok(&["sync", "--tenant", "poor", "--resource", "directory_audits"]);
    assert_eq!(state("poor", "directory_audits").0, "ok");
}

#[test]
fn other_kinds_of_sign_ins_come_when_they_are_switched_on() {
    let world = World::one(options("contoso", 46, 2000, 0));
    world.sync(&["--resource", "sign_ins"]);
    let connection = open(&world.file());
    let kinds = || number(&connection, "SELECT count(DISTINCT sign_in_event_types) FROM sign_ins");
    assert_eq!(kinds(), 1);
    assert!(world.tenant().requests().iter().all(|request| !request.query.contains("signInEventTypes")));
    let all = ["interactiveUser", "nonInteractiveUser", "servicePrincipal", "managedIdentity"];
    world.write_config(&format!("[resources.sign_ins]\nevent_types = {all:?}\n"));
    world.sync(&["--resource", "sign_ins"]);
    assert!(kinds() >= 4, "{}", kinds());
    assert_same(&connection, world.tenant(), "sign_ins", "signIns", &all);
    assert_eq!(number(&connection, "SELECT count(*) FROM log_progress WHERE resource = 'sign_ins'"), 4);
    world.write_config("[resources.sign_ins]\nevent_types = [\"noninteractive\"]\n");
    let wrong = world.run(&["sync"]);
    assert!(wrong.code == 2 && wrong.stderr.contains("resources.sign_ins.event_types"), "{}", wrong.stderr);
}

#[test]
fn what_is_older_than_is_kept_goes_and_nothing_else() {
    let world = World::one(options("contoso", 47, 3000, 500));
    world.write_config("[logs]\nkeep = \"20d\"\n[resources.directory_audits]\nkeep = \"5d\"\n");
    world.sync(&LOGS);
    let connection = open(&world.file());
    let oldest = |days: i64| entra_mirror::mirror::format_time(world.tenant().now() - jiff::SignedDuration::from_hours(24 * days));
    let outside = |table: &str, time: &str, days: i64| {
        number(&connection, &format!("SELECT count(*) FROM {table} WHERE {time} < '{}'", oldest(days)))
    };
    assert_eq!(outside("sign_ins", "created_date_time", 20), 0);
    assert_eq!(outside("directory_audits", "activity_date_time", 5), 0);
    assert!(number(&connection, "SELECT count(*) FROM sign_ins") > 1000);
    let before = number(&connection, "SELECT count(*) FROM directory_audits");
    world.tenant().advance(Duration::from_secs(48 * HOUR));
    let reports = world.sync(&LOGS);
    assert!(reports.iter().any(|r| r["pruned"].as_u64().is_some_and(|n| n > 0)), "{reports:#?}");
    assert_eq!(outside("sign_ins", "created_date_time", 20), 0);
    assert!(number(&connection, "SELECT count(*) FROM directory_audits") < before);
    assert_eq!(
        number(
            &connection,
            "SELECT count(*) FROM directory_audit_targets AS t WHERE NOT EXISTS (SELECT 1 FROM directory_audits AS a WHERE a.id = t.directory_audit_id)"
        ),
        0
    );
}

#[test]
fn activity_tables_and_views_answer() {
    let mut with = options("contoso", 48, 1500, 400);
    with.people = 150;
    let world = World::one(with);
    let tenant = world.tenant();
    tenant.live(60);
    let role = "62e90394-69f5-4237-9190-012177145e10";
    let user = tenant.hire();
    tenant.audit(json!({
        "id": "Directory_role_1", "activityDisplayName": "Add member to role", "category": "RoleManagement", "loggedByService": "Core Directory",
        "result": "success", "correlationId": "c-1", "initiatedBy": {"user": null, "app": {"displayName": "MS-PIM", "appId": null, "servicePrincipalId": "pim", "servicePrincipalName": null}},
        "targetResources": [{"id": user, "type": "User", "displayName": null, "userPrincipalName": "new.admin@contoso.example", "modifiedProperties": [
            {"displayName": "Role.DisplayName", "oldValue": null, "newValue": "\"Global Administrator\""},
            {"displayName": "Role.TemplateId", "oldValue": null, "newValue": format!("\"{role}\"")}]}],
    }));
    tenant.audit(json!({
        "id": "PIM_1", "activityDisplayName": "Add member to role completed (PIM activation)", "category": "RoleManagement", "loggedByService": "PIM",
        "result": "success", "resultReason": "on call", "correlationId": "c-2", "initiatedBy": {"app": null, "user": {"id": user, "displayName": "New Admin", "userPrincipalName": "new.admin@contoso.example", "ipAddress": null}},
        "targetResources": [{"id": role, "type": "Role", "displayName": "Global Administrator", "modifiedProperties": []},
            {"id": user, "type": "User", "displayName": "New Admin", "userPrincipalName": "new.admin@contoso.example", "modifiedProperties": []}],
    }));
    world.sync(&[]);
    world.assert_equal();
    assert_logs(&world);
    let connection = open(&world.file());
    let event: (String, String, String, i64, String) = connection
        .query_row(
            "SELECT action, through, initiator_name, record_count, role_id FROM role_assignment_events WHERE principal_id = ?1 AND role_name = 'Global Administrator'",
            [&user],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)),
        )
        .expect("one event for both records");
    assert_eq!(event, ("activated".into(), "PIM".into(), "new.admin@contoso.example".into(), 2, role.into()));
    for (what, sql) in [
        ("sign-ins and failed ones", "SELECT count(DISTINCT action) >= 2 FROM unified_activities WHERE source = 'sign_ins'"),
        (
            "directory changes in the usual words",
            "SELECT count(*) > 0 FROM unified_activities WHERE action IN ('user_created', 'user_updated', 'user_deleted', 'group_member_added')",
        ),
        (
            "every activity has a time and an action",
            "SELECT count(*) = 0 FROM unified_activities WHERE created_at IS NULL OR action IS NULL",
        ),
        ("registration", "SELECT count(*) > 0 FROM user_registration_details"),
        ("activity", "SELECT count(*) > 0 FROM user_sign_in_activity WHERE last_sign_in_date_time IS NOT NULL"),
        ("no year one", "SELECT count(*) = 0 FROM user_sign_in_activity WHERE last_sign_in_date_time < '2000'"),
        ("changed properties", "SELECT count(*) > 0 FROM directory_audit_targets WHERE property_display_name IS NOT NULL"),
        ("coordinates", "SELECT count(*) > 0 FROM sign_ins WHERE location_geo_coordinates_latitude BETWEEN -90 AND 90"),
        ("people are joined by id", "SELECT count(*) > 0 FROM sign_ins AS s JOIN users AS u ON u.id = s.user_id"),
    ] {
        assert_eq!(number(&connection, sql), 1, "{what}");
    }
    for (index, sql) in [
        ("sign_ins_by_user", "SELECT * FROM sign_ins WHERE user_id = 'x' AND created_date_time > '2026'"),
        ("sign_ins_by_ip", "SELECT * FROM sign_ins WHERE ip_address = 'x' AND created_date_time > '2026'"),
        ("sign_ins_by_app", "SELECT * FROM sign_ins WHERE app_id = 'x' AND created_date_time > '2026'"),
        ("sign_ins_by_result", "SELECT * FROM sign_ins WHERE status_error_code = 50126 AND created_date_time > '2026'"),
        ("sign_ins_by_time", "SELECT * FROM sign_ins WHERE created_date_time BETWEEN '2026-01-01' AND '2026-01-02'"),
        ("directory_audits_by_target", "SELECT * FROM directory_audits WHERE target_id = 'x' AND activity_date_time > '2026'"),
    ] {
        let plan: String = connection.query_row(&format!("EXPLAIN QUERY PLAN {sql}"), [], |row| row.get(3)).expect("a plan");
        assert!(plan.contains(index), "{sql}: {plan}");
    }
}
