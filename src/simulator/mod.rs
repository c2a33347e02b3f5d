//! A Microsoft Graph tenant in memory, served over a socket: same protocol, same refusals, same quirks, faults on demand. Uses no other
//! room of this program; tests, the demo and application developers use it.
//!
//! `http://host:port` is both login_url and graph_url. What is only of the simulator lives under `/_simulator/` ([`control`]).

mod answer;
mod assertion;
pub mod control;
mod credentials;
mod delta;
mod faults;
mod filter;
#[doc(hidden)]
pub mod fuzzing;
mod generate;
mod identity;
mod life;
mod listing;
mod logs;
mod options;
mod roles;
mod routes;
mod scenarios;
mod schema;
mod server;
mod store;
mod strike;
mod tenant;
mod throttle;
mod token;
mod tokens;
mod truth;
mod words;

pub use credentials::FederatedCredential;
pub use faults::{Action, Fault, Retry};
pub use options::{Premium, Quirks, TenantOptions};
pub use scenarios::{SCENARIOS, Scenario};
pub use schema::Kind;
pub use server::Simulator;
pub use tenant::{RequestRecord, Tenant};
pub use throttle::{Throttle, ThrottleStats, Wait};

#[cfg(test)]
mod tests;
