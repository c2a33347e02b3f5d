//! `signInActivity` of users: their last sign-ins, for as long as they exist. Knows the logs; nothing of HTTP.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::sign_ins::{Actor, EventType};
use super::store::{Key, Logs, seven_digits};

/// Last interactive attempt, last other attempt, last success.
#[derive(Default)]
struct Last<'l> {
    interactive: Option<&'l Key>,
    other: Option<&'l Key>,
    success: Option<&'l Key>,
}

/// By user id, for all who ever signed in.
pub(super) fn all(logs: &Logs, now: Timestamp) -> HashMap<&str, Value> {
    let mut by_person: HashMap<u32, Last<'_>> = HashMap::new();
    for (key, event) in logs.sign_ins.iter().filter(|(_, event)| event.is_seen(now)) {
        let Actor::Person(position) = event.content.actor else { continue };
        let last = by_person.entry(position).or_default();
        // Oldest first, so the later one stays.
        match event.content.kind {
            EventType::InteractiveUser => last.interactive = Some(key),
            _ => last.other = Some(key),
        }
        if event.content.error_code(event.is_amended(now)) == 0 {
            last.success = Some(key);
        }
    }
    // One user may have been several persons, each under a name it had then.
    let mut by_user: HashMap<&str, Last<'_>> = HashMap::new();
    for (position, last) in by_person {
        let Some(person) = logs.cast.get_person(position) else { continue };
        let all = by_user.entry(&person.id).or_default();
        all.interactive = all.interactive.max(last.interactive);
        all.other = all.other.max(last.other);
        all.success = all.success.max(last.success);
    }
    by_user.into_iter().map(|(id, last)| (id, body(&last))).collect()
}

fn body(last: &Last<'_>) -> Value {
    let (time, id) =
        (|key: Option<&Key>| key.map(|key| seconds(&seven_digits(key.0))), |key: Option<&Key>| key.map(|key| key.1.to_string()));
    json!({
        "lastSignInDateTime": time(last.interactive), "lastSignInRequestId": id(last.interactive),
        "lastNonInteractiveSignInDateTime": time(last.other), "lastNonInteractiveSignInRequestId": id(last.other),
        "lastSuccessfulSignInDateTime": time(last.success), "lastSuccessfulSignInRequestId": id(last.success),
    })
}

/// Activity is told in whole seconds.
fn seconds(text: &str) -> String {
    format!("{}Z", text.split('.').next().unwrap_or_default())
}
