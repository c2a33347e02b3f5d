-- Made when the first round of users is complete: building them at once is several times cheaper than row by row.
CREATE INDEX IF NOT EXISTS users_by_user_principal_name ON users (user_principal_name COLLATE NOCASE);
CREATE INDEX IF NOT EXISTS users_by_mail ON users (mail COLLATE NOCASE);
CREATE INDEX IF NOT EXISTS users_by_manager ON users (manager_id);
CREATE INDEX IF NOT EXISTS assigned_licenses_by_sku ON assigned_licenses (sku_id);
