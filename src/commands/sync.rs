//! `sync` and `resync`: one round now, of all tenants or of those named, then exit.

use std::sync::Arc;

use super::progress::Progress;
use super::{Failure, Global, Outcome as CommandOutcome, output, work};
use crate::sync::{Mode, Outcome, RunReport, RunRequest, Trigger};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  entra-mirror sync
  entra-mirror sync --tenant contoso --resource users --resource groups

  entra-mirror sync --no-backfill     the present of logs only; the daemon or a later sync fetches what is older

A first sync enumerates everything; later ones ask Graph for what changed. A sync that was interrupted goes on where it stopped.
It works while the daemon runs: whoever comes second waits.")]
pub(super) struct Sync {
    #[command(flatten)]
    what: What,
    /// Leave old events of logs for later: stop when the present is read
    #[arg(long)]
    no_backfill: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  entra-mirror resync --tenant contoso
  entra-mirror resync --tenant contoso --resource users --accept-sweep

Readers never see a gap: rows stay until the round is complete, then those that Graph no longer has are removed.
When an improbable share of a table is missing (by default more than a quarter, and more than 50 rows) nothing is removed and `status`
says so; --accept-sweep lets it through this once.")]
pub(super) struct Resync {
    #[command(flatten)]
    what: What,
    /// Remove what is missing, however much it is
    #[arg(long)]
    accept_sweep: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  entra-mirror reconcile --tenant contoso --resource users

Delta queries lose a change now and then. This walks each resource that has one from scratch, repairs what differs and counts the repairs
(`written`), while the live delta token stays in use: the daemon goes on syncing meanwhile. The daemon does it once a week by itself
([schedule] reconcile).")]
pub(super) struct Reconcile {
    #[command(flatten)]
    what: What,
}

#[derive(Debug, clap::Args)]
struct What {
    /// Only this tenant (may be repeated)
    #[arg(short, long = "tenant", value_name = "TENANT")]
    tenants: Vec<String>,
    /// Only this resource, named like its table (may be repeated)
    #[arg(short, long = "resource", value_name = "RESOURCE")]
    resources: Vec<String>,
}

impl Sync {
    pub async fn run(self, global: &Global) -> CommandOutcome {
        run(global, self.what, Mode::Incremental, false, !self.no_backfill).await
    }
}

impl Resync {
    pub async fn run(self, global: &Global) -> CommandOutcome {
        run(global, self.what, Mode::Full, self.accept_sweep, true).await
    }
}

impl Reconcile {
    pub async fn run(self, global: &Global) -> CommandOutcome {
        run(global, self.what, Mode::Reconcile, false, false).await
    }
}

async fn run(global: &Global, what: What, mode: Mode, accept_sweep: bool, backfill: bool) -> CommandOutcome {
    let config = global.load()?;
    let chosen = work::choose(&config, &what.tenants, &what.resources)?;
    let chosen: Vec<_> = match mode {
        // Listings are from scratch each time, and logs are read again by time.
        Mode::Reconcile => chosen.into_iter().map(|(tenant, all)| (tenant, all.into_iter().filter(|r| r.is_delta()).collect())).collect(),
        _ => chosen,
    };
    let engine = work::engine(&config, false, Arc::new(Progress::new(global.quiet || global.json)))?;
    let cancel = work::stop_on_signal()?;
    let request = RunRequest { mode, accept_sweep, trigger: Trigger::Command, backfill, cancel: cancel.clone() };
    let reports = work::run_all(&engine, &config, chosen, &request).await;
    if global.json {
        output::json(&reports)?;
    } else {
        print(&reports)?;
    }
    if cancel.is_cancelled() {
        return Err(Failure::Error(anyhow::anyhow!("stopped; nothing is lost, the next sync goes on from here")));
    }
    let undone = |report: &RunReport| matches!(report.outcome, Outcome::Failed | Outcome::Held | Outcome::Stopped);
    if reports.iter().any(undone) { Err(Failure::Partly) } else { Ok(()) }
}

/// A table of what was done, and below it what was not and what to do about it.
pub(super) fn print(reports: &[RunReport]) -> anyhow::Result<()> {
    let mut table = output::table(&[
        "tenant",
        "resource",
        "outcome",
        "round",
        "pages",
        "rows",
        "written",
        "changes",
        "requests",
        "throttled",
        "seconds",
    ]);
    for r in reports {
        table.add_row([
            r.tenant.clone(),
            r.resource.to_owned(),
            r.outcome.as_str().to_owned(),
            r.mode.as_str().to_owned(),
            output::thousands(r.pages),
            output::thousands(r.rows),
            output::thousands(r.writes),
            output::thousands(r.changes),
            output::thousands(r.requests),
            output::thousands(r.throttled),
            format!("{:.1}", r.seconds),
        ]);
    }
    output::line(&table.to_string())?;
    for r in reports {
        if let Some(message) = &r.message {
            output::line(&format!("{} {}: {message}", r.tenant, r.resource))?;
        }
        if r.late > 0 || r.pruned > 0 {
            let (late, pruned) = (output::thousands(r.late), output::thousands(r.pruned));
            output::line(&format!("{} {}: {late} events came late, {pruned} were older than is kept and removed", r.tenant, r.resource))?;
        }
        if r.backfill_left {
            let share = r.backfill_share.unwrap_or(0.0) * 100.0;
            output::line(&format!(
                "{} {}: {share:.0} % of the backfill is done; the daemon or a sync without --no-backfill goes on",
                r.tenant, r.resource
            ))?;
        }
        if let Some(hint) = &r.hint {
            output::line(&format!("    {hint}"))?;
        }
    }
    Ok(())
}
