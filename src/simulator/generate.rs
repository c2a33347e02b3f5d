//! Makes a believable tenant from a seed: the same seed gives the same tenant. Knows the store, nothing of HTTP.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::options::TenantOptions;
use super::roles::{PRODUCTS, ROLES};
use super::schema::Kind;
use super::store::{Index, Relation, Store};
use super::words::{DEPARTMENTS, OFFICES, SCRIPTS, TOPICS};

/// Deterministic random source of one tenant.
pub(super) type Random = fastrand::Rng;

pub(super) fn guid(random: &mut Random) -> String {
    uuid::Builder::from_random_bytes(random.u128(..).to_be_bytes()).into_uuid().to_string()
}

pub(super) fn time(at: Timestamp) -> Value {
    Value::String(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

fn days_ago(now: Timestamp, days: u32) -> Timestamp {
    now - SignedDuration::from_hours(24 * i64::from(days))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// One of `list`.
pub(super) fn pick<'l, T>(random: &mut Random, list: &'l [T]) -> &'l T {
    &list[random.usize(..list.len())]
}

/// A new person's properties: an employee at `level` (0 is the top) of a department.
pub(super) fn person(
    random: &mut Random,
    domain: &str,
    number: usize,
    level: usize,
    department: usize,
    now: Timestamp,
) -> Map<String, Value> {
    let total: u32 = SCRIPTS.iter().map(|s| s.weight).sum();
    let mut draw = random.u32(..total);
    let script = SCRIPTS
        .iter()
        .find(|script| {
            let found = draw < script.weight;
            draw = draw.saturating_sub(script.weight);
            found
        })
        .unwrap_or(&SCRIPTS[0]);
    let (given, given_ascii) = *pick(random, script.given);
    let (surname, surname_ascii) = *pick(random, script.surnames);
    let upn = format!("{given_ascii}.{surname_ascii}{number}@{domain}");
    let (office, street, city, state, postal, country, usage, language, prefix) = *pick(random, OFFICES);
    let (department, titles) = DEPARTMENTS[department % DEPARTMENTS.len()];
    let hired = days_ago(now, random.u32(20..5000));
    let mut p = object(json!({
        "accountEnabled": true,
        "userPrincipalName": upn, "mail": upn, "mailNickname": format!("{given_ascii}.{surname_ascii}{number}"),
        "displayName": format!("{given} {surname}"), "givenName": given, "surname": surname,
        "userType": "Member", "jobTitle": titles[level.min(3)], "department": department, "companyName": "Contoso",
        "officeLocation": office, "streetAddress": street, "city": city, "postalCode": postal, "country": country,
        "usageLocation": usage, "preferredLanguage": language,
        "employeeId": format!("E{number:06}"), "employeeType": "Employee", "employeeHireDate": time(hired),
        "businessPhones": [format!("{prefix} {:04}", random.u32(..10_000))],
        "proxyAddresses": [format!("SMTP:{upn}"), format!("smtp:{given_ascii}.{surname_ascii}{number}@legacy.{domain}")],
        "createdDateTime": time(hired), "lastPasswordChangeDateTime": time(days_ago(now, random.u32(1..180))),
        "signInSessionsValidFromDateTime": time(hired),
        "identities": [{"signInType": "userPrincipalName", "issuer": domain, "issuerAssignedId": upn}],
    }));
    if let Some(state) = state {
        p.insert("state".into(), state.into());
    }
    if random.u8(..10) < 6 {
        p.insert("mobilePhone".into(), format!("{prefix} {:06}", random.u32(..1_000_000)).into());
    }
    if random.u8(..10) < 3 {
        p.insert("employeeOrgData".into(), json!({"division": department, "costCenter": format!("CC{}", random.u32(100..999))}));
    }
    if random.u8(..10) < 7 {
        p.extend(object(json!({
            "onPremisesSyncEnabled": true, "onPremisesLastSyncDateTime": time(days_ago(now, 1)),
            "onPremisesDistinguishedName": format!("CN={given_ascii} {surname_ascii},OU={department},DC=corp,DC=contoso,DC=com"),
            "onPremisesDomainName": "corp.contoso.com", "onPremisesSamAccountName": format!("{given_ascii}{number}"),
            "onPremisesUserPrincipalName": upn, "onPremisesImmutableId": format!("{:022x}==", random.u64(..)),
            "onPremisesSecurityIdentifier": format!("S-1-5-21-{}-{}", random.u32(..), number),
        })));
    }
    if random.u8(..10) < 2 {
        let mut attributes: Map<String, Value> = (1..=15).map(|n| (format!("extensionAttribute{n}"), Value::Null)).collect();
        attributes.insert("extensionAttribute1".into(), format!("BU{}", random.u8(1..9)).into());
        p.insert("onPremisesExtensionAttributes".into(), attributes.into());
    }
    p
}

/// Fills a new store.
pub(super) fn generate(store: &mut Store, options: &TenantOptions, now: Timestamp, random: &mut Random) {
    organization(store, options, now);
    let users = people(store, options, now, random);
    let groups = groups(store, options, &users, now, random);
    licences(store, &users, &groups, now, random);
    devices(store, users.len() / 2 + 1, now, random);
    applications(store, options, now, random);
    units(store, &users, random);
    roles(store, &users, &groups, now, random);
    leavers(store, &users, now);
}

fn organization(store: &mut Store, options: &TenantOptions, now: Timestamp) {
    let properties = json!({
        "displayName": options.display_name, "createdDateTime": time(days_ago(now, 3650)), "countryLetterCode": "US", "city": "Redmond",
        "country": "United States", "postalCode": "98052", "state": "WA", "street": "One Contoso Way", "preferredLanguage": "en",
        "tenantType": "AAD", "technicalNotificationMails": [format!("it@{}", options.domain)], "onPremisesSyncEnabled": true,
        "verifiedDomains": [
            {"capabilities": "Email, OfficeCommunicationsOnline", "isDefault": true, "isInitial": false, "name": options.domain, "type": "Managed"},
            {"capabilities": "Email", "isDefault": false, "isInitial": true, "name": format!("{}.onmicrosoft.com", options.name), "type": "Managed"},
        ],
    });
    store.create(Kind::Organization, &options.tenant_id(), object(properties));
}

fn people(store: &mut Store, options: &TenantOptions, now: Timestamp, random: &mut Random) -> Vec<Index> {
    let mut users = Vec::with_capacity(options.people);
    for number in 0..options.people {
        // Of every hundred: 8 guests, 1 service account, 1 shared mailbox or room, the rest employees.
        let kind = if number < 5 { 50 } else { random.u8(..100) };
        // A tree in which everyone from the second on reports to an earlier number, eight to a manager.
        let manager = (number > 0).then(|| (number - 1) / 8);
        let level = match number {
            0 => 0,
            1..=8 => 1,
            _ if number * 8 < options.people => 2,
            _ => 3,
        };
        let department = if number == 0 { 5 } else { number.min((number - 1) / 8 + 1) };
        let mut properties = person(random, &options.domain, number, level, department, now);
        match kind {
            0..=7 => {
                let home = format!("guest{number}_partner{}.example", random.u8(1..20));
                let accepted = random.u8(..4) > 0;
                let state = if accepted { "Accepted" } else { "PendingAcceptance" };
                for name in ["employeeId", "employeeType", "employeeHireDate", "officeLocation", "department", "jobTitle"] {
                    properties.remove(name);
                }
                properties.retain(|name, _| !name.starts_with("onPremises"));
                properties.extend(object(json!({
                    "userPrincipalName": format!("{home}#EXT#@{}.onmicrosoft.com", options.name), "mail": home.replace('_', "@"),
                    "userType": "Guest", "creationType": "Invitation", "externalUserState": state,
                    "externalUserStateChangeDateTime": time(days_ago(now, 30)),
                    "proxyAddresses": [format!("SMTP:{}", home.replace('_', "@"))],
                })));
            }
            8 => {
                properties.retain(|name, _| matches!(name.as_str(), "accountEnabled" | "userType" | "createdDateTime"));
                properties.extend(object(json!({
                    "displayName": format!("svc-backup-{number}"), "userPrincipalName": format!("svc-backup-{number}@{}", options.domain),
                    "mailNickname": format!("svc-backup-{number}"), "passwordPolicies": "DisablePasswordExpiration",
                })));
            }
            9 => {
                properties.retain(|name, _| matches!(name.as_str(), "userType" | "createdDateTime" | "officeLocation"));
                let mail = format!("room{number}@{}", options.domain);
                properties.extend(object(json!({
                    "accountEnabled": false, "displayName": format!("Meeting Room {number}"), "userPrincipalName": mail, "mail": mail,
                    "mailNickname": format!("room{number}"), "isResourceAccount": true, "showInAddressList": false,
                })));
            }
            _ => {}
        }
        let managed = kind > 9 || kind <= 7;
        let index = store.create(Kind::User, &guid(random), properties);
        if let Some(manager) = manager.filter(|_| managed) {
            store.link_new(index, Relation::Manager, users[manager]);
        }
        users.push(index);
    }
    users
}

fn groups(store: &mut Store, options: &TenantOptions, users: &[Index], now: Timestamp, random: &mut Random) -> Vec<Index> {
    let count = options.groups.unwrap_or((options.people * 2 / 5).clamp(4, 5000));
    let mut groups: Vec<Index> = Vec::with_capacity(count);
    let contact = store.create(Kind::OrgContact, &guid(random), Map::new());
    for number in 0..count {
        let topic = TOPICS[number % TOPICS.len()];
        let (department, _) = DEPARTMENTS[number % DEPARTMENTS.len()];
        let (name, shape) = match number {
            0 => ("All Company".to_owned(), 1),
            1 => ("Role: Global Readers".to_owned(), 3),
            2 => ("Licences: E5".to_owned(), 0),
            _ => (format!("{department} {topic} {number}"), number % 5),
        };
        let nickname = format!("group{number}");
        let mut properties = object(json!({
            "displayName": name, "mailNickname": nickname, "mailEnabled": false, "securityEnabled": true, "groupTypes": [],
            "createdDateTime": time(days_ago(now, random.u32(1..3000))), "visibility": Value::Null,
            "securityIdentifier": format!("S-1-12-1-{}-{number}", random.u32(..)), "proxyAddresses": [],
        }));
        let more = match shape {
            1 => json!({
                "groupTypes": ["Unified"], "mailEnabled": true, "securityEnabled": false, "mail": format!("{nickname}@{}", options.domain),
                "visibility": "Private", "resourceProvisioningOptions": ["Team"], "proxyAddresses": [format!("SMTP:{nickname}@{}", options.domain)],
                "description": format!("{topic} for {department}"), "renewedDateTime": time(days_ago(now, 20)),
            }),
            2 if number > 2 => json!({
                "groupTypes": ["DynamicMembership"], "membershipRule": format!("(user.department -eq \"{department}\")"),
                "membershipRuleProcessingState": "On",
            }),
            3 => json!({"isAssignableToRole": number < 20, "description": "Assigned membership"}),
            4 => json!({"mailEnabled": true, "securityEnabled": false, "mail": format!("{nickname}@{}", options.domain)}),
            _ => json!({"onPremisesSyncEnabled": number % 10 == 0}),
        };
        properties.extend(object(more));
        let group = store.create(Kind::Group, &guid(random), properties);
        let size = match number {
            0 => options.huge_group.unwrap_or(users.len() / 3),
            1 => 3,
            2 => users.len() / 10,
            // Many small groups, few large ones.
            _ => match random.u8(..20) {
                0 => users.len() / 8,
                1..=4 => random.usize(20..120),
                _ => random.usize(0..30),
            },
        };
        let size = size.min(users.len());
        // Consecutive people from a random start: no double, and no memory for a set.
        let start = random.usize(..users.len().max(1));
        for offset in 0..size {
            store.link_new(group, Relation::Members, users[(start + offset) % users.len()]);
        }
        // Nesting only points to earlier groups, so there is no circle; role-assignable groups do not nest.
        if number > 10 && number % 7 == 0 && shape != 3 {
            store.link_new(group, Relation::Members, groups[random.usize(3..number)]);
        }
        if number % 50 == 4 {
            store.link_new(group, Relation::Members, contact);
        }
        for owner in 0..random.usize(0..3).min(users.len()) {
            store.link_new(group, Relation::Owners, users[(start + 5 * owner) % users.len()]);
        }
        groups.push(group);
    }
    groups
}

fn licences(store: &mut Store, users: &[Index], groups: &[Index], now: Timestamp, random: &mut Random) {
    let by_group = groups.get(2).map(|group| store.object(*group).id.clone());
    let members: std::collections::HashSet<Index> =
        groups.get(2).map(|group| store.object(*group).live_links(Relation::Members).map(|link| link.target).collect()).unwrap_or_default();
    let mut used = vec![0_u64; PRODUCTS.len()];
    for user in users {
        let object = store.object(*user);
        if object.text("userType") == "Guest" || object.get("isResourceAccount").is_some() || object.text("department").is_empty() {
            continue;
        }
        let mut assigned = Vec::new();
        let mut states = Vec::new();
        let updated = time(days_ago(now, random.u32(1..400)));
        let assign = |product: usize, off: Vec<&'static str>, group: Option<&String>, states: &mut Vec<Value>| {
            let (sku, _, _) = PRODUCTS[product];
            states.push(json!({
                "skuId": sku, "disabledPlans": off, "assignedByGroup": group, "state": "Active", "error": "None",
                "lastUpdatedDateTime": updated,
            }));
            (sku, off)
        };
        let first = if random.u8(..10) < 7 { 0 } else { 2 };
        let off = if random.u8(..4) == 0 { vec![PRODUCTS[first].2[1].0] } else { Vec::new() };
        let (sku, off) = assign(first, off, None, &mut states);
        assigned.push(json!({"skuId": sku, "disabledPlans": off}));
        used[first] += 1;
        if members.contains(user) {
            let (sku, _) = assign(1, Vec::new(), by_group.as_ref(), &mut states);
            assigned.push(json!({"skuId": sku, "disabledPlans": []}));
            used[1] += 1;
            if random.u8(..3) == 0 {
                // Directly as well, with a plan off: the group leaves it on.
                assign(1, vec![PRODUCTS[1].2[2].0], None, &mut states);
            }
        }
        if random.u8(..20) == 0 {
            states.push(json!({
                "skuId": PRODUCTS[4].0, "disabledPlans": [], "assignedByGroup": by_group, "state": "Error", "error": "CountViolation",
                "lastUpdatedDateTime": updated,
            }));
        }
        let id = object.id.clone();
        store.update(&id, &self::object(json!({"assignedLicenses": assigned, "licenseAssignmentStates": states})));
    }
    for (product, (sku, name, plans)) in PRODUCTS.iter().enumerate() {
        // The fifth product is over-assigned.
        let enabled = if product == 4 { used[product].saturating_sub(1) } else { used[product] + 25 };
        let plans: Vec<Value> = plans
            .iter()
            .map(|(id, name)| json!({"servicePlanId": id, "servicePlanName": name, "provisioningStatus": "Success", "appliesTo": "User"}))
            .collect();
        let properties = json!({
            "skuId": sku, "skuPartNumber": name, "appliesTo": "User", "capabilityStatus": "Enabled", "consumedUnits": used[product],
            "accountName": "Contoso", "accountId": guid(random), "subscriptionIds": [guid(random)],
            "prepaidUnits": {"enabled": enabled, "suspended": 0, "warning": if product == 3 { 5 } else { 0 }, "lockedOut": 0},
            "servicePlans": plans,
        });
        let id = format!("{}_{sku}", guid(random));
        store.create(Kind::SubscribedSku, &id, object(properties));
    }
}

fn devices(store: &mut Store, count: usize, now: Timestamp, random: &mut Random) {
    for number in 0..count {
        let (os, version, maker, model) = *pick(
            random,
            &[
                ("Windows", "10.0.26100.1", "Lenovo", "ThinkPad X1"),
                ("Windows", "10.0.22631.3", "Dell", "Latitude 7450"),
                ("MacMDM", "15.1", "Apple", "MacBook Pro"),
                ("iOS", "18.1", "Apple", "iPhone 15"),
                ("Android", "15", "Google", "Pixel 9"),
            ],
        );
        let mut properties = object(json!({
            "accountEnabled": true, "deviceId": guid(random), "displayName": format!("DEV-{number:05}"), "operatingSystem": os,
            "operatingSystemVersion": version, "manufacturer": maker, "model": model, "isCompliant": random.u8(..10) > 0, "isManaged": true,
            "trustType": if os == "Windows" { "AzureAd" } else { "Workplace" }, "profileType": "RegisteredDevice", "deviceVersion": 2,
            "registrationDateTime": time(days_ago(now, random.u32(1..1000))),
            "approximateLastSignInDateTime": time(days_ago(now, random.u32(0..60))),
            "physicalIds": [format!("[USER-HWID]:{:016x}", random.u64(..))], "systemLabels": [],
            "alternativeSecurityIds": [{"type": 2, "identityProvider": Value::Null, "key": format!("{:020x}", random.u64(..))}],
        }));
        if number % 9 == 0 {
            properties.remove("model");
        }
        store.create(Kind::Device, &guid(random), properties);
    }
}

fn applications(store: &mut Store, options: &TenantOptions, now: Timestamp, random: &mut Random) {
    let first_party = [
        ("00000003-0000-0000-c000-000000000000", "Microsoft Graph"),
        ("00000002-0000-0ff1-ce00-000000000000", "Office 365 Exchange Online"),
    ];
    for (app_id, name) in first_party {
        let properties = json!({
            "accountEnabled": true, "appId": app_id, "displayName": name, "appDisplayName": name, "servicePrincipalType": "Application",
            "appOwnerOrganizationId": "f8cdef31-a31e-4b4a-93e4-5f571e91255a", "servicePrincipalNames": [app_id], "tags": [],
            "appRoleAssignmentRequired": false, "signInAudience": "AzureADMultipleOrgs", "keyCredentials": [], "passwordCredentials": [],
        });
        store.create(Kind::ServicePrincipal, &guid(random), object(properties));
    }
    for number in 0..(options.people / 60).clamp(3, 400) {
        let (app_id, name) = (guid(random), format!("Contoso {} App {number}", TOPICS[number % TOPICS.len()]));
        // Some long expired, some about to, most good for a while.
        let ends = now + SignedDuration::from_hours(24 * (i64::from(random.i32(-30..400))));
        let password = json!({
            "keyId": guid(random), "displayName": "deploy", "startDateTime": time(days_ago(now, 300)), "endDateTime": time(ends), "hint": "a1B",
            "secretText": Value::Null, "customKeyIdentifier": Value::Null,
        });
        let key = json!({
            "keyId": guid(random), "displayName": "CN=contoso", "startDateTime": time(days_ago(now, 100)), "endDateTime": time(ends),
            "type": "AsymmetricX509Cert", "usage": "Verify", "customKeyIdentifier": format!("{:040X}", random.u128(..)), "key": Value::Null,
        });
        let keys = if number % 3 == 0 { vec![key] } else { Vec::new() };
        let application = json!({
            "appId": app_id, "displayName": name, "createdDateTime": time(days_ago(now, 400)), "signInAudience": "AzureADMyOrg",
            "publisherDomain": options.domain, "identifierUris": [format!("api://{app_id}")], "tags": [],
            "web": {"redirectUris": [format!("https://app{number}.{}/cb", options.domain)], "logoutUrl": Value::Null},
            "requiredResourceAccess": [{"resourceAppId": first_party[0].0, "resourceAccess": [{"id": "df021288-bdef-4463-88db-98f22de89214", "type": "Role"}]}],
            "passwordCredentials": [password], "keyCredentials": keys,
        });
        store.create(Kind::Application, &guid(random), object(application));
        let principal = json!({
            "accountEnabled": true, "appId": app_id, "displayName": name, "appDisplayName": name, "servicePrincipalType": "Application",
            "appOwnerOrganizationId": options.tenant_id(), "servicePrincipalNames": [app_id, format!("api://{app_id}")],
            "tags": ["WindowsAzureActiveDirectoryIntegratedApp"], "appRoleAssignmentRequired": number % 2 == 0, "signInAudience": "AzureADMyOrg",
            "keyCredentials": [], "passwordCredentials": [],
        });
        store.create(Kind::ServicePrincipal, &guid(random), object(principal));
    }
}

fn units(store: &mut Store, users: &[Index], random: &mut Random) {
    for (number, (_, _, city, ..)) in OFFICES.iter().enumerate().take((users.len() / 40).clamp(1, OFFICES.len())) {
        let properties = json!({
            "displayName": format!("{city} staff"), "description": format!("People in {city}"), "isMemberManagementRestricted": number == 1,
            "membershipType": "Assigned",
        });
        let unit = store.create(Kind::AdministrativeUnit, &guid(random), object(properties));
        for user in users.iter().skip(number).step_by(OFFICES.len()).take(500) {
            store.link_new(unit, Relation::Members, *user);
        }
    }
}

fn roles(store: &mut Store, users: &[Index], groups: &[Index], now: Timestamp, random: &mut Random) {
    for (id, name) in ROLES {
        let properties = json!({
            "displayName": name, "description": format!("Built-in role {name}"), "isBuiltIn": true, "isEnabled": true, "templateId": id,
            "version": "1", "resourceScopes": ["/"], "rolePermissions": [{"allowedResourceActions": ["microsoft.directory/users/standard/read"], "condition": Value::Null}],
        });
        store.create(Kind::RoleDefinition, id, object(properties));
    }
    for name in ["Contoso App Support", "Contoso Device Reader"] {
        let id = guid(random);
        let properties = json!({
            "displayName": name, "description": "Custom role", "isBuiltIn": false, "isEnabled": true, "templateId": id, "version": "1",
            "resourceScopes": ["/"], "rolePermissions": [{"allowedResourceActions": ["microsoft.directory/applications/standard/read"], "condition": "$ResourceIsSelf"}],
        });
        store.create(Kind::RoleDefinition, &id, object(properties));
    }
    for (id, name) in ROLES.iter().take(6) {
        let properties = json!({"displayName": name, "description": name, "roleTemplateId": id});
        store.create(Kind::DirectoryRole, &guid(random), object(properties));
    }
    let unit = store.live(Kind::AdministrativeUnit).next().map(|unit| format!("/administrativeUnits/{}", unit.id));
    let principal = |store: &Store, index: Index| store.object(index).id.clone();
    let holders = (users.len() / 25).clamp(2, 60);
    for number in 0..holders {
        let user = principal(store, users[(number * 3) % users.len()]);
        let (role, _) = ROLES[(number * 5) % ROLES.len()];
        let scope = if number % 6 == 5 { unit.clone().unwrap_or_else(|| "/".into()) } else { "/".to_owned() };
        let timed = number % 3 == 1;
        let end = timed.then(|| now + SignedDuration::from_hours(8));
        assign_role(store, &user, role, &scope, end, now, random);
        if number % 4 == 0 {
            let (eligible, _) = ROLES[(number + 2) % ROLES.len()];
            make_eligible(store, &user, eligible, now, random);
        }
    }
    if let Some(group) = groups.get(1) {
        assign_role(store, &principal(store, *group), ROLES[1].0, "/", None, now, random);
    }
    if let Some(app) = store.live(Kind::ServicePrincipal).last().map(|app| app.id.clone()) {
        assign_role(store, &app, ROLES[25].0, "/", None, now, random);
    }
    // A principal that is gone: the assignment stays.
    let gone = guid(random);
    assign_role(store, &gone, ROLES[28].0, "/", None, now, random);
}

/// An active assignment and its instance; with an end it is one that PIM activated.
pub(super) fn assign_role(
    store: &mut Store,
    principal: &str,
    role: &str,
    scope: &str,
    end: Option<Timestamp>,
    now: Timestamp,
    random: &mut Random,
) -> String {
    let id = format!("{}-1", uuid_text(random));
    let assignment = json!({"principalId": principal, "roleDefinitionId": role, "directoryScopeId": scope});
    store.create(Kind::RoleAssignment, &id, object(assignment));
    let activated = end.is_some();
    let instance = json!({
        "principalId": principal, "roleDefinitionId": role, "directoryScopeId": scope, "memberType": "Direct",
        "assignmentType": if activated { "Activated" } else { "Assigned" }, "roleAssignmentOriginId": id,
        "roleAssignmentScheduleId": guid(random), "startDateTime": if activated { time(now) } else { Value::Null },
        "endDateTime": end.map_or(Value::Null, time),
    });
    // Graph gives the instance the id of its assignment.
    store.create_alias(Kind::RoleAssignmentScheduleInstance, &id, object(instance));
    id
}

fn make_eligible(store: &mut Store, principal: &str, role: &str, now: Timestamp, random: &mut Random) {
    let id = format!("{}-1-e", uuid_text(random));
    let instance = json!({
        "principalId": principal, "roleDefinitionId": role, "directoryScopeId": "/", "memberType": "Direct",
        "roleEligibilityScheduleId": guid(random), "startDateTime": time(days_ago(now, 40)), "endDateTime": time(now + SignedDuration::from_hours(24 * 180)),
    });
    store.create(Kind::RoleEligibilityScheduleInstance, &id, object(instance));
}

fn uuid_text(random: &mut Random) -> String {
    (0..24).map(|_| random.alphanumeric()).collect()
}

/// Two of a hundred people have left and can still be restored.
fn leavers(store: &mut Store, users: &[Index], now: Timestamp) {
    for user in users.iter().skip(20).step_by(50) {
        let id = store.object(*user).id.clone();
        store.delete(&id, days_ago(now, 3));
    }
}
