//! What a running daemon lets people and programs see: its socket, its metrics, `status`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use entra_mirror::simulator::{Action, Fault, Retry, TenantOptions};
use serde_json::Value;

use crate::support::{World, wait_for};
use crate::truth::{number, open};

/// A port that was free a moment ago.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// Head and body of the answer; `None` while nobody answers.
fn ask(mut stream: impl Read + Write, what: &str) -> Option<(String, String)> {
    write!(stream, "GET {what} HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split_once("\r\n\r\n").map(|(head, body)| (head.to_lowercase(), body.to_owned()))
}

fn get(port: u16, what: &str) -> Option<(String, String)> {
    let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    ask(stream, what)
}

fn metrics(port: u16) -> String {
    let (head, body) = get(port, "/metrics").expect("an answer");
    assert!(head.contains(" 200 ") && head.contains("application/openmetrics-text; version=1.0.0; charset=utf-8"), "{head}");
    assert!(body.ends_with("# EOF\n"), "{body}");
    body
}

/// The value of a sample with these labels, in any order.
fn sample(text: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let (metric, value) = line.rsplit_once(' ')?;
        let (found, written) = metric.split_once('{').unwrap_or((metric, ""));
        let has = |(key, value): &(&str, &str)| written.contains(&format!("{key}=\"{value}\""));
        if found == name && labels.iter().all(has) { value.parse().ok() } else { None }
    })
}

/// Whatever its exit code: a file that is being made, or whose maker was killed, is reported as such beside the daemon.
fn status(world: &World) -> Value {
    serde_json::from_str(&world.run(&["--json", "status"]).stdout).expect("status")
}

/// Users are synced at the start and not again: figures stand still.
fn config(world: &World, port: u16) {
    world.write_config(&format!("[metrics]\nlisten = \"127.0.0.1:{port}\"\n[schedule]\nusers = \"0 0 0 1 1 *\"\n"));
}

#[test]
fn a_paused_lane_is_seen_with_its_reason() {
    let world = World::one(TenantOptions { delta_page: 25, ..TenantOptions::new("contoso", 70, 100) });
    let refuse = |seconds: &str| Action::Error {
        status: 429,
        code: "TooManyRequests".into(),
        message: "by fault".into(),
        retry_after: Retry::Seconds(seconds.into()),
    };
    world.tenant().fault(Fault::new("users/delta", refuse("30")));
    config(&world, free_port());
    assert_eq!(status(&world)[0]["daemon"], Value::Null);
    assert!(world.ok(&["status"]).stdout.contains("No daemon answers"));
    let mut daemon = world.spawn(&["run"]);
    let mut seen = Value::Null;
    wait_for("the lane is paused", || {
        seen = status(&world)[0]["daemon"].take();
        seen["lanes"].as_array().into_iter().flatten().any(|lane| lane["paused_for_seconds"].as_f64() > Some(0.0))
    });
    assert_eq!(seen["pid"], daemon.child.id());
    assert_eq!(seen["version"], env!("CARGO_PKG_VERSION"));
    let lanes = seen["lanes"].as_array().expect("lanes");
    let lane = lanes.iter().find(|lane| lane["workload"] == "directory" && lane["tenant"] == "contoso").expect("the directory's lane");
    assert_eq!(lane["reason"], "Graph answered 429 and asked for 30 s");
    assert!((0.0..=30.0).contains(&lane["paused_for_seconds"].as_f64().expect("seconds")), "{lane}");
    assert!(lane["counts"]["throttled"].as_u64() >= Some(1), "{lane}");
    let users = seen["runs"].as_array().expect("runs").iter().find(|run| run["resource"] == "users").expect("the run of users");
    assert_eq!((&users["pages"], &users["mode"]), (&Value::from(0), &Value::from("incremental")));
    let words = world.ok(&["status"]).stdout;
    assert!(words.contains("waiting, paused ") && words.contains("(Graph answered 429 and asked for 30 s), "), "{words}");
    assert!(words.contains(&format!("The daemon (process {}, version ", daemon.child.id())), "{words}");
    daemon.signal(libc::SIGTERM);
    daemon.wait();
}

#[test]
fn metrics_say_what_was_done() {
    let world = World::one(TenantOptions { delta_page: 25, ..TenantOptions::new("contoso", 71, 120) });
    let port = free_port();
    config(&world, port);
    let mut daemon = world.spawn(&["run"]);
    let users = [("tenant", "contoso"), ("resource", "users")];
    let runs = |text: &str| {
        let of = |outcome| sample(text, "entra_mirror_runs_total", &[users[0], users[1], ("outcome", outcome)]);
        of("done").unwrap_or(0.0)
    };
    wait_for("the port answers", || get(port, "/healthz").is_some());
    let (head, _) = get(port, "/healthz").expect("an answer");
    assert!(head.contains(" 200 "), "{head}");
    wait_for("users are synced", || runs(&metrics(port)) >= 1.0);
    // What is known of files is up to 15 s old.
    let mut text = String::new();
    wait_for("the file's facts are in", || {
        text = metrics(port);
        let logs = [users[0], ("resource", "sign_ins")];
        sample(&text, "entra_mirror_last_success_timestamp_seconds", &users).is_some()
            && sample(&text, "entra_mirror_late_events_total", &logs).is_some()
    });
    let value = |name: &str, labels: &[(&str, &str)]| sample(&text, name, labels).unwrap_or_else(|| panic!("{name} {labels:?}\n{text}"));
    let ledger = |column: &str| {
        let sql = format!("SELECT sum({column}) FROM sync_runs WHERE resource = 'users' AND ended_at IS NOT NULL");
        number(&open(&world.file()), &sql) as f64
    };
    for (name, column) in [("pages", "pages"), ("rows", "rows"), ("writes", "writes"), ("changes", "changes")] {
        assert_eq!(value(&format!("entra_mirror_{name}_total"), &users), ledger(column), "{name}");
    }
    assert!(value("entra_mirror_rows_total", &users) >= 120.0);
    let now = jiff::Timestamp::now().as_second() as f64;
    assert!((now - value("entra_mirror_last_success_timestamp_seconds", &users)).abs() < 120.0);
    for name in ["entra_mirror_lag_seconds", "entra_mirror_delta_token_age_seconds"] {
        assert!((0.0..120.0).contains(&value(name, &users)), "{name}");
    }
    let lane = [("tenant", "contoso"), ("workload", "directory")];
    assert!(value("entra_mirror_requests_total", &[lane[0], lane[1], ("status", "2xx")]) >= ledger("requests"));
    assert_eq!(value("entra_mirror_throttled_total", &lane), 0.0);
    assert_eq!(value("entra_mirror_requests_total", &[lane[0], lane[1], ("status", "throttled")]), 0.0);
    assert_eq!(value("entra_mirror_budget_limit", &lane), 1e6);
    assert!(value("entra_mirror_resource_units_total", &lane) > 0.0);
    for name in ["retries_total", "request_wait_seconds_total", "budget_used", "budget_allowed", "paused_seconds", "requests_in_flight"] {
        value(&format!("entra_mirror_{name}"), &lane);
    }
    value("entra_mirror_requests_waiting", &[lane[0], lane[1], ("priority", "backfill")]);
    value("entra_mirror_app_budget_limit", &[("workload", "directory")]);
    assert_eq!(value("entra_mirror_breaker_state", &[("origin", &world.simulator.origin()), ("state", "closed")]), 1.0);
    value("entra_mirror_late_events_total", &[("tenant", "contoso"), ("resource", "sign_ins")]);
    assert!(value("entra_mirror_file_bytes", &lane[..1]) > 0.0);
    value("entra_mirror_wal_bytes", &lane[..1]);
    assert!(value("process_resident_memory_bytes", &[]) > 1e6);
    // Not there for whoever comes by TCP; and what is written has no secret.
    assert!(get(port, "/status").expect("an answer").0.contains(" 404 "));
    let socket = world.dir.path().join("data/.locks/daemon.sock");
    let (_, told) = ask(UnixStream::connect(&socket).expect("the socket"), "/status").expect("an answer");
    let tenant = world.tenant();
    for text in [&text, &told] {
        for word in [tenant.client_secret().as_str(), "token=", "deltatoken", "skiptoken", "Bearer", "eyJ", "?$select"] {
            assert!(!text.contains(word), "{word} in {text}");
        }
    }
    daemon.signal(libc::SIGTERM);
    assert_eq!(daemon.wait(), 0);
    assert!(!socket.exists(), "the socket goes with the daemon");
}

#[test]
fn the_socket_is_the_owners_and_a_second_daemon_is_refused() {
    let world = World::one(TenantOptions::new("contoso", 72, 10));
    config(&world, free_port());
    let socket = world.dir.path().join("data/.locks/daemon.sock");
    let mut daemon = world.spawn(&["run"]);
    let answers = || UnixStream::connect(&socket).ok().and_then(|stream| ask(stream, "/status"));
    wait_for("the socket answers", || answers().is_some());
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&socket), 0o600);
    assert_eq!(mode(socket.parent().expect("a folder")), 0o700);
    let second = world.run(&["run"]);
    assert_eq!(second.code, 1);
    assert!(second.stderr.contains("another daemon"), "{}", second.stderr);
    assert!(answers().is_some(), "the first one's socket stays");
    // Killed, it leaves its socket behind; the next one takes its place.
    daemon.kill();
    assert!(socket.exists());
    assert_eq!(status(&world)[0]["daemon"], Value::Null);
    let next = world.spawn(&["run"]);
    wait_for("the next one answers", || answers().is_some());
    // What accepts and never answers is waited for a second, not for ever.
    drop(next);
    std::fs::remove_file(&socket).expect("removed");
    let mute = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    assert_eq!(status(&world)[0]["daemon"], Value::Null);
    drop(mute);
    std::fs::remove_file(&socket).expect("removed");
    std::fs::write(&socket, "no socket").expect("a file");
    let refused = world.run(&["run"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("is no socket"), "{}", refused.stderr);
    assert_eq!(std::fs::read_to_string(&socket).expect("the file"), "no socket");
}

#[test]
fn ports_beyond_this_machine_must_be_asked_for_and_one_in_use_is_named() {
    let world = World::one(TenantOptions::new("contoso", 73, 10));
    world.write_config("[metrics]\nlisten = \"0.0.0.0:9477\"\n");
    let refused = world.run(&["status"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("metrics.listen: 0.0.0.0:9477 is reachable from other machines"), "{}", refused.stderr);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    config(&world, taken.local_addr().expect("a port").port());
    let refused = world.run(&["run"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("metrics.listen: cannot listen on 127.0.0.1:"), "{}", refused.stderr);
}
