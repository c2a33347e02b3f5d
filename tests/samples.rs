//! Answers as Microsoft documents them: decoded without loss, or refused with a reason. Our own bodies show each documented peculiarity; a
//! folder of documented answers (`ENTRA_MIRROR_SAMPLES`, or `../shared/graph-samples` where it exists) is read as well.

use std::path::{Path, PathBuf};

use entra_mirror::mirror::{Item, Value as Stored, canonical_time};
use entra_mirror::resources::{self, Resource, decode, snake_case};
use serde_json::{Value, json};

/// Beginning of a sample's name, and the resource it belongs to.
const SAMPLES: &[(&str, &str)] = &[
    ("user-delta", "users"),
    ("group-delta", "groups"),
    ("device-delta", "devices"),
    ("administrativeunit-delta", "administrative_units"),
    ("serviceprincipal-delta", "service_principals"),
    ("application-delta", "applications"),
    ("organization-list", "organization"),
    ("roledefinitions-list", "role_definitions"),
    ("roleassignments-list", "role_assignments"),
    ("roleassignmentscheduleinstances-list", "role_assignment_schedule_instances"),
    ("roleeligibilityscheduleinstances-list", "role_eligibility_schedule_instances"),
    ("subscribedsku-list", "subscribed_skus"),
    ("user-list-licensedetails", ""),
    ("signin-list", "sign_ins"),
    ("beta-signin-list", "sign_ins"),
    ("directoryaudit-list", "directory_audits"),
    ("provisioningobjectsummary-list", "provisioning_events"),
    ("userregistrationdetails-list", "user_registration_details"),
    ("riskyuser-list", "risky_users"),
    ("riskdetection-list", "risk_detections"),
];

#[derive(Debug, Default)]
struct Figures {
    files: u32,
    objects: u32,
    decoded: u32,
    properties: u32,
    refused: Vec<String>,
}

/// What the item should hold for a property; `Err` names a loss.
fn same(resource: &Resource, item: &Item<'_>, name: &str, value: &Value) -> Result<bool, String> {
    let Some(column) = resource.table.column(&snake_case(name)) else { return Ok(resource.has_property(name)) };
    let lost = |found: &dyn std::fmt::Debug| Err(format!("{name}: {value} became {found:?}"));
    let Some(found) = &item.values[column] else { return lost(&"nothing") };
    let kept = match (value, found) {
        (Value::Null, Stored::Null) => true,
        (Value::Array(list), Stored::Null) => list.is_empty(),
        // Logs write what is not set as empty text; `raw` keeps it.
        (Value::String(text), Stored::Null) => text.is_empty() && resource.table.column("raw").is_some(),
        (Value::Bool(flag), Stored::Integer(number)) => *number == i64::from(*flag),
        (Value::Number(number), Stored::Integer(stored)) => number.as_i64() == Some(*stored),
        (Value::String(text), Stored::Text(stored)) => text == stored || canonical_time(text).as_deref() == Some(stored),
        (Value::Array(_) | Value::Object(_), Stored::Text(stored)) => {
            serde_json::from_str::<Value>(stored).is_ok_and(|json| json == *value)
        }
        _ => false,
    };
    if kept { Ok(true) } else { lost(found) }
}

fn check(resource: &Resource, object: &Value, what: &str, figures: &mut Figures) {
    figures.objects += 1;
    let text = object.to_string();
    let item = match decode(resource, &[], &text) {
        Ok(item) => item,
        Err(error) => {
            assert!(error.reason.len() > 5, "{what}: a reason");
            return figures.refused.push(format!("{what}: {error}"));
        }
    };
    figures.decoded += 1;
    if item.removed.is_some() {
        return;
    }
    for (name, value) in
        object.as_object().expect("an object").iter().filter(|(name, _)| !name.contains('@') && *name != resource.table.key)
    {
        match same(resource, &item, name, value) {
            Ok(true) => figures.properties += 1,
            // Not asked for: `$select` names what is mirrored.
            Ok(false) => assert!(!resource.has_property(name), "{what}: {name}"),
            Err(loss) => panic!("{what}: {loss}"),
        }
    }
}

fn objects(body: &Value) -> Vec<Value> {
    body["value"].as_array().cloned().unwrap_or_default()
}

fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("ENTRA_MIRROR_SAMPLES").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/graph-samples");
    named.or_else(|| beside.is_dir().then_some(beside))
}

#[test]
fn documented_answers_are_decoded_without_loss_or_refused_with_a_reason() {
    let Some(folder) = folder() else {
        println!("no folder of documented answers here; our own are read by the other tests");
        return;
    };
    let mut figures = Figures::default();
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder).expect("samples").filter_map(|e| Some(e.ok()?.path())).collect();
    files.sort();
    for file in files {
        let name = file.file_stem().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
        let resource = SAMPLES.iter().find(|(start, _)| name.starts_with(start)).and_then(|(_, resource)| resources::find(resource));
        let (Some(resource), Ok(text)) = (resource, std::fs::read_to_string(&file)) else { continue };
        let body: Value = serde_json::from_str(&text).expect("JSON");
        figures.files += 1;
        for object in objects(&body) {
            check(resource, &object, &name, &mut figures);
        }
    }
    println!(
        "{} files, {} objects: {} decoded with {} properties, {} refused",
        figures.files,
        figures.objects,
        figures.decoded,
        figures.properties,
        figures.refused.len()
    );
    figures.refused.iter().for_each(|refused| println!("  {refused}"));
    assert!(figures.files > 20 && figures.decoded > 20, "{figures:#?}");
}

#[test]
fn documented_peculiarities_are_kept() {
    let mut figures = Figures::default();
    for (resource, object) in [
        (
            "users",
            json!({"id": "u", "businessPhones": ["+1 425 555 0109"], "displayName": "Адель", "mail": null, "jobTitle": null, "@odata.type": "#microsoft.graph.user"}),
        ),
        ("users", json!({"@removed": {"reason": "changed"}, "id": "u"})),
        (
            "users",
            json!({"id": "u", "assignedLicenses": [{"disabledPlans": ["p"], "skuId": "s"}], "onPremisesExtensionAttributes": {"extensionAttribute1": null, "extensionAttribute2": "x"}}),
        ),
        (
            "groups",
            json!({"id": "g", "displayName": "G", "groupTypes": ["Unified"], "members@delta": [{"@odata.type": "#microsoft.graph.group", "id": "n"}, {"@odata.type": "#microsoft.graph.user", "id": "u", "@removed": {"reason": "deleted"}}]}),
        ),
        (
            "devices",
            json!({"id": "d", "alternativeSecurityIds": [{"type": 2, "identityProvider": null, "key": "base64Y3YxN2E1MWFlYw=="}], "deviceVersion": 2, "operatingSystem": "windows", "approximateLastSignInDateTime": "2016-10-19T10:37:00.1234567Z"}),
        ),
        (
            "administrative_units",
            json!({"id": "a", "displayName": "Seattle", "extension_0123_x": "1", "members@delta": [{"@odata.type": "#microsoft.graph.user", "id": "u"}]}),
        ),
        (
            "role_assignments",
            json!({"id": "lAPpYvVpN0KRkAEhdxReEJC2sEqbR_9Hr48lds9SGHI-1", "principalId": "p", "roleDefinitionId": "r", "directoryScopeId": "/administrativeUnits/x"}),
        ),
        (
            "role_assignment_schedule_instances",
            json!({"id": "i", "principalId": "p", "startDateTime": null, "endDateTime": null, "assignmentType": "Assigned", "memberType": "Direct", "activatedUsing": null}),
        ),
        (
            "subscribed_skus",
            json!({"skuId": "s", "id": "x_s", "capabilityStatus": "Enabled", "consumedUnits": 14, "prepaidUnits": {"enabled": 25, "suspended": 0, "warning": 0, "lockedOut": 0}, "servicePlans": [{"servicePlanId": "p", "servicePlanName": "N", "provisioningStatus": "Success", "appliesTo": "User"}]}),
        ),
    ] {
        let before = figures.decoded;
        check(resources::find(resource).expect("a resource"), &object, resource, &mut figures);
        assert_eq!(figures.decoded, before + 1, "{:?}", figures.refused);
    }
    // Documentation's placeholders are no values: named, with what was expected.
    for (resource, object, says) in [
        ("applications", json!({"id": "a", "createdDateTime": "datetime-value"}), "createdDateTime"),
        ("users", json!({"displayName": "without id"}), "it has no id"),
        ("groups", json!({"id": "g", "members@delta": [{"@odata.type": "#microsoft.graph.user"}]}), "a link without an id"),
    ] {
        let error = decode(resources::find(resource).expect("a resource"), &[], &object.to_string()).expect_err("refused").to_string();
        assert!(error.contains(says), "{error}");
    }
}
