//! `run`: the daemon.

use std::sync::Arc;

use super::{Failure, Global, Outcome, work};
use crate::api::{Server, Sources};
use crate::daemon::{self, Daemon, Live};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Under systemd (systemd/entra-mirror.service) it says when it is ready, what it does, and feeds the watchdog.
SIGTERM finishes the page in hand and exits within seconds. SIGHUP reads the configuration again; a broken file keeps the old one.")]
pub(super) struct Run {}

impl Run {
    pub async fn run(self, global: &Global) -> Outcome {
        let config = global.load()?;
        let live = Arc::new(Live::new());
        // One engine for the life of the daemon: its tokens and lanes outlive a reload.
        let engine = work::engine(&config, true, live.clone())?;
        let _lock = daemon::lock_data_dir(&config.data_dir).map_err(|what| Failure::Error(anyhow::anyhow!(what)))?;
        let sources = Sources { engine: engine.clone(), live: Arc::clone(&live) };
        let _server = Server::start(sources, &config.data_dir, config.metrics.listen).await?;
        let file = global.config.clone();
        let daemon = Daemon { engine, config, live, reload: Box::new(move || crate::config::load(file.as_deref())) };
        daemon.run(work::stop_on_signal()?).await?;
        Ok(())
    }
}
