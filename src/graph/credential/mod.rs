//! What an app proves itself with: a secret, a certificate, a token of another issuer, or the identity of the machine. Read anew for each
//! token, so that what was exchanged needs no restart. <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>

mod certificate;
mod federated;
pub(super) mod managed_identity;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use secrecy::SecretString;

use super::error::GraphError;

pub use certificate::CertificateInfo;

/// A credential whose end is nearer than this is told.
pub const EXPIRY_WARNING: Duration = Duration::from_secs(30 * 24 * 3600);

/// Where a client secret comes from.
#[derive(Clone, Debug)]
pub enum SecretSource {
    File(PathBuf),
    Env(String),
    /// For a simulated tenant.
    Value(SecretString),
}

/// A credential that Entra accepts for an app without a user. Holds where it is found, not what it is.
#[derive(Clone, Debug)]
pub enum Credential {
    Secret(SecretSource),
    /// A PEM file with the certificate and its private key (RSA).
    Certificate(PathBuf),
    /// A file with a token of an issuer that the app registration trusts.
    FederatedToken(PathBuf),
    /// The managed identity of this virtual machine or App Service.
    ManagedIdentity {
        /// Of a user-assigned identity; `None` = the system-assigned one.
        client_id: Option<String>,
    },
}

impl From<SecretSource> for Credential {
    fn from(source: SecretSource) -> Credential {
        Credential::Secret(source)
    }
}

/// What is sent to the token endpoint as proof.
pub(super) enum Proof {
    Secret(SecretString),
    /// A signed statement.
    Assertion {
        token: SecretString,
        /// End of the certificate that signed it.
        not_after: Option<SystemTime>,
    },
}

/// What an own assertion is about.
pub(super) struct Statement<'s> {
    pub client_id: &'s str,
    /// The tenant's token URL.
    pub audience: &'s str,
    /// The service's time.
    pub now: SystemTime,
}

impl Credential {
    /// Its kind and where it comes from, which is no secret.
    pub fn place(&self) -> String {
        match self {
            Credential::Secret(SecretSource::File(path)) => path.display().to_string(),
            Credential::Secret(SecretSource::Env(name)) => format!("${name}"),
            Credential::Secret(SecretSource::Value(_)) => "a value".into(),
            Credential::Certificate(path) => format!("certificate {}", path.display()),
            Credential::FederatedToken(path) => format!("federated token {}", path.display()),
            Credential::ManagedIdentity { client_id } => format!("managed identity {}", client_id.as_deref().unwrap_or("of the system")),
        }
    }

    /// The certificate, when it is one: whom it names and when it ends. Reads the file and compares it with its key.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn certificate(&self) -> Option<Result<CertificateInfo, GraphError>> {
        match self {
            Credential::Certificate(path) => Some(certificate::info(path)),
            _ => None,
        }
    }

    /// The proof for one request; `None` for a managed identity, which sends none.
    pub(super) fn proof(&self, statement: &Statement<'_>) -> Result<Option<Proof>, GraphError> {
        Ok(Some(match self {
            Credential::Secret(source) => Proof::Secret(read_secret(source)?),
            Credential::Certificate(path) => {
                let (token, not_after) = certificate::assertion(path, statement)?;
                Proof::Assertion { token, not_after: Some(not_after) }
            }
            Credential::FederatedToken(path) => Proof::Assertion { token: federated::read(path)?, not_after: None },
            Credential::ManagedIdentity { .. } => return Ok(None),
        }))
    }
}

fn read_secret(source: &SecretSource) -> Result<SecretString, GraphError> {
    let (text, from) = match source {
        SecretSource::File(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|e| GraphError::secret(format!("cannot read the client secret from {}: {e}", path.display())))?;
            (SecretString::from(text), path.display().to_string())
        }
        SecretSource::Env(name) => {
            let text = std::env::var(name)
                .map_err(|_| GraphError::secret(format!("the environment variable {name} (client_secret_env) is not set")))?;
            (SecretString::from(text), name.clone())
        }
        SecretSource::Value(secret) => return Ok(secret.clone()),
    };
    match secrecy::ExposeSecret::expose_secret(&text).trim() {
        "" => Err(GraphError::secret(format!("the client secret in {from} is empty"))),
        secret => Ok(SecretString::from(secret)),
    }
}
