//! Credentials: exactly one an app, and files that only the right people can change. Reads modes, and a certificate's end; never a secret.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use super::raw::RawApp;
use super::validate::Checks;
use crate::graph::{Credential, EXPIRY_WARNING, SecretSource};

/// Checks an app's section; `key` is where it stands. Gives the client id, or a word for a managed identity that has none written.
pub(super) fn app(app: &RawApp, key: &str, folder: &Path, checks: &mut Checks) -> Option<(String, Credential)> {
    let named: Vec<&str> = [
        ("client_secret_file", app.client_secret_file.is_some()),
        ("client_secret_env", app.client_secret_env.is_some()),
        ("certificate_file", app.certificate_file.is_some()),
        ("federated_token_file", app.federated_token_file.is_some()),
        ("managed_identity", app.managed_identity == Some(true)),
    ]
    .into_iter()
    .filter_map(|(name, set)| set.then_some(name))
    .collect();
    let identity = named.contains(&"managed_identity");
    let client_id = client_id(app, key, identity, checks);
    let at = |name: &str| format!("{key}.{name}");
    let credential = match named[..] {
        [] => {
            checks.wrong(
                key,
                "names no credential: set client_secret_file, client_secret_env, certificate_file, federated_token_file or managed_identity",
            );
            None
        }
        [_] => match app {
            RawApp { client_secret_file: Some(file), .. } => {
                let file = folder.join(file);
                is_safe(&file, &at("client_secret_file"), Readers::One, checks).then(|| SecretSource::File(file).into())
            }
            RawApp { client_secret_env: Some(name), .. } if !name.is_empty() => Some(SecretSource::Env(name.clone()).into()),
            RawApp { client_secret_env: Some(_), .. } => {
                checks.wrong(&at("client_secret_env"), "is empty: name the environment variable that holds the secret");
                None
            }
            RawApp { certificate_file: Some(file), .. } => certificate(&folder.join(file), &at("certificate_file"), checks),
            RawApp { federated_token_file: Some(file), .. } => {
                let file = folder.join(file);
                // Whoever writes the token decides who may read it; a container's is often readable by all in it.
                is_safe(&file, &at("federated_token_file"), Readers::Any, checks).then_some(Credential::FederatedToken(file))
            }
            _ => Some(Credential::ManagedIdentity { client_id: app.managed_identity_client_id.clone() }),
        },
        _ => {
            checks.wrong(key, format!("names {} credentials ({}): exactly one is allowed", named.len(), named.join(", ")));
            None
        }
    };
    Some((client_id?, credential?))
}

fn client_id(app: &RawApp, key: &str, identity: bool, checks: &mut Checks) -> Option<String> {
    let own = app.client_id.as_deref().map(str::trim);
    let of_identity = app.managed_identity_client_id.as_deref().map(str::trim);
    let is_guid = |id: &str| uuid::Uuid::parse_str(id).is_ok();
    match (identity, own, of_identity) {
        (true, Some(_), _) => {
            checks.wrong(
                &format!("{key}.client_id"),
                "is not used with managed_identity: a user-assigned identity is named with managed_identity_client_id",
            );
            None
        }
        (false, _, Some(_)) => {
            checks.wrong(&format!("{key}.managed_identity_client_id"), "is only used with managed_identity = true");
            None
        }
        (true, None, None) => Some("system-assigned".into()),
        (true, None, Some(id)) if is_guid(id) => Some(id.to_owned()),
        (true, None, Some(id)) => {
            checks.wrong(
                &format!("{key}.managed_identity_client_id"),
                format!("{id:?} is not a client id; copy the Client ID of the user-assigned managed identity, a GUID"),
            );
            None
        }
        (false, Some(id), None) if is_guid(id) => Some(id.to_owned()),
        (false, Some(id), None) => {
            checks.wrong(
                &format!("{key}.client_id"),
                format!("{id:?} is not a client id; copy the Application (client) ID of the app registration, a GUID"),
            );
            None
        }
        (false, None, None) => {
            checks.wrong(&format!("{key}.client_id"), "is missing: the Application (client) ID of the app registration");
            None
        }
    }
}

fn certificate(file: &Path, key: &str, checks: &mut Checks) -> Option<Credential> {
    if !is_safe(file, key, Readers::One, checks) {
        return None;
    }
    let credential = Credential::Certificate(file.to_owned());
    let info = match credential.certificate()? {
        Ok(info) => info,
        Err(error) => {
            checks.wrong(key, error.to_string());
            return None;
        }
    };
    let end = jiff::Timestamp::try_from(info.not_after).map(|at| at.to_string()).unwrap_or_default();
    match info.not_after.duration_since(SystemTime::now()) {
        Err(_) => {
            let what = "make a new one, upload it under App registrations > your app > Certificates & secrets, and write it to this file";
            checks.wrong(key, format!("the certificate in {} ended on {end}: {what}", file.display()));
            return None;
        }
        Ok(left) if left <= EXPIRY_WARNING => {
            let days = left.as_secs() / (24 * 3600);
            checks.warn(format!(
                "the certificate in {} ends on {end}, in {days} days: upload a new one under Certificates & secrets, then write it to this file",
                file.display()
            ));
        }
        Ok(_) => {}
    }
    Some(credential)
}

/// Who may read a file without a warning.
#[derive(PartialEq)]
enum Readers {
    One,
    Any,
}

/// Nobody else can change it.
fn is_safe(file: &Path, key: &str, readers: Readers, checks: &mut Checks) -> bool {
    match std::fs::metadata(file) {
        Err(error) => {
            checks.wrong(key, format!("{} cannot be read: {error}", file.display()));
            return false;
        }
        Ok(meta) if !meta.is_file() && meta.is_dir() => {
            checks.wrong(key, format!("{} is a directory, not a file with the credential", file.display()));
            return false;
        }
        Ok(meta) if meta.mode() & 0o022 != 0 => {
            checks.wrong(
                key,
                format!("others can write {} (mode {:o}): chmod 600 it, and exchange the credential", file.display(), meta.mode() & 0o777),
            );
            return false;
        }
        // systemd shows its credentials to one service only, whatever the mode bits of its ACL look like.
        Ok(_) if std::env::var_os("CREDENTIALS_DIRECTORY").is_some_and(|folder| file.starts_with(folder)) => {}
        Ok(meta) if meta.mode() & 0o044 != 0 && readers == Readers::One => {
            checks.warn(format!("others can read {} (mode {:o}): chmod 600 it", file.display(), meta.mode() & 0o777));
        }
        Ok(_) => {}
    }
    true
}
