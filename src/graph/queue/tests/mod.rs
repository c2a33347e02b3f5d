//! Tests of the queue as a whole, with a clock that jumps from one wait to the next.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::link::Origin;
use super::super::signals::Signals;
use super::*;

mod outages;

const ORIGIN: &str = "https://graph.microsoft.com";

fn link(path: &str) -> Link {
    Link::parse(&Origin::parse(ORIGIN).expect("an origin"), &format!("{ORIGIN}/v1.0/{path}")).expect("a link")
}

fn key(tenant: &str, workload: Workload) -> LaneKey {
    LaneKey { client_id: "app".into(), tenant_id: tenant.into(), workload }
}

fn queue(places: usize) -> Arc<Queue> {
    Arc::new(Queue::new(Budgets::default(), places))
}

fn with(budgets: Budgets) -> Arc<Queue> {
    Arc::new(Queue::new(budgets, 8))
}

async fn enter_as(queue: &Arc<Queue>, tenant: &str, workload: Workload, priority: Priority) -> Place {
    let (key, link) = (key(tenant, workload), link("devices?$select=id"));
    queue.enter(Ask { key: &key, tenant, origin: ORIGIN, link: &link, priority, again: false }).await
}

async fn enter(queue: &Arc<Queue>, tenant: &str, workload: Workload) -> Place {
    enter_as(queue, tenant, workload, Priority::Scheduled).await
}

const APPLICATION: Signals = Signals { units: None, share: None, application: true };

/// One request after another for so long; each is answered in 20 ms. The instants of sending.
async fn stream(queue: Arc<Queue>, tenant: String, workload: Workload, priority: Priority, length: Duration) -> Vec<Instant> {
    let (start, mut sent) = (Instant::now(), Vec::new());
    loop {
        let left = (start + length).saturating_duration_since(Instant::now());
        let Ok(mut place) = tokio::time::timeout(left, enter_as(&queue, &tenant, workload, priority)).await else { return sent };
        sent.push(Instant::now());
        tokio::time::sleep(Duration::from_millis(20)).await;
        place.answered(200, &Signals::default());
    }
}

/// The most that were sent in any window of this length.
fn most_in(sent: &[Instant], window: Duration) -> usize {
    let mut sent = sent.to_vec();
    sent.sort();
    let mut from = 0;
    let counts = sent.iter().enumerate().map(|(index, at)| {
        while sent[from] + window <= *at {
            from += 1;
        }
        index + 1 - from
    });
    counts.max().unwrap_or(0)
}

async fn all(tasks: Vec<tokio::task::JoinHandle<Vec<Instant>>>) -> Vec<Instant> {
    let mut sent = Vec::new();
    for task in tasks {
        sent.extend(task.await.expect("a task"));
    }
    sent
}

#[tokio::test(start_paused = true)]
async fn reports_of_a_tenant_use_nine_tenths_of_five_in_ten_seconds_and_never_more_than_five() {
    let (queue, length) = (queue(8), Duration::from_secs(600));
    let task = |_| tokio::spawn(stream(Arc::clone(&queue), "t".into(), Workload::Reports, Priority::Scheduled, length));
    let sent = all((0..4).map(task).collect()).await;
    assert!(most_in(&sent, Duration::from_secs(10)) <= 5);
    assert!(sent.len() >= 270, "{} of 300", sent.len());
    assert!(sent.len() <= 286, "{} of 300", sent.len());
}

#[tokio::test(start_paused = true)]
async fn a_backfill_of_four_hundred_pages_takes_a_ninth_more_than_its_budget_at_most() {
    let (queue, began, mut sent) = (queue(8), Instant::now(), Vec::new());
    let mut random = fastrand::Rng::with_seed(7);
    // One page leads to the next, and pages take from a moment to half a second longer than a step now and then.
    while sent.len() < 400 {
        let mut place = enter_as(&queue, "t", Workload::Reports, Priority::Backfill).await;
        sent.push(Instant::now());
        let slow = random.u8(0..20) == 0;
        tokio::time::sleep(Duration::from_millis(if slow { 2_400 } else { random.u64(50..1_500) })).await;
        place.answered(200, &Signals::default());
    }
    assert!(most_in(&sent, Duration::from_secs(10)) <= 5, "never refused");
    // 5 in 10 s: 800 s.
    assert!(began.elapsed() <= Duration::from_secs(800 * 10 / 9), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_directory_lane_may_burst_and_keeps_its_window() {
    let (queue, length) = (with(Budgets { directory_units_per_10s: Some(1000.0), ..Budgets::default() }), Duration::from_secs(100));
    let task = |_| tokio::spawn(stream(Arc::clone(&queue), "t".into(), Workload::Directory, Priority::Scheduled, length));
    let sent = all((0..8).map(task).collect()).await;
    assert_eq!(most_in(&sent, Duration::from_secs(10)), 950);
    assert!(sent.len() >= 9_000, "{} of 10,000", sent.len());
}

#[tokio::test(start_paused = true)]
async fn budgets_of_the_app_hold_over_its_tenants_and_each_has_its_turn() {
    let (queue, length) = (queue(8), Duration::from_secs(1200));
    let tasks =
        (0..20).map(|n| tokio::spawn(stream(Arc::clone(&queue), format!("t{n}"), Workload::SignInActivity, Priority::Backfill, length)));
    let mut by_tenant = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        by_tenant.push(task.await.expect("a task"));
    }
    let sent = by_tenant.concat();
    assert!(most_in(&sent, Duration::from_secs(60)) <= 10);
    assert!(sent.len() >= 180, "{} of 200", sent.len());
    let counts: Vec<_> = by_tenant.iter().map(Vec::len).collect();
    assert!(counts.iter().max().expect("max") - counts.iter().min().expect("min") <= 1, "{counts:?}");

    // 122 in 10 s for reports, which 40 tenants would exceed.
    let tasks =
        (0..40).map(|n| tokio::spawn(stream(Arc::clone(&queue), format!("t{n}"), Workload::Reports, Priority::Scheduled, length / 6)));
    let sent = all(tasks.collect()).await;
    let most = most_in(&sent, Duration::from_secs(10));
    assert!(most <= 115, "{most}");
    assert!(sent.len() >= 20 * 122 * 9 / 10, "{} of {}", sent.len(), 20 * 122);
}

#[tokio::test(start_paused = true)]
async fn identity_protection_is_paced_by_tenant_over_all_apps() {
    let (queue, link) = (queue(8), link("identityProtection/riskyUsers"));
    let mut tasks = Vec::new();
    for app in ["a", "b"] {
        let (queue, link) = (Arc::clone(&queue), link.clone());
        tasks.push(tokio::spawn(async move {
            let key = LaneKey { client_id: app.into(), tenant_id: "t".into(), workload: Workload::IdentityProtection };
            let mut sent = Vec::new();
            for _ in 0..30 {
                let ask = Ask { key: &key, tenant: "t", origin: ORIGIN, link: &link, priority: Priority::Scheduled, again: false };
                drop(queue.enter(ask).await);
                sent.push(Instant::now());
            }
            sent
        }));
    }
    let sent = all(tasks).await;
    assert_eq!(most_in(&sent, Duration::from_secs(1)), 1);
    let took = *sent.iter().max().expect("sent") - *sent.iter().min().expect("sent");
    assert!(took < Duration::from_secs(66), "{took:?} for 60");
}

#[tokio::test(start_paused = true)]
async fn a_size_that_becomes_known_raises_the_budget_at_once() {
    let queue = queue(10_000);
    let task = {
        let queue = Arc::clone(&queue);
        tokio::spawn(async move {
            for _ in 0..7_000 {
                enter(&queue, "t", Workload::Directory).await.answered(200, &Signals::default());
            }
        })
    };
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!task.is_finished());
    let began = Instant::now();
    queue.size_hint("app", "t", 600);
    task.await.expect("a task");
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn other_budgets_hold_at_once_for_those_that_wait_too() {
    let queue = queue(10_000);
    let task = {
        let queue = Arc::clone(&queue);
        tokio::spawn(async move {
            for _ in 0..20 {
                enter(&queue, "t", Workload::Reports).await.answered(200, &Signals::default());
            }
        })
    };
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!task.is_finished());
    let began = Instant::now();
    queue.set_budgets(Budgets { reports_per_10s: 1e6, ..Budgets::default() });
    task.await.expect("a task");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    queue.set_budgets(Budgets { reports_per_10s: 5.0, aim: 0.5, ..Budgets::default() });
    let allowed = queue.status().into_iter().find(|lane| lane.tenant.is_some()).and_then(|lane| lane.allowed);
    assert_eq!(allowed, Some(2.5));
}

#[tokio::test(start_paused = true)]
async fn a_person_goes_before_a_schedule_and_nobody_starves() {
    let queue = queue(1);
    let first = enter(&queue, "t", Workload::Directory).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for priority in [Priority::Backfill, Priority::Scheduled, Priority::Interactive] {
        for _ in 0..40 {
            let (queue, order) = (Arc::clone(&queue), Arc::clone(&order));
            tasks.push(tokio::spawn(async move {
                let _place = enter_as(&queue, "t", Workload::Directory, priority).await;
                order.lock().expect("order").push(priority);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }));
        }
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    drop(first);
    for task in tasks {
        task.await.expect("a task");
    }
    let order = order.lock().expect("order").clone();
    let first_of = |priority| order.iter().position(|p| *p == priority).expect("one");
    assert_eq!(first_of(Priority::Interactive), 0);
    assert!(first_of(Priority::Scheduled) <= 10 && first_of(Priority::Backfill) <= 10, "{order:?}");
    let persons = order[..40].iter().filter(|p| **p == Priority::Interactive).count();
    assert!(persons >= 30, "{persons} of the first 40");
}

#[tokio::test(start_paused = true)]
async fn whoever_stops_waiting_gives_the_place_back() {
    let queue = queue(1);
    let first = enter(&queue, "t", Workload::Directory).await;
    for _ in 0..3 {
        let gone = tokio::time::timeout(Duration::from_millis(1), enter(&queue, "t", Workload::Directory)).await;
        assert!(gone.is_err());
    }
    assert_eq!(queue.lock().waiting, 0);
    drop(first);
    let again = tokio::time::timeout(Duration::from_millis(1), enter(&queue, "t", Workload::Directory)).await;
    assert!(again.is_ok());
    drop(again);
    // Called off at the very moment of being let go.
    let first = enter(&queue, "t", Workload::Directory).await;
    let mut second = Box::pin(enter(&queue, "t", Workload::Directory));
    assert!(futures_util::poll!(&mut second).is_pending());
    drop(first);
    drop(second);
    assert!(queue.status().iter().all(|lane| lane.in_flight == 0));
    assert!(tokio::time::timeout(Duration::from_millis(1), enter(&queue, "t", Workload::Directory)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_throttled_answer_stops_its_lane_once_and_no_other() {
    let queue = queue(4);
    let began = Instant::now();
    let mut places = Vec::new();
    for _ in 0..4 {
        places.push(enter(&queue, "t", Workload::Directory).await);
    }
    let mut stops = Vec::new();
    for mut place in places {
        stops.push(place.throttled(429, Some(Duration::from_secs(7)), &Signals::default()));
    }
    assert!(stops.iter().all(|stop| stop.wait == Duration::from_secs(7)), "{stops:?}");
    assert_eq!(stops.iter().filter(|stop| stop.news).count(), 1);
    drop(enter(&queue, "t", Workload::RoleManagement).await);
    drop(enter(&queue, "other", Workload::Directory).await);
    assert_eq!(began.elapsed(), Duration::ZERO);
    let waiting = {
        let queue = Arc::clone(&queue);
        tokio::spawn(async move {
            let mut first = enter(&queue, "t", Workload::Directory).await;
            let second = tokio::time::timeout(Duration::from_secs(1), enter(&queue, "t", Workload::Directory)).await;
            assert!(second.is_err(), "one shows whether it is over");
            first.answered(200, &Signals::default());
            drop(first);
            drop(enter(&queue, "t", Workload::Directory).await);
        })
    };
    tokio::time::sleep(Duration::from_secs(2)).await;
    let lane = queue.status().into_iter().find(|lane| lane.tenant.as_deref() == Some("t") && lane.workload == "directory").expect("lane");
    assert_eq!(lane.paused_for_seconds.round(), 5.0);
    assert_eq!(lane.reason.as_deref(), Some("Graph answered 429 and asked for 7 s"));
    assert_eq!((lane.waiting.scheduled, lane.counts.throttled, lane.counts.requests), (1, 4, 4));
    waiting.await.expect("a task");
    assert_eq!(began.elapsed().as_secs(), 8);
}

#[tokio::test(start_paused = true)]
async fn the_apps_limit_stops_all_its_tenants_and_the_tenants_only_that_one() {
    let queue = queue(4);
    let mut place = enter(&queue, "a", Workload::Reports).await;
    place.throttled(429, Some(Duration::from_secs(30)), &APPLICATION);
    drop(place);
    let began = Instant::now();
    enter(&queue, "b", Workload::Reports).await.answered(200, &Signals::default());
    assert_eq!(began.elapsed().as_secs(), 30);
    let mut place = enter(&queue, "a", Workload::Reports).await;
    place.throttled(429, Some(Duration::from_secs(30)), &Signals::default());
    drop(place);
    let began = Instant::now();
    drop(enter(&queue, "b", Workload::Reports).await);
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_says_one_second_for_ever_is_asked_less_and_less() {
    let queue = queue(4);
    let began = Instant::now();
    let mut asked = 0;
    while began.elapsed() < Duration::from_secs(600) {
        let mut place = enter(&queue, "t", Workload::RoleManagement).await;
        place.throttled(429, Some(Duration::from_secs(1)), &Signals::default());
        asked += 1;
    }
    assert!(asked < 30, "{asked} times in ten minutes");
}

#[tokio::test(start_paused = true)]
async fn one_tenant_throttled_hard_slows_the_other_by_nothing() {
    let (queue, length) = (queue(8), Duration::from_secs(40));
    let hard = {
        let queue = Arc::clone(&queue);
        tokio::spawn(async move {
            loop {
                let mut place = enter(&queue, "hard", Workload::Directory).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
                place.throttled(429, None, &Signals::default());
            }
        })
    };
    let task = |_| tokio::spawn(stream(Arc::clone(&queue), "easy".into(), Workload::Directory, Priority::Scheduled, length));
    let beside = all((0..8).map(task).collect()).await.len();
    hard.abort();
    let alone = Arc::new(Queue::new(Budgets::default(), 8));
    let task = |_| tokio::spawn(stream(Arc::clone(&alone), "easy".into(), Workload::Directory, Priority::Scheduled, length));
    let alone = all((0..8).map(task).collect()).await.len();
    assert!(beside * 100 >= alone * 99, "{beside} of {alone}");
}

#[tokio::test(start_paused = true)]
async fn true_costs_take_the_place_of_the_estimate() {
    let queue = with(Budgets { directory_units_per_10s: Some(100.0), ..Budgets::default() });
    let mut sent = Vec::new();
    for _ in 0..60 {
        let mut place = enter(&queue, "t", Workload::Directory).await;
        assert_eq!(place.answered(200, &Signals { units: Some(4), ..Signals::default() }), 4);
        sent.push(Instant::now());
    }
    // 95 units in a window are 23 requests of 4.
    assert_eq!(most_in(&sent, Duration::from_secs(10)), 23);
    let lane = &queue.status()[0];
    assert_eq!(lane.counts.units + queue.status()[1].counts.units, 480, "told for the tenant and for the app");
}

#[tokio::test(start_paused = true)]
async fn lanes_are_forgotten_when_they_do_not_matter_any_more() {
    let queue = queue(1);
    for n in 0..10_000 {
        drop(enter(&queue, &n.to_string(), Workload::RoleManagement).await);
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    // What was sent in the last 10 s still counts.
    assert!(queue.lock().lanes.len() < 400, "{}", queue.lock().lanes.len());

    // Its counters go on where they were.
    drop(enter(&queue, "0", Workload::RoleManagement).await);
    let again = queue.status().into_iter().find(|lane| lane.tenant.as_deref() == Some("0")).expect("a lane");
    assert_eq!(again.counts.requests, 2);

    let mut place = enter(&queue, "stopped", Workload::RoleManagement).await;
    place.throttled(429, Some(Duration::from_secs(600)), &Signals::default());
    drop(place);
    for n in 0..2_000 {
        drop(enter(&queue, &format!("later{n}"), Workload::RoleManagement).await);
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    let began = Instant::now();
    drop(enter(&queue, "stopped", Workload::RoleManagement).await);
    assert_eq!(began.elapsed().as_secs(), 400, "a lane that must not be used yet is kept");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_tenants_with_twelve_resources_each_wait_cheaply() {
    let real = std::time::Instant::now();
    let queue = with(Budgets { app_directory_units_per_20s: 4_000.0, ..Budgets::default() });
    let sent: Arc<Mutex<BTreeMap<usize, u32>>> = Arc::default();
    let mut waiting = futures_util::stream::FuturesUnordered::new();
    for tenant in 0..1_000 {
        for _ in 0..12 {
            let (queue, sent) = (Arc::clone(&queue), Arc::clone(&sent));
            waiting.push(async move {
                let mut place = enter(&queue, &format!("t{tenant}"), Workload::Directory).await;
                *sent.lock().expect("sent").entry(tenant).or_default() += 1;
                place.answered(200, &Signals::default());
            });
        }
    }
    let began = Instant::now();
    let mut done = 0;
    while futures_util::StreamExt::next(&mut waiting).await.is_some() {
        done += 1;
        if done == 6_000 {
            let status = queue.status();
            assert_eq!(status.len(), 1_001);
            let counts: Vec<u32> = sent.lock().expect("sent").values().copied().collect();
            assert_eq!(counts.len(), 1_000, "all tenants had turns");
        }
    }
    // 3,800 in 20.4 s: the last of 12,000 go in the fourth window. One task waited for all of them.
    assert_eq!(began.elapsed().as_secs(), 61);
    assert!(real.elapsed() < std::time::Duration::from_secs(20), "{:?}", real.elapsed());
    let lane = queue.lock();
    assert_eq!(lane.waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn status_is_plain_json() {
    let queue = queue(8);
    let _place = enter(&queue, "contoso", Workload::Reports).await;
    let json = serde_json::to_value(queue.status()).expect("JSON");
    let lane = json.as_array().expect("lanes").iter().find(|lane| lane["tenant"] == "contoso").expect("the lane");
    assert_eq!(lane["workload"], "reports");
    assert_eq!((lane["budget"].as_f64(), lane["used"].as_f64(), lane["in_flight"].as_u64()), (Some(5.0), Some(1.0), Some(1)));
    assert!(serde_json::to_value(queue.breakers()).is_ok());
}

/// With the real clock and several threads: requests are called off at any moment, and no place is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_whatever_is_called_off() {
    let queue = Arc::new(Queue::new(Budgets { directory_units_per_10s: Some(100_000.0), window_scale: 0.01, ..Budgets::default() }, 3));
    let task = |n: u64| {
        let queue = Arc::clone(&queue);
        tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(n);
            for _ in 0..20 {
                let patience = Duration::from_micros(random.u64(0..3_000));
                let tenant = format!("t{}", random.u8(0..5));
                let priority = [Priority::Interactive, Priority::Scheduled, Priority::Backfill][random.usize(0..3)];
                let request = async {
                    let mut place = enter_as(&queue, &tenant, Workload::Directory, priority).await;
                    tokio::time::sleep(Duration::from_micros(200)).await;
                    match n % 10 {
                        0 => place.failed(false),
                        _ => drop(place.answered(200, &Signals::default())),
                    }
                };
                let _ = tokio::time::timeout(patience, request).await;
            }
        })
    };
    for task in (0..200).map(task).collect::<Vec<_>>() {
        task.await.expect("a task");
    }
    assert!(queue.status().iter().all(|lane| lane.in_flight == 0 && lane.waiting == Waiting::default()));
    assert_eq!(queue.lock().waiting, 0);
    for n in 0..5 {
        let again = tokio::time::timeout(Duration::from_secs(70), enter(&queue, &format!("t{n}"), Workload::Directory)).await;
        again.expect("a place").answered(200, &Signals::default());
    }
}
