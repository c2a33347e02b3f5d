//! What a run does first, from the checkpoint alone: go on, ask for changes, or start from scratch. Pure decisions, no I/O.

use crate::mirror::{Checkpoint, Phase, State};

use super::types::{Mode, Trigger};

/// A listing that was interrupted longer ago is started over: its page tokens are dead, and what it saw is old.
const LISTING_RESUMES_FOR: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);
/// A walk beside the live token that was interrupted longer ago is begun anew.
const WALK_RESUMES_FOR: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);
/// How long the schedule leaves a held resource without a usable delta link alone before it looks from scratch again.
const HELD_RETRY: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);

/// The first step of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Go on with the round in hand at this stored link.
    Continue { link: String, mode: Mode },
    /// A new incremental round from this stored delta link.
    Incremental { link: String },
    /// A new full round, and why.
    Full { reason: &'static str },
    /// Nothing now: a sweep is held and was looked at lately.
    Leave,
}

/// Decides. `selection` is what would be asked of Graph now; `delta` tells a delta query from a listing.
pub(super) fn plan(checkpoint: &Checkpoint, selection: &str, delta: bool, mode: Mode, trigger: Trigger, now: jiff::Timestamp) -> Plan {
    let same_selection = checkpoint.selection.as_deref() == Some(selection);
    let first = checkpoint.baseline_at.is_none();
    if mode == Mode::Reconcile {
        return match (&checkpoint.next_link, checkpoint.phase) {
            (Some(link), Phase::Full) if same_selection && younger(checkpoint.phase_started_at.as_deref(), WALK_RESUMES_FOR, now) => {
                Plan::Continue { link: link.clone(), mode }
            }
            _ => Plan::Full { reason: "reconcile" },
        };
    }
    if mode == Mode::Full {
        return Plan::Full { reason: if first { "first" } else { "resync" } };
    }
    if !delta {
        return match &checkpoint.next_link {
            Some(link) if same_selection && younger(checkpoint.phase_started_at.as_deref(), LISTING_RESUMES_FOR, now) => {
                Plan::Continue { link: link.clone(), mode: Mode::Full }
            }
            _ => Plan::Full { reason: if first { "first" } else { "snapshot" } },
        };
    }
    let held = checkpoint.state == State::Held && trigger == Trigger::Schedule;
    let scratch = |reason| match held && younger(checkpoint.last_attempt_at.as_deref(), HELD_RETRY, now) {
        true => Plan::Leave,
        false => Plan::Full { reason },
    };
    if !same_selection && checkpoint.selection.is_some() {
        return scratch("selection");
    }
    match (checkpoint.phase, &checkpoint.next_link, &checkpoint.delta_link) {
        (Phase::Full, Some(link), _) => Plan::Continue { link: link.clone(), mode: Mode::Full },
        (Phase::Incremental, Some(link), _) => Plan::Continue { link: link.clone(), mode: Mode::Incremental },
        // A full round that never stored a page is begun again.
        (Phase::Full, None, _) if !first => Plan::Full { reason: "resync" },
        (_, None, Some(link)) => Plan::Incremental { link: link.clone() },
        _ if first => Plan::Full { reason: "first" },
        _ => scratch("expired"),
    }
}

fn younger(at: Option<&str>, than: jiff::SignedDuration, now: jiff::Timestamp) -> bool {
    at.and_then(|at| at.parse::<jiff::Timestamp>().ok()).is_some_and(|at| {
        let age = now.duration_since(at);
        // A clock that jumped back makes ages negative: not to be trusted.
        age >= jiff::SignedDuration::ZERO && age < than
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(phase: Phase, next: Option<&str>, delta: Option<&str>) -> Checkpoint {
        Checkpoint {
            selection: Some("id".into()),
            phase,
            next_link: next.map(str::to_owned),
            delta_link: delta.map(str::to_owned),
            baseline_at: delta.map(|_| "2026-01-01T00:00:00.000Z".into()),
            phase_started_at: Some("2026-01-01T00:00:00.000Z".into()),
            last_attempt_at: Some("2026-01-01T00:00:00.000Z".into()),
            ..Checkpoint::default()
        }
    }

    fn at(text: &str) -> jiff::Timestamp {
        text.parse().expect("a time")
    }

    fn decide(checkpoint: &Checkpoint, selection: &str, delta: bool, mode: Mode) -> Plan {
        plan(checkpoint, selection, delta, mode, Trigger::Schedule, at("2026-01-01T00:10:00Z"))
    }

    #[test]
    fn a_fresh_resource_starts_from_scratch() {
        for delta in [true, false] {
            assert_eq!(decide(&Checkpoint::default(), "id", delta, Mode::Incremental), Plan::Full { reason: "first" });
        }
    }

    #[test]
    fn the_round_in_hand_goes_on_and_a_complete_one_is_followed_by_changes() {
        let full = checkpoint(Phase::Full, Some("next"), None);
        assert_eq!(decide(&full, "id", true, Mode::Incremental), Plan::Continue { link: "next".into(), mode: Mode::Full });
        let half = checkpoint(Phase::Incremental, Some("next"), Some("delta"));
        assert_eq!(decide(&half, "id", true, Mode::Incremental), Plan::Continue { link: "next".into(), mode: Mode::Incremental });
        let idle = checkpoint(Phase::Idle, None, Some("delta"));
        assert_eq!(decide(&idle, "id", true, Mode::Incremental), Plan::Incremental { link: "delta".into() });
        assert_eq!(decide(&idle, "id", true, Mode::Full), Plan::Full { reason: "resync" });
        assert_eq!(decide(&idle, "id,mail", true, Mode::Incremental), Plan::Full { reason: "selection" });
    }

    #[test]
    fn a_listing_goes_on_only_while_it_is_young() {
        let mut listing = checkpoint(Phase::Full, Some("next"), None);
        assert_eq!(decide(&listing, "id", false, Mode::Incremental), Plan::Continue { link: "next".into(), mode: Mode::Full });
        listing.phase_started_at = Some("2025-12-31T00:00:00.000Z".into());
        assert_eq!(decide(&listing, "id", false, Mode::Incremental), Plan::Full { reason: "first" });
        listing.phase_started_at = Some("2026-01-02T00:00:00.000Z".into());
        assert_eq!(decide(&listing, "id", false, Mode::Incremental), Plan::Full { reason: "first" });
    }

    #[test]
    fn a_held_sweep_is_looked_at_again_after_a_while_or_by_command() {
        let mut held = checkpoint(Phase::Idle, None, None);
        held.baseline_at = Some("2025-01-01T00:00:00.000Z".into());
        held.state = State::Held;
        assert_eq!(decide(&held, "id", true, Mode::Incremental), Plan::Leave);
        let later = plan(&held, "id", true, Mode::Incremental, Trigger::Schedule, at("2026-01-01T02:00:00Z"));
        assert_eq!(later, Plan::Full { reason: "expired" });
        // A selection that changed and was held is asked for again then, too.
        let mut changed = checkpoint(Phase::Idle, None, Some("delta"));
        (changed.state, changed.selection) = (State::Held, Some(String::new()));
        assert_eq!(decide(&changed, "id", true, Mode::Incremental), Plan::Leave);
        let asked = plan(&held, "id", true, Mode::Incremental, Trigger::Command, at("2026-01-01T00:10:00Z"));
        assert_eq!(asked, Plan::Full { reason: "expired" });
    }

    #[test]
    fn a_clock_that_jumped_neither_revives_old_links_nor_silences_a_resource() {
        let (back, ahead) = (at("2025-06-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
        let idle = checkpoint(Phase::Idle, None, Some("delta"));
        let half = checkpoint(Phase::Full, Some("next"), Some("delta"));
        let listing = checkpoint(Phase::Full, Some("next"), Some("baseline"));
        let mut held = checkpoint(Phase::Idle, None, None);
        (held.baseline_at, held.state) = (Some("2025-01-01T00:00:00.000Z".into()), State::Held);
        for now in [back, ahead] {
            let then = |checkpoint, delta| plan(checkpoint, "id", delta, Mode::Incremental, Trigger::Schedule, now);
            // Whether a delta link is dead is Graph's word, not our clock's.
            assert_eq!(then(&idle, true), Plan::Incremental { link: "delta".into() });
            assert_eq!(then(&half, true), Plan::Continue { link: "next".into(), mode: Mode::Full });
            // A listing of unknown age starts over.
            assert_eq!(then(&listing, false), Plan::Full { reason: "snapshot" });
            // A held sweep that was looked at in the future is looked at now.
            assert_eq!(then(&held, true), Plan::Full { reason: "expired" });
        }
    }
}
