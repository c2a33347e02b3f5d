//! The handle's part for logs: events that a test wants, and more of the usual ones while the clock goes on. Knows the tenant's locks; no HTTP.

use std::sync::{PoisonError, RwLockReadGuard, RwLockWriteGuard};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::super::generate::{Random, guid};
use super::super::schema::Kind;
use super::super::tenant::Tenant;
use super::audits::{self, Draft};
use super::sign_ins::{Actor, EventType, SignIn, into_map};
use super::store::{Event, Logs, merge};
use super::{cast, generate};

/// Takes a time out of a patch.
fn take_time(patch: &mut Map<String, Value>, name: &str) -> Option<Timestamp> {
    patch.remove(name)?.as_str()?.parse().ok()
}

impl Tenant {
    pub(in crate::simulator) fn logs(&self) -> RwLockReadGuard<'_, Logs> {
        self.shared.logs.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write_logs(&self) -> RwLockWriteGuard<'_, Logs> {
        self.shared.logs.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A random source of its own, so that no lock is held while others are taken.
    pub(super) fn fork_random(&self) -> Random {
        self.random().fork()
    }

    /// The time of an event that happens now: to seven digits.
    fn event_time(&self) -> Timestamp {
        let now = self.now();
        now - SignedDuration::from_nanos(i64::from(now.subsec_nanosecond() % 100))
    }

    /// A sign-in that happens and is to be seen now; returns its id. `patch` sets properties, objects within objects too; `createdDateTime`
    /// lets it have happened earlier (it arrives late), `visibleFrom` lets it be seen later, `signInEventTypes` names its type, `userId` or
    /// `servicePrincipalId` who it was, `riskLevelDuringSignIn` makes a risk of it. Otherwise somebody signs in well.
    pub fn sign_in(&self, patch: Value) -> String {
        let (mut patch, mut random, now) = (into_map(patch), self.fork_random(), self.event_time());
        let at = take_time(&mut patch, "createdDateTime").unwrap_or(now);
        let seen_from = take_time(&mut patch, "visibleFrom").unwrap_or(now);
        let id = patch.remove("id").and_then(|id| id.as_str().map(str::to_owned)).unwrap_or_else(|| guid(&mut random));
        let types = patch.remove("signInEventTypes").unwrap_or_default();
        let kind = EventType::ALL.into_iter().find(|kind| types[0] == kind.name()).unwrap_or(EventType::InteractiveUser);
        let risk = match patch.get("riskLevelDuringSignIn").and_then(Value::as_str) {
            Some("low") => 1,
            Some("medium") => 2,
            Some("high") => 3,
            _ => 0,
        };
        if risk > 0 {
            // Told by licence, like every other risk.
            patch.remove("riskLevelDuringSignIn");
        }
        let store = self.read();
        let mut logs = self.write_logs();
        let all = store.all(if kind.is_user() { Kind::User } else { Kind::ServicePrincipal });
        let named = patch.get(if kind.is_user() { "userId" } else { "servicePrincipalId" }).map(|id| id.as_str().unwrap_or_default());
        let object = match named {
            Some(id) if kind.is_user() => cast::user(&store, id),
            Some(id) => store.find(id),
            None if all.is_empty() => None,
            None => (0..20).map(|_| store.object(all[random.usize(..all.len())])).find(|object| object.is_live()),
        };
        let actor = match (object, kind.is_user()) {
            (None, _) => Actor::Unknown,
            (Some(object), true) => Actor::Person(logs.cast.person(object)),
            (Some(object), false) => Actor::Principal(logs.cast.principal(object)),
        };
        let patch = (!patch.is_empty()).then(|| Box::new(patch));
        let content = SignIn { kind, actor, result: 0, risk, seed: random.u64(..), patch, amendment: None };
        let key = logs.sign_ins.add(at, &id, Event { seen_from, amended: None, content });
        if risk > 0 {
            logs.risky.insert(key);
        }
        id
    }

    /// From now on the sign-in is told with these properties, under the same id; `false` when there is none.
    pub fn amend_sign_in(&self, id: &str, patch: Value) -> bool {
        let (patch, now) = (into_map(patch), self.event_time());
        let mut logs = self.write_logs();
        let Some(key) = logs.sign_ins.key(id) else { return false };
        let Some(event) = logs.sign_ins.get_mut(&key) else { return false };
        event.amended = Some(event.amended.map_or(now, |at| at.min(now)));
        merge(event.content.amendment.get_or_insert_default(), &patch);
        true
    }

    /// A directory audit that happens and is to be seen now; returns its id. `patch` as for [`Tenant::sign_in`], with `activityDateTime`.
    pub fn audit(&self, patch: Value) -> String {
        let (mut patch, mut random, now) = (into_map(patch), self.fork_random(), self.event_time());
        let at = take_time(&mut patch, "activityDateTime").unwrap_or(now);
        let seen_from = take_time(&mut patch, "visibleFrom").unwrap_or(now);
        let id = patch.remove("id").and_then(|id| id.as_str().map(str::to_owned));
        let store = self.read();
        let users = store.all(Kind::User);
        let target = users.first().map(|user| audits::target(store.object(*user), &[])).into_iter().collect::<Vec<_>>();
        let by = audits::initiator(&store, &mut random);
        let correlation = guid(&mut random);
        let mut body = audits::body(&audits::UPDATE_USER, by, &target, &correlation, &mut random);
        body.extend(into_map(serde_json::json!({"result": "success", "resultReason": ""})));
        for name in ["initiatedBy", "targetResources"] {
            // Merged, a given initiator would keep what the other one had.
            if let Some(value) = patch.remove(name) {
                body.insert(name.into(), value);
            }
        }
        merge(&mut body, &patch);
        let id = id.unwrap_or_else(|| audits::id(&audits::UPDATE_USER, &correlation, &mut random));
        let content = Value::Object(body).to_string().into();
        self.write_logs().audits.add(at, &id, Event { seen_from, amended: None, content });
        id
    }

    /// Adds records that happen and are to be seen now.
    pub(super) fn record_audits(&self, drafts: Vec<Draft>, random: &mut Random) {
        let now = self.event_time();
        let mut logs = self.write_logs();
        for draft in drafts {
            let id = audits::id(&draft.activity, &draft.correlation, random);
            let content = Value::Object(draft.body).to_string().into();
            logs.audits.add(now, &id, Event { seen_from: now, amended: None, content });
        }
    }

    /// Adds so many sign-ins and audits within a span, which may end in the future: some late, some amended later, as the options say.
    pub fn generate_logs(&self, from: Timestamp, to: Timestamp, sign_ins: usize, audits: usize) {
        let (mut random, options) = (self.fork_random(), &self.shared.options);
        let store = self.read();
        let mut logs = self.write_logs();
        generate::sign_ins(&mut logs, &store, options, (from, to), sign_ins, &mut random);
        generate::audits(&mut logs, &store, options, (from, to), audits, &mut random);
    }

    /// Adds so many provisioning records within a span.
    pub fn generate_provisioning(&self, from: Timestamp, to: Timestamp, count: usize) {
        let mut random = self.fork_random();
        let store = self.read();
        generate::provisioning(&mut self.write_logs(), &store, &self.shared.options, (from, to), count, &mut random);
    }

    /// Sets registration details of a user beside what follows from its id.
    pub fn set_registration(&self, user: &str, patch: Value) {
        merge(self.write_logs().registrations.entry(user.to_owned()).or_default(), &into_map(patch));
    }
}
