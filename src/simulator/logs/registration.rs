//! `userRegistrationDetails`: which authentication methods people have registered. Follows from each user's id, so that it is the same for
//! ever unless a test sets something else. Knows users and roles; nothing of HTTP.

use std::collections::{HashMap, HashSet};

use jiff::SignedDuration;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::schema::Kind;
use super::super::store::{Object, Store};
use super::cast::habit;
use super::sign_ins::into_map;
use super::store::{merge, seven_digits};

/// All, in the order of their ids.
pub(super) fn details(store: &Store, set: &HashMap<String, Map<String, Value>>) -> Vec<Value> {
    let admins: HashSet<&str> = store.live(Kind::RoleAssignment).map(|assignment| assignment.text("principalId")).collect();
    let mut users: Vec<&Object> = store.live(Kind::User).collect();
    users.sort_by(|a, b| a.id.cmp(&b.id));
    users.into_iter().map(|user| of(user, admins.contains(user.id.as_str()), set.get(&user.id))).collect()
}

fn of(user: &Object, admin: bool, set: Option<&Map<String, Value>>) -> Value {
    let number = habit(&user.id);
    let guest = user.text("userType") == "Guest";
    let mut methods: Vec<&str> = Vec::new();
    let mut has = |bits: u64, of: u64, method| {
        if number >> bits & 0xff < of {
            methods.push(method);
        }
    };
    has(8, 150, "mobilePhone");
    has(16, 190, "microsoftAuthenticatorPush");
    has(24, 90, "softwareOneTimePasscode");
    has(32, if admin { 120 } else { 20 }, "passKeyDeviceBound");
    has(40, 30, "windowsHelloForBusiness");
    has(48, 60, "email");
    if guest && !number.is_multiple_of(3) {
        methods.clear();
    }
    let second = methods.iter().any(|method| *method != "email");
    let passwordless = methods.iter().any(|method| matches!(*method, "passKeyDeviceBound" | "windowsHelloForBusiness"));
    let push = methods.contains(&"microsoftAuthenticatorPush");
    let preferred = match (push, methods.contains(&"mobilePhone")) {
        (true, _) => "push",
        (false, true) => "sms",
        (false, false) => "none",
    };
    let updated =
        Timestamp::from_second(1_700_000_000 + (number % 60_000_000) as i64).unwrap_or_default() + SignedDuration::from_nanos(619_583_300);
    let mut body = into_map(json!({
        "id": user.id, "userPrincipalName": user.text("userPrincipalName"), "userDisplayName": user.text("displayName"),
        "userType": if guest { "guest" } else { "member" }, "isAdmin": admin, "isSsprRegistered": methods.len() > 1,
        "isSsprEnabled": !guest, "isSsprCapable": methods.len() > 1 && !guest, "isMfaRegistered": second, "isMfaCapable": second,
        "isPasswordlessCapable": passwordless, "lastUpdatedDateTime": seven_digits(updated), "methodsRegistered": methods,
        "isSystemPreferredAuthenticationMethodEnabled": true, "systemPreferredAuthenticationMethods": if push { vec!["push"] } else { vec![] },
        "userPreferredMethodForSecondaryAuthentication": preferred,
    }));
    if let Some(set) = set {
        merge(&mut body, set);
    }
    Value::Object(body)
}
