//! A weekend and a week of the daemon in as long as its work takes: its time leaps from one thing that is due to the next (`src/daemon/pace.rs`), and the
//! simulated tenant's time with it.

use std::collections::{BTreeMap, BTreeSet};

use entra_mirror::config::parse_cron;
use entra_mirror::daemon::next_after;
use entra_mirror::mirror::format_time;
use entra_mirror::resources;
use entra_mirror::simulator::{Quirks, Tenant, TenantOptions};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::moved::{self, monday, move_to};
use crate::support::{Ended, World};
use crate::truth::{number, open};

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Times of a schedule after `start`, up to `end`.
fn times(schedule: &str, start: Timestamp, end: Timestamp) -> i64 {
    let cron = parse_cron(schedule).expect("a schedule");
    std::iter::successors(next_after(&cron, start), |at| next_after(&cron, *at)).take_while(|at| *at <= end).count() as i64
}

/// Something happens in every hour, until some hours before the end: what is looked at four times a day has to see the last of it.
fn live(tenant: &Tenant, hour: i64) {
    tenant.live(1);
    tenant.sign_in(json!({}));
    if hour % 5 == 0 {
        tenant.audit(json!({}));
    }
}

/// A weekend, for it has the weekly walk.
#[test]
fn a_weekend_by_the_default_schedules() {
    let monday = monday(Timestamp::now());
    pass(monday + DAY * 5 + HOUR * 6, HOUR * 30, 1);
}

/// Takes minutes, because it is sixteen thousand runs.
#[test]
#[ignore = "takes minutes: cargo test --test it -- --ignored week"]
fn a_week_by_the_default_schedules() {
    let runs = pass(monday(Timestamp::now()), DAY * 7 + HOUR * 6, 3);
    for (resource, times) in
        [("users", 2088), ("sign_ins", 2088), ("role_definitions", 174), ("assigned_licenses", 29), ("user_sign_in_activity", 8)]
    {
        let found = runs[resource];
        assert!((times..=times + 1).contains(&found), "{resource}: {found}");
    }
}

/// Lets so much time pass from `start` on, with events kept so many days, and looks at everything; how often each resource was synced.
fn pass(start: Timestamp, span: SignedDuration, keep: i32) -> BTreeMap<&'static str, i64> {
    let options = TenantOptions {
        logs: true,
        late_share: 0.0,
        amended_share: 0.0,
        quirks: Quirks { repeat_last_event: true, ..Quirks::none() },
        ..TenantOptions::new("contoso", 9107, 60)
    };
    let world = World::one(options);
    world.write_config(&format!("[logs]\nkeep = \"{keep}d\"\n[changes]\nkeep = \"7d\"\n"));
    let tenant = world.tenant();
    let end = start + span;
    let quiet = end - HOUR * 7;
    move_to(tenant, start);
    tenant.generate_logs(start - DAY * 5, start, 150, 40);

    let mut hour = 0;
    let leaps = moved::run(
        &world,
        start,
        end,
        |_| {},
        |to| {
            while start + HOUR * (hour + 1) <= to.min(quiet) {
                live(tenant, i64::from(hour));
                hour += 1;
            }
        },
    );
    let hours = span.as_hours();
    assert!(i64::from(hour) > hours - 9 && leaps > 12 * hours as u64, "{hour} hours, {leaps} leaps");

    // Every resource as often as its schedule says, once more at the start; what was put off at the end may be missing.
    let connection = open(&world.file());
    let runs = |condition: &str| number(&connection, &format!("SELECT count(*) FROM sync_runs WHERE {condition}"));
    let mut synced = BTreeMap::new();
    for resource in resources::all() {
        let due = times(resource.definition.schedule, start, end);
        let found = runs(&format!("resource = '{}' AND mode <> 'reconcile'", resource.name()));
        assert!((due..=due + 1).contains(&found), "{}: {found} runs, {due} times", resource.name());
        synced.insert(resource.name(), found);
        let walks = i64::from(resource.is_delta());
        assert_eq!(runs(&format!("resource = '{}' AND mode = 'reconcile'", resource.name())), walks, "{}", resource.name());
    }
    assert_eq!(runs("outcome <> 'done'"), 0);
    assert_eq!(runs("mode = 'reconcile' AND writes > 0"), 0, "nothing had to be repaired");
    let overlaps = "SELECT count(*) FROM (SELECT started_at < lag(ended_at) OVER (PARTITION BY resource, mode = 'reconcile' ORDER BY id) AS early \
                    FROM sync_runs) WHERE early";
    assert_eq!(number(&connection, overlaps), 0);
    // The walks begin on Sunday, within the hour after half past two.
    let walks = "SELECT count(*) FROM sync_runs WHERE mode = 'reconcile' AND strftime('%w %H', started_at) NOT IN ('0 02', '0 03')";
    assert_eq!(number(&connection, walks), 0);

    // Tokens live an hour; each is renewed before it ends, so no request was refused: the tenant answered each that the ledger knows.
    let tokens = tenant.tokens_issued();
    assert!((hours as u64..=hours as u64 * 4 / 3).contains(&tokens), "{tokens} tokens");
    assert_eq!(number(&connection, "SELECT sum(requests) FROM sync_runs"), tenant.requests().len() as i64);

    world.assert_equal();
    retention(&world, start, end, keep);
    synced
}

/// Events are kept so many days and changes seven; nothing else is missing.
fn retention(world: &World, start: Timestamp, end: Timestamp, keep: i32) {
    let connection = open(&world.file());
    let truth = world.tenant().ground_truth();
    // The last round was some minutes before the end.
    let (gone, kept) = (format_time(end - DAY * keep - HOUR), format_time(end - DAY * keep));
    for (table, collection, column, time) in [
        ("sign_ins", "signIns", "created_date_time", "createdDateTime"),
        ("directory_audits", "directoryAudits", "activity_date_time", "activityDateTime"),
    ] {
        let held: BTreeSet<String> = connection
            .prepare(&format!("SELECT id FROM {table}"))
            .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
            .expect("ids");
        let interactive =
            |event: &&Value| event["signInEventTypes"].as_array().is_none_or(|kinds| kinds.iter().any(|kind| kind == "interactiveUser"));
        let real: Vec<(&str, &str)> = truth[collection]
            .as_array()
            .expect(collection)
            .iter()
            .filter(interactive)
            .map(|event| (event["id"].as_str().expect("id"), event[time].as_str().expect("a time")))
            .collect();
        assert!(real.iter().filter(|(_, at)| *at >= kept.as_str()).all(|(id, _)| held.contains(*id)), "{table}: an event is missing");
        assert!(held.iter().all(|id| real.iter().any(|(real, _)| real == id)), "{table}: an event that never was");
        let old = real.iter().filter(|(_, at)| *at < gone.as_str()).count();
        assert!(old > 20 && held.len() > 10, "{table}: {old} old ones, {} kept", held.len());
        assert_eq!(number(&connection, &format!("SELECT count(*) FROM {table} WHERE {column} < '{gone}'")), 0, "{table}");
    }
    let first = format_time(end - DAY * 7 - HOUR);
    assert_eq!(number(&connection, &format!("SELECT count(*) FROM changes WHERE observed_at < '{first}'")), 0);
    let some_went = number(&connection, "SELECT max(seq) > count(*) FROM changes") == 1;
    assert_eq!(some_went, end.duration_since(start) > DAY * 7, "old changes go, young ones stay");
    assert!(number(&connection, "SELECT count(*) FROM changes") > 20);
}

#[test]
fn time_is_not_moved_by_accident() {
    let world = World::one(TenantOptions::new("contoso", 9108, 20));
    let run = |clock: &str| {
        let mut command = world.command(&["run"]);
        Ended::of(command.env("ENTRA_MIRROR_TEST_CLOCK", clock).output().expect("the binary runs"))
    };
    let wrong = run("soon");
    assert!(wrong.code == 2 && wrong.stderr.contains("is no time such as"), "{}", wrong.stderr);
    let text = std::fs::read_to_string(world.config()).expect("config");
    let real = text.lines().filter(|line| !line.starts_with("graph_url") && !line.starts_with("login_url")).collect::<Vec<_>>().join("\n");
    std::fs::write(world.config(), real).expect("config");
    let refused = run("2026-11-23T00:00:00Z");
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("contoso is at https://graph.microsoft.com: unset it"), "{}", refused.stderr);
}
