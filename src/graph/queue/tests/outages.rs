//! What happens to those who wait while an origin is out.

use super::*;

const LOGIN: &str = "https://login.microsoftonline.com";

#[tokio::test(start_paused = true)]
async fn an_outage_opens_the_breaker_and_one_request_at_a_time_finds_its_end() {
    let queue = queue(8);
    let down = Arc::new(AtomicUsize::new(1));
    let probes = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for n in 0..50 {
        let (queue, down, probes) = (Arc::clone(&queue), Arc::clone(&down), Arc::clone(&probes));
        tasks.push(tokio::spawn(async move {
            loop {
                let mut place = enter(&queue, &format!("t{n}"), Workload::Directory).await;
                probes.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(100)).await;
                if down.load(Ordering::Relaxed) == 0 {
                    place.answered(200, &Signals::default());
                    return;
                }
                place.failed(false);
            }
        }));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_ne!(queue.breakers()[0].state, "closed");
    let at_once = probes.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(600)).await;
    let probed = probes.load(Ordering::Relaxed) - at_once;
    assert!((8..40).contains(&probed), "{probed} probes in ten minutes");
    assert!(queue.breakers()[0].lanes_waiting >= 49);
    let why = queue.status().into_iter().find_map(|lane| lane.reason).expect("a reason");
    assert!(why.contains("to answer again"), "{why}");
    down.store(0, Ordering::Relaxed);
    let began = Instant::now();
    for task in tasks {
        task.await.expect("a task");
    }
    assert!(began.elapsed() < Duration::from_secs(65));
    assert_eq!(queue.breakers()[0].state, "closed");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_called_off_is_made_up_for() {
    let queue = queue(8);
    for n in 0..10 {
        enter(&queue, &format!("t{}", n % 2), Workload::Directory).await.failed(false);
    }
    assert_eq!(queue.breakers()[0].state, "open");
    let probe = enter(&queue, "t0", Workload::Directory).await;
    assert_eq!(queue.breakers()[0].state, "half-open");
    let other = {
        let queue = Arc::clone(&queue);
        tokio::spawn(async move { enter(&queue, "t1", Workload::Directory).await.answered(200, &Signals::default()) })
    };
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert!(!other.is_finished());
    drop(probe);
    other.await.expect("a task");
    assert_eq!(queue.breakers()[0].state, "closed");
}

#[tokio::test(start_paused = true)]
async fn a_token_endpoint_that_is_out_is_asked_by_one_at_a_time_however_many_tenants_want_it() {
    let queue = queue(8);
    let down = Arc::new(AtomicUsize::new(1));
    let asked = Arc::new(AtomicUsize::new(0));
    let task = |n: usize| {
        let (queue, down, asked) = (Arc::clone(&queue), Arc::clone(&down), Arc::clone(&asked));
        tokio::spawn(async move {
            loop {
                let pass = queue.pass(LOGIN, &format!("t{n}"), None).await.expect("there is no limit");
                asked.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(100)).await;
                let down = down.load(Ordering::Relaxed) > 0;
                pass.ended("/token", if down { Sign::Fails { connected: true } } else { Sign::Works });
                if !down {
                    return;
                }
            }
        })
    };
    let tasks: Vec<_> = (0..500).map(task).collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let at_once = asked.load(Ordering::Relaxed);
    assert!((500..510).contains(&at_once), "{at_once}: those that were under way, and those that failed before it opened");
    tokio::time::sleep(Duration::from_secs(600)).await;
    let probes = asked.load(Ordering::Relaxed) - at_once;
    assert!((8..40).contains(&probes), "{probes} probes in ten minutes");
    assert_eq!(queue.breakers()[0].origin, LOGIN);
    assert_eq!(queue.pass(LOGIN, "t0", Some(Duration::from_millis(1))).await.map(|_| ()), None, "who does not wait for ever is told");
    // Graph is another origin.
    let began = Instant::now();
    enter(&queue, "t0", Workload::Directory).await.answered(200, &Signals::default());
    assert_eq!(began.elapsed(), Duration::ZERO);
    down.store(0, Ordering::Relaxed);
    for task in tasks {
        task.await.expect("a task");
    }
    assert!(began.elapsed() < Duration::from_secs(65));
    assert_eq!(queue.breakers()[0].state, "closed");
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_is_called_off_is_made_up_for() {
    let queue = queue(8);
    for n in 0..10 {
        let pass = queue.pass(LOGIN, &format!("t{}", n % 2), None).await.expect("a pass");
        pass.ended("/token", Sign::Fails { connected: false });
    }
    assert_eq!(queue.breakers()[0].state, "open");
    let probe = queue.pass(LOGIN, "t0", None).await.expect("a pass");
    assert_eq!(queue.breakers()[0].state, "half-open");
    let other = {
        let queue = Arc::clone(&queue);
        tokio::spawn(async move { queue.pass(LOGIN, "t1", None).await.expect("a pass").ended("/token", Sign::Works) })
    };
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert!(!other.is_finished());
    drop(probe);
    other.await.expect("a task");
    assert_eq!(queue.breakers()[0].state, "closed");
}
