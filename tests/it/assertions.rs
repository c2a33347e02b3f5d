//! Assertions seen by others: openssl verifies the program's, and the simulator refuses what Entra refuses.

use std::path::Path;
use std::process::Command;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entra_mirror::graph::Credential;
use entra_mirror::simulator::{Quirks, Simulator, Tenant, TenantOptions};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::credentials::{ask, certificate, way, write};

fn calm(seed: u64) -> TenantOptions {
    TenantOptions { quirks: Quirks::none(), ..TenantOptions::new("contoso", seed, 5) }
}

/// Runs openssl in a folder; what it says.
fn openssl(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments).current_dir(folder).output().expect("openssl runs");
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssl_verifies_an_assertion_made_with_its_own_key() {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("skipped: there is no openssl on PATH");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    openssl(
        dir,
        &[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
            "-days",
            "60",
            "-subj",
            "/CN=entra-mirror test",
        ],
    );
    openssl(dir, &["x509", "-in", "cert.pem", "-pubkey", "-noout", "-out", "public.pem"]);
    openssl(dir, &["x509", "-in", "cert.pem", "-outform", "DER", "-out", "cert.der"]);
    // Older tools write the key in its own form.
    openssl(dir, &["rsa", "-in", "key.pem", "-traditional", "-out", "pkcs1.pem"]);
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).expect(name);
    assert!(read("pkcs1.pem").contains("BEGIN RSA PRIVATE KEY") && read("key.pem").contains("BEGIN PRIVATE KEY"));
    for (seed, key) in [(611, "key.pem"), (612, "pkcs1.pem")] {
        let simulator = Simulator::start_local().await.expect("a simulator");
        let tenant = simulator.add_tenant(calm(seed));
        assert!(tenant.add_certificate(&read("cert.pem")));
        write(&dir.join("app.pem"), &format!("{}{}", read(key), read("cert.pem")));
        let credential = Credential::Certificate(dir.join("app.pem"));
        ask(&way(&simulator.origin(), tenant.tenant_id(), tenant.client_id(), credential)).await.expect("a page");
        let assertion = tenant.last_assertion().expect("an assertion");
        let (message, signature) = assertion.rsplit_once('.').expect("a signature");
        std::fs::write(dir.join("message"), message).expect("a file");
        std::fs::write(dir.join("signature"), URL_SAFE_NO_PAD.decode(signature).expect("base64url")).expect("a file");
        let verify = ["dgst", "-sha256", "-verify", "public.pem", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"];
        openssl(dir, &[&verify[..], &["-signature", "signature", "message"]].concat());
        let (header, claims) = message.split_once('.').expect("two parts");
        let part = |text: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).expect("base64url")).expect("JSON") };
        let thumbprint = URL_SAFE_NO_PAD.encode(openssl(dir, &["dgst", "-sha256", "-binary", "cert.der"]));
        assert_eq!(part(header), json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint}));
        let claims = part(claims);
        assert_eq!(claims["aud"], format!("{}/{}/oauth2/v2.0/token", simulator.origin(), tenant.tenant_id()));
        assert_eq!((&claims["iss"], &claims["sub"]), (&json!(tenant.client_id()), &json!(tenant.client_id())));
        let time = |name: &str| claims[name].as_i64().expect("a time");
        assert!(time("exp") - time("nbf") <= 600 && time("iat") == time("nbf"), "{claims}");
    }
}

/// Asks for a token by this assertion; status and AADSTS code.
async fn present(simulator: &Simulator, tenant: &Tenant, assertion: &str) -> (u16, u64) {
    let origin = simulator.origin();
    let body = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("client_id", tenant.client_id())
        .append_pair("scope", &format!("{origin}/.default"))
        .append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
        .append_pair("client_assertion", assertion)
        .finish();
    let answer = reqwest::Client::new()
        .post(format!("{origin}/{}/oauth2/v2.0/token", tenant.tenant_id()))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
        .send()
        .await
        .expect("an answer");
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.expect("JSON");
    (status, body["error_codes"][0].as_u64().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_simulator_refuses_what_entra_refuses() {
    let simulator = Simulator::start_local().await.expect("a simulator");
    let tenant = simulator.add_tenant(calm(613));
    let ((certificate, key), (_, other)) = (certificate(90), certificate(90));
    assert!(tenant.add_certificate(&certificate));
    let (_, pem) = x509_parser::pem::parse_x509_pem(certificate.as_bytes()).expect("PEM");
    let print = |algorithm| Some(URL_SAFE_NO_PAD.encode(digest(algorithm, &pem.contents)));
    let now = tenant.now().as_second();
    let good = json!({
        "aud": format!("{}/{}/oauth2/v2.0/token", simulator.origin(), tenant.tenant_id()),
        "iss": tenant.client_id(), "sub": tenant.client_id(), "nbf": now, "exp": now + 300,
    });
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let sign = |header: Header, mut claims: Value, key: &str| {
        if claims.get("jti").is_none() {
            claims["jti"] = uuid::Uuid::new_v4().to_string().into();
        }
        let key = EncodingKey::from_rsa_pem(key.as_bytes()).expect("a key");
        jsonwebtoken::encode(&header, &claims, &key).expect("an assertion")
    };
    let new = || Header { x5t_s256: print(&SHA256), ..Header::new(Algorithm::PS256) };
    let old = || Header { x5t: print(&SHA1_FOR_LEGACY_USE_ONLY), ..Header::new(Algorithm::RS256) };
    let unknown = || Header { x5t_s256: Some("AAAA".into()), ..new() };
    for (what, assertion, expected) in [
        ("good", sign(new(), good.clone(), &key), (200, 0)),
        ("the old manner", sign(old(), good.clone(), &key), (200, 0)),
        ("a clock four minutes off", sign(new(), with("nbf", json!(now + 240)), &key), (200, 0)),
        ("no thumbprint", sign(Header::new(Algorithm::PS256), good.clone(), &key), (401, 700_027)),
        ("an unknown thumbprint", sign(unknown(), good.clone(), &key), (401, 700_027)),
        ("another key", sign(new(), good.clone(), &other), (401, 700_027)),
        ("another algorithm", sign(Header { alg: Algorithm::RS512, ..new() }, good.clone(), &key), (401, 50_012)),
        ("another audience", sign(new(), with("aud", json!("https://example.com")), &key), (401, 700_023)),
        ("another subject", sign(new(), with("sub", json!("somebody")), &key), (401, 700_021)),
        ("too old", sign(new(), with("exp", json!(now - 301)), &key), (401, 700_024)),
        ("too early", sign(new(), with("nbf", json!(now + 400)), &key), (401, 700_024)),
        ("no jti", sign(new(), with("jti", json!("")), &key), (401, 50_013)),
        ("the first time", sign(new(), with("jti", json!("once")), &key), (200, 0)),
        ("the second time", sign(new(), with("jti", json!("once")), &key), (401, 50_013)),
        ("an unknown issuer", sign(Header::new(Algorithm::RS256), with("iss", json!("https://issuer.example")), &key), (401, 70_021)),
        ("no assertion at all", "a.b.c".into(), (401, 50_027)),
    ] {
        assert_eq!(present(&simulator, &tenant, &assertion).await, expected, "{what}");
    }
    let mut tampered = sign(new(), good.clone(), &key);
    let signature = tampered.rfind('.').expect("a signature") + 1;
    let flipped = if &tampered[signature..=signature] == "A" { "B" } else { "A" };
    tampered.replace_range(signature..=signature, flipped);
    assert_eq!(present(&simulator, &tenant, &tampered).await, (401, 700_027));
}
