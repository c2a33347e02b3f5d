//! Leave to ask an origin that has no lanes, as a token endpoint has none; and what a request of either kind tells its origin's breaker.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Queue;
use super::breaker::{Change, Gate};

/// What a request says about its origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Sign {
    Works,
    /// `connected` tells whether there was anybody at the other end.
    Fails {
        connected: bool,
    },
}

/// Leave to send one request. Dropped without a word, it says nothing about the origin.
#[derive(Debug)]
pub(in super::super) struct Pass {
    queue: Arc<Queue>,
    origin: usize,
    tenant_id: String,
    probe: bool,
}

impl Pass {
    /// What became of the request.
    pub fn ended(mut self, path: &str, sign: Sign) {
        let probe = std::mem::take(&mut self.probe);
        self.queue.tell_breaker(self.origin, &self.tenant_id, path, sign, probe);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.probe {
            self.queue.probe_lost(self.origin);
        }
    }
}

impl Queue {
    /// Waits until the origin may be asked for this tenant, at most for `limit`; `None` = in vain. While the origin is out only one at a
    /// time gets leave, to try.
    pub async fn pass(self: &Arc<Queue>, origin: &str, tenant_id: &str, limit: Option<Duration>) -> Option<Pass> {
        let end = limit.map(|limit| Instant::now() + limit);
        let changed = Arc::clone(&self.changed);
        loop {
            // Made before the look at the gate, so that no change between the two is missed.
            let mut change = std::pin::pin!(changed.notified());
            change.as_mut().enable();
            let now = Instant::now();
            let (place, gate) = {
                let mut state = self.lock();
                let place = state.origin(origin, tenant_id);
                let breaker = &mut state.origins[place].breaker;
                let gate = breaker.gate(now);
                if gate == Gate::Probe {
                    breaker.probe();
                }
                (place, gate)
            };
            let at = match gate {
                Gate::Closed | Gate::Probe => {
                    let probe = gate == Gate::Probe;
                    return Some(Pass { queue: Arc::clone(self), origin: place, tenant_id: tenant_id.to_owned(), probe });
                }
                Gate::Wait(at) => at,
            };
            if end.is_some_and(|end| end <= now) {
                return None;
            }
            match at.into_iter().chain(end).min() {
                Some(until) => tokio::select! {
                    () = tokio::time::sleep_until(until) => {}
                    () = change => {}
                },
                None => change.await,
            }
        }
    }

    /// Tells the breaker of an origin what became of a request, and says so where that changes its state.
    pub(super) fn tell_breaker(&self, place: usize, tenant_id: &str, path: &str, sign: Sign, probe: bool) {
        let change = self.change(|state, now| {
            let origin = state.origins.get_mut(place)?;
            let change = match sign {
                Sign::Works => origin.breaker.worked(now),
                Sign::Fails { connected } => origin.breaker.failed(tenant_id, path, connected, probe, fastrand::f64(), now),
            };
            let name = change.map(|change| (change, origin.name.clone()));
            if probe || change.is_some() {
                state.serve_origin(place, now);
            }
            name
        });
        if probe || change.is_some() {
            self.changed.notify_waiters();
        }
        // Once for all requests that wait for it.
        match change {
            Some((Change::Opened { failures, probe_after }, origin)) => tracing::warn!(
                origin,
                failures_in_a_row = failures,
                probe_in_seconds = probe_after.as_secs_f64(),
                "the service does not answer: requests to it wait, one at a time tries whether it is back"
            ),
            Some((Change::Closed { after }, origin)) => {
                tracing::info!(origin, out_for_seconds = after.as_secs(), "the service answers again: requests go on");
            }
            None => {}
        }
    }

    /// A probe was called off: another one is sent.
    fn probe_lost(&self, place: usize) {
        self.change(|state, now| {
            if let Some(origin) = state.origins.get_mut(place) {
                origin.breaker.probe_lost();
            }
            state.serve_origin(place, now);
        });
        self.changed.notify_waiters();
    }
}
