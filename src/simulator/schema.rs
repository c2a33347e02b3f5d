//! What the simulated service knows of types and properties: names only, from the v1.0 metadata as of 2026-08-20.

/// The kinds of object that are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    User,
    Group,
    Device,
    ServicePrincipal,
    Application,
    AdministrativeUnit,
    Organization,
    SubscribedSku,
    RoleDefinition,
    RoleAssignment,
    RoleAssignmentScheduleInstance,
    RoleEligibilityScheduleInstance,
    DirectoryRole,
    /// A contact: only ever a member, never listed.
    OrgContact,
}

/// One kind: its Graph type, its collection, its properties, and its relationships.
pub(super) struct Type {
    pub kind: Kind,
    pub name: &'static str,
    pub collection: &'static str,
    pub properties: &'static [&'static str],
    pub navigation: &'static [&'static str],
}

pub(super) static TYPES: &[Type] = &[
    Type {
        kind: Kind::User,
        name: "user",
        collection: "users",
        properties: &[
            "id", "deletedDateTime", "aboutMe", "accountEnabled", "ageGroup", "assignedLicenses", "assignedPlans",
            "authorizationInfo", "birthday", "businessPhones", "city", "companyName", "consentProvidedForMinor", "country",
            "createdDateTime", "creationType", "customSecurityAttributes", "department", "deviceEnrollmentLimit", "displayName",
            "employeeHireDate", "employeeId", "employeeLeaveDateTime", "employeeOrgData", "employeeType", "externalUserState",
            "externalUserStateChangeDateTime", "faxNumber", "givenName", "hireDate", "identities", "identityParentId",
            "imAddresses", "interests", "isManagementRestricted", "isResourceAccount", "jobTitle", "lastPasswordChangeDateTime",
            "legalAgeGroupClassification", "licenseAssignmentStates", "mail", "mailNickname", "mailboxSettings", "mobilePhone",
            "mySite", "officeLocation", "onPremisesDistinguishedName", "onPremisesDomainName", "onPremisesExtensionAttributes",
            "onPremisesImmutableId", "onPremisesLastSyncDateTime", "onPremisesProvisioningErrors", "onPremisesSamAccountName",
            "onPremisesSecurityIdentifier", "onPremisesSyncEnabled", "onPremisesUserPrincipalName", "otherMails",
            "passwordPolicies", "passwordProfile", "pastProjects", "postalCode", "preferredDataLocation", "preferredLanguage",
            "preferredName", "print", "provisionedPlans", "proxyAddresses", "responsibilities", "schools", "securityIdentifier",
            "serviceProvisioningErrors", "showInAddressList", "signInActivity", "signInSessionsValidFromDateTime", "skills",
            "state", "streetAddress", "surname", "usageLocation", "userPrincipalName", "userType",
        ],
        navigation: &["manager", "directReports", "memberOf", "transitiveMemberOf"],
    },
    Type {
        kind: Kind::Group,
        name: "group",
        collection: "groups",
        properties: &[
            "id", "deletedDateTime", "accessType", "allowExternalSenders", "assignedLabels", "assignedLicenses",
            "autoSubscribeNewMembers", "classification", "createdDateTime", "description", "displayName", "expirationDateTime",
            "groupTypes", "hasMembersWithLicenseErrors", "hideFromAddressLists", "hideFromOutlookClients", "infoCatalogs",
            "isArchived", "isAssignableToRole", "isFavorite", "isManagementRestricted", "isSubscribedByMail",
            "licenseProcessingState", "mail", "mailEnabled", "mailNickname", "membershipRule", "membershipRuleProcessingState",
            "onPremisesDomainName", "onPremisesExtensionAttributes", "onPremisesLastSyncDateTime", "onPremisesNetBiosName",
            "onPremisesProvisioningErrors", "onPremisesSamAccountName", "onPremisesSecurityIdentifier", "onPremisesSyncEnabled",
            "organizationId", "preferredDataLocation", "preferredLanguage", "proxyAddresses", "renewedDateTime",
            "resourceBehaviorOptions", "resourceProvisioningOptions", "securityEnabled", "securityIdentifier",
            "serviceProvisioningErrors", "theme", "uniqueName", "unseenConversationsCount", "unseenCount", "unseenMessagesCount",
            "visibility", "welcomeMessageEnabled",
        ],
        navigation: &["members", "owners", "memberOf", "transitiveMemberOf", "transitiveMembers"],
    },
    Type {
        kind: Kind::Device,
        name: "device",
        collection: "devices",
        properties: &[
            "id", "deletedDateTime", "accountEnabled", "alternativeSecurityIds", "approximateLastSignInDateTime",
            "complianceExpirationDateTime", "deviceCategory", "deviceId", "deviceMetadata", "deviceOwnership", "deviceVersion",
            "displayName", "enrollmentProfileName", "enrollmentType", "isCompliant", "isManaged", "isManagementRestricted",
            "isRooted", "managementType", "manufacturer", "mdmAppId", "model", "onPremisesLastSyncDateTime",
            "onPremisesSecurityIdentifier", "onPremisesSyncEnabled", "operatingSystem", "operatingSystemVersion", "physicalIds",
            "profileType", "registrationDateTime", "systemLabels", "trustType",
        ],
        navigation: &[],
    },
    Type {
        kind: Kind::ServicePrincipal,
        name: "servicePrincipal",
        collection: "servicePrincipals",
        properties: &[
            "id", "deletedDateTime", "accountEnabled", "addIns", "alternativeNames", "appDescription", "appDisplayName", "appId",
            "appOwnerOrganizationId", "appRoleAssignmentRequired", "appRoles", "applicationTemplateId", "createdByAppId",
            "customSecurityAttributes", "description", "disabledByMicrosoftStatus", "displayName", "homepage", "info",
            "isDisabled", "keyCredentials", "loginUrl", "logoutUrl", "notes", "notificationEmailAddresses",
            "oauth2PermissionScopes", "passwordCredentials", "preferredSingleSignOnMode", "preferredTokenSigningKeyThumbprint",
            "replyUrls", "resourceSpecificApplicationPermissions", "samlSingleSignOnSettings", "servicePrincipalNames",
            "servicePrincipalType", "signInAudience", "tags", "tokenEncryptionKeyId", "verifiedPublisher",
        ],
        navigation: &["owners"],
    },
    Type {
        kind: Kind::Application,
        name: "application",
        collection: "applications",
        properties: &[
            "id", "deletedDateTime", "addIns", "api", "appId", "appRoles", "applicationTemplateId", "authenticationBehaviors",
            "certification", "createdByAppId", "createdDateTime", "defaultRedirectUri", "description",
            "disabledByMicrosoftStatus", "displayName", "groupMembershipClaims", "identifierUris", "info",
            "isDeviceOnlyAuthSupported", "isDisabled", "isFallbackPublicClient", "keyCredentials", "logo", "managerApplications",
            "nativeAuthenticationApisEnabled", "notes", "oauth2RequirePostResponse", "optionalClaims", "parentalControlSettings",
            "passwordCredentials", "publicClient", "publisherDomain", "requestSignatureVerification", "requiredResourceAccess",
            "samlMetadataUrl", "serviceManagementReference", "servicePrincipalLockConfiguration", "signInAudience", "spa", "tags",
            "tokenEncryptionKeyId", "uniqueName", "verifiedPublisher", "web",
        ],
        navigation: &["owners"],
    },
    Type {
        kind: Kind::AdministrativeUnit,
        name: "administrativeUnit",
        collection: "administrativeUnits",
        properties: &[
            "id", "deletedDateTime", "description", "displayName", "isMemberManagementRestricted", "membershipRule",
            "membershipRuleProcessingState", "membershipType", "visibility",
        ],
        navigation: &["members"],
    },
    Type {
        kind: Kind::Organization,
        name: "organization",
        collection: "organization",
        properties: &[
            "id", "deletedDateTime", "assignedPlans", "businessPhones", "city", "country", "countryLetterCode", "createdDateTime",
            "defaultUsageLocation", "displayName", "marketingNotificationEmails", "mobileDeviceManagementAuthority",
            "onPremisesLastSyncDateTime", "onPremisesSyncEnabled", "partnerTenantType", "postalCode", "preferredLanguage",
            "privacyProfile", "provisionedPlans", "securityComplianceNotificationMails", "securityComplianceNotificationPhones",
            "state", "street", "technicalNotificationMails", "tenantType", "verifiedDomains",
        ],
        navigation: &[],
    },
    Type {
        kind: Kind::SubscribedSku,
        name: "subscribedSku",
        collection: "subscribedSkus",
        properties: &[
            "id", "accountId", "accountName", "appliesTo", "capabilityStatus", "consumedUnits", "prepaidUnits", "servicePlans",
            "skuId", "skuPartNumber", "subscriptionIds",
        ],
        navigation: &[],
    },
    Type {
        kind: Kind::RoleDefinition,
        name: "unifiedRoleDefinition",
        collection: "roleDefinitions",
        properties: &[
            "id", "description", "displayName", "isBuiltIn", "isEnabled", "resourceScopes", "rolePermissions", "templateId",
            "version",
        ],
        navigation: &[],
    },
    Type {
        kind: Kind::RoleAssignment,
        name: "unifiedRoleAssignment",
        collection: "roleAssignments",
        properties: &[
            "id", "appScopeId", "condition", "directoryScopeId", "principalId", "principalOrganizationId", "roleDefinitionId",
        ],
        navigation: &[],
    },
    Type {
        kind: Kind::RoleAssignmentScheduleInstance,
        name: "unifiedRoleAssignmentScheduleInstance",
        collection: "roleAssignmentScheduleInstances",
        properties: &[
            "id", "appScopeId", "assignmentType", "directoryScopeId", "endDateTime", "memberType", "principalId",
            "roleAssignmentOriginId", "roleAssignmentScheduleId", "roleDefinitionId", "startDateTime",
        ],
        navigation: &[],
    },
    Type {
        kind: Kind::RoleEligibilityScheduleInstance,
        name: "unifiedRoleEligibilityScheduleInstance",
        collection: "roleEligibilityScheduleInstances",
        properties: &[
            "id", "appScopeId", "directoryScopeId", "endDateTime", "memberType", "principalId", "roleDefinitionId",
            "roleEligibilityScheduleId", "startDateTime",
        ],
        navigation: &[],
    },
    Type {
        kind: Kind::DirectoryRole,
        name: "directoryRole",
        collection: "directoryRoles",
        properties: &[
            "id", "deletedDateTime", "description", "displayName", "roleTemplateId",
        ],
        navigation: &[],
    },
    Type { kind: Kind::OrgContact, name: "orgContact", collection: "contacts", properties: &["id"], navigation: &[] },
];

/// Properties kept outside the directory store: not selectable on a collection (501), never a reason for a delta.
const OUT_OF_STORE: &[(Kind, &[&str])] = &[
    (
        Kind::User,
        &[
            "aboutMe", "birthday", "hireDate", "interests", "mySite", "pastProjects", "preferredName", "responsibilities", "schools",
            "skills", "mailboxSettings", "deviceEnrollmentLimit", "print",
        ],
    ),
    (
        Kind::Group,
        &[
            "accessType", "allowExternalSenders", "autoSubscribeNewMembers", "hideFromAddressLists", "hideFromOutlookClients",
            "isFavorite", "isSubscribedByMail", "unseenConversationsCount", "unseenCount", "unseenMessagesCount", "isArchived",
        ],
    ),
];

/// What a collection answers with when nothing is selected, where that is not everything.
const USER_DEFAULT: &[&str] = &[
    "id", "businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone", "officeLocation", "preferredLanguage",
    "surname", "userPrincipalName",
];

impl Kind {
    pub(super) fn info(self) -> &'static Type {
        // Every kind has its row: the test below proves it.
        TYPES.iter().find(|t| t.kind == self).unwrap_or(&TYPES[0])
    }

    /// Number of a property, for compact storage.
    pub(super) fn property(self, name: &str) -> Option<u16> {
        self.info().properties.iter().position(|p| *p == name).and_then(|i| u16::try_from(i).ok())
    }

    pub(super) fn out_of_store(self, name: &str) -> bool {
        OUT_OF_STORE.iter().any(|(kind, names)| *kind == self && names.contains(&name))
    }

    pub(super) fn default_selection(self) -> Option<&'static [&'static str]> {
        (self == Kind::User).then_some(USER_DEFAULT)
    }

    /// Whether `/delta` exists for it.
    pub(super) fn has_delta(self) -> bool {
        use Kind::*;
        matches!(self, User | Group | Device | ServicePrincipal | Application | AdministrativeUnit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_row() {
        for (index, row) in TYPES.iter().enumerate() {
            assert_eq!(row.kind as usize, index);
            assert_eq!(row.kind.info().name, row.name);
        }
        assert_eq!(TYPES.len(), Kind::OrgContact as usize + 1);
    }
}
