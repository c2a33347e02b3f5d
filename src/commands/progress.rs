//! Progress of runs: bars on a terminal, plain lines elsewhere. An observer of the engine; decides nothing.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::output::thousands;
use crate::sync::{Mode, Observer, Outcome, RunReport};

/// Plain lines come at most this often for a run that goes on.
const EVERY: Duration = Duration::from_secs(5);

/// Shows runs on stderr.
pub(super) struct Progress {
    style: Style,
    state: Mutex<HashMap<(String, &'static str), Shown>>,
}

enum Style {
    Nothing,
    Lines,
    Bars(MultiProgress),
}

struct Shown {
    bar: Option<ProgressBar>,
    last: Instant,
}

impl Progress {
    /// Bars when stderr is a terminal, lines otherwise, nothing when quiet.
    pub fn new(quiet: bool) -> Progress {
        let style = match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Style::Nothing,
            (false, true) => Style::Bars(MultiProgress::new()),
            (false, false) => Style::Lines,
        };
        Progress { style, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, HashMap<(String, &'static str), Shown>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, text: &str) {
        match &self.style {
            Style::Nothing => {}
            // That nobody reads stderr is no reason to stop.
            Style::Lines => drop(writeln!(std::io::stderr(), "{text}")),
            Style::Bars(bars) => drop(bars.println(text)),
        }
    }
}

fn counts(report: &RunReport) -> String {
    format!("{} rows, {} pages", thousands(report.rows), thousands(report.pages))
}

impl Observer for Progress {
    fn waiting(&self, tenant: &str, resource: &'static str, holder: &str) {
        self.say(&format!("{tenant} {resource}: waiting for {holder}"));
    }

    fn started(&self, tenant: &str, resource: &'static str, mode: Mode) {
        let bar = match &self.style {
            Style::Bars(bars) => {
                let bar = bars.add(ProgressBar::new_spinner());
                if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix:<48} {msg}") {
                    bar.set_style(style);
                }
                bar.set_prefix(format!("{tenant} {resource}{}", if mode == Mode::Full { " (full)" } else { "" }));
                bar.enable_steady_tick(Duration::from_millis(120));
                Some(bar)
            }
            _ => None,
        };
        self.state().insert((tenant.to_owned(), resource), Shown { bar, last: Instant::now() });
    }

    fn page(&self, report: &RunReport) {
        let mut state = self.state();
        let Some(shown) = state.get_mut(&(report.tenant.clone(), report.resource)) else { return };
        if let Some(bar) = &shown.bar {
            bar.set_message(counts(report));
        } else if shown.last.elapsed() >= EVERY {
            shown.last = Instant::now();
            drop(state);
            self.say(&format!("{} {}: {}", report.tenant, report.resource, counts(report)));
        }
    }

    fn finished(&self, report: &RunReport) {
        if let Some(bar) = self.state().remove(&(report.tenant.clone(), report.resource)).and_then(|shown| shown.bar) {
            bar.finish_and_clear();
        }
        let took = format!("{:.1} s", report.seconds);
        let text = match report.outcome {
            Outcome::Done => {
                format!("{} {}: {}, {} written, {took}", report.tenant, report.resource, counts(report), thousands(report.writes))
            }
            outcome => {
                let message = report.message.as_deref().unwrap_or_default();
                format!("{} {}: {}: {message}", report.tenant, report.resource, outcome.as_str())
            }
        };
        self.say(&text);
    }
}
