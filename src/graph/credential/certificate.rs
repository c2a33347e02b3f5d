//! Certificate credentials: a PEM file with an RSA key signs a short-lived statement of who asks.
//! <https://learn.microsoft.com/entra/identity-platform/certificate-credentials>

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, crypto};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::Statement;
use crate::graph::error::GraphError;

/// How long an assertion is good. It is sent at once; Microsoft advises five to ten minutes.
const LIFE: Duration = Duration::from_secs(5 * 60);

/// Whom a certificate names and when it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateInfo {
    pub subject: String,
    /// As the Entra admin center shows it under Certificates & secrets: SHA-1 in hexadecimal.
    pub thumbprint: String,
    pub not_before: SystemTime,
    pub not_after: SystemTime,
}

#[derive(Serialize)]
struct Claims<'c> {
    aud: &'c str,
    iss: &'c str,
    sub: &'c str,
    jti: String,
    nbf: u64,
    iat: u64,
    exp: u64,
}

struct Pair {
    key: EncodingKey,
    der: Vec<u8>,
    info: CertificateInfo,
}

/// Reads the file; what it names fits together.
pub(super) fn info(path: &Path) -> Result<CertificateInfo, GraphError> {
    Ok(load(path)?.info)
}

/// A new assertion, and when the certificate that signed it ends.
pub(super) fn assertion(path: &Path, statement: &Statement<'_>) -> Result<(SecretString, SystemTime), GraphError> {
    let pair = load(path)?;
    if pair.info.not_after <= statement.now {
        let ended = jiff::Timestamp::try_from(pair.info.not_after).map(|at| at.to_string()).unwrap_or_default();
        return Err(GraphError::secret(format!(
            "the certificate in {} ended on {ended}: make a new one, upload it under App registrations > your app > Certificates & secrets, \
             and write it to the same file",
            path.display()
        )));
    }
    let now = statement.now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let claims = Claims {
        aud: statement.audience,
        iss: statement.client_id,
        sub: statement.client_id,
        jti: uuid::Uuid::new_v4().to_string(),
        nbf: now,
        iat: now,
        exp: now + LIFE.as_secs(),
    };
    let mut header = Header::new(Algorithm::PS256);
    header.x5t_s256 = Some(URL_SAFE_NO_PAD.encode(digest(&SHA256, &pair.der)));
    let token = jsonwebtoken::encode(&header, &claims, &pair.key)
        .map_err(|e| GraphError::secret(format!("the private key in {} signs nothing: {e}", path.display())))?;
    Ok((SecretString::from(token), pair.info.not_after))
}

fn load(path: &Path) -> Result<Pair, GraphError> {
    let place = path.display();
    let text = std::fs::read_to_string(path)
        .map(SecretString::from)
        .map_err(|e| GraphError::secret(format!("cannot read the certificate from {place}: {e}")))?;
    parse(text.expose_secret()).map_err(|what| GraphError::secret(format!("{place} {what}")))
}

/// The key, and the certificate that belongs to it; a file may hold the certificates above it too.
fn parse(text: &str) -> Result<Pair, String> {
    let blocks = blocks(text);
    if blocks.is_empty() {
        return Err(
            "is no PEM file: expected a block -----BEGIN CERTIFICATE----- and one with the private key (a PFX file is made one by \
                    `openssl pkcs12 -in app.pfx -nodes -out app.pem`)"
                .into(),
        );
    }
    let labelled = |wanted: &[&str]| blocks.iter().filter(|(label, _)| wanted.contains(label)).map(|(_, block)| *block).collect::<Vec<_>>();
    let certificates = labelled(&["CERTIFICATE"]);
    if certificates.is_empty() {
        return Err("holds no certificate: expected a block -----BEGIN CERTIFICATE----- beside the key".into());
    }
    let key = match labelled(&["PRIVATE KEY", "RSA PRIVATE KEY"])[..] {
        [key] => key,
        [] if !labelled(&["ENCRYPTED PRIVATE KEY"]).is_empty() => {
            return Err("holds an encrypted key: store it decrypted (`openssl pkey -in app.key`), in a file with mode 0600".into());
        }
        [] if !labelled(&["EC PRIVATE KEY"]).is_empty() => {
            return Err("holds an EC key: Entra wants an RSA key of 2048 bits or more".into());
        }
        [] => return Err("holds no private key: expected a block -----BEGIN PRIVATE KEY----- beside the certificate".into()),
        _ => return Err("holds more than one private key: expected one".into()),
    };
    let key = EncodingKey::from_rsa_pem(key.as_bytes()).map_err(|_| "holds a private key that is not an RSA key in PKCS#8 or PKCS#1")?;
    const PROBE: &[u8] = b"does this key belong to this certificate?";
    let probe = crypto::sign(PROBE, &key, Algorithm::PS256)
        .map_err(|_| "holds a private key that signs nothing: RSA of 2048 bits or more is expected")?;
    for block in certificates {
        let (_, pem) = x509_parser::pem::parse_x509_pem(block.as_bytes()).map_err(|_| "holds a certificate that cannot be read")?;
        let (_, certificate) = X509Certificate::from_der(&pem.contents).map_err(|_| "holds a certificate that cannot be read")?;
        let public = DecodingKey::from_rsa_der(&certificate.public_key().subject_public_key.data);
        if crypto::verify(&probe, PROBE, &public, Algorithm::PS256) != Ok(true) {
            continue;
        }
        let time = |seconds: i64| UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        let sha1 = digest(&SHA1_FOR_LEGACY_USE_ONLY, &pem.contents);
        let info = CertificateInfo {
            subject: certificate.subject().to_string(),
            thumbprint: sha1.as_ref().iter().map(|byte| format!("{byte:02X}")).collect(),
            not_before: time(certificate.validity().not_before.timestamp()),
            not_after: time(certificate.validity().not_after.timestamp()),
        };
        return Ok(Pair { key, der: pem.contents, info });
    }
    Err("holds a certificate and a private key that do not belong together".into())
}

/// The blocks of a PEM text: label, and the block with its marks.
fn blocks(text: &str) -> Vec<(&str, &str)> {
    const BEGIN: &str = "-----BEGIN ";
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(BEGIN) {
        let from = &rest[at..];
        let Some((label, _)) = from[BEGIN.len()..].split_once("-----") else { break };
        let end = format!("-----END {label}-----");
        let Some(stop) = from.find(&end).map(|stop| stop + end.len()) else { break };
        found.push((label, &from[..stop]));
        rest = &from[stop..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};

    fn pair() -> (String, String) {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key");
        let certificate = CertificateParams::new(Vec::new()).expect("parameters").self_signed(&key).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        let ((certificate, key), (other, _)) = (pair(), pair());
        let says = |text: &str, what: &str| {
            let error = parse(text).err().unwrap_or_default();
            assert!(error.contains(what), "{what}: {error}");
            assert!(!error.contains("MII"), "{error}");
        };
        says("", "no PEM file");
        says("\u{0}\u{1}binary", "no PEM file");
        says("-----BEGIN CERTIFICATE-----\nAAAA", "no PEM file");
        says(&certificate, "no private key");
        says(&key, "no certificate");
        says(&format!("{certificate}{key}{key}"), "more than one");
        says(&format!("{other}{key}"), "do not belong together");
        says(&format!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n{key}"), "cannot be read");
        says(&format!("{certificate}-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"), "not an RSA key");
        says(&format!("{certificate}-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----"), "RSA key of 2048");
        says(&format!("{certificate}-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----"), "decrypted");
        // The order does not matter, and certificates above it may be there too.
        for text in [format!("{certificate}{key}"), format!("{key}{certificate}"), format!("{other}{certificate}{key}")] {
            let pair = parse(&text).map_err(|e| e.to_string()).expect("a pair");
            assert_eq!(pair.info.thumbprint.len(), 40);
        }
    }
}
