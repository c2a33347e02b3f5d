//! Sign-ins: interactive from v1.0; non-interactive ones, service principals and managed identities from beta, each when switched on.
//! <https://learn.microsoft.com/graph/api/signin-list>

use std::borrow::Cow;

use super::definition::{Definition, LogSource, RAW, Source, Stream, boolean, json, key, nested, text, time};
use crate::graph::{Version, Workload};
use crate::mirror::{Item, Kind, Table, Value};

/// What v1.0 lists, and how that is called where it is said.
const INTERACTIVE: &str = "interactiveUser";

static STREAMS: &[Stream] = &[
    Stream { name: INTERACTIVE, version: Version::V1, filter: None },
    Stream { name: "nonInteractiveUser", version: Version::Beta, filter: Some("signInEventTypes/any(t: t eq 'nonInteractiveUser')") },
    Stream { name: "servicePrincipal", version: Version::Beta, filter: Some("signInEventTypes/any(t: t eq 'servicePrincipal')") },
    Stream { name: "managedIdentity", version: Version::Beta, filter: Some("signInEventTypes/any(t: t eq 'managedIdentity')") },
];

pub(super) static SIGN_INS: Definition = Definition {
    name: "sign_ins",
    summary: "who signed in, from where, to what, with which result",
    source: Source::Log(LogSource { path: "auditLogs/signIns", time: "createdDateTime", top: 1000, streams: STREAMS }),
    properties: &[
        key("id"),
        time("createdDateTime"),
        json("signInEventTypes"),
        boolean("isInteractive"),
        text("userId"),
        text("userPrincipalName"),
        text("userDisplayName"),
        text("servicePrincipalId"),
        text("servicePrincipalName"),
        text("appId"),
        text("appDisplayName"),
        text("resourceId"),
        text("resourceDisplayName"),
        text("resourceTenantId"),
        text("homeTenantId"),
        text("ipAddress"),
        text("userAgent"),
        text("clientAppUsed"),
        text("authenticationRequirement"),
        text("correlationId"),
        text("conditionalAccessStatus"),
        nested("status.errorCode", Kind::Integer),
        nested("status.failureReason", Kind::Text),
        nested("status.additionalDetails", Kind::Text),
        nested("location.city", Kind::Text),
        nested("location.state", Kind::Text),
        nested("location.countryOrRegion", Kind::Text),
        nested("location.geoCoordinates.latitude", Kind::Real),
        nested("location.geoCoordinates.longitude", Kind::Real),
        nested("deviceDetail.deviceId", Kind::Text),
        nested("deviceDetail.displayName", Kind::Text),
        nested("deviceDetail.operatingSystem", Kind::Text),
        nested("deviceDetail.browser", Kind::Text),
        nested("deviceDetail.isCompliant", Kind::Boolean),
        nested("deviceDetail.isManaged", Kind::Boolean),
        nested("deviceDetail.trustType", Kind::Text),
        text("riskDetail"),
        text("riskLevelAggregated"),
        text("riskLevelDuringSignIn"),
        text("riskState"),
        json("riskEventTypes_v2"),
        RAW,
    ],
    workload: Workload::Reports,
    permissions: &["AuditLog.Read.All"],
    licence: Some("Microsoft Entra ID P1 or P2"),
    schedule: "10 */5 * * * *",
    finish: Some(say_the_type),
    ..Definition::DEFAULT
};

/// v1.0 lists interactive sign-ins only and does not say so.
fn say_the_type(table: &Table, item: &mut Item<'_>) {
    if let Some(index) = table.column("sign_in_event_types").filter(|index| item.values[*index] == Some(Value::Null)) {
        item.values[index] = Some(Value::Text(Cow::Owned(format!("[\"{INTERACTIVE}\"]"))));
    }
}
