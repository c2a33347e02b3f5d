//! Stores a page in a mirror of its own, twice as a full round and once as an incremental one: only the first time is there something to write.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use entra_mirror::mirror::{Access, Applied, Checkpoint, Ending, EventPage, Item, LogProgress, Mirror, Page, Phase};
use entra_mirror::resources::{self, Resource, Source, decode, decode_event};
use rusqlite::Connection;
use tempfile::TempDir;

const NOW: &str = "2026-11-24T08:00:00.000Z";

/// Extra properties that the mirror is told to keep.
pub fn extra() -> [String; 1] {
    ["extension_1".to_owned()]
}

thread_local! {
    /// A folder with a file that is migrated already: copying it is cheaper than migrating.
    static FOLDER: OnceCell<TempDir> = const { OnceCell::new() };
}

/// A mirror without rows, for this input alone.
fn with_mirror(body: impl FnOnce(&Mirror, &Path)) {
    FOLDER.with(|cell| {
        let folder = cell.get_or_init(|| {
            let memory = Path::new("/dev/shm");
            let folder = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.expect("a folder");
            drop(Mirror::open(&folder.path().join("empty.db"), &Access::default(), resources::tables()).expect("a mirror"));
            folder
        });
        let file = folder.path().join("input.db");
        for ending in ["db", "db-wal", "db-shm"] {
            let _ = std::fs::remove_file(file.with_extension(ending));
        }
        std::fs::copy(folder.path().join("empty.db"), &file).expect("a copy");
        let mirror = Mirror::open(&file, &Access::default(), resources::tables()).expect("a mirror");
        body(&mirror, &file);
    });
}

/// What a page holds for a resource.
struct Decoded<'j> {
    items: Vec<Item<'j>>,
    unread: Vec<String>,
    /// No two objects have one key, and the page does not say two things of one link or of one object's type: a page that contradicts
    /// itself is news each time, to and fro.
    distinct: bool,
}

fn agree(items: &[Item<'_>]) -> bool {
    let (mut types, mut ends) = (BTreeMap::new(), BTreeMap::new());
    items.iter().flat_map(|item| item.links.iter().map(move |link| (item, link))).all(|(item, link)| {
        let kind = link.kind.is_empty() || *types.entry(&link.id).or_insert(&link.kind) == &link.kind;
        kind && *ends.entry((&item.id, link.table, &link.id)).or_insert(link.removed) == link.removed
    })
}

fn decoded<'j>(resource: &Resource, texts: &[&'j str]) -> Decoded<'j> {
    let (mut items, mut unread) = (Vec::new(), Vec::new());
    for json in texts {
        match decode(resource, &extra(), json) {
            Ok(item) => items.push(item),
            Err(error) => unread.push(error.id),
        }
    }
    let ids: BTreeSet<&str> = items.iter().map(|item| &*item.id).chain(unread.iter().map(String::as_str)).collect();
    let distinct = ids.len() == items.len() + unread.len() && agree(&items);
    Decoded { distinct, items, unread }
}

/// Stores the page again and again.
pub fn twice(resource: &'static Resource, texts: &[&str]) {
    if matches!(resource.definition.source, Source::Log(_)) {
        return events_twice(resource, texts);
    }
    let Decoded { items, unread, distinct } = decoded(resource, texts);
    if items.is_empty() {
        return;
    }
    let stored = items.iter().filter(|item| item.removed.is_none()).count() as i64;
    with_mirror(|mirror, file| {
        if let Some(parent) = resource.definition.rows_of.and_then(resources::find) {
            round(mirror, parent, texts, true);
        }
        let first = round(mirror, resource, texts, true);
        assert_eq!(first.rows, items.len() as u64);
        if distinct && resource.definition.rows_of.is_none() {
            let sql = format!("SELECT count(*) FROM {}", resource.name());
            let rows: i64 = Connection::open(file).and_then(|c| c.query_row(&sql, [], |row| row.get(0))).expect("a count");
            assert_eq!(
                rows,
                stored,
                "rows of {} after a page of {} objects, {} of them unread",
                resource.name(),
                texts.len(),
                unread.len()
            );
        }
        for full in [true, false] {
            let again = round(mirror, resource, texts, full);
            assert_eq!((again.swept, again.held), (0, None), "what just came is swept");
            if distinct {
                assert_eq!((again.writes, again.changes), (0, 0), "the same page again is news (full: {full})");
            }
        }
    });
}

/// One round that is this page.
fn round(mirror: &Mirror, resource: &'static Resource, texts: &[&str], full: bool) -> Applied {
    let Decoded { items, unread, .. } = decoded(resource, texts);
    let before = mirror.checkpoint(resource.name()).expect("a checkpoint");
    let number = before.round + i64::from(full);
    let running = Checkpoint { round: number, phase: if full { Phase::Full } else { Phase::Incremental }, ..before };
    let done = Checkpoint { phase: Phase::Idle, baseline_at: Some(NOW.into()), ..running.clone() };
    if full {
        mirror.begin_round(resource.name(), &running).expect("a round");
    }
    let unread: Vec<&str> = unread.iter().map(String::as_str).collect();
    let ending = Some(Ending { done: &done, held: &done, rules: None });
    let page = Page {
        resource: resource.name(),
        table: resource.table,
        round: number,
        full,
        beside_since: None,
        items,
        unread: &unread,
        next: &running,
        ending,
        now: NOW,
    };
    mirror.apply(page).expect("stored")
}

fn events_twice(resource: &'static Resource, texts: &[&str]) {
    let items: Vec<Item<'static>> = texts.iter().filter_map(|json| Some(decode_event(resource, json).ok()?.item)).collect();
    if items.is_empty() {
        return;
    }
    let ids: BTreeSet<String> = items.iter().map(|item| item.id.to_string()).collect();
    let distinct = ids.len() == items.len();
    let progress = LogProgress { recent_from: NOW.into(), watermark: NOW.into(), swept_at: NOW.into(), ..LogProgress::default() };
    with_mirror(|mirror, file| {
        for again in [false, true] {
            let applied = mirror.apply_events(EventPage {
                resource: resource.name(),
                table: resource.table,
                items: items.clone(),
                progress: &progress,
                late_before: again.then_some(NOW),
                at: NOW.parse().expect("a time"),
                now: NOW,
            });
            let applied = applied.expect("stored");
            if again && distinct {
                assert_eq!(applied.writes, 0, "the same events again are news");
                assert_eq!(applied.late.total(), 0, "what stands is told as late");
            }
        }
        let sql = format!("SELECT count(*) FROM {}", resource.name());
        let rows: i64 = Connection::open(file).and_then(|c| c.query_row(&sql, [], |row| row.get(0))).expect("a count");
        assert_eq!(rows, ids.len() as i64);
    });
}
