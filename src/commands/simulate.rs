//! `simulate`: the simulator alone, for application developers.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Failure, Global, Outcome, output, work};
use crate::simulator::{Quirks, SCENARIOS, Scenario, Simulator, Tenant, TenantOptions, Throttle};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  entra-mirror simulate --people 2000 --live
  entra-mirror simulate --write-config ./sim        and in another terminal: entra-mirror --config ./sim/config.toml sync
  entra-mirror simulate --faults flaky --live       a bad day; see --help for the other scenarios
  entra-mirror simulate --faults ./faults.json      your own, for example:
      [{\"matching\": \"users/delta\", \"after\": 2, \"times\": 3, \"action\": {\"error\": {\"status\": 503, \"retry_after\": {\"seconds\": \"2\"}}}},
       {\"matching\": \"signIns\", \"every\": 10, \"from_seconds\": 60, \"to_seconds\": 120, \"action\": \"reset\"},
       {\"probability\": 0.05, \"action\": {\"hang\": {\"millis\": 3000}}}]
  entra-mirror simulate --people 20000 --throttle   the budgets of the real service, with its 429s

GET / of the simulator tells what else can be asked of it: ground truth, faults, the clock.")]
pub(super) struct Simulate {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:7878")]
    listen: SocketAddr,
    /// Allow an address beyond loopback: anybody who reaches it can read and change the simulated tenants
    #[arg(long)]
    listen_anywhere: bool,
    /// People in each tenant
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    people: u32,
    /// Tenants: contoso, contoso2, ...
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    tenants: u16,
    /// The same seed gives the same tenants
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Let people join, move and leave: about one event a second
    #[arg(long)]
    live: bool,
    /// Let things go wrong: a scenario's name, or a file with a list of faults as JSON
    #[arg(long, value_name = "SCENARIO|FILE", long_help = faults_help())]
    faults: Option<String>,
    /// Refuse who asks for more than Microsoft's published budgets allow; the written configuration then keeps to them
    #[arg(long)]
    throttle: bool,
    /// Write config.toml and the secret into this folder, ready for use
    #[arg(long, value_name = "FOLDER")]
    write_config: Option<PathBuf>,
}

impl Simulate {
    pub async fn run(self, global: &Global) -> Outcome {
        if !self.listen.ip().is_loopback() && !self.listen_anywhere {
            return Err(Failure::Usage(format!(
                "{} is not loopback: the simulator gives everything to anybody. Add --listen-anywhere if that is meant",
                self.listen
            )));
        }
        let scenario = self.faults.as_deref().map(scenario).transpose()?.unwrap_or_default();
        let simulator = Simulator::start(self.listen)
            .await
            .map_err(|e| Failure::Error(anyhow::anyhow!("cannot listen on {}: {e}; choose another --listen", self.listen)))?;
        let mut tenants = Vec::new();
        for number in 1..=self.tenants {
            let name = if number == 1 { "contoso".to_owned() } else { format!("contoso{number}") };
            let plain = options(&name, self.seed + u64::from(number), self.people as usize);
            let options = TenantOptions {
                throttle: if self.throttle { Throttle::published() } else { Throttle::off() },
                ..if scenario.messy { messy(plain) } else { plain }
            };
            let tenant = simulator.add_tenant(options);
            scenario.faults.iter().for_each(|fault| tenant.fault(fault.clone()));
            tenants.push(tenant);
        }
        let budgets = if self.throttle { "" } else { BUDGETS };
        let config = config_text(&simulator.origin(), &tenants, Path::new("data"), budgets);
        if let Some(folder) = &self.write_config {
            write_folder(folder, &config, &tenants)?;
        }
        if global.json {
            let described: Vec<_> = tenants
                .iter()
                .map(|t| serde_json::json!({"name": t.name(), "id": t.tenant_id(), "client_id": t.client_id(), "client_secret": t.client_secret()}))
                .collect();
            output::json(&serde_json::json!({"origin": simulator.origin(), "tenants": described}))?;
        } else {
            output::line(&format!(
                "A simulated Microsoft Graph with {} tenant(s) of {} people listens on {}",
                self.tenants,
                self.people,
                simulator.origin()
            ))?;
            output::line("Ctrl-C ends it. A configuration that reaches it:\n")?;
            output::line(&config)?;
        }
        let stop = work::stop_on_signal()?;
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = tick.tick() => if self.live {
                    tenants.iter().for_each(|tenant| tenant.live(1));
                },
            }
        }
        simulator.stop();
        Ok(())
    }
}

/// The simulator refuses nobody for asking too often, so nothing is waited for.
const BUDGETS: &str = "\
# For the simulator only: Microsoft allows far less, and without this section that is what is kept to.
[budgets]
directory_units_per_10s = 1000000
app_directory_units_per_20s = 1000000
reports_per_10s = 1000000
app_reports_per_10s = 1000000
sign_in_activity_per_minute = 1000000
identity_protection_per_second = 1000000
";

/// A tenant whose clock is ours, with a month of activity: twenty sign-ins a head, so that a first look shows something.
pub(super) fn options(name: &str, seed: u64, people: usize) -> TenantOptions {
    TenantOptions {
        real_time: true,
        sign_ins: (people * 20).min(500_000),
        directory_audits: (people * 2).min(50_000),
        provisioning_events: (people / 4).min(10_000),
        ..TenantOptions::new(name, seed, people)
    }
}

/// A configuration for simulated tenants; secrets are in files beside it.
fn config_text(origin: &str, tenants: &[Tenant], data_dir: &Path, budgets: &str) -> String {
    let mut text = format!("data_dir = {:?}\n\n{budgets}", data_dir.display().to_string());
    for tenant in tenants {
        text.push_str(&format!(
            "\n[[tenants]]\nname = \"{name}\"\nid = \"{id}\"\nlogin_url = \"{origin}\"\ngraph_url = \"{origin}\"\n\
             app = {{ client_id = \"{client}\", client_secret_file = \"{name}.secret\" }}\n",
            name = tenant.name(),
            id = tenant.tenant_id(),
            client = tenant.client_id(),
        ));
    }
    text
}

/// Writes a configuration and the secrets it names into a folder.
pub(super) fn write_config(folder: &Path, origin: &str, tenants: &[Tenant], data_dir: &Path) -> std::io::Result<()> {
    write_folder(folder, &config_text(origin, tenants, data_dir, BUDGETS), tenants)
}

fn write_folder(folder: &Path, config: &str, tenants: &[Tenant]) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::DirBuilderExt;
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    std::fs::write(folder.join("config.toml"), config)?;
    for tenant in tenants {
        let path = folder.join(format!("{}.secret", tenant.name()));
        let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(tenant.client_secret().as_bytes())?;
    }
    Ok(())
}

fn faults_help() -> String {
    let mut text =
        "Let things go wrong: a scenario's name, or a file with a list of faults as JSON (each as POST /_simulator/faults takes \
        it).\nScenarios:"
            .to_owned();
    for (name, what) in SCENARIOS {
        text.push_str(&format!("\n  {name:<15} {what}"));
    }
    text
}

/// A scenario by its name or from a file.
fn scenario(name: &str) -> Result<Scenario, Failure> {
    if let Some(scenario) = Scenario::named(name) {
        return Ok(scenario);
    }
    let names: Vec<&str> = SCENARIOS.iter().map(|(name, _)| *name).collect();
    let text = std::fs::read_to_string(name)
        .map_err(|e| Failure::Usage(format!("--faults {name}: there is no such scenario ({}), nor a file: {e}", names.join(", "))))?;
    Scenario::read(&text).map_err(|e| Failure::Usage(format!("--faults {name}: {e}")))
}

/// Delta at its worst.
fn messy(options: TenantOptions) -> TenantOptions {
    let quirks = Quirks { empty_page_every: 3, repeat_every: 1, announce_purged_links: true, ..Quirks::default() };
    TenantOptions { delta_page: 20, delta_links: 50, quirks, ..options }
}
