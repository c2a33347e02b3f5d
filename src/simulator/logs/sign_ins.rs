//! Sign-ins: kept as a few numbers and a seed, written out when they are asked for. Two hundred thousand bodies would not fit in memory.
//! Knows the cast; nothing of HTTP or of when an event is to be seen.

use serde_json::{Map, Value, json};

use super::super::generate::{Random, guid, pick};
use super::cast::{Cast, PLACES, Person, Principal, habit};
use super::catalogue::{APP_RESULTS, APPS, CLIENTS, DEVICES, Outcome, POLICIES, RESOURCES, RESULTS, V1};
use super::store::{Key, merge, seven_digits};

/// `signInEventTypes`; one for each sign-in here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum EventType {
    InteractiveUser,
    NonInteractiveUser,
    ServicePrincipal,
    ManagedIdentity,
}

impl EventType {
    pub const ALL: [EventType; 4] =
        [EventType::InteractiveUser, EventType::NonInteractiveUser, EventType::ServicePrincipal, EventType::ManagedIdentity];

    pub fn name(self) -> &'static str {
        match self {
            EventType::InteractiveUser => "interactiveUser",
            EventType::NonInteractiveUser => "nonInteractiveUser",
            EventType::ServicePrincipal => "servicePrincipal",
            EventType::ManagedIdentity => "managedIdentity",
        }
    }

    /// Whether a person signed in, not an application.
    pub fn is_user(self) -> bool {
        matches!(self, EventType::InteractiveUser | EventType::NonInteractiveUser)
    }
}

/// Who signed in: a position in the cast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum Actor {
    /// Graph could not tell.
    Unknown,
    Person(u32),
    Principal(u32),
}

/// One sign-in.
#[derive(Clone, Debug)]
pub(in crate::simulator) struct SignIn {
    pub kind: EventType,
    pub actor: Actor,
    /// Position in the list of outcomes of its kind.
    pub result: u8,
    /// 0 none, 1 low, 2 medium, 3 high.
    pub risk: u8,
    /// From which the details follow.
    pub seed: u64,
    /// What a test wants to be so.
    pub patch: Option<Box<Map<String, Value>>>,
    /// What a test wants to be so after the amendment.
    pub amendment: Option<Box<Map<String, Value>>>,
}

/// What a sign-in is written for: the tenant and the reader.
pub(in crate::simulator) struct Scene<'s> {
    pub cast: &'s Cast,
    pub tenant_id: &'s str,
    /// Risk is told.
    pub p2: bool,
    /// The reader may see policies.
    pub policies: bool,
}

impl SignIn {
    fn outcome(&self) -> Outcome {
        let list = if self.kind.is_user() { RESULTS } else { APP_RESULTS };
        list.get(usize::from(self.result)).copied().unwrap_or(RESULTS[0])
    }

    /// The error code that is told; interruptions for MFA become successes when they are amended.
    pub fn error_code(&self, amended: bool) -> u32 {
        let patched = |patch: &Option<Box<Map<String, Value>>>| patch.as_ref()?.get("status")?.get("errorCode")?.as_u64();
        let by_test = if amended { patched(&self.amendment) } else { None }.or_else(|| patched(&self.patch));
        match by_test {
            Some(code) => code as u32,
            None if amended && matches!(self.outcome().0, 50074 | 50076 | 50140) => 0,
            None => self.outcome().0,
        }
    }

    /// The whole body, as beta tells it.
    pub fn body(&self, key: &Key, amended: bool, scene: &Scene<'_>) -> Map<String, Value> {
        let mut random = Random::with_seed(self.seed);
        let person = if let Actor::Person(position) = self.actor { scene.cast.get_person(position) } else { None };
        let principal = if let Actor::Principal(position) = self.actor { scene.cast.get_principal(position) } else { None };
        let mut body = self.common(key, scene, &mut random);
        self.who(&mut body, person, principal, scene);
        self.how(&mut body, person, &mut random);
        self.result(&mut body, key, amended, scene, &mut random);
        self.risk(&mut body, amended, scene.p2);
        if let Some(patch) = &self.patch {
            merge(&mut body, patch);
        }
        if let Some(amendment) = self.amendment.as_ref().filter(|_| amended) {
            merge(&mut body, amendment);
        }
        body
    }

    /// The body as v1.0 tells it.
    pub fn v1(mut body: Map<String, Value>) -> Map<String, Value> {
        body.retain(|name, _| V1.contains(&name.as_str()));
        body
    }

    fn common(&self, key: &Key, scene: &Scene<'_>, random: &mut Random) -> Map<String, Value> {
        let interactive = self.kind == EventType::InteractiveUser;
        let resource = pick(random, RESOURCES);
        into_map(json!({
            "id": &*key.1, "createdDateTime": seven_digits(key.0), "correlationId": guid(random),
            "isInteractive": interactive, "signInEventTypes": [self.kind.name()],
            "resourceId": resource.0, "resourceDisplayName": resource.1, "resourceTenantId": scene.tenant_id,
            "homeTenantId": scene.tenant_id, "homeTenantName": "", "originalRequestId": &*key.1, "crossTenantAccessType": "none",
            "tokenIssuerName": "", "tokenIssuerType": "AzureAD", "processingTimeInMilliseconds": random.u32(40..900),
            "incomingTokenType": if interactive { "none" } else { "primaryRefreshToken" }, "authenticationProtocol": "none",
            "uniqueTokenIdentifier": format!("{:022x}", random.u128(..) >> 40), "flaggedForReview": false, "isTenantRestricted": false,
            "autonomousSystemNumber": 8075, "authenticationProcessingDetails": [], "networkLocationDetails": [],
            "authenticationRequirementPolicies": [], "sessionLifetimePolicies": [], "authenticationMethodsUsed": [], "mfaDetail": Value::Null,
        }))
    }

    fn who(&self, body: &mut Map<String, Value>, person: Option<&Person>, principal: Option<&Principal>, scene: &Scene<'_>) {
        let app = self.seed as usize >> 8;
        // Small numbers are more likely: everybody uses mail, few the command line.
        let (app_id, app_name) = APPS[(app % APPS.len()).min((app / 64) % APPS.len())];
        let more = match (person, principal) {
            (Some(person), _) => json!({
                "userId": person.id, "userPrincipalName": person.upn, "userDisplayName": person.name,
                "userType": if person.guest { "guest" } else { "member" }, "signInIdentifier": person.upn,
                "appId": app_id, "appDisplayName": app_name, "servicePrincipalId": "", "servicePrincipalName": Value::Null,
                "crossTenantAccessType": if person.guest { "b2bCollaboration" } else { "none" },
                "homeTenantId": if person.guest { home_tenant(&person.upn) } else { scene.tenant_id.to_owned() },
            }),
            (None, Some(principal)) => json!({
                "userId": "", "userPrincipalName": Value::Null, "userDisplayName": Value::Null, "userType": Value::Null,
                "appId": principal.app_id, "appDisplayName": principal.name, "servicePrincipalId": principal.id,
                "servicePrincipalName": principal.name, "signInIdentifier": Value::Null,
            }),
            (None, None) => json!({
                "userId": Value::Null, "userPrincipalName": Value::Null, "userDisplayName": Value::Null, "userType": Value::Null,
                "appId": app_id, "appDisplayName": app_name, "servicePrincipalId": "", "servicePrincipalName": Value::Null,
                "signInIdentifier": Value::Null,
            }),
        };
        body.extend(into_map(more));
    }

    fn how(&self, body: &mut Map<String, Value>, person: Option<&Person>, random: &mut Random) {
        let (home, habit) = person.map_or((self.seed as usize % PLACES.len(), self.seed), |person| (person.place, person.habit));
        // Risky ones, and one in fifty, come from elsewhere.
        let away = self.risk > 1 || random.u8(..50) == 0;
        let place = if away { (home + 1 + random.usize(..PLACES.len() - 1)) % PLACES.len() } else { home };
        let (city, state, country, latitude, longitude, _) = PLACES[place];
        let address = match random.u8(..10) {
            _ if away => format!("198.51.100.{}", random.u8(1..255)),
            0..=5 => format!("203.0.113.{}", place + 1),
            6..=8 => format!("198.18.{}.{}", habit % 256, (habit >> 8) % 254 + 1),
            _ => format!("2001:db8:{:x}:{:x}::{:x}", place + 1, habit % 0xffff, random.u16(1..)),
        };
        let mut draw = random.u32(..CLIENTS.iter().map(|(_, weight)| weight).sum::<u32>());
        let mut client = CLIENTS[0].0;
        for (name, weight) in CLIENTS {
            if draw < *weight {
                client = name;
                break;
            }
            draw -= weight;
        }
        let second = usize::from(random.u8(..10) < 3);
        let device = DEVICES[((habit >> 16) as usize + 3 * second) % DEVICES.len()];
        let managed = device.0.starts_with("Windows") && habit % 3 > 0 && self.kind.is_user();
        let device = if self.kind.is_user() { device } else { ("", "", "") };
        body.extend(into_map(json!({
            "ipAddress": address, "clientAppUsed": if self.kind.is_user() { client } else { "" }, "userAgent": device.2,
            "location": {
                "city": city, "state": state, "countryOrRegion": country,
                "geoCoordinates": {"altitude": Value::Null, "latitude": latitude, "longitude": longitude},
            },
            "deviceDetail": {
                "deviceId": if managed { format!("{:08x}-0000-4000-8000-{:012x}", habit as u32, habit >> 16) } else { String::new() },
                "displayName": if managed { format!("DEV-{:05}", habit % 100_000) } else { String::new() },
                "operatingSystem": device.0, "browser": if client == "Browser" { device.1 } else { "" },
                "isCompliant": managed, "isManaged": managed, "trustType": if managed { "Azure AD joined" } else { "" },
            },
        })));
    }

    fn result(&self, body: &mut Map<String, Value>, key: &Key, amended: bool, scene: &Scene<'_>, random: &mut Random) {
        let (code, reason, details, _) = self.outcome();
        let now_good = self.error_code(amended) == 0 && code != 0;
        let (code, reason) = if now_good { (0, None) } else { (code, reason) };
        let asked_for_mfa = code == 500_121 || code == 50_074 || code == 50_076 || random.u8(..10) < 4;
        let details = match (amended, asked_for_mfa && code == 0) {
            (true, _) => Some("MFA completed in Azure AD"),
            (false, true) => Some("MFA requirement satisfied by claim in the token"),
            (false, false) => details,
        };
        let access = match code {
            53_003 => "failure",
            0 if asked_for_mfa => "success",
            _ => "notApplied",
        };
        let policies = POLICIES.iter().enumerate().map(|(number, (id, name, controls))| {
            let result = if number == 0 { access } else { "notApplied" };
            json!({
                "id": id, "displayName": name, "enforcedGrantControls": controls, "enforcedSessionControls": [], "result": result,
            })
        });
        let policies: Vec<Value> = if scene.policies && self.kind.is_user() { policies.collect() } else { Vec::new() };
        body.extend(into_map(json!({
            "status": {"errorCode": code, "failureReason": reason, "additionalDetails": details},
            "conditionalAccessStatus": access, "appliedConditionalAccessPolicies": policies,
            "authenticationRequirement": if asked_for_mfa { "multiFactorAuthentication" } else { "singleFactorAuthentication" },
            "authenticationDetails": [{
                "authenticationStepDateTime": seven_digits(key.0), "authenticationMethod": "Password",
                "authenticationMethodDetail": "Password in the cloud", "succeeded": code != 50_126,
                "authenticationStepResultDetail": reason, "authenticationStepRequirement": "Primary authentication",
            }],
        })));
    }

    fn risk(&self, body: &mut Map<String, Value>, amended: bool, p2: bool) {
        let more = match (p2, self.risk, amended) {
            (false, ..) => json!({
                "riskDetail": "hidden", "riskLevelAggregated": "hidden", "riskLevelDuringSignIn": "hidden", "riskState": "none",
                "riskEventTypes": [], "riskEventTypes_v2": [],
            }),
            (true, 0, _) => json!({
                "riskDetail": "none", "riskLevelAggregated": "none", "riskLevelDuringSignIn": "none", "riskState": "none",
                "riskEventTypes": [], "riskEventTypes_v2": [],
            }),
            (true, risk, amended) => json!({
                "riskDetail": if amended { "userPassedMFADrivenByRiskBasedPolicy" } else { "none" },
                "riskLevelAggregated": level(risk), "riskLevelDuringSignIn": level(risk),
                "riskState": if amended { "remediated" } else { "atRisk" },
                "riskEventTypes": [self.risk_event()], "riskEventTypes_v2": [self.risk_event()],
            }),
        };
        body.extend(into_map(more));
    }

    /// `riskEventType` of its detection.
    pub fn risk_event(&self) -> &'static str {
        ["unfamiliarFeatures", "unlikelyTravel", "anonymizedIPAddress", "maliciousIPAddress"][self.seed as usize % 4]
    }
}

/// `riskLevel`.
pub(super) fn level(risk: u8) -> &'static str {
    ["none", "low", "medium", "high"][usize::from(risk.min(3))]
}

/// The tenant where a guest is at home: the same for all of one domain.
fn home_tenant(upn: &str) -> String {
    guid(&mut Random::with_seed(habit(upn.split('@').next_back().unwrap_or_default())))
}

pub(super) fn into_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
