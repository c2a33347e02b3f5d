//! Everything fails now and then: what is to be mirrored is mirrored, and a command ends well. With figures of what waiting costs.

use std::time::{Duration, Instant};

use entra_mirror::simulator::{Action, Fault, Quirks, Retry, Scenario, TenantOptions};

use crate::events::{INTERACTIVE, assert_same};
use crate::support::World;
use crate::truth::{Without, assert_equal, open};

#[test]
fn fifteen_in_a_hundred_requests_fail_and_everything_is_mirrored() {
    let seeds = [1, 2, 3];
    let options = |seed: u64| TenantOptions {
        delta_page: 10,
        list_page: Some(20),
        sign_ins: 100,
        directory_audits: 40,
        log_days: 2,
        late_share: 0.0,
        amended_share: 0.0,
        ..TenantOptions::new(&format!("seed{seed}"), seed, 30)
    };
    let world = World::new(seeds.map(options).to_vec());
    std::thread::scope(|scope| {
        for tenant in &world.tenants {
            let world = &world;
            scope.spawn(move || {
                for fault in Scenario::named("flaky").expect("a scenario").faults {
                    tenant.fault(fault);
                }
                let began = Instant::now();
                world.ok(&["sync", "--tenant", tenant.name()]);
                tenant.live(20);
                world.ok(&["sync", "--tenant", tenant.name()]);
                let requests = tenant.requests();
                // What was struck: broken and truncated answers stand as 200 among the requests.
                let failed: u64 = tenant.fault_hits().iter().map(|(_, hits)| hits).sum();
                println!("{}: {} requests, {failed} struck, {:.1} s", tenant.name(), requests.len(), began.elapsed().as_secs_f64());
                assert!(failed > 5, "{failed} of {}", requests.len());
                let file = world.file_of(tenant.name());
                // Licences in detail are swept every few hours, which a few seconds are not.
                assert_equal(&file, &tenant.ground_truth(), Without { licence_states: true, ..Without::default() });
                assert_same(&open(&file), tenant, "sign_ins", "signIns", INTERACTIVE);
                assert_same(&open(&file), tenant, "directory_audits", "directoryAudits", &[]);
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
