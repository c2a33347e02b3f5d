//! The command line: one file a command. Results go to stdout, progress and logs to stderr.

mod demo;
mod doing;
mod limits;
mod log;
mod output;
mod progress;
mod run;
mod simulate;
mod status;
mod sync;
mod work;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::{Config, ConfigError};

/// How a command ended.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something could not be done; the rest was. Told already.
    Partly,
    /// Something went wrong: exit code 1.
    Error(anyhow::Error),
    /// The call or the configuration is wrong: exit code 2.
    Usage(String),
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        Failure::Usage(error.to_string())
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure
where
    E: NotConfigError,
{
    fn from(error: E) -> Failure {
        Failure::Error(error.into())
    }
}

/// Every error that is not the user's configuration.
pub(crate) trait NotConfigError {}
impl NotConfigError for anyhow::Error {}
impl NotConfigError for std::io::Error {}
impl NotConfigError for crate::mirror::MirrorError {}
impl NotConfigError for crate::graph::GraphError {}
impl NotConfigError for rusqlite::Error {}

pub(crate) type Outcome = Result<(), Failure>;

/// Keeps a local SQLite copy of Microsoft Entra ID tenants current through Microsoft Graph.
#[derive(Debug, Parser)]
#[command(name = "entra-mirror", version, max_term_width = 100, after_help = AFTER_HELP)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Start here:
  entra-mirror demo                 a simulated tenant, mirrored and explained; needs no account
  entra-mirror sync                 one round of every tenant in the configuration, then exit
  entra-mirror status               how fresh everything is and what is wrong

Each tenant is one SQLite file, <data_dir>/<tenant>.db; schema/README.md describes every table and view.
Exit code: 0 done, 1 something could not be done (the rest was), 2 the call or the configuration is wrong.";

#[derive(Debug, clap::Args)]
pub(crate) struct Global {
    /// Configuration file [default: /etc/entra-mirror/config.toml, else ./config.toml]
    #[arg(long, global = true, value_name = "FILE", env = "ENTRA_MIRROR_CONFIG")]
    config: Option<PathBuf>,
    /// Print results as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Log more; twice for everything (RUST_LOG overrides)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Log and show only what is wrong
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
}

impl Global {
    /// Loads the configuration and logs its warnings.
    fn load(&self) -> Result<Config, Failure> {
        let config = crate::config::load(self.config.as_deref())?;
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        Ok(config)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Mirror a simulated tenant and show what came out: no account needed
    Demo(demo::Demo),
    /// The daemon: keep every tenant current on its schedule
    Run(run::Run),
    /// Bring tenants up to date once, then exit
    Sync(sync::Sync),
    /// The same from scratch: enumerate everything again and sweep what is gone
    Resync(sync::Resync),
    /// Walk what delta queries follow from scratch beside them, and repair what they lost
    Reconcile(sync::Reconcile),
    /// How fresh each resource is, what is wrong, and what to do about it
    Status(status::Status),
    /// A simulated Microsoft Graph on loopback, for application developers
    Simulate(simulate::Simulate),
}

/// Tells glibc to keep its heaps few, since threads that take turns would each keep what they freed, and to give the memory of pages back at
/// once. Without this the peak of a large first sync is a third higher.
pub fn one_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets numbers in the allocator, before any other thread runs.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 128 * 1024);
    }
}

/// Parses the command line and runs the command.
pub fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    if let Err(what) = limits::set() {
        return ending(Err(Failure::Error(anyhow::Error::msg(what))));
    }
    log::start(&cli.global, matches!(cli.command, Command::Run(_)));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return ending(Err(Failure::Error(anyhow::Error::new(error).context("cannot start the runtime")))),
    };
    let global = &cli.global;
    let outcome = runtime.block_on(async {
        match cli.command {
            Command::Demo(command) => command.run(global).await,
            Command::Run(command) => command.run(global).await,
            Command::Sync(command) => command.run(global).await,
            Command::Resync(command) => command.run(global).await,
            Command::Reconcile(command) => command.run(global).await,
            Command::Status(command) => command.run(global).await,
            Command::Simulate(command) => command.run(global).await,
        }
    });
    // A request that hangs must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    ending(outcome)
}

fn ending(outcome: Outcome) -> ExitCode {
    let mut stderr = std::io::stderr();
    // That stderr is gone is no reason for another exit code.
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Partly) => ExitCode::from(1),
        Err(Failure::Error(error)) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(Failure::Error(error)) => {
            let _ = writeln!(stderr, "error: {error:#}");
            ExitCode::from(1)
        }
        Err(Failure::Usage(what)) => {
            let _ = writeln!(stderr, "error: {what}");
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
