//! What sync, resync, demo and the daemon share: from configuration to engine, and many runs at once within limits.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream;
use tokio_util::sync::CancellationToken;

use super::Failure;
use crate::config::{Config, Tenant, closest};
use crate::graph;
use crate::mirror::{Access, HoldRules};
use crate::resources::{self, Resource};
use crate::sync::{Engine, EngineSettings, Observer, RunReport, RunRequest, Target};

/// The engine for a configuration. `patient` lets itself be throttled for ever, as a daemon does.
pub(crate) fn engine(config: &Config, patient: bool, observer: Arc<dyn Observer>) -> Result<Engine, Failure> {
    make_data_dir(config)?;
    let settings = EngineSettings {
        data_dir: config.data_dir.clone(),
        access: Access { group: config.group, busy_timeout: Some(config.sync.busy_timeout) },
        hold: HoldRules { share: config.sync.sweep_hold_share, rows: config.sync.sweep_hold_rows },
        graph: graph::Settings {
            request_timeout: config.sync.request_timeout,
            budgets: config.budgets.clone(),
            give_up_after: (!patient).then_some(config.sync.give_up_after),
            ..graph::Settings::default()
        },
    };
    Ok(Engine::new(settings, observer)?)
}

/// The data directory, made for this user alone (and the configured group).
fn make_data_dir(config: &Config) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    let dir = &config.data_dir;
    if dir.is_dir() {
        return Ok(());
    }
    let mode = if config.group.is_some() { 0o750 } else { 0o700 };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(dir)
        .map_err(|e| Failure::Usage(format!("data_dir {} cannot be made: {e}", dir.display())))?;
    if config.group.is_some() {
        std::os::unix::fs::chown(dir, None, config.group)
            .map_err(|e| Failure::Usage(format!("data_dir {} cannot be given to the group: {e}", dir.display())))?;
    }
    Ok(())
}

/// What a command is to work on: all configured, or what was named.
pub(crate) fn choose(config: &Config, tenants: &[String], named: &[String]) -> Result<Vec<(Tenant, Vec<&'static Resource>)>, Failure> {
    let known: Vec<&str> = config.tenants.iter().map(|t| t.name.as_str()).collect();
    if let Some(name) = tenants.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(Failure::Usage(unknown("tenant", name, &known, &config.file.display().to_string())));
    }
    let resources: Vec<&str> = resources::all().iter().map(|r| r.name()).collect();
    if let Some(name) = named.iter().find(|name| !resources.contains(&name.as_str())) {
        return Err(Failure::Usage(unknown("resource", name, &resources, "this version")));
    }
    let chosen = |tenant: &&Tenant| tenants.is_empty() || tenants.contains(&tenant.name);
    let wanted = |tenant: &Tenant| {
        let all = resources::all().iter().copied();
        // A resource that is named is synced even where the tenant's own list leaves it out.
        all.filter(|r| if named.is_empty() { tenant.resources.contains(&r.name()) } else { named.iter().any(|n| n == r.name()) }).collect()
    };
    Ok(config.tenants.iter().filter(chosen).map(|tenant| (tenant.clone(), wanted(tenant))).collect())
}

fn unknown(what: &str, name: &str, known: &[&str], place: &str) -> String {
    match closest(name, known.iter().copied()) {
        Some(near) => format!("there is no {what} {name:?}; did you mean {near}?"),
        None => format!("there is no {what} {name:?} in {place}; there are {}", known.join(", ")),
    }
}

/// Runs resources of tenants, so many tenants and so many resources of each at once.
pub(crate) async fn run_all(
    engine: &Engine,
    config: &Config,
    work: Vec<(Tenant, Vec<&'static Resource>)>,
    request: &RunRequest,
) -> Vec<RunReport> {
    let at_once = config.sync.resources_at_once;
    let tenants = stream::iter(work).map(|(tenant, resources)| async move {
        let target = &Target::from(&tenant);
        // Child rows need their parents: what only brings rows of another resource comes after it.
        let (children, parents): (Vec<_>, Vec<_>) = resources.into_iter().partition(|r| r.definition.rows_of.is_some());
        let mut reports = Vec::new();
        for wave in [parents, children] {
            let runs = stream::iter(wave).map(|resource| engine.run(target, resource, request.clone()));
            reports.extend(runs.buffer_unordered(at_once).collect::<Vec<_>>().await);
        }
        reports
    });
    let mut reports: Vec<RunReport> = tenants.buffer_unordered(config.sync.tenants_at_once).concat().await;
    let order: Vec<&str> = resources::all().iter().map(|r| r.name()).collect();
    reports.sort_by_key(|r| (r.tenant.clone(), order.iter().position(|name| *name == r.resource)));
    reports
}

/// A token that is cancelled by Ctrl-C or SIGTERM: the page in hand is finished.
pub(crate) fn stop_on_signal() -> std::io::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let token = CancellationToken::new();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let cancelled = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        cancelled.cancel();
    });
    Ok(token)
}
