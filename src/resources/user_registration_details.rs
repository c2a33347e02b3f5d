//! Which authentication methods people have registered.
//! <https://learn.microsoft.com/graph/api/authenticationmethodsroot-list-userregistrationdetails>

use super::definition::{Definition, Source, boolean, json, key, text, time};
use crate::graph::Workload;

pub(super) static USER_REGISTRATION_DETAILS: Definition = Definition {
    name: "user_registration_details",
    summary: "MFA and passwordless registration of each user",
    source: Source::List { path: "reports/authenticationMethods/userRegistrationDetails", top: None },
    properties: &[
        key("id"),
        text("userPrincipalName"),
        text("userDisplayName"),
        text("userType"),
        boolean("isAdmin"),
        boolean("isMfaCapable"),
        boolean("isMfaRegistered"),
        boolean("isPasswordlessCapable"),
        boolean("isSsprCapable"),
        boolean("isSsprEnabled"),
        boolean("isSsprRegistered"),
        boolean("isSystemPreferredAuthenticationMethodEnabled"),
        time("lastUpdatedDateTime"),
        json("methodsRegistered"),
        json("systemPreferredAuthenticationMethods"),
        text("userPreferredMethodForSecondaryAuthentication"),
    ],
    // Takes $filter and $orderby only.
    selects: false,
    workload: Workload::Reports,
    permissions: &["AuditLog.Read.All"],
    licence: Some("Microsoft Entra ID P1 or P2"),
    schedule: "0 40 */6 * * *",
    ..Definition::DEFAULT
};
