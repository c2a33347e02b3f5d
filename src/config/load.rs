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
    let text = std::fs::read_to_string(&file).map_err(|e| ConfigError::one(Some(file.clone()), "", format!("cannot be read: {e}")))?;
    read(&text, &file)
}

/// Reads the text of a configuration file that is called `file`, with the environment over it.
///
/// # Errors
/// Every mistake there is, at once.
pub fn read(text: &str, file: &Path) -> Result<Config, ConfigError> {
    let figment = Figment::from(Serialized::defaults(Raw::default()))
        .merge(Toml::string(text))
        .merge(Env::prefixed("ENTRA_MIRROR_").split("__").filter(|key| key != "config"));
    let raw: Raw = match figment.extract() {
        Ok(raw) => raw,
        Err(error) => {
            let mistakes = unknown_keys(&figment).unwrap_or_else(|| error.into_iter().map(mistake).collect());
            return Err(ConfigError { file: Some(file.to_owned()), mistakes });
        }
    };
    validate(raw, file)
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
        Kind::Message(text) => (path, without_quote(text)),
        other => (path, other.to_string()),
    };
    Mistake { key, what }
}

/// What the TOML reader says, without the lines of the file that it quotes: somebody may have written a secret there.
fn without_quote(text: &str) -> String {
    let quoted = |line: &&str| line.trim_start_matches(|c: char| c == ' ' || c.is_ascii_digit()).starts_with('|');
    let told: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty() && !quoted(line)).collect();
    told.join(": ")
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

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "data_dir = \"x\"\n[app]\nclient_id = \"11111111-2222-3333-4444-555555555555\"\nclient_secret_env = \"S\"\n\
                         [[tenants]]\nname = \"a\"\nid = \"a.example\"\n";

    fn mistakes(text: &str) -> Vec<Mistake> {
        read(text, Path::new("config.toml")).expect_err(text).mistakes
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named_and_not_quoted() {
        let [Mistake { key, what }] = &mistakes("[app]\nclient_secret = hunter2\n")[..] else { panic!("one mistake") };
        assert_eq!(key, "");
        assert!(what.starts_with("TOML parse error at line 2, column 17: "), "{what}");
        assert!(!what.contains("hunter2"), "{what}");
    }

    #[test]
    fn what_no_clock_can_reckon_with_is_refused() {
        read(WHOLE, Path::new("config.toml")).expect("a configuration");
        for key in ["request_timeout_secs", "give_up_after_secs", "busy_timeout_secs", "tenants_at_once", "resources_at_once"] {
            let told = mistakes(&format!("{WHOLE}[sync]\n{key} = 9223372036854775807\n"));
            assert_eq!(told.iter().map(|mistake| mistake.key.as_str()).collect::<Vec<_>>(), [format!("sync.{key}")]);
            assert!(told[0].what.contains("at most"), "{told:?}");
        }
    }

    #[test]
    fn a_schedule_that_never_comes_is_refused() {
        for (cron, comes) in
            [("0 0 0 29 2 *", true), ("@daily", true), ("0 0 0 30 2 *", false), ("0 20 3 * * ,", false), ("0 0 0 1 1 * 2099", false)]
        {
            let read = read(&format!("{WHOLE}[schedule]\nusers = {cron:?}\n"), Path::new("config.toml"));
            assert_eq!(read.is_ok(), comes, "{cron}: {read:?}");
        }
    }
}
