//! Federated tokens: a file that another issuer keeps current, such as the service account token of a pod.
//! <https://learn.microsoft.com/entra/workload-id/workload-identity-federation>

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use crate::graph::error::GraphError;

/// The token in the file, as it stands there now.
pub(super) fn read(path: &Path) -> Result<SecretString, GraphError> {
    let place = path.display();
    let text = std::fs::read_to_string(path)
        .map(SecretString::from)
        .map_err(|e| GraphError::secret(format!("cannot read the federated token from {place}: {e}")))?;
    let token = text.expose_secret().trim();
    let parts: Vec<&str> = token.split('.').collect();
    if parts.len() != 3 || parts.iter().any(|part| part.is_empty() || part.contains(char::is_whitespace)) {
        let what = if token.is_empty() { "is empty" } else { "holds no token: expected a signed JWT, three parts with dots between them" };
        return Err(GraphError::secret(format!("the federated token file {place} {what}")));
    }
    Ok(SecretString::from(token))
}
