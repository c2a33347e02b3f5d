//! `run`: the daemon.

use std::sync::Arc;

use super::{Failure, Global, Outcome, work};
use crate::daemon::{self, Daemon};
use crate::sync::Silent;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Under systemd (systemd/entra-mirror.service) it says when it is ready, what it does, and feeds the watchdog.
SIGTERM finishes the page in hand and exits within seconds. SIGHUP reads the configuration again; a broken file keeps the old one.")]
pub(super) struct Run {}

impl Run {
    pub async fn run(self, global: &Global) -> Outcome {
        let config = global.load()?;
        let observer = Arc::new(Silent);
        // One engine for the life of the daemon: its tokens and lanes outlive a reload.
        let engine = work::engine(&config, true, observer)?;
        let _lock = daemon::lock_data_dir(&config.data_dir).map_err(|what| Failure::Error(anyhow::anyhow!(what)))?;
        let file = global.config.clone();
        let daemon = Daemon { engine, config, reload: Box::new(move || crate::config::load(file.as_deref())) };
        daemon.run(work::stop_on_signal()?).await?;
        Ok(())
    }
}
