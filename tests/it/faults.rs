//! What the service can do to a sync: the file equals ground truth afterwards, or says clearly why not.

use entra_mirror::simulator::{Action, Fault, Kind, Retry, TenantOptions};

use crate::support::{Ended, World, binary, set_mode};
use crate::truth::{number, open};

fn error(status: u16, code: &str, retry_after: Retry) -> Action {
    Action::Error { status, code: code.into(), message: "by fault".into(), retry_after }
}

#[test]
fn transient_faults_are_survived() {
    let world = World::one(TenantOptions { delta_page: 25, ..TenantOptions::new("contoso", 20, 300) });
    let tenant = world.tenant();
    for (number, action) in [
        error(429, "TooManyRequests", Retry::Seconds("0.2".into())),
        error(429, "TooManyRequests", Retry::Missing),
        error(503, "serviceNotAvailable", Retry::Seconds("0".into())),
        error(503, "serviceNotAvailable", Retry::Missing),
        error(500, "Service_InternalServerError", Retry::Missing),
        error(502, "", Retry::Missing),
        error(504, "UnknownError", Retry::Missing),
        Action::Error { status: 400, code: String::new(), message: String::new(), retry_after: Retry::Missing },
        Action::Html { status: 200 },
        Action::Truncate,
        Action::Reset,
    ]
    .into_iter()
    .enumerate()
    {
        tenant.fault(Fault::new("delta", action).after(2 * number as u64 + 1).times(1));
    }
    world.sync(&[]);
    world.assert_equal();
    tenant.clear_faults();
    tenant.live(50);
    world.sync(&[]);
    world.assert_equal();
}

#[test]
fn dead_tokens_lead_to_a_full_round() {
    let world = World::one(TenantOptions { delta_page: 25, ..TenantOptions::new("contoso", 21, 300) });
    let tenant = world.tenant();
    world.sync(&[]);
    for action in [
        Action::Gone { location: true },
        Action::Gone { location: false },
        error(400, "SyncStateNotFound", Retry::Missing),
        error(400, "resyncRequired", Retry::Missing),
    ] {
        tenant.live(30);
        tenant.fault(Fault::new("users/delta?$deltatoken", action.clone()).times(1));
        world.sync(&[]);
        world.assert_equal();
        let connection = open(&world.file());
        let last = "SELECT mode = 'full' AND reason IS 'expired' FROM sync_runs WHERE resource = 'users' ORDER BY id DESC LIMIT 1";
        assert_eq!(number(&connection, last), 1, "{action:?}");
        tenant.clear_faults();
    }
    // A page token that dies midway: the round is started over.
    for action in [error(400, "Directory_ExpiredPageToken", Retry::Missing), error(404, "UnknownError", Retry::Missing)] {
        tenant.live(30);
        tenant.fault(Fault::new("skiptoken", action).after(3).times(1));
        world.ok(&["resync"]);
        tenant.clear_faults();
        world.assert_equal();
    }
}

#[test]
fn a_circle_is_recognised_and_the_old_state_kept() {
    let world = World::one(TenantOptions::new("contoso", 22, 300));
    let tenant = world.tenant();
    world.sync(&[]);
    tenant.live(20);
    tenant.fault(Fault::new("groups/delta", Action::Loop));
    let ended = world.run(&["resync", "--resource", "groups"]);
    assert_eq!(ended.code, 1, "{}", ended.said());
    assert!(ended.stdout.contains("go round in circles"), "{}", ended.stdout);
    tenant.clear_faults();
    let reports = world.sync(&[]);
    assert!(reports.iter().all(|r| r["mode"] != "full" || r["resource"] != "groups"), "the old delta link goes on");
    world.assert_equal();
}

#[test]
fn foreign_links_and_redirects_are_refused_without_a_token() {
    let world = World::one(TenantOptions { delta_page: 25, ..TenantOptions::new("contoso", 23, 200) });
    let other = World::one(TenantOptions::new("evil", 1, 10));
    for action in [
        Action::ForeignLink { origin: other.simulator.origin() },
        Action::Redirect { to: format!("{}/v1.0/users", other.simulator.origin()) },
    ] {
        world.tenant().fault(Fault::new("users/delta", action).times(1));
        let ended = world.run(&["sync", "--resource", "users"]);
        assert_eq!(ended.code, 1);
        assert!(ended.stdout.contains("refused"), "{}", ended.stdout);
        assert!(!ended.said().contains("token="), "{}", ended.said());
        world.tenant().clear_faults();
    }
    assert!(other.tenant().requests().is_empty());
    world.sync(&[]);
    world.assert_equal();
}

#[test]
fn wrong_logins_say_what_to_do() {
    let world = World::one(TenantOptions::new("contoso", 24, 20));
    let refused = |world: &World, says: &[&str]| {
        let ended = world.run(&["sync", "--resource", "users"]);
        assert_eq!(ended.code, 1, "{}", ended.said());
        for text in says {
            assert!(ended.stdout.contains(text), "{text}: {}", ended.stdout);
        }
    };
    let secret = world.dir.path().join("contoso.secret");
    std::fs::write(&secret, "wrong-secret-text").expect("secret");
    refused(&world, &["AADSTS7000215", "Certificates & secrets"]);
    std::fs::write(&secret, "").expect("secret");
    refused(&world, &["is empty", "client_secret_file"]);
    std::fs::write(&secret, world.tenant().client_secret()).expect("secret");
    let config = std::fs::read_to_string(world.config()).expect("config");
    let write = |text: String| std::fs::write(world.config(), text).expect("config");
    write(config.replace(world.tenant().tenant_id(), "72f988bf-86f1-41af-91ab-2d7cd011db47"));
    refused(&world, &["AADSTS90002", "`cloud`"]);
    write(config.replace(world.tenant().client_id(), "11111111-2222-3333-4444-555555555555"));
    refused(&world, &["AADSTS700016", "client_id"]);
    write(config.replace(&world.simulator.origin(), "http://127.0.0.1:9"));
    refused(&world, &["cannot connect", "firewall"]);
    write(config);
    world.sync(&[]);
    world.assert_equal();
}

#[test]
fn an_expired_token_is_renewed_once() {
    let world = World::one(TenantOptions { delta_page: 10, ..TenantOptions::new("contoso", 25, 200) });
    let tenant = world.tenant();
    tenant.fault(Fault::new("users/delta", error(401, "InvalidAuthenticationToken", Retry::Missing)).after(3).times(1));
    world.sync(&[]);
    world.assert_equal();
    tenant.fault(Fault::new("users/delta", error(401, "InvalidAuthenticationToken", Retry::Missing)));
    let ended = world.run(&["sync", "--resource", "users"]);
    assert_eq!(ended.code, 1);
    assert!(ended.stdout.contains("401 InvalidAuthenticationToken") && ended.stdout.contains("clock"), "{}", ended.stdout);
}

#[test]
fn nothing_secret_is_said_at_any_level() {
    let world = World::one(TenantOptions { delta_page: 25, ..TenantOptions::new("contoso", 26, 100) });
    world.tenant().fault(Fault::new("delta", error(503, "serviceNotAvailable", Retry::Missing)).after(3).times(1));
    let output = world.command(&["-vv", "sync"]).env("RUST_LOG", "trace").output().expect("the binary runs");
    let ended = Ended::of(output);
    assert_eq!(ended.code, 0);
    assert!(ended.stderr.len() > 10_000, "a trace log");
    for secret in [world.tenant().client_secret().as_str(), "skiptoken=", "deltatoken=", "Bearer sim", "sim."] {
        let at = ended.said().find(secret).map(|at| ended.said()[at.saturating_sub(200)..at + secret.len()].to_owned());
        assert_eq!(at, None, "{secret}");
    }
}

#[test]
fn files_that_are_not_ours_are_left_alone() {
    let world = World::one(TenantOptions::new("contoso", 27, 20));
    std::fs::create_dir_all(world.dir.path().join("data")).expect("folder");
    let refused = |says: &str| {
        let before = std::fs::read(world.file()).expect("file");
        let ended = world.run(&["sync", "--resource", "users"]);
        assert_eq!(ended.code, 1, "{}", ended.said());
        assert!(ended.stdout.contains(says) && ended.stdout.contains("left untouched"), "{}", ended.stdout);
        assert_eq!(std::fs::read(world.file()).expect("file"), before);
        let status = world.run(&["status"]);
        assert!(status.stdout.contains(says), "{}", status.stdout);
    };
    std::fs::write(world.file(), "this is no database, only text that somebody wrote here".repeat(100)).expect("file");
    refused("not an SQLite database");
    std::fs::remove_file(world.file()).expect("remove");
    let foreign = rusqlite::Connection::open(world.file()).expect("open");
    foreign.execute_batch("CREATE TABLE mine (x)").expect("table");
    drop(foreign);
    refused("another program");
    std::fs::remove_file(world.file()).expect("remove");
    world.sync(&["--resource", "users"]);
    let ours = rusqlite::Connection::open(world.file()).expect("open");
    ours.execute_batch("PRAGMA user_version = 999; PRAGMA wal_checkpoint(TRUNCATE)").expect("version");
    drop(ours);
    refused("newer entra-mirror");
}

#[test]
fn the_file_is_private_and_rows_of_wrong_type_are_skipped_and_told() {
    use std::os::unix::fs::MetadataExt;
    let world = World::one(TenantOptions::new("contoso", 28, 40));
    let tenant = world.tenant();
    world.sync(&[]);
    for ending in ["db", "db-wal", "db-shm"] {
        if let Ok(meta) = std::fs::metadata(world.file().with_extension(ending)) {
            assert_eq!(meta.mode() & 0o777, 0o600, "{ending}");
        }
    }
    assert_eq!(std::fs::metadata(world.dir.path().join("data")).expect("folder").mode() & 0o777, 0o700);
    let user = tenant.ids(Kind::User)[1].clone();
    let connection = open(&world.file());
    let name = |c: &rusqlite::Connection| {
        c.query_row(&format!("SELECT display_name FROM users WHERE id = '{user}'"), [], |r| r.get::<_, String>(0)).expect("the row stands")
    };
    let before = name(&connection);
    tenant.update(&user, serde_json::json!({"displayName": {"not": "text"}}));
    let ended = world.ok(&["resync", "--resource", "users"]);
    assert!(ended.stdout.contains(&format!("skipped: users {user}: displayName")), "{}", ended.stdout);
    assert_eq!(name(&connection), before);
    assert_eq!(number(&connection, "SELECT skipped FROM sync_runs WHERE resource = 'users' ORDER BY id DESC LIMIT 1"), 1);
}

#[test]
fn mistakes_in_the_configuration_are_all_named() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("config.toml");
    let run = |text: &str| {
        std::fs::write(&file, text).expect("config");
        Ended::of(binary().arg("--config").arg(&file).arg("sync").output().expect("the binary runs"))
    };
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "x").expect("secret");
    set_mode(&secret, 0o666);
    let ended = run(r#"
        data_dri = "data"
        [app]
        client_id = "not-a-guid"
        client_secret_file = "secret"
        client_secret = "oops"
        [schedule]
        users = "*/5 * * * *"
        usres = "0 * * * * *"
        [sync]
        sweep_hold_share = 7.0
        [[tenants]]
        name = "Contoso"
        id = "nowhere"
        cloud = "globe"
        graph_url = "http://graph.example"
        resources = ["grops"]
    "#);
    assert_eq!(ended.code, 2);
    for says in ["data_dri", "did you mean data_dir?", "app.client_secret: a secret does not belong in this file"] {
        assert!(ended.stderr.contains(says), "{says}: {}", ended.stderr);
    }
    let ended = run(r#"
        [app]
        client_id = "not-a-guid"
        client_secret_file = "secret"
        [schedule]
        users = "*/5 * * * *"
        usres = "0 * * * * *"
        [sync]
        sweep_hold_share = 7.0
        [[tenants]]
        name = "Contoso"
        id = "nowhere"
        cloud = "globe"
        graph_url = "http://graph.example"
        resources = ["grops"]
    "#);
    assert_eq!(ended.code, 2);
    for says in [
        "data_dir: is missing",
        "app.client_id: \"not-a-guid\" is not a client id",
        "others can write",
        "schedule.users: \"*/5 * * * *\" has five fields; seconds come first here: \"0 */5 * * * *\"",
        "schedule.usres: \"usres\" is no resource; did you mean users?",
        "sync.sweep_hold_share: 7 is not a share",
        "tenants.0.name: \"Contoso\" must be",
        "tenants.0.id: \"nowhere\" is neither",
        "tenants.0.cloud: \"globe\" is no cloud",
        "tenants.0.graph_url: \"http://graph.example\" must be https",
        "tenants.0.resources: \"grops\" is no resource; did you mean groups?",
    ] {
        assert!(ended.stderr.contains(says), "{says}: {}", ended.stderr);
    }
    for (text, says) in [("data_dir = 7", "data_dir"), ("this is not toml", "toml"), ("", "data_dir: is missing")] {
        let ended = run(text);
        assert_eq!(ended.code, 2, "{text}");
        assert!(ended.stderr.to_lowercase().contains(says), "{text}: {}", ended.stderr);
    }
    let missing = Ended::of(binary().args(["--config", "/nowhere/config.toml", "status"]).output().expect("runs"));
    assert!(missing.code == 2 && missing.stderr.contains("/nowhere/config.toml: cannot be read"), "{}", missing.stderr);
}

#[test]
fn unknown_names_on_the_command_line_are_exit_code_2() {
    let world = World::one(TenantOptions::new("contoso", 29, 20));
    for (arguments, says) in [
        (vec!["sync", "--tenant", "contso"], "did you mean contoso?"),
        (vec!["sync", "--resource", "user"], "did you mean users?"),
        (vec!["status", "--tenant", "nobody"], "there are contoso"),
        (vec!["frobnicate"], "unrecognized subcommand"),
    ] {
        let ended = world.run(&arguments);
        assert_eq!(ended.code, 2, "{arguments:?}");
        assert!(ended.stderr.contains(says), "{}", ended.stderr);
    }
    let status: serde_json::Value = serde_json::from_str(&world.ok(&["--json", "status"]).stdout).expect("status before the first sync");
    assert_eq!(status[0]["exists"], false);
    assert_eq!(status[0]["resources"].as_array().expect("resources").len(), 20);
    let help = world.ok(&["--help"]).stdout;
    assert!(help.contains("demo") && help.contains("Exit code"), "{help}");
}
