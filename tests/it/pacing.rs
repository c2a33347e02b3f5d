//! Against a simulator that throttles as Graph does: how much of a budget is used, and how rarely it is exceeded.

use std::time::{Duration, Instant};

use entra_mirror::graph::{Budgets, Call, Client, Endpoint, Origin, Priority, SecretSource, Settings, TenantClient, Workload};
use entra_mirror::simulator::{Quirks, Simulator, Tenant, TenantOptions, Throttle, Wait};

use crate::support::World;

fn endpoint(simulator: &Simulator, tenant: &Tenant) -> Endpoint {
    let origin = Origin::parse(&simulator.origin()).expect("an origin");
    Endpoint {
        name: tenant.name().into(),
        tenant_id: tenant.tenant_id().into(),
        login_url: origin.clone(),
        graph_url: origin,
        client_id: tenant.client_id().into(),
        secret: SecretSource::Value(tenant.client_secret().into()),
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
async fn a_directory_load_runs_at_nine_tenths_of_its_budget() {
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
        assert!(answers as f64 >= 592.0 * 0.9, "{answers}");
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

/// Figures, in real time: `cargo test --test it pacing -- --ignored --nocapture`.
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
