//! What the queue tells of itself: lanes, waits with their reasons, counters, breakers; ready for JSON and metrics. Changes nothing.

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Queue;
use super::budget::{Sharing, shared_by};
use super::state::Origin;

/// One lane, as it stands.
#[derive(Clone, Debug, Serialize)]
pub struct LaneStatus {
    /// Name of the tenant in the configuration; `None` = what all tenants of the app share.
    pub tenant: Option<String>,
    pub client_id: String,
    pub workload: &'static str,
    pub waiting: Waiting,
    /// Requests under way.
    pub in_flight: usize,
    /// Published or learnt budget of a window, resource units or requests; `None` = none is known.
    pub budget: Option<f64>,
    /// Length of that window, seconds.
    pub window_seconds: f64,
    /// What may be sent in a window at the moment: less than the budget by the aim and by what throttling taught.
    pub allowed: Option<f64>,
    /// What was sent in the window that ends now.
    pub used: f64,
    /// How long nothing is sent because Graph asked for it, seconds; 0 = the lane goes.
    pub paused_for_seconds: f64,
    /// What requests wait for; `None` = nothing waits.
    pub reason: Option<String>,
    pub counts: Counts,
}

/// Waiting requests by priority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    pub interactive: usize,
    pub scheduled: usize,
    pub backfill: usize,
}

impl Waiting {
    /// All of them.
    pub fn total(self) -> usize {
        self.interactive + self.scheduled + self.backfill
    }
}

/// Counters since the process started. A lane that nothing used for a while is not listed; its counters go on when it is used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Counts {
    /// Requests sent.
    pub requests: u64,
    /// Of them, sent again after a failure.
    pub retries: u64,
    /// Answers by class of their status.
    pub ok: u64,
    pub redirected: u64,
    /// 4xx other than 429.
    pub refused: u64,
    /// 429, and 503 that asks to wait.
    pub throttled: u64,
    /// 5xx that do not ask to wait.
    pub server_errors: u64,
    /// No answer, or one that broke off.
    pub broken: u64,
    /// Resource units, as Graph told them or, where it did not, as the table has them.
    pub units: u64,
    /// Time that requests waited in the lane, all together, seconds.
    pub waited_seconds: f64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, more: Counts) {
        self.requests += more.requests;
        self.retries += more.retries;
        self.ok += more.ok;
        self.redirected += more.redirected;
        self.refused += more.refused;
        self.throttled += more.throttled;
        self.server_errors += more.server_errors;
        self.broken += more.broken;
        self.units += more.units;
        self.waited_seconds += more.waited_seconds;
    }
}

/// The circuit breaker of an origin.
#[derive(Clone, Debug, Serialize)]
pub struct BreakerStatus {
    pub origin: String,
    /// closed, open or half-open.
    pub state: &'static str,
    pub failures_in_a_row: u32,
    /// Until the next probe, seconds.
    pub probe_in_seconds: Option<f64>,
    /// Lanes that wait for it.
    pub lanes_waiting: usize,
}

impl Queue {
    /// All lanes, tenants' and shared ones. Cheap: it copies what is there.
    pub fn status(&self) -> Vec<LaneStatus> {
        let now = Instant::now();
        let mut guard = self.lock();
        let state = &mut *guard;
        let ids: Vec<u64> = state.lanes.keys().copied().collect();
        let mut lanes: Vec<LaneStatus> = Vec::with_capacity(ids.len());
        for id in ids {
            let (reason, paused) = state.why(id, now);
            let Some(lane) = state.lanes.get_mut(&id) else { continue };
            let (budget, window) = lane.meter.limit();
            lanes.push(LaneStatus {
                tenant: Some(lane.tenant.clone()),
                client_id: lane.key.client_id.clone(),
                workload: lane.key.workload.as_str(),
                waiting: lane.waiting(),
                in_flight: lane.in_flight,
                budget,
                window_seconds: window.as_secs_f64(),
                allowed: lane.meter.allowed(),
                used: lane.meter.used(now),
                paused_for_seconds: paused.as_secs_f64(),
                reason: reason.filter(|_| lane.is_waiting() || !paused.is_zero()),
                counts: lane.counts,
            });
        }
        for shared in state.shared.values_mut().filter(|shared| shared_by(shared.key.workload) == Sharing::App) {
            let (budget, window) = shared.meter.limit();
            let pause = shared.pause.describe(now);
            lanes.push(LaneStatus {
                tenant: None,
                client_id: shared.key.of.clone(),
                workload: shared.key.workload.as_str(),
                waiting: Waiting::default(),
                in_flight: 0,
                budget,
                window_seconds: window.as_secs_f64(),
                allowed: shared.meter.allowed(),
                used: shared.meter.used(now),
                paused_for_seconds: pause.map_or(0.0, |(wait, _)| wait.as_secs_f64()),
                reason: pause.map(|(_, reason)| reason.to_owned()),
                counts: shared.counts,
            });
        }
        drop(guard);
        lanes.sort_by(|a, b| (&a.client_id, &a.tenant, a.workload).cmp(&(&b.client_id, &b.tenant, b.workload)));
        lanes
    }

    /// The breakers of all origins.
    pub fn breakers(&self) -> Vec<BreakerStatus> {
        let now = Instant::now();
        let state = self.lock();
        let describe = |origin: &Origin| {
            let (word, failures_in_a_row, probe) = origin.breaker.describe(now);
            BreakerStatus {
                origin: origin.name.clone(),
                state: word,
                failures_in_a_row,
                probe_in_seconds: probe.map(|wait| wait.as_secs_f64()),
                lanes_waiting: origin.parked.len(),
            }
        };
        state.origins.iter().map(describe).collect()
    }
}
