//! Cron schedules in UTC: one job a resource that only says that its time has come. Knows no tenant but for the spread of their starts.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_cron_scheduler::{Job, JobScheduler};

use crate::config::{Config, RECONCILE};

/// Tenants start within this share of the interval after a tick, so that a thousand do not start at once.
const SPREAD_SHARE: f64 = 0.5;
/// But not later than this.
const LONGEST_SPREAD: Duration = Duration::from_secs(300);

/// The running cron jobs.
pub(super) struct Ticker {
    scheduler: JobScheduler,
}

impl Ticker {
    /// Starts a job for each resource that some tenant mirrors; it sends the resource's name. Another sends [`RECONCILE`].
    pub async fn start(config: &Config, ticks: mpsc::Sender<&'static str>) -> anyhow::Result<Ticker> {
        let scheduler = JobScheduler::new().await.context("cannot start the scheduler")?;
        let mirrored = |resource: &str| config.tenants.iter().any(|tenant| tenant.resources.contains(&resource));
        let resources = config.schedule.iter().filter(|(resource, _)| mirrored(resource)).map(|(resource, cron)| (*resource, cron));
        for (what, cron) in resources.chain([(RECONCILE, &config.reconcile)]) {
            let ticks = ticks.clone();
            let job = Job::new_async(cron.as_str(), move |_, _| {
                let ticks = ticks.clone();
                // When the driver is that far behind, the next tick will do.
                Box::pin(async move {
                    let _ = ticks.try_send(what);
                })
            })
            .with_context(|| format!("schedule.{what}"))?;
            scheduler.add(job).await.with_context(|| format!("schedule.{what}"))?;
        }
        scheduler.start().await.context("cannot start the scheduler")?;
        Ok(Ticker { scheduler })
    }

    /// Stops all jobs. What they started goes on.
    pub async fn stop(&mut self) {
        if let Err(error) = self.scheduler.shutdown().await {
            tracing::warn!(%error, "the scheduler did not stop cleanly");
        }
    }
}

/// The first time after `now` that a schedule names.
pub fn next_after(cron: &croner::Cron, now: Timestamp) -> Option<Timestamp> {
    let now = chrono::DateTime::from_timestamp(now.as_second(), 0)?;
    let next = cron.find_next_occurrence(&now, false).ok()?;
    Timestamp::from_second(next.timestamp()).ok()
}

/// Time between two ticks.
pub(super) fn interval(cron: &str) -> Option<Duration> {
    let cron = crate::config::parse_cron(cron).ok()?;
    let first = next_after(&cron, Timestamp::now())?;
    let second = next_after(&cron, first)?;
    Duration::try_from(second.duration_since(first)).ok()
}

/// How long after a tick this tenant starts: always the same for the same name.
pub(super) fn spread(tenant: &str, interval: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    tenant.hash(&mut hasher);
    let share = (hasher.finish() % 10_000) as f64 / 10_000.0;
    interval.mul_f64(SPREAD_SHARE).min(LONGEST_SPREAD).mul_f64(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_are_spread_over_the_interval() {
        let interval = Duration::from_secs(300);
        let starts: Vec<Duration> = (0..1000).map(|n| spread(&format!("tenant{n}"), interval)).collect();
        assert!(starts.iter().all(|start| *start <= Duration::from_secs(150)));
        for quarter in 0..4 {
            let from = Duration::from_secs(150).mul_f64(f64::from(quarter) / 4.0);
            let in_it = starts.iter().filter(|s| **s >= from && **s < from + Duration::from_secs(150) / 4).count();
            assert!((180..320).contains(&in_it), "{quarter}: {in_it}");
        }
        assert_eq!(spread("contoso", interval), spread("contoso", interval));
    }

    #[test]
    fn the_next_time_is_found_in_utc() {
        let cron = crate::config::parse_cron("0 */5 * * * *").expect("a schedule");
        let now: Timestamp = "2026-11-23T08:04:59Z".parse().expect("a time");
        assert_eq!(next_after(&cron, now).map(|t| t.to_string()).as_deref(), Some("2026-11-23T08:05:00Z"));
        assert_eq!(interval("0 */5 * * * *"), Some(Duration::from_secs(300)));
    }
}
