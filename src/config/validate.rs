//! What the values must be. Collects every mistake; touches files only to look at their modes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use croner::parser::{CronParser, Seconds, Year};

use super::mistakes::{ConfigError, Mistake, closest};
use super::raw::{Raw, RawTenant};
use super::{Cloud, Config, LogSettings, SyncSettings, Tenant, budgets, secrets};
use crate::graph::{Credential, Origin};
use crate::resources;

/// Name in `[schedule]` of what is done beside the live tokens, and its default: in the night to Sunday. No resource
/// is called so.
pub const RECONCILE: &str = "reconcile";
const WEEKLY: &str = "0 30 2 * * SUN";

/// A week. SQLite counts its patience in milliseconds of 31 bits, and a moment too far away cannot be reckoned with.
const LONGEST_SECONDS: u64 = 7 * 86_400;
/// More runs than any machine has descriptors for.
const MOST_AT_ONCE: u64 = 100_000;

/// From one 29th of February to the next it is eight years at most.
const YEARS_TO_COME: i16 = 8;

/// Collects mistakes and warnings.
#[derive(Debug, Default)]
pub(super) struct Checks {
    mistakes: Vec<Mistake>,
    warnings: Vec<String>,
}

impl Checks {
    pub fn wrong(&mut self, key: &str, what: impl Into<String>) {
        self.mistakes.push(Mistake { key: key.into(), what: what.into() });
    }

    /// Keys of the mistakes, in order.
    #[cfg(test)]
    pub fn keys(&self) -> Vec<String> {
        self.mistakes.iter().map(|mistake| mistake.key.clone()).collect()
    }

    pub fn warn(&mut self, what: String) {
        self.warnings.push(what);
    }
}

/// Checks everything.
pub(super) fn validate(raw: Raw, file: &Path) -> Result<Config, ConfigError> {
    let mut checks = Checks::default();
    // Relative paths count from the file's folder: the same file means the same wherever the program is started.
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_owned);
    let data_dir = match &raw.data_dir {
        // Without `.` components, so that messages show the path as people write it.
        Some(dir) => folder.join(dir).components().collect(),
        None => {
            checks.wrong("data_dir", "is missing: the folder for the tenants' files, such as \"/var/lib/entra-mirror\"");
            PathBuf::new()
        }
    };
    let group = raw.group.as_deref().and_then(|name| group_id(name, &mut checks));
    let sync = sync(&raw, &mut checks);
    let budgets = budgets::budgets(&raw.budgets, &mut checks);
    let metrics = super::metrics::metrics(&raw.metrics, &mut checks);
    let schedule = schedule(&raw.schedule, &mut checks);
    let reconcile = raw.schedule.get(RECONCILE).cloned().unwrap_or_else(|| WEEKLY.into());
    let extra = extra(&raw, &mut checks);
    let logs = super::logs::logs(&raw, &mut checks);
    let keep_changes = super::logs::keep_changes(&raw, &mut checks);
    let app = raw.app.as_ref().map(|app| secrets::app(app, "app", &folder, &mut checks));
    if raw.tenants.is_empty() {
        checks.wrong("tenants", "names no tenant: add a [[tenants]] section with name and id");
    }
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    let mut tenants = Vec::new();
    for (index, tenant) in raw.tenants.iter().enumerate() {
        let key = format!("tenants.{index}");
        let name = tenant.name.clone().unwrap_or_default();
        if let Some(other) = names.insert(name.to_lowercase(), index).filter(|_| !name.is_empty()) {
            checks.wrong(&format!("{key}.name"), format!("{name:?} is also the name of tenants.{other}: each tenant has its own file"));
        }
        let app = match (&tenant.app, &app) {
            (Some(own), _) => secrets::app(own, &format!("{key}.app"), &folder, &mut checks),
            (None, Some(shared)) => shared.clone(),
            (None, None) => {
                checks.wrong(
                    &key,
                    "has no app: add a section [app] for all tenants, or [tenants.app] for this one, with client_id and client_secret_file",
                );
                None
            }
        };
        let all = ForAll { extra: &extra, logs: &logs, keep_changes };
        tenants.extend(one_tenant(tenant, &key, app, &all, &mut checks));
    }
    let Checks { mistakes, warnings } = checks;
    if !mistakes.is_empty() {
        return Err(ConfigError { file: Some(file.to_owned()), mistakes });
    }
    Ok(Config { file: file.to_owned(), data_dir, group, sync, budgets, metrics, schedule, reconcile, tenants, warnings })
}

/// Settings that are the same for all tenants.
struct ForAll<'s> {
    extra: &'s BTreeMap<String, Vec<String>>,
    logs: &'s LogSettings,
    keep_changes: Duration,
}

fn one_tenant(raw: &RawTenant, key: &str, app: Option<(String, Credential)>, all: &ForAll<'_>, checks: &mut Checks) -> Option<Tenant> {
    let key_of = |name: &str| format!("{key}.{name}");
    let name = match raw.name.as_deref() {
        None | Some("") => {
            checks.wrong(&key_of("name"), "is missing: lowercase letters, digits, '-' and '_'; the file will be called so");
            None
        }
        Some(name) if name.len() > 100 || !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c)) => {
            checks.wrong(
                &key_of("name"),
                format!("{name:?} must be at most 100 lowercase letters, digits, '-' and '_': it is a file's name"),
            );
            None
        }
        Some(name) => Some(name.to_owned()),
    };
    let id = match raw.id.as_deref() {
        None | Some("") => {
            checks.wrong(&key_of("id"), "is missing: the tenant's id (Entra admin center > Overview) or a verified domain");
            None
        }
        Some("common" | "organizations" | "consumers") => {
            checks.wrong(&key_of("id"), "must name one tenant, by its id or a verified domain");
            None
        }
        Some(id) if uuid::Uuid::parse_str(id).is_ok() || is_domain(id) => Some(id.to_owned()),
        Some(id) => {
            checks.wrong(&key_of("id"), format!("{id:?} is neither a tenant id (a GUID) nor a domain such as contoso.onmicrosoft.com"));
            None
        }
    };
    let word = raw.cloud.as_deref().unwrap_or("global");
    let cloud = Cloud::TABLE.iter().find(|row| row.1 == word).map(|row| row.0);
    if cloud.is_none() {
        checks.wrong(&key_of("cloud"), format!("{word:?} is no cloud: global, usgov, usgov-dod or china"));
    }
    let (_, login, graph) = cloud.unwrap_or(Cloud::Global).row();
    let mut origin = |name: &str, written: &Option<String>, default: &str| match Origin::parse(written.as_deref().unwrap_or(default)) {
        Ok(origin) => Some(origin),
        Err(what) => {
            checks.wrong(&key_of(name), what);
            None
        }
    };
    let login_url = origin("login_url", &raw.login_url, login);
    let graph_url = origin("graph_url", &raw.graph_url, graph);
    let resources = chosen(raw, key, checks);
    let (client_id, credential) = app?;
    Some(Tenant {
        name: name?,
        id: id?,
        cloud: cloud?,
        login_url: login_url?,
        graph_url: graph_url?,
        client_id,
        credential,
        resources,
        extra: all.extra.clone(),
        logs: all.logs.clone(),
        keep_changes: all.keep_changes,
    })
}

fn is_domain(text: &str) -> bool {
    text.contains('.')
        && text.len() <= 253
        && text.split('.').all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
}

fn resource_names() -> Vec<&'static str> {
    resources::all().iter().map(|r| r.name()).collect()
}

fn known_resource(name: &str, key: &str, checks: &mut Checks) -> Option<&'static str> {
    if let Some(resource) = resources::find(name) {
        return Some(resource.name());
    }
    let names = resource_names();
    let what = match closest(name, names.iter().copied()) {
        Some(near) => format!("{name:?} is no resource; did you mean {near}?"),
        None => format!("{name:?} is no resource; there are {}", names.join(", ")),
    };
    checks.wrong(key, what);
    None
}

fn chosen(raw: &RawTenant, key: &str, checks: &mut Checks) -> Vec<&'static str> {
    let except: Vec<_> = raw.except.iter().filter_map(|name| known_resource(name, &format!("{key}.except"), checks)).collect();
    let chosen = match &raw.resources {
        None => resource_names(),
        Some(names) => names.iter().filter_map(|name| known_resource(name, &format!("{key}.resources"), checks)).collect(),
    };
    chosen.into_iter().filter(|name| !except.contains(name)).collect()
}

fn sync(raw: &Raw, checks: &mut Checks) -> SyncSettings {
    let sync = &raw.sync;
    if !(0.0..=1.0).contains(&sync.sweep_hold_share) {
        checks.wrong("sync.sweep_hold_share", format!("{} is not a share: expected 0 to 1, such as 0.25", sync.sweep_hold_share));
    }
    for (key, value, most) in [
        ("sync.tenants_at_once", sync.tenants_at_once as u64, MOST_AT_ONCE),
        ("sync.resources_at_once", sync.resources_at_once as u64, MOST_AT_ONCE),
        ("sync.request_timeout_secs", sync.request_timeout_secs, LONGEST_SECONDS),
        ("sync.give_up_after_secs", sync.give_up_after_secs, LONGEST_SECONDS),
        ("sync.busy_timeout_secs", sync.busy_timeout_secs, LONGEST_SECONDS),
    ] {
        if value == 0 {
            checks.wrong(key, "must be at least 1");
        } else if value > most {
            checks.wrong(key, format!("{value} is too much: at most {most}"));
        }
    }
    SyncSettings {
        sweep_hold_share: sync.sweep_hold_share,
        sweep_hold_rows: sync.sweep_hold_rows,
        tenants_at_once: sync.tenants_at_once,
        resources_at_once: sync.resources_at_once,
        request_timeout: Duration::from_secs(sync.request_timeout_secs),
        give_up_after: Duration::from_secs(sync.give_up_after_secs),
        busy_timeout: Duration::from_secs(sync.busy_timeout_secs),
    }
}

/// Reads a cron text as the scheduler does: six fields, seconds first, UTC.
pub fn parse_cron(text: &str) -> Result<croner::Cron, String> {
    let fields = text.split_whitespace().count();
    if fields == 5 {
        return Err(format!("{text:?} has five fields; seconds come first here: \"0 {text}\""));
    }
    // The parser takes an empty list for one that never matches, and whoever looks for its next time looks through thousands of years.
    if text.split_whitespace().flat_map(|field| field.split(',')).any(str::is_empty) {
        return Err(format!("{text:?} is no schedule: there is nothing on one side of a comma"));
    }
    // A year, which the scheduler would take as a seventh field, would end the schedule some day.
    cron_parser(Year::Disallowed).parse(text).map_err(|e| {
        format!("{text:?} is no schedule ({e}); expected \"second minute hour day month weekday\" in UTC, such as \"0 */5 * * * *\"")
    })
}

fn cron_parser(year: Year) -> CronParser {
    CronParser::builder().seconds(Seconds::Required).year(year).dom_and_dow(true).build()
}

/// Whether a schedule names a time in the years from this one on: not so the 30th of February. Told by years, because whoever looks for
/// a time that never comes would look for thousands of them.
fn comes(text: &str) -> bool {
    let now = jiff::Timestamp::now();
    let year = now.to_zoned(jiff::tz::TimeZone::UTC).year();
    let within = cron_parser(Year::Required).parse(&format!("{text} {year}-{}", year + YEARS_TO_COME));
    match (within, chrono::DateTime::from_timestamp(now.as_second(), 0)) {
        (Ok(within), Some(now)) => within.find_next_occurrence(&now, false).is_ok(),
        // A nickname such as @daily, which takes no year.
        _ => text.trim_start().starts_with('@'),
    }
}

fn schedule(written: &BTreeMap<String, String>, checks: &mut Checks) -> BTreeMap<&'static str, String> {
    let mut schedule: BTreeMap<&'static str, String> =
        resources::all().iter().map(|r| (r.name(), r.definition.schedule.to_owned())).collect();
    for (name, text) in written {
        let key = format!("schedule.{name}");
        match parse_cron(text) {
            Err(what) => checks.wrong(&key, what),
            Ok(_) if !comes(text) => {
                checks.wrong(&key, format!("{text:?} names no time in the next {YEARS_TO_COME} years: is there such a day?"));
            }
            Ok(_) => {}
        }
        if name == RECONCILE {
            continue;
        }
        if let Some(name) = known_resource(name, &key, checks) {
            schedule.insert(name, text.clone());
        }
    }
    schedule
}

fn extra(raw: &Raw, checks: &mut Checks) -> BTreeMap<String, Vec<String>> {
    let mut extra = BTreeMap::new();
    for (name, settings) in &raw.resources {
        let key = format!("resources.{name}");
        let Some(name) = known_resource(name, &key, checks) else { continue };
        if settings.extra.is_empty() {
            continue;
        }
        let Some(resource) = resources::find(name).filter(|r| r.definition.extra) else {
            checks.wrong(&format!("{key}.extra"), format!("{name} takes no extra properties"));
            continue;
        };
        for property in &settings.extra {
            let plain = !property.is_empty() && property.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !plain {
                checks.wrong(&format!("{key}.extra"), format!("{property:?} is no property's name"));
            } else if resource.has_property(property) {
                checks.wrong(&format!("{key}.extra"), format!("{property} is mirrored anyway, as a column of its own"));
            }
        }
        extra.insert(name.to_owned(), settings.extra.clone());
    }
    extra
}

/// Group id by number or by name in /etc/group.
fn group_id(name: &str, checks: &mut Checks) -> Option<u32> {
    if let Ok(id) = name.parse() {
        return Some(id);
    }
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let id = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok()).flatten()
    });
    if id.is_none() {
        checks.wrong("group", format!("there is no group {name:?} in /etc/group; name one, or give its number"));
    }
    id
}
