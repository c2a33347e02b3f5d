-- Sign-ins. Follows the Graph type `signIn`: interactive ones always, the other kinds when they are switched on. Events are not told in `changes`; whoever follows them reads rows with a greater rowid.
CREATE TABLE sign_ins (
    id TEXT NOT NULL PRIMARY KEY,         -- id of the sign-in
    created_date_time TEXT NOT NULL,      -- when it happened
    sign_in_event_types TEXT,             -- JSON array: interactiveUser, nonInteractiveUser, servicePrincipal, managedIdentity
    is_interactive INTEGER,               -- 1 when a person was asked
    user_id TEXT,                         -- users.id; join by this, never by user_principal_name
    user_principal_name TEXT,             -- lower case; of guests the home address, not the form with #EXT#
    user_display_name TEXT,               -- name at that time
    service_principal_id TEXT,            -- service_principals.id, when an application signed in
    service_principal_name TEXT,          -- its name at that time
    app_id TEXT,                          -- application (client) id of what was used
    app_display_name TEXT,                -- its name
    resource_id TEXT,                     -- application id of what was signed in to
    resource_display_name TEXT,           -- its name
    resource_tenant_id TEXT,              -- tenant of the resource
    home_tenant_id TEXT,                  -- tenant of the user
    ip_address TEXT,                      -- address it came from
    user_agent TEXT,                      -- user agent, where Graph gives it
    client_app_used TEXT,                 -- Browser, Mobile Apps and Desktop clients, IMAP4 ...
    authentication_requirement TEXT,      -- singleFactorAuthentication or multiFactorAuthentication; beta only
    correlation_id TEXT,                  -- groups the sign-ins of one session
    conditional_access_status TEXT,       -- success, failure, notApplied
    status_error_code INTEGER,            -- 0 when it succeeded; otherwise the AADSTS number
    status_failure_reason TEXT,           -- what went wrong, in Entra's words
    status_additional_details TEXT,       -- more about it, such as how MFA was satisfied
    location_city TEXT,                   -- city of the address
    location_state TEXT,                  -- state or province of the address
    location_country_or_region TEXT,      -- ISO 3166 alpha-2 code of the address
    location_geo_coordinates_latitude REAL, -- degrees, north positive
    location_geo_coordinates_longitude REAL, -- degrees, east positive
    device_detail_device_id TEXT,         -- devices.device_id, when the device is registered
    device_detail_display_name TEXT,      -- name of the device
    device_detail_operating_system TEXT,  -- operating system
    device_detail_browser TEXT,           -- browser
    device_detail_is_compliant INTEGER,   -- 1 when the device complied
    device_detail_is_managed INTEGER,     -- 1 when the device was managed
    device_detail_trust_type TEXT,        -- how the device is joined
    risk_detail TEXT,                     -- why the risk state is what it is; hidden without P2
    risk_level_aggregated TEXT,           -- none, low, medium, high, hidden
    risk_level_during_sign_in TEXT,       -- the same at that moment
    risk_state TEXT,                      -- none, atRisk, remediated, dismissed, confirmedCompromised, confirmedSafe
    risk_event_types_v2 TEXT,             -- JSON array of text
    raw TEXT,                             -- JSON object: the whole event, without annotations
    first_seen_at TEXT NOT NULL,          -- when the mirror first stored this row
    last_changed_at TEXT NOT NULL         -- when the mirror last stored a difference
) STRICT;
CREATE INDEX sign_ins_by_time ON sign_ins (created_date_time);
CREATE INDEX sign_ins_by_user ON sign_ins (user_id, created_date_time) WHERE user_id IS NOT NULL;
CREATE INDEX sign_ins_by_ip ON sign_ins (ip_address, created_date_time) WHERE ip_address IS NOT NULL;
CREATE INDEX sign_ins_by_app ON sign_ins (app_id, created_date_time) WHERE app_id IS NOT NULL;
CREATE INDEX sign_ins_by_result ON sign_ins (status_error_code, created_date_time);

-- Directory audits: who changed what. Follows the Graph type `directoryAudit`. Events are not told in `changes`.
CREATE TABLE directory_audits (
    id TEXT NOT NULL PRIMARY KEY,         -- opaque id, often with a prefix: Directory_, PIM_, SSGM_
    activity_date_time TEXT NOT NULL,     -- when it happened
    activity_display_name TEXT,           -- name of the activity, such as Add member to group
    category TEXT,                        -- UserManagement, GroupManagement, RoleManagement ...
    operation_type TEXT,                  -- Add, Update, Delete, Assign ...
    result TEXT,                          -- success, failure, timeout
    result_reason TEXT,                   -- why
    logged_by_service TEXT,               -- Core Directory, PIM, Self-service Group Management ...
    correlation_id TEXT,                  -- groups the records of one operation
    initiator_type TEXT,                  -- user or app; NULL when Graph does not say who
    initiator_id TEXT,                    -- users.id or service_principals.id (an application id where that is all there is)
    initiator_name TEXT,                  -- user principal name or application name
    initiated_by_user_id TEXT,            -- users.id
    initiated_by_user_display_name TEXT,  -- name at that time
    initiated_by_user_user_principal_name TEXT, -- user principal name at that time
    initiated_by_user_ip_address TEXT,    -- address it came from
    initiated_by_app_app_id TEXT,         -- application (client) id
    initiated_by_app_display_name TEXT,   -- name of the application
    initiated_by_app_service_principal_id TEXT, -- service_principals.id
    target_type TEXT,                     -- User, Group, Role, Application ...: the first target
    target_id TEXT,                       -- its id
    target_name TEXT,                     -- its user principal name, or display name
    second_target_type TEXT,              -- the second target, such as the group somebody was added to
    second_target_id TEXT,                -- its id
    second_target_name TEXT,              -- its user principal name, or display name
    additional_details TEXT,              -- JSON array of objects: key, value
    raw TEXT,                             -- JSON object: the whole event, without annotations
    first_seen_at TEXT NOT NULL,          -- when the mirror first stored this row
    last_changed_at TEXT NOT NULL         -- when the mirror last stored a difference
) STRICT;
CREATE INDEX directory_audits_by_time ON directory_audits (activity_date_time);
CREATE INDEX directory_audits_by_initiator ON directory_audits (initiator_id, activity_date_time) WHERE initiator_id IS NOT NULL;
CREATE INDEX directory_audits_by_target ON directory_audits (target_id, activity_date_time) WHERE target_id IS NOT NULL;
CREATE INDEX directory_audits_by_second_target ON directory_audits (second_target_id, activity_date_time) WHERE second_target_id IS NOT NULL;
CREATE INDEX directory_audits_by_activity ON directory_audits (activity_display_name, activity_date_time);
CREATE INDEX directory_audits_by_ip ON directory_audits (initiated_by_user_ip_address, activity_date_time) WHERE initiated_by_user_ip_address IS NOT NULL;
CREATE INDEX directory_audits_by_app ON directory_audits (initiated_by_app_app_id, activity_date_time) WHERE initiated_by_app_app_id IS NOT NULL;
CREATE INDEX directory_audits_by_result ON directory_audits (result, activity_date_time);
CREATE INDEX directory_audits_by_correlation ON directory_audits (correlation_id) WHERE correlation_id IS NOT NULL;

-- What each audit changed: one row for each changed property of each target; a target without one has a row of its own.
CREATE TABLE directory_audit_targets (
    directory_audit_id TEXT NOT NULL,     -- directory_audits.id
    target_position INTEGER NOT NULL,     -- position of the target, from 0
    property_position INTEGER NOT NULL,   -- position of the changed property, from 0
    target_type TEXT,                     -- User, Group, Role, Application ...
    target_id TEXT,                       -- id of the target
    target_display_name TEXT,             -- display name at that time
    target_user_principal_name TEXT,      -- user principal name, of a user
    target_group_type TEXT,               -- unifiedGroups, azureAD; of a group
    property_display_name TEXT,           -- the property that changed, in Entra's words
    old_value TEXT,                       -- before; mostly JSON text within text, as Graph gives it
    new_value TEXT,                       -- after, likewise
    first_seen_at TEXT NOT NULL,          -- when the mirror first stored this row
    last_changed_at TEXT NOT NULL,        -- when the mirror last stored a difference
    PRIMARY KEY (directory_audit_id, target_position, property_position)
) STRICT, WITHOUT ROWID;
CREATE INDEX directory_audit_targets_by_target ON directory_audit_targets (target_id) WHERE target_id IS NOT NULL;

-- What provisioning wrote to connected systems. Follows the Graph type `provisioningObjectSummary`. Events are not told in `changes`.
CREATE TABLE provisioning_events (
    id TEXT NOT NULL PRIMARY KEY,         -- id of the event
    activity_date_time TEXT NOT NULL,     -- when it happened
    tenant_id TEXT,                       -- tenant
    job_id TEXT,                          -- provisioning job
    cycle_id TEXT,                        -- cycle of the job
    change_id TEXT,                       -- change within the cycle
    provisioning_action TEXT,             -- create, update, delete, disable, stagedDelete, other
    duration_in_milliseconds INTEGER,     -- how long it took
    provisioning_status_info_status TEXT, -- success, failure, skipped, warning
    provisioning_status_info_error_information_error_code TEXT, -- code of the error
    provisioning_status_info_error_information_reason TEXT, -- reason of the error
    service_principal_id TEXT,            -- service_principals.id of the connected application
    service_principal_display_name TEXT,  -- its name
    source_system_id TEXT,                -- system it came from
    source_system_display_name TEXT,      -- its name
    target_system_id TEXT,                -- system it was written to
    target_system_display_name TEXT,      -- its name
    initiated_by_id TEXT,                 -- who started it
    initiated_by_display_name TEXT,       -- name
    initiated_by_initiator_type TEXT,     -- user, application, system
    source_identity_id TEXT,              -- object in the source system
    source_identity_display_name TEXT,    -- its name
    source_identity_identity_type TEXT,   -- its type
    target_identity_id TEXT,              -- object in the target system
    target_identity_display_name TEXT,    -- its name
    target_identity_identity_type TEXT,   -- its type
    modified_properties TEXT,             -- JSON array of objects: displayName, oldValue, newValue
    raw TEXT,                             -- JSON object: the whole event, without annotations
    first_seen_at TEXT NOT NULL,          -- when the mirror first stored this row
    last_changed_at TEXT NOT NULL         -- when the mirror last stored a difference
) STRICT;
CREATE INDEX provisioning_events_by_time ON provisioning_events (activity_date_time);
CREATE INDEX provisioning_events_by_source ON provisioning_events (source_identity_id, activity_date_time) WHERE source_identity_id IS NOT NULL;
CREATE INDEX provisioning_events_by_app ON provisioning_events (service_principal_id, activity_date_time) WHERE service_principal_id IS NOT NULL;
CREATE INDEX provisioning_events_by_result ON provisioning_events (provisioning_status_info_status, activity_date_time);

-- Which authentication methods people have registered. Follows the Graph type `userRegistrationDetails`.
CREATE TABLE user_registration_details (
    id TEXT NOT NULL PRIMARY KEY,         -- users.id
    user_principal_name TEXT,             -- user principal name
    user_display_name TEXT,               -- display name
    user_type TEXT,                       -- member or guest
    is_admin INTEGER,                     -- 1 when a directory role is held
    is_mfa_capable INTEGER,               -- 1 when registered for and allowed to use MFA
    is_mfa_registered INTEGER,            -- 1 when registered for MFA
    is_passwordless_capable INTEGER,      -- 1 when registered for a passwordless method
    is_sspr_capable INTEGER,              -- 1 when able to reset the own password
    is_sspr_enabled INTEGER,              -- 1 when allowed to reset the own password
    is_sspr_registered INTEGER,           -- 1 when registered for it
    is_system_preferred_authentication_method_enabled INTEGER, -- 1 when the most secure method is offered first
    last_updated_date_time TEXT,          -- when Entra last updated this
    methods_registered TEXT,              -- JSON array of text
    system_preferred_authentication_methods TEXT, -- JSON array of text
    user_preferred_method_for_secondary_authentication TEXT, -- push, oath, voiceMobile, sms ...
    first_seen_at TEXT NOT NULL,          -- when the mirror first stored this row
    last_changed_at TEXT NOT NULL         -- when the mirror last stored a difference
) STRICT;

-- When each user last signed in. Follows the complex type `signInActivity`; Entra updates it within 24 hours, the mirror with a slow sweep.
CREATE TABLE user_sign_in_activity (
    user_id TEXT NOT NULL PRIMARY KEY,    -- users.id
    last_sign_in_date_time TEXT,          -- last interactive attempt, also a failed one
    last_sign_in_request_id TEXT,         -- sign_ins.id of it
    last_non_interactive_sign_in_date_time TEXT, -- last non-interactive attempt
    last_non_interactive_sign_in_request_id TEXT, -- sign_ins.id of it
    last_successful_sign_in_date_time TEXT, -- last success; kept by Entra since 2023-12-01
    last_successful_sign_in_request_id TEXT, -- sign_ins.id of it
    first_seen_at TEXT NOT NULL,          -- when the mirror first stored this row
    last_changed_at TEXT NOT NULL         -- when the mirror last stored a difference
) STRICT;

-- Users that Identity Protection holds for risky. Follows the Graph type `riskyUser`.
CREATE TABLE risky_users (
    id TEXT NOT NULL PRIMARY KEY,         -- users.id
    user_principal_name TEXT,             -- user principal name
    user_display_name TEXT,               -- display name
    is_deleted INTEGER,                   -- 1 when the user was deleted
    is_processing INTEGER,                -- 1 while the risk is being worked out
    risk_detail TEXT,                     -- why the state is what it is
    risk_level TEXT,                      -- low, medium, high, none, hidden
    risk_state TEXT,                      -- atRisk, remediated, dismissed, confirmedCompromised, confirmedSafe
    risk_last_updated_date_time TEXT,     -- when the risk last changed
    first_seen_at TEXT NOT NULL,          -- when the mirror first stored this row
    last_changed_at TEXT NOT NULL         -- when the mirror last stored a difference
) STRICT;

-- What Identity Protection has detected. Follows the Graph type `riskDetection`. Events are not told in `changes`.
CREATE TABLE risk_detections (
    id TEXT NOT NULL PRIMARY KEY,         -- id of the detection
    detected_date_time TEXT NOT NULL,     -- when it was detected
    activity_date_time TEXT,              -- when what was detected happened
    last_updated_date_time TEXT,          -- when it last changed
    risk_event_type TEXT,                 -- unfamiliarFeatures, unlikelyTravel, leakedCredentials ...
    risk_level TEXT,                      -- low, medium, high, hidden, none
    risk_state TEXT,                      -- atRisk, remediated, dismissed, confirmedCompromised, confirmedSafe
    risk_detail TEXT,                     -- why the state is what it is
    detection_timing_type TEXT,           -- realtime, nearRealtime, offline
    activity TEXT,                        -- signin or user
    source TEXT,                          -- what detected it
    token_issuer_type TEXT,               -- AzureAD or ADFederationServices
    user_id TEXT,                         -- users.id
    user_principal_name TEXT,             -- user principal name
    user_display_name TEXT,               -- display name
    ip_address TEXT,                      -- address it came from
    correlation_id TEXT,                  -- sign_ins.correlation_id
    request_id TEXT,                      -- sign_ins.id
    location_city TEXT,                   -- city of the address
    location_state TEXT,                  -- state or province of the address
    location_country_or_region TEXT,      -- ISO 3166 alpha-2 code of the address
    raw TEXT,                             -- JSON object: the whole event, without annotations
    first_seen_at TEXT NOT NULL,          -- when the mirror first stored this row
    last_changed_at TEXT NOT NULL         -- when the mirror last stored a difference
) STRICT;
CREATE INDEX risk_detections_by_time ON risk_detections (detected_date_time);
CREATE INDEX risk_detections_by_user ON risk_detections (user_id, detected_date_time) WHERE user_id IS NOT NULL;

-- How far each log is read. A log's checkpoint is time, never a page token: what lies between two times has been read, and is read again when late events may have come.
CREATE TABLE log_progress (
    resource TEXT NOT NULL,               -- resource name
    stream TEXT NOT NULL,                 -- which query of the log, such as interactiveUser; '' when it has one only
    recent_from TEXT NOT NULL,            -- everything from here to watermark has been read
    watermark TEXT NOT NULL,              -- see recent_from; a quarter of an hour is held back because events arrive late
    backfill_from TEXT,                   -- oldest time the backfill began with; NULL when there is none (left)
    backfill_to TEXT,                     -- everything from backfill_from to here has been read; the backfill ends at recent_from
    window_seconds INTEGER NOT NULL,      -- length of the next window
    backfill_window_seconds INTEGER NOT NULL, -- length of the next window of the backfill
    swept_at TEXT NOT NULL,               -- when the last two days were last read again
    late INTEGER NOT NULL DEFAULT 0,      -- events that came after their time had been read
    late_by TEXT NOT NULL DEFAULT '{}',   -- JSON object: how late they were -> how many (15min, 1h, 6h, 24h, more)
    PRIMARY KEY (resource, stream)
) STRICT, WITHOUT ROWID;
