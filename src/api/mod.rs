//! The daemon's own HTTP: what it does and how it fares, on a socket of its user's and, where configured, on a port. Changes nothing.

mod ask;
mod files;
mod metrics;
mod server;
mod socket;
mod status;

pub use ask::daemon_status;
pub use server::{Server, Sources};
