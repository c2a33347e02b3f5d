//! Microsoft Graph: credentials, tokens, fetch queue, pages, errors. Knows no SQLite, no configuration file and no resource.

mod aadsts;
mod body;
mod call;
mod client;
mod clock;
mod credential;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod link;
mod page;
mod queue;
mod retry;
mod signals;
mod token;

pub use call::{Call, CallStats, Priority, Version, Workload};
pub use client::{Client, Endpoint, Settings, TenantClient};
pub use credential::{CertificateInfo, Credential, EXPIRY_WARNING, SecretSource};
pub use error::{GraphError, Refusal, RefusalKind};
pub use link::{Link, Origin};
pub use page::Page;
pub use queue::{BreakerStatus, Budgets, Counts, LaneStatus, Waiting};
