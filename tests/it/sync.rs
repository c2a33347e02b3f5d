//! Syncing: first rounds, changes, kills, resyncs, held sweeps; each against ground truth.

use std::collections::BTreeMap;
use std::time::Duration;

use entra_mirror::simulator::{Action, Fault, Kind, Quirks, TenantOptions};
use serde_json::{Value, json};

use crate::support::{Running, World, wait_for};
use crate::truth::{Without, number, open};

/// Users by id: columns that are set.
type Users = BTreeMap<String, BTreeMap<String, Value>>;

fn total(reports: &[Value], field: &str) -> u64 {
    reports.iter().map(|r| r[field].as_u64().expect("a figure")).sum()
}

#[test]
fn a_first_sync_of_two_tenants_equals_ground_truth() {
    let options = |name: &str, seed| TenantOptions { groups: Some(400), huge_group: Some(2500), ..TenantOptions::new(name, seed, 3000) };
    let world = World::new(vec![options("contoso", 1), options("fabrikam", 2)]);
    world.sync(&[]);
    world.assert_equal();
    let connection = open(&world.file());
    assert!(number(&connection, "SELECT count(*) FROM groups") >= 400);
    assert_eq!(number(&connection, "SELECT max(n) FROM (SELECT count(*) AS n FROM group_member_links GROUP BY group_oid)"), 2500);
    assert_eq!(number(&connection, "SELECT count(*) FROM changes"), 0, "the first enumeration is the baseline");
    assert_eq!(number(&connection, "SELECT count(*) FROM checkpoints WHERE state = 'ok'"), 20);
}

#[test]
fn a_sync_without_changes_asks_once_and_writes_nothing() {
    let world = World::one(TenantOptions { quirks: Quirks::none(), ..TenantOptions::new("contoso", 3, 300) });
    world.sync(&[]);
    let before = world.tenant().ground_truth();
    let connection = open(&world.file());
    let version = |c: &rusqlite::Connection| number(c, "SELECT count(*) FROM changes") + number(c, "SELECT count(*) FROM deleted_objects");
    let stamps =
        "SELECT group_concat(last_changed_at) FROM (SELECT last_changed_at FROM users UNION ALL SELECT last_changed_at FROM groups)";
    let stamped: String = connection.query_row(stamps, [], |r| r.get(0)).expect("stamps");
    let counted = version(&connection);
    world.tenant().clear_requests();
    let reports = world.sync(&[]);
    assert_eq!(total(&reports, "writes"), 0);
    assert_eq!(total(&reports, "changes"), 0);
    let mut by_path: BTreeMap<String, u32> = BTreeMap::new();
    for request in world.tenant().requests() {
        *by_path.entry(request.path).or_default() += 1;
    }
    let deltas: Vec<_> = by_path.iter().filter(|(path, _)| path.ends_with("/delta")).collect();
    assert_eq!(deltas.len(), 6);
    assert!(deltas.iter().all(|(_, count)| **count == 1), "{deltas:?}");
    assert_eq!(version(&connection), counted);
    assert_eq!(connection.query_row(stamps, [], |r| r.get::<_, String>(0)).expect("stamps"), stamped);
    assert_eq!(before, world.tenant().ground_truth());
}

/// Applies the change feed to an earlier state of members and users; returns the later one.
fn replay(
    connection: &rusqlite::Connection,
    after: i64,
    users: &mut BTreeMap<String, BTreeMap<String, Value>>,
    members: &mut Vec<(String, String)>,
) {
    let mut statement =
        connection.prepare("SELECT resource, object_id, kind, changed FROM changes WHERE seq > ?1 ORDER BY seq").expect("feed");
    let mut rows = statement.query([after]).expect("feed");
    while let Some(row) = rows.next().expect("row") {
        let (resource, id, kind): (String, String, String) =
            (row.get(0).expect("resource"), row.get(1).expect("id"), row.get(2).expect("kind"));
        let changed: Option<String> = row.get(3).expect("changed");
        let changed: Value = changed.map_or(Value::Null, |text| serde_json::from_str(&text).expect("JSON"));
        match (resource.as_str(), kind.as_str()) {
            ("users", "deleted") => drop(users.remove(&id).expect("a user that stands")),
            ("users", _) => {
                let user = users.entry(id).or_default();
                for (column, pair) in changed.as_object().expect("columns") {
                    let old = user.get(column).cloned().unwrap_or_default();
                    assert_eq!(old, pair[0], "{column}: the feed knows what stood");
                    if pair[1].is_null() {
                        user.remove(column)
                    } else {
                        user.insert(column.clone(), pair[1].clone())
                    };
                }
            }
            ("groups", "member_added") if !changed["member_id"].is_null() => {
                let link = (id, changed["member_id"][1].as_str().expect("id").to_owned());
                assert!(!members.contains(&link), "added twice: {link:?}");
                members.push(link);
            }
            ("groups", "member_removed") if !changed["member_id"].is_null() => {
                let link = (id, changed["member_id"][0].as_str().expect("id").to_owned());
                let place = members.iter().position(|l| *l == link).unwrap_or_else(|| panic!("removed but not there: {link:?}"));
                members.swap_remove(place);
            }
            _ => {}
        }
    }
}

fn state(connection: &rusqlite::Connection) -> (Users, Vec<(String, String)>) {
    let mut users = BTreeMap::new();
    let mut statement = connection
        .prepare("SELECT id, display_name, department, job_title, manager_id, account_enabled, mobile_phone FROM users")
        .expect("users");
    let mut rows = statement.query([]).expect("users");
    while let Some(row) = rows.next().expect("row") {
        let mut user: BTreeMap<String, Value> = BTreeMap::new();
        for (index, column) in ["display_name", "department", "job_title", "manager_id", "mobile_phone"].iter().enumerate() {
            let index = if index == 4 { 6 } else { index + 1 };
            if let Some(text) = row.get::<_, Option<String>>(index).expect("text") {
                user.insert((*column).to_owned(), text.into());
            }
        }
        if let Some(enabled) = row.get::<_, Option<i64>>(5).expect("flag") {
            user.insert("account_enabled".into(), enabled.into());
        }
        users.insert(row.get::<_, String>(0).expect("id"), user);
    }
    let members = connection
        .prepare("SELECT group_id, member_id FROM group_members ORDER BY 1, 2")
        .and_then(|mut s| s.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?.collect())
        .expect("members");
    (users, members)
}

#[test]
fn a_living_tenant_is_followed_and_the_feed_replays_it() {
    let world = World::one(TenantOptions::new("contoso", 4, 400));
    world.sync(&[]);
    let connection = open(&world.file());
    let (mut users, mut members) = state(&connection);
    let mut last = 0;
    for round in 0..6 {
        world.tenant().live(80);
        world.sync(&[]);
        world.assert_equal();
        replay(&connection, last, &mut users, &mut members);
        last = number(&connection, "SELECT max(seq) FROM changes");
        let (now_users, now_members) = state(&connection);
        let known = |users: &BTreeMap<String, BTreeMap<String, Value>>| -> BTreeMap<String, BTreeMap<String, Value>> {
            let columns = ["display_name", "department", "job_title", "manager_id", "mobile_phone", "account_enabled"];
            users
                .iter()
                .map(|(id, user)| {
                    (id.clone(), user.iter().filter(|(c, _)| columns.contains(&c.as_str())).map(|(c, v)| (c.clone(), v.clone())).collect())
                })
                .collect()
        };
        assert_eq!(known(&users), now_users, "round {round}");
        members.sort();
        assert_eq!(members, now_members, "round {round}");
        (users, members) = (users, now_members);
    }
    assert!(last > 100, "{last} changes");
    // A full round over the same state finds nothing to say.
    let reports: Vec<Value> = serde_json::from_str(&world.ok(&["--json", "resync"]).stdout).expect("reports");
    assert_eq!(total(&reports, "changes"), 0, "{reports:#?}");
    world.assert_equal();
}

#[test]
fn deletion_restore_and_purge_are_told_apart() {
    let world = World::one(TenantOptions { quirks: Quirks::none(), ..TenantOptions::new("contoso", 5, 100) });
    let tenant = world.tenant();
    let group = tenant.ids(Kind::Group)[3].clone();
    let user = tenant.hire();
    tenant.add_member(&group, &user);
    world.sync(&[]);
    let connection = open(&world.file());
    let count = |sql: &str| number(&connection, &sql.replace("USER", &user).replace("GROUP", &group));
    let reason = || {
        let sql = format!("SELECT reason FROM deleted_objects WHERE resource = 'users' AND id = '{user}'");
        connection.query_row(&sql, [], |row| row.get::<_, String>(0)).ok()
    };
    let shows = "SELECT count(*) FROM group_members WHERE group_id = 'GROUP' AND member_id = 'USER'";
    assert_eq!(count(shows), 1);

    tenant.delete(&user);
    world.sync(&["--resource", "users"]);
    assert_eq!((count(shows), count("SELECT count(*) FROM users WHERE id = 'USER'"), reason().as_deref()), (0, 0, Some("changed")));
    assert_eq!(
        count("SELECT count(*) FROM changes WHERE object_id = 'GROUP' AND kind = 'member_removed'"),
        1,
        "the link that the deletion hides is told"
    );

    tenant.restore(&user);
    world.sync(&["--resource", "users"]);
    assert_eq!((count(shows), count("SELECT count(*) FROM users WHERE id = 'USER'"), reason()), (1, 1, None));
    assert_eq!(count("SELECT count(*) FROM changes WHERE object_id = 'USER' AND kind = 'restored'"), 1);
    assert_eq!(count("SELECT count(*) FROM changes WHERE object_id = 'GROUP' AND kind = 'member_added'"), 1);

    tenant.delete(&user);
    world.sync(&["--resource", "users"]);
    tenant.purge(&user);
    world.sync(&["--resource", "users"]);
    assert_eq!(reason().as_deref(), Some("deleted"));
    assert_eq!(count("SELECT count(*) FROM group_member_links AS l JOIN objects AS o ON o.oid = l.member_oid WHERE o.id = 'USER'"), 0);
    world.sync(&[]);
    world.assert_equal();
}

#[test]
fn killed_at_any_moment_it_goes_on_at_the_next_page() {
    let world =
        World::one(TenantOptions { delta_page: 20, delta_links: 200, quirks: Quirks::none(), ..TenantOptions::new("contoso", 6, 800) });
    world.tenant().set_latency(Duration::from_millis(8));
    let mut kills = 0;
    let mut random = fastrand::Rng::with_seed(6);
    for _ in 0..50 {
        let mut running: Running = world.spawn(&["sync"]);
        std::thread::sleep(Duration::from_millis(random.u64(15..110)));
        if running.child.try_wait().expect("wait").is_none() {
            kills += 1;
        }
        running.kill();
    }
    world.tenant().set_latency(Duration::ZERO);
    assert!(kills >= 40, "{kills} kills");
    world.sync(&[]);
    world.assert_equal();
    // A page is known by its place in the round: how many objects and links precede it. What was stored before a kill is not asked for
    // again: only the page that was being stored and the one that was being fetched meanwhile.
    let mut asked: BTreeMap<(String, String), u32> = BTreeMap::new();
    for request in world.tenant().requests() {
        if request.path.ends_with("/delta") {
            *asked.entry((request.path.clone(), place(&request.query))).or_default() += 1;
        }
    }
    let again: u32 = asked.values().map(|count| count - 1).sum();
    let resources = 6;
    assert!(again <= kills * 2 * resources, "{again} pages were fetched again after {kills} kills");
    assert!(asked.len() > 60, "{} pages", asked.len());
}

/// Where in a round a link stands: the simulator's token without its nonce and time.
fn place(query: &str) -> String {
    let Some(token) = query.strip_prefix("$skiptoken=") else { return "start".into() };
    let text: String =
        (0..token.len() / 2).filter_map(|i| u8::from_str_radix(&token[2 * i..2 * i + 2], 16).ok()).map(|b| char::from(b ^ 0x5a)).collect();
    let parts: Vec<&str> = text.split('|').collect();
    format!("{}/{}/{}", parts[2], parts[4], parts[5])
}

#[test]
fn a_reader_never_sees_fewer_and_what_was_deleted_meanwhile_is_swept() {
    // The full round does not tell who is gone: only that they are not among those who are there.
    let quirks = Quirks { tombstones_in_first_round: false, ..Quirks::default() };
    let world = World::one(TenantOptions { delta_page: 50, quirks, ..TenantOptions::new("contoso", 7, 1000) });
    world.sync(&[]);
    let tenant = world.tenant();
    let users = tenant.ids(Kind::User);
    // The token dies, and while it is dead people leave and a property is cleared.
    for user in &users[10..30] {
        tenant.delete(user);
        tenant.purge(user);
    }
    tenant.update(&users[40], json!({"jobTitle": null}));
    tenant.set_manager(&users[41], None);
    tenant.advance(Duration::from_secs(8 * 24 * 3600));
    tenant.set_latency(Duration::from_millis(5));
    let real = users.len() - 20;
    let connection = open(&world.file());
    let mut running = world.spawn(&["sync"]);
    let (mut looks, mut fewest) = (0, i64::MAX);
    while running.child.try_wait().expect("wait").is_none() {
        fewest = fewest.min(number(&connection, "SELECT count(*) FROM users"));
        looks += 1;
    }
    tenant.set_latency(Duration::ZERO);
    assert!(looks > 20 && fewest >= real as i64, "{looks} looks, {fewest} users at least, {real} exist");
    assert_eq!(number(&connection, "SELECT count(*) FROM sync_runs WHERE resource = 'users' AND mode = 'full' AND reason = 'expired'"), 1);
    world.sync(&[]);
    world.assert_equal();
    assert_eq!(number(&connection, "SELECT count(*) FROM deleted_objects WHERE resource = 'users' AND reason = 'swept'"), 20);
    assert_eq!(number(&connection, "SELECT count(*) FROM changes WHERE resource = 'users' AND kind = 'deleted'"), 20);

    // A resync while a reader polls.
    let mut running = world.spawn(&["resync"]);
    while running.child.try_wait().expect("wait").is_none() {
        assert!(number(&connection, "SELECT count(*) FROM users") >= real as i64);
    }
    world.assert_equal();
}

#[test]
fn too_much_missing_is_held_until_told() {
    let world = World::one(TenantOptions { quirks: Quirks::none(), ..TenantOptions::new("contoso", 8, 400) });
    world.sync(&[]);
    let tenant = world.tenant();
    let connection = open(&world.file());
    let users = |connection: &rusqlite::Connection| number(connection, "SELECT count(*) FROM users");
    let before = users(&connection);

    // An answer that succeeds and is empty.
    tenant.fault(Fault::new("users/delta", Action::Empty).times(1));
    let held = world.run(&["resync", "--resource", "users"]);
    assert_eq!(held.code, 1, "{}", held.said());
    assert!(held.stdout.contains("too much to be believed") && held.stdout.contains("--accept-sweep"), "{}", held.stdout);
    assert_eq!(users(&connection), before);
    let status: Value = serde_json::from_str(&world.ok(&["--json", "status"]).stdout).expect("status");
    let resource = status[0]["resources"].as_array().expect("resources").iter().find(|r| r["resource"] == "users").expect("users");
    assert_eq!(
        (resource["state"].as_str(), &resource["held"]["missing"], &resource["held"]["rows"]),
        (Some("held"), &json!(before), &json!(before))
    );
    assert!(resource["remedy"].as_str().expect("remedy").contains("resync --tenant contoso --resource users --accept-sweep"));
    // The next round sees that it was nothing.
    world.sync(&[]);
    world.assert_equal();

    // A third of the people really is gone, and delta does not say so.
    let gone: Vec<String> = tenant.ids(Kind::User).into_iter().step_by(3).collect();
    for id in &gone {
        tenant.lose_next_change(id);
        tenant.delete(id);
        tenant.lose_next_change(id);
        tenant.purge(id);
    }
    world.tenant().fault(Fault::new("users/delta", Action::Gone { location: false }).times(1));
    let held = world.run(&["resync", "--resource", "users"]);
    assert_eq!(held.code, 1, "{}", held.said());
    assert_eq!(users(&connection), before);
    world.ok(&["resync", "--resource", "users", "--accept-sweep"]);
    assert_eq!(users(&connection), before - gone.len() as i64);
    // What is listed for each user lost as many rows, and is held for the same reason.
    world.ok(&["resync", "--resource", "user_registration_details", "--resource", "user_sign_in_activity", "--accept-sweep"]);
    world.sync(&[]);
    world.assert_equal();
}

#[test]
fn a_changed_selection_starts_a_full_round_and_extra_properties_arrive() {
    let world = World::one(TenantOptions { quirks: Quirks::none(), ..TenantOptions::new("contoso", 9, 60) });
    let tenant = world.tenant();
    let user = tenant.ids(Kind::User)[0].clone();
    tenant.update(&user, json!({"extension_0123_costCenter": "4711"}));
    world.sync(&[]);
    let connection = open(&world.file());
    let extra = || {
        connection.query_row(&format!("SELECT extra FROM users WHERE id = '{user}'"), [], |r| r.get::<_, Option<String>>(0)).expect("extra")
    };
    assert_eq!(extra(), None);
    world.write_config("[resources.users]\nextra = [\"extension_0123_costCenter\"]\n");
    let reports = world.sync(&["--resource", "users"]);
    assert_eq!((reports[0]["mode"].as_str(), reports[0]["reason"].as_str()), (Some("full"), Some("selection")));
    assert_eq!(number(&connection, "SELECT count(*) FROM sync_runs WHERE reason = 'selection'"), 1);
    assert_eq!(extra().as_deref(), Some(r#"{"extension_0123_costCenter":"4711"}"#));
    tenant.update(&user, json!({"extension_0123_costCenter": null}));
    world.sync(&["--resource", "users"]);
    assert_eq!(extra(), None);
}

#[test]
fn two_syncs_at_once_take_turns_and_a_daemon_can_be_stopped() {
    let world = World::one(TenantOptions { delta_page: 20, ..TenantOptions::new("contoso", 10, 400) });
    world.write_config("[schedule]\nusers = \"* * * * * *\"\ngroups = \"* * * * * *\"\n");
    world.tenant().set_latency(Duration::from_millis(20));
    let mut first = world.spawn(&["sync", "--resource", "users"]);
    wait_for("the first holds the lock", || world.file().exists());
    let second = world.run(&["sync", "--resource", "users"]);
    assert_eq!(second.code, 0, "{}", second.said());
    assert!(second.stderr.contains("waiting for process"), "{}", second.stderr);
    assert_eq!(first.wait(), 0);
    world.tenant().set_latency(Duration::ZERO);

    let mut daemon = world.spawn(&["run"]);
    wait_for("the daemon mirrors", || number(&open(&world.file()), "SELECT count(*) FROM checkpoints WHERE state = 'ok'") == 20);
    let other = world.run(&["run"]);
    assert_eq!(other.code, 1);
    assert!(other.stderr.contains("another daemon (process"), "{}", other.stderr);
    world.tenant().live(60);
    let people = world.tenant().ids(Kind::User).len() as i64;
    wait_for("the daemon follows", || number(&open(&world.file()), "SELECT count(*) FROM users") == people);
    daemon.signal(libc::SIGHUP);
    daemon.signal(libc::SIGTERM);
    assert_eq!(daemon.wait(), 0);
    world.sync(&[]);
    world.assert_equal();
}

#[test]
fn a_free_tenant_and_one_without_permissions_mirror_what_they_can() {
    let free = TenantOptions { premium: entra_mirror::simulator::Premium::Free, ..TenantOptions::new("free", 11, 50) };
    let mut poor = TenantOptions::new("poor", 12, 50);
    poor.permissions.retain(|p| p != "Device.Read.All");
    let world = World::new(vec![free, poor]);
    let ended = world.ok(&["sync"]);
    assert!(ended.stdout.contains("Microsoft Entra ID P2 or Microsoft Entra ID Governance"), "{}", ended.stdout);
    assert!(ended.stdout.contains("grant the application permission Device.Read.All"), "{}", ended.stdout);
    crate::truth::assert_equal(&world.file_of("free"), &world.tenants[0].ground_truth(), Without { pim: true, ..Without::default() });
    let status = world.ok(&["status"]).stdout;
    assert!(status.contains("devices is unavailable") && status.contains("role_eligibility_schedule_instances is unavailable"), "{status}");
    world.tenants[1].set_permissions(&["Directory.Read.All", "RoleManagement.Read.Directory"]);
    world.ok(&["sync", "--tenant", "poor"]);
    crate::truth::assert_equal(&world.file_of("poor"), &world.tenants[1].ground_truth(), Without::default());
}
