//! Audit records that follow from changes of the directory. Knows what happened and to whom; not why, and no HTTP.

use serde_json::{Value, json};

use super::super::store::Store;
use super::super::tenant::Tenant;
use super::audits::{self, Activity};

/// What was done to an object or a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum What {
    AddUser,
    UpdateUser,
    DeleteUser,
    RestoreUser,
    HardDeleteUser,
    ChangeUserLicense,
    AddGroup,
    UpdateGroup,
    DeleteGroup,
    UpdateDevice,
    AddMember,
    RemoveMember,
    AddOwner,
}

fn activity(what: What) -> Activity {
    match what {
        What::AddUser => audits::ADD_USER,
        What::UpdateUser => audits::UPDATE_USER,
        What::DeleteUser => audits::DELETE_USER,
        What::RestoreUser => audits::RESTORE_USER,
        What::HardDeleteUser => audits::PURGE_USER,
        What::ChangeUserLicense => audits::CHANGE_LICENSE,
        What::AddGroup => audits::ADD_GROUP,
        What::UpdateGroup => audits::UPDATE_GROUP,
        What::DeleteGroup => audits::DELETE_GROUP,
        What::UpdateDevice => audits::UPDATE_DEVICE,
        What::AddMember => audits::ADD_MEMBER,
        What::RemoveMember => audits::REMOVE_MEMBER,
        What::AddOwner => audits::ADD_OWNER,
    }
}

fn tell(tenant: &Tenant, what: What, targets: impl Fn(&Store) -> Option<Vec<Value>>) {
    if !tenant.shared.options.has_logs() {
        return;
    }
    let mut random = tenant.fork_random();
    let drafts = {
        let store = tenant.read();
        let Some(targets) = targets(&store) else { return };
        let by = audits::initiator(&store, &mut random);
        audits::single(activity(what), by, &targets, &mut random)
    };
    tenant.record_audits(drafts, &mut random);
}

/// Tells of a change of one object, with its new properties.
pub(in crate::simulator) fn object(tenant: &Tenant, what: What, id: &str, changed: &Value) {
    tell(tenant, what, |store| {
        let changed: Vec<Value> =
            changed.as_object().into_iter().flatten().map(|(name, value)| audits::modified(name, &Value::Null, value)).collect();
        Some(vec![audits::target(store.find(id)?, &changed)])
    });
}

/// Tells of a member or owner of a group that came or went.
pub(in crate::simulator) fn membership(tenant: &Tenant, what: What, group: &str, member: &str) {
    tell(tenant, what, |store| {
        let (group, member) = (store.find(group)?, store.find(member)?);
        let name = json!(group.text("displayName"));
        let changed = match what {
            What::RemoveMember => audits::modified("Group.DisplayName", &name, &Value::Null),
            _ => audits::modified("Group.DisplayName", &Value::Null, &name),
        };
        Some(vec![audits::target(member, &[changed]), audits::target(group, &[])])
    });
}

/// Tells of a role that was given; one with an end was activated through PIM.
pub(in crate::simulator) fn role(tenant: &Tenant, user: &str, role: (&str, &str), timed: bool) {
    if !tenant.shared.options.has_logs() {
        return;
    }
    let mut random = tenant.fork_random();
    let drafts = {
        let store = tenant.read();
        let Some(user) = store.find(user) else { return };
        let by = if timed { audits::by_user(user, &mut random) } else { audits::initiator(&store, &mut random) };
        audits::role_given(user, role, timed, by, &mut random)
    };
    tenant.record_audits(drafts, &mut random);
}

/// Somebody signs in, mostly well.
pub(in crate::simulator) fn signs_of_life(tenant: &Tenant) {
    if !tenant.shared.options.has_logs() {
        return;
    }
    let now = tenant.now();
    // As the usual history, but all within this moment; late ones come later, as always.
    let just_now = now - jiff::SignedDuration::from_secs(1);
    tenant.generate_logs(just_now, now, 3, 0);
}
