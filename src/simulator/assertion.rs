//! Checks client assertions as Entra does: who signed, for whom, when, and never twice. Knows no token.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde::Deserialize;

use super::credentials::Credentials;

/// Clocks may differ so much, seconds.
const SKEW: i64 = 300;

/// A refusal: AADSTS number and what happened.
pub(super) type Refused = (u32, String);

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    exp: i64,
    nbf: Option<i64>,
    jti: Option<String>,
}

struct Assertion<'a> {
    header: jsonwebtoken::Header,
    claims: Claims,
    message: &'a str,
    signature: &'a str,
}

impl Assertion<'_> {
    fn is_signed_by(&self, key: &DecodingKey) -> bool {
        crypto::verify(self.signature, self.message.as_bytes(), key, self.header.alg) == Ok(true)
    }
}

/// What is asked: by which app, at which token URLs (by id and by domain), at which time.
pub(super) struct Asked<'a> {
    pub client_id: &'a str,
    pub token_urls: &'a [String],
    pub now: i64,
}

/// Checks an assertion, and remembers it.
pub(super) fn check(text: &str, asked: &Asked<'_>, known: &mut Credentials) -> Result<(), Refused> {
    let assertion = read(text).ok_or_else(|| (50_027, "JWT token is invalid or malformed.".to_owned()))?;
    if assertion.claims.iss == asked.client_id || assertion.header.x5t.is_some() || assertion.header.x5t_s256.is_some() {
        own(&assertion, asked, known)?;
    } else {
        foreign(&assertion, asked.now, known)?;
    }
    known.last_assertion = Some(text.to_owned());
    Ok(())
}

fn read(text: &str) -> Option<Assertion<'_>> {
    let (message, signature) = text.rsplit_once('.')?;
    let (header, claims) = message.split_once('.')?;
    Some(Assertion {
        header: jsonwebtoken::Header { typ: Some("JWT".into()), ..serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()? },
        claims: serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?,
        message,
        signature,
    })
}

fn in_time(claims: &Claims, now: i64) -> Result<(), Refused> {
    let from = claims.nbf.unwrap_or(now);
    if now + SKEW >= from && now - SKEW < claims.exp {
        return Ok(());
    }
    let text = format!(
        "Client assertion is not within its valid time range. Current time: {now}, assertion valid from {from}, expiry time of assertion {}.",
        claims.exp
    );
    Err((700_024, text))
}

/// The app's own, signed with the key of one of its certificates.
fn own(assertion: &Assertion<'_>, asked: &Asked<'_>, known: &mut Credentials) -> Result<(), Refused> {
    let Assertion { header, claims, .. } = assertion;
    let thumbprint = header.x5t_s256.as_deref().or(header.x5t.as_deref()).unwrap_or_default();
    let unusable = |reason: &str| {
        let text = format!(
            "The certificate with identifier used to sign the client assertion is not registered on application. [Reason - {reason}, \
             Thumbprint of key used by client: '{thumbprint}']"
        );
        Err((700_027, text))
    };
    if !matches!(header.alg, Algorithm::PS256 | Algorithm::RS256) {
        return Err((50_012, "Authentication failed: the algorithm of the client assertion is not accepted.".into()));
    }
    let named = known.certificates.iter().find(|c| c.is_named(header.x5t_s256.as_deref(), header.x5t.as_deref()));
    let Some(certificate) = named else { return unusable("The key was not found.") };
    if !assertion.is_signed_by(&certificate.key) {
        return unusable("The provided signature value did not match the expected signature value.");
    }
    if certificate.not_after <= asked.now {
        return unusable("The key used is expired.");
    }
    if claims.iss != asked.client_id || claims.sub != asked.client_id {
        return Err((700_021, "Client assertion application identifier doesn't match 'client_id' parameter.".into()));
    }
    if !asked.token_urls.contains(&claims.aud) {
        return Err((700_023, format!("Client assertion audience claim does not match Realm issuer. Audience: '{}'.", claims.aud)));
    }
    in_time(claims, asked.now)?;
    let Some(jti) = claims.jti.as_deref().filter(|jti| !jti.is_empty()) else {
        return Err((50_013, "Assertion failed validation: it has no 'jti'.".into()));
    };
    known.seen.retain(|_, end| *end + SKEW > asked.now);
    if known.seen.insert(jti.to_owned(), claims.exp).is_some() {
        return Err((50_013, "Assertion failed validation: it was used before.".into()));
    }
    Ok(())
}

/// Another issuer's, which the app registration trusts for one subject.
fn foreign(assertion: &Assertion<'_>, now: i64, known: &Credentials) -> Result<(), Refused> {
    let Assertion { header, claims, .. } = assertion;
    let same = |c: &&super::credentials::FederatedCredential| c.issuer == claims.iss && c.subject == claims.sub;
    let fitting = known.federated.iter().find(same).filter(|c| c.audience == claims.aud);
    let Some(credential) = fitting else {
        let text = format!(
            "No matching federated identity record found for presented assertion. Assertion Issuer: '{}'. Assertion Subject: '{}'. Assertion \
             Audience: '{}'.",
            claims.iss, claims.sub, claims.aud
        );
        return Err((70_021, text));
    };
    let key = DecodingKey::from_rsa_pem(credential.public_key.as_bytes());
    if header.alg != Algorithm::RS256 || !key.is_ok_and(|key| assertion.is_signed_by(&key)) {
        return Err((50_013, "Assertion failed signature validation.".into()));
    }
    in_time(claims, now)
}
