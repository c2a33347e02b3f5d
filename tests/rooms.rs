//! The rooms of the program and the arrows between them: a room uses only rooms below it, and what a room must not know it does not name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Every room with the rooms that it may use. A new room gets a line here, with as few arrows as it can live with.
const ROOMS: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("mirror", &["clock"]),
    ("graph", &["clock"]),
    ("simulator", &[]),
    ("resources", &["graph", "mirror"]),
    ("config", &["graph", "resources"]),
    ("sync", &["clock", "config", "graph", "mirror", "resources"]),
    ("daemon", &["clock", "config", "resources", "sync"]),
    ("api", &["clock", "daemon", "graph", "mirror", "resources", "sync"]),
    ("commands", &["api", "clock", "config", "daemon", "graph", "mirror", "resources", "simulator", "sync"]),
];

/// Crates that only some rooms may name.
const CRATES: &[(&str, &[&str])] = &[
    ("rusqlite", &["mirror", "commands", "resources/tests.rs"]),
    ("reqwest", &["graph", "simulator/tests.rs"]),
    ("axum", &["api", "simulator"]),
    ("prometheus_client", &["api"]),
    ("oauth2", &["graph"]),
    ("jsonwebtoken", &["graph", "simulator"]),
    ("x509_parser", &["graph", "simulator"]),
    ("aws_lc_rs", &["graph", "simulator"]),
    ("clap", &["commands"]),
    ("figment", &["config"]),
    ("chrono", &["config", "daemon"]),
    ("croner", &["config", "daemon"]),
    ("indicatif", &["commands"]),
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

/// Code without comments: what a comment names is no arrow.
fn code(file: &Path) -> String {
    let text = std::fs::read_to_string(file).expect("a source file");
    text.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

/// Rooms that a text names as `crate::room`, also within `use crate::{...}`.
fn named(text: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for after in text.split("crate::").skip(1) {
        let list = match after.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default().to_owned(),
            None => after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect(),
        };
        rooms.extend(list.split(',').map(|name| name.trim().split("::").next().unwrap_or_default().to_owned()));
    }
    rooms.retain(|name| ROOMS.iter().any(|(room, _)| room == name));
    rooms
}

#[test]
fn every_room_is_listed_and_its_arrows_point_down() {
    let folders: BTreeSet<String> = std::fs::read_dir(source())
        .expect("src")
        .filter_map(|entry| entry.ok().filter(|e| e.path().is_dir())?.file_name().into_string().ok())
        .collect();
    assert_eq!(folders, ROOMS.iter().map(|(room, _)| (*room).to_owned()).collect());
    let mut wrong = Vec::new();
    for (room, may) in ROOMS {
        for file in files(&source().join(room)) {
            for other in named(&code(&file)) {
                if other != *room && !may.contains(&other.as_str()) {
                    wrong.push(format!("{} uses {other}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_arrow_goes_in_circles() {
    let below = |room: &str| ROOMS.iter().find(|(name, _)| *name == room).map(|(_, may)| *may).expect("a room");
    for (room, _) in ROOMS {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut ahead: Vec<&str> = below(room).to_vec();
        while let Some(next) = ahead.pop() {
            assert_ne!(next, *room, "{room} reaches itself");
            if seen.insert(next) {
                ahead.extend(below(next));
            }
        }
    }
}

#[test]
fn crates_are_named_only_where_they_belong() {
    let mut wrong = Vec::new();
    for file in files(&source()) {
        let place = file.strip_prefix(source()).expect("below src").display().to_string();
        let text = code(&file);
        for (name, homes) in CRATES {
            let uses = [format!("use {name}::"), format!("{name}::")].iter().any(|needle| text.contains(needle.as_str()));
            if uses && !homes.iter().any(|home| place.starts_with(home)) {
                wrong.push(format!("{place} names {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_module_says_what_it_is_for() {
    for file in files(&source()) {
        let text = std::fs::read_to_string(&file).expect("a source file");
        assert!(text.starts_with("//! "), "{} does not begin with a sentence on its job", file.display());
    }
}
