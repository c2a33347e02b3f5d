//! `run`: the daemon.

use std::sync::Arc;

use super::{Failure, Global, Outcome, work};
use crate::api::{Server, Sources};
use crate::clock;
use crate::config::{Config, ConfigError};
use crate::daemon::{self, Daemon, Live};

/// For developers' tests alone: the time at which the daemon takes itself to start. From then on whoever started it moves its time, over stdin
/// and stdout (`daemon/pace.rs`). Refused unless every tenant is a simulated one: plain http, which is possible on this machine only and which no service of Microsoft speaks.
const TEST_CLOCK: &str = "ENTRA_MIRROR_TEST_CLOCK";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Under systemd (systemd/entra-mirror.service) it says when it is ready, what it does, and feeds the watchdog.
SIGTERM finishes the page in hand and exits within seconds. SIGHUP reads the configuration again; a broken file keeps the old one.")]
pub(super) struct Run {}

impl Run {
    pub async fn run(self, global: &Global) -> Outcome {
        let config = global.load()?;
        start_clock(&config)?;
        let live = Arc::new(Live::new());
        // One engine for the life of the daemon: its tokens and lanes outlive a reload.
        let engine = work::engine(&config, true, live.clone())?;
        let _lock = daemon::lock_data_dir(&config.data_dir).map_err(|what| Failure::Error(anyhow::anyhow!(what)))?;
        let sources = Sources { engine: engine.clone(), live: Arc::clone(&live) };
        let _server = Server::start(sources, &config.data_dir, config.metrics.listen).await?;
        let file = global.config.clone();
        let reload = move || {
            let config = crate::config::load(file.as_deref())?;
            if clock::is_moved() {
                only_here(&config).map_err(|what| ConfigError::one(Some(config.file.clone()), "tenants", what))?;
            }
            Ok(config)
        };
        let daemon = Daemon { engine, config, live, reload: Box::new(reload) };
        daemon.run(work::stop_on_signal()?).await?;
        Ok(())
    }
}

/// Hands the time over to a test, when one asks for it.
fn start_clock(config: &Config) -> Outcome {
    let Some(start) = std::env::var_os(TEST_CLOCK) else { return Ok(()) };
    let text = start.to_string_lossy();
    let at =
        text.parse().map_err(|_| Failure::Usage(format!("{TEST_CLOCK}: {text:?} is no time such as 2026-11-23T00:00:00Z; unset it")))?;
    only_here(config).map_err(Failure::Usage)?;
    clock::start_at(at);
    tracing::warn!(start = %at, "{TEST_CLOCK} is set: this daemon's time is not the real one but moved by a test");
    Ok(())
}

/// A moved time is for simulated tenants only.
fn only_here(config: &Config) -> Result<(), String> {
    match config.tenants.iter().find(|tenant| !(tenant.graph_url.is_plain_http() && tenant.login_url.is_plain_http())) {
        Some(tenant) => Err(format!(
            "{TEST_CLOCK} moves the time of a daemon that mirrors simulated tenants on this machine, and {} is at {}: unset it",
            tenant.name, tenant.graph_url
        )),
        None => Ok(()),
    }
}
