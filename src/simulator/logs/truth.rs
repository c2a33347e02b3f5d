//! The logs as they really are: every event that is to be seen by now, with its latest content, retention or licence aside. Knows no HTTP.

use serde_json::{Map, Value};

use super::super::options::Premium;
use super::super::tenant::Tenant;
use super::sign_ins::Scene;
use super::{activity, audits, registration, risk};

/// Adds the logs to a ground truth, each under its collection's name; sign-ins with every property that beta has, users' activity as
/// `signInActivity`.
pub(in crate::simulator) fn add_truth(tenant: &Tenant, truth: &mut Value) {
    let Value::Object(truth) = truth else { return };
    for collection in ["signIns", "directoryAudits", "provisioning"] {
        let mut events = Vec::new();
        tenant.visit_log(collection, &mut |event| events.push(event));
        truth.insert(collection.into(), events.into());
    }
    let store = tenant.read();
    let (logs, now) = (tenant.logs(), tenant.now());
    let scene = scene(tenant, &logs.cast);
    truth.insert("userRegistrationDetails".into(), registration::details(&store, &logs.registrations).into());
    truth.insert("riskyUsers".into(), risk::users(&logs, &store, now).into());
    truth.insert("riskDetections".into(), risk::detections(&logs, &scene, now).into());
    let mut activities: Vec<(&str, Value)> = activity::all(&logs, now).into_iter().collect();
    activities.sort_by_key(|(id, _)| *id);
    let activities = activities.into_iter().map(|(id, mut activity)| {
        activity["id"] = id.into();
        activity
    });
    truth.insert("signInActivity".into(), activities.collect::<Vec<_>>().into());
}

fn scene<'s>(tenant: &'s Tenant, cast: &'s super::cast::Cast) -> Scene<'s> {
    let permissions = tenant.permissions();
    Scene {
        cast,
        tenant_id: tenant.tenant_id(),
        p2: tenant.shared.options.premium == Premium::P2,
        policies: permissions.iter().any(|name| name == "Policy.Read.All" || name == "Policy.Read.ConditionalAccess"),
    }
}

impl Tenant {
    /// Shows every event of `signIns`, `directoryAudits` or `provisioning` that is to be seen by now, oldest first, one after the other:
    /// for logs that are too long to be had at once.
    pub fn visit_log(&self, collection: &str, each: &mut dyn FnMut(Value)) {
        let (logs, now) = (self.logs(), self.now());
        let scene = scene(self, &logs.cast);
        let mut show = |body: Map<String, Value>| each(Value::Object(body));
        match collection {
            "signIns" => {
                for (key, event) in logs.sign_ins.iter().filter(|(_, event)| event.is_seen(now)) {
                    show(event.content.body(key, event.is_amended(now), &scene));
                }
            }
            "directoryAudits" | "provisioning" => {
                let log = if collection == "provisioning" { &logs.provisioning } else { &logs.audits };
                for (key, event) in log.iter().filter(|(_, event)| event.is_seen(now)) {
                    show(audits::written(key, &event.content, "activityDateTime"));
                }
            }
            _ => {}
        }
    }
}
