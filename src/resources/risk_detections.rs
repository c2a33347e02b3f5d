//! What Identity Protection has detected. <https://learn.microsoft.com/graph/api/riskdetection-list>

use super::definition::{Definition, LogSource, RAW, Source, Stream, key, nested, text, time};
use crate::graph::Workload;
use crate::mirror::Kind;

pub(super) static RISK_DETECTIONS: Definition = Definition {
    name: "risk_detections",
    summary: "risks that Identity Protection has detected",
    source: Source::Log(LogSource { path: "identityProtection/riskDetections", time: "detectedDateTime", top: 500, streams: Stream::ALL }),
    properties: &[
        key("id"),
        time("detectedDateTime"),
        time("activityDateTime"),
        time("lastUpdatedDateTime"),
        text("riskEventType"),
        text("riskLevel"),
        text("riskState"),
        text("riskDetail"),
        text("detectionTimingType"),
        text("activity"),
        text("source"),
        text("tokenIssuerType"),
        text("userId"),
        text("userPrincipalName"),
        text("userDisplayName"),
        text("ipAddress"),
        text("correlationId"),
        text("requestId"),
        nested("location.city", Kind::Text),
        nested("location.state", Kind::Text),
        nested("location.countryOrRegion", Kind::Text),
        RAW,
    ],
    workload: Workload::IdentityProtection,
    permissions: &["IdentityRiskEvent.Read.All"],
    licence: Some("Microsoft Entra ID P2"),
    schedule: "50 */15 * * * *",
    ..Definition::DEFAULT
};
