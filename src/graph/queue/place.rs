//! A place in a lane: leave to send one request, and what became of it. Dropped, it lets the next one in.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::signals::Signals;
use super::Queue;
use super::cost::Shape;
use super::lane::{Grant, Stop};
use super::pass::Sign;

/// Leave to send one request.
#[derive(Debug)]
pub(in super::super) struct Place {
    queue: Arc<Queue>,
    lane: u64,
    sent: Instant,
    cost: u32,
    /// Where units count.
    shape: Option<Shape>,
    probe: bool,
    waited: Duration,
    path: String,
}

impl Place {
    pub(super) fn new(queue: Arc<Queue>, lane: u64, grant: Grant, shape: Option<Shape>, path: &str) -> Place {
        let Grant { at, cost, probe, waited } = grant;
        Place { queue, lane, sent: at, cost, shape, probe, waited, path: path.to_owned() }
    }

    /// How long it was waited for.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// An answer that does not ask to wait. Returns what it cost in units, where those count.
    pub fn answered(&mut self, status: u16, signals: &Signals) -> u32 {
        let units = self.settle(signals);
        let (lane, sent) = (self.lane, self.sent);
        let over = self.queue.change(|state, now| {
            let lane = state.lanes.get_mut(&lane)?;
            match status {
                200..300 => lane.counts.ok += 1,
                300..400 => lane.counts.redirected += 1,
                400..500 => lane.counts.refused += 1,
                _ => lane.counts.server_errors += 1,
            }
            lane.counts.units += u64::from(units);
            if let Some(share) = signals.share {
                lane.meter.told(share, now);
            }
            // Only an answer of a service that works ends a stop.
            let works = status < 500;
            let mut over = if works { lane.pause.answered(sent, now) } else { None };
            if let Some(shared) = state.shared.get_mut(&lane.shared) {
                shared.counts.units += u64::from(units);
                over = if works { shared.pause.answered(sent, now).or(over) } else { over };
            }
            over.map(|stopped| (stopped, lane.tenant.clone(), lane.key.workload.as_str()))
        });
        if let Some((stopped, tenant, workload)) = over {
            tracing::info!(tenant, workload, stopped_seconds = stopped.as_secs(), "Graph lets requests go on");
        }
        self.tell_breaker(if status < 500 { Sign::Works } else { Sign::Fails { connected: true } });
        units
    }

    /// An answer that asks to wait: the whole lane stops, or all lanes of the app where the app's limit was hit.
    pub fn throttled(&mut self, status: u16, asked: Option<Duration>, signals: &Signals) -> Stop {
        let (id, sent, cost) = (self.lane, self.sent, f64::from(self.cost));
        let stop = self.queue.change(|state, now| {
            let lane = state.lanes.get_mut(&id)?;
            lane.counts.throttled += 1;
            let under_way = cost * lane.in_flight.saturating_sub(1) as f64;
            let shared = state.shared.get_mut(&lane.shared);
            let (pause, meter) = match shared {
                Some(shared) if signals.application => {
                    shared.counts.throttled += 1;
                    (&mut shared.pause, &mut shared.meter)
                }
                _ => (&mut lane.pause, &mut lane.meter),
            };
            let first = !pause.is_tentative();
            let stop = pause.throttled(asked, sent, status, now);
            // Requests that were under way together are refused together, for one and the same reason; and once the lane stands, further
            // refusals say nothing of its rate.
            meter.refused(cost, sent, first && stop.news, under_way, now);
            Some(stop)
        });
        match status {
            429 => self.tell_breaker(Sign::Works),
            // A service that asks for time is not out, but has not come back either.
            _ if self.probe => self.tell_breaker(Sign::Fails { connected: true }),
            _ => {}
        }
        stop.unwrap_or(Stop { wait: asked.unwrap_or_default(), news: true, tell: false })
    }

    /// No answer, or one that broke off. `connected` tells whether there was anybody at the other end.
    pub fn failed(&mut self, connected: bool) {
        let lane = self.lane;
        self.queue.change(|state, _| {
            if let Some(lane) = state.lanes.get_mut(&lane) {
                lane.counts.broken += 1;
            }
        });
        self.tell_breaker(Sign::Fails { connected });
    }

    /// Puts the true cost in the place of the estimate.
    fn settle(&mut self, signals: &Signals) -> u32 {
        let Some(shape) = &self.shape else { return 0 };
        let Some(units) = signals.units else { return self.cost };
        self.queue.costs().learn(shape, units);
        let difference = f64::from(units) - f64::from(self.cost);
        if difference != 0.0 {
            let lane = self.lane;
            self.queue.change(|state, _| {
                let Some(lane) = state.lanes.get_mut(&lane) else { return };
                lane.meter.correct(difference);
                if let Some(shared) = state.shared.get_mut(&lane.shared) {
                    shared.meter.correct(difference);
                }
            });
        }
        units
    }

    fn tell_breaker(&mut self, sign: Sign) {
        let (id, probe) = (self.lane, std::mem::take(&mut self.probe));
        let whose = self.queue.lock().lanes.get(&id).map(|lane| (lane.origin, lane.key.tenant_id.clone()));
        if let Some((origin, tenant_id)) = whose {
            self.queue.tell_breaker(origin, &tenant_id, &self.path, sign, probe);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (lane, probe_lost) = (self.lane, self.probe);
        self.queue.change(|state, now| state.done(lane, probe_lost, now));
        if probe_lost {
            self.queue.changed.notify_waiters();
        }
    }
}
