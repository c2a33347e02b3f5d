//! Which log or report is asked for, who may read it, and with which licence. Knows requests; not how events look or are found.

use serde_json::{Map, Value};

use super::super::answer::Answer;
use super::super::options::Premium;
use super::super::routes::{Request, denied};
use super::audits;
use super::filter::{ANY, CONTAINS, EQ, ORDER, Operators, STARTS};
use super::query::{self, Rules};
use super::sign_ins::{EventType, Scene, SignIn};
use super::store::{Event, Key, Log, Logs};
use super::{activity, registration, reports, risk};

const SIGN_INS: Rules<'static> = Rules {
    path: "auditLogs/signIns",
    time: "createdDateTime",
    filterable: &[
        ("createdDateTime", EQ | ORDER),
        ("id", EQ),
        ("userId", EQ),
        ("appId", EQ),
        ("resourceId", EQ),
        ("resourceDisplayName", EQ),
        ("correlationId", EQ),
        ("clientAppUsed", EQ),
        ("conditionalAccessStatus", EQ),
        ("riskDetail", EQ),
        ("riskLevelAggregated", EQ),
        ("riskLevelDuringSignIn", EQ),
        ("riskState", EQ),
        ("status/errorCode", EQ),
        ("userPrincipalName", EQ | STARTS),
        ("userDisplayName", EQ | STARTS),
        ("appDisplayName", EQ | STARTS),
        ("ipAddress", EQ | STARTS),
        ("location/city", EQ | STARTS),
        ("location/state", EQ | STARTS),
        ("location/countryOrRegion", EQ | STARTS),
        ("deviceDetail/browser", EQ | STARTS),
        ("deviceDetail/operatingSystem", EQ | STARTS),
        ("riskEventTypes_v2", ANY),
    ],
    exact: false,
};

const BETA_TYPES: (&str, Operators) = ("signInEventTypes", ANY);

const AUDITS: Rules<'static> = Rules {
    path: "auditLogs/directoryAudits",
    time: "activityDateTime",
    filterable: &[
        ("activityDateTime", EQ | ORDER),
        ("id", EQ),
        ("activityDisplayName", EQ | STARTS),
        ("category", EQ),
        ("correlationId", EQ),
        ("loggedByService", EQ),
        ("initiatedBy/user/id", EQ),
        ("initiatedBy/user/displayName", EQ),
        ("initiatedBy/user/userPrincipalName", EQ | STARTS),
        ("initiatedBy/app/appId", EQ),
        ("initiatedBy/app/displayName", EQ),
        ("targetResources", ANY),
    ],
    exact: false,
};

const PROVISIONING: Rules<'static> = Rules {
    path: "auditLogs/provisioning",
    time: "activityDateTime",
    filterable: &[
        ("activityDateTime", EQ | ORDER),
        ("id", EQ),
        ("jobId", EQ | CONTAINS),
        ("cycleId", EQ | CONTAINS),
        ("changeId", EQ | CONTAINS),
        ("provisioningAction", EQ | CONTAINS),
        ("provisioningStatusInfo/status", EQ | CONTAINS),
        ("servicePrincipal/id", EQ),
        ("servicePrincipal/displayName", EQ | CONTAINS),
        ("sourceIdentity/id", EQ),
        ("sourceIdentity/displayName", EQ | CONTAINS),
        ("targetIdentity/id", EQ),
        ("targetIdentity/displayName", EQ | CONTAINS),
        ("targetSystem/displayName", EQ | CONTAINS),
    ],
    exact: true,
};

const REGISTRATION: reports::Rules = reports::Rules {
    path: "reports/authenticationMethods/userRegistrationDetails",
    filterable: &[
        ("id", EQ),
        ("userPrincipalName", EQ | STARTS),
        ("userDisplayName", EQ | STARTS),
        ("userType", EQ),
        ("isAdmin", EQ),
        ("isMfaCapable", EQ),
        ("isMfaRegistered", EQ),
        ("isPasswordlessCapable", EQ),
        ("isSsprCapable", EQ),
        ("isSsprEnabled", EQ),
        ("isSsprRegistered", EQ),
        ("methodsRegistered", ANY),
    ],
    times: &[],
    max_top: 999,
};

const RISKY_USERS: reports::Rules = reports::Rules {
    path: "identityProtection/riskyUsers",
    filterable: &[
        ("id", EQ),
        ("riskLevel", EQ),
        ("riskState", EQ),
        ("riskDetail", EQ),
        ("isDeleted", EQ),
        ("userPrincipalName", EQ | STARTS),
        ("riskLastUpdatedDateTime", EQ | ORDER),
    ],
    times: &["riskLastUpdatedDateTime"],
    max_top: 500,
};

const RISK_DETECTIONS: reports::Rules = reports::Rules {
    path: "identityProtection/riskDetections",
    filterable: &[
        ("id", EQ),
        ("userId", EQ),
        ("riskLevel", EQ),
        ("riskState", EQ),
        ("riskEventType", EQ),
        ("requestId", EQ),
        ("activityDateTime", EQ | ORDER),
        ("detectedDateTime", EQ | ORDER),
        ("lastUpdatedDateTime", EQ | ORDER),
    ],
    times: &["activityDateTime", "detectedDateTime", "lastUpdatedDateTime"],
    max_top: 500,
};

fn not_premium() -> Answer {
    let message = "Neither tenant is B2C or tenant doesn't have premium license";
    Answer::error(403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant", message)
}

fn needs_premium(request: &Request<'_>) -> Option<Answer> {
    let options = &request.tenant.shared.options;
    let flaps = options.licence_flaps > 0.0 && request.tenant.random().f64() < options.licence_flaps;
    (options.premium == Premium::Free || flaps).then(not_premium)
}

fn needs_p2(request: &Request<'_>) -> Option<Answer> {
    let message = "The tenant has no licence that includes this feature of Identity Protection.";
    (request.tenant.shared.options.premium != Premium::P2).then(|| Answer::error(403, "Forbidden", message))
}

fn allowed(request: &Request<'_>, permissions: &[&str]) -> bool {
    permissions.iter().any(|permission| request.roles.iter().any(|role| role == permission))
}

/// Why a licence does not allow a request.
type Refusal = fn(&Request<'_>) -> Option<Answer>;

const AUDIT: &[&str] = &["AuditLog.Read.All"];

/// Answers a request for a log or report; `None` when it is for something else.
pub(in crate::simulator) fn answer(request: &Request<'_>) -> Option<Answer> {
    // Links that the service gives spell paths as it likes, so they are read in any case.
    let path = request.path.to_ascii_lowercase();
    let (collection, id) = match path.split('/').collect::<Vec<_>>()[..] {
        [a, b] => (format!("{a}/{b}"), None),
        ["reports", b, c] => (format!("reports/{b}/{c}"), None),
        ["reports", b, c, _] => (format!("reports/{b}/{c}"), request.path.rsplit('/').next()),
        [a, b, _] => (format!("{a}/{b}"), request.path.rsplit('/').next()),
        _ => return None,
    };
    let beta = request.version == "beta";
    let (permissions, refused): (&[&str], Refusal) = match collection.as_str() {
        "auditlogs/signins" => (AUDIT, needs_premium),
        "auditlogs/directoryaudits" | "auditlogs/provisioning" if !beta => (AUDIT, |_| None),
        "reports/authenticationmethods/userregistrationdetails" if !beta => (AUDIT, needs_premium),
        "identityprotection/riskyusers" if !beta => (&["IdentityRiskyUser.Read.All", "IdentityRiskyUser.ReadWrite.All"], needs_p2),
        "identityprotection/riskdetections" if !beta => (&["IdentityRiskEvent.Read.All", "IdentityRiskEvent.ReadWrite.All"], needs_p2),
        _ => return None,
    };
    if !allowed(request, permissions) {
        return Some(denied());
    }
    if let Some(refused) = refused(request) {
        return Some(refused);
    }
    Some(match collection.as_str() {
        "auditlogs/signins" => sign_ins(request, id, beta),
        "auditlogs/directoryaudits" => plain(request, &AUDITS, id, |logs| &logs.audits),
        "auditlogs/provisioning" => plain(request, &PROVISIONING, id, |logs| &logs.provisioning),
        _ => report(request, &collection, id),
    })
}

fn sign_ins(request: &Request<'_>, id: Option<&str>, beta: bool) -> Answer {
    let tenant = request.tenant;
    let (logs, now) = (tenant.logs(), tenant.now());
    let scene = Scene {
        cast: &logs.cast,
        tenant_id: tenant.tenant_id(),
        p2: tenant.shared.options.premium == Premium::P2,
        policies: allowed(request, &["Policy.Read.All", "Policy.Read.ConditionalAccess"]),
    };
    let show = |key: &Key, event: &Event<SignIn>| {
        let mut body = event.content.body(key, event.is_amended(now), &scene);
        if !request.unknown_members {
            hide_unknown(&mut body);
        }
        if beta { body } else { SignIn::v1(body) }
    };
    let with_types: Vec<_> = SIGN_INS.filterable.iter().copied().chain([BETA_TYPES]).collect();
    let with_types: &[_] = if beta { &with_types } else { SIGN_INS.filterable };
    let (rules, answer);
    if let Some(id) = id {
        answer = single(request, &SIGN_INS, &logs.sign_ins, id, show);
    } else {
        rules = query::Rules { filterable: with_types, ..SIGN_INS };
        answer = match query::read(request, &rules) {
            Err(refused) => refused,
            Ok(reading) => {
                let every = beta && reading.types;
                let accept = |event: &Event<SignIn>| every || event.content.kind == EventType::InteractiveUser;
                query::page(request, &rules, &reading, &logs.sign_ins, accept, show)
            }
        };
    }
    if beta {
        answer.with_header("link", "<https://developer.microsoft.com/graph/changelog>; rel=\"deprecation\"; type=\"text/html\"")
    } else {
        answer
    }
}

/// Members that an enumeration got later are told only to those who ask for them.
fn hide_unknown(body: &mut Map<String, Value>) {
    const LATER: &[&str] = &[
        "m365DAdminDismissedDetection",
        "adminConfirmedServicePrincipalCompromised",
        "adminDismissedAllRiskForServicePrincipal",
        "userChangedPasswordOnPremises",
        "adminDismissedRiskForSignIn",
        "adminConfirmedAccountSafe",
        "microsoftRevokedSessions",
    ];
    if let Some(detail) = body.get_mut("riskDetail").filter(|detail| detail.as_str().is_some_and(|text| LATER.contains(&text))) {
        *detail = "unknownFutureValue".into();
    }
}

fn plain(request: &Request<'_>, rules: &Rules<'_>, id: Option<&str>, of: fn(&Logs) -> &Log<Box<str>>) -> Answer {
    let logs = request.tenant.logs();
    let show = |key: &Key, event: &Event<Box<str>>| audits::written(key, &event.content, rules.time);
    if let Some(id) = id {
        return single(request, rules, of(&logs), id, show);
    }
    match query::read(request, rules) {
        Ok(reading) => query::page(request, rules, &reading, of(&logs), |_| true, show),
        Err(refused) => refused,
    }
}

fn single<C>(
    request: &Request<'_>,
    rules: &Rules<'_>,
    log: &Log<C>,
    id: &str,
    show: impl Fn(&Key, &Event<C>) -> Map<String, Value>,
) -> Answer {
    let now = request.tenant.now();
    let found = log.key(id).and_then(|key| log.get(&key).filter(|event| event.is_seen(now)).map(|event| show(&key, event)));
    match found {
        Some(mut body) => {
            let context = format!("{}/{}/$metadata#{}/$entity", request.origin, request.version, rules.path);
            body.insert("@odata.context".into(), context.into());
            Answer::ok(&Value::Object(body))
        }
        None => Answer::not_found(id),
    }
}

fn report(request: &Request<'_>, collection: &str, id: Option<&str>) -> Answer {
    let tenant = request.tenant;
    let store = tenant.read();
    let (logs, now) = (tenant.logs(), tenant.now());
    let (rules, values) = match collection {
        "identityprotection/riskyusers" => (&RISKY_USERS, risk::users(&logs, &store, now)),
        "identityprotection/riskdetections" => {
            let scene = Scene { cast: &logs.cast, tenant_id: tenant.tenant_id(), p2: true, policies: false };
            (&RISK_DETECTIONS, risk::detections(&logs, &scene, now))
        }
        _ => (&REGISTRATION, registration::details(&store, &logs.registrations)),
    };
    match id {
        Some(id) => values.iter().find(|value| value["id"] == *id).map_or_else(|| Answer::not_found(id), Answer::ok),
        None => reports::page(request, rules, values),
    }
}

fn asks_for_activity(request: &Request<'_>) -> bool {
    let of_users =
        request.path == "users" || request.path.strip_prefix("users/").is_some_and(|id| !id.contains('/') && !id.starts_with("delta"));
    let selected = || request.query.get("$select").is_some_and(|text| text.split(',').any(|name| name.trim() == "signInActivity"));
    let filtered = || request.query.get("$filter").is_some_and(|text| text.contains("signInActivity"));
    of_users && (selected() || filtered())
}

/// Why `signInActivity` is not told, when it was asked for.
pub(in crate::simulator) fn refuse_activity(request: &Request<'_>) -> Option<Answer> {
    if !asks_for_activity(request) {
        return None;
    }
    if !allowed(request, AUDIT) || !allowed(request, &["User.Read.All", "Directory.Read.All"]) {
        return Some(denied());
    }
    // A single user can be named by object id only.
    if request.path.contains('@') {
        return Some(Answer::bad_request("Get By Key only supports UserId and the key has to be a valid Guid"));
    }
    needs_premium(request)
}

/// Puts `signInActivity` into an answer that lists users, when it was asked for.
pub(in crate::simulator) fn with_activity(request: &Request<'_>, answer: Answer) -> Answer {
    if answer.status != 200 || !asks_for_activity(request) {
        return answer;
    }
    let Ok(mut body) = serde_json::from_str::<Value>(&answer.body) else { return answer };
    let logs = request.tenant.logs();
    let all = activity::all(&logs, request.tenant.now());
    let year_one = request.tenant.shared.options.quirks.unset_as_year_one;
    let set = |user: &mut Value| {
        let Some(found) = user["id"].as_str().and_then(|id| all.get(id)) else { return };
        let mut found = found.clone();
        for time in ["lastSignInDateTime", "lastNonInteractiveSignInDateTime"] {
            if year_one && found[time].is_null() {
                found[time] = "0001-01-01T00:00:00Z".into();
            }
        }
        user["signInActivity"] = found;
    };
    match body["value"].as_array_mut() {
        Some(users) => users.iter_mut().for_each(set),
        None => set(&mut body),
    }
    Answer { body: body.to_string(), ..answer }
}
