//! The log: to stderr, readable for people; RUST_LOG decides when it is set.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use super::Global;

pub(super) fn start(global: &Global, daemon: bool) {
    let level = match (global.quiet, global.verbose, daemon) {
        (true, _, _) => "error",
        (false, 0, false) => "warn",
        (false, 0, true) => "info",
        (false, 1, _) => "info,entra_mirror=debug",
        (false, _, _) => "debug,entra_mirror=trace",
    };
    let default = format!("{level},hyper_util=warn,reqwest=warn,rustls=warn");
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // Else a line that cannot be written (stderr is a closed pipe or a full disk) is told on stderr, which panics.
    let builder = builder.log_internal_errors(false);
    // The journal stamps lines itself.
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let started = match journal {
        true => builder.with_ansi(false).without_time().try_init(),
        false => builder.with_ansi(colours).try_init(),
    };
    // A second start in one process (tests) keeps the first.
    let _ = started;
}
