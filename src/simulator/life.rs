//! What happens in a tenant over time: people join, move, leave and come back. Random, from the tenant's seed; uses only its handle.

use serde_json::json;

use super::generate::pick;
use super::roles::PRODUCTS;
use super::schema::Kind;
use super::store::Life;
use super::tenant::Tenant;
use super::words::DEPARTMENTS;

/// So many events.
pub(super) fn live(tenant: &Tenant, events: usize) {
    for _ in 0..events {
        event(tenant);
    }
}

/// A live object of a kind, at random.
fn any(tenant: &Tenant, kind: Kind) -> Option<String> {
    let store = tenant.read();
    let all = store.all(kind);
    if all.is_empty() {
        return None;
    }
    let mut random = tenant.random();
    (0..20).map(|_| store.object(*pick(&mut random, all))).find(|object| object.is_live()).map(|object| object.id.clone())
}

fn deleted(tenant: &Tenant, kind: Kind) -> Option<String> {
    let store = tenant.read();
    let mut gone = store.all(kind).iter().map(|index| store.object(*index)).filter(|o| matches!(o.life, Life::SoftDeleted(_)));
    gone.next().map(|object| object.id.clone())
}

fn event(tenant: &Tenant) {
    let draw = tenant.random().u8(..100);
    let (Some(user), Some(other), Some(group)) = (any(tenant, Kind::User), any(tenant, Kind::User), any(tenant, Kind::Group)) else {
        return;
    };
    match draw {
        0..=9 => {
            let joiner = tenant.hire();
            tenant.set_manager(&joiner, Some(&user));
            tenant.add_member(&group, &joiner);
        }
        10..=29 => {
            let (department, titles) = DEPARTMENTS[tenant.random().usize(..DEPARTMENTS.len())];
            tenant.update(&user, json!({"department": department, "jobTitle": titles[2]}));
        }
        30..=39 => tenant.set_manager(&user, (user != other).then_some(other.as_str())),
        40..=44 => {
            tenant.update(&user, json!({"mobilePhone": null, "accountEnabled": draw.is_multiple_of(2)}));
        }
        45..=50 => {
            tenant.delete(&user);
        }
        51..=54 => {
            deleted(tenant, Kind::User).map(|id| tenant.restore(&id));
        }
        55..=56 => {
            deleted(tenant, Kind::User).map(|id| tenant.purge(&id));
        }
        57..=74 => {
            tenant.add_member(&group, &user);
        }
        75..=84 => {
            if let Some(member) = tenant.members(&group).first() {
                tenant.remove_member(&group, member);
            }
        }
        85..=87 => {
            tenant.add_owner(&group, &user);
        }
        88..=91 => {
            let (sku, _, plans) = PRODUCTS[tenant.random().usize(..PRODUCTS.len())];
            let (assigned, state) = (
                json!([{"skuId": sku, "disabledPlans": [plans[0].0]}]),
                json!([{
                    "skuId": sku, "disabledPlans": [plans[0].0], "assignedByGroup": null, "state": "Active", "error": "None",
                    "lastUpdatedDateTime": tenant.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                }]),
            );
            tenant.update(&user, json!({"assignedLicenses": assigned, "licenseAssignmentStates": state}));
        }
        92..=93 => {
            tenant.update(&group, json!({"description": format!("changed {}", tenant.random().u32(..))}));
        }
        94 => {
            let id = tenant.create(
                Kind::Group,
                json!({"displayName": "New project", "securityEnabled": true, "mailEnabled": false, "groupTypes": []}),
            );
            tenant.add_member(&id, &user);
        }
        95 => {
            tenant.delete(&group);
        }
        96..=97 => {
            let device = any(tenant, Kind::Device);
            device.map(|id| tenant.update(&id, json!({"isCompliant": draw == 96, "operatingSystemVersion": "10.0.26200.2"})));
        }
        _ => {
            let end = tenant.now() + jiff::SignedDuration::from_hours(8);
            let role = super::roles::ROLES[tenant.random().usize(..super::roles::ROLES.len())].0;
            tenant.assign_role(&user, role, Some(end));
        }
    }
}
