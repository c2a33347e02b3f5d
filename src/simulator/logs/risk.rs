//! Risk detections and risky users, both made from the sign-ins that carry a risk. Knows the logs; nothing of HTTP or licences.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::generate::{Random, guid};
use super::super::store::Store;
use super::cast::{Person, habit};
use super::sign_ins::{Actor, Scene, SignIn, level};
use super::store::{Event, Key, Logs, seven_digits};

/// How long after the sign-in a risk is detected.
const FOUND_AFTER: SignedDuration = SignedDuration::from_secs(88);

fn risky(logs: &Logs, now: Timestamp) -> impl Iterator<Item = (&Key, &Event<SignIn>, &Person)> {
    let events = logs.risky.iter().filter_map(|key| logs.sign_ins.get(key).map(|event| (key, event)));
    // A risk is found some time after the sign-in: until then nobody knows of it.
    events.filter(move |(key, event)| event.is_seen(now) && key.0 + FOUND_AFTER <= now).filter_map(|(key, event)| {
        match event.content.actor {
            Actor::Person(position) => logs.cast.get_person(position).map(|person| (key, event, person)),
            _ => None,
        }
    })
}

/// When the risk was last judged, and how: state and detail.
fn verdict(key: &Key, event: &Event<SignIn>, now: Timestamp) -> (Timestamp, &'static str, &'static str) {
    match event.amended.filter(|at| *at <= now) {
        Some(at) => (at, "remediated", "userPassedMFADrivenByRiskBasedPolicy"),
        None => (key.0 + FOUND_AFTER, "atRisk", "none"),
    }
}

/// All detections that are to be seen, in the order of their ids.
pub(super) fn detections(logs: &Logs, scene: &Scene<'_>, now: Timestamp) -> Vec<Value> {
    let mut found: Vec<Value> = risky(logs, now)
        .map(|(key, event, person)| {
            let sign_in = event.content.body(key, event.is_amended(now), scene);
            let (updated, state, detail) = verdict(key, event, now);
            let agent = json!([{"Key": "userAgent", "Value": sign_in["userAgent"]}]).to_string();
            json!({
                "id": detection_id(&key.1), "requestId": &*key.1, "correlationId": sign_in["correlationId"],
                "riskEventType": event.content.risk_event(), "riskState": state, "riskLevel": level(event.content.risk),
                "riskDetail": detail, "source": "IdentityProtection",
                "detectionTimingType": if event.content.seed % 2 == 0 { "realtime" } else { "offline" }, "activity": "signin",
                "tokenIssuerType": "AzureAD", "ipAddress": sign_in["ipAddress"], "location": sign_in["location"],
                "activityDateTime": seven_digits(key.0), "detectedDateTime": seven_digits(key.0 + FOUND_AFTER),
                "lastUpdatedDateTime": seven_digits(updated), "userId": person.id, "userDisplayName": person.name,
                "userPrincipalName": person.upn, "additionalInfo": agent,
            })
        })
        .collect();
    found.sort_by(|a, b| a["id"].as_str().cmp(&b["id"].as_str()));
    found
}

/// Everybody who was ever at risk, by the latest detection, in the order of their ids.
pub(super) fn users(logs: &Logs, store: &Store, now: Timestamp) -> Vec<Value> {
    let mut latest: BTreeMap<&str, (Timestamp, Value)> = BTreeMap::new();
    for (key, event, person) in risky(logs, now) {
        let (updated, state, detail) = verdict(key, event, now);
        let body = json!({
            "id": person.id, "isDeleted": !store.find(&person.id).is_some_and(|user| user.is_live()), "isProcessing": false,
            "riskLastUpdatedDateTime": seven_digits(updated), "riskState": state, "riskDetail": detail,
            "riskLevel": if state == "atRisk" { level(event.content.risk) } else { "none" },
            "userDisplayName": person.name, "userPrincipalName": person.upn,
        });
        let entry = latest.entry(&person.id).or_insert((updated, Value::Null));
        if updated >= entry.0 {
            *entry = (updated, body);
        }
    }
    latest.into_values().map(|(_, body)| body).collect()
}

/// A detection has an id of its own, always the same for its sign-in.
fn detection_id(sign_in: &str) -> String {
    guid(&mut Random::with_seed(habit(sign_in)))
}
