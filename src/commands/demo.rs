//! `demo`: a simulated tenant on loopback, mirrored, with a summary and queries worth trying.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio_util::sync::CancellationToken;

use super::progress::Progress;
use super::{Failure, Global, Outcome, output, work};
use crate::config::{self, Config};
use crate::daemon::{self, Daemon, Live};
use crate::mirror;
use crate::simulator::{Simulator, Tenant};
use crate::sync::{self, Mode, RunReport, RunRequest, Trigger};

/// How often new rows of the change feed are looked for in a live demo.
const LOOK: Duration = Duration::from_millis(500);

/// Text of the queries, and what each asks.
const QUERIES: [(&str, &str); 5] = [
    (
        "Who reports to whom, from the top",
        "SELECT depth, display_name, job_title, department FROM org_chart WHERE depth <= 1 AND job_title IS NOT NULL ORDER BY depth, display_name LIMIT 6",
    ),
    (
        "Sign-ins that failed in the last week, by reason",
        "SELECT status_error_code, status_failure_reason, count(*) AS times, count(DISTINCT user_id) AS people FROM sign_ins\n\
         WHERE status_error_code <> 0 AND created_date_time > strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-7 days')\n\
         GROUP BY 1 ORDER BY times DESC LIMIT 5",
    ),
    (
        "Who holds a privileged role, and how",
        "SELECT principal_name, role_name, state, coalesce(via_group_name, 'direct') AS via, end_date_time\n\
         FROM effective_roles WHERE is_privileged = 1 ORDER BY role_name, principal_name LIMIT 6",
    ),
    (
        "Products: bought, used, left",
        "SELECT name, available_quantity, assigned_quantity, remaining_quantity FROM unified_licenses ORDER BY assigned_quantity DESC",
    ),
    (
        "Secrets of applications that have expired or soon will",
        "SELECT a.display_name, c.credential_type, c.end_date_time FROM application_credentials AS c\n\
         JOIN applications AS a ON a.id = c.application_id WHERE c.end_date_time < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+30 days')\n\
         ORDER BY c.end_date_time LIMIT 5",
    ),
];

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  entra-mirror demo
  entra-mirror demo --people 20000 --data-dir /tmp/demo
  entra-mirror demo --live            the tenant lives on, the daemon follows it, changes are printed

The file stays; open it with any SQLite from 3.38 on.")]
pub(super) struct Demo {
    /// People in the simulated tenant
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    people: u32,
    /// Where the file goes
    #[arg(long, value_name = "FOLDER", default_value = "./entra-mirror-demo")]
    data_dir: PathBuf,
    /// The same seed gives the same tenant
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keep the tenant living and the daemon following it, until Ctrl-C
    #[arg(long)]
    live: bool,
    /// With --live: end after so many seconds
    #[arg(long, value_name = "N", requires = "live")]
    seconds: Option<u64>,
}

impl Demo {
    pub async fn run(self, global: &Global) -> Outcome {
        let say = |text: &str| if global.json { Ok(()) } else { output::line(text) };
        let simulator = Simulator::start_local().await?;
        say(&format!("Making a tenant of {} people on loopback ({}) ...", output::thousands(u64::from(self.people)), simulator.origin()))?;
        let options = super::simulate::options("contoso", self.seed, self.people as usize);
        let tenant = tokio::task::block_in_place(|| simulator.add_tenant(options));
        let config = self.config(&simulator, &tenant)?;
        let file = config.tenant_file("contoso");
        if replace(&file)? {
            say(&format!("{} is from an earlier demo: replaced.", file.display()))?;
        }
        let engine = work::engine(&config, false, Arc::new(Progress::new(global.quiet || global.json)))?;
        let cancel = work::stop_on_signal()?;
        let request =
            RunRequest { mode: Mode::Incremental, accept_sweep: false, trigger: Trigger::Command, backfill: true, cancel: cancel.clone() };
        let began = Instant::now();
        let reports = work::run_all(&engine, &config, work::choose(&config, &[], &[])?, &request).await;
        let took = began.elapsed();
        if let Some(failed) = reports.iter().find(|r| r.outcome != sync::Outcome::Done) {
            let why = failed.message.clone().unwrap_or_default();
            return Err(Failure::Error(anyhow::anyhow!("{} {}: {why}", failed.resource, failed.outcome.as_str())));
        }
        let connection = mirror::open_reader(&file)?;
        if global.json {
            let size = std::fs::metadata(&file)?.len();
            output::json(&serde_json::json!({"file": file, "seconds": took.as_secs_f64(), "file_bytes": size, "runs": reports}))?;
        } else {
            summary(&connection, &file, &reports, took)?;
        }
        if self.live {
            return self.follow(config, tenant, connection, cancel, global).await;
        }
        Ok(())
    }

    /// A configuration like a user's own, kept beside the file.
    fn config(&self, simulator: &Simulator, tenant: &Tenant) -> Result<Config, Failure> {
        super::simulate::write_config(&self.data_dir, &simulator.origin(), std::slice::from_ref(tenant), Path::new("."))?;
        let mut config = config::load(Some(&self.data_dir.join("config.toml")))?;
        // A demo that lives is followed at once rather than every few minutes.
        for cron in config.schedule.values_mut() {
            *cron = "*/2 * * * * *".to_owned();
        }
        Ok(config)
    }

    /// The tenant lives and the daemon follows; changes are printed as they arrive in the file.
    async fn follow(&self, config: Config, tenant: Tenant, connection: Connection, stop: CancellationToken, global: &Global) -> Outcome {
        if !global.json {
            output::line("\nThe tenant lives on and the daemon follows it: changes as they arrive. Ctrl-C ends it.\n")?;
        }
        let live = Arc::new(Live::new());
        let engine = work::engine(&config, true, live.clone())?;
        let _lock = daemon::lock_data_dir(&config.data_dir).map_err(|what| Failure::Error(anyhow::anyhow!(what)))?;
        let again = config.clone();
        let daemon = Daemon { engine, config, live, reload: Box::new(move || Ok(again.clone())) };
        let running = tokio::spawn(daemon.run(stop.clone()));
        let ends = self.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
        let mut tick = tokio::time::interval(LOOK);
        let mut last: i64 = connection.query_row("SELECT coalesce(max(seq), 0) FROM changes", [], |row| row.get(0))?;
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = tick.tick() => {}
            }
            if ends.is_some_and(|ends| Instant::now() >= ends) {
                stop.cancel();
            }
            tenant.live(1);
            last = print_changes(&connection, last, global.json)?;
        }
        match running.await {
            Ok(ended) => Ok(ended?),
            Err(error) => Err(Failure::Error(anyhow::Error::new(error))),
        }
    }
}

/// Removes the file of an earlier demo, with what belongs to it. `false` when there was none.
fn replace(file: &Path) -> std::io::Result<bool> {
    if !file.exists() {
        return Ok(false);
    }
    for ending in ["", "-wal", "-shm"] {
        let mut path = file.as_os_str().to_owned();
        path.push(ending);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(true)
}

fn summary(connection: &Connection, file: &Path, reports: &[RunReport], took: Duration) -> anyhow::Result<()> {
    let mut table = output::table(&["table", "rows", "pages", "requests", "seconds"]);
    for r in reports {
        let rows: i64 = connection.query_row(&format!("SELECT count(*) FROM {}", r.resource), [], |row| row.get(0))?;
        let figure = |n: u64| output::thousands(n);
        table.add_row([
            r.resource.to_owned(),
            figure(rows.unsigned_abs()),
            figure(r.pages),
            figure(r.requests),
            format!("{:.2}", r.seconds),
        ]);
    }
    for view in ["group_members", "group_owners", "administrative_unit_members"] {
        let rows: i64 = connection.query_row(&format!("SELECT count(*) FROM {view}"), [], |row| row.get(0))?;
        table.add_row([view.to_owned(), output::thousands(rows.unsigned_abs()), String::new(), String::new(), String::new()]);
    }
    output::line(&format!("\n{table}"))?;
    let (requests, size) = (reports.iter().map(|r| r.requests).sum(), std::fs::metadata(file)?.len());
    output::line(&format!(
        "\nMirrored in {:.2} s with {} requests into {} ({}).\n",
        took.as_secs_f64(),
        output::thousands(requests),
        file.display(),
        output::bytes(size)
    ))?;
    for (number, (what, sql)) in QUERIES.iter().enumerate() {
        output::line(&format!("{}. {what}\n\n{sql};\n", number + 1))?;
        output::line(&format!("{}\n", rows(connection, sql)?))?;
    }
    output::line("Next:")?;
    output::line(&format!("  sqlite3 {}            every table and view is described in schema/README.md", file.display()))?;
    output::line("  entra-mirror demo --live         watch changes arrive")?;
    output::line("  entra-mirror run                 the same for your own tenant: see README.md, \"A first real tenant\"")?;
    Ok(())
}

/// The answer of a query as a table.
fn rows(connection: &Connection, sql: &str) -> rusqlite::Result<comfy_table::Table> {
    let mut statement = connection.prepare(sql)?;
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut table = output::table(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let cells = (0..names.len()).map(|index| {
            use rusqlite::types::ValueRef;
            Ok(match row.get_ref(index)? {
                ValueRef::Null => String::new(),
                ValueRef::Integer(number) => number.to_string(),
                ValueRef::Real(number) => number.to_string(),
                ValueRef::Text(text) | ValueRef::Blob(text) => output::cell(&String::from_utf8_lossy(text), 40),
            })
        });
        table.add_row(cells.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    Ok(table)
}

/// Prints what came after `last`; returns the new last.
fn print_changes(connection: &Connection, mut last: i64, json: bool) -> Result<i64, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, observed_at, resource, object_id, kind, coalesce(changed, '') FROM changes WHERE seq > ?1 ORDER BY seq",
    )?;
    let mut found = statement.query([last])?;
    while let Some(row) = found.next()? {
        last = row.get(0)?;
        let text = |index: usize| row.get::<_, String>(index);
        let (at, resource, id, kind, changed) = (text(1)?, text(2)?, text(3)?, text(4)?, text(5)?);
        if json {
            let changed: serde_json::Value = serde_json::from_str(&changed).unwrap_or_default();
            let line = serde_json::json!({"seq": last, "observed_at": at, "resource": resource, "object_id": id, "kind": kind, "changed": changed});
            output::line(&line.to_string())?;
        } else {
            output::line(&format!("{last:>6}  {}  {resource:<18} {kind:<15} {id}  {}", &at[11..19], output::cell(&changed, 90)))?;
        }
    }
    Ok(last)
}
