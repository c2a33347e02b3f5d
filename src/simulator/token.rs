//! The token endpoint, with Entra's errors. Tokens carry what was consented when they were issued and end by the tenant's clock.

use serde_json::{Value, json};
use std::sync::atomic::Ordering;

use super::answer::Answer;
use super::assertion;
use super::tenant::Tenant;

const SEPARATOR: char = '.';

fn refuse(status: u16, error: &str, code: u32, message: &str) -> Answer {
    let (trace, correlation) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
    let at = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%SZ").to_string();
    let body = json!({
        "error": error,
        "error_description": format!("AADSTS{code}: {message} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {at}"),
        "error_codes": [code],
        "timestamp": at,
        "trace_id": trace.to_string(),
        "correlation_id": correlation.to_string(),
        "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
    });
    Answer::ok(&body).with_status(status)
}

/// A refusal by a fault, named by its AADSTS number; without one the service is busy.
pub(super) fn fault(status: u16, code: &str, message: &str) -> Answer {
    let number: u32 = code.parse().unwrap_or(90_033);
    // That a refusal passes is told by the word in one case, in the others by the number alone.
    let error = if number == 90_033 { "temporarily_unavailable" } else { "invalid_request" };
    refuse(status, error, number, message)
}

/// Answers a token request for `tenant_name`, the tenant in the path; `tenant` is the one that has it.
pub(super) fn answer(tenant_name: &str, tenant: Option<&Tenant>, form: &[(String, String)], origin: &str) -> Answer {
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    if matches!(tenant_name, "common" | "consumers") {
        return refuse(400, "invalid_request", 9_001_023, "The grant type is not supported over the /common or /consumers endpoints.");
    }
    let Some(tenant) = tenant else {
        let message = format!(
            "Tenant '{tenant_name}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud."
        );
        return refuse(400, "invalid_request", 90_002, &message);
    };
    for name in ["grant_type", "scope"] {
        if field(name).is_empty() {
            let message = format!("The request body must contain the following parameter: '{name}'.");
            return refuse(400, "invalid_request", 900_144, &message);
        }
    }
    if field("grant_type") != "client_credentials" {
        return refuse(400, "unsupported_grant_type", 70_003, "The app requested an unsupported grant type.");
    }
    tenant.credentials().asked += 1;
    let (client_id, secret) = (field("client_id"), field("client_secret"));
    if client_id != tenant.client_id() {
        let message =
            format!("Application with identifier '{client_id}' was not found in the directory '{}'.", tenant.shared.options.display_name);
        return refuse(400, "unauthorized_client", 700_016, &message);
    }
    if !field("client_assertion").is_empty() {
        if field("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
            let message = "The request body must contain the following parameter: 'client_assertion_type'.";
            return refuse(400, "invalid_request", 900_144, message);
        }
        let urls =
            [tenant_name, tenant.tenant_id(), &tenant.shared.options.domain].map(|name| format!("{origin}/{name}/oauth2/v2.0/token"));
        let asked = assertion::Asked { client_id, token_urls: &urls, now: tenant.now().as_second() };
        let checked = assertion::check(field("client_assertion"), &asked, &mut tenant.credentials());
        if let Err((code, message)) = checked {
            return refuse(401, word(code), code, &message);
        }
    } else if secret.is_empty() {
        let message = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
        return refuse(401, "invalid_client", 7_000_218, message);
    } else if secret != tenant.client_secret() {
        let message = "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID.";
        return refuse(401, "invalid_client", 7_000_215, message);
    }
    if field("scope") != format!("{origin}/.default") {
        let message =
            format!("The provided value for the input parameter 'scope' is not valid. The scope {} is not valid.", field("scope"));
        return refuse(400, "invalid_scope", 70_011, &message);
    }
    tenant.shared.tokens_issued.fetch_add(1, Ordering::Relaxed);
    let life = tenant.shared.token_life.load(Ordering::Relaxed);
    Answer::ok(&json!({
        "token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": issue(tenant).0,
    }))
}

/// A new token, and its end in Unix seconds.
pub(super) fn issue(tenant: &Tenant) -> (String, i64) {
    let life = tenant.shared.token_life.load(Ordering::Relaxed);
    let expires = tenant.now().as_second() + i64::try_from(life).unwrap_or(i64::MAX / 2);
    let token = [
        "sim".to_owned(),
        tenant.tenant_id().to_owned(),
        expires.to_string(),
        tenant.permissions().join(" ").replace(SEPARATOR, "~").replace(' ', "_"),
        tenant.credentials().generation.to_string(),
        uuid::Uuid::new_v4().simple().to_string(),
    ];
    (token.join(&SEPARATOR.to_string()), expires)
}

/// Whether it was revoked since.
pub(super) fn is_revoked(bearer: &str, tenant: &Tenant) -> bool {
    let generation = bearer.split(SEPARATOR).nth(4).and_then(|text| text.parse().ok());
    generation.is_none_or(|generation: u64| generation < tenant.credentials().generation)
}

/// The word of OAuth that goes with a code.
pub(super) fn word(code: u32) -> &'static str {
    match code {
        90_055 | 90_024 | 90_033 | 90_006 | 90_090 | 90_012 => "temporarily_unavailable",
        7_000_215 | 7_000_222 | 7_000_218 | 50_012 | 700_027 | 700_024 | 700_021 | 700_023 | 70_021 => "invalid_client",
        700_016 | 7_000_112 => "unauthorized_client",
        70_011 | 28_002 | 700_022 => "invalid_scope",
        500_011 | 50_001 => "invalid_resource",
        65_001 | 65_004 | 90_094 | 50_013 => "invalid_grant",
        53_003 | 530_032 => "access_denied",
        _ => "invalid_request",
    }
}

/// Whose token it is: tenant id, end in Unix seconds, permissions.
pub(super) fn read(bearer: &str) -> Option<(String, i64, Vec<String>)> {
    let mut parts = bearer.split(SEPARATOR);
    let (sim, tenant, expires, roles) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let roles = roles.split('_').filter(|r| !r.is_empty()).map(|role| role.replace('~', ".")).collect();
    (sim == "sim").then_some((tenant.to_owned(), expires.parse().ok()?, roles))
}

/// Graph's answer to a request without a good token.
pub(super) fn unauthorized(message: &str) -> Answer {
    Answer::error(401, "InvalidAuthenticationToken", message).with_header(
        "www-authenticate",
        "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\"",
    )
}

/// For the list of tenants that the control interface gives.
pub(super) fn describe(tenant: &Tenant) -> Value {
    json!({
        "name": tenant.name(), "tenant_id": tenant.tenant_id(), "domain": tenant.shared.options.domain, "client_id": tenant.client_id(),
        "client_secret": tenant.client_secret(), "people": tenant.shared.options.people, "permissions": tenant.permissions(),
    })
}
