//! `schema/README.md` is made from the comments of the schema itself, so that it cannot lie.
//! `UPDATE_SCHEMA_README=1 cargo test --test schema_readme` writes it anew.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// One table or view, as its SQL tells it.
struct Thing {
    name: String,
    /// The comment above it.
    about: String,
    /// Column, type (empty for views), comment.
    columns: Vec<(String, String, String)>,
    key: Option<String>,
    view: bool,
}

fn schema() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schema")
}

/// Migrations in their order, then the views.
fn sources() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(schema())
        .expect("schema/")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "sql"))
        .collect();
    files.sort();
    files
}

fn read(text: &str) -> Vec<Thing> {
    let mut things: Vec<Thing> = Vec::new();
    let (mut about, mut open) = (String::new(), None::<Thing>);
    for line in text.lines() {
        let trimmed = line.trim();
        match open.as_mut() {
            Some(thing) => {
                if trimmed.starts_with(')') {
                    things.extend(open.take());
                } else if let Some(key) = trimmed.strip_prefix("PRIMARY KEY (") {
                    thing.key = Some(key.trim_end_matches([',', ')']).to_owned());
                } else {
                    let (definition, comment) = trimmed.split_once("--").unwrap_or((trimmed, ""));
                    let mut words = definition.trim().trim_end_matches(',').splitn(2, ' ');
                    let name = words.next().unwrap_or_default().to_owned();
                    let rest = words.next().unwrap_or_default();
                    if rest.contains("PRIMARY KEY") {
                        thing.key = Some(name.clone());
                    }
                    let kind = rest.split(' ').next().unwrap_or_default().to_owned();
                    thing.columns.push((name, kind, comment.trim().to_owned()));
                }
            }
            None if trimmed.starts_with("--") => {
                about.push_str(trimmed.trim_start_matches('-').trim());
                about.push(' ');
            }
            None if trimmed.starts_with("CREATE TABLE ") || trimmed.starts_with("CREATE VIEW ") => {
                let mut words = trimmed.split(' ');
                let view = words.nth(1) == Some("VIEW");
                let name = words.next().unwrap_or_default().to_owned();
                open = Some(Thing { name, about: std::mem::take(&mut about).trim().to_owned(), columns: Vec::new(), key: None, view });
            }
            None => about.clear(),
        }
    }
    things
}

fn render(things: &[Thing]) -> String {
    let mut out = String::from(
        "# The mirror's file, table by table\n\n\
         Made from the comments in `schema/*.sql` by `UPDATE_SCHEMA_README=1 cargo test --test schema_readme`. Do not edit.\n\n\
         One SQLite file is one tenant. Any SQLite from 3.38 on reads it; open it read-only and query it while the mirror writes.\n\
         A column is Graph's property in snake_case, a table the plural of Graph's type. Ids are TEXT as Graph gives them, booleans INTEGER 0 or 1,\n\
         times TEXT in UTC, always `YYYY-MM-DDTHH:MM:SS.sssZ`, so that they sort as text. Collections and complex values are JSON text; an unset\n\
         collection is NULL. Tables hold live rows only: what was removed stands in `deleted_objects` with its last row.\n\n",
    );
    let internal = |thing: &&Thing| thing.about.starts_with("Internal");
    let sections: [(&str, Vec<&Thing>); 3] = [
        ("Tables", things.iter().filter(|t| !t.view && !internal(t)).collect()),
        ("Views", things.iter().filter(|t| t.view).collect()),
        ("Internal tables, not for applications", things.iter().filter(|t| !t.view && internal(t)).collect()),
    ];
    for (title, things) in &sections {
        writeln!(out, "- {title}: {}", things.iter().map(|t| format!("[{0}](#{0})", t.name)).collect::<Vec<_>>().join(", ")).expect("text");
    }
    for (title, things) in &sections {
        write!(out, "\n## {title}\n").expect("text");
        for thing in things {
            write!(out, "\n### {}\n\n{}\n", thing.name, thing.about).expect("text");
            if let Some(key) = &thing.key {
                write!(out, "\nPrimary key: `{key}`.\n").expect("text");
            }
            let typed = !thing.view;
            out.push_str(if typed { "\n| column | type | meaning |\n|---|---|---|\n" } else { "\n| column | meaning |\n|---|---|\n" });
            for (name, kind, comment) in &thing.columns {
                let comment = comment.replace('|', "\\|");
                match typed {
                    true => writeln!(out, "| `{name}` | {kind} | {comment} |").expect("text"),
                    false => writeln!(out, "| `{name}` | {comment} |").expect("text"),
                }
            }
        }
    }
    out
}

fn things() -> Vec<Thing> {
    sources().iter().flat_map(|file| read(&std::fs::read_to_string(file).expect("SQL"))).collect()
}

#[test]
fn the_readme_says_what_the_schema_says() {
    let expected = render(&things());
    let file = schema().join("README.md");
    if std::env::var_os("UPDATE_SCHEMA_README").is_some() {
        std::fs::write(&file, &expected).expect("schema/README.md");
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(found == expected, "schema/README.md is not current: UPDATE_SCHEMA_README=1 cargo test --test schema_readme");
}

#[test]
fn every_table_view_and_column_is_explained_and_exists() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("t.db");
    drop(entra_mirror::mirror::Mirror::open(&file, &Default::default(), entra_mirror::resources::tables()).expect("a mirror"));
    let connection = rusqlite::Connection::open(&file).expect("open");
    let things = things();
    for thing in &things {
        assert!(thing.about.ends_with('.') && thing.about.len() > 20, "{} needs a sentence: {:?}", thing.name, thing.about);
        for (column, _, comment) in &thing.columns {
            assert!(!comment.is_empty(), "{}.{column} needs a comment", thing.name);
        }
        let columns: Vec<String> = connection
            .prepare("SELECT name FROM pragma_table_info(?1)")
            .and_then(|mut s| s.query_map([&thing.name], |row| row.get(0))?.collect())
            .expect("columns");
        let told: Vec<&str> = thing.columns.iter().map(|(name, _, _)| name.as_str()).collect();
        assert_eq!(columns, told, "{}", thing.name);
    }
    let all: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'", [], |row| row.get(0))
        .expect("count");
    let virtual_ones: i64 = connection
        .query_row("SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND type IN ('virtual', 'shadow')", [], |row| row.get(0))
        .expect("count");
    assert_eq!(all - virtual_ones, things.len() as i64);
}
