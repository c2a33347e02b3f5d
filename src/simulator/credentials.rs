//! What a tenant knows of the app's credentials: certificates, trusted issuers, the identity of a machine; and what was asked with them.

use std::collections::HashMap;
use std::sync::{MutexGuard, PoisonError};

use aws_lc_rs::digest::{Algorithm as Digest, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::tenant::Tenant;

/// A federated identity credential of the app.
#[derive(Clone, Debug)]
pub struct FederatedCredential {
    pub issuer: String,
    pub subject: String,
    /// The one audience; Entra proposes `api://AzureADTokenExchange`.
    pub audience: String,
    /// The issuer's public key in PEM (RSA).
    pub public_key: String,
}

/// A certificate that was uploaded.
#[derive(Clone)]
pub(super) struct Certificate {
    der: Vec<u8>,
    pub key: DecodingKey,
    /// Unix seconds.
    pub not_after: i64,
}

impl Certificate {
    fn print(&self, algorithm: &'static Digest) -> String {
        URL_SAFE_NO_PAD.encode(digest(algorithm, &self.der))
    }

    /// Whether a header names it, by SHA-256 or, in the old manner, SHA-1.
    pub fn is_named(&self, sha256: Option<&str>, sha1: Option<&str>) -> bool {
        match (sha256, sha1) {
            (Some(print), _) => print == self.print(&SHA256),
            (None, Some(print)) => print == self.print(&SHA1_FOR_LEGACY_USE_ONLY),
            (None, None) => false,
        }
    }
}

/// The managed identity of the machine that the simulator stands for.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    /// Client id of a user-assigned one.
    pub client_id: Option<String>,
    /// `IDENTITY_HEADER` of an App Service; `None` on a virtual machine.
    pub header: Option<String>,
}

/// What a tenant knows.
#[derive(Default)]
pub(super) struct Credentials {
    pub certificates: Vec<Certificate>,
    pub federated: Vec<FederatedCredential>,
    pub identity: Option<Identity>,
    /// Assertions seen, by `jti`, with their end in Unix seconds.
    pub seen: HashMap<String, i64>,
    /// The last one that was accepted.
    pub last_assertion: Option<String>,
    /// Token requests answered, whatever the answer.
    pub asked: u64,
    /// Tokens of an older generation were revoked.
    pub generation: u64,
}

impl Tenant {
    pub(super) fn credentials(&self) -> MutexGuard<'_, Credentials> {
        self.shared.credentials.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Uploads a certificate (PEM) to the app registration; `false` when it cannot be read.
    pub fn add_certificate(&self, pem: &str) -> bool {
        let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(pem.as_bytes()) else { return false };
        let Ok((_, certificate)) = X509Certificate::from_der(&pem.contents) else { return false };
        let key = DecodingKey::from_rsa_der(&certificate.public_key().subject_public_key.data);
        let not_after = certificate.validity().not_after.timestamp();
        self.credentials().certificates.push(Certificate { der: pem.contents.clone(), key, not_after });
        true
    }

    /// Takes all certificates off the app registration.
    pub fn remove_certificates(&self) {
        self.credentials().certificates.clear();
    }

    /// Adds a federated credential to the app registration.
    pub fn add_federated_credential(&self, credential: FederatedCredential) {
        self.credentials().federated.push(credential);
    }

    /// Makes the machine a virtual machine in this tenant, with a system-assigned identity or this user-assigned one.
    pub fn set_virtual_machine(&self, client_id: Option<&str>) {
        self.credentials().identity = Some(Identity { client_id: client_id.map(str::to_owned), header: None });
    }

    /// Makes the machine an App Service in this tenant, whose `IDENTITY_HEADER` is this; `IDENTITY_ENDPOINT` is `/msi/token`.
    pub fn set_app_service(&self, client_id: Option<&str>, header: &str) {
        self.credentials().identity = Some(Identity { client_id: client_id.map(str::to_owned), header: Some(header.to_owned()) });
    }

    /// Token requests so far, refused ones included.
    pub fn token_requests(&self) -> u64 {
        self.credentials().asked
    }

    /// The last assertion that was accepted, to look at it with other eyes.
    pub fn last_assertion(&self) -> Option<String> {
        self.credentials().last_assertion.clone()
    }

    /// Graph refuses all tokens issued so far.
    pub fn revoke_tokens(&self) {
        self.credentials().generation += 1;
    }
}
