//! Lines of the matrix that need more than one action: deletion and return, lag, what delta never tells, tokens in time, budgets, sign-in.

use std::time::Duration;

use entra_mirror::simulator::{Action, Fault, Kind as Object, Quirks, Retry, TenantOptions, Throttle};
use serde_json::{Value, json};

use super::{ALL, DELTA, Kind, Line, Meets, done, equal, sync};
use crate::support::World;
use crate::truth::{number, open};

const DAY: Duration = Duration::from_secs(24 * 3600);
const HOUR: Duration = Duration::from_secs(3600);
const LINKS: &str = "only delta tells of deletion; listings leave out what is gone, logs keep it";
const DELTA_AND_LISTING: &[Kind] = &[Kind::Delta, Kind::Listing];

/// A third more than the service of that line allows, in windows of a second where it has ten.
const BUDGETS: &str = "[budgets]\ndirectory_units_per_10s = 160\napp_directory_units_per_20s = 1e6\nreports_per_10s = 130\n\
    app_reports_per_10s = 1e6\nsign_in_activity_per_minute = 130\nidentity_protection_per_second = 13\n";

pub fn scene(number: u8, name: &'static str, kinds: &'static [Kind], ends: &'static str, act: fn(&World)) -> Line {
    Line { number, name, kinds, but: "", options: |plain| plain, config: "", meets: Meets::Scene(act, ends) }
}

impl Line {
    pub fn because(self, but: &'static str) -> Line {
        Line { but, ..self }
    }

    pub fn with(self, options: fn(TenantOptions) -> TenantOptions) -> Line {
        Line { options, ..self }
    }

    pub fn configured(self, config: &'static str) -> Line {
        Line { config, ..self }
    }
}

pub fn scenes() -> Vec<Line> {
    let told = |plain: TenantOptions| TenantOptions { quirks: Quirks { announce_purged_links: true, ..Quirks::default() }, ..plain };
    vec![
        scene(1, "pages of the service's own size", ALL, "at once", pages_of_any_size),
        scene(4, "an older value after a newer one", DELTA, "resync", an_older_value_comes_last).because("only delta replays"),
        scene(4, "a change of an earlier round again", DELTA, "at once", changes_come_again).because("only delta replays"),
        scene(5, "a large group on many pages, re-appearing", DELTA, "at once", a_large_group)
            .with(|plain| TenantOptions { delta_links: 5, huge_group: Some(30), ..plain })
            .because("only delta carries links"),
        scene(6, "deleted objects and links in a first round", DELTA, "at once", a_first_round_tells_of_the_dead).because(LINKS),
        scene(7, "soft delete and purge, groups silent", DELTA, "at once", deleted_and_purged).because(LINKS),
        scene(7, "soft delete and purge, links told", DELTA, "at once", deleted_and_purged).with(told).because(LINKS),
        scene(8, "restored", DELTA, "at once", restored).because(LINKS),
        scene(9, "never set, cleared, extension siblings", DELTA, "at once", absent_is_not_null)
            .configured("[resources.users]\nextra = [\"extension_0123_one\", \"extension_0123_two\"]\n")
            .because("listings and logs give whole objects"),
        scene(10, "in listings, not yet in delta", DELTA_AND_LISTING, "when delta tells it", delta_is_late)
            .with(|plain| TenantOptions { delta_lag: HOUR, ..plain })
            .because("38 for logs"),
        scene(10, "in delta, not yet in listings", DELTA_AND_LISTING, "next run", listings_are_late)
            .because("38 for logs; no object is asked for by its id"),
        scene(11, "changes, deletes and links lost for ever", DELTA, "reconcile", lost_for_ever)
            .because("listings are read whole, logs again: nothing is lost in them"),
        scene(14, "delta tokens live as long as they like", DELTA, "at once", tokens_in_time)
            .with(|plain| TenantOptions { delta_token_life: 14 * DAY, ..plain })
            .because("only delta has delta tokens"),
        scene(15, "a new token each time; another selection", DELTA, "at once", tokens_and_selections)
            .because("only delta has delta tokens"),
        scene(18, "what delta never tells", DELTA_AND_LISTING, "next run", silent_properties).because("logs have no such properties"),
        scene(25, "budgets smaller than the client thinks", ALL, "at once", smaller_budgets)
            .with(|plain| TenantOptions {
                throttle: Throttle { scale: 0.1, directory_units: Some(12.0), reports: 10.0, ..Throttle::published() },
                ..plain
            })
            .configured(BUDGETS),
        scene(26, "Retry-After of a day", ALL, "refused (failed), next run", a_day_to_wait).configured("[sync]\ngive_up_after_secs = 2\n"),
        scene(32, "a token without roles", ALL, "refused (unavailable), next run", a_token_without_roles),
        scene(33, "AADSTS90055, 90033, 70021 that pass", ALL, "at once", sign_in_is_refused_in_passing),
    ]
}

fn pages_of_any_size(world: &World) {
    done(world, "sync");
    equal(world);
    let requests = world.tenant().requests();
    for (path, query) in [("users/delta", ""), ("users", "licenseAssignmentStates&$top=999"), ("auditLogs/signIns", "$top=1000")] {
        let pages = requests.iter().filter(|r| r.path == path && r.query.replace("%24", "$").contains(query)).count();
        assert!(pages >= 3, "{path} came on {pages} pages");
    }
}

fn an_older_value_comes_last(world: &World) {
    let tenant = world.tenant();
    done(world, "sync");
    let user = tenant.ids(Object::User)[3].clone();
    let name = || {
        let sql = format!("SELECT display_name FROM users WHERE id = '{user}'");
        open(&world.file()).query_row(&sql, [], |row| row.get::<_, String>(0)).expect("the row")
    };
    let before = name();
    tenant.update(&user, json!({"displayName": "New Name"}));
    done(world, "sync");
    equal(world);
    let older = json!({"id": user, "displayName": before});
    tenant.fault(Fault::new("users/delta", Action::Insert { objects: vec![older], last: true }).times(1));
    done(world, "sync");
    assert_eq!(name(), before, "what Graph says last counts");
    done(world, "resync");
    equal(world);
}

fn changes_come_again(world: &World) {
    let tenant = world.tenant();
    done(world, "sync");
    tenant.live(10);
    done(world, "sync");
    let truth = tenant.ground_truth();
    for (path, collection, properties) in
        [("users/delta", "users", ["displayName", "jobTitle"]), ("groups/delta", "groups", ["displayName", "description"])]
    {
        let object = &truth[collection][5];
        let mut again = json!({"id": object["id"], "members@delta": object["members"]});
        for property in properties {
            again[property] = object[property].clone();
        }
        tenant.fault(Fault::new(path, Action::Insert { objects: vec![again.clone(), again], last: true }).times(1));
    }
    let reports = world.sync(&["--resource", "users", "--resource", "groups"]);
    assert!(reports.iter().all(|r| r["writes"] == 0 && r["changes"] == 0 && r["rows"].as_u64() >= Some(2)), "{reports:#?}");
    equal(world);
}

fn a_large_group(world: &World) {
    let tenant = world.tenant();
    tenant.fault(Fault::new("groups/delta", Action::Parts));
    done(world, "sync");
    equal(world);
    let pages = tenant.requests().iter().filter(|r| r.path == "groups/delta").count();
    assert!(pages > 10, "{pages} pages");
    tenant.live(20);
    done(world, "sync");
    equal(world);
    done(world, "resync");
    equal(world);
}

fn deaths(world: &World, reason: &str) -> i64 {
    number(&open(&world.file()), &format!("SELECT count(*) FROM deleted_objects WHERE resource = 'users' AND reason = '{reason}'"))
}

fn a_first_round_tells_of_the_dead(world: &World) {
    let tenant = world.tenant();
    let users = tenant.ids(Object::User);
    let group = tenant.ids(Object::Group)[0].clone();
    assert!(tenant.delete(&users[4]) && tenant.delete(&users[5]) && tenant.purge(&users[5]));
    let member = tenant.members(&group)[0].clone();
    assert!(tenant.remove_member(&group, &member));
    done(world, "sync");
    equal(world);
    assert!(deaths(world, "changed") >= 1 && deaths(world, "deleted") == 1);
}

/// Somebody who is in groups, and a count of the memberships that show.
fn a_member(world: &World) -> (String, impl Fn() -> i64) {
    let tenant = world.tenant();
    let member = tenant.members(&tenant.ids(Object::Group)[0])[1].clone();
    let (sql, file) = (format!("SELECT count(*) FROM group_members WHERE member_id = '{member}'"), world.file());
    (member, move || number(&open(&file), &sql))
}

fn deleted_and_purged(world: &World) {
    let tenant = world.tenant();
    done(world, "sync");
    let (member, shown) = a_member(world);
    assert!(shown() > 0 && tenant.delete(&member));
    done(world, "sync");
    equal(world);
    assert_eq!((shown(), deaths(world, "deleted")), (0, 0));
    assert!(tenant.purge(&member));
    done(world, "sync");
    equal(world);
    assert_eq!((shown(), deaths(world, "deleted")), (0, 1));
    done(world, "resync");
    equal(world);
}

fn restored(world: &World) {
    let tenant = world.tenant();
    done(world, "sync");
    let (member, shown) = a_member(world);
    let before = shown();
    assert!(before > 0 && tenant.delete(&member));
    done(world, "sync");
    assert_eq!(shown(), 0);
    assert!(tenant.restore(&member));
    done(world, "sync");
    assert_eq!(shown(), before, "with all memberships");
    equal(world);
}

fn absent_is_not_null(world: &World) {
    let tenant = world.tenant();
    let user = tenant.ids(Object::User)[2].clone();
    let held = || {
        let sql = format!("SELECT job_title, mobile_phone, extra FROM users WHERE id = '{user}'");
        let read = |row: &rusqlite::Row<'_>| -> rusqlite::Result<[Option<String>; 3]> { Ok([row.get(0)?, row.get(1)?, row.get(2)?]) };
        open(&world.file()).query_row(&sql, [], read).expect("the row")
    };
    tenant.update(&user, json!({"extension_0123_one": "1", "extension_0123_two": "2", "mobilePhone": "+1"}));
    done(world, "sync");
    equal(world);
    assert_eq!(held()[1..], [Some("+1".into()), Some(r#"{"extension_0123_one":"1","extension_0123_two":"2"}"#.into())]);
    tenant.update(&user, json!({"jobTitle": "Chief", "mobilePhone": null, "extension_0123_one": null}));
    done(world, "sync");
    equal(world);
    assert_eq!(held(), [Some("Chief".into()), None, Some(r#"{"extension_0123_two":"2"}"#.into())]);
    // Only what is said changes anything.
    tenant.fault(Fault::new("users/delta", Action::Insert { objects: vec![json!({"id": user})], last: true }).times(1));
    done(world, "sync");
    equal(world);
}

/// Somebody new with a licence.
fn hire(world: &World) -> String {
    let (tenant, sku) = (world.tenant(), "05e9a617-0261-4cee-bb44-138d3ef5d965");
    let user = tenant.hire();
    let state = json!([{"skuId": sku, "disabledPlans": [], "assignedByGroup": null, "state": "Active", "error": "None",
        "lastUpdatedDateTime": "2026-01-01T00:00:00Z"}]);
    tenant.update(&user, json!({"assignedLicenses": [{"skuId": sku, "disabledPlans": []}], "licenseAssignmentStates": state}));
    user
}

fn delta_is_late(world: &World) {
    let tenant = world.tenant();
    done(world, "sync");
    let (user, group) = (hire(world), tenant.ids(Object::Group)[3].clone());
    tenant.add_member(&group, &user);
    done(world, "sync");
    let known =
        |table: &str, column: &str| number(&open(&world.file()), &format!("SELECT count(*) FROM {table} WHERE {column} = '{user}'"));
    assert_eq!(known("users", "id"), 0, "delta does not tell it yet");
    assert_eq!(known("user_registration_details", "id"), 1, "the report does");
    tenant.advance(2 * HOUR);
    done(world, "sync");
    equal(world);
    assert_eq!(known("assigned_licenses", "user_id"), 1);
}

fn listings_are_late(world: &World) {
    let tenant = world.tenant();
    done(world, "sync");
    let user = hire(world);
    // The new ones are the last of a listing.
    for path in ["licenseAssignmentStates&", "userRegistrationDetails"] {
        tenant.fault(Fault::new(path, Action::Omit));
    }
    done(world, "sync");
    tenant.clear_faults();
    let states = format!("SELECT count(*) FROM assigned_licenses WHERE user_id = '{user}' AND state IS NULL");
    assert_eq!(number(&open(&world.file()), &states), 1, "what delta told stands; how it was assigned is not known");
    done(world, "sync");
    equal(world);
}

fn lost_for_ever(world: &World) {
    let tenant = world.tenant();
    done(world, "sync");
    let (users, groups, devices) = (tenant.ids(Object::User), tenant.ids(Object::Group), tenant.ids(Object::Device));
    let lose = |id: &str| tenant.lose_next_change(id);
    lose(&users[2]);
    tenant.update(&users[2], json!({"jobTitle": "Lost", "mobilePhone": null}));
    lose(&users[4]);
    tenant.delete(&users[4]);
    lose(&devices[1]);
    tenant.update(&devices[1], json!({"operatingSystemVersion": "lost"}));
    lose(&groups[0]);
    let member = tenant.members(&groups[0])[0].clone();
    tenant.remove_member(&groups[0], &member);
    done(world, "sync");
    let found = "SELECT (SELECT count(*) FROM users WHERE job_title = 'Lost') + (SELECT count(*) FROM devices WHERE operating_system_version = 'lost')";
    assert_eq!(number(&open(&world.file()), found), 0, "delta says nothing");
    done(world, "reconcile");
    assert_eq!(number(&open(&world.file()), found), 2);
    // How somebody's licences were assigned is known by the listing, which follows.
    done(world, "sync");
    equal(world);
}

fn tokens_in_time(world: &World) {
    let tenant = world.tenant();
    done(world, "sync");
    let mode = || world.sync(&["--resource", "users"])[0]["mode"].clone();
    tenant.advance(10 * DAY);
    assert_eq!(mode(), "incremental", "no validity is inferred from age");
    tenant.advance(15 * DAY);
    tenant.live(10);
    assert_eq!(mode(), "full");
    done(world, "sync");
    equal(world);
}

fn tokens_and_selections(world: &World) {
    let link = || {
        let sql = "SELECT delta_link FROM checkpoints WHERE resource = 'users'";
        open(&world.file()).query_row(sql, [], |row| row.get::<_, String>(0)).expect("a link")
    };
    done(world, "sync");
    let first = link();
    let report = |reports: Vec<Value>| (reports[0]["mode"].clone(), reports[0]["writes"].clone());
    assert_eq!(report(world.sync(&["--resource", "users"])), (json!("incremental"), json!(0)));
    assert_ne!(link(), first, "the newer token stands, though nothing has changed");
    // The token is bound to what was selected: another selection is another first round.
    world.write_config("[resources.users]\nextra = [\"extension_0123_one\"]\n");
    assert_eq!(report(world.sync(&["--resource", "users"])).0, json!("full"));
    let refused = world.tenant().requests().into_iter().find(|r| r.status >= 400);
    assert!(refused.is_none(), "nothing was selected on a token: {refused:?}");
    done(world, "sync");
    equal(world);
}

fn silent_properties(world: &World) {
    let tenant = world.tenant();
    done(world, "sync");
    let user = tenant.ids(Object::User)[1].clone();
    tenant.update(
        &user,
        json!({"licenseAssignmentStates": [{"skuId": "c5928f49-12ba-48f7-ada3-0d743a3601d5", "disabledPlans": [],
        "assignedByGroup": null, "state": "Error", "error": "CountViolation", "lastUpdatedDateTime": "2026-01-01T00:00:00Z"}]}),
    );
    tenant.advance(HOUR);
    tenant.sign_in(json!({"userId": user}));
    let reports = world.sync(&["--resource", "users"]);
    assert_eq!(reports[0]["writes"], 0, "delta says nothing of it: {reports:#?}");
    let errors = format!("SELECT count(*) FROM assigned_licenses WHERE user_id = '{user}' AND state = 'Error'");
    assert_eq!(number(&open(&world.file()), &errors), 0);
    done(world, "sync");
    assert_eq!(number(&open(&world.file()), &errors), 1);
    equal(world);
}

fn smaller_budgets(world: &World) {
    let tenant = world.tenant();
    done(world, "sync");
    equal(world);
    tenant.live(10);
    done(world, "sync");
    equal(world);
    let stats = tenant.throttle_stats();
    assert!(stats.rejected >= 3 && stats.rejected_by.len() >= 2, "{stats:?}");
}

fn a_day_to_wait(world: &World) {
    let tenant = world.tenant();
    for (resource, path) in [("users", "users/delta"), ("subscribed_skus", "subscribedSkus"), ("sign_ins", "auditLogs/signIns")] {
        let day =
            Action::Error { status: 429, code: "TooManyRequests".into(), message: "".into(), retry_after: Retry::Seconds("86400".into()) };
        tenant.fault(Fault::new(path, day).times(1));
        let ended = world.run(&["--json", "sync", "--resource", resource]);
        assert_eq!((ended.code, tenant.fault_hits()[0].1), (1, 1), "{}", ended.said());
        let seconds = serde_json::from_str::<Value>(&ended.stdout).expect("reports")[0]["seconds"].as_f64();
        assert!(seconds < Some(10.0), "it gave up several times: {seconds:?}");
        for says in ["gave up after 2 s", "asked for", "give_up_after_secs"] {
            assert!(ended.stdout.contains(says), "{says}: {}", ended.stdout);
        }
        tenant.clear_faults();
    }
    world.write_config("");
    done(world, "sync");
    equal(world);
}

fn a_token_without_roles(world: &World) {
    let tenant = world.tenant();
    let granted = TenantOptions::new("contoso", 1, 1).permissions;
    tenant.set_permissions(&[]);
    let told = sync(world, "sync");
    for (resource, (outcome, why)) in &told {
        assert!(outcome == "unavailable" && why.contains("grant the application permission"), "{resource} {outcome}: {why}");
    }
    tenant.set_permissions(&granted.iter().map(String::as_str).collect::<Vec<_>>());
    done(world, "sync");
    equal(world);
}

fn sign_in_is_refused_in_passing(world: &World) {
    let tenant = world.tenant();
    for code in ["90055", "90033", "70021"] {
        let message = "No matching federated identity record found, or the service is busy.".into();
        let refused = Action::Error { status: 400, code: code.into(), message, retry_after: Retry::Missing };
        // For 70021 it is a second run that meets it: it comes after a first success too.
        tenant.fault(Fault::new("oauth2", refused).times(2));
        tenant.live(3);
        done(world, "sync");
        equal(world);
        assert_eq!(tenant.fault_hits()[0].1, 2, "{code}");
        tenant.clear_faults();
    }
}
