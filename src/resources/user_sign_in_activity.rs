//! When people last signed in: no delta tells it, and reading it has a budget of its own, so it is a slow sweep.
//! <https://learn.microsoft.com/graph/api/resources/signinactivity>

use super::definition::{Definition, Property, Source, Take, inner};
use crate::graph::Workload;
use crate::mirror::Kind;

pub(super) static USER_SIGN_IN_ACTIVITY: Definition = Definition {
    name: "user_sign_in_activity",
    summary: "when each user last signed in (slow sweep)",
    source: Source::List { path: "users", top: Some(500) },
    properties: &[
        Property { name: "id", take: Take::KeyAs("user_id") },
        inner("signInActivity.lastSignInDateTime", Kind::Time),
        inner("signInActivity.lastSignInRequestId", Kind::Text),
        inner("signInActivity.lastNonInteractiveSignInDateTime", Kind::Time),
        inner("signInActivity.lastNonInteractiveSignInRequestId", Kind::Text),
        inner("signInActivity.lastSuccessfulSignInDateTime", Kind::Time),
        inner("signInActivity.lastSuccessfulSignInRequestId", Kind::Text),
    ],
    workload: Workload::SignInActivity,
    permissions: &["AuditLog.Read.All"],
    licence: Some("Microsoft Entra ID P1 or P2"),
    schedule: "0 20 3 * * *",
    ..Definition::DEFAULT
};
