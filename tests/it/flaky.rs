//! Everything fails now and then: what is to be mirrored is mirrored, and a command ends well. With figures of what waiting costs.

use std::time::{Duration, Instant};

use entra_mirror::simulator::{Action, Fault, Quirks, Retry, Scenario, TenantOptions};

use crate::events::{INTERACTIVE, assert_same};
use crate::support::World;
use crate::truth::{assert_equal, assert_reports, open};

/// What Graph may say once and is asked again for once; a second time in a row it is meant. So each tenant meets one of them, once.
fn only_once(seed: u64) -> Action {
    let said = |status, code: &str| Action::Error { status, code: code.into(), message: String::new(), retry_after: Retry::Missing };
    match seed {
        1 => said(400, ""),
        2 => said(401, "InvalidAuthenticationToken"),
        _ => Action::Challenge { claims: "e30=".into() },
    }
}

#[test]
fn fifteen_in_a_hundred_requests_fail_and_everything_is_mirrored() {
    let seeds = [1, 2, 3];
    let options = |seed: u64| TenantOptions {
        delta_page: 6,
        list_page: Some(10),
        sign_ins: 100,
        directory_audits: 40,
        provisioning_events: 10,
        log_days: 2,
        late_share: 0.0,
        amended_share: 0.0,
        ..TenantOptions::new(&format!("seed{seed}"), seed, 30)
    };
    let world = World::new(seeds.map(options).to_vec());
    // Less than the slow answers take: they end at the client.
    world.write_config("[sync]\nrequest_timeout_secs = 2\n");
    std::thread::scope(|scope| {
        for (tenant, seed) in world.tenants.iter().zip(seeds) {
            let world = &world;
            scope.spawn(move || {
                let transient = Scenario::named("flaky").expect("a scenario").faults;
                let ways = transient.len() + 1;
                tenant.fault(Fault::new("skiptoken", only_once(seed)).after(3).times(1));
                for fault in transient {
                    tenant.fault(fault);
                }
                let began = Instant::now();
                world.ok(&["sync", "--tenant", tenant.name()]);
                for _ in 0..2 {
                    tenant.live(20);
                    world.ok(&["sync", "--tenant", tenant.name()]);
                }
                // What was struck: broken and truncated answers stand as 200 among the requests, hung ones not at all.
                let (answered, hits) = (tenant.requests().len(), tenant.fault_hits());
                let struck: u64 = hits.iter().map(|(_, hits)| hits).sum();
                let kinds = hits.iter().filter(|(_, hits)| *hits > 0).count();
                let seconds = began.elapsed().as_secs_f64();
                println!("{}: {answered} answers, {struck} struck in {kinds} of {ways} ways, {seconds:.1} s", tenant.name());
                assert!(struck > 8 && kinds > 5, "{struck} of {answered}, {hits:?}");
                let (file, truth) = (world.file_of(tenant.name()), tenant.ground_truth());
                assert_equal(&file, &truth, Default::default());
                let connection = open(&file);
                assert_reports(&connection, &truth);
                assert_same(&connection, tenant, "sign_ins", "signIns", INTERACTIVE);
                assert_same(&connection, tenant, "directory_audits", "directoryAudits", &[]);
                assert_same(&connection, tenant, "provisioning_events", "provisioning", &[]);
            });
        }
    });
}

/// Figures, in real time: `cargo test --release --test it flaky -- --ignored --nocapture`.
#[test]
#[ignore = "ten thousand people in a debug build, twice"]
fn forced_waits_cost_what_they_ask_for() {
    let measured = |throttled: bool| {
        let options = TenantOptions {
            groups: Some(1000),
            delta_page: 50,
            quirks: Quirks::none(),
            ..TenantOptions::new(if throttled { "throttled" } else { "undisturbed" }, 7, 10_000)
        };
        let world = World::one(options);
        if throttled {
            let wait = Action::Error {
                status: 429,
                code: "TooManyRequests".into(),
                message: "by fault".into(),
                retry_after: Retry::Seconds("1".into()),
            };
            world.tenant().fault(Fault::new("", wait).after(49).every(50));
        }
        let began = Instant::now();
        world.sync(&[]);
        let took = began.elapsed();
        world.assert_equal();
        let requests = world.tenant().requests();
        let directory = |path: &str| !["auditLogs", "reports", "identity", "roleManagement"].iter().any(|part| path.starts_with(part));
        // Lanes wait beside each other: it is the one with the most waits that counts.
        let refused = requests.iter().filter(|request| request.status == 429 && directory(&request.path)).count();
        println!("{}: {} requests, {refused} refused, {:.1} s", world.tenant().name(), requests.len(), took.as_secs_f64());
        (took, refused)
    };
    let ((undisturbed, _), (took, refused)) = (measured(false), measured(true));
    let bound = (undisturbed + Duration::from_secs(refused as u64)).mul_f64(1.2);
    let (took_seconds, forced) = (took.as_secs_f64(), refused as f64);
    println!(
        "{took_seconds:.1} s: {:.2} times the forced waits of {forced} s, {:.2} times these and the {:.1} s undisturbed",
        took_seconds / forced,
        took_seconds / (forced + undisturbed.as_secs_f64()),
        undisturbed.as_secs_f64()
    );
    assert!(refused > 3 && took <= bound, "{refused} refused, {took:?}, {bound:?}");
}
