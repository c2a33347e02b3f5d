//! The tenant itself. <https://learn.microsoft.com/graph/api/resources/organization>

use super::definition::{Definition, Source, boolean, json, key, text, time};

pub(super) static ORGANIZATION: Definition = Definition {
    name: "organization",
    summary: "the tenant itself: name, verified domains",
    source: Source::List { path: "organization", top: None },
    properties: &[
        key("id"),
        text("displayName"),
        json("businessPhones"),
        text("city"),
        text("country"),
        text("countryLetterCode"),
        time("createdDateTime"),
        text("defaultUsageLocation"),
        json("marketingNotificationEmails"),
        text("mobileDeviceManagementAuthority"),
        time("onPremisesLastSyncDateTime"),
        boolean("onPremisesSyncEnabled"),
        text("partnerTenantType"),
        text("postalCode"),
        text("preferredLanguage"),
        json("privacyProfile"),
        json("securityComplianceNotificationMails"),
        json("securityComplianceNotificationPhones"),
        text("state"),
        text("street"),
        json("technicalNotificationMails"),
        text("tenantType"),
        json("verifiedDomains"),
    ],
    never_empty: true,
    permissions: &["Organization.Read.All", "Directory.Read.All"],
    schedule: "0 0 */6 * * *",
    ..Definition::DEFAULT
};
