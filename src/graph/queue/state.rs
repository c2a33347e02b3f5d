//! All lanes and what they share, under one lock that is never held while anything is awaited: who may send now, and when to look again.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::call::{Priority, Workload};
use super::breaker::{Breaker, Gate};
use super::budget::{Budgets, Sharing, shared_by};
use super::lane::{Grant, Lane, LaneKey, Pause, Waiter};
use super::meter::Meter;
use super::status::Counts;
use super::turns::{CLASSES, Turns};

/// With fewer lanes than this nothing is swept away.
const FEW_LANES: usize = 64;

/// What all tenants of an app (or all apps of a tenant) share in a workload.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SharedKey {
    /// Client id, or tenant id.
    pub of: String,
    pub workload: Workload,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub key: SharedKey,
    pub meter: Meter,
    pub pause: Pause,
    /// Lanes that could send but for this budget, by class; each has its turn.
    pub lines: [VecDeque<u64>; CLASSES],
    turns: Turns,
    timer: Option<Instant>,
    pub counts: Counts,
}

#[derive(Debug)]
pub(super) struct Origin {
    pub name: String,
    pub breaker: Breaker,
    /// Lanes that could send but for the breaker.
    pub parked: VecDeque<u64>,
    timer: Option<Instant>,
}

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    Lane(u64),
    Shared(u64),
    Origin(usize),
}

/// Leave to be sent once the lock is open.
#[derive(Debug)]
pub(super) struct Letter {
    pub lane: u64,
    pub sender: oneshot::Sender<Grant>,
    pub grant: Grant,
}

/// Everything.
#[derive(Debug)]
pub(super) struct State {
    budgets: Budgets,
    places: usize,
    keys: HashMap<LaneKey, u64>,
    pub lanes: HashMap<u64, Lane>,
    /// Counters of lanes that were forgotten: should they come back, they go on, as whoever computes rates expects.
    past: HashMap<LaneKey, Counts>,
    shared_keys: HashMap<SharedKey, u64>,
    pub shared: HashMap<u64, Shared>,
    pub origins: Vec<Origin>,
    /// Users by app and tenant, where they are known.
    users: HashMap<(String, String), u64>,
    timers: BinaryHeap<Reverse<(Instant, Target)>>,
    letters: Vec<Letter>,
    /// Requests that wait, in all lanes.
    pub waiting: usize,
    numbers: u64,
    sweep_at: usize,
    /// Whether the task that waits for timers runs.
    pub driven: bool,
}

impl State {
    pub fn new(budgets: Budgets, places: usize) -> State {
        State {
            budgets,
            places: places.max(1),
            keys: HashMap::new(),
            lanes: HashMap::new(),
            past: HashMap::new(),
            shared_keys: HashMap::new(),
            shared: HashMap::new(),
            origins: Vec::new(),
            users: HashMap::new(),
            timers: BinaryHeap::new(),
            letters: Vec::new(),
            waiting: 0,
            numbers: 0,
            sweep_at: FEW_LANES,
            driven: false,
        }
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// The origin's place, made when it is new; it serves this tenant.
    pub fn origin(&mut self, name: &str, tenant_id: &str) -> usize {
        let place = self.origins.iter().position(|origin| origin.name == name).unwrap_or_else(|| {
            let origin = Origin { name: name.to_owned(), breaker: Breaker::default(), parked: VecDeque::new(), timer: None };
            self.origins.push(origin);
            self.origins.len() - 1
        });
        self.origins[place].breaker.serve(tenant_id);
        place
    }

    /// How many users a tenant has decides how much may be asked of it.
    pub fn size_hint(&mut self, client_id: &str, tenant_id: &str, users: u64, now: Instant) {
        self.users.insert((client_id.to_owned(), tenant_id.to_owned()), users);
        let key = LaneKey { client_id: client_id.to_owned(), tenant_id: tenant_id.to_owned(), workload: Workload::Directory };
        let limits = self.budgets.limits(Workload::Directory, Some(users));
        if let Some(id) = self.keys.get(&key).copied() {
            if let Some(lane) = self.lanes.get_mut(&id) {
                lane.meter.set_limit(limits.own);
            }
            self.serve(id, now);
        }
    }

    /// Other budgets hold from now on; what was sent and learnt stays.
    pub fn set_budgets(&mut self, budgets: Budgets, now: Instant) {
        self.budgets = budgets;
        for lane in self.lanes.values_mut() {
            let users = self.users.get(&(lane.key.client_id.clone(), lane.key.tenant_id.clone())).copied();
            lane.meter.set_limit(self.budgets.limits(lane.key.workload, users).own);
            lane.meter.set_aim(self.budgets.aim);
        }
        for shared in self.shared.values_mut() {
            shared.meter.set_limit(self.budgets.limits(shared.key.workload, None).shared);
            shared.meter.set_aim(self.budgets.aim);
        }
        let ids: Vec<u64> = self.lanes.keys().copied().collect();
        ids.into_iter().for_each(|id| self.serve(id, now));
        let shared: Vec<u64> = self.shared.keys().copied().collect();
        shared.into_iter().for_each(|id| self.serve_shared(id, now));
    }

    /// The lane's number; it is made when there is none.
    pub fn lane(&mut self, key: &LaneKey, tenant: &str, origin: &str, now: Instant) -> u64 {
        if let Some(id) = self.keys.get(key) {
            return *id;
        }
        self.sweep(now);
        let users = self.users.get(&(key.client_id.clone(), key.tenant_id.clone())).copied();
        let limits = self.budgets.limits(key.workload, users);
        let aim = self.budgets.aim;
        let of = match shared_by(key.workload) {
            Sharing::App => key.client_id.clone(),
            Sharing::Tenant => key.tenant_id.clone(),
        };
        let shared_key = SharedKey { of, workload: key.workload };
        let shared = match self.shared_keys.get(&shared_key) {
            Some(id) => *id,
            None => {
                let id = self.number();
                let shared = Shared {
                    key: shared_key.clone(),
                    meter: Meter::new(limits.shared, aim),
                    pause: Pause::default(),
                    lines: Default::default(),
                    turns: Turns::default(),
                    timer: None,
                    counts: Counts::default(),
                };
                self.shared.insert(id, shared);
                self.shared_keys.insert(shared_key, id);
                id
            }
        };
        let origin = self.origin(origin, &key.tenant_id);
        let id = self.number();
        let mut lane = Lane::new(key.clone(), tenant, shared, origin, Meter::new(limits.own, aim), now);
        lane.counts = self.past.remove(key).unwrap_or_default();
        self.lanes.insert(id, lane);
        self.keys.insert(key.clone(), id);
        id
    }

    /// Forgets lanes that are over. Looked for only when there are twice as many as were left the last time: the cost is spread evenly.
    fn sweep(&mut self, now: Instant) {
        if self.lanes.len() < self.sweep_at {
            return;
        }
        let past = &mut self.past;
        self.lanes.retain(|_, lane| {
            let over = lane.is_over(now);
            if over {
                past.insert(lane.key.clone(), lane.counts);
            }
            !over
        });
        let (lanes, keys) = (&self.lanes, &mut self.keys);
        keys.retain(|_, id| lanes.contains_key(id));
        let in_use: HashSet<u64> = self.lanes.values().map(|lane| lane.shared).collect();
        self.shared.retain(|id, shared| in_use.contains(id) || shared.pause.until(now).is_some() || !shared.meter.is_clear(now));
        let (shared, keys) = (&self.shared, &mut self.shared_keys);
        keys.retain(|_, id| shared.contains_key(id));
        self.sweep_at = (self.lanes.len() * 2).max(FEW_LANES);
    }

    /// A request gets in line. Its ticket.
    pub fn wait(&mut self, lane: u64, priority: Priority, cost: u32, sender: oneshot::Sender<Grant>, now: Instant) -> u64 {
        let ticket = self.number();
        if let Some(lane) = self.lanes.get_mut(&lane) {
            lane.wait(priority, ticket, Waiter { sender, cost, since: now });
            self.waiting += 1;
        }
        self.serve(lane, now);
        ticket
    }

    /// A request was called off; `false` when it had been let go already.
    pub fn leave(&mut self, lane: u64, priority: Priority, ticket: u64, now: Instant) -> bool {
        let left = self.lanes.get_mut(&lane).is_some_and(|lane| lane.leave(priority, ticket));
        if left {
            self.waiting -= 1;
            // Whoever comes after it may cost less.
            self.serve(lane, now);
        }
        left
    }

    /// Lets go what may go from a lane.
    pub fn serve(&mut self, id: u64, now: Instant) {
        loop {
            let Some(lane) = self.lanes.get(&id) else { return };
            let (waits, shared) = (lane.waits(), lane.shared);
            let Some(class) = lane.turns.next(waits) else { return };
            if !self.may_go(id, class, now) {
                return;
            }
            let contended = self.shared.get(&shared).is_some_and(|shared| shared.lines.iter().any(|line| !line.is_empty()));
            if contended || !self.has_shared_room(id, class, now) {
                self.line_up(id);
                self.serve_shared(shared, now);
                return;
            }
            self.grant(id, class, now);
        }
    }

    /// Whether the lane itself and its origin let the first of a class go. If not, whatever keeps it brings the lane back here.
    fn may_go(&mut self, id: u64, class: usize, now: Instant) -> bool {
        let Some(lane) = self.lanes.get_mut(&id) else { return false };
        let Some(cost) = lane.first(class).map(|waiter| f64::from(waiter.cost)) else { return false };
        let places = if lane.pause.is_tentative() { 1 } else { self.places };
        if lane.in_flight >= places {
            return false;
        }
        if let Some(at) = lane.pause.until(now).or_else(|| lane.meter.room(cost, now)) {
            self.set_timer(Target::Lane(id), at);
            return false;
        }
        let place = lane.origin;
        let Some(origin) = self.origins.get_mut(place) else { return false };
        let Gate::Wait(at) = origin.breaker.gate(now) else { return true };
        if !lane.parked {
            lane.parked = true;
            origin.parked.push_back(id);
        }
        if let Some(at) = at {
            self.set_timer(Target::Origin(place), at);
        }
        false
    }

    fn has_shared_room(&mut self, id: u64, class: usize, now: Instant) -> bool {
        let Some(lane) = self.lanes.get(&id) else { return false };
        let Some(cost) = lane.first(class).map(|waiter| f64::from(waiter.cost)) else { return false };
        let target = lane.shared;
        let Some(shared) = self.shared.get_mut(&target) else { return false };
        match shared.pause.until(now).or_else(|| shared.meter.room(cost, now)) {
            Some(at) => {
                self.set_timer(Target::Shared(target), at);
                false
            }
            None => true,
        }
    }

    /// Puts a lane into the lines for what it shares.
    fn line_up(&mut self, id: u64) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let Some(shared) = self.shared.get_mut(&lane.shared) else { return };
        for (class, waits) in lane.waits().into_iter().enumerate() {
            if waits && !lane.in_line[class] {
                lane.in_line[class] = true;
                shared.lines[class].push_back(id);
            }
        }
    }

    /// Lets go what may go from the lines of a shared budget: class by class, lane by lane.
    fn serve_shared(&mut self, target: u64, now: Instant) {
        loop {
            let Some(shared) = self.shared.get_mut(&target) else { return };
            let waits = shared.lines.each_ref().map(|line| !line.is_empty());
            let Some(class) = shared.turns.next(waits) else { return };
            let Some(id) = shared.lines[class].front().copied() else { return };
            let goes = self.may_go(id, class, now);
            if goes && !self.has_shared_room(id, class, now) {
                return;
            }
            if goes {
                self.grant(id, class, now);
            }
            let stays = goes && self.lanes.get(&id).is_some_and(|lane| lane.waits()[class]);
            if let Some(lane) = self.lanes.get_mut(&id) {
                lane.in_line[class] = stays;
            }
            if let Some(shared) = self.shared.get_mut(&target) {
                shared.lines[class].pop_front();
                if stays {
                    shared.lines[class].push_back(id);
                }
                if goes {
                    shared.turns.went(class, waits);
                }
            }
        }
    }

    /// The breaker let go, or its time has come: one lane sends the probe, or all go on.
    pub fn serve_origin(&mut self, place: usize, now: Instant) {
        // Each lane once: one that is parked again waits for the next time.
        let lanes = self.origins.get(place).map_or(0, |origin| origin.parked.len());
        for _ in 0..lanes {
            let Some(origin) = self.origins.get_mut(place) else { return };
            match origin.breaker.gate(now) {
                Gate::Wait(Some(at)) => {
                    self.set_timer(Target::Origin(place), at);
                    return;
                }
                // The probe's end brings us back.
                Gate::Wait(None) => return,
                Gate::Closed | Gate::Probe => {}
            }
            let Some(id) = origin.parked.pop_front() else { return };
            if let Some(lane) = self.lanes.get_mut(&id) {
                lane.parked = false;
            }
            self.serve(id, now);
        }
    }

    fn grant(&mut self, id: u64, class: usize, now: Instant) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let Some(waiter) = lane.pop(class, now) else { return };
        self.waiting -= 1;
        if let Some(shared) = self.shared.get_mut(&lane.shared) {
            shared.meter.take(f64::from(waiter.cost), now);
            shared.counts.requests += 1;
        }
        let mut probe = false;
        if let Some(origin) = self.origins.get_mut(lane.origin)
            && origin.breaker.gate(now) == Gate::Probe
        {
            origin.breaker.probe();
            probe = true;
        }
        let waited = now.saturating_duration_since(waiter.since);
        let grant = Grant { at: now, cost: waiter.cost, probe, waited };
        self.letters.push(Letter { lane: id, sender: waiter.sender, grant });
    }

    /// A request is over.
    pub fn done(&mut self, id: u64, probe_lost: bool, now: Instant) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        lane.in_flight = lane.in_flight.saturating_sub(1);
        let place = lane.origin;
        if probe_lost && let Some(origin) = self.origins.get_mut(place) {
            origin.breaker.probe_lost();
            self.serve_origin(place, now);
        }
        self.serve(id, now);
    }

    fn timer(&mut self, target: Target) -> Option<&mut Option<Instant>> {
        match target {
            Target::Lane(id) => self.lanes.get_mut(&id).map(|lane| &mut lane.timer),
            Target::Shared(id) => self.shared.get_mut(&id).map(|shared| &mut shared.timer),
            Target::Origin(place) => self.origins.get_mut(place).map(|origin| &mut origin.timer),
        }
    }

    /// Looks at the target again at this instant, or before.
    fn set_timer(&mut self, target: Target, at: Instant) {
        let Some(timer) = self.timer(target) else { return };
        if timer.is_none_or(|set| set > at) {
            *timer = Some(at);
            self.timers.push(Reverse((at, target)));
        }
    }

    /// Does what is due. When the next is due.
    pub fn run_timers(&mut self, now: Instant) -> Option<Instant> {
        while let Some(Reverse((at, target))) = self.timers.peek().copied() {
            if at > now {
                return Some(at);
            }
            self.timers.pop();
            match self.timer(target) {
                // One that was replaced by an earlier one means nothing any more.
                Some(timer) if *timer == Some(at) => *timer = None,
                _ => continue,
            }
            match target {
                Target::Lane(id) => self.serve(id, now),
                Target::Shared(id) => self.serve_shared(id, now),
                Target::Origin(place) => self.serve_origin(place, now),
            }
        }
        None
    }

    /// When the next timer is due.
    pub fn due(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    /// What is to be sent once the lock is open.
    pub fn letters(&mut self) -> Vec<Letter> {
        std::mem::take(&mut self.letters)
    }

    /// Since when, and why, a lane is stopped by something other than its budgets: nobody can say for how long.
    pub fn stopped(&self, key: &LaneKey) -> Option<(Instant, String)> {
        let lane = self.lanes.get(self.keys.get(key)?)?;
        let shared = self.shared.get(&lane.shared).and_then(|shared| shared.pause.since());
        let throttled = lane.pause.since().into_iter().chain(shared).map(|(since, why)| (since, why.to_owned()));
        let origin = self.origins.get(lane.origin);
        let out = origin.and_then(|origin| Some((origin.breaker.since()?, format!("{} does not answer", origin.name))));
        throttled.chain(out).min_by_key(|(since, _)| *since)
    }

    /// Why the first of a lane waits, in words, and for how long the lane is stopped by Graph.
    pub fn why(&mut self, id: u64, now: Instant) -> (Option<String>, Duration) {
        let places = self.places;
        let Some(lane) = self.lanes.get_mut(&id) else { return (None, Duration::ZERO) };
        let seconds = |at: Instant| at.saturating_duration_since(now).as_secs_f64();
        let mut stopped = Duration::ZERO;
        let mut reason = lane.pause.describe(now).map(|(wait, reason)| {
            stopped = wait;
            reason.to_owned()
        });
        let cost = (0..CLASSES).find_map(|class| lane.first(class)).map(|waiter| f64::from(waiter.cost));
        if let Some(shared) = self.shared.get_mut(&lane.shared) {
            if let Some((wait, why)) = shared.pause.describe(now).filter(|(wait, _)| *wait > stopped) {
                stopped = wait;
                reason = Some(format!("{why} (all that share the budget)"));
            }
            if let (None, Some(cost)) = (&reason, cost) {
                let own = lane.meter.room(cost, now).map(|at| format!("the budget of the tenant: room in {:.1} s", seconds(at)));
                let all = || shared.meter.room(cost, now).map(|at| format!("the budget that is shared: room in {:.1} s", seconds(at)));
                reason = own.or_else(all);
            }
        }
        if let (None, Some(_), Some(origin)) = (&reason, cost, self.origins.get(lane.origin)) {
            reason = match origin.breaker.gate(now) {
                Gate::Closed if lane.in_flight >= places => Some("requests under way".to_owned()),
                Gate::Closed if lane.pause.is_tentative() => Some("one request that shows whether the throttling is over".to_owned()),
                Gate::Closed => Some("its turn".to_owned()),
                Gate::Probe | Gate::Wait(_) => Some(format!("{} to answer again", origin.name)),
            };
        }
        (reason, stopped)
    }
}
