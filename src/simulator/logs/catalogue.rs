//! What sign-ins are made of: applications, resources, results, devices, clients. Public ids and numbers; data only.

/// Application id and name.
pub(super) static APPS: &[(&str, &str)] = &[
    ("89bee1f7-5e6e-4d8a-9f3d-ecd601259da7", "Office365 Shell WCSS-Client"),
    ("1fec8e78-bce4-4aaf-ab1b-5451cc387264", "Microsoft Teams"),
    ("9199bf20-a13f-4107-85dc-02114787ef48", "One Outlook Web"),
    ("d3590ed6-52b3-4102-aeff-aad2292ab01c", "Microsoft Office"),
    ("4765445b-32c6-49b0-83e6-1d93765276ca", "OfficeHome"),
    ("c44b4083-3bb0-49c1-b47d-974e53cbdf3c", "Azure Portal"),
    ("00000002-0000-0ff1-ce00-000000000000", "Office 365 Exchange Online"),
    ("00000003-0000-0ff1-ce00-000000000000", "Office 365 SharePoint Online"),
    ("29d9ed98-a469-4536-ade2-f981bc1d605e", "Microsoft Authentication Broker"),
    ("14d82eec-204b-4c2f-b7e8-296a70dab67e", "Microsoft Graph Command Line Tools"),
    ("04b07795-8ddb-461a-bbee-02f9e1bf7b46", "Microsoft Azure CLI"),
    ("1950a258-227b-4e31-a9cf-717495945fc2", "Microsoft Azure PowerShell"),
];

/// Resource id and name.
pub(super) static RESOURCES: &[(&str, &str)] = &[
    ("00000003-0000-0000-c000-000000000000", "Microsoft Graph"),
    ("00000002-0000-0ff1-ce00-000000000000", "Office 365 Exchange Online"),
    ("00000003-0000-0ff1-ce00-000000000000", "Office 365 SharePoint Online"),
    ("797f4846-ba00-4fd7-ba43-dac1f8f63013", "Windows Azure Service Management API"),
    ("cc15fd57-2c6c-4117-a88c-83b1d56b4bbe", "Microsoft Teams Services"),
];

/// Error code, why, what more is said, and of a thousand sign-ins how many end so.
pub(super) type Outcome = (u32, Option<&'static str>, Option<&'static str>, u32);

/// How people's sign-ins end. The first is success.
pub(super) static RESULTS: &[Outcome] = &[
    (0, None, None, 880),
    (50126, Some("The user name or the password is wrong."), Some("Mistyped passwords show up like this."), 36),
    (50053, Some("Too many wrong attempts, or an address with a bad name: the account is locked."), None, 6),
    (50055, Some("The password has expired."), None, 6),
    (50057, Some("The account is disabled."), None, 8),
    (50074, Some("Strong authentication is demanded and was not done."), Some("MFA required in Azure AD"), 20),
    (50076, Some("A change by the administrator or a new place demands multifactor authentication."), None, 12),
    (50140, Some("The sign-in was interrupted to ask whether to stay signed in."), None, 10),
    (53003, Some("Conditional Access policies block access."), None, 12),
    (500121, Some("The demand for strong authentication was not met."), Some("MFA denied; user declined the authentication"), 8),
    (65001, Some("Nobody has consented to the application."), None, 2),
];

/// How sign-ins of applications end. The first is success.
pub(super) static APP_RESULTS: &[Outcome] = &[
    (0, None, None, 970),
    (7000215, Some("The client secret is wrong."), None, 20),
    (7000222, Some("The client secret has expired."), None, 10),
];

/// Operating system, browser, user agent.
pub(super) static DEVICES: &[(&str, &str, &str)] = &[
    ("Windows10", "Edge 142.0.0", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0"),
    ("Windows10", "Chrome 142.0.0", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/142.0.0.0 Safari/537.36"),
    ("MacOs", "Safari 26.0", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/26.0 Safari/605.1.15"),
    ("Ios 18.1", "Mobile Safari", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Mobile/15E148"),
    ("Android 15", "Chrome Mobile 142.0.0", "Mozilla/5.0 (Linux; Android 15) Chrome/142.0.0.0 Mobile Safari/537.36"),
    ("Linux", "Firefox 145.0", "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"),
];

/// Client application and of a hundred sign-ins how many use it.
pub(super) static CLIENTS: &[(&str, u32)] = &[
    ("Browser", 58),
    ("Mobile Apps and Desktop clients", 37),
    ("Exchange ActiveSync", 2),
    ("IMAP4", 1),
    ("Authenticated SMTP", 1),
    ("POP3", 1),
];

/// Conditional access policies of the tenant: id, name, controls.
pub(super) static POLICIES: &[(&str, &str, &[&str])] = &[
    ("5f1d2c3b-0a49-4e58-8677-9685a4b3c2d1", "Require MFA for all users", &["Mfa"]),
    ("6e0c3d4a-1b58-4f69-9786-a594b3c2d1e0", "Block legacy authentication", &["Block"]),
    ("7d9b4e5f-2c67-407a-a895-b4a3c2d1e0f9", "Compliant device for administrators", &["RequireCompliantDevice"]),
];

/// Properties of a sign-in in v1.0; everything else is beta.
pub(super) static V1: &[&str] = &[
    "id",
    "createdDateTime",
    "userDisplayName",
    "userPrincipalName",
    "userId",
    "appId",
    "appDisplayName",
    "ipAddress",
    "clientAppUsed",
    "correlationId",
    "conditionalAccessStatus",
    "isInteractive",
    "riskDetail",
    "riskLevelAggregated",
    "riskLevelDuringSignIn",
    "riskState",
    "riskEventTypes",
    "riskEventTypes_v2",
    "resourceDisplayName",
    "resourceId",
    "status",
    "deviceDetail",
    "location",
    "appliedConditionalAccessPolicies",
];
