-- Made when the first round of administrative units is complete: the way from a member to its units.
CREATE INDEX IF NOT EXISTS administrative_unit_member_links_by_member ON administrative_unit_member_links (member_oid);
