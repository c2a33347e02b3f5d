//! One simulated tenant: its store, clock, faults and request log, and the handle by which tests move it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::credentials::Credentials;
use super::faults::{Fault, Faults};
use super::generate::{self, Random};
use super::logs::{self, Logs};
use super::options::TenantOptions;
use super::schema::Kind;
use super::store::{Relation, Store};
use super::throttle::ThrottleStats;

/// A request as it was answered.
#[derive(Clone, Debug)]
pub struct RequestRecord {
    pub method: String,
    /// Path without the version, unless that is `beta`.
    pub path: String,
    /// Query as sent.
    pub query: String,
    pub status: u16,
    /// `x-ms-throttle-priority`, when sent.
    pub priority: Option<String>,
    /// When it was answered, by this machine's clock.
    pub at: Instant,
}

pub(super) struct Shared {
    pub options: TenantOptions,
    pub tenant_id: String,
    pub client_id: String,
    store: RwLock<Store>,
    /// Never to be held while the store is locked anew.
    pub logs: RwLock<Logs>,
    clock: RwLock<(Timestamp, Instant)>,
    /// How far the store was at which time: what delta does not tell yet when it lags.
    marks: Mutex<Vec<(Timestamp, u64)>>,
    pub faults: Mutex<Faults>,
    pub throttle_stats: Mutex<ThrottleStats>,
    requests: Mutex<Vec<RequestRecord>>,
    permissions: RwLock<Vec<String>>,
    random: Mutex<Random>,
    latency_millis: AtomicU64,
    /// Seconds that a token lives.
    pub token_life: AtomicU64,
    /// Tokens issued so far.
    pub tokens_issued: AtomicU64,
    /// Secret of the app; changes when a test revokes it.
    pub secret: RwLock<String>,
    pub credentials: Mutex<Credentials>,
    /// `$select` texts that delta tokens refer to.
    pub selections: Mutex<Vec<String>>,
}

/// Handle of a simulated tenant; cheap to clone.
#[derive(Clone)]
pub struct Tenant {
    pub(super) shared: Arc<Shared>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tenant {
    pub(super) fn new(options: TenantOptions) -> Tenant {
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
        let mut random = Random::with_seed(options.seed);
        let mut store = Store::default();
        store.announce_purged_links = options.quirks.announce_purged_links;
        generate::generate(&mut store, &options, now, &mut random);
        let mut events = Logs::default();
        // Of its own seed: what the directory is like does not depend on how long its logs are.
        logs::history(&mut events, &store, &options, now, &mut Random::with_seed(options.seed ^ 0x10c5));
        let shared = Shared {
            tenant_id: options.tenant_id(),
            client_id: options.client_id(),
            secret: RwLock::new(options.client_secret()),
            permissions: RwLock::new(options.permissions.clone()),
            faults: Mutex::new(Faults::new(options.seed, now)),
            throttle_stats: Mutex::default(),
            options,
            marks: Mutex::new(vec![(now, store.seq)]),
            store: RwLock::new(store),
            logs: RwLock::new(events),
            clock: RwLock::new((now, Instant::now())),
            requests: Mutex::default(),
            random: Mutex::new(random),
            latency_millis: AtomicU64::new(0),
            token_life: AtomicU64::new(3599),
            tokens_issued: AtomicU64::new(0),
            credentials: Mutex::default(),
            selections: Mutex::default(),
        };
        Tenant { shared: Arc::new(shared) }
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Store> {
        self.shared.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Store> {
        self.shared.store.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn random(&self) -> MutexGuard<'_, Random> {
        lock(&self.shared.random)
    }

    /// The tenant id.
    pub fn tenant_id(&self) -> &str {
        &self.shared.tenant_id
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.shared.options.name
    }

    /// The app registration's client id.
    pub fn client_id(&self) -> &str {
        &self.shared.client_id
    }

    /// The app registration's secret.
    pub fn client_secret(&self) -> String {
        self.shared.secret.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Exchanges the secret; tokens that were issued stay good.
    pub fn set_client_secret(&self, secret: &str) {
        *self.shared.secret.write().unwrap_or_else(PoisonError::into_inner) = secret.to_owned();
    }

    /// The simulated time.
    pub fn now(&self) -> Timestamp {
        let (at, since) = *self.shared.clock.read().unwrap_or_else(PoisonError::into_inner);
        let passed = if self.shared.options.real_time { since.elapsed() } else { Duration::ZERO };
        at + SignedDuration::try_from(passed).unwrap_or_default()
    }

    /// Moves the simulated time forward.
    pub fn advance(&self, by: Duration) {
        self.mark();
        let mut clock = self.shared.clock.write().unwrap_or_else(PoisonError::into_inner);
        clock.0 += SignedDuration::try_from(by).unwrap_or_default();
        drop(clock);
        self.end_activations();
    }

    /// What PIM activated until a time that has passed is over.
    fn end_activations(&self) {
        let now = self.now();
        let over = |object: &&super::store::Object| object.text("endDateTime").parse::<Timestamp>().is_ok_and(|end| end <= now);
        let activated = |object: &&super::store::Object| object.text("assignmentType") == "Activated";
        let kind = Kind::RoleAssignmentScheduleInstance;
        let ended: Vec<String> = self.read().live(kind).filter(activated).filter(over).map(|object| object.id.clone()).collect();
        ended.iter().for_each(|id| self.end_role(id));
    }

    /// Notes how far the store is now.
    fn mark(&self) {
        if self.shared.options.delta_lag > Duration::ZERO {
            let mark = (self.now(), self.read().seq);
            lock(&self.shared.marks).push(mark);
        }
    }

    /// The last change that delta tells: with a lag, one that is known to have happened long enough ago.
    pub(super) fn told_until(&self) -> u64 {
        let lag = self.shared.options.delta_lag;
        if lag.is_zero() {
            return self.read().seq;
        }
        self.mark();
        let from = self.now() - SignedDuration::try_from(lag).unwrap_or_default();
        let marks = lock(&self.shared.marks);
        let told = marks.iter().filter(|(at, _)| *at <= from).map(|(_, seq)| *seq).max();
        // What the tenant was made with is told from the beginning.
        told.or_else(|| marks.first().map(|(_, seq)| *seq)).unwrap_or_default()
    }

    /// Adds a fault.
    pub fn fault(&self, fault: Fault) {
        lock(&self.shared.faults).add(fault);
    }

    /// How often each fault hit so far, by what it matches, in the order they were added.
    pub fn fault_hits(&self) -> Vec<(String, u64)> {
        lock(&self.shared.faults).hits()
    }

    /// Takes all faults away.
    pub fn clear_faults(&self) {
        lock(&self.shared.faults).clear();
    }

    /// Every answer takes at least this long.
    pub fn set_latency(&self, latency: Duration) {
        self.shared.latency_millis.store(latency.as_millis() as u64, Ordering::Relaxed);
    }

    pub(super) fn latency(&self) -> Duration {
        Duration::from_millis(self.shared.latency_millis.load(Ordering::Relaxed))
    }

    /// How long tokens live from now on, in seconds.
    pub fn set_token_life(&self, seconds: u64) {
        self.shared.token_life.store(seconds, Ordering::Relaxed);
    }

    /// How many tokens were issued so far.
    pub fn tokens_issued(&self) -> u64 {
        self.shared.tokens_issued.load(Ordering::Relaxed)
    }

    /// Consents to exactly these permissions; tokens asked for from now on carry them.
    pub fn set_permissions(&self, permissions: &[&str]) {
        *self.shared.permissions.write().unwrap_or_else(PoisonError::into_inner) = permissions.iter().map(|p| (*p).to_owned()).collect();
    }

    pub(super) fn permissions(&self) -> Vec<String> {
        self.shared.permissions.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn record(&self, record: RequestRecord) {
        lock(&self.shared.requests).push(record);
    }

    /// What was asked of this tenant's Graph so far.
    pub fn requests(&self) -> Vec<RequestRecord> {
        lock(&self.shared.requests).clone()
    }

    /// Forgets what was asked so far.
    pub fn clear_requests(&self) {
        lock(&self.shared.requests).clear();
    }

    /// What throttling did so far.
    pub fn throttle_stats(&self) -> ThrottleStats {
        lock(&self.shared.throttle_stats).clone()
    }

    /// Ids of live objects of a kind.
    pub fn ids(&self, kind: Kind) -> Vec<String> {
        self.read().live(kind).map(|object| object.id.clone()).collect()
    }

    /// Creates an object from Graph properties; returns its id.
    pub fn create(&self, kind: Kind, properties: Value) -> String {
        let id = generate::guid(&mut self.random());
        let properties = match properties {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        self.write().create(kind, &id, properties);
        id
    }

    /// A person joins; returns the id.
    pub fn hire(&self) -> String {
        let now = self.now();
        let number = 1_000_000 + self.read().all(Kind::User).len();
        let mut random = self.random();
        let (department, id) = (random.usize(..12), generate::guid(&mut random));
        let properties = generate::person(&mut random, &self.shared.options.domain, number, 3, department, now);
        drop(random);
        self.write().create(Kind::User, &id, properties);
        id
    }

    /// Sets properties; null clears one. `false` when there is no such object.
    pub fn update(&self, id: &str, patch: Value) -> bool {
        patch.as_object().is_some_and(|patch| self.write().update(id, patch))
    }

    /// Sets or removes a user's manager.
    pub fn set_manager(&self, user: &str, manager: Option<&str>) {
        self.write().set_manager(user, manager);
    }

    /// Adds a member to a group or administrative unit; `false` when it is one.
    pub fn add_member(&self, of: &str, member: &str) -> bool {
        self.write().link(of, Relation::Members, member)
    }

    /// Removes a member; `false` when it is none.
    pub fn remove_member(&self, of: &str, member: &str) -> bool {
        self.write().unlink(of, Relation::Members, member)
    }

    /// Adds an owner of a group.
    pub fn add_owner(&self, of: &str, owner: &str) -> bool {
        self.write().link(of, Relation::Owners, owner)
    }

    /// Removes an owner of a group.
    pub fn remove_owner(&self, of: &str, owner: &str) -> bool {
        self.write().unlink(of, Relation::Owners, owner)
    }

    /// Ids of the members of a group or unit.
    pub fn members(&self, of: &str) -> Vec<String> {
        let store = self.read();
        let links = store.find(of).into_iter().flat_map(|object| object.live_links(Relation::Members));
        links.map(|link| store.object(link.target).id.clone()).collect()
    }

    /// Deletes: softly where Entra keeps the object for 30 days.
    pub fn delete(&self, id: &str) -> bool {
        let now = self.now();
        self.write().delete(id, now)
    }

    /// Brings a soft-deleted object back.
    pub fn restore(&self, id: &str) -> bool {
        self.write().restore(id)
    }

    /// Removes a soft-deleted object for good.
    pub fn purge(&self, id: &str) -> bool {
        self.write().purge(id)
    }

    /// The object's next change is never told by delta (it happens).
    pub fn lose_next_change(&self, id: &str) {
        self.write().lose_next_change(id);
    }

    /// Gives a directory role; with an end it is one that PIM activated. Returns the assignment's id.
    pub fn assign_role(&self, principal: &str, role: &str, end: Option<Timestamp>) -> String {
        self.assign_role_in(principal, role, "/", end)
    }

    /// The same within a scope, such as `/administrativeUnits/{id}`.
    pub fn assign_role_in(&self, principal: &str, role: &str, scope: &str, end: Option<Timestamp>) -> String {
        let now = self.now();
        let mut random = self.random();
        generate::assign_role(&mut self.write(), principal, role, scope, end, now, &mut random)
    }

    /// Takes a directory role away.
    pub fn end_role(&self, assignment: &str) {
        let mut store = self.write();
        store.end(Kind::RoleAssignment, assignment);
        store.end(Kind::RoleAssignmentScheduleInstance, assignment);
    }

    /// Everything as it really is, by collection, in Graph's shape.
    pub fn ground_truth(&self) -> Value {
        let mut truth = super::truth::ground_truth(&self.read());
        logs::add_truth(self, &mut truth);
        truth
    }

    /// So many believable things happen: people join, move, leave, come back; memberships, managers, licences, roles change.
    pub fn live(&self, events: usize) {
        super::life::live(self, events);
    }
}
