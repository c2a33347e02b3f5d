//! How long a request is tried again: for ever in a daemon, within a limit by a command, and never where it cannot help.

use std::time::{Duration, Instant};

use entra_mirror::graph::{
    Budgets, Call, Client, Endpoint, GraphError, Origin, Page, Priority, SecretSource, Settings, TenantClient, Workload,
};
use entra_mirror::simulator::{Action, Fault, Retry, Simulator, Tenant, TenantOptions};

const USERS: &str = "users?$select=id&$top=999";

async fn world(settings: Settings) -> (Simulator, Tenant, Client, TenantClient) {
    let simulator = Simulator::start_local().await.expect("a simulator");
    let tenant = simulator.add_tenant(TenantOptions::new("contoso", 1, 20));
    let origin = Origin::parse(&simulator.origin()).expect("an origin");
    let client = Client::new(settings).expect("a client");
    let way = client.tenant(Endpoint {
        name: "contoso".into(),
        tenant_id: tenant.tenant_id().into(),
        login_url: origin.clone(),
        graph_url: origin,
        client_id: tenant.client_id().into(),
        credential: SecretSource::Value(tenant.client_secret().into()).into(),
    });
    (simulator, tenant, client, way)
}

async fn ask(way: &TenantClient, path: &str) -> Result<Page, GraphError> {
    let link = way.link(path)?;
    way.page(Call { link: &link, workload: Workload::Directory, priority: Priority::Scheduled, eventual: false, max_attempts: None }).await
}

fn error(status: u16, retry_after: Retry) -> Action {
    Action::Error { status, code: "UnknownError".into(), message: String::new(), retry_after }
}

#[tokio::test]
async fn a_daemon_does_not_give_up_and_can_be_stopped_at_any_time() {
    let settings = Settings { give_up_after: None, max_attempts: 2, ..Settings::default() };
    let (_simulator, tenant, client, way) = world(settings).await;
    tenant.fault(Fault::new("users", error(502, Retry::Missing)).times(5));
    let page = ask(&way, USERS).await.expect("in the end");
    assert_eq!((page.stats().requests, page.stats().retries), (6, 5));
    tenant.fault(Fault::new("users", error(500, Retry::Missing)));
    assert!(tokio::time::timeout(Duration::from_millis(700), ask(&way, USERS)).await.is_err());
    let lanes = client.queue_status();
    assert!(lanes.iter().all(|lane| lane.in_flight == 0 && lane.waiting.scheduled == 0), "{lanes:?}");
    // What cannot be read is not tried for ever: it may stay so.
    tenant.clear_faults();
    tenant.fault(Fault::new("users", Action::Html { status: 200 }));
    let failed = ask(&way, USERS).await.expect_err("no page");
    assert_eq!(failed.stats().requests, 2);
}

#[tokio::test]
async fn a_command_gives_up_within_its_limit_and_says_so() {
    let settings = Settings { give_up_after: Some(Duration::from_secs(2)), ..Settings::default() };
    let (_simulator, tenant, client, way) = world(settings).await;
    tenant.fault(Fault::new("users", error(429, Retry::Seconds("600".into()))));
    let began = Instant::now();
    let failed = ask(&way, USERS).await.expect_err("throttled");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    let text = failed.to_string();
    assert!(text.contains("gave up after 2 s") && text.contains("600 s"), "{text}");
    assert!(failed.hint().is_some_and(|hint| hint.contains("give_up_after_secs")));
    let lane = client.queue_status().into_iter().find(|lane| lane.tenant.is_some()).expect("a lane");
    assert!(lane.paused_for_seconds > 500.0, "{lane:?}");
    assert_eq!((lane.counts.throttled, lane.waiting.scheduled), (1, 0));
}

#[tokio::test]
async fn what_cannot_succeed_is_asked_once_and_an_empty_400_twice() {
    let (_simulator, tenant, _client, way) = world(Settings { give_up_after: None, ..Settings::default() }).await;
    for (status, times) in [(400, 1), (403, 1), (404, 1), (410, 1), (501, 1)] {
        tenant.clear_faults();
        tenant.fault(Fault::new("users", error(status, Retry::Missing)));
        assert_eq!(ask(&way, USERS).await.expect_err("refused").stats().requests, times, "{status}");
    }
    tenant.clear_faults();
    let empty = Action::Error { status: 400, code: String::new(), message: String::new(), retry_after: Retry::Missing };
    tenant.fault(Fault::new("users", empty));
    assert_eq!(ask(&way, USERS).await.expect_err("refused").stats().requests, 2);
    tenant.clear_faults();
    tenant.fault(Fault::new("users", error(401, Retry::Missing)));
    assert_eq!(ask(&way, USERS).await.expect_err("refused").stats().requests, 2, "once with a new token");
}

/// A renewal is early, so that it may fail for a while; and it is not tried with every request.
#[tokio::test]
async fn a_token_that_is_good_still_is_used_while_its_renewal_fails() {
    let (_simulator, tenant, _client, way) = world(Settings::default()).await;
    tenant.set_token_life(10);
    assert!(ask(&way, USERS).await.is_ok());
    tenant.fault(Fault::new("oauth2/v2.0/token", error(503, Retry::Missing)));
    let renewals = || tenant.fault_hits().iter().map(|(_, hits)| hits).sum::<u64>();
    let began = Instant::now();
    while renewals() == 0 {
        assert!(began.elapsed() < Duration::from_secs(60), "in vain: it is renewed");
        let asked = Instant::now();
        assert!(ask(&way, USERS).await.is_ok(), "after {:?}", began.elapsed());
        assert!(asked.elapsed() < Duration::from_secs(1), "nobody waits for it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for _ in 0..10 {
        assert!(ask(&way, USERS).await.is_ok());
    }
    assert_eq!(renewals(), 1);
}

/// Three in twenty fail, in every way that passes.
#[tokio::test]
async fn fifteen_in_a_hundred_failures_never_make_a_command_give_up() {
    let budgets = Budgets { directory_units_per_10s: Some(1e6), ..Budgets::default() };
    let (_simulator, tenant, client, way) = world(Settings { budgets, ..Settings::default() }).await;
    for action in [
        error(500, Retry::Missing),
        error(502, Retry::Missing),
        error(503, Retry::Missing),
        error(504, Retry::Missing),
        error(429, Retry::Seconds("0.05".into())),
        Action::Reset,
        Action::Truncate,
    ] {
        tenant.fault(Fault::new("users", action).probability(0.15 / 7.0));
    }
    let calls = futures_util::future::join_all((0..200).map(|_| ask(&way, USERS))).await;
    let failed: Vec<_> = calls.iter().filter_map(|call| call.as_ref().err()).collect();
    assert!(failed.is_empty(), "{failed:?}");
    let lane = client.queue_status().into_iter().find(|lane| lane.tenant.is_some()).expect("a lane");
    let counts = lane.counts;
    println!("{counts:?}");
    assert_eq!(counts.requests, counts.ok + counts.throttled + counts.server_errors + counts.broken);
    assert!(counts.retries >= 10 && counts.requests == 200 + counts.retries, "{counts:?}");
    assert_eq!(client.breakers()[0].state, "closed");
}
