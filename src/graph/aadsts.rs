//! What Entra's sign-in error codes mean and what to do, in the words of its own menus. Facts only.
//! <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>

/// Codes that go away by themselves; 70021 does for minutes after a federated credential was made, on and off.
pub(super) const TRANSIENT: &[u32] = &[90055, 90033, 90024, 90006, 90090, 90012, 70021];

/// What to do about a code.
pub(super) fn hint(code: u32, tenant: &str) -> Option<String> {
    Some(match code {
        7_000_215 => "the client secret is wrong. In the Entra admin center open App registrations > your app > Certificates & secrets and copy the \
             Value of a secret (not its Secret ID) into the secret file"
            .into(),
        7_000_222 => "the client secret has expired. Make a new one under App registrations > your app > Certificates & secrets and put its Value into the secret file".into(),
        7_000_218 => "the request carried no secret: the secret file or variable is empty".into(),
        700_016 => format!(
            "the app is not known in tenant {tenant}: check client_id (App registrations > your app > Application (client) ID) and the tenant id, \
             and that an administrator of the tenant has consented to the app"
        ),
        7_000_112 => "the app is disabled in this tenant: Enterprise applications > your app > Properties > Enabled for users to sign-in".into(),
        90_002 => format!("there is no tenant {tenant}: check its id for typing errors, and that `cloud` is the one the tenant lives in"),
        90_038 | 900_432 | 900_382 | 900_439 => "the tenant lives in another national cloud: set `cloud` of the tenant (global, usgov, usgov-dod, china)".into(),
        500_011 | 50_001 => "this cloud does not know the Graph service asked for: `cloud` or graph_url does not belong to this login_url".into(),
        70_011 | 28_002 | 700_022 => "Entra does not accept the scope: graph_url must be the origin of Graph in the tenant's cloud".into(),
        65_001 | 90_094 => "an administrator of the tenant must consent: App registrations > your app > API permissions > Grant admin consent".into(),
        50_012 | 700_027 => "the certificate or assertion was not accepted: upload the certificate under Certificates & secrets".into(),
        700_024 => "the assertion is outside its time range: check this machine's clock".into(),
        9_001_023 => "the tenant must be named by its id or domain, not by `common` or `consumers`".into(),
        900_144 => "the token request lacked a parameter: check client_id".into(),
        53_003 | 530_032 => "Conditional Access blocks this app: exclude it, or allow this machine's address, in Protection > Conditional Access".into(),
        70_021 => "no federated credential of the app matches: compare issuer, subject and audience under Certificates & secrets > Federated \
             credentials; one that is new takes some minutes"
            .into(),
        code if TRANSIENT.contains(&code) => "Entra is busy: the next run tries again".into(),
        _ => return None,
    })
}
