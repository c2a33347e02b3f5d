//! Progress of runs: bars on a terminal, plain lines elsewhere. An observer of the engine; decides nothing.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::output::{age, thousands};
use crate::sync::{Mode, Observer, Outcome, RunReport};

/// Plain lines come at most this often for a run that goes on.
const EVERY: Duration = Duration::from_secs(5);

/// Shows runs on stderr.
pub(super) struct Progress {
    style: Style,
    state: Mutex<HashMap<Key, Shown>>,
}

/// Tenant, resource, and whether it is the walk beside the live token: that one and a live round may go on at the same time.
type Key = (String, &'static str, bool);

fn key(tenant: &str, resource: &'static str, mode: Mode) -> Key {
    (tenant.to_owned(), resource, mode == Mode::Reconcile)
}

/// What a run is called.
fn name(tenant: &str, resource: &str, mode: Mode) -> String {
    format!("{tenant} {resource}{}", if mode == Mode::Reconcile { " (reconcile)" } else { "" })
}

enum Style {
    Nothing,
    Lines,
    Bars(MultiProgress),
}

struct Shown {
    bar: Option<ProgressBar>,
    last: Instant,
    began: Instant,
    /// Share of the backfill that was done when it was first told.
    first_share: Option<f64>,
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

    fn state(&self) -> MutexGuard<'_, HashMap<Key, Shown>> {
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

/// Share of a backfill, pace and what is left of the time.
fn backfill(report: &RunReport, since: Instant, first_share: f64) -> String {
    let Some(share) = report.backfill_share else { return String::new() };
    let seconds = since.elapsed().as_secs_f64().max(0.001);
    let pace = report.rows as f64 / seconds;
    let done = share - first_share;
    let left = if done > 0.001 { format!(", about {} left", age((seconds * (1.0 - share) / done) as i64)) } else { String::new() };
    format!("; backfill {:.0} %, {pace:.0} rows/s{left}", share * 100.0)
}

impl Observer for Progress {
    fn waiting(&self, tenant: &str, resource: &'static str, mode: Mode, holder: &str) {
        self.say(&format!("{}: waiting for {holder}", name(tenant, resource, mode)));
    }

    fn started(&self, tenant: &str, resource: &'static str, mode: Mode) {
        let bar = match &self.style {
            Style::Bars(bars) => {
                let bar = bars.add(ProgressBar::new_spinner());
                if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix:<48} {msg}") {
                    bar.set_style(style);
                }
                bar.set_prefix(name(tenant, resource, mode) + if mode == Mode::Full { " (full)" } else { "" });
                bar.enable_steady_tick(Duration::from_millis(120));
                Some(bar)
            }
            _ => None,
        };
        self.state().insert(key(tenant, resource, mode), Shown { bar, last: Instant::now(), began: Instant::now(), first_share: None });
    }

    fn page(&self, report: &RunReport) {
        let mut state = self.state();
        let Some(shown) = state.get_mut(&key(&report.tenant, report.resource, report.mode)) else { return };
        let first_share = *shown.first_share.get_or_insert(report.backfill_share.unwrap_or(0.0));
        let text = || format!("{}{}", counts(report), backfill(report, shown.began, first_share));
        if let Some(bar) = &shown.bar {
            bar.set_message(text());
        } else if shown.last.elapsed() >= EVERY {
            let text = text();
            shown.last = Instant::now();
            drop(state);
            self.say(&format!("{}: {text}", name(&report.tenant, report.resource, report.mode)));
        }
    }

    fn finished(&self, report: &RunReport) {
        if let Some(bar) = self.state().remove(&key(&report.tenant, report.resource, report.mode)).and_then(|shown| shown.bar) {
            bar.finish_and_clear();
        }
        let took = format!("{:.1} s", report.seconds);
        let name = name(&report.tenant, report.resource, report.mode);
        let text = match report.outcome {
            Outcome::Done => format!("{name}: {}, {} written, {took}", counts(report), thousands(report.writes)),
            outcome => {
                let message = report.message.as_deref().unwrap_or_default();
                format!("{name}: {}: {message}", outcome.as_str())
            }
        };
        self.say(&text);
    }
}
