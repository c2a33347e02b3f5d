//! Credentials: exactly one an app, and files that only the right people can change. Reads modes, never a secret.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::raw::RawApp;
use super::validate::Checks;
use crate::graph::SecretSource;

/// Checks an app's section; `key` is where it stands.
pub(super) fn app(app: &RawApp, key: &str, folder: &Path, checks: &mut Checks) -> Option<(String, SecretSource)> {
    let client_id = match app.client_id.as_deref().map(str::trim) {
        Some(id) if uuid::Uuid::parse_str(id).is_ok() => Some(id.to_owned()),
        Some(id) => {
            checks.wrong(
                &format!("{key}.client_id"),
                format!("{id:?} is not a client id; copy the Application (client) ID of the app registration, a GUID"),
            );
            None
        }
        None => {
            checks.wrong(&format!("{key}.client_id"), "is missing: the Application (client) ID of the app registration");
            None
        }
    };
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
    let secret = match named[..] {
        [] => {
            checks.wrong(key, "names no credential: set client_secret_file or client_secret_env");
            None
        }
        [later @ ("certificate_file" | "federated_token_file" | "managed_identity")] => {
            let what = "is not done by this version yet; use client_secret_file or client_secret_env";
            checks.wrong(&format!("{key}.{later}"), what);
            None
        }
        [_] => match (&app.client_secret_file, &app.client_secret_env) {
            (Some(file), _) => file_source(&folder.join(file), &format!("{key}.client_secret_file"), checks),
            (None, Some(name)) if !name.is_empty() => Some(SecretSource::Env(name.clone())),
            _ => {
                checks.wrong(&format!("{key}.client_secret_env"), "is empty: name the environment variable that holds the secret");
                None
            }
        },
        _ => {
            checks.wrong(key, format!("names {} credentials ({}): exactly one is allowed", named.len(), named.join(", ")));
            None
        }
    };
    Some((client_id?, secret?))
}

fn file_source(file: &PathBuf, key: &str, checks: &mut Checks) -> Option<SecretSource> {
    match std::fs::metadata(file) {
        Err(error) => {
            checks.wrong(key, format!("{} cannot be read: {error}", file.display()));
            return None;
        }
        Ok(meta) if !meta.is_file() && meta.is_dir() => {
            checks.wrong(key, format!("{} is a directory, not a file with the secret", file.display()));
            return None;
        }
        Ok(meta) if meta.mode() & 0o022 != 0 => {
            checks.wrong(
                key,
                format!("others can write {} (mode {:o}): chmod 600 it, and exchange the secret", file.display(), meta.mode() & 0o777),
            );
            return None;
        }
        // systemd shows its credentials to one service only, whatever the mode bits of its ACL look like.
        Ok(_) if std::env::var_os("CREDENTIALS_DIRECTORY").is_some_and(|folder| file.starts_with(folder)) => {}
        Ok(meta) if meta.mode() & 0o044 != 0 => {
            checks.warn(format!("others can read {} (mode {:o}): chmod 600 it", file.display(), meta.mode() & 0o777));
        }
        Ok(_) => {}
    }
    Some(SecretSource::File(file.clone()))
}
