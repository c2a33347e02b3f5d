//! Cron schedules in UTC: when the time of each resource comes next. Knows no tenant but for the spread of their starts.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use anyhow::anyhow;
use croner::Cron;
use jiff::Timestamp;

use crate::config::{Config, RECONCILE, parse_cron};

/// Tenants start within this share of the interval after a tick, so that a thousand do not start at once. The rest of it is for the seconds
/// by which the default schedules differ and for the runs themselves: one round should be over when the next begins.
const SPREAD_SHARE: f64 = 0.8;
/// But not later than this.
const LONGEST_SPREAD: Duration = Duration::from_secs(15 * 60);
/// A walk takes long: tenants begin theirs over an hour.
const WALK_SPREAD: Duration = Duration::from_secs(3600);

/// What comes when.
#[derive(Debug)]
pub(super) struct Schedule {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    /// A resource's name, or [`RECONCILE`].
    what: &'static str,
    cron: Cron,
    /// `None` = never again.
    next: Option<Timestamp>,
}

impl Entry {
    /// Time between its next two times; none when there are no two.
    fn interval(&self) -> Duration {
        let between = self.next.and_then(|next| Some(next_after(&self.cron, next)?.duration_since(next)));
        between.and_then(|span| Duration::try_from(span).ok()).unwrap_or_default()
    }
}

impl Schedule {
    /// An entry for each resource that some tenant mirrors, and one for [`RECONCILE`]; each comes next after `now`.
    ///
    /// # Errors
    /// A text that is no schedule, and whose.
    pub fn new(config: &Config, now: Timestamp) -> anyhow::Result<Schedule> {
        let mirrored = |resource: &str| config.tenants.iter().any(|tenant| tenant.resources.contains(&resource));
        let resources = config.schedule.iter().filter(|(resource, _)| mirrored(resource)).map(|(resource, text)| (*resource, text));
        let entries = resources.chain([(RECONCILE, &config.reconcile)]).map(|(what, text)| {
            let cron = parse_cron(text).map_err(|error| anyhow!("schedule.{what}: {error}"))?;
            Ok(Entry { what, next: next_after(&cron, now), cron })
        });
        Ok(Schedule { entries: entries.collect::<anyhow::Result<_>>()? })
    }

    /// Begins anew at this time, for a clock that was set.
    pub fn restart(&mut self, now: Timestamp) {
        self.entries.iter_mut().for_each(|entry| entry.next = next_after(&entry.cron, now));
    }

    /// What the time has come for, in that order, each with its interval. A time that was missed meanwhile is not made up for.
    pub fn due(&mut self, now: Timestamp) -> Vec<(&'static str, Duration)> {
        let mut due = Vec::new();
        for entry in &mut self.entries {
            let Some(at) = entry.next.filter(|at| *at <= now) else { continue };
            entry.next = next_after(&entry.cron, now);
            due.push((at, entry.what, entry.interval()));
        }
        due.sort();
        due.into_iter().map(|(_, what, interval)| (what, interval)).collect()
    }

    /// When something comes next.
    pub fn next(&self) -> Option<Timestamp> {
        self.entries.iter().filter_map(|entry| entry.next).min()
    }
}

/// The first time after `now` that a schedule names.
pub fn next_after(cron: &Cron, now: Timestamp) -> Option<Timestamp> {
    let now = chrono::DateTime::from_timestamp(now.as_second(), 0)?;
    let next = cron.find_next_occurrence(&now, false).ok()?;
    Timestamp::from_second(next.timestamp()).ok()
}

/// How long after a tick of what comes so often this tenant starts: always the same for the same name.
pub(super) fn spread(tenant: &str, interval: Duration) -> Duration {
    interval.mul_f64(SPREAD_SHARE).min(LONGEST_SPREAD).mul_f64(place(tenant))
}

/// The same for a walk from scratch.
pub(super) fn walk_spread(tenant: &str) -> Duration {
    WALK_SPREAD.mul_f64(place(tenant))
}

/// A tenant's place among all, 0 to 1.
fn place(tenant: &str) -> f64 {
    let mut hasher = DefaultHasher::new();
    tenant.hash(&mut hasher);
    (hasher.finish() % 10_000) as f64 / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn schedule(entries: &[(&'static str, &str)], now: &str) -> Schedule {
        let entry = |(what, text): &(&'static str, &str)| {
            let cron = parse_cron(text).expect("a schedule");
            Entry { what, next: next_after(&cron, at(now)), cron }
        };
        Schedule { entries: entries.iter().map(entry).collect() }
    }

    #[test]
    fn tenants_are_spread_over_the_interval() {
        let interval = Duration::from_secs(300);
        let starts: Vec<Duration> = (0..1000).map(|n| spread(&format!("tenant{n}"), interval)).collect();
        for quarter in 0..4 {
            let from = Duration::from_secs(60) * quarter;
            let in_it = starts.iter().filter(|s| **s >= from && **s < from + Duration::from_secs(60)).count();
            assert!((180..320).contains(&in_it), "{quarter}: {in_it}");
        }
        assert!(starts.iter().all(|start| *start <= Duration::from_secs(240)));
        assert_eq!(spread("contoso", interval), spread("contoso", interval));
        let longest = |span: fn(&str) -> Duration| (0..1000).map(|n| span(&format!("tenant{n}"))).max().unwrap_or_default().as_secs();
        assert!((890..=900).contains(&longest(|name| spread(name, Duration::from_secs(6 * 3600)))));
        assert!((3500..=3600).contains(&longest(walk_spread)));
    }

    #[test]
    fn the_next_time_is_found_in_utc() {
        let cron = parse_cron("0 */5 * * * *").expect("a schedule");
        let now = at("2026-11-23T08:04:59Z");
        assert_eq!(next_after(&cron, now), Some(at("2026-11-23T08:05:00Z")));
    }

    #[test]
    fn each_comes_at_its_time_once() {
        let entries = [("groups", "20 */5 * * * *"), ("users", "0 */5 * * * *"), (RECONCILE, "0 30 2 * * SUN")];
        let mut schedule = schedule(&entries, "2026-11-22T02:24:30Z");
        assert_eq!(schedule.next(), Some(at("2026-11-22T02:25:00Z")));
        assert!(schedule.due(at("2026-11-22T02:24:59.999Z")).is_empty());
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        assert_eq!(schedule.due(at("2026-11-22T02:25:00Z")), [("users", minutes(5))]);
        assert!(schedule.due(at("2026-11-22T02:25:19Z")).is_empty());
        // A machine that slept: each is due once, in the order of their times and, with equal ones, of their names.
        assert_eq!(
            schedule.due(at("2026-11-22T03:00:40Z")),
            [("groups", minutes(5)), (RECONCILE, minutes(7 * 24 * 60)), ("users", minutes(5))]
        );
        assert_eq!(schedule.next(), Some(at("2026-11-22T03:05:00Z")));
        schedule.restart(at("2026-11-21T00:00:00Z"));
        assert_eq!(schedule.next(), Some(at("2026-11-21T00:00:20Z")));
    }
}
