//! Files of every released schema are brought forward with their rows, and end like a new one; `config.toml.example` is a configuration.

use std::path::{Path, PathBuf};

use entra_mirror::mirror::{Access, Mirror, MirrorError, SCHEMA_VERSION, open_reader};
use entra_mirror::resources;
use rusqlite::Connection;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The migrations as files, in their order.
fn steps() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(root().join("schema"))
        .expect("schema/")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.ends_with(".sql") && n.as_bytes()[0].is_ascii_digit()))
        .collect();
    files.sort();
    files
}

/// A file as the version `version` left it, with some rows in it.
fn file_of_version(folder: &Path, version: usize) -> PathBuf {
    let file = folder.join(format!("v{version}.db"));
    let connection = Connection::open(&file).expect("open");
    connection.pragma_update(None, "journal_mode", "WAL").expect("WAL");
    for step in &steps()[..version] {
        connection.execute_batch(&std::fs::read_to_string(step).expect("SQL")).expect("a migration");
    }
    connection
        .execute_batch(&format!(
            "CREATE VIEW of_an_old_version AS SELECT id FROM users;
             INSERT INTO users (id, display_name, first_seen_at, last_changed_at) VALUES ('u', 'Ünal', '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z');
             INSERT INTO objects (id, type, round) VALUES ('u', 'user', 1), ('g', 'group', 1);
             INSERT INTO groups (id, first_seen_at, last_changed_at) VALUES ('g', '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z');
             INSERT INTO group_member_links SELECT g.oid, u.oid, 1 FROM objects AS g, objects AS u WHERE g.id = 'g' AND u.id = 'u';
             INSERT INTO changes (resource, object_id, kind, observed_at) VALUES ('users', 'u', 'created', '2026-01-01T00:00:00.000Z');
             INSERT INTO checkpoints (resource, delta_link, phase, round, attempts, state, failures) VALUES ('users', 'link', 'idle', 1, 0, 'ok', 0);
             PRAGMA application_id = {}; PRAGMA user_version = {version};",
            0x454d_4952
        ))
        .expect("rows");
    file
}

fn schema(file: &Path) -> Vec<(String, String)> {
    let connection = Connection::open(file).expect("open");
    connection
        .prepare("SELECT type || ' ' || name, coalesce(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY 1")
        .and_then(|mut s| s.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .expect("schema")
}

#[test]
fn every_released_version_is_brought_forward_with_its_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    let fresh = folder.path().join("fresh.db");
    drop(Mirror::open(&fresh, &Access::default(), resources::tables()).expect("a new file"));
    assert_eq!(steps().len() as i64, SCHEMA_VERSION, "a file in schema/ for each step");
    for version in 1..=steps().len() {
        let file = file_of_version(folder.path(), version);
        if (version as i64) < SCHEMA_VERSION {
            assert!(matches!(open_reader(&file), Err(MirrorError::NotOurs { .. })), "a reader says what to do first");
            drop(Mirror::open(&file, &Access::default(), resources::tables()).expect("brought forward"));
            assert_eq!(schema(&file), schema(&fresh), "version {version}");
        }
        let connection = Connection::open(&file).expect("open");
        let one = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).expect(sql);
        assert_eq!(one("SELECT count(*) FROM users WHERE display_name = 'Ünal'"), 1);
        assert_eq!(one("SELECT count(*) FROM changes"), 1);
        assert_eq!(one("SELECT count(*) FROM checkpoints WHERE delta_link = 'link'"), 1);
        assert_eq!(one("PRAGMA user_version"), (version as i64).max(one("PRAGMA user_version")));
    }
}

#[test]
fn a_newer_file_and_a_foreign_file_are_refused_untouched() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("t.db");
    drop(Mirror::open(&file, &Access::default(), resources::tables()).expect("a new file"));
    let connection = Connection::open(&file).expect("open");
    connection.pragma_update(None, "user_version", SCHEMA_VERSION + 1).expect("version");
    drop(connection);
    let before = std::fs::read(&file).expect("bytes");
    let error = Mirror::open(&file, &Access::default(), resources::tables()).expect_err("newer");
    assert!(matches!(error, MirrorError::Newer { .. }) && error.hint().is_some_and(|hint| hint.contains("untouched")), "{error}");
    assert_eq!(std::fs::read(&file).expect("bytes"), before);
}

#[test]
fn the_example_is_a_configuration_and_names_every_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("client-secret");
    std::fs::write(&secret, "secret").expect("secret");
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("mode");
    let example = std::fs::read_to_string(root().join("config.toml.example")).expect("config.toml.example");
    let line = |line: &str| match line.trim_start().starts_with("client_secret_file") {
        true => format!("client_secret_file = {secret:?}"),
        false => line.to_owned(),
    };
    let text: Vec<String> = example.lines().map(line).collect();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, text.join("\n")).expect("config");
    let config = entra_mirror::config::load(Some(&file)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.tenants.len(), 1);
    // The keys are the fields of the structs that read them.
    let raw = std::fs::read_to_string(root().join("src/config/raw.rs")).expect("raw.rs");
    for field in raw.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(':')).map(|(name, _)| name) {
        if !field.contains(' ') {
            assert!(example.contains(field), "config.toml.example does not name {field}");
        }
    }
}
