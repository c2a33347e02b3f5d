//! The matrix: every fault, met by resources of every kind at once. Afterwards the file equals ground truth; the table of faults and results
//! is printed, and says what it took.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use entra_mirror::simulator::{Action, Fault, Retry, Tenant, TenantOptions};
use serde_json::{Value, json};

use crate::events::{INTERACTIVE, assert_same};
use crate::support::World;
use crate::truth::{assert_equal, open};

/// Resource, kind, and what a request for it contains.
const REPRESENTATIVES: [(&str, Kind, &str); 9] = [
    ("users", Kind::Delta, "users/delta"),
    ("groups", Kind::Delta, "groups/delta"),
    ("devices", Kind::Delta, "devices/delta"),
    ("role_assignments", Kind::Listing, "directory/roleAssignments?"),
    ("subscribed_skus", Kind::Listing, "subscribedSkus"),
    ("assigned_licenses", Kind::Listing, "licenseAssignmentStates&"),
    ("user_registration_details", Kind::Listing, "userRegistrationDetails"),
    ("sign_ins", Kind::Log, "auditLogs/signIns"),
    ("directory_audits", Kind::Log, "auditLogs/directoryAudits"),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Delta,
    Listing,
    Log,
}

const ALL: &[Kind] = &[Kind::Delta, Kind::Listing, Kind::Log];
const PAGED: &[Kind] = ALL;
const DELTA: &[Kind] = &[Kind::Delta];

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

/// A row of the table.
struct Row {
    name: &'static str,
    kinds: &'static [Kind],
    action: Action,
    takes: Takes,
    /// Only once there is a delta token; changes happen before.
    later: bool,
    /// Only requests for a further page.
    further: bool,
    /// Hits so many of each; 0 = always.
    times: u64,
    /// What must be said when it is refused.
    says: &'static str,
}

fn row(name: &'static str, kinds: &'static [Kind], action: Action) -> Row {
    Row { name, kinds, action, takes: Takes::AtOnce, later: false, further: false, times: 1, says: "" }
}

impl Row {
    fn takes(self, takes: Takes) -> Row {
        Row { takes, ..self }
    }

    fn later(self) -> Row {
        Row { later: true, ..self }
    }

    fn further(self) -> Row {
        Row { further: true, ..self }
    }

    fn always(self) -> Row {
        Row { times: 0, ..self }
    }

    fn refused(self, says: &'static str) -> Row {
        Row { says, takes: Takes::NextRun, times: 0, ..self }
    }
}

fn error(status: u16, code: &str, message: &str, retry_after: Retry) -> Action {
    Action::Error { status, code: code.into(), message: message.into(), retry_after }
}

fn seconds(text: &str) -> Retry {
    Retry::Seconds(text.into())
}

fn rows() -> Vec<Row> {
    let transient = |status, code: &str| error(status, code, "by fault", Retry::Missing);
    let foreign = || "http://127.0.0.2:9".to_owned();
    vec![
        row("429, whole seconds", ALL, error(429, "TooManyRequests", "", seconds("1"))),
        row("429, decimal seconds", ALL, error(429, "TooManyRequests", "", seconds("0.128"))),
        row("429, HTTP date", ALL, error(429, "UnknownError", "", Retry::Date(1))),
        row("429, no Retry-After", ALL, transient(429, "UnknownError")),
        row("429, plain text", ALL, Action::Plain { status: 429, text: "Too Many Requests".into(), retry_after: seconds("0.1") }),
        row("429, no body", ALL, error(429, "", "", Retry::Missing)),
        row("400, no body", ALL, error(400, "", "", Retry::Missing)),
        row("401 in the middle", ALL, transient(401, "InvalidAuthenticationToken")),
        row("500", ALL, transient(500, "Service_InternalServerError")),
        row("502, no body", ALL, error(502, "", "", Retry::Missing)),
        row("503", ALL, transient(503, "serviceNotAvailable")),
        row("503, Retry-After", ALL, error(503, "serviceNotAvailable", "", seconds("0.1"))),
        row("504 UnknownError", ALL, error(504, "UnknownError", "", Retry::Missing)),
        row("509", ALL, transient(509, "BandwidthLimitExceeded")),
        row("HTML, 200", ALL, Action::Html { status: 200 }),
        row("HTML, 503", ALL, Action::Html { status: 503 }),
        row("wrong Content-Type", ALL, Action::ContentType).always(),
        row("reset in the body", ALL, Action::Reset),
        row("truncated JSON", ALL, Action::Truncate),
        row("trickle", ALL, Action::Trickle { millis: 300 }),
        row("hang", ALL, Action::Hang { millis: 400 }),
        row("70 MiB of gzip", ALL, Action::Oversized { mebibytes: 70 }),
        row("link to another host", PAGED, Action::ForeignLink { origin: foreign() }).refused("refused"),
        row("redirect to another host", ALL, Action::Redirect { to: format!("{}/v1.0/users", foreign()) }).refused("refused"),
        row("403 for good", ALL, transient(403, "Authorization_RequestDenied")).refused("grant the application permission"),
        row("page token expired", PAGED, transient(400, "Directory_ExpiredPageToken")).further(),
        row("page link 404", PAGED, transient(404, "UnknownError")).further(),
        row("skip token null", PAGED, error(400, "UnknownError", "Invalid Skip Token, skip token is null", Retry::Missing)).further(),
        row("token of a retried page", PAGED, Action::LosePageToken),
        row("unknown context, annotations", ALL, Action::Context).always(),
        row("objects twice on a page", ALL, Action::Twice).always(),
        row("change during a round", DELTA, Action::Change { events: 3 }).takes(Takes::NextRun),
        row("a row of a wrong type", DELTA, Action::Set { property: "displayName".into(), value: json!({"not": "text"}) })
            .takes(Takes::Resync),
        row(
            "a wrong type in a listing",
            &[Kind::Listing],
            Action::Set { property: "userDisplayName".into(), value: json!({"not": "text"}) },
        )
        .takes(Takes::NextRun),
        row("a wrong type in a log", &[Kind::Log], Action::Set { property: "userDisplayName".into(), value: json!({"not": "text"}) })
            .takes(Takes::Resync),
        row("an object left out of a listing", &[Kind::Listing], Action::Omit).takes(Takes::NextRun),
        row("an event left out", &[Kind::Log], Action::Omit).takes(Takes::Resync),
        row("unknown types of members", DELTA, Action::UnknownTypes).always().takes(Takes::Resync),
        row("an object left out", DELTA, Action::Omit).takes(Takes::Resync),
        row("a circle", PAGED, Action::Loop).refused("circles"),
        row("410 with Location", DELTA, Action::Gone { location: true }).later(),
        row("410 without Location", DELTA, Action::Gone { location: false }).later(),
        row("410, Location elsewhere", DELTA, Action::GoneForeign { origin: foreign() }).later(),
        row("SyncStateNotFound", DELTA, transient(400, "SyncStateNotFound")).later(),
        row("steady state", DELTA, error(400, "Request_BadRequest", "Sync must reach steady state within 30 days", Retry::Missing)).later(),
        row("a change lost", DELTA, Action::Omit).later().takes(Takes::Resync),
    ]
}

fn options(number: usize) -> TenantOptions {
    TenantOptions {
        groups: Some(30),
        delta_page: 12,
        list_page: Some(12),
        sign_ins: 80,
        directory_audits: 40,
        log_days: 2,
        late_share: 0.0,
        amended_share: 0.0,
        ..TenantOptions::new(&format!("m{number}"), number as u64 + 1, 30)
    }
}

fn met_by(row: &Row) -> impl Iterator<Item = &'static (&'static str, Kind, &'static str)> {
    REPRESENTATIVES.iter().filter(|(_, kind, _)| row.kinds.contains(kind))
}

/// Puts the fault before each of the representatives.
fn install(row: &Row, tenant: &Tenant) {
    for (_, _, path) in met_by(row) {
        let fault = Fault::new(path, row.action.clone()).times(row.times);
        let fault = if row.further { Fault { matching: format!("{} skiptoken", path.trim_end_matches('?')), ..fault } } else { fault };
        // Of what has several pages the second is hit, so that one has been stored by then.
        let later_page = row.times > 0 && !row.further && !row.later && !one_page(path);
        tenant.fault(fault.after(u64::from(later_page)));
    }
}

/// What comes in one answer has no second request to be hit.
fn one_page(path: &str) -> bool {
    matches!(path, "subscribedSkus") || path.contains("roleAssignments")
}

/// Resource -> what the run said of it; the exit code is checked against it.
fn sync(world: &World, tenant: &Tenant, command: &str) -> BTreeMap<String, (String, String)> {
    let ended = world.run(&["--json", command, "--tenant", tenant.name()]);
    let reports: Vec<Value> = serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {}", ended.said()));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let told = |r: &Value| (text(&r["outcome"]), format!("{} {}", text(&r["message"]), text(&r["hint"])));
    reports.iter().map(|r| (text(&r["resource"]), told(r))).collect()
}

/// What differs between file and truth, if anything.
fn difference(world: &World, tenant: &Tenant) -> Option<String> {
    let file = world.file_of(tenant.name());
    let compared = catch_unwind(AssertUnwindSafe(|| {
        assert_equal(&file, &tenant.ground_truth(), Default::default());
        assert_same(&open(&file), tenant, "sign_ins", "signIns", INTERACTIVE);
        assert_same(&open(&file), tenant, "directory_audits", "directoryAudits", &[]);
    }));
    compared.err().map(|why| why.downcast_ref::<String>().cloned().unwrap_or_else(|| "differs".into()))
}

/// What it took, by kind; an error says what is wrong.
fn meet(world: &World, tenant: &Tenant, row: &Row) -> Result<Vec<(Kind, String)>, String> {
    if row.later {
        sync(world, tenant, "sync");
        tenant.live(15);
    }
    install(row, tenant);
    let reports = sync(world, tenant, "sync");
    let hits = tenant.fault_hits();
    tenant.clear_faults();
    let (mut took, mut differs) = (Takes::AtOnce, difference(world, tenant));
    let refused = |kind: Kind| {
        let of_kind = REPRESENTATIVES.iter().filter(move |(_, of, _)| *of == kind);
        of_kind.filter_map(|(resource, _, _)| reports.get(*resource)).find(|(outcome, _)| outcome != "done").cloned()
    };
    let refusals: Vec<_> = ALL.iter().map(|kind| (*kind, refused(*kind))).collect();
    let failed = refusals.iter().any(|(_, refused)| refused.is_some());
    for (takes, command) in [(Takes::NextRun, "sync"), (Takes::Resync, "resync")] {
        if differs.is_some() || (failed && takes == Takes::NextRun) {
            let reports = sync(world, tenant, command);
            if let Some((resource, (outcome, why))) = reports.iter().find(|(_, (outcome, _))| outcome != "done") {
                return Err(format!("{command} without the fault: {resource} {outcome}: {why}"));
            }
            (took, differs) = (takes, difference(world, tenant));
        }
    }
    if let Some(differs) = differs {
        return Err(format!("differs from ground truth for good: {differs}"));
    }
    for (kind, refused) in &refusals {
        match refused {
            Some((outcome, why)) if row.says.is_empty() || !why.contains(row.says) => {
                return Err(format!("{kind:?} {outcome}: {why}"));
            }
            _ => {}
        }
    }
    if !row.says.is_empty() && !failed {
        return Err(format!("not refused, though it should say {:?}", row.says));
    }
    if took > row.takes {
        return Err(format!("took {took:?}, more than {:?}", row.takes));
    }
    // A fault that hit nothing proves nothing.
    let mut hit = BTreeMap::new();
    for ((resource, kind, path), (_, times)) in met_by(row).zip(&hits) {
        let (struck, of) = hit.entry(format!("{kind:?}")).or_insert((0, 0));
        *of += 1;
        *struck += u32::from(*times > 0);
        if *times == 0 && !(row.further && one_page(path)) {
            return Err(format!("{resource} was not hit: {hits:?}"));
        }
        let linkless = one_page(path) && matches!(row.action, Action::ForeignLink { .. });
        if *times > 0 && !linkless && !row.says.is_empty() && reports.get(*resource).is_none_or(|(outcome, _)| outcome == "done") {
            return Err(format!("{resource} was hit and not refused"));
        }
    }
    let cell = |kind: Kind, refused: &Option<(String, String)>| match (row.kinds.contains(&kind), refused) {
        (false, _) => "-".to_owned(),
        (true, Some((outcome, _))) => format!("refused ({outcome}), next run"),
        (true, None) => match took {
            Takes::AtOnce => "at once",
            Takes::NextRun if failed => "at once",
            Takes::NextRun => "next run",
            Takes::Resync => "resync",
        }
        .to_owned(),
    };
    let counted = |kind: &Kind| hit.get(&format!("{kind:?}")).map(|(struck, of)| format!(" {struck}/{of}")).unwrap_or_default();
    Ok(refusals.iter().map(|(kind, refused)| (*kind, cell(*kind, refused) + &counted(kind))).collect())
}

#[test]
fn every_fault_by_every_kind_of_resource() {
    let rows = rows();
    let world = World::new((0..rows.len()).map(options).collect());
    let began = Instant::now();
    let (next, results) = (Mutex::new(0..rows.len()), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some(number) = next.lock().expect("the numbers").next() else { return };
                    let met = Instant::now();
                    let result = catch_unwind(AssertUnwindSafe(|| meet(&world, &world.tenants[number], &rows[number])));
                    let result = result.unwrap_or_else(|_| Err("it panicked".into()));
                    results.lock().expect("the results").insert(number, (result, met.elapsed()));
                }
            });
        }
    });
    let results = results.into_inner().expect("the results");
    let mut wrong = Vec::new();
    let mut table = format!("{:<30} {:<30} {:<30} {:<30} seconds\n", "fault", "delta", "listing", "log");
    for (number, (result, took)) in &results {
        let name = rows[*number].name;
        let cells = match result {
            Ok(cells) => cells.iter().map(|(_, text)| format!("{text:<30} ")).collect::<String>(),
            Err(why) => {
                wrong.push(format!("{name}: {why}"));
                format!("WRONG: {why} ")
            }
        };
        table.push_str(&format!("{name:<30} {cells}{:.1}\n", took.as_secs_f64()));
    }
    println!("{table}{} faults in {:.1} s", rows.len(), began.elapsed().as_secs_f64());
    assert!(wrong.is_empty(), "{table}\n{}", wrong.join("\n"));
}

/// Time in delta: changes that are told late, an older value after a newer one, tokens that live longer than promised, or no longer.
#[test]
fn delta_lags_goes_back_and_forgets() {
    let day = Duration::from_secs(24 * 3600);
    let world = World::one(TenantOptions { delta_lag: day / 24, delta_token_life: 14 * day, ..TenantOptions::new("contoso", 50, 30) });
    let tenant = world.tenant();
    world.sync(&[]);
    world.assert_equal();
    let user = tenant.ids(entra_mirror::simulator::Kind::User)[3].clone();
    let name = || {
        let sql = format!("SELECT display_name FROM users WHERE id = '{user}'");
        open(&world.file()).query_row(&sql, [], |row| row.get::<_, String>(0)).expect("the row")
    };
    let before = name();
    tenant.update(&user, json!({"displayName": "New Name"}));
    world.sync(&[]);
    assert_eq!(name(), before, "delta does not tell it yet");
    tenant.advance(day / 12);
    world.sync(&[]);
    world.assert_equal();
    assert_eq!(name(), "New Name");
    let older = json!({"id": user, "displayName": before});
    tenant.fault(Fault::new("users/delta", Action::Insert { objects: vec![older], last: true }).times(1));
    world.sync(&[]);
    assert_eq!(name(), before, "what Graph says last counts");
    world.ok(&["resync", "--resource", "users"]);
    world.assert_equal();
    let mode = || world.sync(&["--resource", "users"])[0]["mode"].clone();
    tenant.advance(10 * day);
    assert_eq!(mode(), "incremental", "no validity is inferred from age");
    tenant.advance(15 * day);
    assert_eq!(mode(), "full");
    world.assert_equal();
}
