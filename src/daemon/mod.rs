//! The daemon: ticks of the schedule become runs, never two of the same resource of a tenant. Knows when, not how, a resource is synced.

mod clock;
mod driver;
mod lock;
mod schedule;
mod systemd;

pub use lock::lock_data_dir;
pub use schedule::next_after;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, ConfigError};
use crate::sync::Engine;
use driver::Driver;
use schedule::Ticker;

/// Ticks that wait to be handled; there are as many resources at most, and a tick that is lost is followed by the next.
const TICKS: usize = 256;

/// The daemon with everything it needs.
pub struct Daemon {
    pub engine: Engine,
    pub config: Config,
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
        let mut driver = Driver::new(self.engine, self.config, stop.clone());
        driver.everything();
        systemd::ready();
        tracing::info!(tenants = driver.tenants(), "entra-mirror runs");
        let mut watchdog = systemd::Watchdog::start();
        let mut clock = clock::Watch::start();
        loop {
            driver.start_what_is_due();
            systemd::status(&driver.summary());
            tokio::select! {
                () = stop.cancelled() => break,
                Some(resource) = ticked.recv() => driver.tick(resource),
                () = driver.something_happens() => {}
                () = watchdog.beat() => {}
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
