//! The file of a tenant is removed, replaced or read for long while a daemon writes it: told, never mixed up, and right in the end.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use entra_mirror::simulator::{Kind, Quirks, TenantOptions};
use rusqlite::Connection;

use crate::support::{Running, World, wait_for};
use crate::truth::{number, open};

fn world(seed: u64) -> World {
    let options = TenantOptions { quirks: Quirks::none(), delta_page: 20, ..TenantOptions::new("contoso", seed, 600) };
    let world = World::one(options);
    // Each second, so that the next round is near.
    let schedule: String =
        entra_mirror::resources::all().iter().map(|resource| format!("{} = \"* * * * * *\"\n", resource.name())).collect();
    world.write_config(&format!("[schedule]\n{schedule}"));
    world
}

/// A daemon whose log is kept.
fn daemon(world: &World) -> Running {
    let log = fs::OpenOptions::new().create(true).append(true).open(world.dir.path().join("log")).expect("a log");
    let child = world.command(&["run"]).stdout(Stdio::null()).stderr(log).spawn().expect("the daemon starts");
    Running { child }
}

fn log(world: &World) -> String {
    fs::read_to_string(world.dir.path().join("log")).unwrap_or_default()
}

/// A number from a file that may be away or half made.
fn look(file: &Path, sql: &str) -> Option<i64> {
    let connection = Connection::open_with_flags(file, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    connection.query_row(sql, [], |row| row.get(0)).ok()
}

fn all_ok(world: &World) -> bool {
    look(&world.file(), "SELECT count(*) FROM checkpoints WHERE state = 'ok'") == Some(20)
}

/// Users are stored, and more are to come.
fn amid_a_round(world: &World) {
    wait_for("a round is in progress", || look(&world.file(), "SELECT count(*) FROM users").is_some_and(|n| (20..500).contains(&n)));
}

fn stops_and_is_right(world: &World, daemon: &mut Running) {
    world.tenant().set_latency(Duration::ZERO);
    let people = world.tenant().ids(Kind::User).len() as i64;
    wait_for("the daemon converges", || all_ok(world) && look(&world.file(), "SELECT count(*) FROM users") == Some(people));
    daemon.signal(libc::SIGTERM);
    assert_eq!(daemon.wait(), 0, "{}", log(world));
    let said = log(world);
    assert!(!said.contains("panicked") && !said.contains("malformed"), "{said}");
    world.sync(&[]);
    world.assert_equal();
    let integrity: String = open(&world.file()).query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a check");
    assert_eq!(integrity, "ok");
}

#[test]
fn a_file_that_is_removed_amid_a_round_is_made_anew() {
    for beside in [false, true] {
        let world = world(400);
        world.tenant().set_latency(Duration::from_millis(30));
        let mut daemon = daemon(&world);
        amid_a_round(&world);
        fs::remove_file(world.file()).expect("removed");
        if beside {
            for ending in ["-wal", "-shm"] {
                let _ = fs::remove_file(format!("{}{ending}", world.file().display()));
            }
        }
        wait_for("it is told", || log(&world).contains("contoso.db was removed while it was in use"));
        assert!(log(&world).contains("makes the file anew from Graph"), "{}", log(&world));
        stops_and_is_right(&world, &mut daemon);
        assert!(log(&world).contains("was removed or replaced since the last run"), "{}", log(&world));
    }
}

#[test]
fn a_file_that_is_removed_between_rounds_is_made_anew() {
    let world = world(401);
    let mut daemon = daemon(&world);
    wait_for("the daemon mirrors", || all_ok(&world));
    fs::remove_file(world.file()).expect("removed");
    wait_for("it is told", || log(&world).contains("removed"));
    stops_and_is_right(&world, &mut daemon);
}

#[test]
fn a_copy_that_takes_the_files_place_is_gone_on_with() {
    let world = world(402);
    world.sync(&[]);
    let copy = world.dir.path().join("copy");
    fs::copy(world.file(), &copy).expect("a copy");
    world.tenant().live(200);
    let mut daemon = daemon(&world);
    wait_for("the daemon mirrors", || all_ok(&world) && log(&world).contains("synced"));
    world.tenant().live(50);
    fs::rename(&copy, world.file()).expect("replaced");
    wait_for("it is told", || log(&world).contains("replaced"));
    stops_and_is_right(&world, &mut daemon);
}

#[test]
fn an_empty_file_is_filled_and_a_foreign_one_is_left_alone() {
    let world = world(403);
    world.tenant().set_latency(Duration::from_millis(30));
    let mut daemon = daemon(&world);
    amid_a_round(&world);
    let other = world.dir.path().join("other");
    fs::write(&other, "").expect("an empty file");
    fs::rename(&other, world.file()).expect("replaced");
    wait_for("it is told", || log(&world).contains("contoso.db was replaced by another file while it was in use"));
    amid_a_round(&world);

    Connection::open(&other).and_then(|c| c.execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)")).expect("a database");
    let theirs = fs::read(&other).expect("its bytes");
    fs::rename(&other, world.file()).expect("replaced");
    wait_for("it is told", || log(&world).contains("contoso.db is not an entra-mirror file: it is an SQLite database of another program"));
    assert!(log(&world).contains("the file was left untouched"), "{}", log(&world));
    assert_eq!(fs::read(world.file()).expect("its bytes"), theirs);
    fs::remove_file(world.file()).expect("moved away");
    stops_and_is_right(&world, &mut daemon);
}

#[test]
fn a_killed_daemon_leaves_no_lock() {
    let world = world(404);
    world.tenant().set_latency(Duration::from_millis(30));
    let mut first = daemon(&world);
    amid_a_round(&world);
    first.kill();
    let mut second = daemon(&world);
    stops_and_is_right(&world, &mut second);
    assert!(!log(&world).contains("another daemon"), "{}", log(&world));
}

#[test]
fn a_reader_that_holds_a_snapshot_holds_the_log_no_longer_than_that() {
    let world = World::one(TenantOptions { quirks: Quirks::none(), ..TenantOptions::new("contoso", 405, 300) });
    world.sync(&[]);
    let wal = || fs::metadata(format!("{}-wal", world.file().display())).map_or(0, |found| found.len());
    let reader = open(&world.file());
    reader.execute_batch("BEGIN").expect("a snapshot");
    let before = number(&reader, "SELECT count(*) FROM changes");
    let mut largest = 0;
    for _ in 0..12 {
        world.tenant().live(60);
        world.sync(&[]);
        assert!(wal() >= largest, "what a reader may need is kept");
        largest = wal();
    }
    assert_eq!(number(&reader, "SELECT count(*) FROM changes"), before, "the snapshot stands");
    assert!(largest > 100_000, "{largest} bytes");
    assert!(!world.ok(&["status"]).stdout.contains("a reader has kept"), "too small to be told");
    // As large as after a long time: a hole that costs nothing.
    let file = fs::OpenOptions::new().write(true).open(format!("{}-wal", world.file().display())).expect("the log");
    file.set_len(300 << 20).expect("a large log");
    let said = world.ok(&["status"]).stdout;
    assert!(said.contains("the WAL has 300 MiB: a reader has kept a transaction open"), "{said}");
    file.set_len(largest).expect("as it was");
    drop(reader);
    world.tenant().live(10);
    world.sync(&[]);
    assert!(wal() < largest, "{} bytes are left of {largest}", wal());
    world.assert_equal();
}
