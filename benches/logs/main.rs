//! What a log costs the file: rows a second for new events, for an overlap that is read again (no writes), and for pruning while a reader
//! holds a long query and a sync of the directory goes on. `cargo bench --bench logs`; `-- 200000` for another number of events.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use entra_mirror::mirror::{Access, Checkpoint, EventPage, LogProgress, Mirror, Page, file_mark};
use entra_mirror::resources::{self, Resource, decode, decode_event};
use jiff::Timestamp;

const NOW: &str = "2026-11-24T08:00:00.000Z";
const PAGE: usize = 1000;
/// Share of the events that is left after pruning.
const KEPT: usize = 10;

fn main() {
    let count = std::env::args().skip(1).find_map(|a| a.parse().ok()).unwrap_or(1_000_000);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bench.db");
    let mirror = Mirror::open(&file, &Access::default(), resources::tables()).expect("a mirror");
    let sign_ins = resources::find("sign_ins").expect("sign_ins");

    let (seconds, _) = read(&mirror, sign_ins, 0..count);
    line("insert", count, seconds, &file);
    let overlap = count.min(100_000);
    let (seconds, writes) = read(&mirror, sign_ins, count - overlap..count);
    line("read again, no writes", overlap, seconds, &file);
    assert_eq!(writes, 0);
    prune(&mirror, sign_ins, &file, count);
}

fn line(what: &str, rows: usize, seconds: f64, file: &Path) {
    let mark = file_mark(file);
    let mib = |bytes: u64| bytes as f64 / 1_048_576.0;
    println!(
        "{what:<44} {rows:>9} rows {seconds:>8.2} s {:>10.0} rows/s  file {:>7.1} MiB  WAL {:>6.1} MiB",
        rows as f64 / seconds,
        mib(mark.file_bytes),
        mib(mark.wal_bytes)
    );
}

/// An event like Graph's: about two kilobytes.
fn event(n: usize) -> String {
    let at = Timestamp::from_second(1_760_000_000 + n as i64 * 2).expect("a time");
    let code = if n.is_multiple_of(17) { 50126 } else { 0 };
    format!(
        "{{\"id\":\"{n:08x}-1234-4321-aaaa-{n:012x}\",\"createdDateTime\":\"{}.1234567Z\",\"userDisplayName\":\"Person {u}\",\
         \"userPrincipalName\":\"person{u}@contoso.example\",\"userId\":\"{u:08x}-0000-4000-8000-000000000000\",\
         \"appId\":\"{a:08x}-3bb0-49c1-b47d-974e53cbdf3c\",\"appDisplayName\":\"Application {a}\",\"ipAddress\":\"198.51.{}.{}\",\
         \"clientAppUsed\":\"Browser\",\"correlationId\":\"{n:08x}-0000-4817-85d8-44be2f5f5483\",\"conditionalAccessStatus\":\"notApplied\",\
         \"isInteractive\":true,\"riskDetail\":\"none\",\"riskLevelAggregated\":\"none\",\"riskLevelDuringSignIn\":\"none\",\"riskState\":\"none\",\
         \"riskEventTypes\":[],\"riskEventTypes_v2\":[],\"resourceDisplayName\":\"Microsoft Graph\",\"resourceId\":\"00000003-0000-0000-c000-000000000000\",\
         \"status\":{{\"errorCode\":{code},\"failureReason\":\"Other.\",\"additionalDetails\":null}},\
         \"deviceDetail\":{{\"deviceId\":\"\",\"displayName\":null,\"operatingSystem\":\"Windows 11\",\"browser\":\"Edge 130.0\",\"isCompliant\":true,\"isManaged\":true,\"trustType\":\"Azure AD joined\"}},\
         \"location\":{{\"city\":\"Seattle\",\"state\":\"Washington\",\"countryOrRegion\":\"US\",\"geoCoordinates\":{{\"altitude\":null,\"latitude\":47.6,\"longitude\":-122.3}}}},\
         \"appliedConditionalAccessPolicies\":[{{\"id\":\"de7e60eb-ed89-4d73-8205-2227def6b7c9\",\"displayName\":\"Require MFA for administrators\",\"enforcedGrantControls\":[],\"enforcedSessionControls\":[],\"result\":\"notEnabled\"}}]}}",
        at.strftime("%Y-%m-%dT%H:%M:%S"),
        n / 250 % 250,
        n % 250,
        u = n * 7919 % 20_000,
        a = n % 40,
    )
}

/// Decodes and stores a range of events page by page; seconds, and rows written. Making the text is not counted.
fn read(mirror: &Mirror, resource: &'static Resource, range: std::ops::Range<usize>) -> (f64, u64) {
    let progress = LogProgress { stream: "interactiveUser".into(), ..LogProgress::default() };
    let (mut seconds, mut writes) = (0.0, 0);
    let all: Vec<usize> = range.collect();
    for page in all.chunks(PAGE) {
        let texts: Vec<String> = page.iter().map(|n| event(*n)).collect();
        let began = Instant::now();
        let items = texts.iter().map(|text| decode_event(resource, text).expect("an event").item).collect();
        let page = EventPage {
            resource: resource.name(),
            table: resource.table,
            items,
            progress: &progress,
            late_before: None,
            at: Timestamp::UNIX_EPOCH,
            now: NOW,
        };
        writes += mirror.apply_events(page).expect("stored").writes;
        seconds += began.elapsed().as_secs_f64();
    }
    (seconds, writes)
}

fn prune(mirror: &Mirror, sign_ins: &'static Resource, file: &Path, count: usize) {
    let stop = AtomicBool::new(false);
    let (pages, longest) = (AtomicU64::new(0), AtomicU64::new(0));
    let reader = rusqlite::Connection::open(file).expect("open");
    reader.execute_batch("BEGIN").expect("a snapshot");
    let before: i64 = reader.query_row("SELECT count(*) FROM sign_ins", [], |row| row.get(0)).expect("count");
    std::thread::scope(|scope| {
        // A sync of the directory beside it: pages of people, each of which must get the writer soon.
        scope.spawn(|| {
            let users = resources::find("users").expect("users");
            let mut round = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                let texts: Vec<String> =
                    (0..200).map(|n| format!("{{\"id\":\"{n:08}-0000-4000-8000-000000000000\",\"jobTitle\":\"Title {round}\"}}")).collect();
                let items = texts.iter().map(|text| decode(users, &[], text).expect("a user")).collect();
                let next = Checkpoint { round: 1, ..Checkpoint::default() };
                let began = Instant::now();
                let page = Page {
                    resource: "users",
                    table: users.table,
                    round: 1,
                    full: false,
                    beside_since: None,
                    items,
                    unread: &[],
                    next: &next,
                    ending: None,
                    now: NOW,
                };
                mirror.apply(page).expect("no lock error");
                longest.fetch_max(began.elapsed().as_micros() as u64, Ordering::Relaxed);
                pages.fetch_add(1, Ordering::Relaxed);
                round += 1;
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let cut = Timestamp::from_second(1_760_000_000 + (count - count / KEPT) as i64 * 2).expect("a time");
        let cut = cut.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string();
        let began = Instant::now();
        let mut removed = 0;
        loop {
            let portion = mirror.prune(sign_ins.table, &cut, 2000).expect("no lock error");
            removed += portion;
            if portion < 2000 {
                break;
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        line("prune, with a reader and a sync", removed as usize, seconds, file);
    });
    println!(
        "  beside it {} pages of people were stored, the slowest in {:.1} ms; the reader still counts {} of {before}",
        pages.load(Ordering::Relaxed),
        longest.load(Ordering::Relaxed) as f64 / 1000.0,
        reader.query_row("SELECT count(*) FROM sign_ins", [], |row| row.get::<_, i64>(0)).expect("count"),
    );
    reader.execute_batch("COMMIT").expect("the end of the snapshot");
    let (seconds, _) = read(mirror, sign_ins, count..count + count / KEPT);
    line("insert into the space that became free", count / KEPT, seconds, file);
}
