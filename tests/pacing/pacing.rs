//! Against a simulator that throttles as Graph does: how much of a budget is used, and how rarely it is exceeded.

use std::time::{Duration, Instant};

use entra_mirror::graph::{Budgets, Call, Client, Endpoint, Origin, Priority, SecretSource, Settings, TenantClient, Workload};
use entra_mirror::simulator::{Action, Fault, Quirks, Retry, Simulator, Tenant, TenantOptions, Throttle, Wait};

use crate::support::World;

fn endpoint(simulator: &Simulator, tenant: &Tenant) -> Endpoint {
    let origin = Origin::parse(&simulator.origin()).expect("an origin");
    Endpoint {
        name: tenant.name().into(),
        tenant_id: tenant.tenant_id().into(),
        login_url: origin.clone(),
        graph_url: origin,
        client_id: tenant.client_id().into(),
        credential: SecretSource::Value(tenant.client_secret().into()).into(),
    }
}

fn client(budgets: Budgets) -> Client {
    Client::new(Settings { budgets, ..Settings::default() }).expect("a client")
}

/// Asks for this over and over, several at once, until the time is over. How many answers came.
async fn load(client: TenantClient, path: &'static str, workload: Workload, length: Duration) -> usize {
    let (link, until) = (client.link(path).expect("a link"), Instant::now() + length);
    let one = || async {
        let mut answers = 0;
        while Instant::now() < until {
            let call = Call { link: &link, workload, priority: Priority::Backfill, eventual: false, max_attempts: None };
            // The answer may be a refusal of another kind, for which Graph counts the request all the same.
            match tokio::time::timeout(until.saturating_duration_since(Instant::now()), client.page(call)).await {
                Ok(_) => answers += 1,
                Err(_) => break,
            }
        }
        answers
    };
    futures_util::future::join_all((0..4).map(|_| one())).await.into_iter().sum()
}

fn options(name: &str, throttle: Throttle) -> TenantOptions {
    TenantOptions { throttle, ..TenantOptions::new(name, 1, 20) }
}

#[test]
fn a_throttled_tenant_is_mirrored_with_next_to_no_refusal() {
    let throttle = Throttle { directory_units: Some(60.0), role_management: Some(20.0), ..Throttle::published() };
    let options = TenantOptions {
        groups: Some(300),
        huge_group: Some(2_000),
        delta_page: 100,
        quirks: Quirks::none(),
        throttle,
        ..TenantOptions::new("contoso", 11, 2_500)
    };
    let world = World::one(options);
    world.write_config("[budgets]\ndirectory_units_per_10s = 60\n");
    let began = Instant::now();
    world.sync(&[]);
    let stats = world.tenant().throttle_stats();
    println!("{:.1} s, {stats:?}", began.elapsed().as_secs_f64());
    assert!(stats.units["directory"] > 60.0, "more than one window: {stats:?}");
    assert!(stats.rejected <= 2, "{stats:?}");
    world.assert_equal();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reports_lane_uses_nine_tenths_of_its_budget() {
    let simulator = Simulator::start_local().await.expect("a simulator");
    let tenant = simulator.add_tenant(options("contoso", Throttle { scale: 0.1, ..Throttle::published() }));
    // Five in a second.
    let client = client(Budgets { reports_per_10s: 50.0, app_reports_per_10s: 1220.0, ..Budgets::default() });
    let seconds = 6;
    let answers =
        load(client.tenant(endpoint(&simulator, &tenant)), "auditLogs/signIns", Workload::Reports, Duration::from_secs(seconds)).await;
    let stats = tenant.throttle_stats();
    println!("{answers} of {} in {seconds} s, {} refused", seconds * 5, stats.rejected);
    assert!(answers as f64 >= seconds as f64 * 5.0 * 0.9, "{answers}, {stats:?}");
    assert!(stats.rejected <= 1, "{stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_of_one_app_share_its_sign_in_activity() {
    let simulator = Simulator::start_local().await.expect("a simulator");
    let throttle = Throttle { scale: 0.05, ..Throttle::published() };
    let add = |name: &str| {
        simulator.add_tenant(TenantOptions { app: Some("11111111-2222-3333-4444-555555555555".into()), ..options(name, throttle.clone()) })
    };
    let (contoso, fabrikam) = (add("contoso"), add("fabrikam"));
    // Ten in three seconds.
    let client = client(Budgets { sign_in_activity_per_minute: 200.0, ..Budgets::default() });
    let load = |tenant: &Tenant| {
        let path = "users?$select=id,signInActivity";
        load(client.tenant(endpoint(&simulator, tenant)), path, Workload::SignInActivity, Duration::from_secs(6))
    };
    let (a, b) = tokio::join!(load(&contoso), load(&fabrikam));
    let rejected = contoso.throttle_stats().rejected + fabrikam.throttle_stats().rejected;
    println!("{a} and {b} of 20 in 6 s, {rejected} refused");
    assert!(a + b >= 18, "{a} and {b}");
    assert!(a.abs_diff(b) <= 1, "{a} and {b}: in turns");
    assert!(rejected <= 1, "{rejected} refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_load_of_two_tenants_uses_both_their_budgets_without_refusals() {
    let simulator = Simulator::start_local().await.expect("a simulator");
    let throttle = Throttle { scale: 0.2, directory_units: Some(150.0), ..Throttle::published() };
    let (contoso, fabrikam) =
        (simulator.add_tenant(options("contoso", throttle.clone())), simulator.add_tenant(options("fabrikam", throttle)));
    let client = client(Budgets { directory_units_per_10s: Some(150.0), window_scale: 0.2, ..Budgets::default() });
    let load = |tenant: &Tenant| {
        load(client.tenant(endpoint(&simulator, tenant)), "users?$select=id", Workload::Directory, Duration::from_millis(7_900))
    };
    let (a, b) = tokio::join!(load(&contoso), load(&fabrikam));
    let (first, second) = (contoso.throttle_stats(), fabrikam.throttle_stats());
    println!("{a} and {b} of 592 each in 7.9 s, {} and {} refused", first.rejected, second.rejected);
    for (answers, stats) in [(a, first), (b, second)] {
        // As for a backfill.
        assert!(answers as f64 >= 592.0 * 0.6, "{answers}");
        assert!(stats.rejected * 100 < stats.requests, "{stats:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_of_asking_to_wait_ends_well_when_the_budget_is_not_known() {
    let simulator = Simulator::start_local().await.expect("a simulator");
    let client = client(Budgets { directory_units_per_10s: Some(1e6), window_scale: 0.1, ..Budgets::default() });
    let loads = [Wait::Seconds, Wait::Decimal, Wait::Date, Wait::One, Wait::Missing].map(|wait| {
        let throttle = Throttle { scale: 0.1, directory_units: Some(20.0), role_management: Some(20.0), wait, ..Throttle::published() };
        let tenant = simulator.add_tenant(options(&format!("{wait:?}").to_lowercase(), throttle));
        let way = client.tenant(endpoint(&simulator, &tenant));
        async move {
            let directory = load(way.clone(), "users?$select=id", Workload::Directory, Duration::from_secs(8));
            let roles = load(way, "roleManagement/directory/roleDefinitions?$select=id", Workload::RoleManagement, Duration::from_secs(8));
            let (directory, roles) = tokio::join!(directory, roles);
            (wait, directory, roles, tenant.throttle_stats())
        }
    });
    for (wait, directory, roles, stats) in futures_util::future::join_all(loads).await {
        println!("{wait:?}: {directory} and {roles} of 160 each, {} of {} refused", stats.rejected, stats.requests);
        assert!(directory >= 40 && roles >= 40, "{wait:?}: {directory}, {roles}, {stats:?}");
        assert!(stats.rejected * 5 < stats.requests, "{wait:?}: {stats:?}");
    }
}

/// A budget is used to nine tenths by the backfill of a log, by the binary, from the start of the process to its end.
fn backfill(pages: usize, per_10s: f64, name: &str, seed: u64) -> (f64, u64, u64) {
    let throttle = Throttle { reports: per_10s, app_reports: per_10s * 20.0, ..Throttle::published() };
    let options = TenantOptions {
        // Of all types; those of people, which are read, are over half.
        sign_ins: pages * 20,
        log_days: 7,
        late_share: 0.0,
        amended_share: 0.0,
        list_page: Some(10),
        quirks: Quirks::none(),
        throttle,
        ..TenantOptions::new(name, seed, 30)
    };
    let world = World::one(options);
    world.write_config(&format!("[budgets]\nreports_per_10s = {per_10s}\napp_reports_per_10s = {}\n", per_10s * 20.0));
    let began = Instant::now();
    world.sync(&["--resource", "sign_ins"]);
    let took = began.elapsed().as_secs_f64();
    let stats = world.tenant().throttle_stats();
    let asked = stats.units["reports"];
    assert!(asked >= pages as f64, "{asked} requests");
    let share = asked / (took * per_10s / 10.0);
    println!("{asked} requests for the log in {took:.1} s: {:.1} % of the budget, {} refused", share * 100.0, stats.rejected);
    (share, stats.rejected, stats.requests)
}

#[test]
fn a_backfill_of_four_hundred_pages_uses_its_budget_without_refusals() {
    let (share, refused, requests) = backfill(400, 170.0, "backfill", 600);
    // Nine tenths on a machine of its own, see the figures below, and to the letter in the queue's own tests, whose clock knows no load.
    assert!(share >= 0.6, "{share}");
    assert!(refused * 100 < requests, "{refused} of {requests}");
}

/// How much an easy tenant is served while another one is throttled hard, and alone, at the same time on the same machine.
async fn beside_and_alone(simulator: &Simulator, round: usize, length: Duration, scale: f64) -> (usize, usize) {
    let easy = Throttle { scale, directory_units: Some(150.0), ..Throttle::published() };
    let hard = Throttle { scale, directory_units: Some(2.0), wait: Wait::Missing, percentage: false, ..Throttle::published() };
    let app = |n: usize| Some(format!("{n:08}-2222-3333-4444-555555555555"));
    let add = |name: &str, n: usize, throttle: &Throttle| {
        simulator.add_tenant(TenantOptions { app: app(round * 2 + n), ..options(&format!("{name}{round}"), throttle.clone()) })
    };
    let (alone, beside, hard) = (add("alone", 0, &easy), add("beside", 1, &easy), add("hard", 1, &hard));
    let budgets = || Budgets { directory_units_per_10s: Some(150.0), window_scale: scale, ..Budgets::default() };
    let (one, both) = (client(budgets()), client(budgets()));
    let load = |client: &Client, tenant: &Tenant| {
        load(client.tenant(endpoint(simulator, tenant)), "users?$select=id", Workload::Directory, length)
    };
    let (alone_answers, beside_answers, _) = tokio::join!(load(&one, &alone), load(&both, &beside), load(&both, &hard));
    let stats = hard.throttle_stats();
    println!(
        "{beside_answers} answers beside, {alone_answers} alone; of the hard one's {} requests {} were refused",
        stats.requests, stats.rejected
    );
    assert!(stats.rejected >= 3, "it was throttled hard: {stats:?}");
    (beside_answers, alone_answers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_tenant_throttled_hard_slows_the_other_by_less_than_a_tenth() {
    let simulator = Simulator::start_local().await.expect("a simulator");
    let (mut beside, mut alone) = (0, 0);
    for round in 0..3 {
        let (b, a) = beside_and_alone(&simulator, round, Duration::from_millis(3_900), 0.2).await;
        (beside, alone) = (beside + b, alone + a);
    }
    assert!(alone >= 3 * 240, "{alone}: the budget is what limits it");
    assert!(beside * 10 > alone * 9, "{beside} and {alone}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_the_token_endpoint_is_found_and_its_end_too() {
    let simulator = Simulator::start_local().await.expect("a simulator");
    let patient = Client::new(Settings { give_up_after: None, ..Settings::default() }).expect("a client");
    let tenants: Vec<Tenant> = (0..30).map(|n| simulator.add_tenant(TenantOptions::new(&format!("tenant{n}"), 700 + n, 5))).collect();
    for tenant in &tenants {
        let action = Action::Error { status: 503, code: "90033".into(), message: "out".into(), retry_after: Retry::Missing };
        tenant.fault(Fault::new("oauth2/v2.0/token", action));
    }
    let hits = || tenants.iter().flat_map(Tenant::fault_hits).map(|(_, hits)| hits).sum::<u64>();
    let calls: Vec<_> = tenants
        .iter()
        .map(|tenant| {
            let way = patient.tenant(endpoint(&simulator, tenant));
            tokio::spawn(async move {
                let link = way.link("users?$select=id").expect("a link");
                let priority = Priority::Scheduled;
                way.page(Call { link: &link, workload: Workload::Directory, priority, eventual: false, max_attempts: None }).await.is_ok()
            })
        })
        .collect();
    // Without a breaker thirty tenants ask a hundred times in this.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_ne!(patient.breakers()[0].state, "closed");
    assert!((10..=45).contains(&hits()), "{}", hits());
    tenants.iter().for_each(Tenant::clear_faults);
    for call in calls {
        assert!(call.await.expect("a task"));
    }
    assert_eq!(patient.breakers()[0].state, "closed");
}

/// Figures of what is promised, in real time: `cargo test --release --test pacing -- --ignored --nocapture --test-threads 1`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute"]
async fn figures_of_a_directory_load_and_of_a_hard_neighbour() {
    let simulator = Simulator::start_local().await.expect("a simulator");
    let tenant = simulator.add_tenant(options("contoso", Throttle::published()));
    let seconds = 39;
    let load = load(
        client(Budgets::default()).tenant(endpoint(&simulator, &tenant)),
        "users?$select=id",
        Workload::Directory,
        Duration::from_secs(seconds),
    );
    let answers = load.await;
    let stats = tenant.throttle_stats();
    // Four windows of 10 s begin in that time.
    let share = answers as f64 / (4.0 * 3_500.0) * 100.0;
    println!("directory: {answers} of 14,000 units in {seconds} s ({share:.1} %), {} of {} refused", stats.rejected, stats.requests);
    assert!(share >= 90.0 && stats.rejected * 100 < stats.requests, "{stats:?}");
    let (beside, alone) = beside_and_alone(&simulator, 1_000, Duration::from_millis(29_500), 1.0).await;
    assert!(beside * 10 > alone * 9, "{beside} and {alone}");
}

/// The published 5 requests in 10 s.
#[test]
#[ignore = "takes twenty-five minutes"]
fn figures_of_a_backfill_at_the_published_budget() {
    let (share, refused, requests) = backfill(400, 5.0, "published", 610);
    assert!(share >= 0.9 && refused * 100 < requests, "{share}, {refused} of {requests}");
}

/// Figures, in real time: `cargo test --test pacing -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute and a half"]
async fn figures_of_the_published_budgets() {
    let simulator = Simulator::start_local().await.expect("a simulator");
    let tenant = simulator.add_tenant(options("contoso", Throttle::published()));
    let client = client(Budgets::default());
    let way = client.tenant(endpoint(&simulator, &tenant));
    let seconds = 89;
    let length = Duration::from_secs(seconds);
    let reports = load(way.clone(), "auditLogs/signIns", Workload::Reports, length);
    let risk = load(way, "identityProtection/riskyUsers", Workload::IdentityProtection, length);
    let (reports, risk) = tokio::join!(reports, risk);
    let stats = tenant.throttle_stats();
    println!("reports: {reports} of {} in {seconds} s ({:.1} %)", seconds as f64 * 0.5, reports as f64 / (seconds as f64 * 0.5) * 100.0);
    println!("identity protection: {risk} of {seconds} ({:.1} %)", risk as f64 / seconds as f64 * 100.0);
    println!("refused: {:?}", stats.rejected_by);
    println!("{}", serde_json::to_string_pretty(&client.queue_status()).expect("JSON"));
    assert!(reports as f64 >= seconds as f64 * 0.5 * 0.9 && stats.rejected <= 2, "{stats:?}");
}
