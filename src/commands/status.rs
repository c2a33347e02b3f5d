//! `status`: each tenant and resource, from the files, and what a running daemon adds. Works before the first sync and without a daemon.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;

use super::doing::Doing;
use super::{Failure, Global, Outcome, output, work};
use crate::api;
use crate::config::parse_cron;
use crate::mirror::{self, LogStatus, ResourceStatus};
use crate::resources;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  entra-mirror status
  entra-mirror status --tenant contoso --json")]
pub(super) struct Status {
    /// Only this tenant (may be repeated)
    #[arg(short, long = "tenant", value_name = "TENANT")]
    tenants: Vec<String>,
}

#[derive(Serialize)]
struct TenantReport {
    tenant: String,
    file: String,
    /// What keeps the file from being read.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
    exists: bool,
    file_bytes: u64,
    wal_bytes: u64,
    /// What the running daemon says; null when none answers.
    daemon: Option<Doing>,
    /// What should be looked at although everything works.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
    resources: Vec<ResourceReport>,
}

#[derive(Serialize)]
struct ResourceReport {
    #[serde(flatten)]
    status: ResourceStatus,
    /// Seconds since the last success.
    age_seconds: Option<i64>,
    /// When the schedule asks for it next, without the tenant's spread.
    next_run_at: Option<String>,
    schedule: String,
}

impl Status {
    pub async fn run(self, global: &Global) -> Outcome {
        let config = global.load()?;
        let daemon = api::daemon_status(&config.data_dir).await;
        let now = Timestamp::now();
        let next = |resource: &str| next_run(config.schedule.get(resource).map_or("", String::as_str), now);
        let next_runs: BTreeMap<&str, Option<String>> = resources::all().iter().map(|r| (r.name(), next(r.name()))).collect();
        let chosen = work::choose(&config, &self.tenants, &[])?;
        // Many files take their time: as many at once as there are processors.
        let at_once = std::thread::available_parallelism().map_or(1, usize::from);
        let files: Vec<PathBuf> = chosen.iter().map(|(tenant, _)| config.tenant_file(&tenant.name)).collect();
        let read = |file: PathBuf| tokio::task::spawn_blocking(move || mirror::status(&file, resources::tables()));
        let mut found = stream::iter(files).map(read).buffered(at_once);
        let mut reports = Vec::new();
        for (tenant, chosen) in chosen {
            let doing = daemon.as_ref().and_then(|daemon| Doing::of(daemon, &tenant));
            let mut report = TenantReport {
                file: config.tenant_file(&tenant.name).display().to_string(),
                tenant: tenant.name,
                error: None,
                remedy: None,
                exists: false,
                file_bytes: 0,
                wal_bytes: 0,
                daemon: doing,
                warning: None,
                resources: Vec::new(),
            };
            let Some(status) = found.next().await else { break };
            match status.context("a file's status")? {
                Ok(status) => {
                    (report.exists, report.file_bytes, report.wal_bytes) = (status.exists, status.file_bytes, status.wal_bytes);
                    report.warning = status.warning;
                    let mirrored = |status: &ResourceStatus| chosen.iter().any(|r| r.name() == status.resource);
                    report.resources = status
                        .resources
                        .into_iter()
                        .filter(mirrored)
                        .map(|status| ResourceReport {
                            age_seconds: age(status.last_success_at.as_deref(), now),
                            next_run_at: next_runs.get(status.resource).cloned().flatten(),
                            schedule: config.schedule.get(status.resource).cloned().unwrap_or_default(),
                            status,
                        })
                        .collect();
                }
                Err(error) => (report.error, report.remedy) = (Some(error.to_string()), error.hint()),
            }
            reports.push(report);
        }
        if global.json {
            output::json(&reports)?
        } else {
            print(&reports)?;
            output::line(&super::doing::headline(daemon.as_ref()))?
        }
        if reports.iter().any(|r| r.error.is_some()) { Err(Failure::Partly) } else { Ok(()) }
    }
}

fn age(at: Option<&str>, now: Timestamp) -> Option<i64> {
    Some(now.duration_since(at?.parse().ok()?).as_secs())
}

fn next_run(schedule: &str, now: Timestamp) -> Option<String> {
    let cron = parse_cron(schedule).ok()?;
    crate::daemon::next_after(&cron, now).map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// What a log holds from when to when, what is still to come, and how late events were.
fn log_lines(resource: &str, log: &LogStatus) -> Vec<String> {
    let Some((from, to)) = log.from.as_deref().zip(log.to.as_deref()) else { return Vec::new() };
    let mut lines = vec![format!("  {resource} holds {} to {} UTC", output::minute(from), output::minute(to))];
    for stream in &log.streams {
        let name = if stream.stream.is_empty() { String::new() } else { format!("{}: ", stream.stream) };
        let mut line =
            format!("    {name}complete from {} to {}", output::minute(&stream.complete_from), output::minute(&stream.complete_to));
        if let Some(share) = stream.backfill_share {
            line.push_str(&format!("; {:.0} % of what is older is fetched", share * 100.0));
        }
        if stream.late > 0 {
            line.push_str(&format!(
                "; {} came late ({})",
                output::thousands(stream.late),
                stream.late_by.json().replace(['{', '}', '"'], "")
            ));
        }
        lines.push(line);
    }
    lines
}

fn print(reports: &[TenantReport]) -> anyhow::Result<()> {
    for report in reports {
        let size = match report.exists {
            true => format!("{} + {} WAL", output::bytes(report.file_bytes), output::bytes(report.wal_bytes)),
            false => "not synced yet".into(),
        };
        output::line(&format!("{}  {} ({size})", report.tenant, report.file))?;
        if let Some(error) = &report.error {
            output::line(&format!("  {error}"))?;
            output::line(&format!("  {}", report.remedy.as_deref().unwrap_or_default()))?;
            continue;
        }
        if let Some(warning) = &report.warning {
            output::line(&format!("  {warning}"))?;
        }
        let mut table = output::table(&["resource", "state", "last success", "rows", "links", "next run (UTC)"]);
        for r in &report.resources {
            let links: u64 = r.status.links.iter().map(|(_, count)| count).sum();
            let round = r.status.round_in_hand.as_ref().map(|round| format!(", {round} round in hand")).unwrap_or_default();
            table.add_row([
                r.status.resource.to_owned(),
                format!("{}{round}", r.status.state),
                r.age_seconds.map_or_else(|| "never".into(), |age| format!("{} ago", output::age(age))),
                output::thousands(r.status.rows),
                if links > 0 { output::thousands(links) } else { String::new() },
                r.next_run_at.clone().unwrap_or_default(),
            ]);
        }
        output::line(&table.to_string())?;
        for r in &report.resources {
            for line in r.status.log.iter().flat_map(|log| log_lines(r.status.resource, log)) {
                output::line(&line)?;
            }
        }
        for r in &report.resources {
            if let Some(reason) = &r.status.reason {
                output::line(&format!("  {} is {}: {reason}", r.status.resource, r.status.state))?;
            }
            if let Some(remedy) = &r.status.remedy {
                output::line(&format!("    {remedy}"))?;
            }
        }
        for line in report.daemon.iter().flat_map(Doing::lines) {
            output::line(&format!("  {line}"))?;
        }
        output::line("")?;
    }
    Ok(())
}
