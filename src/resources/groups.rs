//! Groups with members and owners. <https://learn.microsoft.com/graph/api/group-delta>

use super::definition::{Definition, Source, boolean, json, key, links, text, time};
use crate::mirror::LinkTable;

static MEMBERS: LinkTable = LinkTable {
    name: "group_member_links",
    view: "group_members",
    owner_oid: "group_oid",
    member_oid: "member_oid",
    member_id: "member_id",
};

static OWNERS: LinkTable =
    LinkTable { name: "group_owner_links", view: "group_owners", owner_oid: "group_oid", member_oid: "owner_oid", member_id: "owner_id" };

pub(super) static GROUPS: Definition = Definition {
    name: "groups",
    summary: "groups, with members and owners",
    source: Source::Delta("groups/delta"),
    properties: &[
        key("id"),
        text("displayName"),
        text("description"),
        text("mail"),
        text("mailNickname"),
        boolean("mailEnabled"),
        boolean("securityEnabled"),
        json("groupTypes"),
        text("visibility"),
        boolean("isAssignableToRole"),
        boolean("isManagementRestricted"),
        text("membershipRule"),
        text("membershipRuleProcessingState"),
        text("classification"),
        time("createdDateTime"),
        time("renewedDateTime"),
        time("expirationDateTime"),
        json("proxyAddresses"),
        json("resourceBehaviorOptions"),
        json("resourceProvisioningOptions"),
        text("securityIdentifier"),
        text("theme"),
        text("uniqueName"),
        text("preferredLanguage"),
        text("preferredDataLocation"),
        json("assignedLabels"),
        json("assignedLicenses"),
        json("licenseProcessingState"),
        boolean("onPremisesSyncEnabled"),
        time("onPremisesLastSyncDateTime"),
        text("onPremisesDomainName"),
        text("onPremisesNetBiosName"),
        text("onPremisesSamAccountName"),
        text("onPremisesSecurityIdentifier"),
        json("onPremisesProvisioningErrors"),
        links("members", &MEMBERS),
        links("owners", &OWNERS),
    ],
    object_type: Some("group"),
    extra: true,
    indexes: Some(include_str!("../../schema/indexes/groups.sql")),
    never_empty: true,
    permissions: &["GroupMember.Read.All", "Group.Read.All", "Directory.Read.All"],
    schedule: "20 */5 * * * *",
    ..Definition::DEFAULT
};
