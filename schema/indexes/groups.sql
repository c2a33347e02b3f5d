-- Made when the first round of groups is complete: the way from a member to its groups.
CREATE INDEX IF NOT EXISTS group_member_links_by_member ON group_member_links (member_oid);
CREATE INDEX IF NOT EXISTS group_owner_links_by_owner ON group_owner_links (owner_oid);
