//! How a round ends and what that means for the checkpoint: complete, held, given up, refused, or to be started over. Asks nothing of Graph.

use super::engine::blocking;
use super::plan::Plan;
use super::run::{End, Run};
use super::types::{Mode, Outcome};
use crate::graph::{GraphError, Link, RefusalKind};
use crate::mirror::{Checkpoint, MirrorError, Phase, State, now};

/// A licence that was there is believed to be gone after so many refused runs over so long a time.
const REFUSALS: i64 = 3;
const REFUSED_FOR: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);

impl Run<'_> {
    /// The cloud does not have it: known beforehand, so nothing is asked.
    pub(super) async fn not_offered(&mut self, checkpoint: Checkpoint) -> Result<(), MirrorError> {
        let (name, cloud) = (self.resource.name(), self.target.cloud);
        let reason = format!("Microsoft does not offer {name} in the cloud {cloud}");
        let remedy = format!("nothing can be done about it; leave it out with except = [\"{name}\"]");
        self.report.outcome = Outcome::Unavailable;
        self.report.message = Some(reason.clone());
        self.report.hint = Some(remedy.clone());
        let checkpoint = Checkpoint { state: State::Unavailable, reason: Some(reason), remedy: Some(remedy), ..checkpoint };
        blocking(self.mirror, move |mirror| mirror.store_checkpoint(name, &checkpoint)).await
    }

    /// The present of a log is read: it is as good as current, whatever old events are still to come.
    pub(super) async fn present_is_read(&mut self) -> Result<(), MirrorError> {
        let name = self.resource.name();
        let at = now();
        blocking(self.mirror, move |mirror| {
            let before = mirror.checkpoint(name)?;
            mirror.store_checkpoint(name, &Checkpoint { last_attempt_at: Some(at.clone()), ..succeeded(&before, &at) })
        })
        .await
    }

    /// The checkpoint after a complete round.
    pub(super) fn completed(&self, checkpoint: &Checkpoint, delta: Option<&Link>, full: bool, at: &str) -> Checkpoint {
        let time = || Some(at.to_owned());
        // The live token stays in use; the one that this walk ends with is not needed.
        let delta = delta.filter(|_| self.request.mode != Mode::Reconcile);
        Checkpoint {
            delta_link: delta.map(|link| link.expose().to_owned()),
            delta_link_at: delta.and_then(|_| time()),
            next_link: None,
            phase: Phase::Idle,
            phase_reason: None,
            phase_started_at: None,
            attempts: 0,
            last_full_at: if full { time() } else { checkpoint.last_full_at.clone() },
            ..succeeded(checkpoint, at)
        }
    }

    /// Says how it ended, in the report and in the checkpoint.
    pub(super) async fn finish(&mut self, end: End, mut checkpoint: Checkpoint) -> Result<(), MirrorError> {
        let (outcome, state, message, hint) = match end {
            End::Complete => {
                self.report.outcome = Outcome::Done;
                return Ok(());
            }
            End::Left => {
                self.report.outcome = Outcome::Held;
                self.report.message = checkpoint.reason;
                self.report.hint = checkpoint.remedy;
                return Ok(());
            }
            End::Stopped => {
                self.report.outcome = Outcome::Stopped;
                self.report.message = Some("stopped; the next run goes on from here".into());
                return Ok(());
            }
            End::Held => {
                let held = self.report.held.clone();
                let (table, missing, rows) = held.map_or_else(Default::default, |held| (held.table, held.missing, held.rows));
                let share = if rows == 0 { 0.0 } else { missing as f64 * 100.0 / rows as f64 };
                let message = format!(
                    "the full round did not find {missing} of {rows} rows of {table} ({share:.0} %): too much to be believed, nothing was removed"
                );
                let hint = format!(
                    "if they are really gone, let it through once: entra-mirror resync --tenant {} --resource {} --accept-sweep",
                    self.target.name,
                    self.resource.name()
                );
                checkpoint.held = self.report.held.as_ref().and_then(|held| serde_json::to_string(held).ok());
                (Outcome::Held, State::Held, message, Some(hint))
            }
            End::Circle(what) => {
                // The round is not worth going on with; the old delta link still is.
                checkpoint = abandoned(&checkpoint);
                let hint = "the old state is kept; the next run asks again. If this goes on, report it to Microsoft".to_owned();
                (Outcome::Failed, State::Failed, format!("Graph's pages go round in circles: {what}"), Some(hint))
            }
            End::Failed(error) => match error.refusal() {
                Some(refusal) => {
                    let definition = self.resource.definition;
                    let permission = definition.permissions.first().copied().unwrap_or_default();
                    let remedy = match (refusal.kind, definition.licence) {
                        (RefusalKind::Licence, licence) => {
                            format!("the tenant needs {}; everything else goes on", licence.unwrap_or("Microsoft Entra ID P1 or P2"))
                        }
                        (RefusalKind::Permission, _) => format!(
                            "grant the application permission {permission} of Microsoft Graph with admin consent (App registrations > your app > API permissions)"
                        ),
                    };
                    let since = checkpoint.refused_since.get_or_insert_with(now).clone();
                    let worked = checkpoint.last_success_at.is_some() && checkpoint.state != State::Unavailable;
                    if refusal.kind == RefusalKind::Licence && worked && (checkpoint.failures < REFUSALS || younger(&since, REFUSED_FOR)) {
                        // Graph says this to licensed tenants too: nothing is concluded from a few times.
                        let hint = "it has worked before, so this is not believed yet; the next run asks again".to_owned();
                        (Outcome::Failed, checkpoint.state, error.to_string(), Some(hint))
                    } else {
                        (Outcome::Unavailable, State::Unavailable, error.to_string(), Some(remedy))
                    }
                }
                None => (Outcome::Failed, State::Failed, error.to_string(), error.hint()),
            },
        };
        checkpoint.state = state;
        checkpoint.reason = Some(message.clone());
        checkpoint.remedy = hint.clone();
        checkpoint.failures += 1;
        self.report.outcome = outcome;
        self.report.message = Some(message);
        self.report.hint = hint;
        let key = self.key();
        blocking(self.mirror, move |mirror| mirror.store_checkpoint(key, &checkpoint)).await
    }
}

/// The checkpoint when all is well: what was wrong before is over.
fn succeeded(checkpoint: &Checkpoint, at: &str) -> Checkpoint {
    Checkpoint {
        baseline_at: checkpoint.baseline_at.clone().or_else(|| Some(at.to_owned())),
        last_success_at: Some(at.to_owned()),
        state: State::Ok,
        reason: None,
        remedy: None,
        failures: 0,
        refused_since: None,
        held: None,
        ..checkpoint.clone()
    }
}

/// The checkpoint when the round in hand is given up: what stood before it stands.
pub(super) fn abandoned(checkpoint: &Checkpoint) -> Checkpoint {
    let selection = match checkpoint.phase_reason.as_deref() {
        // The rows do not have what is selected now: the next round must ask for everything again.
        Some("selection") => Some(String::new()),
        _ => checkpoint.selection.clone(),
    };
    Checkpoint { phase: Phase::Idle, phase_reason: None, phase_started_at: None, next_link: None, selection, ..checkpoint.clone() }
}

fn younger(since: &str, than: jiff::SignedDuration) -> bool {
    since.parse::<jiff::Timestamp>().is_ok_and(|since| crate::clock::now().duration_since(since) < than)
}

/// What a failure calls for: asking again from the last delta link, starting from scratch, or nothing (`None`).
pub(super) fn restart(error: &GraphError, checkpoint: &Checkpoint, delta: bool) -> Option<Plan> {
    let full = checkpoint.phase == Phase::Full;
    let same_reason = match checkpoint.phase_reason.as_deref() {
        Some("first") => "first",
        Some("resync") => "resync",
        Some("selection") => "selection",
        Some("snapshot") => "snapshot",
        Some("reconcile") => "reconcile",
        _ => "expired",
    };
    if error.sync_state_lost().is_some() {
        let reason = match full {
            true => same_reason,
            false if checkpoint.baseline_at.is_none() => "first",
            false => "expired",
        };
        return Some(Plan::Full { reason });
    }
    // A page link that is not found any more died like an expired one.
    let in_chain = checkpoint.next_link.is_some();
    if !in_chain || !(error.page_token_lost() || error.status() == Some(404)) {
        return None;
    }
    match (&checkpoint.delta_link, full) {
        (Some(link), false) if delta => Some(Plan::Incremental { link: link.clone() }),
        _ => Some(Plan::Full { reason: same_reason }),
    }
}
