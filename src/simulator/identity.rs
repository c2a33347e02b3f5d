//! The managed-identity endpoints of a virtual machine and of an App Service, with their errors and their figures as text.
//! <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>

use serde_json::json;
use std::sync::atomic::Ordering;

use super::answer::Answer;
use super::tenant::Tenant;
use super::token;

fn refuse(status: u16, error: &str, description: &str) -> Answer {
    Answer::ok(&json!({"error": error, "error_description": description})).with_status(status)
}

/// What came with a request.
pub(super) struct Asked<'a> {
    pub query: &'a str,
    /// `Metadata`.
    pub metadata: &'a str,
    /// `X-IDENTITY-HEADER`.
    pub secret: &'a str,
    /// Origin of Graph.
    pub origin: &'a str,
    /// `/msi/token` rather than the metadata service.
    pub app_service: bool,
}

/// Answers for the tenant that the machine belongs to.
pub(super) fn answer(tenant: Option<&Tenant>, asked: &Asked<'_>) -> Answer {
    let identity = tenant.and_then(|tenant| tenant.credentials().identity.clone());
    let (Some(tenant), Some(identity)) = (tenant, identity) else { return refuse(400, "invalid_request", "Identity not found") };
    tenant.credentials().asked += 1;
    let field =
        |name: &str| url::form_urlencoded::parse(asked.query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let version = field("api-version").unwrap_or_default();
    match (&identity.header, asked.app_service) {
        (None, false) if asked.metadata != "true" => return refuse(400, "bad_request_102", "Required metadata header not specified"),
        (None, false) if version.as_str() < "2018-02-01" => {
            return refuse(400, "invalid_request", "The requested api-version is not supported");
        }
        (Some(header), true) if asked.secret != header => {
            return refuse(401, "unauthorized", "The X-IDENTITY-HEADER is not the one of this app");
        }
        (Some(_), true) if version != "2019-08-01" => {
            return refuse(400, "unsupported_version", "The requested api-version is not supported");
        }
        (None, true) | (Some(_), false) => return Answer::error(403, "Forbidden", "No such endpoint on this machine."),
        _ => {}
    }
    let resource = field("resource").unwrap_or_default();
    if resource.trim_end_matches('/') != asked.origin {
        let text = format!("AADSTS50001: The application named {resource} was not found in the tenant.");
        return refuse(400, "invalid_resource", &text);
    }
    // The one of the system is asked for without an id, a user-assigned one by its own.
    if field("client_id") != identity.client_id {
        return refuse(400, "invalid_request", "Identity not found");
    }
    let life = tenant.shared.token_life.load(Ordering::Relaxed);
    let (access_token, ends) = token::issue(tenant);
    let mut body = json!({
        "access_token": access_token, "expires_on": ends.to_string(), "resource": resource, "token_type": "Bearer",
    });
    if asked.app_service {
        body["client_id"] = identity.client_id.unwrap_or_default().into();
    } else {
        body["expires_in"] = life.to_string().into();
        body["not_before"] = (tenant.now().as_second() - 300).to_string().into();
    }
    Answer::ok(&body)
}
