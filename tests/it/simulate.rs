//! `simulate`, as an application developer uses it: started alone, with faults, and mirrored by what it wrote.

use std::io::Read;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Ended, Running, binary};
use crate::truth::{number, open};

/// Starts it on a free port; what it says of itself.
fn start(folder: &Path, more: &[&str]) -> (Running, Value) {
    let mut command = binary();
    command.args(["--json", "simulate", "--listen", "127.0.0.1:0", "--people", "30", "--write-config"]).arg(folder).args(more);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the binary starts");
    let mut out = child.stdout.take().expect("its output");
    let (mut said, mut byte) = (Vec::new(), [0]);
    let described = loop {
        assert_eq!(out.read(&mut byte).expect("output"), 1, "it ended: {}", String::from_utf8_lossy(&said));
        said.push(byte[0]);
        if let Ok(described) = serde_json::from_slice(&said) {
            break described;
        }
    };
    (Running { child }, described)
}

fn sync(folder: &Path) -> Ended {
    let ended = Ended::of(binary().arg("--config").arg(folder.join("config.toml")).arg("sync").output().expect("the binary runs"));
    assert_eq!(ended.code, 0, "{}", ended.said());
    ended
}

#[test]
fn a_flaky_simulator_is_mirrored_by_what_it_wrote() {
    let dir = tempfile::tempdir().expect("a folder");
    let (_running, described) = start(dir.path(), &["--faults", "flaky"]);
    assert!(described["origin"].as_str().is_some_and(|origin| origin.starts_with("http://127.0.0.1:")), "{described}");
    sync(dir.path());
    assert!(number(&open(&dir.path().join("data/contoso.db")), "SELECT count(*) FROM users") >= 25);
}

#[test]
fn faults_from_a_file_and_real_budgets() {
    let dir = tempfile::tempdir().expect("a folder");
    let faults = dir.path().join("faults.json");
    let write = |text: &str| std::fs::write(&faults, text).expect("faults");
    write(r#"[{"matching": "users/delta", "times": 2, "action": {"error": {"status": 503, "retry_after": {"seconds": "0.05"}}}}]"#);
    let path = faults.to_str().expect("a path");
    let (_running, _) = start(dir.path(), &["--faults", path, "--throttle"]);
    let config = std::fs::read_to_string(dir.path().join("config.toml")).expect("config");
    assert!(!config.contains("[budgets]"), "who is throttled keeps to the published budgets: {config}");
    sync(dir.path());
    let wrong =
        |faults: &str| Ended::of(binary().args(["simulate", "--listen", "127.0.0.1:0", "--faults", faults]).output().expect("runs"));
    write(r#"[{"matching": "users", "action": "explode"}]"#);
    let (unreadable, unknown) = (wrong(path), wrong("flakey"));
    assert!(unreadable.code == 2 && unreadable.stderr.contains("explode"), "{}", unreadable.said());
    assert!(unknown.code == 2 && unknown.stderr.contains("flaky, outage"), "{}", unknown.said());
}
