//! Many small tenants in one daemon: the first sync of all, then the scheduled rounds of all within one interval. `cargo bench --bench tenants`
//! takes 100 tenants of 50 people; `-- 1000` takes another number, `-- 1000 15` also the minutes of the interval (5 when not said).
//! `BENCH_BINARY` names another binary to compare with.
//!
//! The service is simulated in this process and answers at once; the daemon is the real binary as a child, so that its memory, threads and
//! descriptors are its own. Budgets are raised beyond what is used: measured is the program, not Graph's limits.

mod daemon;
mod spread;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use entra_mirror::resources;
use entra_mirror::simulator::{Quirks, Simulator, Tenant, TenantOptions};

use daemon::Daemon;

/// People of each tenant.
const PEOPLE: usize = 50;
/// Sign-ins of each tenant at the start.
const SIGN_INS: usize = 50;
/// Changes in each tenant before the scheduled rounds.
const EVENTS: usize = 3;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(1800);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let numbers: Vec<usize> = arguments.iter().filter_map(|a| a.parse().ok()).collect();
    if numbers.len() < arguments.len() {
        // `cargo bench -- A` is about another bench.
        return;
    }
    let count = numbers.first().copied().unwrap_or(100);
    let minutes = numbers.get(1).copied().unwrap_or(5).clamp(1, 30) as u64;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let simulator = runtime.block_on(Simulator::start(SocketAddr::from(([127, 0, 0, 1], 0)))).expect("a simulator");
    let tenants: Vec<Tenant> = (0..count)
        .map(|n| {
            let name = format!("tenant{n:04}");
            let options = TenantOptions {
                sign_ins: SIGN_INS,
                quirks: Quirks::none(),
                real_time: true,
                ..TenantOptions::new(&name, n as u64, PEOPLE)
            };
            simulator.add_tenant(options)
        })
        .collect();
    let folder = tempfile::tempdir().expect("a folder");
    // Nothing by the schedule before the first sync is over.
    configure(folder.path(), &simulator.origin(), &tenants, "0 0 1 1 *");
    println!("{count} tenants of {PEOPLE} people, {} resources each, every {minutes} min", resources::all().len());

    let mut daemon = Daemon::start(folder.path());
    let ready = daemon.wait_until_ready(PATIENCE);
    println!("READY after {:.2} s", ready.as_secs_f64());
    let first = daemon.wait_until_idle(PATIENCE);
    let requests: usize = tenants.iter().map(|tenant| tenant.requests().len()).sum();
    println!("\nfirst sync of all: {:.1} s, {:.1} requests a tenant", first.as_secs_f64(), requests as f64 / count as f64);
    daemon.tell_use();
    files(folder.path(), count);

    // Every resource once an interval, at the second of its default schedule; from a tick on, in which all have their places.
    configure(folder.path(), &simulator.origin(), &tenants, &format!("*/{minutes} * * * *"));
    daemon.reload();
    let interval = Duration::from_secs(minutes * 60);
    daemon.wait_for_tick(interval);
    daemon.wait_for_tick(interval);
    tenants.iter().for_each(|tenant| {
        tenant.live(EVENTS);
        tenant.clear_requests();
    });
    let (began, before) = (Instant::now(), daemon.runs());
    daemon.forget_peaks();
    daemon.watch_for(interval);
    let passed = began.elapsed();
    let runs = daemon.runs() - before;
    let times: Vec<f64> = tenants
        .iter()
        .flat_map(|tenant| tenant.requests())
        .map(|request| request.at.saturating_duration_since(began).as_secs_f64())
        .filter(|at| *at < passed.as_secs_f64())
        .collect();
    let all = count * resources::all().len();
    println!(
        "\nscheduled rounds of all in {:.0} s: {runs} of {all} runs, {:.1} requests a tenant",
        passed.as_secs_f64(),
        times.len() as f64 / count as f64
    );
    spread::tell(&times, passed.as_secs_f64());
    daemon.tell_use();
    daemon.tell_questions();
    daemon.stop();
}

/// A configuration of all tenants in which every resource has this schedule, with the second of its default one.
fn configure(folder: &Path, origin: &str, tenants: &[Tenant], minutes: &str) {
    let mut text = String::from(
        "data_dir = \"data\"\n[budgets]\ndirectory_units_per_10s = 1e6\napp_directory_units_per_20s = 1e6\nreports_per_10s = 1e6\n\
         app_reports_per_10s = 1e6\nsign_in_activity_per_minute = 1e6\nidentity_protection_per_second = 1e6\n[schedule]\n",
    );
    for resource in resources::all() {
        let second = resource.definition.schedule.split(' ').next().unwrap_or("0");
        text.push_str(&format!("{} = \"{second} {minutes}\"\n", resource.name()));
    }
    for tenant in tenants {
        let secret = format!("{}.secret", tenant.name());
        std::fs::write(folder.join(&secret), tenant.client_secret()).expect("secret");
        daemon::set_private(&folder.join(&secret));
        text.push_str(&format!(
            "[[tenants]]\nname = \"{}\"\nid = \"{}\"\nlogin_url = \"{origin}\"\ngraph_url = \"{origin}\"\n\
             app = {{ client_id = \"{}\", client_secret_file = \"{secret}\" }}\n",
            tenant.name(),
            tenant.tenant_id(),
            tenant.client_id(),
        ));
    }
    std::fs::write(folder.join("config.toml"), text).expect("config");
}

/// What stands on the disk.
fn files(folder: &Path, count: usize) {
    let bytes: u64 =
        std::fs::read_dir(folder.join("data")).expect("data").flatten().filter_map(|e| e.metadata().ok()).map(|m| m.len()).sum();
    println!("  {:.1} MiB of files, {:.2} a tenant", bytes as f64 / 1_048_576.0, bytes as f64 / 1_048_576.0 / count as f64);
}
