-- Internal: licences that came with people never met before. They wait here for the end of the first round of users, and are then put into `assigned_licenses` in order: one by one, each would touch another page of that table.
CREATE TABLE assigned_licenses_staged (
    user_id TEXT NOT NULL,                -- as in assigned_licenses
    sku_id TEXT NOT NULL,                 -- as in assigned_licenses
    assigned_by_group TEXT NOT NULL,      -- as in assigned_licenses
    disabled_plans TEXT,                  -- as in assigned_licenses
    state TEXT,                           -- as in assigned_licenses
    error TEXT,                           -- as in assigned_licenses
    last_updated_date_time TEXT,          -- as in assigned_licenses
    first_seen_at TEXT NOT NULL,          -- as in assigned_licenses
    last_changed_at TEXT NOT NULL         -- as in assigned_licenses
) STRICT;
