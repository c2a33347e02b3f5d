//! The events of a tenant in the order of their time, and from when each is to be seen. Knows nothing of HTTP, filters, or how an event looks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::cast::Cast;
use super::sign_ins::SignIn;

/// Position of an event: its time, then its id, so that equal times have an order too.
pub(in crate::simulator) type Key = (Timestamp, Arc<str>);

/// One event and when it is to be seen.
#[derive(Clone, Debug)]
pub(in crate::simulator) struct Event<C> {
    /// Not told of before; an event that arrives late is to be seen long after it happened.
    pub seen_from: Timestamp,
    /// From then on its other content is told under the same id.
    pub amended: Option<Timestamp>,
    pub content: C,
}

impl<C> Event<C> {
    pub fn is_seen(&self, now: Timestamp) -> bool {
        self.seen_from <= now
    }

    pub fn is_amended(&self, now: Timestamp) -> bool {
        self.amended.is_some_and(|at| at <= now)
    }
}

/// Events of one sort.
#[derive(Debug)]
pub(in crate::simulator) struct Log<C> {
    events: BTreeMap<Key, Event<C>>,
    times: HashMap<Arc<str>, Timestamp>,
}

impl<C> Default for Log<C> {
    fn default() -> Log<C> {
        Log { events: BTreeMap::new(), times: HashMap::new() }
    }
}

impl<C> Log<C> {
    /// Adds an event; one of the same id is replaced.
    pub fn add(&mut self, at: Timestamp, id: &str, event: Event<C>) -> Key {
        let id: Arc<str> = id.into();
        if let Some(before) = self.times.insert(Arc::clone(&id), at) {
            self.events.remove(&(before, Arc::clone(&id)));
        }
        self.events.insert((at, Arc::clone(&id)), event);
        (at, id)
    }

    pub fn key(&self, id: &str) -> Option<Key> {
        self.times.get_key_value(id).map(|(id, at)| (*at, Arc::clone(id)))
    }

    pub fn get(&self, key: &Key) -> Option<&Event<C>> {
        self.events.get(key)
    }

    pub fn get_mut(&mut self, key: &Key) -> Option<&mut Event<C>> {
        self.events.get_mut(key)
    }

    /// All, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Event<C>)> {
        self.events.iter()
    }

    /// Events from `from` on and before `to`, beyond `after` in the direction of reading. Only the span is walked, however long the log.
    pub fn span<'l>(
        &'l self,
        from: Timestamp,
        to: Timestamp,
        after: Option<&Key>,
        ascending: bool,
    ) -> Box<dyn Iterator<Item = (&'l Key, &'l Event<C>)> + 'l> {
        let edge = |at: Timestamp| -> Key { (at, Arc::from("")) };
        let (mut lower, mut upper) = (Bound::Included(edge(from)), edge(to));
        let mut lowest = edge(from);
        match after {
            Some(after) if ascending && *after >= lowest => {
                lowest = after.clone();
                lower = Bound::Excluded(after.clone());
            }
            Some(after) if !ascending && *after < upper => upper = after.clone(),
            _ => {}
        }
        // A range whose ends have passed each other would panic.
        if lowest >= upper {
            return Box::new(std::iter::empty());
        }
        let range = self.events.range((lower, Bound::Excluded(upper)));
        if ascending { Box::new(range) } else { Box::new(range.rev()) }
    }
}

/// All logs of a tenant.
#[derive(Debug, Default)]
pub(in crate::simulator) struct Logs {
    pub sign_ins: Log<SignIn>,
    /// Bodies as JSON text, which needs a fraction of the memory of values.
    pub audits: Log<Box<str>>,
    pub provisioning: Log<Box<str>>,
    /// Sign-ins that carry a risk: what detections and risky users are made from.
    pub risky: BTreeSet<Key>,
    pub cast: Cast,
    /// Registration details that a test has set, by user.
    pub registrations: HashMap<String, Map<String, Value>>,
}

/// Time as the logs write it: always seven digits of a second.
pub(in crate::simulator) fn seven_digits(at: Timestamp) -> String {
    format!("{}.{:07}Z", at.strftime("%Y-%m-%dT%H:%M:%S"), at.subsec_nanosecond().unsigned_abs() / 100)
}

/// Merges `patch` into `body`, objects within objects too.
pub(in crate::simulator) fn merge(body: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (name, value) in patch {
        match (body.get_mut(name), value) {
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
            _ => {
                body.insert(name.clone(), value.clone());
            }
        }
    }
}
