//! What is mirrored: one file a resource, and the list of them. Knows how Graph names things and where they go, not how they travel.

mod administrative_units;
mod applications;
mod assigned_licenses;
mod clouds;
mod credentials;
mod decode;
mod definition;
mod devices;
mod directory_audits;
mod event;
mod groups;
mod organization;
mod privileged_roles;
mod provisioning_events;
mod risk_detections;
mod risky_users;
mod role_assignment_schedule_instances;
mod role_assignments;
mod role_definitions;
mod role_eligibility_schedule_instances;
mod service_principals;
mod sign_ins;
mod subscribed_skus;
mod user_registration_details;
mod user_sign_in_activity;
mod users;

use std::sync::LazyLock;

pub use clouds::is_missing;
pub use decode::{DecodeError, decode};
pub use definition::{Definition, LogSource, Property, Resource, Source, Stream, Take, snake_case};
pub use event::{Event, decode_event};

use crate::mirror::Table;

/// Every mirrored resource, in the order in which they are shown. A new one is one file and one line here.
static DEFINITIONS: &[&Definition] = &[
    &organization::ORGANIZATION,
    &users::USERS,
    &groups::GROUPS,
    &administrative_units::ADMINISTRATIVE_UNITS,
    &devices::DEVICES,
    &service_principals::SERVICE_PRINCIPALS,
    &applications::APPLICATIONS,
    &role_definitions::ROLE_DEFINITIONS,
    &role_assignments::ROLE_ASSIGNMENTS,
    &role_assignment_schedule_instances::ROLE_ASSIGNMENT_SCHEDULE_INSTANCES,
    &role_eligibility_schedule_instances::ROLE_ELIGIBILITY_SCHEDULE_INSTANCES,
    &subscribed_skus::SUBSCRIBED_SKUS,
    &assigned_licenses::ASSIGNED_LICENSES,
    &sign_ins::SIGN_INS,
    &directory_audits::DIRECTORY_AUDITS,
    &provisioning_events::PROVISIONING_EVENTS,
    &user_registration_details::USER_REGISTRATION_DETAILS,
    &user_sign_in_activity::USER_SIGN_IN_ACTIVITY,
    &risky_users::RISKY_USERS,
    &risk_detections::RISK_DETECTIONS,
];

static RESOURCES: LazyLock<Vec<&'static Resource>> = LazyLock::new(|| {
    // Built once and needed to the end of the process.
    DEFINITIONS.iter().map(|definition| &*Box::leak(Box::new(Resource::build(definition)))).collect()
});

static TABLES: LazyLock<Vec<&'static Table>> = LazyLock::new(|| all().iter().map(|resource| resource.table).collect());

/// Every mirrored resource.
pub fn all() -> &'static [&'static Resource] {
    &RESOURCES
}

/// A resource by name.
pub fn find(name: &str) -> Option<&'static Resource> {
    all().iter().copied().find(|resource| resource.name() == name)
}

/// The resource of which this is the key of a round beside the live token.
pub fn find_reconcile(key: &str) -> Option<&'static Resource> {
    all().iter().copied().find(|resource| resource.table.reconcile_key == key)
}

/// The tables of all resources.
pub fn tables() -> &'static [&'static Table] {
    &TABLES
}

#[cfg(test)]
mod tests;
