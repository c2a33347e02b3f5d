//! Federated tokens: another issuer's token from a file, read anew each time, and what is said when it does not fit.

use std::path::Path;

use entra_mirror::graph::Credential;
use entra_mirror::simulator::{FederatedCredential, Quirks, Simulator, Tenant, TenantOptions};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use crate::credentials::{ask, configure, hundred, rsa, way, write};
use crate::support::World;

const ISSUER: &str = "https://issuer.example/cluster";
const SUBJECT: &str = "system:serviceaccount:mirror:entra-mirror";
const AUDIENCE: &str = "api://AzureADTokenExchange";

/// An issuer outside, with its key.
struct Issuer {
    key: EncodingKey,
    public_key: String,
}

impl Issuer {
    fn new() -> Issuer {
        let pair = rsa();
        Issuer { key: EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).expect("a key"), public_key: pair.public_key_pem() }
    }

    fn trusted_by(&self, tenant: &Tenant) {
        tenant.add_federated_credential(FederatedCredential {
            issuer: ISSUER.into(),
            subject: SUBJECT.into(),
            audience: AUDIENCE.into(),
            public_key: self.public_key.clone(),
        });
    }

    /// Writes a token that began so many seconds after now and lives an hour.
    fn write(&self, file: &Path, subject: &str, audience: &str, begins: i64) {
        let begins = jiff::Timestamp::now().as_second() + begins;
        let claims = json!({"iss": ISSUER, "sub": subject, "aud": audience, "nbf": begins, "iat": begins, "exp": begins + 3600});
        write(file, &format!("{}\n", jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &self.key).expect("a token")));
    }
}

fn calm(seed: u64) -> TenantOptions {
    TenantOptions { quirks: Quirks::none(), ..TenantOptions::new("contoso", seed, 20) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_requests_share_one_token_and_a_rotated_file_is_read_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    let simulator = Simulator::start_local().await.expect("a simulator");
    let (tenant, issuer) = (simulator.add_tenant(calm(621)), Issuer::new());
    issuer.trusted_by(&tenant);
    issuer.write(&file, SUBJECT, AUDIENCE, 0);
    let way = way(&simulator.origin(), tenant.tenant_id(), tenant.client_id(), Credential::FederatedToken(file.clone()));
    hundred(&way).await;
    assert_eq!(tenant.token_requests(), 1);
    let before = tenant.last_assertion();
    issuer.write(&file, SUBJECT, AUDIENCE, -60);
    tenant.revoke_tokens();
    hundred(&way).await;
    assert_eq!(tenant.token_requests(), 2);
    assert_ne!(tenant.last_assertion(), before);
    // One that is too old, or of somebody else's key.
    for (other, begins, code) in [(false, -4200, 700_024), (true, 0, 50_013)] {
        let stranger = Issuer::new();
        let by = if other { &stranger } else { &issuer };
        by.write(&file, SUBJECT, AUDIENCE, begins);
        tenant.revoke_tokens();
        let error = ask(&way).await.expect_err("no token");
        assert_eq!(error.login_code(), Some(code), "{error}");
        assert!(error.hint().is_some());
    }
}

#[test]
fn a_token_that_does_not_fit_is_tried_again_for_a_while_and_then_told() {
    let world = World::one(calm(622));
    let (tenant, issuer) = (world.tenant(), Issuer::new());
    issuer.trusted_by(tenant);
    let file = world.dir.path().join("token");
    issuer.write(&file, SUBJECT, "somebody-else", 0);
    configure(&world, &format!("client_id = \"{}\", federated_token_file = \"token\"", tenant.client_id()));
    let ended = world.run(&["sync", "--resource", "users"]);
    assert_eq!(ended.code, 1);
    for says in ["AADSTS70021", "Assertion Audience: 'somebody-else'", "Federated credentials", "api://AzureADTokenExchange"] {
        assert!(ended.stdout.contains(says), "{says}: {}", ended.stdout);
    }
    assert_eq!(tenant.token_requests(), 6);
    for (text, says) in [("", "is empty"), ("no token", "holds no token: expected a signed JWT")] {
        write(&file, text);
        let ended = world.run(&["sync", "--resource", "users"]);
        assert!(ended.code == 1 && ended.stdout.contains(says), "{says}: {}", ended.said());
    }
    issuer.write(&file, SUBJECT, AUDIENCE, 0);
    world.sync(&[]);
    world.assert_equal();
}
