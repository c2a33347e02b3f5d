//! The matrix: every fault of the list of faults, by its number there, met by resources of every kind. Afterwards the file equals ground
//! truth and the exit code is right; the table of faults and results is printed, and says what it took, what was struck, and why a kind
//! cannot be.

mod rows;
mod scenes;
mod scenes_of_events;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use entra_mirror::simulator::{Action, Fault, Kind as Object, Tenant, TenantOptions};
use serde_json::Value;

use crate::events::{INTERACTIVE, assert_same};
use crate::support::World;
use crate::truth::{assert_equal, assert_reports, open};

/// A resource that faults are put before.
struct Representative {
    resource: &'static str,
    kind: Kind,
    /// What a request for it contains.
    path: &'static str,
    /// A property that is text, or a list, and never an object.
    property: &'static str,
    /// It comes on several pages; what comes in one answer has neither page tokens nor links.
    paged: bool,
}

const fn on(resource: &'static str, kind: Kind, path: &'static str, property: &'static str) -> Representative {
    Representative { resource, kind, path, property, paged: true }
}

const REPRESENTATIVES: [Representative; 10] = [
    on("users", Kind::Delta, "users/delta", "displayName"),
    on("groups", Kind::Delta, "groups/delta", "displayName"),
    on("devices", Kind::Delta, "devices/delta", "displayName"),
    on("role_assignments", Kind::Listing, "directory/roleAssignments?", "principalId"),
    on("role_assignment_schedule_instances", Kind::Listing, "directory/roleAssignmentScheduleInstances?", "principalId"),
    Representative { paged: false, ..on("subscribed_skus", Kind::Listing, "subscribedSkus", "skuPartNumber") },
    on("assigned_licenses", Kind::Listing, "licenseAssignmentStates&", "licenseAssignmentStates"),
    on("user_registration_details", Kind::Listing, "userRegistrationDetails", "userDisplayName"),
    on("sign_ins", Kind::Log, "auditLogs/signIns", "userDisplayName"),
    on("directory_audits", Kind::Log, "auditLogs/directoryAudits", "activityDisplayName"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Delta,
    Listing,
    Log,
}

const ALL: &[Kind] = &[Kind::Delta, Kind::Listing, Kind::Log];
const DELTA: &[Kind] = &[Kind::Delta];
const LISTING: &[Kind] = &[Kind::Listing];
const LOG: &[Kind] = &[Kind::Log];
const READ_AGAIN: &[Kind] = &[Kind::Listing, Kind::Log];

/// What a fault may take at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Takes {
    /// The run that met it ends well, and the file is right.
    AtOnce,
    /// The next run, without the fault, puts it right.
    NextRun,
    /// Delta is never told again: walking everything again finds it.
    Resync,
}

/// A line of the table: how the fault is met.
struct Line {
    number: u8,
    name: &'static str,
    kinds: &'static [Kind],
    /// Why the other kinds cannot be struck.
    but: &'static str,
    options: fn(TenantOptions) -> TenantOptions,
    /// Beside the tenants in the configuration.
    config: &'static str,
    meets: Meets,
}

enum Meets {
    /// The fault is put before each representative.
    Row(Row),
    /// Something that needs more than one action: it panics when anything is wrong. And what the table says of it.
    Scene(fn(&World), &'static str),
}

struct Row {
    action: Action,
    takes: Takes,
    /// Only once there is a delta token; changes happen before.
    later: bool,
    /// Only requests for a further page.
    further: bool,
    /// Needs a page that is not the last: a link, or an object before.
    paged: bool,
    /// Hits so many of each; 0 = always.
    times: u64,
    /// How often each may be hit.
    at_most: u64,
    /// Only these resources can be struck; none named means all.
    only: &'static [&'static str],
    /// One of each kind will do: it is slow.
    one_each: bool,
    /// What must be said when it is refused.
    says: &'static str,
    /// What must be said of each that was struck, though it ends well.
    mentions: &'static str,
    /// Later requests of each that was struck hold this.
    leads_to: &'static str,
    /// The run is over by then.
    within: Duration,
}

impl Row {
    fn met_by(&self, kinds: &[Kind]) -> Vec<&'static Representative> {
        let mut seen = BTreeSet::new();
        let can = |r: &&Representative| {
            kinds.contains(&r.kind)
                && (self.only.is_empty() || self.only.contains(&r.resource))
                && (r.paged || !(self.paged || self.further))
                && (!self.one_each || seen.insert(r.kind))
        };
        REPRESENTATIVES.iter().filter(can).collect()
    }
}

/// Puts the fault before each of the representatives.
fn install(row: &Row, met_by: &[&Representative], tenant: &Tenant) {
    for Representative { path, property, paged, .. } in met_by {
        let action = match &row.action {
            // Each has a property of its own to be wrong.
            Action::Set { property: any, value } if any.is_empty() => {
                Action::Set { property: (*property).to_owned(), value: value.clone() }
            }
            action => action.clone(),
        };
        let matching = if row.further { format!("{} skiptoken", path.trim_end_matches('?')) } else { (*path).to_owned() };
        // Of what has several pages the second is hit, so that one has been stored by then.
        let second = row.times > 0 && !row.further && !row.later && *paged;
        tenant.fault(Fault::new(&matching, action).times(row.times).after(u64::from(second)));
    }
}

/// A resource's outcome, and what was said of it.
type Told = BTreeMap<String, (String, String)>;

/// Runs it. The exit code must be that of the outcomes: 1 when anything failed, was held or stopped, else 0.
fn sync(world: &World, command: &str) -> Told {
    let ended = world.run(&["--json", command]);
    let reports: Vec<Value> = serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {}", ended.said()));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let told = |r: &Value| (text(&r["outcome"]), format!("{} {}", text(&r["message"]), text(&r["hint"])));
    let told: Told = reports.iter().map(|r| (text(&r["resource"]), told(r))).collect();
    let undone = told.values().any(|(outcome, _)| !matches!(outcome.as_str(), "done" | "unavailable"));
    assert_eq!(ended.code, i32::from(undone), "the exit code of {command}: {told:#?}\n{}", ended.stderr);
    told
}

/// The same, and everything ends well.
fn done(world: &World, command: &str) {
    let told = sync(world, command);
    assert!(told.values().all(|(outcome, _)| outcome == "done"), "{told:#?}");
}

/// Everything that is mirrored equals what is real.
fn equal(world: &World) {
    let (tenant, file) = (world.tenant(), world.file());
    let truth = tenant.ground_truth();
    assert_equal(&file, &truth, Default::default());
    let connection = open(&file);
    assert_reports(&connection, &truth);
    assert_same(&connection, tenant, "sign_ins", "signIns", INTERACTIVE);
    for (table, name) in
        [("directory_audits", "directoryAudits"), ("provisioning_events", "provisioning"), ("risk_detections", "riskDetections")]
    {
        assert_same(&connection, tenant, table, name, &[]);
    }
}

/// What somebody panicked about.
fn caught(act: impl FnOnce()) -> Option<String> {
    let why = catch_unwind(AssertUnwindSafe(act)).err()?;
    let text = why.downcast_ref::<String>().cloned().or_else(|| why.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    Some(text.unwrap_or_else(|| "it panicked".into()))
}

/// What it took, by kind; an error says what is wrong.
fn meet(world: &World, line: &Line, row: &Row) -> Result<BTreeMap<Kind, String>, String> {
    let (tenant, met_by) = (world.tenant(), row.met_by(line.kinds));
    if row.later {
        sync(world, "sync");
        tenant.live(15);
        // Of each kind something has changed.
        for kind in [Object::User, Object::Group, Object::Device] {
            let ids = tenant.ids(kind);
            for id in ids.iter().take(2) {
                tenant.update(id, serde_json::json!({"displayName": format!("New {id}")}));
            }
        }
        tenant.clear_requests();
    }
    install(row, &met_by, tenant);
    let began = Instant::now();
    let told = sync(world, "sync");
    let (took_time, hits) = (began.elapsed(), tenant.fault_hits());
    tenant.clear_faults();
    let difference = || caught(|| equal(world));
    let (mut took, mut differs) = (Takes::AtOnce, difference());
    let failed = told.values().any(|(outcome, _)| outcome != "done");
    for (takes, command) in [(Takes::NextRun, "sync"), (Takes::Resync, "resync")] {
        if differs.is_some() || (failed && takes == Takes::NextRun) {
            let again = sync(world, command);
            if let Some((resource, (outcome, why))) = again.iter().find(|(_, (outcome, _))| outcome != "done") {
                return Err(format!("{command} without the fault: {resource} {outcome}: {why}"));
            }
            (took, differs) = (takes, difference());
        }
    }
    if let Some(differs) = differs {
        return Err(format!("differs from ground truth for good: {differs}"));
    }
    if took > row.takes {
        return Err(format!("took {took:?}, more than {:?}", row.takes));
    }
    if took_time > row.within {
        return Err(format!("took {took_time:?}"));
    }
    let mut cells: BTreeMap<Kind, (String, u32)> = BTreeMap::new();
    for (representative, (_, times)) in met_by.iter().zip(&hits) {
        let (resource, kind) = (representative.resource, representative.kind);
        let Some((outcome, why)) = told.get(resource) else { return Err(format!("{resource} was not run")) };
        // A fault that hit nothing proves nothing.
        if *times == 0 || row.at_most > 0 && *times > row.at_most {
            return Err(format!("{resource} was struck {times} times: {hits:?}"));
        }
        if (outcome == "done") != row.says.is_empty() || !why.contains(row.says) || !why.contains(row.mentions) {
            return Err(format!("{resource} {outcome}: {why}; it should say {:?}{:?}", row.says, row.mentions));
        }
        let leads = |r: &entra_mirror::simulator::RequestRecord| {
            r.path.contains(representative.path.split(['?', '&']).next().unwrap_or_default()) && r.query.contains(row.leads_to)
        };
        if !row.leads_to.is_empty() && kind != Kind::Listing && !tenant.requests().iter().any(leads) {
            return Err(format!("{resource}: nothing led to {}", row.leads_to));
        }
        let cell = match (took, failed) {
            (_, true) => format!("refused ({outcome}), next run"),
            (Takes::AtOnce, _) => "at once".to_owned(),
            (Takes::NextRun, _) => "next run".to_owned(),
            (Takes::Resync, _) => "resync".to_owned(),
        };
        cells.entry(kind).or_insert((cell, 0)).1 += 1;
    }
    if let Some((resource, (outcome, why))) =
        told.iter().find(|(_, (outcome, why))| outcome != "done" && (row.says.is_empty() || !why.contains(row.says)))
    {
        return Err(format!("{resource} {outcome}: {why}"));
    }
    let of = |kind: Kind| REPRESENTATIVES.iter().filter(|r| r.kind == kind).count();
    Ok(cells.into_iter().map(|(kind, (cell, struck))| (kind, format!("{cell} {struck}/{}", of(kind)))).collect())
}

/// A tenant in which everything that is paged comes on three pages or more.
fn world(number: usize, line: &Line) -> World {
    let plain = TenantOptions {
        groups: Some(30),
        delta_page: 7,
        list_page: Some(12),
        sign_ins: 160,
        directory_audits: 90,
        provisioning_events: 10,
        log_days: 2,
        late_share: 0.0,
        amended_share: 0.0,
        ..TenantOptions::new("contoso", number as u64 + 1, 30)
    };
    let world = World::one((line.options)(plain));
    if !line.config.is_empty() {
        world.write_config(line.config);
    }
    let tenant = world.tenant();
    // Short, so that it can end in the middle; a run that is over in time never has it end by the wall clock.
    tenant.set_token_life(300);
    let users = tenant.ids(Object::User);
    for user in users.iter().cycle().take(32) {
        tenant.assign_role(user, "f2ef992c-3afb-46b9-b7cf-a126ee74c451", None);
    }
    world
}

/// What a line came to.
fn cells(number: usize, line: &Line) -> Result<BTreeMap<Kind, String>, String> {
    let mut result = Ok(BTreeMap::new());
    let why = caught(|| {
        let world = world(number, line);
        result = match &line.meets {
            Meets::Row(row) => meet(&world, line, row),
            Meets::Scene(act, ends) => {
                act(&world);
                Ok(line.kinds.iter().map(|kind| (*kind, (*ends).to_owned())).collect())
            }
        };
        let other = world.tenant().requests().into_iter().find(|r| r.method != "GET" || r.query.contains("$expand"));
        assert!(other.is_none(), "the table says that neither batches nor expansions are used: {other:?}");
    });
    why.map_or(result, Err)
}

#[test]
fn every_fault_by_every_kind_of_resource() {
    let all: Vec<Line> = rows::rows().into_iter().chain(scenes::scenes()).chain(scenes_of_events::scenes()).collect();
    let numbers: BTreeSet<u8> = all.iter().map(|line| line.number).chain(rows::REASONS.iter().map(|(number, _)| *number)).collect();
    assert_eq!(numbers, (1..=48).collect(), "every number of the list has a line or a reason");
    // For whoever works on some of them: numbers, separated by commas. A line's tenant is the same whatever else runs.
    let only = std::env::var("MATRIX_LINES").unwrap_or_default();
    let wanted = |line: &Line| only.is_empty() || only.split(',').any(|number| number == line.number.to_string());
    let lines: Vec<(usize, Line)> = all.into_iter().enumerate().filter(|(_, line)| wanted(line)).collect();
    let began = Instant::now();
    let (next, results) = (Mutex::new(0..lines.len()), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some(at) = next.lock().expect("the numbers").next() else { return };
                    let met = Instant::now();
                    let (seed, line) = &lines[at];
                    let result = cells(*seed, line);
                    // At once, for whoever waits for the table.
                    if let Err(why) = &result {
                        println!("{} {}: {why}", line.number, line.name);
                    }
                    let key = (line.number, at);
                    results.lock().expect("the results").insert(key, (result, met.elapsed()));
                }
            });
        }
    });
    let results = results.into_inner().expect("the results");
    let mut wrong = Vec::new();
    let mut told: BTreeMap<(u8, usize), String> =
        rows::REASONS.iter().map(|(number, why)| ((*number, usize::MAX), format!("{number:>2}  {why}\n"))).collect();
    for (key, (result, took)) in &results {
        let Line { number, name, kinds, but, .. } = &lines[key.1].1;
        assert!(kinds.len() == ALL.len() || !but.is_empty(), "{name}: why are not all kinds struck?");
        let cells = match result {
            Ok(cells) => ALL.iter().map(|kind| format!("{:<36}", cells.get(kind).map_or("-", String::as_str))).collect::<String>(),
            Err(why) => {
                wrong.push(format!("{number} {name}: {why}"));
                format!("WRONG: {why} ")
            }
        };
        told.insert(*key, format!("{number:>2}  {name:<42} {cells}{:>5.1}  {but}\n", took.as_secs_f64()));
    }
    let table = told.into_values().collect::<String>();
    println!("no. {:<42} {:<36}{:<36}{:<36}seconds, and why a kind is not struck\n{table}", "fault", "delta", "listing", "log");
    println!("{} lines in {:.1} s", lines.len(), began.elapsed().as_secs_f64());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
