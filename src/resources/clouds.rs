//! What the national clouds do not offer, known beforehand. Facts only, of the schemas of the US Government and China services (2026-08-20).
//! <https://learn.microsoft.com/graph/deployments>

/// Word of the cloud in the configuration, resource, properties its type lacks there.
const MISSING_PROPERTIES: &[(&[&str], &str, &[&str])] = &[
    (&["usgov", "usgov-dod", "china"], "service_principals", &["resourceSpecificApplicationPermissions", "verifiedPublisher"]),
    (&["usgov", "usgov-dod", "china"], "applications", &["samlMetadataUrl", "verifiedPublisher"]),
    (&["usgov", "usgov-dod", "china"], "organization", &["defaultUsageLocation"]),
    (&["usgov", "usgov-dod", "china"], "role_assignments", &["principalOrganizationId"]),
    (&["china"], "groups", &["assignedLabels"]),
];

/// Cloud, and the resources that it does not offer.
const MISSING_RESOURCES: &[(&str, &[&str])] =
    &[("china", &["administrative_units", "directory_audits", "provisioning_events", "risky_users", "risk_detections"])];

/// Properties that must not be asked for in this cloud.
pub(super) fn missing_properties(resource: &str, cloud: &str) -> Vec<&'static str> {
    let there = |row: &&(&[&str], &str, &[&str])| row.1 == resource && row.0.contains(&cloud);
    MISSING_PROPERTIES.iter().filter(there).flat_map(|row| row.2.iter().copied()).collect()
}

/// Whether this cloud does not offer a resource at all (administrative units without a delta count so).
pub fn is_missing(resource: &str, cloud: &str) -> bool {
    MISSING_RESOURCES.iter().any(|(name, resources)| *name == cloud && resources.contains(&resource))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_one_that_is_mirrored() {
        for (_, resource, properties) in MISSING_PROPERTIES {
            let resource = super::super::find(resource).expect("a resource");
            assert!(properties.iter().all(|name| resource.has_property(name)), "{}", resource.name());
            assert!(!resource.selection(&[], "usgov").contains(&properties[0].to_owned()) || resource.name() == "groups");
        }
        for name in MISSING_RESOURCES.iter().flat_map(|(_, names)| *names) {
            assert!(super::super::find(name).is_some(), "{name}");
        }
    }
}
