-- Internal: every directory object the mirror has met, by Graph id. Links are stored as pairs of `oid`, so an id is stored once.
CREATE TABLE objects (
    oid INTEGER PRIMARY KEY,              -- the mirror's own number for the object
    id TEXT NOT NULL UNIQUE,              -- the object's Graph id
    type TEXT NOT NULL,                   -- Graph type without prefix: user, group, device, servicePrincipal, orgContact ...
    hidden INTEGER NOT NULL DEFAULT 0,    -- 1 while the object is in deleted_objects, or its own resource has not brought it: links to and from it do not show
    round INTEGER NOT NULL DEFAULT 0      -- the last full round of its resource that saw it; 0 when known only as the end of a link
) STRICT;
CREATE INDEX objects_groups ON objects (oid) WHERE type = 'group';

-- The tenant itself, one row. Follows the Graph type `organization`.
CREATE TABLE organization (
    id TEXT NOT NULL PRIMARY KEY,         -- the tenant id
    display_name TEXT,                    -- name of the organisation
    business_phones TEXT,                 -- JSON array of text
    city TEXT,                            -- city of the address
    country TEXT,                         -- country of the address
    country_letter_code TEXT,             -- ISO 3166 alpha-2 code of the country
    created_date_time TEXT,               -- when the tenant was created
    default_usage_location TEXT,          -- ISO 3166 alpha-2 code used for licences where a user has none
    marketing_notification_emails TEXT,   -- JSON array of text
    mobile_device_management_authority TEXT, -- who manages devices: unknown, intune, sccm, office365
    on_premises_last_sync_date_time TEXT, -- last synchronisation from the on-premises directory
    on_premises_sync_enabled INTEGER,     -- 1 synchronised, 0 was once, NULL never
    partner_tenant_type TEXT,             -- set for tenants of Microsoft partners
    postal_code TEXT,                     -- postal code of the address
    preferred_language TEXT,              -- ISO 639-1 code
    privacy_profile TEXT,                 -- JSON object: contactEmail, statementUrl
    security_compliance_notification_mails TEXT, -- JSON array of text
    security_compliance_notification_phones TEXT, -- JSON array of text
    state TEXT,                           -- state or province of the address
    street TEXT,                          -- street of the address
    technical_notification_mails TEXT,    -- JSON array of text
    tenant_type TEXT,                     -- AAD, AAD B2C or CIAM
    verified_domains TEXT,                -- JSON array of objects: name, isDefault, isInitial, type, capabilities
    first_seen_at TEXT NOT NULL,          -- when the mirror first stored this row
    last_changed_at TEXT NOT NULL         -- when the mirror last stored a difference
) STRICT;

-- People, guests, service accounts and shared mailboxes: every live user. Follows the Graph type `user`.
CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,         -- object id; never reused
    user_principal_name TEXT,             -- sign-in name
    display_name TEXT,                    -- full name as the address book shows it
    given_name TEXT,                      -- first name
    surname TEXT,                         -- last name
    mail TEXT,                            -- primary SMTP address
    mail_nickname TEXT,                   -- mail alias
    account_enabled INTEGER,              -- 1 when the account may sign in
    user_type TEXT,                       -- Member or Guest
    job_title TEXT,                       -- job title
    department TEXT,                      -- department
    company_name TEXT,                    -- company
    office_location TEXT,                 -- office
    manager_id TEXT,                      -- id of the manager as Graph says it, also when that object was deleted
    employee_id TEXT,                     -- employee number
    employee_type TEXT,                   -- Employee, Contractor, Vendor ...
    employee_hire_date TEXT,              -- start date
    employee_org_data TEXT,               -- JSON object: division, costCenter
    business_phones TEXT,                 -- JSON array of text; Graph allows one entry
    mobile_phone TEXT,                    -- mobile number
    fax_number TEXT,                      -- fax number
    street_address TEXT,                  -- street of the office
    city TEXT,                            -- city of the office
    state TEXT,                           -- state or province of the office
    postal_code TEXT,                     -- postal code of the office
    country TEXT,                         -- country of the office
    usage_location TEXT,                  -- ISO 3166 alpha-2 code; needed before a licence can be assigned
    preferred_language TEXT,              -- ISO 639-1 code with culture, such as en-US
    preferred_data_location TEXT,         -- data region of a multi-geo tenant
    other_mails TEXT,                     -- JSON array of text
    proxy_addresses TEXT,                 -- JSON array of text; the primary one has the prefix SMTP: in capitals
    im_addresses TEXT,                    -- JSON array of text
    identities TEXT,                      -- JSON array of objects: signInType, issuer, issuerAssignedId
    created_date_time TEXT,               -- when the user was created in Entra ID
    creation_type TEXT,                   -- Invitation, LocalAccount, EmailVerified ...; NULL for an ordinary work account
    external_user_state TEXT,             -- PendingAcceptance or Accepted, for guests
    external_user_state_change_date_time TEXT, -- when that state last changed
    last_password_change_date_time TEXT,  -- last password change
    sign_in_sessions_valid_from_date_time TEXT, -- tokens issued before this are invalid
    password_policies TEXT,               -- DisablePasswordExpiration, DisableStrongPassword
    age_group TEXT,                       -- NULL, Minor, NotAdult, Adult
    consent_provided_for_minor TEXT,      -- NULL, Granted, Denied, NotRequired
    legal_age_group_classification TEXT,  -- derived by Entra from the two above
    is_resource_account INTEGER,          -- 1 for a resource account
    is_management_restricted INTEGER,     -- 1 when in a restricted management administrative unit
    show_in_address_list INTEGER,         -- 0 to hide from the address list
    security_identifier TEXT,             -- Windows security identifier of the cloud account
    on_premises_sync_enabled INTEGER,     -- 1 synchronised from on-premises, 0 was once, NULL never
    on_premises_last_sync_date_time TEXT, -- last synchronisation of this user
    on_premises_distinguished_name TEXT,  -- distinguished name in the on-premises directory
    on_premises_domain_name TEXT,         -- DNS name of the on-premises domain
    on_premises_sam_account_name TEXT,    -- sAMAccountName
    on_premises_user_principal_name TEXT, -- userPrincipalName on-premises
    on_premises_immutable_id TEXT,        -- source anchor of the synchronisation
    on_premises_security_identifier TEXT, -- security identifier on-premises
    on_premises_extension_attributes TEXT, -- JSON object: extensionAttribute1 to extensionAttribute15
    on_premises_provisioning_errors TEXT, -- JSON array of objects
    extra TEXT,                           -- JSON object: the extra properties named in the configuration
    first_seen_at TEXT NOT NULL,          -- when the mirror first stored this row
    last_changed_at TEXT NOT NULL         -- when the mirror last stored a difference
) STRICT;

-- Licences of users: one row per user, product and way of assignment. From users delta, refined by the sweep of licenseAssignmentStates.
CREATE TABLE assigned_licenses (
    user_id TEXT NOT NULL,                -- users.id
    sku_id TEXT NOT NULL,                 -- subscribed_skus.sku_id
    assigned_by_group TEXT NOT NULL,      -- groups.id of the assigning group; '' when direct or not known yet
    disabled_plans TEXT,                  -- JSON array of service plan ids switched off; NULL when none
    state TEXT,                           -- Active, ActiveWithError, Disabled, Error; NULL until the sweep has seen it
    error TEXT,                           -- CountViolation, MutuallyExclusiveViolation, DependencyViolation ...; NULL when fine
    last_updated_date_time TEXT,          -- when the assignment state last changed
    first_seen_at TEXT NOT NULL,          -- when the mirror first stored this row
    last_changed_at TEXT NOT NULL,        -- when the mirror last stored a difference
    PRIMARY KEY (user_id, sku_id, assigned_by_group)
) STRICT, WITHOUT ROWID;

-- Groups: security, Microsoft 365, distribution, role-assignable. Follows the Graph type `group`.
CREATE TABLE groups (
    id TEXT NOT NULL PRIMARY KEY,         -- object id
    display_name TEXT,                    -- name
    description TEXT,                     -- description
    mail TEXT,                            -- SMTP address, for mail-enabled groups
    mail_nickname TEXT,                   -- mail alias
    mail_enabled INTEGER,                 -- 1 when mail-enabled
    security_enabled INTEGER,             -- 1 when usable for access control
    group_types TEXT,                     -- JSON array of text: Unified, DynamicMembership
    visibility TEXT,                      -- Private, Public, HiddenMembership
    is_assignable_to_role INTEGER,        -- 1 when directory roles may be assigned to it
    is_management_restricted INTEGER,     -- 1 when in a restricted management administrative unit
    membership_rule TEXT,                 -- rule of a dynamic group
    membership_rule_processing_state TEXT, -- On or Paused
    classification TEXT,                  -- low, medium, high business impact or the tenant's own words
    created_date_time TEXT,               -- when it was created
    renewed_date_time TEXT,               -- when it was last renewed
    expiration_date_time TEXT,            -- when it expires, under an expiration policy
    proxy_addresses TEXT,                 -- JSON array of text
    resource_behavior_options TEXT,       -- JSON array of text
    resource_provisioning_options TEXT,   -- JSON array of text; Team when it belongs to a Teams team
    security_identifier TEXT,             -- Windows security identifier
    theme TEXT,                           -- colour theme of a Microsoft 365 group
    unique_name TEXT,                     -- alternate key
    preferred_language TEXT,              -- language of a Microsoft 365 group
    preferred_data_location TEXT,         -- data region of a multi-geo tenant
    assigned_labels TEXT,                 -- JSON array of objects: labelId, displayName
    assigned_licenses TEXT,               -- JSON array of objects: the licences its members receive
    license_processing_state TEXT,        -- JSON object: state
    on_premises_sync_enabled INTEGER,     -- 1 synchronised from on-premises, 0 was once, NULL never
    on_premises_last_sync_date_time TEXT, -- last synchronisation of this group
    on_premises_domain_name TEXT,         -- DNS name of the on-premises domain
    on_premises_net_bios_name TEXT,       -- NetBIOS name of the on-premises domain
    on_premises_sam_account_name TEXT,    -- sAMAccountName
    on_premises_security_identifier TEXT, -- security identifier on-premises
    on_premises_provisioning_errors TEXT, -- JSON array of objects
    extra TEXT,                           -- JSON object: the extra properties named in the configuration
    first_seen_at TEXT NOT NULL,          -- when the mirror first stored this row
    last_changed_at TEXT NOT NULL         -- when the mirror last stored a difference
) STRICT;

-- Internal: memberships of groups as pairs of numbers; read them through group_members.
CREATE TABLE group_member_links (
    group_oid INTEGER NOT NULL,           -- objects.oid of the group
    member_oid INTEGER NOT NULL,          -- objects.oid of the member
    round INTEGER NOT NULL,               -- the last full round of groups that saw the link
    PRIMARY KEY (group_oid, member_oid)
) STRICT, WITHOUT ROWID;

-- Internal: owners of groups as pairs of numbers; read them through group_owners.
CREATE TABLE group_owner_links (
    group_oid INTEGER NOT NULL,           -- objects.oid of the group
    owner_oid INTEGER NOT NULL,           -- objects.oid of the owner
    round INTEGER NOT NULL,               -- the last full round of groups that saw the link
    PRIMARY KEY (group_oid, owner_oid)
) STRICT, WITHOUT ROWID;

-- Administrative units. Follows the Graph type `administrativeUnit`.
CREATE TABLE administrative_units (
    id TEXT NOT NULL PRIMARY KEY,         -- object id
    display_name TEXT,                    -- name
    description TEXT,                     -- description
    is_member_management_restricted INTEGER, -- 1 for a restricted management administrative unit
    membership_rule TEXT,                 -- rule of a dynamic unit
    membership_rule_processing_state TEXT, -- On or Paused
    membership_type TEXT,                 -- Assigned or Dynamic
    visibility TEXT,                      -- HiddenMembership or NULL
    extra TEXT,                           -- JSON object: the extra properties named in the configuration
    first_seen_at TEXT NOT NULL,          -- when the mirror first stored this row
    last_changed_at TEXT NOT NULL         -- when the mirror last stored a difference
) STRICT;

-- Internal: members of administrative units as pairs of numbers; read them through administrative_unit_members.
CREATE TABLE administrative_unit_member_links (
    administrative_unit_oid INTEGER NOT NULL, -- objects.oid of the unit
    member_oid INTEGER NOT NULL,          -- objects.oid of the member
    round INTEGER NOT NULL,               -- the last full round that saw the link
    PRIMARY KEY (administrative_unit_oid, member_oid)
) STRICT, WITHOUT ROWID;

-- Devices registered, joined or hybrid joined. Follows the Graph type `device`.
CREATE TABLE devices (
    id TEXT NOT NULL PRIMARY KEY,         -- object id (not the device id)
    device_id TEXT,                       -- id set when the device was registered
    display_name TEXT,                    -- name
    account_enabled INTEGER,              -- 1 when the device may authenticate
    operating_system TEXT,                -- Windows, MacMDM, iOS, Android ...
    operating_system_version TEXT,        -- version
    trust_type TEXT,                      -- Workplace, AzureAd, ServerAd
    is_compliant INTEGER,                 -- 1 when its management says it complies
    is_managed INTEGER,                   -- 1 when managed
    is_management_restricted INTEGER,     -- 1 when in a restricted management administrative unit
    is_rooted INTEGER,                    -- 1 when rooted or jailbroken
    management_type TEXT,                 -- eas, mdm, intuneClient ...
    mdm_app_id TEXT,                      -- application id of the management service
    manufacturer TEXT,                    -- maker
    model TEXT,                           -- model
    profile_type TEXT,                    -- RegisteredDevice, SecureVM, Printer, Shared, IoT
    device_category TEXT,                 -- category set by Intune
    device_ownership TEXT,                -- unknown, company, personal
    device_metadata TEXT,                 -- for Microsoft's use
    device_version INTEGER,               -- for Microsoft's use
    enrollment_profile_name TEXT,         -- enrolment profile
    enrollment_type TEXT,                 -- how it was enrolled
    registration_date_time TEXT,          -- when it was registered
    approximate_last_sign_in_date_time TEXT, -- last sign-in, exact to some days
    compliance_expiration_date_time TEXT, -- when compliance lapses
    physical_ids TEXT,                    -- JSON array of text
    system_labels TEXT,                   -- JSON array of text
    alternative_security_ids TEXT,        -- JSON array of objects
    on_premises_sync_enabled INTEGER,     -- 1 synchronised from on-premises, 0 was once, NULL never
    on_premises_last_sync_date_time TEXT, -- last synchronisation of this device
    on_premises_security_identifier TEXT, -- security identifier on-premises
    extra TEXT,                           -- JSON object: the extra properties named in the configuration
    first_seen_at TEXT NOT NULL,          -- when the mirror first stored this row
    last_changed_at TEXT NOT NULL         -- when the mirror last stored a difference
) STRICT;

-- Service principals: the applications' identities in this tenant. Follows the Graph type `servicePrincipal`.
CREATE TABLE service_principals (
    id TEXT NOT NULL PRIMARY KEY,         -- object id
    app_id TEXT,                          -- application (client) id
    display_name TEXT,                    -- name
    app_display_name TEXT,                -- name of the application behind it
    app_description TEXT,                 -- description of the application behind it
    description TEXT,                     -- description in this tenant
    account_enabled INTEGER,              -- 1 when sign-in is allowed
    app_owner_organization_id TEXT,       -- tenant that owns the application
    app_role_assignment_required INTEGER, -- 1 when users must be assigned before they can use it
    application_template_id TEXT,         -- gallery template it came from
    created_by_app_id TEXT,               -- application that created it
    disabled_by_microsoft_status TEXT,    -- set when Microsoft disabled it
    is_disabled INTEGER,                  -- 1 when disabled
    homepage TEXT,                        -- home page
    login_url TEXT,                       -- where the user is sent to sign in
    logout_url TEXT,                      -- where the user is sent to sign out
    notes TEXT,                           -- notes
    notification_email_addresses TEXT,    -- JSON array of text
    preferred_single_sign_on_mode TEXT,   -- password, saml, notSupported, oidc
    preferred_token_signing_key_thumbprint TEXT, -- thumbprint of the SAML signing certificate in use
    reply_urls TEXT,                      -- JSON array of text
    service_principal_names TEXT,         -- JSON array of text
    service_principal_type TEXT,          -- Application, ManagedIdentity, Legacy, SocialIdp
    sign_in_audience TEXT,                -- AzureADMyOrg, AzureADMultipleOrgs ...
    tags TEXT,                            -- JSON array of text
    alternative_names TEXT,               -- JSON array of text
    app_roles TEXT,                       -- JSON array of objects: the application permissions it offers
    oauth2_permission_scopes TEXT,        -- JSON array of objects: the delegated permissions it offers
    resource_specific_application_permissions TEXT, -- JSON array of objects
    info TEXT,                            -- JSON object: marketing, support, terms and privacy URLs
    saml_single_sign_on_settings TEXT,    -- JSON object
    token_encryption_key_id TEXT,         -- key id for encrypted tokens
    verified_publisher TEXT,              -- JSON object: displayName, verifiedPublisherId, addedDateTime
    extra TEXT,                           -- JSON object: the extra properties named in the configuration
    first_seen_at TEXT NOT NULL,          -- when the mirror first stored this row
    last_changed_at TEXT NOT NULL         -- when the mirror last stored a difference
) STRICT;

-- Secrets and certificates of service principals: what they are and when they expire, never their value.
CREATE TABLE service_principal_credentials (
    service_principal_id TEXT NOT NULL,   -- service_principals.id
    credential_type TEXT NOT NULL,        -- password or key
    key_id TEXT NOT NULL,                 -- id of the credential
    display_name TEXT,                    -- description given by who made it
    start_date_time TEXT,                 -- valid from
    end_date_time TEXT,                   -- valid until
    hint TEXT,                            -- first characters of a password
    type TEXT,                            -- AsymmetricX509Cert, X509CertAndPassword, Symmetric; for keys
    usage TEXT,                           -- Verify or Sign; for keys
    custom_key_identifier TEXT,           -- thumbprint of a certificate, as Graph gives it
    first_seen_at TEXT NOT NULL,          -- when the mirror first stored this row
    last_changed_at TEXT NOT NULL,        -- when the mirror last stored a difference
    PRIMARY KEY (service_principal_id, credential_type, key_id)
) STRICT, WITHOUT ROWID;

-- Application registrations of this tenant. Follows the Graph type `application`.
CREATE TABLE applications (
    id TEXT NOT NULL PRIMARY KEY,         -- object id
    app_id TEXT,                          -- application (client) id
    display_name TEXT,                    -- name
    description TEXT,                     -- description
    created_date_time TEXT,               -- when it was registered
    sign_in_audience TEXT,                -- who may sign in
    publisher_domain TEXT,                -- verified domain of the publisher
    identifier_uris TEXT,                 -- JSON array of text
    unique_name TEXT,                     -- alternate key
    notes TEXT,                           -- notes
    tags TEXT,                            -- JSON array of text
    application_template_id TEXT,         -- gallery template it came from
    created_by_app_id TEXT,               -- application that created it
    default_redirect_uri TEXT,            -- default redirect
    disabled_by_microsoft_status TEXT,    -- set when Microsoft disabled it
    group_membership_claims TEXT,         -- which group claims are put in tokens
    is_device_only_auth_supported INTEGER, -- 1 when device authentication without a user is supported
    is_disabled INTEGER,                  -- 1 when disabled
    is_fallback_public_client INTEGER,    -- 1 when a public client by default
    oauth2_require_post_response INTEGER, -- 1 when only POST answers are allowed
    saml_metadata_url TEXT,               -- SAML metadata
    service_management_reference TEXT,    -- reference into an asset database
    token_encryption_key_id TEXT,         -- key id for encrypted tokens
    api TEXT,                             -- JSON object: scopes, pre-authorised applications
    app_roles TEXT,                       -- JSON array of objects
    info TEXT,                            -- JSON object: marketing, support, terms and privacy URLs
    optional_claims TEXT,                 -- JSON object
    parental_control_settings TEXT,       -- JSON object
    public_client TEXT,                   -- JSON object: redirectUris
    required_resource_access TEXT,        -- JSON array of objects: the permissions it asks for
    service_principal_lock_configuration TEXT, -- JSON object
    spa TEXT,                             -- JSON object: redirectUris
    verified_publisher TEXT,              -- JSON object
    web TEXT,                             -- JSON object: redirectUris, logoutUrl, implicit grant
    extra TEXT,                           -- JSON object: the extra properties named in the configuration
    first_seen_at TEXT NOT NULL,          -- when the mirror first stored this row
    last_changed_at TEXT NOT NULL         -- when the mirror last stored a difference
) STRICT;

-- Secrets and certificates of applications: what they are and when they expire, never their value.
CREATE TABLE application_credentials (
    application_id TEXT NOT NULL,         -- applications.id
    credential_type TEXT NOT NULL,        -- password or key
    key_id TEXT NOT NULL,                 -- id of the credential
    display_name TEXT,                    -- description given by who made it
    start_date_time TEXT,                 -- valid from
    end_date_time TEXT,                   -- valid until
    hint TEXT,                            -- first characters of a password
    type TEXT,                            -- AsymmetricX509Cert, X509CertAndPassword, Symmetric; for keys
    usage TEXT,                           -- Verify or Sign; for keys
    custom_key_identifier TEXT,           -- thumbprint of a certificate, as Graph gives it
    first_seen_at TEXT NOT NULL,          -- when the mirror first stored this row
    last_changed_at TEXT NOT NULL,        -- when the mirror last stored a difference
    PRIMARY KEY (application_id, credential_type, key_id)
) STRICT, WITHOUT ROWID;

-- Directory roles, built-in and custom. Follows the Graph type `unifiedRoleDefinition`.
CREATE TABLE role_definitions (
    id TEXT NOT NULL PRIMARY KEY,         -- id; equals template_id for built-in roles
    display_name TEXT,                    -- name
    description TEXT,                     -- description
    is_built_in INTEGER,                  -- 1 for Microsoft's own
    is_enabled INTEGER,                   -- 1 when it can be assigned
    is_privileged INTEGER,                -- 1 privileged, 0 not, NULL not known (custom roles)
    is_privileged_source TEXT,            -- where is_privileged comes from, with its date
    template_id TEXT,                     -- the same in every tenant for built-in roles
    version TEXT,                         -- version of the definition
    resource_scopes TEXT,                 -- JSON array of text
    role_permissions TEXT,                -- JSON array of objects: allowedResourceActions, condition
    first_seen_at TEXT NOT NULL,          -- when the mirror first stored this row
    last_changed_at TEXT NOT NULL         -- when the mirror last stored a difference
) STRICT;

-- Active assignments of directory roles. Follows the Graph type `unifiedRoleAssignment`, which carries no dates.
CREATE TABLE role_assignments (
    id TEXT NOT NULL PRIMARY KEY,         -- opaque id
    principal_id TEXT,                    -- user, role-assignable group or service principal
    role_definition_id TEXT,              -- role_definitions.id
    directory_scope_id TEXT,              -- / for the tenant, /administrativeUnits/{id}, or another object
    app_scope_id TEXT,                    -- scope inside an application
    principal_organization_id TEXT,       -- tenant of the principal
    condition TEXT,                       -- condition of the assignment
    first_seen_at TEXT NOT NULL,          -- when the mirror first stored this row
    last_changed_at TEXT NOT NULL         -- when the mirror last stored a difference
) STRICT;
CREATE INDEX role_assignments_by_principal ON role_assignments (principal_id);

-- PIM: role assignments in force now, with start and end. Follows `unifiedRoleAssignmentScheduleInstance`.
CREATE TABLE role_assignment_schedule_instances (
    id TEXT NOT NULL PRIMARY KEY,         -- opaque id
    principal_id TEXT,                    -- user, role-assignable group or service principal
    role_definition_id TEXT,              -- role_definitions.id
    directory_scope_id TEXT,              -- / for the tenant, /administrativeUnits/{id}, or another object
    app_scope_id TEXT,                    -- scope inside an application
    assignment_type TEXT,                 -- Assigned or Activated
    member_type TEXT,                     -- Direct, Group, Inherited
    start_date_time TEXT,                 -- NULL when assigned outside PIM
    end_date_time TEXT,                   -- NULL when permanent
    role_assignment_origin_id TEXT,       -- role_assignments.id
    role_assignment_schedule_id TEXT,     -- schedule this instance was made from
    first_seen_at TEXT NOT NULL,          -- when the mirror first stored this row
    last_changed_at TEXT NOT NULL         -- when the mirror last stored a difference
) STRICT;
CREATE INDEX role_assignment_schedule_instances_by_principal ON role_assignment_schedule_instances (principal_id);

-- PIM: roles that principals may activate, with start and end. Follows `unifiedRoleEligibilityScheduleInstance`.
CREATE TABLE role_eligibility_schedule_instances (
    id TEXT NOT NULL PRIMARY KEY,         -- opaque id
    principal_id TEXT,                    -- user, role-assignable group or service principal
    role_definition_id TEXT,              -- role_definitions.id
    directory_scope_id TEXT,              -- / for the tenant, /administrativeUnits/{id}, or another object
    app_scope_id TEXT,                    -- scope inside an application
    member_type TEXT,                     -- Direct, Group, Inherited
    start_date_time TEXT,                 -- eligible from
    end_date_time TEXT,                   -- NULL when permanent
    role_eligibility_schedule_id TEXT,    -- schedule this instance was made from
    first_seen_at TEXT NOT NULL,          -- when the mirror first stored this row
    last_changed_at TEXT NOT NULL         -- when the mirror last stored a difference
) STRICT;
CREATE INDEX role_eligibility_schedule_instances_by_principal ON role_eligibility_schedule_instances (principal_id);

-- Products the tenant has bought. Follows the Graph type `subscribedSku`.
CREATE TABLE subscribed_skus (
    sku_id TEXT NOT NULL PRIMARY KEY,     -- product id, the same in every tenant
    id TEXT,                              -- Graph's id of the subscription entry, opaque
    sku_part_number TEXT,                 -- product name such as SPE_E5
    applies_to TEXT,                      -- User or Company; only User can be assigned
    capability_status TEXT,               -- Enabled, Warning, Suspended, Deleted, LockedOut
    consumed_units INTEGER,               -- licences assigned; may exceed what is enabled
    prepaid_units_enabled INTEGER,        -- licences bought and usable
    prepaid_units_suspended INTEGER,      -- licences of suspended subscriptions
    prepaid_units_warning INTEGER,        -- licences in the grace period
    prepaid_units_locked_out INTEGER,     -- licences of cancelled subscriptions
    account_id TEXT,                      -- account the subscription belongs to
    account_name TEXT,                    -- name of that account
    subscription_ids TEXT,                -- JSON array of text
    first_seen_at TEXT NOT NULL,          -- when the mirror first stored this row
    last_changed_at TEXT NOT NULL         -- when the mirror last stored a difference
) STRICT;

-- Service plans inside each product. Comes with subscribed_skus.
CREATE TABLE service_plans (
    sku_id TEXT NOT NULL,                 -- subscribed_skus.sku_id
    service_plan_id TEXT NOT NULL,        -- plan id, the same in every tenant
    service_plan_name TEXT,               -- plan name such as EXCHANGE_S_ENTERPRISE
    provisioning_status TEXT,             -- Success, Disabled, PendingInput, PendingActivation, PendingProvisioning, Error
    applies_to TEXT,                      -- User or Company
    first_seen_at TEXT NOT NULL,          -- when the mirror first stored this row
    last_changed_at TEXT NOT NULL,        -- when the mirror last stored a difference
    PRIMARY KEY (sku_id, service_plan_id)
) STRICT, WITHOUT ROWID;

-- What was removed from the tables above, with the row as it last stood.
CREATE TABLE deleted_objects (
    resource TEXT NOT NULL,               -- table the row stood in
    id TEXT NOT NULL,                     -- its key
    reason TEXT NOT NULL,                 -- changed (soft-deleted, restorable), deleted (gone for good), swept (found missing by a full round)
    removed_at TEXT NOT NULL,             -- when the mirror removed it
    last_row TEXT,                        -- JSON object by column; NULL for an object never seen alive
    PRIMARY KEY (resource, id)
) STRICT;

-- The change feed: one row for every difference, written in the transaction of the difference itself.
CREATE TABLE changes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, -- ever growing; an application keeps the last one it handled
    resource TEXT NOT NULL,               -- table the difference belongs to; links are told under the resource that owns them
    object_id TEXT NOT NULL,              -- key of the object; for links the group or unit; for rows that belong to an object, that object
    kind TEXT NOT NULL,                   -- created, updated, deleted, restored, member_added, member_removed
    changed TEXT,                         -- JSON object: column -> [old, new]; NULL when deleted
    observed_at TEXT NOT NULL             -- when the mirror saw it
) STRICT;
CREATE INDEX changes_by_object ON changes (object_id);

-- How far each resource is mirrored, and what state it is in.
CREATE TABLE checkpoints (
    resource TEXT NOT NULL PRIMARY KEY,   -- resource name; with /reconcile for the full round beside its live delta token
    selection TEXT,                       -- what was asked of Graph; a difference starts a full round
    delta_link TEXT,                      -- cursor of the last complete round. A secret: whoever has it and a token can read changes
    next_link TEXT,                       -- next page of the round in hand. A secret likewise
    phase TEXT NOT NULL,                  -- idle, incremental or full: the round in hand
    phase_reason TEXT,                    -- why a full round runs: first, resync, expired, selection, snapshot
    phase_started_at TEXT,                -- when the round in hand began
    round INTEGER NOT NULL,               -- number of the last full round begun
    attempts INTEGER NOT NULL,            -- how often the full round in hand was started over
    baseline_at TEXT,                     -- when the first full round was complete; the change feed is silent before
    delta_link_at TEXT,                   -- when delta_link was issued; Graph promises it for seven days
    last_success_at TEXT,                 -- end of the last complete round
    last_full_at TEXT,                    -- end of the last complete full round
    last_attempt_at TEXT,                 -- start of the last attempt
    state TEXT NOT NULL,                  -- ok, pending, unavailable, held, failed
    reason TEXT,                          -- what is wrong
    remedy TEXT,                          -- what to do about it
    failures INTEGER NOT NULL,            -- failed or refused attempts in a row
    refused_since TEXT,                   -- since when it is refused for a missing permission or licence, refusals in a row; NULL when not
    held TEXT                             -- JSON object about a sweep that was held: table, missing, rows, at
) STRICT;

-- Every run of every resource.
CREATE TABLE sync_runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- run number
    resource TEXT NOT NULL,               -- resource name
    mode TEXT NOT NULL,                   -- incremental, full, or reconcile (a full round beside the live delta token; its writes are repairs)
    reason TEXT,                          -- why a full round ran: first, resync, expired, selection, snapshot
    triggered_by TEXT NOT NULL,           -- command or schedule
    started_at TEXT NOT NULL,             -- start
    ended_at TEXT,                        -- end; NULL while running
    outcome TEXT NOT NULL,                -- running, done, stopped, held, unavailable, failed, interrupted (the process died)
    pages INTEGER NOT NULL DEFAULT 0,     -- pages applied
    rows INTEGER NOT NULL DEFAULT 0,      -- objects received
    writes INTEGER NOT NULL DEFAULT 0,    -- rows inserted, updated or deleted in mirrored tables
    changes INTEGER NOT NULL DEFAULT 0,   -- rows written to the change feed
    skipped INTEGER NOT NULL DEFAULT 0,   -- objects refused because a value had the wrong type
    requests INTEGER NOT NULL DEFAULT 0,  -- HTTP requests sent
    throttled INTEGER NOT NULL DEFAULT 0, -- answers 429 and 503 that asked to wait
    bytes INTEGER NOT NULL DEFAULT 0,     -- bytes of pages, uncompressed
    late INTEGER NOT NULL DEFAULT 0,      -- events that came after the time they belong to had been read
    late_by TEXT,                         -- JSON object: how late they were -> how many (15min, 1h, 6h, 24h, more)
    error TEXT                            -- what went wrong
) STRICT;
CREATE INDEX sync_runs_by_resource ON sync_runs (resource, id);

-- Internal: columns that a full round has not seen yet although the stored row has a value; what is left at its end is cleared.
CREATE TABLE round_absences (
    resource TEXT NOT NULL,               -- resource of the round
    id TEXT NOT NULL,                     -- key of the row
    columns TEXT NOT NULL,                -- JSON array of column names
    PRIMARY KEY (resource, id)
) STRICT, WITHOUT ROWID;

-- Internal: keys a full round has seen, for resources that are not directory objects.
CREATE TABLE round_marks (
    resource TEXT NOT NULL,               -- resource of the round
    id TEXT NOT NULL,                     -- key of the row
    PRIMARY KEY (resource, id)
) STRICT, WITHOUT ROWID;
