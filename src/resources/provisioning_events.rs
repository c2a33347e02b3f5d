//! Provisioning: what was written to and read from connected systems. <https://learn.microsoft.com/graph/api/provisioningobjectsummary-list>

use super::definition::{Definition, LogSource, RAW, Source, Stream, integer, json, key, nested, text, time};
use crate::graph::Workload;
use crate::mirror::Kind;

pub(super) static PROVISIONING_EVENTS: Definition = Definition {
    name: "provisioning_events",
    summary: "what provisioning wrote to connected systems",
    source: Source::Log(LogSource { path: "auditLogs/provisioning", time: "activityDateTime", top: 999, streams: Stream::ALL }),
    properties: &[
        key("id"),
        time("activityDateTime"),
        text("tenantId"),
        text("jobId"),
        text("cycleId"),
        text("changeId"),
        text("provisioningAction"),
        integer("durationInMilliseconds"),
        nested("provisioningStatusInfo.status", Kind::Text),
        nested("provisioningStatusInfo.errorInformation.errorCode", Kind::Text),
        nested("provisioningStatusInfo.errorInformation.reason", Kind::Text),
        nested("servicePrincipal.id", Kind::Text),
        nested("servicePrincipal.displayName", Kind::Text),
        nested("sourceSystem.id", Kind::Text),
        nested("sourceSystem.displayName", Kind::Text),
        nested("targetSystem.id", Kind::Text),
        nested("targetSystem.displayName", Kind::Text),
        nested("initiatedBy.id", Kind::Text),
        nested("initiatedBy.displayName", Kind::Text),
        nested("initiatedBy.initiatorType", Kind::Text),
        nested("sourceIdentity.id", Kind::Text),
        nested("sourceIdentity.displayName", Kind::Text),
        nested("sourceIdentity.identityType", Kind::Text),
        nested("targetIdentity.id", Kind::Text),
        nested("targetIdentity.displayName", Kind::Text),
        nested("targetIdentity.identityType", Kind::Text),
        json("modifiedProperties"),
        RAW,
    ],
    workload: Workload::Reports,
    permissions: &["AuditLog.Read.All"],
    schedule: "55 */10 * * * *",
    ..Definition::DEFAULT
};
