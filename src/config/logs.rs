//! Settings of logs and of the change feed: how long events and changes are kept, how much is read again, which kinds of sign-ins. Spans are written like `90d`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::LogSettings;
use super::mistakes::closest;
use super::raw::Raw;
use super::validate::Checks;
use crate::resources::{self, Resource, Source};

/// Reads spans such as `90d`, `12h`, `30m`, `45s`.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no span of time: expected a number with s, m, h or d, such as \"90d\"");
    let text = text.trim();
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].trim().parse().map_err(|_| wrong())?;
    match number.checked_mul(seconds).filter(|seconds| *seconds <= 100 * 366 * 86_400) {
        Some(seconds) => Ok(Duration::from_secs(seconds)),
        None => Err(format!("{text:?} is longer than a hundred years")),
    }
}

fn is_log(resource: &Resource) -> bool {
    matches!(resource.definition.source, Source::Log(_))
}

const DAY: Duration = Duration::from_secs(86_400);

fn read(checks: &mut Checks, key: &str, text: &str, at_least: Duration) -> Duration {
    match span(text) {
        Ok(span) if span >= at_least => span,
        Ok(_) => {
            checks.wrong(key, format!("{text:?} is too short: at least {} s", at_least.as_secs()));
            at_least
        }
        Err(what) => {
            checks.wrong(key, what);
            at_least
        }
    }
}

/// Checks `[changes]`. A walk beside the live token asks the feed what was told since it began: some days must be there.
pub(super) fn keep_changes(raw: &Raw, checks: &mut Checks) -> Duration {
    read(checks, "changes.keep", &raw.changes.keep, 7 * DAY)
}

/// Checks `[logs]` and the logs among `[resources.NAME]`.
pub(super) fn logs(raw: &Raw, checks: &mut Checks) -> LogSettings {
    let mut read = |key: &str, text: &str, at_least: Duration| read(checks, key, text, at_least);
    let keep = read("logs.keep", &raw.logs.keep, DAY);
    let overlap = read("logs.overlap", &raw.logs.overlap, Duration::from_secs(15 * 60));
    let mut by_log: BTreeMap<&'static str, Duration> = resources::all().iter().filter(|r| is_log(r)).map(|r| (r.name(), keep)).collect();
    for (name, settings) in &raw.resources {
        let Some(text) = &settings.keep else { continue };
        let span = read(&format!("resources.{name}.keep"), text, DAY);
        if let Some(keep) = by_log.get_mut(name.as_str()) {
            *keep = span;
        }
    }
    let mut event_types = Vec::new();
    for (name, settings) in &raw.resources {
        let Some(resource) = resources::find(name) else { continue };
        if settings.keep.is_some() && !is_log(resource) {
            checks.wrong(&format!("resources.{name}.keep"), format!("{name} is no log: its rows stay as long as Graph has them"));
        }
        let known: Vec<&str> = match resource.definition.source {
            Source::Log(log) if log.streams.len() > 1 => log.streams.iter().map(|stream| stream.name).collect(),
            _ => Vec::new(),
        };
        let key = format!("resources.{name}.event_types");
        for word in &settings.event_types {
            match (known.contains(&word.as_str()), closest(word, known.iter().copied())) {
                (true, _) => event_types.push(word.clone()),
                (false, _) if known.is_empty() => checks.wrong(&key, format!("{name} has no kinds of events to choose from")),
                (false, Some(near)) => checks.wrong(&key, format!("{word:?} is no kind of {name}; did you mean {near}?")),
                (false, None) => checks.wrong(&key, format!("{word:?} is no kind of {name}; there are {}", known.join(", "))),
            }
        }
    }
    LogSettings { keep: by_log, overlap, event_types }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_others_are_explained() {
        for (text, seconds) in [("90d", 90 * 86_400), ("12h", 43_200), ("30m", 1800), ("45s", 45), (" 1 d", 86_400)] {
            assert_eq!(span(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "d", "90", "-1d", "1.5d", "9999999999999999d", "ninety days", "5ä"] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }
}
