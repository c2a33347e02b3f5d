//! What is asked of Graph, and what asking cost. Plain data.

use std::time::Duration;

use super::link::Link;

/// Which of Graph's throttle budgets a request falls under (facts of Microsoft's throttling page).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Workload {
    /// Identity and access: resource units.
    Directory,
    /// Audit logs and reports: 5 requests in 10 s.
    Reports,
    /// `signInActivity`: 10 requests a minute over all tenants of the app.
    SignInActivity,
    /// Unified roles and PIM: unpublished.
    RoleManagement,
    /// Identity Protection: one request a second for a tenant, over all its apps.
    IdentityProtection,
}

/// Version of the API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    #[default]
    V1,
    /// May change without notice; only what v1.0 lacks is asked here, and only when it is switched on.
    Beta,
}

impl Version {
    /// First segment of the path.
    pub fn as_str(self) -> &'static str {
        match self {
            Version::V1 => "v1.0",
            Version::Beta => "beta",
        }
    }
}

impl Workload {
    /// The word in status, log and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Workload::Directory => "directory",
            Workload::Reports => "reports",
            Workload::SignInActivity => "sign_in_activity",
            Workload::RoleManagement => "role_management",
            Workload::IdentityProtection => "identity_protection",
        }
    }
}

/// Whose request goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// A person waits for it.
    Interactive,
    /// A scheduled round.
    Scheduled,
    /// Old data that nobody waits for.
    Backfill,
}

/// One request for a page.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    pub link: &'a Link,
    pub workload: Workload,
    pub priority: Priority,
    /// Sends `ConsistencyLevel: eventual`; advanced queries need it on every page of a chain.
    pub eventual: bool,
    /// Tries when it fails in passing, throttling not counted; `None` = as the settings say.
    pub max_attempts: Option<u32>,
}

/// What a call cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallStats {
    /// HTTP requests sent, token requests not counted.
    pub requests: u32,
    /// Requests sent again after a transient failure.
    pub retries: u32,
    /// Answers that asked to wait (429, or 503 with Retry-After).
    pub throttled: u32,
    /// Time spent waiting because of them.
    pub waited: Duration,
    /// Time spent in line before sending, for whatever reason.
    pub queued: Duration,
    /// Resource units, where those count.
    pub units: u32,
}
