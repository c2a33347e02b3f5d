//! What systemd is told, when it asks: readiness, status, watchdog. Nothing happens elsewhere.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use tokio::time::Interval;

use super::every;

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd could not be told");
    }
}

pub(super) fn ready() {
    notify(&[NotifyState::Ready]);
}

pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(_) => notify(&[NotifyState::Reloading]),
    }
}

pub(super) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Tells what goes on, at most once a second: with many tenants runs end many times a second.
pub(super) struct Status {
    told: Option<Instant>,
}

impl Status {
    pub fn new() -> Status {
        Status { told: None }
    }

    /// Tells it unless something was told a moment ago.
    pub fn tell(&mut self, text: impl FnOnce() -> String) {
        if self.told.is_none_or(|told| told.elapsed() >= Duration::from_secs(1)) {
            self.told = Some(Instant::now());
            notify(&[NotifyState::Status(&text())]);
        }
    }
}

/// Feeds the watchdog twice as often as it asks, from the daemon's own loop: a loop that hangs is noticed.
pub(super) struct Watchdog {
    interval: Option<Interval>,
}

impl Watchdog {
    pub fn start() -> Watchdog {
        Watchdog { interval: sd_notify::watchdog_enabled().map(|limit| every((limit / 2).max(Duration::from_millis(100)))) }
    }

    /// Waits until it is time, and feeds it.
    pub async fn beat(&mut self) {
        match &mut self.interval {
            Some(interval) => {
                interval.tick().await;
                notify(&[NotifyState::Watchdog]);
            }
            None => std::future::pending().await,
        }
    }
}
