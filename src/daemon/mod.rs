//! The daemon: ticks of the schedule become runs, never two of the same resource of a tenant. Knows when, not how, a resource is synced.

mod clock;
mod driver;
mod live;
mod lock;
mod schedule;
mod systemd;

pub(crate) use live::utc;
pub use live::{LastFailure, Live, Moment, Progress, RunInHand, TenantWork, Totals};
pub use lock::lock_data_dir;
pub use schedule::next_after;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, ConfigError, RECONCILE};
use crate::sync::Engine;
use driver::Driver;
use schedule::Ticker;

/// Ticks that wait to be handled; there are as many resources at most, and a tick that is lost is followed by the next.
const TICKS: usize = 256;

/// The loop goes round at least this often, so that whoever looks can tell that it does.
const PULSE: Duration = Duration::from_secs(15);
/// What the queue waits for is told this often, at debug.
const TELL: Duration = Duration::from_secs(60);

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
        let (ticks, mut ticked) = mpsc::channel(TICKS);
        let mut ticker = Ticker::start(&self.config, ticks.clone()).await?;
        let mut driver = Driver::new(self.engine, self.config, self.live, stop.clone());
        driver.everything();
        systemd::ready();
        tracing::info!(tenants = driver.tenants(), "entra-mirror runs");
        let mut watchdog = systemd::Watchdog::start();
        let (mut pulse, mut tell) = (every(PULSE), every(TELL));
        let mut clock = clock::Watch::start();
        loop {
            driver.start_what_is_due();
            systemd::status(&driver.summary());
            tokio::select! {
                () = stop.cancelled() => break,
                Some(what) = ticked.recv() => if what == RECONCILE { driver.reconcile() } else { driver.tick(what) },
                () = driver.something_happens() => {}
                () = watchdog.beat() => {}
                _ = pulse.tick() => {}
                _ = tell.tick() => driver.tell_waits(),
                by = clock.was_set() => {
                    tracing::warn!(seconds = by.as_secs(), "this machine's clock was set; everything is synced now and the schedule starts anew");
                    ticker.stop().await;
                    ticker = Ticker::start(driver.config(), ticks.clone()).await?;
                    driver.everything();
                }
                _ = hangup.recv() => {
                    systemd::reloading();
                    match (self.reload)() {
                        Ok(config) => {
                            let tenants = config.tenants.len();
                            ticker.stop().await;
                            ticker = Ticker::start(&config, ticks.clone()).await?;
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
        ticker.stop().await;
        driver.finish().await;
        Ok(())
    }
}
