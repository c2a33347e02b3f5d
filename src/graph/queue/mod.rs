//! The fetch queue: every request of the process passes a lane of its app, tenant and workload. Decides when, not what; sends nothing.
//!
//! A request gets in line ([`Queue::enter`]) and comes back with a [`Place`]; what became of it is told to the place. One task waits for
//! whatever comes next in all lanes, for as long as anything waits.

mod breaker;
mod budget;
mod cost;
mod lane;
mod meter;
mod pass;
mod place;
mod state;
mod status;
#[cfg(test)]
mod tests;
mod turns;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::call::{Priority, Workload};
use super::link::Link;
pub use budget::Budgets;
use cost::{Costs, Shape};
use lane::Grant;
pub(super) use lane::LaneKey;
pub(super) use pass::Sign;
pub(super) use place::Place;
use state::{Letter, State};
pub use status::{BreakerStatus, Counts, LaneStatus, Waiting};

/// All lanes.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    costs: Mutex<Costs>,
    /// The earliest timer changed.
    sooner: Notify,
    /// A breaker let somebody go, or may do so: who waits for an origin alone looks again.
    changed: Arc<Notify>,
}

/// A request that wants to be sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask<'a> {
    pub key: &'a LaneKey,
    /// The tenant's name, for people.
    pub tenant: &'a str,
    /// Where it goes.
    pub origin: &'a str,
    pub link: &'a Link,
    pub priority: Priority,
    /// It was sent before and failed.
    pub again: bool,
}

impl Queue {
    /// `places` is how many requests may be under way at once in a lane.
    pub fn new(budgets: Budgets, places: usize) -> Queue {
        Queue { state: Mutex::new(State::new(budgets, places)), costs: Mutex::default(), sooner: Notify::new(), changed: Arc::default() }
    }

    /// The origin serves this tenant: how many there are matters to its breaker.
    pub fn serve(&self, origin: &str, tenant_id: &str) {
        self.lock().origin(origin, tenant_id);
    }

    /// Tells how many users a tenant has.
    pub fn size_hint(&self, client_id: &str, tenant_id: &str, users: u64) {
        self.change(|state, now| state.size_hint(client_id, tenant_id, users, now));
    }

    /// Paces by other budgets from now on, requests that wait already included.
    pub fn set_budgets(&self, budgets: Budgets) {
        self.change(|state, now| state.set_budgets(budgets, now));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn costs(&self) -> MutexGuard<'_, Costs> {
        self.costs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and lets go whom that lets go.
    fn change<T>(&self, what: impl FnOnce(&mut State, Instant) -> T) -> T {
        let (result, letters) = self.locked(what);
        let mut letters = VecDeque::from(letters);
        // Each letter that nobody reads gives a place back, which may bring another letter.
        while let Some(letter) = letters.pop_front() {
            // Whoever was called off at this moment does not read it any more.
            if let Err(grant) = letter.sender.send(letter.grant) {
                letters.extend(self.locked(|state, now| state.done(letter.lane, grant.probe, now)).1);
            }
        }
        result
    }

    fn locked<T>(&self, what: impl FnOnce(&mut State, Instant) -> T) -> (T, Vec<Letter>) {
        let mut state = self.lock();
        let before = state.due();
        let result = what(&mut state, Instant::now());
        let sooner = state.due().is_some_and(|due| before.is_none_or(|before| due < before));
        // The task that waits for timers ends when nothing waits.
        if state.driven && (sooner || state.waiting == 0) {
            self.sooner.notify_one();
        }
        (result, state.letters())
    }

    /// Waits until the request may be sent. Dropping the future gives everything back.
    pub async fn enter(self: &Arc<Queue>, ask: Ask<'_>) -> Place {
        let shape = Shape::of(ask.link);
        let counts_units = ask.key.workload == Workload::Directory;
        let cost = if counts_units { self.costs().of(&shape) } else { 1 };
        let (sender, receiver) = oneshot::channel();
        let (lane, ticket) = self.change(|state, now| {
            let lane = state.lane(ask.key, ask.tenant, ask.origin, now);
            if ask.again
                && let Some(lane) = state.lanes.get_mut(&lane)
            {
                lane.counts.retries += 1;
            }
            (lane, state.wait(lane, ask.priority, cost, sender, now))
        });
        self.drive();
        let mut line = Line { queue: Arc::clone(self), lane, ticket, priority: ask.priority, receiver: Some(receiver) };
        let grant = line.turn().await;
        Place::new(Arc::clone(self), lane, grant, counts_units.then_some(shape), ask.link.path())
    }

    /// The same, but not for ever where Graph asks to wait or does not answer: after `limit` of that the error is the reason. Waiting for
    /// a budget is not limited: it comes to an end.
    pub async fn enter_within(self: &Arc<Queue>, ask: Ask<'_>, limit: Option<Duration>) -> Result<Place, String> {
        let Some(limit) = limit else { return Ok(self.enter(ask).await) };
        let mut look_at = Instant::now() + limit;
        let mut line = std::pin::pin!(self.enter(ask));
        loop {
            if let Ok(place) = tokio::time::timeout_at(look_at, &mut line).await {
                return Ok(place);
            }
            let now = Instant::now();
            look_at = match self.lock().stopped(ask.key) {
                Some((since, why)) if since + limit <= now => return Err(why),
                Some((since, _)) => since + limit,
                None => now + limit,
            };
        }
    }

    /// Starts the task that waits for timers, if something waits and it does not run.
    fn drive(self: &Arc<Queue>) {
        {
            let mut state = self.lock();
            if state.driven || state.waiting == 0 {
                return;
            }
            state.driven = true;
        }
        let driver = Driver { queue: Arc::clone(self), ended: false };
        tokio::spawn(async move {
            // All of it moves in here: it stands for the task.
            let mut driver = driver;
            let queue = Arc::clone(&driver.queue);
            loop {
                let due = queue.change(|state, now| {
                    let due = state.run_timers(now);
                    state.driven = state.waiting > 0;
                    state.driven.then_some(due)
                });
                match due {
                    Some(Some(due)) => tokio::select! {
                        () = tokio::time::sleep_until(due) => {}
                        () = queue.sooner.notified() => {}
                    },
                    // Everything that waits waits for the end of a request.
                    Some(None) => queue.sooner.notified().await,
                    None => break,
                }
            }
            driver.ended = true;
        });
    }
}

/// A request in line. Dropped before its turn it leaves the line; dropped with its leave unread, it gives that back.
struct Line {
    queue: Arc<Queue>,
    lane: u64,
    ticket: u64,
    priority: Priority,
    receiver: Option<oneshot::Receiver<Grant>>,
}

impl Line {
    async fn turn(&mut self) -> Grant {
        let granted = match &mut self.receiver {
            Some(receiver) => receiver.await.ok(),
            None => None,
        };
        self.receiver = None;
        // The sender goes only with the lane, and the lane stays while anything waits in it.
        granted.unwrap_or(Grant { at: Instant::now(), cost: 1, probe: false, waited: Duration::ZERO })
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let Some(mut receiver) = self.receiver.take() else { return };
        let (lane, ticket, priority) = (self.lane, self.ticket, self.priority);
        if self.queue.change(|state, now| state.leave(lane, priority, ticket, now)) {
            return;
        }
        // Let go already: the leave is here, or its sender finds nobody and gives it back.
        receiver.close();
        if let Ok(grant) = receiver.try_recv() {
            self.queue.change(|state, now| state.done(lane, grant.probe, now));
        }
    }
}

/// The task that waits for timers. Should it be ended from outside, the next request in line starts another.
struct Driver {
    queue: Arc<Queue>,
    ended: bool,
}

impl Drop for Driver {
    fn drop(&mut self) {
        if !self.ended {
            self.queue.lock().driven = false;
        }
    }
}
