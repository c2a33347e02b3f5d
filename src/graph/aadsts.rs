//! What Entra's sign-in error codes mean and what to do, in the words of its own menus. Facts only.
//! <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>

/// Codes that go away by themselves; 70021 does for minutes after a federated credential was made, on and off.
pub(super) const TRANSIENT: &[u32] = &[90055, 90033, 90024, 90006, 90090, 90012, 70021];

/// The federated credential is not known: a new one is not known everywhere for some minutes, on and off.
/// <https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations>
pub(super) const SETTLING: &[u32] = &[70_021, 700_211, 700_212, 700_213];

/// An assertion outside its time range.
pub(super) const MISTIMED: u32 = 700_024;

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
        90_002 => format!(
            "there is no tenant {tenant} in this cloud: check its id for typing errors (Entra admin center > Overview > Tenant ID), and that \
             `cloud` is the one the tenant lives in: global, usgov, usgov-dod or china"
        ),
        90_038 | 900_432 | 900_382 | 900_439 => format!(
            "tenant {tenant} lives in another national cloud: set its `cloud` (global, usgov, usgov-dod, china), and register the app in that cloud"
        ),
        500_011 | 50_001 => "this cloud does not know the Graph service asked for: `cloud` or graph_url does not belong to this login_url".into(),
        70_011 | 28_002 | 700_022 => "Entra does not accept the scope: graph_url must be the origin of Graph in the tenant's cloud".into(),
        65_001 | 90_094 => "an administrator of the tenant must consent: App registrations > your app > API permissions > Grant admin consent".into(),
        65_004 => "the administrator declined the consent: ask again, and explain what each of the permissions is for".into(),
        50_012 | 700_027 => "Entra does not accept the certificate: upload the one in certificate_file under App registrations > your app > \
             Certificates & secrets > Certificates, and compare the Thumbprint there"
            .into(),
        700_021 | 700_023 | 50_013 => "Entra does not accept the assertion: check client_id, the tenant id and login_url, which it names".into(),
        MISTIMED => "the assertion is outside its time range: check this machine's clock; a federated token may be old, see who writes \
             federated_token_file"
            .into(),
        code if SETTLING.contains(&code) => "no federated credential of the app fits the token: compare issuer, subject and audience \
             (api://AzureADTokenExchange) under App registrations > your app > Certificates & secrets > Federated credentials. One that was just \
             made takes some minutes; the next run tries again"
            .into(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_advice() {
        for (code, says) in [
            (7_000_215, "copy the Value of a secret (not its Secret ID)"),
            (7_000_222, "has expired. Make a new one under App registrations > your app > Certificates & secrets"),
            (7_000_218, "secret file or variable is empty"),
            (700_016, "not known in tenant T1: check client_id"),
            (7_000_112, "Enterprise applications > your app > Properties > Enabled for users to sign-in"),
            (90_002, "no tenant T1 in this cloud"),
            (90_038, "T1 lives in another national cloud: set its `cloud`"),
            (900_432, "T1 lives in another national cloud: set its `cloud`"),
            (900_382, "T1 lives in another national cloud: set its `cloud`"),
            (500_011, "graph_url does not belong to this login_url"),
            (50_001, "graph_url does not belong to this login_url"),
            (70_011, "does not accept the scope: graph_url"),
            (28_002, "does not accept the scope: graph_url"),
            (700_022, "does not accept the scope: graph_url"),
            (65_001, "API permissions > Grant admin consent"),
            (65_004, "declined the consent"),
            (90_094, "API permissions > Grant admin consent"),
            (50_012, "Certificates & secrets > Certificates"),
            (700_027, "Certificates & secrets > Certificates"),
            (700_024, "this machine's clock"),
            (70_021, "Federated credentials"),
            (9_001_023, "not by `common` or `consumers`"),
            (53_003, "Protection > Conditional Access"),
            (530_032, "Protection > Conditional Access"),
            (90_055, "busy"),
            (90_024, "busy"),
            (90_033, "busy"),
            (90_006, "busy"),
            (90_090, "busy"),
            (90_012, "busy"),
        ] {
            let hint = hint(code, "T1").unwrap_or_default();
            assert!(hint.contains(says), "{code}: {hint}");
        }
        assert_eq!(hint(1, "T1"), None);
    }
}
