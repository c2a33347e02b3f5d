//! Faults of this machine while syncing once: disk, locks, rights, descriptors, output. Each is told with what to do, never a panic, and
//! the next sync equals ground truth.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use entra_mirror::simulator::{Quirks, TenantOptions};
use rusqlite::Connection;

use crate::child::{self, SmallDisk};
use crate::support::{Ended, World, set_mode};
use crate::truth::{number, open};

fn world(name: &str, seed: u64, people: usize) -> World {
    let world = World::one(TenantOptions { quirks: Quirks::none(), ..TenantOptions::new(name, seed, people) });
    world.write_config("[sync]\nbusy_timeout_secs = 1\ngive_up_after_secs = 2\n");
    world
}

fn end(command: &mut Command) -> Ended {
    Ended::of(command.output().expect("the binary runs"))
}

/// It failed, and said all of this.
fn failed(what: &str, ended: &Ended, said: &[&str]) {
    assert_eq!(ended.code, 1, "{what}: {}", ended.said());
    for words in said {
        assert!(ended.said().contains(words), "{what}: {words:?} is not in\n{}", ended.said());
    }
}

/// The next sync, with nothing in its way, is right.
fn recovers(world: &World) {
    world.sync(&[]);
    world.assert_equal();
    let integrity: String = open(&world.file()).query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a check");
    assert_eq!(integrity, "ok");
}

#[test]
fn a_limit_of_the_files_size_is_told() {
    // From too small for an empty file to large enough for half a tenant.
    for (at, kib) in [64, 256, 700, 1500].into_iter().enumerate() {
        let world = world("contoso", 300 + at as u64, 1500);
        let mut command = world.command(&["sync"]);
        child::limit(&mut command, libc::RLIMIT_FSIZE, kib * 1024);
        failed(
            "file size",
            &end(&mut command),
            &["contoso.db", &format!("larger than {} bytes", kib * 1024), "LimitFSIZE", "next run goes on"],
        );
        recovers(&world);
    }
}

#[test]
fn a_full_disk_is_told() {
    for (at, kib) in [40, 600, 1500].into_iter().enumerate() {
        let world = world("contoso", 310 + at as u64, 1500);
        let disk = match SmallDisk::mount(&world.dir.path().join("data"), kib) {
            Ok(disk) => disk,
            Err(why) => return eprintln!("SKIPPED a_full_disk_is_told: no disk of its own may be mounted here: {why}"),
        };
        failed("full disk", &world.run(&["sync"]), &["contoso.db", "the disk is full: free space"]);
        // And once more without anything having changed.
        failed("full disk", &world.run(&["sync"]), &["the disk is full: free space"]);
        disk.resize(64 * 1024);
        recovers(&world);
    }
}

#[test]
fn a_write_lock_of_another_program_is_told() {
    let world = world("contoso", 320, 200);
    world.sync(&[]);
    world.tenant().live(40);
    let other = Connection::open(world.file()).expect("the file");
    other.execute_batch("BEGIN IMMEDIATE").expect("a write lock");
    failed(
        "locked",
        &world.run(&["sync"]),
        &["contoso.db: database is locked", "another program holds a write lock on the file: end its transaction"],
    );
    other.execute_batch("ROLLBACK").expect("its end");
    recovers(&world);
}

#[test]
fn lost_permissions_are_told() {
    let world = world("contoso", 330, 100);
    let sync = || {
        let mut command = world.command(&["sync"]);
        child::unprivileged(&mut command, world.dir.path());
        end(&mut command)
    };
    assert_eq!(sync().code, 0);
    let data = world.dir.path().join("data");
    let table: [(&str, &std::path::Path, u32, u32, &[&str]); 4] = [
        ("file unreadable", &world.file(), 0o000, 0o600, &["contoso.db", "check owner, mode and mount"]),
        ("file read-only", &world.file(), 0o400, 0o600, &["contoso.db", "check owner, mode and mount"]),
        ("folder closed", &data, 0o000, 0o700, &["Permission denied", "data_dir must exist, be writable"]),
        ("folder read-only", &data, 0o500, 0o700, &["contoso.db", "check owner, mode and mount"]),
    ];
    for (what, path, bad, good, said) in table {
        world.tenant().live(20);
        // The comparison's reader leaves them; with them there a folder need not be writable.
        for ending in ["-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{ending}", world.file().display()));
        }
        set_mode(path, bad);
        let ended = sync();
        set_mode(path, good);
        failed(what, &ended, said);
        let again = sync();
        assert_eq!(again.code, 0, "{what}: {}", again.said());
        world.assert_equal();
    }
}

#[test]
fn a_read_only_mount_is_told() {
    let world = world("contoso", 340, 100);
    world.sync(&[]);
    world.tenant().live(20);
    let mut command = world.command(&["sync"]);
    child::read_only(&mut command, &world.dir.path().join("data"));
    match command.output() {
        Ok(output) => failed("read-only mount", &Ended::of(output), &["Read-only file system", "data_dir"]),
        Err(why) => eprintln!("SKIPPED a_read_only_mount_is_told: nothing may be mounted here: {why}"),
    }
    recovers(&world);
}

#[test]
fn too_few_descriptors_are_told() {
    let world = world("contoso", 350, 100);
    world.write_config("[sync]\ngive_up_after_secs = 1\n");
    let run = |limit| {
        let mut command = world.command(&["sync"]);
        child::limit(&mut command, libc::RLIMIT_NOFILE, limit);
        end(&mut command)
    };
    for limit in [8, 12, 20, 63] {
        failed("too few to start", &run(limit), &[&format!("may open only {limit} files, and needs 64"), "LimitNOFILE", "ulimit -n"]);
    }
    assert!(!world.file().exists());
    assert_eq!(run(64).code, 0, "what is said to be enough is enough");
    recovers(&world);
}

#[test]
fn descriptors_that_run_out_on_the_way_are_told() {
    // More tenants than descriptors for them.
    let options = |n: u64| TenantOptions { groups: Some(3), ..TenantOptions::new(&format!("t{n:02}"), 360, 20) };
    let world = World::new((0..30).map(options).collect());
    for tenant in &world.tenants {
        tenant.set_latency(Duration::from_millis(300));
    }
    world.write_config("[sync]\ntenants_at_once = 40\nresources_at_once = 10\ngive_up_after_secs = 1\n");
    let mut command = world.command(&["sync", "--no-backfill"]);
    child::limit(&mut command, libc::RLIMIT_NOFILE, 100);
    failed("descriptors", &end(&mut command), &["LimitNOFILE", "ulimit -n"]);
    for tenant in &world.tenants {
        tenant.set_latency(Duration::ZERO);
    }
    world.sync(&[]);
    world.assert_equal();
}

#[test]
fn nobody_who_reads_is_no_reason_to_panic() {
    let world = world("contoso", 370, 100);
    let full = || Stdio::from(fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full"));
    let closed = || {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        Stdio::from(writer)
    };
    // A clock that is off makes a warning on stderr.
    world.tenant().advance(Duration::from_secs(7 * 24 * 3600));
    let run = |arguments: &[&str], out: Option<Stdio>, err: Option<Stdio>| {
        let mut command = world.command(arguments);
        command.stdout(out.unwrap_or_else(Stdio::piped)).stderr(err.unwrap_or_else(Stdio::piped));
        Ended::of(command.spawn().expect("the binary starts").wait_with_output().expect("its end"))
    };
    for arguments in [&["sync"][..], &["--json", "sync"], &["status"], &["-vv", "sync"]] {
        assert_eq!(run(arguments, Some(closed()), None).code, 0, "{arguments:?}: nobody reads");
        assert_eq!(run(arguments, None, Some(closed())).code, 0, "{arguments:?}: nobody reads the log");
        assert_eq!(run(arguments, None, Some(full())).code, 0, "{arguments:?}: the log has no room");
        assert_eq!(run(arguments, Some(closed()), Some(closed())).code, 0, "{arguments:?}: nobody reads anything");
        failed("output", &run(arguments, Some(full()), None), &["No space left on device"]);
        assert_eq!(run(arguments, Some(full()), Some(full())).code, 1, "{arguments:?}: no room for anything");
    }
    recovers(&world);
}

#[test]
fn a_server_whose_clock_is_a_week_ahead_is_followed_and_told_once() {
    let world = world("contoso", 380, 150);
    world.sync(&[]);
    for round in 0..2 {
        world.tenant().live(60);
        // Longer than a delta token lives.
        world.tenant().advance(Duration::from_secs(8 * 24 * 3600));
        world.tenant().live(60);
        let ended = world.ok(&["sync"]);
        assert_eq!(ended.stderr.matches("this machine's clock and Graph's differ").count(), 1, "{round}: {}", ended.stderr);
        world.assert_equal();
    }
    assert!(number(&open(&world.file()), "SELECT count(*) FROM sync_runs WHERE reason = 'expired'") > 0);
}
