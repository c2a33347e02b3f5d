//! A history of events with the rhythm of working days: how many, when, by whom, and how late each is to be seen. Random, from the tenant's
//! seed; knows the store and the logs, nothing of HTTP.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::super::generate::{Random, guid, pick};
use super::super::options::TenantOptions;
use super::super::schema::Kind;
use super::super::store::Store;
use super::cast::PLACES;
use super::catalogue::{APP_RESULTS, Outcome, RESULTS};
use super::sign_ins::{Actor, EventType, SignIn};
use super::store::{Event, Logs};
use super::{audits, provisioning};

/// The history that a new tenant has.
pub(in crate::simulator) fn history(logs: &mut Logs, store: &Store, options: &TenantOptions, now: Timestamp, random: &mut Random) {
    let from = now - SignedDuration::from_hours(24 * i64::from(options.log_days));
    sign_ins(logs, store, options, (from, now), options.sign_ins, random);
    audits(logs, store, options, (from, now), options.directory_audits, random);
    provisioning(logs, store, options, (from, now), options.provisioning_events, random);
}

fn share(random: &mut Random, share: f64) -> bool {
    share > 0.0 && random.f64() < share
}

/// From when an event of this time is to be seen, and from when its other content.
fn arrival(at: Timestamp, options: &TenantOptions, random: &mut Random) -> (Timestamp, Option<Timestamp>) {
    let seconds = match (options.late_share > 0.0, share(random, options.late_share)) {
        // A service that is never late has everything at once: tests that want no lag ask for that.
        (false, _) => 0.0,
        (true, false) => random.f64() * 120.0,
        (true, true) => 120.0 + random.f64() * options.late_by_hours.max(0.0) * 3600.0,
    };
    let later =
        |at: Timestamp, seconds: f64| at.checked_add(SignedDuration::from_millis((seconds * 1000.0) as i64)).unwrap_or(Timestamp::MAX);
    let seen_from = later(at, seconds);
    let amended = share(random, options.amended_share).then(|| later(seen_from, 300.0 + random.f64() * 6.0 * 3600.0));
    (seen_from, amended)
}

/// How busy an hour of a weekday is, 1 at most.
fn busy(local: Timestamp) -> f64 {
    let local = local.to_zoned(TimeZone::UTC);
    let weekend = local.weekday().to_monday_zero_offset() >= 5;
    let hour = match local.hour() {
        8..=10 => 1.0,
        11 | 13..=16 => 0.75,
        7 | 12 | 17 => 0.5,
        18..=22 => 0.15,
        _ => 0.04,
    };
    if weekend { hour * 0.12 } else { hour }
}

/// Times in a span, by the clock of a place; some are the very time of the one before.
struct Moments {
    from: Timestamp,
    span: i64,
    before: Option<Timestamp>,
}

impl Moments {
    fn new((from, to): (Timestamp, Timestamp)) -> Moments {
        let span = to.as_nanosecond() - from.as_nanosecond();
        Moments { from, span: i64::try_from(span / 100).unwrap_or(i64::MAX).max(1), before: None }
    }

    fn next(&mut self, hours_from_utc: i8, random: &mut Random) -> Timestamp {
        if let Some(before) = self.before.filter(|_| random.u8(..20) == 0) {
            return before;
        }
        let mut at = self.from;
        for _ in 0..40 {
            at = self.from + SignedDuration::from_nanos(random.i64(0..self.span).saturating_mul(100));
            if random.f64() < busy(at + SignedDuration::from_hours(i64::from(hours_from_utc))) {
                break;
            }
        }
        self.before = Some(at);
        at
    }
}

fn outcome(list: &[Outcome], random: &mut Random) -> u8 {
    let mut draw = random.u32(..list.iter().map(|outcome| outcome.3).sum::<u32>());
    for (position, outcome) in list.iter().enumerate() {
        if draw < outcome.3 {
            return position as u8;
        }
        draw -= outcome.3;
    }
    0
}

/// Adds so many sign-ins of all types in a span.
pub(in crate::simulator) fn sign_ins(
    logs: &mut Logs,
    store: &Store,
    options: &TenantOptions,
    span: (Timestamp, Timestamp),
    count: usize,
    random: &mut Random,
) {
    let (users, apps) = (store.all(Kind::User), store.all(Kind::ServicePrincipal));
    let mut moments = Moments::new(span);
    for _ in 0..count {
        let kind = match random.u8(..100) {
            0..=54 => EventType::InteractiveUser,
            55..=87 => EventType::NonInteractiveUser,
            88..=96 => EventType::ServicePrincipal,
            _ => EventType::ManagedIdentity,
        };
        let actor = match kind.is_user() {
            true if users.is_empty() || random.u16(..200) == 0 => Actor::Unknown,
            true => {
                // Some sign in all the time, most now and then.
                let (a, b) = (random.usize(..users.len()), random.usize(..users.len()));
                Actor::Person(logs.cast.person(store.object(users[a.min(b)])))
            }
            false if apps.is_empty() => Actor::Unknown,
            false => Actor::Principal(logs.cast.principal(store.object(*pick(random, apps)))),
        };
        let place = match actor {
            Actor::Person(position) => logs.cast.get_person(position).map_or(0, |person| person.place),
            _ => random.usize(..PLACES.len()),
        };
        let at = moments.next(PLACES[place].5, random);
        let (seen_from, amended) = arrival(at, options, random);
        // What is told later is of people: how MFA ended, or that a risk is settled.
        let amended = amended.filter(|_| kind.is_user());
        let risky = kind == EventType::InteractiveUser && matches!(actor, Actor::Person(_)) && random.u16(..250) == 0;
        let content = SignIn {
            kind,
            actor,
            result: outcome(if kind.is_user() { RESULTS } else { APP_RESULTS }, random),
            risk: if risky { random.u8(1..=3) } else { 0 },
            seed: random.u64(..),
            patch: None,
            amendment: None,
        };
        let key = logs.sign_ins.add(at, &guid(random), Event { seen_from, amended, content });
        if risky {
            logs.risky.insert(key);
        }
    }
}

/// Adds so many directory audits in a span.
pub(in crate::simulator) fn audits(
    logs: &mut Logs,
    store: &Store,
    options: &TenantOptions,
    span: (Timestamp, Timestamp),
    count: usize,
    random: &mut Random,
) {
    let mut moments = Moments::new(span);
    let mut left = count;
    while left > 0 {
        let drafts = audits::anything(store, random);
        if drafts.is_empty() {
            return;
        }
        let mut at = moments.next(0, random);
        for draft in drafts.into_iter().take(left) {
            let (seen_from, _) = arrival(at, options, random);
            let id = audits::id(&draft.activity, &draft.correlation, random);
            let content = serde_json::Value::Object(draft.body).to_string().into();
            logs.audits.add(at, &id, Event { seen_from, amended: None, content });
            // The records of one action follow each other within the second.
            at += SignedDuration::from_nanos(random.i64(0..4_000_000) * 100);
            left -= 1;
        }
    }
}

/// Adds so many provisioning records in a span.
pub(in crate::simulator) fn provisioning(
    logs: &mut Logs,
    store: &Store,
    options: &TenantOptions,
    span: (Timestamp, Timestamp),
    count: usize,
    random: &mut Random,
) {
    let (mut moments, tenant_id) = (Moments::new(span), options.tenant_id());
    for _ in 0..count {
        let Some(body) = provisioning::anything(store, &tenant_id, random) else { return };
        let at = moments.next(0, random);
        let (seen_from, _) = arrival(at, options, random);
        let content = serde_json::Value::Object(body).to_string().into();
        logs.provisioning.add(at, &guid(random), Event { seen_from, amended: None, content });
    }
}
