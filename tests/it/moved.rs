//! A daemon whose time a test moves (`src/daemon/pace.rs`), and the simulated tenants' time with it.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::Duration;

use entra_mirror::config::parse_cron;
use entra_mirror::daemon::next_after;
use entra_mirror::simulator::Tenant;
use jiff::Timestamp;

use crate::support::{Running, World};

/// The next Monday, midnight UTC.
pub fn monday(after: Timestamp) -> Timestamp {
    next_after(&parse_cron("0 0 0 * * MON").expect("a schedule"), after).expect("a Monday")
}

/// Moves a tenant's time forward to this one.
pub fn move_to(tenant: &Tenant, at: Timestamp) {
    tenant.advance(Duration::try_from(at.duration_since(tenant.now())).unwrap_or_default());
}

/// Runs the daemon from `start` to `end`. `started` is told its process id. Before each leap, when nothing goes on and all tenants are at the new
/// time, `leap` is told it; so are they at the end. Returns the number of leaps; the daemon has ended well then.
pub fn run(world: &World, start: Timestamp, end: Timestamp, started: impl FnOnce(u32), mut leap: impl FnMut(Timestamp)) -> u64 {
    let mut command = world.command(&["run"]);
    command.env("ENTRA_MIRROR_TEST_CLOCK", start.to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = Running { child: command.spawn().expect("the binary starts") };
    started(running.child.id());
    let mut answers = running.child.stdin.take().expect("piped");
    let questions = BufReader::new(running.child.stdout.take().expect("piped"));
    let mut leaps = 0;
    for question in questions.lines() {
        let to: Timestamp = question.expect("a line").parse().expect("a time");
        if to > end {
            break;
        }
        for tenant in &world.tenants {
            assert!(to >= tenant.now(), "time goes forward");
            move_to(tenant, to);
        }
        leap(to);
        leaps += 1;
        writeln!(answers, "{to}").expect("an answer");
    }
    world.tenants.iter().for_each(|tenant| move_to(tenant, end));
    running.signal(libc::SIGTERM);
    assert_eq!(running.wait(), 0);
    leaps
}
