//! The daemon: times of the schedule become runs, never two of the same resource of a tenant. Knows when, not how, a resource is synced.

mod driver;
mod line;
mod live;
mod lock;
mod pace;
mod schedule;
mod systemd;
mod watch;

pub(crate) use live::utc;
pub use live::{LastFailure, Live, Moment, Progress, RunInHand, TenantWork, Totals};
pub use lock::lock_data_dir;
pub use schedule::next_after;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::config::{Config, ConfigError, RECONCILE};
use crate::sync::Engine;
use driver::Driver;
use pace::Pace;
use schedule::Schedule;

/// The loop goes round at least this often, so that whoever looks can tell that it does.
const PULSE: Duration = Duration::from_secs(15);
/// What the queue waits for is told this often, at debug.
const TELL: Duration = Duration::from_secs(60);
/// What was done so far is told this often, at info.
const SUMMARY: Duration = Duration::from_secs(3600);

/// Ticks so far apart; one that was missed is not made up for.
fn every(span: Duration) -> Interval {
    let mut interval = tokio::time::interval(span);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// The daemon with everything it needs.
pub struct Daemon {
    pub engine: Engine,
    pub config: Config,
    /// What it does is told here. The engine's observer, where the runs are to be seen too.
    pub live: Arc<Live>,
    /// Reads the configuration again, for SIGHUP.
    pub reload: Box<dyn Fn() -> Result<Config, ConfigError> + Send + Sync>,
}

impl Daemon {
    /// Runs until `stop` is cancelled; then the pages in hand are finished.
    ///
    /// # Errors
    /// What keeps it from starting. Once it runs, failures are told in the log, in the ledger and in `status`.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
        let mut schedule = Schedule::new(&self.config, clock::now())?;
        let mut driver = Driver::new(self.engine, self.config, self.live, stop.clone());
        driver.everything();
        systemd::ready();
        tracing::info!(tenants = driver.tenants(), "entra-mirror runs");
        let mut watchdog = systemd::Watchdog::start();
        let (mut pulse, mut tell, mut summary) = (every(PULSE), every(TELL), every(SUMMARY));
        // The first tick of an interval comes at once, when there is nothing to sum up.
        summary.tick().await;
        let mut watch = watch::Watch::start();
        let mut status = systemd::Status::new();
        let mut pace = Pace::of_the_process();
        loop {
            for (what, interval) in schedule.due(clock::now()) {
                if what == RECONCILE { driver.reconcile() } else { driver.tick(what, interval) }
            }
            driver.start_what_is_due();
            status.tell(|| driver.summary());
            let until = schedule.next().map(|at| Duration::try_from(at.duration_since(clock::now())).unwrap_or_default());
            let until = until.into_iter().chain(driver.until_due()).min();
            let idle = driver.is_idle();
            tokio::select! {
                () = stop.cancelled() => break,
                () = driver.a_run_ends() => {}
                () = pace.wait(until, idle) => {}
                () = watchdog.beat() => {}
                _ = pulse.tick() => {}
                _ = tell.tick() => driver.tell_waits(),
                _ = summary.tick() => driver.tell_summary(),
                by = watch.was_set() => {
                    tracing::warn!(seconds = by.as_secs(), "this machine's clock was set; everything is synced now and the schedule starts anew");
                    schedule.restart(clock::now());
                    driver.everything();
                }
                _ = hangup.recv() => {
                    systemd::reloading();
                    match (self.reload)() {
                        Ok(config) => {
                            let tenants = config.tenants.len();
                            schedule = Schedule::new(&config, clock::now())?;
                            driver.reconfigure(config);
                            tracing::info!(tenants, "configuration read again");
                        }
                        Err(error) => tracing::error!("the configuration is not usable, the old one stays: {error}"),
                    }
                    systemd::ready();
                }
            }
        }
        systemd::stopping();
        tracing::info!(running = driver.running(), "stopping after the pages in hand");
        driver.finish().await;
        Ok(())
    }
}
