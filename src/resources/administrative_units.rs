//! Administrative units with members. <https://learn.microsoft.com/graph/api/administrativeunit-delta>

use super::definition::{Definition, Source, boolean, key, links, text};
use crate::mirror::LinkTable;

static MEMBERS: LinkTable = LinkTable {
    name: "administrative_unit_member_links",
    view: "administrative_unit_members",
    owner_oid: "administrative_unit_oid",
    member_oid: "member_oid",
    member_id: "member_id",
};

pub(super) static ADMINISTRATIVE_UNITS: Definition = Definition {
    name: "administrative_units",
    summary: "administrative units, with members",
    source: Source::Delta("directory/administrativeUnits/delta"),
    properties: &[
        key("id"),
        text("displayName"),
        text("description"),
        boolean("isMemberManagementRestricted"),
        text("membershipRule"),
        text("membershipRuleProcessingState"),
        text("membershipType"),
        text("visibility"),
        links("members", &MEMBERS),
    ],
    object_type: Some("administrativeUnit"),
    extra: true,
    indexes: Some(include_str!("../../schema/indexes/administrative_units.sql")),
    permissions: &["AdministrativeUnit.Read.All", "Directory.Read.All"],
    schedule: "30 */15 * * * *",
    ..Definition::DEFAULT
};
