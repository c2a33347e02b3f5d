//! Reconciliation: what delta has lost is repaired and counted, beside the live delta token, also while the tenant lives and is synced.

use std::time::Duration;

use entra_mirror::simulator::{Kind, Quirks, TenantOptions};
use serde_json::{Value, json};

use crate::support::World;
use crate::truth::{number, open};

fn reports(world: &World, arguments: &[&str]) -> Vec<Value> {
    serde_json::from_str(&world.ok(&[&["--json", "reconcile"], arguments].concat()).stdout).expect("reports")
}

fn of<'r>(reports: &'r [Value], resource: &str) -> &'r Value {
    reports.iter().find(|report| report["resource"] == resource).expect(resource)
}

#[test]
fn what_delta_lost_is_repaired_and_counted_and_the_live_token_stays() {
    let world = World::one(TenantOptions { quirks: Quirks::none(), ..TenantOptions::new("contoso", 60, 200) });
    world.sync(&[]);
    let connection = open(&world.file());
    let links = || {
        connection.query_row("SELECT delta_link FROM checkpoints WHERE resource = 'users'", [], |r| r.get::<_, String>(0)).expect("a link")
    };
    let before = links();
    // Nothing to repair: nothing is written.
    let idle = reports(&world, &[]);
    assert!(idle.iter().all(|r| r["writes"] == 0 && r["mode"] == "reconcile"), "{idle:#?}");
    assert_eq!(idle.len(), 6, "the delta resources");
    assert_eq!(links(), before);

    let tenant = world.tenant();
    let users = tenant.ids(Kind::User);
    let group = tenant.ids(Kind::Group)[4].clone();
    let lose = |id: &str| tenant.lose_next_change(id);
    lose(&users[10]);
    tenant.update(&users[10], json!({"jobTitle": "Lost and found"}));
    lose(&users[11]);
    tenant.update(&users[11], json!({"mobilePhone": null, "department": null}));
    lose(&users[12]);
    tenant.delete(&users[12]);
    lose(&users[12]);
    tenant.purge(&users[12]);
    lose(&group);
    tenant.add_member(&group, &tenant.hire());
    lose(&group);
    tenant.remove_member(&group, &tenant.members(&group)[0]);
    world.sync(&[]);
    assert_eq!(number(&connection, "SELECT count(*) FROM users WHERE job_title = 'Lost and found'"), 0, "delta says nothing");
    let changes = number(&connection, "SELECT count(*) FROM changes");
    let live = links();
    let repaired = reports(&world, &[]);
    assert!(of(&repaired, "users")["writes"].as_u64() >= Some(3), "{repaired:#?}");
    // One added, one removed, and the memberships of somebody who is gone.
    assert!(of(&repaired, "groups")["writes"].as_u64() >= Some(2), "{repaired:#?}");
    assert_eq!(links(), live, "the live token is in use still");
    assert!(number(&connection, "SELECT count(*) FROM changes") > changes, "repairs are told in the feed");
    assert_eq!(number(&connection, "SELECT count(*) FROM deleted_objects WHERE resource = 'users' AND reason = 'swept'"), 1);
    world.assert_equal_without(crate::truth::Without { licence_states: true, ..Default::default() });
    let next = world.sync(&["--resource", "users", "--resource", "groups"]);
    assert!(next.iter().all(|r| r["mode"] == "incremental" && r["writes"] == 0), "{next:#?}");
    assert_eq!(number(&connection, "SELECT sum(writes) > 0 FROM sync_runs WHERE mode = 'reconcile'"), 1);
    let status: Value = serde_json::from_str(&world.ok(&["--json", "status"]).stdout).expect("status");
    let users = status[0]["resources"].as_array().expect("resources").iter().find(|r| r["resource"] == "users").expect("users");
    assert!(users["reconciled_at"].is_string() && users["state"] == "ok", "{users}");
}

#[test]
fn a_living_tenant_is_synced_while_it_is_reconciled() {
    let world = World::one(TenantOptions { delta_page: 20, delta_links: 60, ..TenantOptions::new("contoso", 61, 400) });
    world.sync(&[]);
    let tenant = world.tenant();
    for round in 0..3 {
        tenant.set_latency(Duration::from_millis(25));
        let mut walk = world.spawn(&["reconcile"]);
        let mut beside = 0;
        while walk.child.try_wait().expect("wait").is_none() {
            tenant.live(15);
            world.sync(&["--resource", "users", "--resource", "groups"]);
            beside += 1;
        }
        assert_eq!(walk.wait(), 0);
        assert!(beside >= 2, "round {round}: {beside} syncs beside the walk");
        tenant.set_latency(Duration::ZERO);
        world.sync(&[]);
        world.assert_equal();
    }
}

#[test]
fn an_interrupted_walk_goes_on() {
    let world = World::one(TenantOptions { delta_page: 20, quirks: Quirks::none(), ..TenantOptions::new("contoso", 62, 300) });
    world.sync(&[]);
    let tenant = world.tenant();
    let user = tenant.ids(Kind::User)[250].clone();
    tenant.lose_next_change(&user);
    tenant.update(&user, json!({"jobTitle": "Lost and found"}));
    tenant.set_latency(Duration::from_millis(30));
    let connection = open(&world.file());
    let stored = || number(&connection, "SELECT count(*) FROM checkpoints WHERE resource = 'users/reconcile' AND next_link IS NOT NULL");
    let mut walk = world.spawn(&["reconcile", "--resource", "users"]);
    crate::support::wait_for("some pages are walked", || stored() == 1);
    walk.kill();
    tenant.set_latency(Duration::ZERO);
    let asked = tenant.requests().iter().filter(|r| r.query.contains("$select")).count();
    let repaired = reports(&world, &["--resource", "users"]);
    assert_eq!(of(&repaired, "users")["writes"], 1);
    assert_eq!(tenant.requests().iter().filter(|r| r.query.contains("$select")).count(), asked, "no new walk was begun");
    world.assert_equal();
}
