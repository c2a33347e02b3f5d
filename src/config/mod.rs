//! What the user wrote, merged and validated: defaults, the file, then the environment. Every mistake is told at once. Opens no network.

mod budgets;
mod load;
mod logs;
mod metrics;
mod mistakes;
mod raw;
mod secrets;
mod validate;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use load::{DEFAULT_FILES, load, read};
pub use mistakes::{ConfigError, Mistake, closest};
pub use validate::{RECONCILE, parse_cron};

use crate::graph::{Budgets, Credential, Origin};

/// The configuration, ready for use.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it came from.
    pub file: PathBuf,
    pub data_dir: PathBuf,
    /// Group id that may read the tenants' files.
    pub group: Option<u32>,
    pub sync: SyncSettings,
    /// What Graph lets the app send, as published or as section `[budgets]` has it.
    pub budgets: Budgets,
    pub metrics: MetricsSettings,
    /// Cron text by resource, defaults included.
    pub schedule: BTreeMap<&'static str, String>,
    /// Cron text of the weekly reconciliation: `[schedule] reconcile`.
    pub reconcile: String,
    pub tenants: Vec<Tenant>,
    /// What is allowed and should be told.
    pub warnings: Vec<String>,
}

/// Section `[sync]`.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncSettings {
    /// Share of a table's rows that a full round may find missing before its sweep is held.
    pub sweep_hold_share: f64,
    /// Number of rows likewise; both must be exceeded.
    pub sweep_hold_rows: u64,
    /// Tenants at once.
    pub tenants_at_once: usize,
    /// Resources of one tenant at once.
    pub resources_at_once: usize,
    /// Of one request.
    pub request_timeout: Duration,
    /// How long a one-shot command lets itself be throttled, or tries what fails in passing.
    pub give_up_after: Duration,
    /// How long a write waits for another program's write lock on a tenant's file.
    pub busy_timeout: Duration,
}

/// Section `[metrics]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetricsSettings {
    /// Where the daemon serves `/metrics` and `/healthz`; `None` = nowhere.
    pub listen: Option<SocketAddr>,
}

/// One tenant.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// The file's name without its ending.
    pub name: String,
    /// Tenant id or verified domain.
    pub id: String,
    pub cloud: Cloud,
    pub login_url: Origin,
    pub graph_url: Origin,
    /// Application id; with a managed identity a word for that identity.
    pub client_id: String,
    pub credential: Credential,
    /// Resources that are mirrored.
    pub resources: Vec<&'static str>,
    /// Extra properties by resource.
    pub extra: BTreeMap<String, Vec<String>>,
    pub logs: LogSettings,
    /// How long rows of the change feed are kept: `[changes] keep`.
    pub keep_changes: Duration,
}

/// Section `[logs]`, and what `[resources.NAME]` says of single logs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogSettings {
    /// How long events are kept, by resource: every log is named.
    pub keep: BTreeMap<&'static str, Duration>,
    /// How much of the past each round reads again.
    pub overlap: Duration,
    /// Kinds of sign-ins, in Graph's words; none named means the interactive ones.
    pub event_types: Vec<String>,
}

/// A national cloud. <https://learn.microsoft.com/graph/deployments>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    Global,
    UsGov,
    UsGovDod,
    China,
}

impl Cloud {
    /// Word in the configuration, login host, Graph host.
    const TABLE: [(Cloud, &'static str, &'static str, &'static str); 4] = [
        (Cloud::Global, "global", "https://login.microsoftonline.com", "https://graph.microsoft.com"),
        (Cloud::UsGov, "usgov", "https://login.microsoftonline.us", "https://graph.microsoft.us"),
        (Cloud::UsGovDod, "usgov-dod", "https://login.microsoftonline.us", "https://dod-graph.microsoft.us"),
        (Cloud::China, "china", "https://login.chinacloudapi.cn", "https://microsoftgraph.chinacloudapi.cn"),
    ];

    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    fn row(self) -> (&'static str, &'static str, &'static str) {
        let row = Cloud::TABLE.iter().find(|row| row.0 == self).unwrap_or(&Cloud::TABLE[0]);
        (row.1, row.2, row.3)
    }
}

impl Config {
    /// A tenant's file.
    pub fn tenant_file(&self, tenant: &str) -> PathBuf {
        tenant_file(&self.data_dir, tenant)
    }
}

/// A tenant's file in a data directory.
pub fn tenant_file(data_dir: &Path, tenant: &str) -> PathBuf {
    data_dir.join(format!("{tenant}.db"))
}
