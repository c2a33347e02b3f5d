//! Each kind of credential against the simulator's verification: renewal under load, exchange without a restart, and what refusals say.

use std::path::Path;
use std::time::Duration;

use entra_mirror::graph::{
    Call, Client, Credential, Endpoint, GraphError, Origin, Page, Priority, SecretSource, Settings, TenantClient, Workload,
};
use entra_mirror::simulator::{Action, Fault, Quirks, Retry, Simulator, Tenant, TenantOptions};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};

use crate::support::{World, set_mode};

/// A certificate and its key, PEM.
pub fn certificate(days: i64) -> (String, String) {
    let key = rsa();
    let mut parameters = CertificateParams::new(Vec::new()).expect("parameters");
    let now = std::time::SystemTime::now();
    // A day is added: a certificate that is made for so many days is good for so many whole ones.
    let end = if days >= 0 {
        now + Duration::from_secs(days as u64 * 86_400 + 3_600)
    } else {
        now - Duration::from_secs(days.unsigned_abs() * 86_400)
    };
    parameters.not_before = (now - Duration::from_secs(100 * 86_400)).into();
    parameters.not_after = end.into();
    let certificate = parameters.self_signed(&key).expect("a certificate");
    (certificate.pem(), key.serialize_pem())
}

pub fn rsa() -> KeyPair {
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key")
}

pub fn write(file: &Path, text: &str) {
    std::fs::write(file, text).expect("a file");
    set_mode(file, 0o600);
}

/// Replaces the client secret in a world's configuration.
pub fn configure(world: &World, keys: &str) {
    let text = std::fs::read_to_string(world.config()).expect("config");
    let from = text.find("app = {").expect("an app");
    let to = from + text[from..].find('}').expect("its end") + 1;
    std::fs::write(world.config(), format!("{}app = {{ {keys} }}{}", &text[..from], &text[to..])).expect("config");
}

fn calm(seed: u64) -> TenantOptions {
    TenantOptions { quirks: Quirks::none(), ..TenantOptions::new("contoso", seed, 20) }
}

pub fn way(origin: &str, tenant_id: &str, client_id: &str, credential: Credential) -> TenantClient {
    let origin = Origin::parse(origin).expect("an origin");
    let endpoint = Endpoint {
        name: "contoso".into(),
        tenant_id: tenant_id.into(),
        login_url: origin.clone(),
        graph_url: origin,
        client_id: client_id.into(),
        credential,
    };
    Client::new(Settings::default()).expect("a client").tenant(endpoint)
}

pub async fn ask(way: &TenantClient) -> Result<Page, GraphError> {
    let link = way.link("users?$select=id&$top=5")?;
    way.page(Call { link: &link, workload: Workload::Directory, priority: Priority::Scheduled, eventual: false, max_attempts: None }).await
}

/// So many ask at once, and all get their page.
pub async fn hundred(way: &TenantClient) {
    let asking: Vec<_> = (0..100)
        .map(|_| {
            let way = way.clone();
            tokio::spawn(async move { ask(&way).await.map(drop) })
        })
        .collect();
    for asked in asking {
        asked.await.expect("no panic").expect("a page");
    }
}

async fn one_token_for_a_hundred(tenant: &Tenant, way: &TenantClient) {
    hundred(way).await;
    assert_eq!(tenant.token_requests(), 1, "one for a hundred");
    tenant.revoke_tokens();
    hundred(way).await;
    assert_eq!(tenant.token_requests(), 2, "and one more when Graph refused it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_requests_share_one_token_of_a_secret_or_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    let simulator = Simulator::start_local().await.expect("a simulator");
    let tenant = simulator.add_tenant(calm(601));
    let secret = SecretSource::Value(tenant.client_secret().into());
    one_token_for_a_hundred(&tenant, &way(&simulator.origin(), tenant.tenant_id(), tenant.client_id(), secret.into())).await;
    let tenant = simulator.add_tenant(calm(602));
    let (certificate, key) = certificate(90);
    assert!(tenant.add_certificate(&certificate));
    let file = folder.path().join("app.pem");
    write(&file, &format!("{certificate}{key}"));
    one_token_for_a_hundred(&tenant, &way(&simulator.origin(), tenant.tenant_id(), tenant.client_id(), Credential::Certificate(file)))
        .await;
}

#[test]
fn a_certificate_is_exchanged_without_a_restart_and_told_when_it_is_not_accepted() {
    let world = World::one(calm(603));
    let tenant = world.tenant();
    let file = world.dir.path().join("app.pem");
    let (first, key) = certificate(90);
    write(&file, &format!("{first}{key}"));
    configure(&world, &format!("client_id = \"{}\", certificate_file = \"app.pem\"", tenant.client_id()));
    let ended = world.run(&["sync", "--resource", "users"]);
    assert_eq!(ended.code, 1);
    for says in ["AADSTS700027", "Certificates & secrets > Certificates"] {
        assert!(ended.stdout.contains(says), "{says}: {}", ended.stdout);
    }
    assert!(!ended.said().contains("eyJ"), "{}", ended.said());
    assert!(tenant.add_certificate(&first));
    world.sync(&[]);
    world.assert_equal();
    assert!(!world.ok(&["sync", "--resource", "users"]).stderr.contains("ends on"));

    // Within one process: its token is revoked, the certificate is another one by then.
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let way = way(&world.simulator.origin(), tenant.tenant_id(), tenant.client_id(), Credential::Certificate(file.clone()));
    runtime.block_on(ask(&way)).expect("a page");
    let (second, key) = certificate(20);
    tenant.remove_certificates();
    assert!(tenant.add_certificate(&second));
    tenant.revoke_tokens();
    write(&file, &format!("{key}{second}"));
    runtime.block_on(ask(&way)).expect("a page by the new certificate");
    // Which ends in less than thirty days.
    let said = world.ok(&["sync", "--resource", "users"]).stderr;
    assert!(said.contains("ends on") && said.contains("in 20 days"), "{said}");
}

#[test]
fn a_wrong_clock_is_corrected_by_the_services() {
    let world = World::one(calm(604));
    let tenant = world.tenant();
    let (certificate, key) = certificate(90);
    assert!(tenant.add_certificate(&certificate));
    write(&world.dir.path().join("app.pem"), &format!("{certificate}{key}"));
    configure(&world, &format!("client_id = \"{}\", certificate_file = \"app.pem\"", tenant.client_id()));
    tenant.advance(Duration::from_secs(3 * 3600));
    world.sync(&["--resource", "users"]);
    assert_eq!(tenant.token_requests(), 2, "the first is refused, and its answer tells the time");
}

#[test]
fn mistakes_with_credentials_are_told_all_at_once() {
    let world = World::new(["aa", "bb", "cc", "dd", "ee", "ff", "gg"].map(|name| TenantOptions::new(name, 605, 5)).to_vec());
    let file = |name: &str| world.dir.path().join(name);
    let ((good, key), (other, _), (ended, old)) = (certificate(90), certificate(90), certificate(-2));
    write(&file("nokey.pem"), &good);
    write(&file("der.pem"), "no certificate at all");
    write(&file("mixed.pem"), &format!("{other}{key}"));
    write(&file("ended.pem"), &format!("{ended}{old}"));
    write(&file("open.pem"), &format!("{good}{key}"));
    set_mode(&file("open.pem"), 0o620);
    let id = "client_id = \"11111111-2222-3333-4444-555555555555\"";
    let apps = [
        format!("{id}, certificate_file = \"nokey.pem\""),
        format!("{id}, certificate_file = \"der.pem\""),
        format!("{id}, certificate_file = \"mixed.pem\""),
        format!("{id}, certificate_file = \"ended.pem\""),
        format!("{id}, certificate_file = \"open.pem\""),
        format!("{id}, managed_identity = true"),
        format!("{id}, federated_token_file = \"none.jwt\", managed_identity_client_id = \"x\""),
    ];
    let mut text = "data_dir = \"data\"\n".to_owned();
    for (tenant, app) in world.tenants.iter().zip(apps) {
        text.push_str(&format!("[[tenants]]\nname = \"{}\"\nid = \"{}\"\napp = {{ {app} }}\n", tenant.name(), tenant.tenant_id()));
    }
    std::fs::write(world.config(), text).expect("config");
    let ended = world.run(&["sync"]);
    assert_eq!(ended.code, 2, "{}", ended.said());
    for says in [
        "tenants.0.app.certificate_file: ",
        "holds no private key",
        "is no PEM file",
        "do not belong together",
        "ended.pem ended on",
        "others can write",
        "tenants.5.app.client_id: is not used with managed_identity",
        "none.jwt cannot be read",
        "is only used with managed_identity = true",
    ] {
        assert!(ended.stderr.contains(says), "{says}: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("MII"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_refusal_says_what_to_do() {
    let simulator = Simulator::start_local().await.expect("a simulator");
    let tenant = simulator.add_tenant(calm(606));
    let fault = |code: u32, times: u64| {
        let message = "As Entra says it.".into();
        let status = if code == 7_000_215 { 401 } else { 400 };
        tenant.clear_faults();
        tenant.fault(
            Fault::new("oauth2/v2.0/token", Action::Error { status, code: code.to_string(), message, retry_after: Retry::Missing })
                .times(times),
        );
    };
    let fresh = || {
        let secret = SecretSource::Value(tenant.client_secret().into());
        way(&simulator.origin(), tenant.tenant_id(), tenant.client_id(), secret.into())
    };
    for (code, says) in [
        (7_000_215, "copy the Value of a secret (not its Secret ID)"),
        (7_000_222, "Make a new one under App registrations > your app > Certificates & secrets"),
        (7_000_218, "the secret file or variable is empty"),
        (700_016, "App registrations > your app > Application (client) ID"),
        (7_000_112, "Enterprise applications > your app > Properties"),
        (90_002, "Entra admin center > Overview > Tenant ID"),
        (90_038, "another national cloud"),
        (900_432, "another national cloud"),
        (900_382, "another national cloud"),
        (500_011, "`cloud` or graph_url"),
        (50_001, "`cloud` or graph_url"),
        (70_011, "graph_url must be the origin of Graph"),
        (28_002, "graph_url must be the origin of Graph"),
        (700_022, "graph_url must be the origin of Graph"),
        (65_001, "API permissions > Grant admin consent"),
        (65_004, "declined the consent"),
        (90_094, "API permissions > Grant admin consent"),
        (50_012, "Certificates & secrets > Certificates"),
        (700_027, "Certificates & secrets > Certificates"),
        (700_024, "this machine's clock"),
        (9_001_023, "not by `common` or `consumers`"),
        (53_003, "Protection > Conditional Access"),
        (530_032, "Protection > Conditional Access"),
    ] {
        fault(code, 0);
        let before = tenant.token_requests();
        let error = ask(&fresh()).await.expect_err("no token");
        assert_eq!(tenant.token_requests() - before, 1, "{code} is not tried again");
        let (said, hint) = (error.to_string(), error.hint().unwrap_or_default());
        assert!(error.is_login() && !error.is_transient() && said.contains(&format!("AADSTS{code}")), "{said}");
        assert!(hint.contains(says), "{code}: {hint}");
    }
    for code in [90_055, 90_024, 90_033, 90_006, 90_090, 90_012, 70_021] {
        fault(code, 1);
        let before = tenant.token_requests();
        ask(&fresh()).await.expect("a page, the second time");
        assert_eq!(tenant.token_requests() - before, 2, "{code} is tried again");
    }
}
