//! Activity logs and the reports beside them: sign-ins, directory audits, provisioning, registration details, risk. Answers requests for them
//! and makes their events; knows the directory's objects only by reading them, and no sockets.

mod activity;
mod audits;
mod cast;
mod catalogue;
mod filter;
mod follow;
mod generate;
mod handle;
mod provisioning;
mod query;
mod registration;
mod reports;
mod risk;
mod routes;
mod sign_ins;
mod store;
mod token;
mod truth;

pub(super) use filter::is_read;
pub(super) use follow::{What, membership, object, role, signs_of_life};
pub(super) use generate::history;
pub(super) use routes::{answer, refuse_activity, with_activity};
pub(super) use store::Logs;
pub(super) use truth::add_truth;

use super::options::Premium;

/// How long events can be read.
fn retention_days(premium: Premium) -> i64 {
    if premium == Premium::Free { 7 } else { 30 }
}

#[cfg(test)]
mod tests;
