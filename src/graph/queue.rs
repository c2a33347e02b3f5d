//! The fetch queue: every request of the process passes a lane of its app, tenant and workload. Decides when, not what; sends nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::call::{Priority, Workload};
use super::retry;

/// App, tenant and workload: Graph keeps a budget for each.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LaneKey {
    pub client_id: String,
    pub tenant_id: String,
    pub workload: Workload,
}

/// All lanes. A lane lives while something uses it, or while it must not be used yet.
#[derive(Debug, Default)]
pub(super) struct Queue {
    lanes: Mutex<HashMap<LaneKey, Weak<Lane>>>,
}

impl Queue {
    /// The lane, made when it does not exist. `places` is how many requests may be under way in it at once.
    pub fn lane(&self, key: LaneKey, places: usize) -> Arc<Lane> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lanes.get(&key).and_then(Weak::upgrade) {
            return lane;
        }
        lanes.retain(|_, lane| lane.strong_count() > 0);
        let lane = Arc::new(Lane { state: Mutex::new(State { free: places.max(1), ..State::default() }) });
        lanes.insert(key, Arc::downgrade(&lane));
        lane
    }
}

/// One lane.
#[derive(Debug)]
pub(super) struct Lane {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    free: usize,
    waiting: BTreeMap<(Priority, u64), oneshot::Sender<Place>>,
    tickets: u64,
    paused_until: Option<Instant>,
    throttled_in_a_row: u32,
}

/// A place in a lane; dropping it lets the next one in.
#[derive(Debug)]
pub(super) struct Place {
    lane: Arc<Lane>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let lane = Arc::clone(&self.lane);
        let next = {
            let mut state = lane.state();
            match state.waiting.pop_first() {
                Some((_, waiter)) => Some(waiter),
                None => {
                    state.free += 1;
                    None
                }
            }
        };
        if let Some(waiter) = next {
            // A waiter that has gone drops the place it is given, which passes it on.
            let _ = waiter.send(Place { lane });
        }
    }
}

impl Lane {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place, and until the lane is not paused. Whoever has the higher priority goes first, then whoever came first.
    /// This is where pacing belongs: nothing is sent before it returns.
    pub async fn enter(self: &Arc<Lane>, priority: Priority) -> Place {
        let waiter = {
            let mut state = self.state();
            if state.free > 0 && state.waiting.is_empty() {
                state.free -= 1;
                None
            } else {
                let (sender, receiver) = oneshot::channel();
                state.tickets += 1;
                let ticket = (priority, state.tickets);
                state.waiting.insert(ticket, sender);
                Some(receiver)
            }
        };
        let place = match waiter {
            None => Place { lane: Arc::clone(self) },
            // The sender is dropped only with the lane, which this call holds.
            Some(waiter) => waiter.await.unwrap_or_else(|_| Place { lane: Arc::clone(self) }),
        };
        loop {
            let until = self.state().paused_until;
            match until.filter(|until| *until > Instant::now()) {
                Some(until) => tokio::time::sleep_until(until).await,
                None => return place,
            }
        }
    }

    /// An answer asked to wait: the whole lane stops. Returns for how long from now.
    pub fn throttled(&self, asked: Option<Duration>) -> Duration {
        let mut state = self.state();
        state.throttled_in_a_row = state.throttled_in_a_row.saturating_add(1);
        let wait = retry::throttle_wait(asked, state.throttled_in_a_row, fastrand::f64());
        let until = state.paused_until.map_or(Instant::now() + wait, |standing| standing.max(Instant::now() + wait));
        state.paused_until = Some(until);
        until.saturating_duration_since(Instant::now())
    }

    /// An answer that did not ask to wait.
    pub fn answered(&self) {
        self.state().throttled_in_a_row = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(places: usize) -> Arc<Lane> {
        let key = LaneKey { client_id: "a".into(), tenant_id: "t".into(), workload: Workload::Directory };
        Queue::default().lane(key, places)
    }

    #[tokio::test(start_paused = true)]
    async fn a_person_goes_before_a_schedule() {
        let lane = lane(1);
        let first = lane.enter(Priority::Scheduled).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for priority in [Priority::Backfill, Priority::Scheduled, Priority::Interactive] {
            let (lane, order) = (Arc::clone(&lane), Arc::clone(&order));
            tasks.push(tokio::spawn(async move {
                let _place = lane.enter(priority).await;
                order.lock().expect("order").push(priority);
            }));
            tokio::task::yield_now().await;
        }
        drop(first);
        for task in tasks {
            task.await.expect("a task");
        }
        assert_eq!(*order.lock().expect("order"), [Priority::Interactive, Priority::Scheduled, Priority::Backfill]);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_stops_waiting_gives_the_place_back() {
        let lane = lane(1);
        let first = lane.enter(Priority::Scheduled).await;
        for _ in 0..3 {
            let gone = tokio::time::timeout(Duration::from_millis(1), lane.enter(Priority::Interactive)).await;
            assert!(gone.is_err());
        }
        drop(first);
        let again = tokio::time::timeout(Duration::from_millis(1), lane.enter(Priority::Scheduled)).await;
        assert!(again.is_ok());
        drop(again);
        assert_eq!(lane.state().free, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttled_answer_stops_the_whole_lane_once() {
        let lane = lane(4);
        let began = Instant::now();
        assert_eq!(lane.throttled(Some(Duration::from_secs(7))), Duration::from_secs(7));
        let places = futures_util::future::join_all((0..4).map(|_| lane.enter(Priority::Scheduled))).await;
        assert_eq!(places.len(), 4);
        assert_eq!(began.elapsed().as_secs(), 7);
    }

    #[test]
    fn idle_lanes_are_dropped() {
        let queue = Queue::default();
        for n in 0..100 {
            let key = LaneKey { client_id: "a".into(), tenant_id: n.to_string(), workload: Workload::Directory };
            drop(queue.lane(key, 1));
        }
        assert!(queue.lanes.lock().expect("lanes").len() <= 1);
    }
}
