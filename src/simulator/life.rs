//! What happens in a tenant over time: people join, move, leave and come back. Random, from the tenant's seed; uses only its handle.

use serde_json::json;

use super::generate::pick;
use super::logs::{self, What};
use super::roles::PRODUCTS;
use super::schema::Kind;
use super::store::Life;
use super::tenant::Tenant;
use super::words::DEPARTMENTS;

/// So many events.
pub(super) fn live(tenant: &Tenant, events: usize) {
    for _ in 0..events {
        event(tenant);
        logs::signs_of_life(tenant);
    }
}

fn join(tenant: &Tenant, group: &str, member: &str) {
    if tenant.add_member(group, member) {
        logs::membership(tenant, What::AddMember, group, member);
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
            logs::object(tenant, What::AddUser, &joiner, &json!({"AccountEnabled": [true]}));
            tenant.set_manager(&joiner, Some(&user));
            join(tenant, &group, &joiner);
        }
        10..=29 => {
            let (department, titles) = DEPARTMENTS[tenant.random().usize(..DEPARTMENTS.len())];
            let patch = json!({"department": department, "jobTitle": titles[2]});
            tenant.update(&user, patch.clone());
            logs::object(tenant, What::UpdateUser, &user, &patch);
        }
        30..=39 => tenant.set_manager(&user, (user != other).then_some(other.as_str())),
        40..=44 => {
            let patch = json!({"mobilePhone": null, "accountEnabled": draw.is_multiple_of(2)});
            tenant.update(&user, patch.clone());
            logs::object(tenant, What::UpdateUser, &user, &patch);
        }
        45..=50 => {
            if tenant.delete(&user) {
                logs::object(tenant, What::DeleteUser, &user, &json!({}));
            }
        }
        51..=54 => {
            if let Some(id) = deleted(tenant, Kind::User).filter(|id| tenant.restore(id)) {
                logs::object(tenant, What::RestoreUser, &id, &json!({}));
            }
        }
        55..=56 => {
            if let Some(id) = deleted(tenant, Kind::User).filter(|id| tenant.purge(id)) {
                logs::object(tenant, What::HardDeleteUser, &id, &json!({}));
            }
        }
        57..=74 => join(tenant, &group, &user),
        75..=84 => {
            if let Some(member) = tenant.members(&group).first()
                && tenant.remove_member(&group, member)
            {
                logs::membership(tenant, What::RemoveMember, &group, member);
            }
        }
        85..=87 => {
            if tenant.add_owner(&group, &user) {
                logs::membership(tenant, What::AddOwner, &group, &user);
            }
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
            logs::object(tenant, What::ChangeUserLicense, &user, &json!({"AssignedLicense": assigned}));
            tenant.update(&user, json!({"assignedLicenses": assigned, "licenseAssignmentStates": state}));
        }
        92..=93 => {
            let patch = json!({"description": format!("changed {}", tenant.random().u32(..))});
            tenant.update(&group, patch.clone());
            logs::object(tenant, What::UpdateGroup, &group, &patch);
        }
        94 => {
            let id = tenant.create(
                Kind::Group,
                json!({"displayName": "New project", "securityEnabled": true, "mailEnabled": false, "groupTypes": []}),
            );
            logs::object(tenant, What::AddGroup, &id, &json!({"DisplayName": ["New project"]}));
            join(tenant, &id, &user);
        }
        95 => {
            if tenant.delete(&group) {
                logs::object(tenant, What::DeleteGroup, &group, &json!({}));
            }
        }
        96..=97 => {
            let patch = json!({"isCompliant": draw == 96, "operatingSystemVersion": "10.0.26200.2"});
            if let Some(id) = any(tenant, Kind::Device).filter(|id| tenant.update(id, patch.clone())) {
                logs::object(tenant, What::UpdateDevice, &id, &patch);
            }
        }
        _ => {
            let end = tenant.now() + jiff::SignedDuration::from_hours(8);
            let role = super::roles::ROLES[tenant.random().usize(..super::roles::ROLES.len())];
            tenant.assign_role(&user, role.0, Some(end));
            logs::role(tenant, &user, role, true);
        }
    }
}
