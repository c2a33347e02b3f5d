//! A simulator, a configuration for it in a folder of its own, and the binary.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use entra_mirror::simulator::{Simulator, Tenant, TenantOptions};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::truth::{self, Without};

/// How long a condition may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Budgets beyond what a test can use.
const BUDGETS: &str = "[budgets]\ndirectory_units_per_10s = 1e6\napp_directory_units_per_20s = 1e6\nreports_per_10s = 1e6\napp_reports_per_10s = 1e6\nsign_in_activity_per_minute = 1e6\nidentity_protection_per_second = 1e6\n";

pub struct World {
    pub dir: TempDir,
    pub tenants: Vec<Tenant>,
    pub simulator: Simulator,
    // Last: what is served runs on it.
    _runtime: Runtime,
}

impl World {
    /// A simulator with these tenants and a configuration that names them all.
    pub fn new(tenants: Vec<TenantOptions>) -> World {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let simulator = runtime.block_on(Simulator::start(SocketAddr::from(([127, 0, 0, 1], 0)))).expect("a simulator");
        let tenants = tenants.into_iter().map(|options| simulator.add_tenant(options)).collect();
        let world = World { dir: tempfile::tempdir().expect("a folder"), tenants, simulator, _runtime: runtime };
        world.write_config("");
        world
    }

    /// One tenant called contoso.
    pub fn one(options: TenantOptions) -> World {
        World::new(vec![options])
    }

    /// Writes the configuration with `more` before the tenants.
    pub fn write_config(&self, more: &str) {
        let origin = self.simulator.origin();
        // Most tests are not about waiting; those that are say so.
        let budgets = if more.contains("[budgets]") { "" } else { BUDGETS };
        let mut text = format!("data_dir = \"data\"\n{more}\n{budgets}\n");
        for tenant in &self.tenants {
            let secret = self.dir.path().join(format!("{}.secret", tenant.name()));
            std::fs::write(&secret, tenant.client_secret()).expect("secret");
            set_mode(&secret, 0o600);
            text.push_str(&format!(
                "[[tenants]]\nname = \"{}\"\nid = \"{}\"\nlogin_url = \"{origin}\"\ngraph_url = \"{origin}\"\n\
                 app = {{ client_id = \"{}\", client_secret_file = \"{0}.secret\" }}\n",
                tenant.name(),
                tenant.tenant_id(),
                tenant.client_id(),
            ));
        }
        std::fs::write(self.config(), text).expect("config");
    }

    pub fn config(&self) -> PathBuf {
        self.dir.path().join("config.toml")
    }

    pub fn tenant(&self) -> &Tenant {
        &self.tenants[0]
    }

    /// The tenant's file.
    pub fn file(&self) -> PathBuf {
        self.file_of(self.tenant().name())
    }

    pub fn file_of(&self, tenant: &str) -> PathBuf {
        self.dir.path().join("data").join(format!("{tenant}.db"))
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = binary();
        command.arg("--config").arg(self.config()).args(arguments);
        command
    }

    /// Runs the binary to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(self.command(arguments).output().expect("the binary runs"))
    }

    /// Runs it and expects success.
    pub fn ok(&self, arguments: &[&str]) -> Ended {
        let ended = self.run(arguments);
        assert_eq!(ended.code, 0, "{arguments:?}: {}\n{}", ended.stdout, ended.stderr);
        ended
    }

    /// `sync --json` of these arguments; the report of each resource.
    pub fn sync(&self, arguments: &[&str]) -> Vec<serde_json::Value> {
        let ended = self.ok(&[&["--json", "sync"], arguments].concat());
        serde_json::from_str(&ended.stdout).expect("reports")
    }

    /// Starts it and lets it run.
    pub fn spawn(&self, arguments: &[&str]) -> Running {
        let child = self.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts");
        Running { child }
    }

    /// The file equals ground truth.
    pub fn assert_equal(&self) {
        self.assert_equal_without(Without::default());
    }

    pub fn assert_equal_without(&self, without: Without) {
        for tenant in &self.tenants {
            truth::assert_equal(&self.file_of(tenant.name()), &tenant.ground_truth(), without);
        }
    }
}

/// The binary, with a clean environment.
pub fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_entra-mirror"));
    command.env_remove("RUST_LOG").env_remove("ENTRA_MIRROR_CONFIG").stdin(Stdio::null());
    command
}

pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub fn of(output: Output) -> Ended {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8 output");
        let ended = Ended { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) };
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        ended
    }

    /// Everything it said.
    pub fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// A process that is killed when the test ends.
pub struct Running {
    pub child: Child,
}

impl Running {
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: sends a signal to a child of ours that was not waited for yet, so the number is its own.
        let sent = unsafe { libc::kill(i32::try_from(self.child.id()).expect("a pid"), signal) };
        assert_eq!(sent, 0);
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> i32 {
        let mut code = None;
        wait_for("the process ends", || {
            code = self.child.try_wait().expect("wait").map(|status| status.code().unwrap_or(-1));
            code.is_some()
        });
        code.unwrap_or(-1)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits for a condition.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("mode");
}
