//! Finds the file and merges it with the environment. What the values mean is checked elsewhere.

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};

use super::Config;
use super::mistakes::{ConfigError, Mistake, closest};
use super::raw::Raw;
use super::validate::validate;

/// Where the file is looked for when none is named.
pub const DEFAULT_FILES: [&str; 2] = ["/etc/entra-mirror/config.toml", "config.toml"];

/// Words that mean a secret was written into the file itself.
const SECRET_KEYS: [&str; 6] = ["client_secret", "secret", "password", "client_assertion", "access_token", "certificate"];

/// Loads the configuration from this file, or from the first default place that has one.
///
/// # Errors
/// Every mistake there is, at once.
pub fn load(file: Option<&Path>) -> Result<Config, ConfigError> {
    let file = match file {
        Some(file) => file.to_owned(),
        None => match DEFAULT_FILES.iter().map(PathBuf::from).find(|file| file.exists()) {
            Some(file) => file,
            None => {
                let what = format!(
                    "no configuration: looked for {}. Copy config.toml.example there, or name one with --config; `entra-mirror demo` needs none",
                    DEFAULT_FILES.join(" and ./")
                );
                return Err(ConfigError::one(None, "", what));
            }
        },
    };
    let here = Some(file.clone());
    let text = std::fs::read_to_string(&file).map_err(|e| ConfigError::one(here.clone(), "", format!("cannot be read: {e}")))?;
    let figment = Figment::from(Serialized::defaults(Raw::default()))
        .merge(Toml::string(&text))
        .merge(Env::prefixed("ENTRA_MIRROR_").split("__").filter(|key| key != "config" && key != "test_clock"));
    let raw: Raw = match figment.extract() {
        Ok(raw) => raw,
        Err(error) => {
            let mistakes = unknown_keys(&figment).unwrap_or_else(|| error.into_iter().map(mistake).collect());
            return Err(ConfigError { file: here, mistakes });
        }
    };
    validate(raw, &file)
}

fn mistake(error: figment::Error) -> Mistake {
    use figment::error::Kind;
    let path = error.path.join(".");
    let (key, what) = match &error.kind {
        Kind::UnknownField(name, known) => {
            let key = if path.is_empty() || path.ends_with(name.as_str()) { path } else { format!("{path}.{name}") };
            let key = if key.is_empty() { name.clone() } else { key };
            (key, unknown(name, known))
        }
        Kind::InvalidType(found, expected) => (path, format!("expected {expected}, found {found}")),
        other => (path, other.to_string()),
    };
    Mistake { key, what }
}

fn unknown(name: &str, known: &[&str]) -> String {
    if SECRET_KEYS.contains(&name) {
        return "a secret does not belong in this file: put it into a file of its own (mode 0600) and name that with client_secret_file, \
                or use client_secret_env"
            .into();
    }
    match closest(name, known.iter().copied()) {
        Some(near) => format!("is not a key here; did you mean {near}?"),
        None => format!("is not a key here; known are {}", known.join(", ")),
    }
}

/// Serde stops at the first unknown key; this finds them all, and whatever else is wrong with the rest.
fn unknown_keys(figment: &Figment) -> Option<Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let mut value: figment::value::Value = figment.extract_inner("").ok().or_else(|| figment.extract().ok())?;
    for _ in 0..200 {
        let error = match Figment::from(Serialized::defaults(&value)).extract::<Raw>() {
            Ok(_) => break,
            Err(error) => error,
        };
        let removable = match &error.kind {
            figment::error::Kind::UnknownField(name, _) => {
                let mut path = error.path.clone();
                if path.last() != Some(name) {
                    path.push(name.clone());
                }
                path
            }
            _ => error.path.clone(),
        };
        mistakes.push(mistake(error));
        if removable.is_empty() || !remove(&mut value, &removable) {
            break;
        }
    }
    (!mistakes.is_empty()).then_some(mistakes)
}

fn remove(value: &mut figment::value::Value, path: &[String]) -> bool {
    use figment::value::Value;
    let Some((first, rest)) = path.split_first() else { return false };
    match value {
        Value::Dict(_, dict) if rest.is_empty() => dict.remove(first).is_some(),
        Value::Dict(_, dict) => dict.get_mut(first).is_some_and(|inner| remove(inner, rest)),
        Value::Array(_, list) => match first.parse::<usize>() {
            Ok(index) if index < list.len() && !rest.is_empty() => remove(&mut list[index], rest),
            _ => false,
        },
        _ => false,
    }
}
