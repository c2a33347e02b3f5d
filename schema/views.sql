-- Members of groups, direct. A link whose group or member is in deleted_objects does not show.
CREATE VIEW group_members (
    group_id,                             -- groups.id
    member_id,                            -- id of the member
    member_type                           -- user, group, device, servicePrincipal, orgContact ...
) AS
SELECT g.id, m.id, m.type
FROM group_member_links AS l
JOIN objects AS g ON g.oid = l.group_oid
JOIN objects AS m ON m.oid = l.member_oid
WHERE g.hidden = 0 AND m.hidden = 0;

-- Owners of groups. A link whose group or owner is in deleted_objects does not show.
CREATE VIEW group_owners (
    group_id,                             -- groups.id
    owner_id,                             -- id of the owner
    owner_type                            -- user or servicePrincipal
) AS
SELECT g.id, m.id, m.type
FROM group_owner_links AS l
JOIN objects AS g ON g.oid = l.group_oid
JOIN objects AS m ON m.oid = l.owner_oid
WHERE g.hidden = 0 AND m.hidden = 0;

-- Members of administrative units. A link whose unit or member is in deleted_objects does not show.
CREATE VIEW administrative_unit_members (
    administrative_unit_id,               -- administrative_units.id
    member_id,                            -- id of the member
    member_type                           -- user, group or device
) AS
SELECT u.id, m.id, m.type
FROM administrative_unit_member_links AS l
JOIN objects AS u ON u.oid = l.administrative_unit_oid
JOIN objects AS m ON m.oid = l.member_oid
WHERE u.hidden = 0 AND m.hidden = 0;

-- Members of groups through any depth of nesting, each once. Groups that contain one another are followed once.
CREATE VIEW transitive_group_members (
    group_id,                             -- groups.id
    member_id,                            -- id of the member; nested groups are members too
    member_type,                          -- user, group, device, servicePrincipal, orgContact ...
    is_direct                             -- 1 when also a direct member
) AS
WITH RECURSIVE
nested (parent_oid, group_oid) AS (
    SELECT l.group_oid, l.member_oid
    FROM objects AS m
    CROSS JOIN group_member_links AS l ON l.member_oid = m.oid
    JOIN objects AS g ON g.oid = l.group_oid
    WHERE m.type = 'group' AND m.hidden = 0 AND g.hidden = 0
),
reach (group_oid, via_oid) AS (
    SELECT parent_oid, group_oid FROM nested
    UNION
    SELECT r.group_oid, n.group_oid FROM reach AS r JOIN nested AS n ON n.parent_oid = r.via_oid
)
SELECT group_id, member_id, member_type, 1
FROM group_members
UNION ALL
SELECT DISTINCT g.id, m.id, m.type, 0
FROM reach AS r
JOIN objects AS g ON g.oid = r.group_oid
JOIN group_member_links AS l ON l.group_oid = r.via_oid
JOIN objects AS m ON m.oid = l.member_oid
WHERE g.hidden = 0 AND m.hidden = 0
  AND NOT EXISTS (SELECT 1 FROM group_member_links AS d WHERE d.group_oid = r.group_oid AND d.member_oid = l.member_oid);

-- Who holds which directory role, directly, through a role-assignable group, or eligible through PIM. One row per holder, role, scope and path.
CREATE VIEW effective_roles (
    principal_id,                         -- who holds the role: a user or service principal (or the group itself when it is empty)
    principal_type,                       -- user, servicePrincipal, group; NULL when Graph names an object the mirror never saw
    principal_name,                       -- display name
    role_definition_id,                   -- role_definitions.id
    role_name,                            -- display name of the role
    is_privileged,                        -- 1 privileged, 0 not, NULL not known
    directory_scope_id,                   -- / for the tenant, otherwise the scope
    state,                                -- active or eligible
    via_group_id,                         -- the group the role comes through; NULL when direct
    via_group_name,                       -- its display name
    assignment_type,                      -- Assigned or Activated, where PIM says
    start_date_time,                      -- from, where PIM says
    end_date_time,                        -- until; NULL when permanent or not known
    assignment_id                         -- id of the assignment or instance it rests on
) AS
WITH held AS (
    SELECT a.id AS assignment_id, a.principal_id, a.role_definition_id, a.directory_scope_id, 'active' AS state,
           i.assignment_type, i.start_date_time, i.end_date_time
    FROM role_assignments AS a
    LEFT JOIN role_assignment_schedule_instances AS i
           ON i.principal_id = a.principal_id AND i.role_definition_id = a.role_definition_id
          AND i.directory_scope_id IS a.directory_scope_id AND coalesce(i.member_type, 'Direct') <> 'Group'
    UNION ALL
    SELECT i.id, i.principal_id, i.role_definition_id, i.directory_scope_id, 'active',
           i.assignment_type, i.start_date_time, i.end_date_time
    FROM role_assignment_schedule_instances AS i
    WHERE coalesce(i.member_type, 'Direct') = 'Direct'
      AND NOT EXISTS (SELECT 1 FROM role_assignments AS a
                      WHERE a.principal_id = i.principal_id AND a.role_definition_id = i.role_definition_id
                        AND a.directory_scope_id IS i.directory_scope_id)
    UNION ALL
    SELECT e.id, e.principal_id, e.role_definition_id, e.directory_scope_id, 'eligible',
           NULL, e.start_date_time, e.end_date_time
    FROM role_eligibility_schedule_instances AS e
    WHERE coalesce(e.member_type, 'Direct') = 'Direct'
),
holders AS (
    SELECT h.*, h.principal_id AS holder_id, NULL AS via_group_id
    FROM held AS h
    WHERE NOT EXISTS (SELECT 1 FROM group_members AS m WHERE m.group_id = h.principal_id)
    UNION ALL
    SELECT h.*, m.member_id, h.principal_id
    FROM held AS h
    JOIN group_members AS m ON m.group_id = h.principal_id
)
SELECT h.holder_id, nullif(o.type, ''), coalesce(u.display_name, s.display_name, gp.display_name),
       h.role_definition_id, d.display_name, d.is_privileged, h.directory_scope_id, h.state,
       h.via_group_id, g.display_name, h.assignment_type, h.start_date_time, h.end_date_time, h.assignment_id
FROM holders AS h
LEFT JOIN objects AS o ON o.id = h.holder_id
LEFT JOIN users AS u ON u.id = h.holder_id
LEFT JOIN service_principals AS s ON s.id = h.holder_id
LEFT JOIN groups AS gp ON gp.id = h.holder_id
LEFT JOIN groups AS g ON g.id = h.via_group_id
LEFT JOIN role_definitions AS d ON d.id = h.role_definition_id
WHERE o.id IS NULL OR o.hidden = 0;

-- What each user may use: one row per user and service plan of an assigned product. A plan is on when any assignment of the product leaves it on.
CREATE VIEW user_entitlements (
    user_id,                              -- users.id
    sku_id,                               -- subscribed_skus.sku_id
    sku_part_number,                      -- product name
    service_plan_id,                      -- plan id
    service_plan_name,                    -- plan name
    is_enabled,                           -- 1 when the user has the plan, 0 when it is switched off, in error, or not usable in the tenant
    assigned_directly,                    -- 1 when an assignment is direct (or its way is not known yet)
    assigned_by_groups                    -- JSON array of ids of assigning groups; NULL when none
) AS
SELECT l.user_id, l.sku_id, s.sku_part_number, p.service_plan_id, p.service_plan_name,
       max(coalesce(l.state, 'Active') IN ('Active', 'ActiveWithError')
           AND coalesce(p.provisioning_status, 'Success') <> 'Disabled'
           AND NOT EXISTS (SELECT 1 FROM json_each(l.disabled_plans) AS d WHERE d.value = p.service_plan_id)),
       max(l.assigned_by_group = ''),
       nullif(json_group_array(l.assigned_by_group) FILTER (WHERE l.assigned_by_group <> ''), '[]')
FROM assigned_licenses AS l
JOIN service_plans AS p ON p.sku_id = l.sku_id
LEFT JOIN subscribed_skus AS s ON s.sku_id = l.sku_id
GROUP BY l.user_id, l.sku_id, p.service_plan_id;

-- The reporting tree: every user with depth and path from a root. Users in a circle of managers have no depth.
CREATE VIEW org_chart (
    user_id,                              -- users.id
    display_name,                         -- name
    job_title,                            -- job title
    department,                           -- department
    manager_id,                           -- users.manager_id, as Graph says it
    depth,                                -- 0 for a root; NULL inside a circle
    path,                                 -- ids from the root to the user, separated by /; NULL inside a circle
    problem                               -- NULL, manager_deleted, manager_unknown, self_managed, cycle
) AS
WITH RECURSIVE
roots AS (
    SELECT u.id, CASE WHEN u.manager_id IS NULL THEN NULL
                      WHEN u.manager_id = u.id THEN 'self_managed'
                      WHEN EXISTS (SELECT 1 FROM deleted_objects AS d WHERE d.resource = 'users' AND d.id = u.manager_id) THEN 'manager_deleted'
                      ELSE 'manager_unknown' END AS problem
    FROM users AS u
    WHERE u.manager_id IS NULL OR u.manager_id = u.id OR NOT EXISTS (SELECT 1 FROM users AS m WHERE m.id = u.manager_id)
),
tree (id, depth, path, problem) AS (
    SELECT id, 0, id, problem FROM roots
    UNION ALL
    SELECT u.id, t.depth + 1, t.path || '/' || u.id, NULL
    FROM tree AS t
    JOIN users AS u ON u.manager_id = t.id AND u.id <> t.id
)
SELECT u.id, u.display_name, u.job_title, u.department, u.manager_id, t.depth, t.path,
       CASE WHEN t.id IS NULL THEN 'cycle' ELSE t.problem END
FROM users AS u
LEFT JOIN tree AS t ON t.id = u.id;

-- People in the words that unified directory APIs use.
CREATE VIEW unified_users (
    id,                                   -- users.id
    username,                             -- userPrincipalName
    email,                                -- mail
    emails,                               -- JSON array of objects: email, type (work, other), is_primary
    first_name,                           -- givenName
    last_name,                            -- surname
    name,                                 -- displayName
    job_title,                            -- jobTitle
    department,                           -- department
    division,                             -- employeeOrgData.division
    cost_center,                          -- employeeOrgData.costCenter
    company_name,                         -- companyName
    office_location,                      -- officeLocation
    manager_id,                           -- id of the manager
    manager_name,                         -- display name of the manager, when a live user
    manager_email,                        -- mail of the manager, when a live user
    employee_number,                      -- employeeId
    employee_type,                        -- employeeType
    hired_at,                             -- employeeHireDate
    status,                               -- active, inactive or invited; deleted people are not here
    account_enabled,                      -- 1 when the account may sign in
    user_type,                            -- member or guest
    phones,                               -- JSON array of objects: number, type (phone, mobile)
    preferred_language,                   -- preferredLanguage
    city,                                 -- city
    country,                              -- country
    is_admin,                             -- 1 when an active directory role is held, directly or through a group
    created_at,                           -- createdDateTime
    updated_at                            -- when the mirror last saw a difference; Graph has no such date
) AS
SELECT u.id, u.user_principal_name, u.mail,
       (SELECT json_group_array(json_object('email', e.email, 'type', e.type, 'is_primary', json(iif(e.is_primary, 'true', 'false'))))
        FROM (SELECT u.mail AS email, 'work' AS type, 1 AS is_primary WHERE u.mail IS NOT NULL
              UNION ALL SELECT o.value, 'other', 0 FROM json_each(u.other_mails) AS o) AS e),
       u.given_name, u.surname, u.display_name, u.job_title, u.department,
       u.employee_org_data ->> '$.division', u.employee_org_data ->> '$.costCenter',
       u.company_name, u.office_location, u.manager_id, m.display_name, m.mail,
       u.employee_id, u.employee_type, u.employee_hire_date,
       CASE WHEN u.user_type = 'Guest' AND u.external_user_state = 'PendingAcceptance' THEN 'invited'
            WHEN u.account_enabled = 1 THEN 'active' WHEN u.account_enabled = 0 THEN 'inactive' END,
       u.account_enabled, lower(u.user_type),
       (SELECT json_group_array(json_object('number', p.number, 'type', p.type))
        FROM (SELECT b.value AS number, 'phone' AS type FROM json_each(u.business_phones) AS b
              UNION ALL SELECT u.mobile_phone, 'mobile' WHERE u.mobile_phone IS NOT NULL) AS p),
       u.preferred_language, u.city, u.country,
       EXISTS (SELECT 1 FROM role_assignments AS r WHERE r.principal_id = u.id)
       OR EXISTS (SELECT 1 FROM role_assignments AS r
                  JOIN objects AS g ON g.id = r.principal_id AND g.hidden = 0
                  JOIN group_member_links AS l ON l.group_oid = g.oid
                  JOIN objects AS o ON o.oid = l.member_oid
                  WHERE o.id = u.id),
       u.created_date_time, u.last_changed_at
FROM users AS u
LEFT JOIN users AS m ON m.id = u.manager_id;

-- Groups in the words that unified directory APIs use.
CREATE VIEW unified_groups (
    id,                                   -- groups.id
    name,                                 -- displayName
    description,                          -- description
    email,                                -- mail
    group_type,                           -- team, microsoft365, distribution, security or group
    is_dynamic,                           -- 1 when members follow a rule
    is_assignable_to_role,                -- 1 when directory roles may be assigned to it
    member_count,                         -- direct members that show
    created_at,                           -- createdDateTime
    updated_at                            -- when the mirror last saw a difference in the group's own properties
) AS
SELECT g.id, g.display_name, g.description, g.mail,
       CASE WHEN EXISTS (SELECT 1 FROM json_each(g.resource_provisioning_options) AS o WHERE o.value = 'Team') THEN 'team'
            WHEN EXISTS (SELECT 1 FROM json_each(g.group_types) AS t WHERE t.value = 'Unified') THEN 'microsoft365'
            WHEN g.mail_enabled = 1 AND coalesce(g.security_enabled, 0) = 0 THEN 'distribution'
            WHEN g.security_enabled = 1 THEN 'security' ELSE 'group' END,
       EXISTS (SELECT 1 FROM json_each(g.group_types) AS t WHERE t.value = 'DynamicMembership'),
       coalesce(g.is_assignable_to_role, 0),
       (SELECT count(*) FROM group_members AS m WHERE m.group_id = g.id),
       g.created_date_time, g.last_changed_at
FROM groups AS g;

-- Directory roles in the words that unified directory APIs use.
CREATE VIEW unified_roles (
    id,                                   -- role_definitions.id
    name,                                 -- displayName
    description,                          -- description
    type,                                 -- built_in or custom
    is_enabled,                           -- 1 when it can be assigned
    is_privileged,                        -- 1 privileged, 0 not, NULL not known
    created_at,                           -- when the mirror first saw it; Graph has no such date
    updated_at                            -- when the mirror last saw a difference
) AS
SELECT id, display_name, description, iif(is_built_in = 1, 'built_in', 'custom'), is_enabled, is_privileged,
       first_seen_at, last_changed_at
FROM role_definitions;

-- Role holdings in the words that unified directory APIs use, with what Entra needs beyond them.
CREATE VIEW unified_role_assignments (
    id,                                   -- id of the assignment or instance
    user_id,                              -- holder, when a user
    principal_id,                         -- holder
    principal_type,                       -- user, servicePrincipal, group
    group_id,                             -- the group the role comes through; NULL when direct
    role_id,                              -- role_definitions.id
    role_name,                            -- name of the role
    scope,                                -- / for the tenant, otherwise the scope
    state,                                -- active or eligible
    starts_at,                            -- from, where PIM says
    ends_at                               -- until; NULL when permanent or not known
) AS
SELECT assignment_id, iif(principal_type = 'user', principal_id, NULL), principal_id, principal_type, via_group_id,
       role_definition_id, role_name, directory_scope_id, state, start_date_time, end_date_time
FROM effective_roles;

-- Products in the words that unified directory APIs use.
CREATE VIEW unified_licenses (
    id,                                   -- subscribed_skus.sku_id
    name,                                 -- skuPartNumber
    status,                               -- active or inactive
    available_quantity,                   -- licences that can be assigned in all (not what is left)
    assigned_quantity,                    -- licences assigned
    remaining_quantity,                   -- enabled and in grace, less assigned; negative when over-assigned
    products,                             -- JSON array of objects: id, name, status, one for each service plan
    created_at,                           -- when the mirror first saw it
    updated_at                            -- when the mirror last saw a difference
) AS
SELECT s.sku_id, s.sku_part_number, iif(s.capability_status IN ('Enabled', 'Warning'), 'active', 'inactive'),
       s.prepaid_units_enabled, s.consumed_units,
       s.prepaid_units_enabled + coalesce(s.prepaid_units_warning, 0) - s.consumed_units,
       (SELECT json_group_array(json_object('id', p.service_plan_id, 'name', p.service_plan_name, 'status',
                   CASE p.provisioning_status WHEN 'Success' THEN 'active' WHEN 'Disabled' THEN 'inactive' WHEN 'Error' THEN 'errored'
                        WHEN 'PendingInput' THEN 'needs_input' WHEN 'PendingActivation' THEN 'needs_confirmation' ELSE 'pending' END))
        FROM service_plans AS p WHERE p.sku_id = s.sku_id),
       s.first_seen_at, s.last_changed_at
FROM subscribed_skus AS s;

-- Sign-ins and audits as one list of activities, in the words that unified directory APIs use; the raw activity name where none fits.
CREATE VIEW unified_activities (
    id,                                   -- sign_ins.id or directory_audits.id
    source,                               -- sign_ins or directory_audits
    created_at,                           -- when it happened
    action,                               -- login, login_failed, login_interrupted, user_created, user_updated, user_deleted, user_restored, ...
    actor_type,                           -- user, system (an application), anonymous (Graph does not say)
    actor_id,                             -- users.id, service_principals.id or application id
    actor_name,                           -- user principal name or application name
    entity_type,                          -- what it was done to: application, user, group, role ...
    entity_id,                            -- its id
    entity_name,                          -- its name
    result,                               -- success, failure, interrupted, timeout
    error_code,                           -- AADSTS number of a failed sign-in
    description,                          -- why it failed, or what the audit says
    ip_address,                           -- address it came from
    user_agent,                           -- user agent, where known
    client_app,                           -- Browser, Mobile Apps and Desktop clients ...; of sign-ins
    correlation_id,                       -- groups what belongs together
    raw_activity                          -- Graph's own name of the activity
) AS
SELECT s.id, 'sign_ins', s.created_date_time,
       CASE WHEN s.status_error_code = 0 THEN 'login'
            WHEN s.interrupted
            THEN 'login_interrupted' ELSE 'login_failed' END,
       CASE WHEN s.user_id IS NOT NULL THEN 'user' WHEN coalesce(s.service_principal_id, '') <> '' THEN 'system' ELSE 'anonymous' END,
       coalesce(s.user_id, s.service_principal_id), coalesce(s.user_principal_name, s.service_principal_name),
       'application', coalesce(s.resource_id, s.app_id), coalesce(s.resource_display_name, s.app_display_name),
       CASE WHEN s.status_error_code = 0 THEN 'success'
            WHEN s.interrupted
            THEN 'interrupted' ELSE 'failure' END,
       nullif(s.status_error_code, 0), s.status_failure_reason, s.ip_address, s.user_agent, s.client_app_used, s.correlation_id, 'Sign-in activity'
FROM (SELECT *, status_error_code IN (50055, 50058, 50072, 50074, 50076, 50079, 50125, 50129, 50140, 50143, 50144, 51006, 52004, 65001,
                                      70043, 70044, 16000) AS interrupted
      FROM sign_ins) AS s
UNION ALL
SELECT a.id, 'directory_audits', a.activity_date_time,
       CASE a.activity_display_name
            WHEN 'Add user' THEN 'user_created'
            WHEN 'Update user' THEN 'user_updated'
            WHEN 'Delete user' THEN 'user_deleted'
            WHEN 'Hard Delete user' THEN 'user_purged'
            WHEN 'Restore user' THEN 'user_restored'
            WHEN 'Disable account' THEN 'user_deactivated'
            WHEN 'Enable account' THEN 'user_activated'
            WHEN 'Invite external user' THEN 'user_invited'
            WHEN 'Redeem external user invite' THEN 'user_joined'
            WHEN 'Reset user password' THEN 'password_reset'
            WHEN 'Reset password (self-service)' THEN 'password_reset'
            WHEN 'Change user password' THEN 'password_changed'
            WHEN 'Change password (self-service)' THEN 'password_changed'
            WHEN 'Change user license' THEN 'license_changed'
            WHEN 'Add group' THEN 'group_created'
            WHEN 'Update group' THEN 'group_updated'
            WHEN 'Delete group' THEN 'group_deleted'
            WHEN 'Hard Delete group' THEN 'group_purged'
            WHEN 'Restore Group' THEN 'group_restored'
            WHEN 'Add member to group' THEN 'group_member_added'
            WHEN 'Remove member from group' THEN 'group_member_removed'
            WHEN 'Add owner to group' THEN 'group_owner_added'
            WHEN 'Remove owner from group' THEN 'group_owner_removed'
            WHEN 'Add member to role' THEN 'role_assigned'
            WHEN 'Remove member from role' THEN 'role_removed'
            WHEN 'Add application' THEN 'application_created'
            WHEN 'Update application' THEN 'application_updated'
            WHEN 'Delete application' THEN 'application_deleted'
            WHEN 'Add service principal' THEN 'service_principal_created'
            WHEN 'Consent to application' THEN 'consent_given'
            WHEN 'User registered security info' THEN 'mfa_method_added'
            WHEN 'User deleted security info' THEN 'mfa_method_removed'
            ELSE a.activity_display_name END,
       CASE a.initiator_type WHEN 'user' THEN 'user' WHEN 'app' THEN 'system' ELSE 'anonymous' END,
       a.initiator_id, a.initiator_name, lower(a.target_type), a.target_id, a.target_name, a.result, NULL, a.result_reason,
       a.initiated_by_user_ip_address, NULL, NULL, a.correlation_id, a.activity_display_name
FROM directory_audits AS a;

-- Who gave or took which directory role, to or from whom, when and through what: from audits, the several records of one action as one event.
CREATE VIEW role_assignment_events (
    id,                                   -- directory_audits.id of the record that tells most
    happened_at,                          -- when it took effect
    action,                               -- assigned, removed, eligible_added, eligible_removed, activated, activation_ended
    role_id,                              -- id of the role as the audit gives it: role_definitions.id or template id
    role_name,                            -- display name of the role
    principal_id,                         -- who received or lost it
    principal_name,                       -- name at that time
    principal_type,                       -- user, group, serviceprincipal
    initiator_type,                       -- user or app; NULL when Graph does not say
    initiator_id,                         -- who did it
    initiator_name,                       -- name of who did it
    through,                              -- PIM, outside PIM, or directory
    reason,                               -- justification or result reason
    record_count,                         -- how many audit records tell of it
    record_ids                            -- JSON array of directory_audits.id
) AS
WITH records AS (
    SELECT a.id, a.activity_date_time AS at, a.correlation_id, a.initiator_type, a.initiator_id, a.initiator_name, a.result_reason,
           a.activity_display_name AS activity,
           CASE WHEN a.activity_display_name LIKE 'Add eligible member to role%' OR a.activity_display_name LIKE 'Add EligibleRoleAssignment%' THEN 'eligible_added'
                WHEN a.activity_display_name LIKE 'Remove eligible member from role%' OR a.activity_display_name LIKE 'Remove EligibleRoleAssignment%' THEN 'eligible_removed'
                WHEN a.activity_display_name LIKE 'Remove member from role%PIM activation%' THEN 'activation_ended'
                WHEN a.activity_display_name LIKE 'Remove%' THEN 'removed'
                WHEN a.activity_display_name LIKE '%(PIM activation)%' THEN 'activated'
                ELSE 'assigned' END AS action,
           CASE WHEN a.activity_display_name LIKE '%outside of PIM%' THEN 'outside PIM'
                WHEN a.logged_by_service IN ('PIM', 'Privileged Identity Management') THEN 'PIM'
                ELSE 'directory' END AS through,
           (SELECT t.target_id FROM directory_audit_targets AS t WHERE t.directory_audit_id = a.id
               AND lower(t.target_type) IN ('user', 'group', 'serviceprincipal') ORDER BY t.target_position LIMIT 1) AS principal_id,
           (SELECT coalesce(t.target_user_principal_name, t.target_display_name) FROM directory_audit_targets AS t WHERE t.directory_audit_id = a.id
               AND lower(t.target_type) IN ('user', 'group', 'serviceprincipal') ORDER BY t.target_position LIMIT 1) AS principal_name,
           (SELECT lower(t.target_type) FROM directory_audit_targets AS t WHERE t.directory_audit_id = a.id
               AND lower(t.target_type) IN ('user', 'group', 'serviceprincipal') ORDER BY t.target_position LIMIT 1) AS principal_type,
           coalesce((SELECT t.target_display_name FROM directory_audit_targets AS t WHERE t.directory_audit_id = a.id
               AND lower(t.target_type) = 'role' AND t.target_display_name IS NOT NULL ORDER BY t.target_position LIMIT 1),
               (SELECT trim(coalesce(nullif(t.new_value, 'null'), t.old_value), '"') FROM directory_audit_targets AS t WHERE t.directory_audit_id = a.id
               AND t.property_display_name = 'Role.DisplayName' LIMIT 1)) AS role_name,
           coalesce((SELECT trim(coalesce(nullif(t.new_value, 'null'), t.old_value), '"') FROM directory_audit_targets AS t WHERE t.directory_audit_id = a.id
               AND t.property_display_name = 'Role.TemplateId' LIMIT 1),
               (SELECT t.target_id FROM directory_audit_targets AS t WHERE t.directory_audit_id = a.id
               AND lower(t.target_type) = 'role' ORDER BY t.target_position LIMIT 1)) AS role_id
    FROM directory_audits AS a
    WHERE a.result = 'success'
      AND (a.activity_display_name LIKE 'Add % to role%' OR a.activity_display_name LIKE 'Remove % from role%'
           OR a.activity_display_name LIKE 'Add EligibleRoleAssignment%' OR a.activity_display_name LIKE 'Remove EligibleRoleAssignment%')
      AND a.activity_display_name NOT LIKE '%request%' AND a.activity_display_name NOT LIKE '%approval%'
      AND a.activity_display_name NOT LIKE 'Add role definition%'
),
-- A record of the same principal, role and direction belongs to the one before it when it follows within two minutes or has the same correlation.
marked AS (
    SELECT r.*, lag(r.at) OVER one AS previous_at, lag(r.correlation_id) OVER one AS previous_correlation
    FROM (SELECT *, action LIKE 'eligible%' AS eligible, action IN ('removed', 'eligible_removed', 'activation_ended') AS takes
          FROM records) AS r
    WINDOW one AS (PARTITION BY r.principal_id, lower(r.role_name), r.eligible, r.takes ORDER BY r.at, r.id)
),
numbered AS (
    SELECT m.*,
           sum(CASE WHEN m.previous_at IS NULL
                      OR (julianday(m.at) - julianday(m.previous_at) > 2.0 / 1440 AND m.correlation_id IS NOT m.previous_correlation)
                    THEN 1 ELSE 0 END)
           OVER (PARTITION BY m.principal_id, lower(m.role_name), m.eligible, m.takes ORDER BY m.at, m.id) AS event
    FROM marked AS m
),
ranked AS (
    SELECT n.*,
           -- What tells most: PIM's own record, a person rather than the PIM service as who did it.
           row_number() OVER (PARTITION BY n.principal_id, lower(n.role_name), n.eligible, n.takes, n.event
                              ORDER BY n.through = 'directory', n.initiator_type IS NOT 'user', n.at DESC, n.id) AS place,
           count(*) OVER whole AS record_count, max(n.at) OVER whole AS happened_at,
           json_group_array(n.id) OVER whole AS record_ids,
           max(n.role_id) OVER whole AS any_role_id
    FROM numbered AS n
    WINDOW whole AS (PARTITION BY n.principal_id, lower(n.role_name), n.eligible, n.takes, n.event)
)
SELECT id, happened_at, action, coalesce(role_id, any_role_id), role_name, principal_id, principal_name, principal_type,
       initiator_type, initiator_id, initiator_name, through, result_reason, record_count, record_ids
FROM ranked
WHERE place = 1;
