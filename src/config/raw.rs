//! The configuration as it is written: types of the keys only. What they mean is checked elsewhere.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    pub data_dir: Option<PathBuf>,
    pub group: Option<String>,
    pub app: Option<RawApp>,
    pub sync: RawSync,
    pub logs: RawLogs,
    pub changes: RawChanges,
    pub budgets: RawBudgets,
    pub metrics: RawMetrics,
    pub schedule: BTreeMap<String, String>,
    pub resources: BTreeMap<String, RawResource>,
    pub tenants: Vec<RawTenant>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawApp {
    pub client_id: Option<String>,
    pub client_secret_file: Option<PathBuf>,
    pub client_secret_env: Option<String>,
    pub certificate_file: Option<PathBuf>,
    pub federated_token_file: Option<PathBuf>,
    pub managed_identity: Option<bool>,
    pub managed_identity_client_id: Option<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawSync {
    pub sweep_hold_share: f64,
    pub sweep_hold_rows: u64,
    pub tenants_at_once: usize,
    pub resources_at_once: usize,
    pub request_timeout_secs: u64,
    pub give_up_after_secs: u64,
    pub busy_timeout_secs: u64,
}

impl Default for RawSync {
    fn default() -> RawSync {
        RawSync {
            sweep_hold_share: 0.25,
            sweep_hold_rows: 50,
            tenants_at_once: 16,
            resources_at_once: 4,
            request_timeout_secs: 120,
            give_up_after_secs: 600,
            busy_timeout_secs: 30,
        }
    }
}

/// What is not said is as Graph publishes it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawBudgets {
    pub directory_units_per_10s: Option<f64>,
    pub reports_per_10s: Option<f64>,
    pub sign_in_activity_per_minute: Option<f64>,
    pub app_directory_units_per_20s: Option<f64>,
    pub app_reports_per_10s: Option<f64>,
    pub identity_protection_per_second: Option<f64>,
    pub aim: Option<f64>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawMetrics {
    pub listen: Option<String>,
    pub listen_anywhere: bool,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawResource {
    pub extra: Vec<String>,
    pub keep: Option<String>,
    pub event_types: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLogs {
    pub keep: String,
    pub overlap: String,
}

impl Default for RawLogs {
    fn default() -> RawLogs {
        RawLogs { keep: "90d".into(), overlap: "60m".into() }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawChanges {
    pub keep: String,
}

impl Default for RawChanges {
    fn default() -> RawChanges {
        RawChanges { keep: "365d".into() }
    }
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTenant {
    pub name: Option<String>,
    pub id: Option<String>,
    pub cloud: Option<String>,
    pub login_url: Option<String>,
    pub graph_url: Option<String>,
    pub app: Option<RawApp>,
    pub resources: Option<Vec<String>>,
    pub except: Vec<String>,
}
