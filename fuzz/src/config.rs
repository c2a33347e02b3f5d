//! Configuration files: ready for use, or refused with every mistake under its key or line.

use std::path::Path;
use std::time::Duration;

use entra_mirror::config::{self, Config};
use entra_mirror::daemon::next_after;

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match config::read(text, Path::new("/nonexistent/config.toml")) {
        Ok(config) => is_usable(&config),
        Err(error) => {
            assert!(!error.mistakes.is_empty());
            let shown = error.to_string();
            for mistake in &error.mistakes {
                assert!(mistake.what.len() > 5 && shown.contains(&mistake.what), "{mistake:?} says nothing");
                assert!(!mistake.key.is_empty() || mistake.what.contains("line "), "{mistake:?} says not where");
            }
        }
    }
}

/// What the program takes for granted of a configuration.
fn is_usable(config: &Config) {
    let sync = &config.sync;
    for span in [sync.request_timeout, sync.give_up_after, sync.busy_timeout] {
        // SQLite counts milliseconds in an int, and moments are sums of clocks and spans.
        assert!(span >= Duration::from_secs(1) && span.as_millis() <= i32::MAX as u128, "{span:?} can not be waited for");
    }
    assert!(sync.tenants_at_once.checked_mul(sync.resources_at_once).is_some_and(|runs| (1..1 << 40).contains(&runs)));
    assert!((0.0..=1.0).contains(&sync.sweep_hold_share));
    assert!(!config.data_dir.as_os_str().is_empty() && !config.tenants.is_empty());
    let now = "2026-11-24T08:00:00Z".parse().expect("a time");
    for (name, cron) in config.schedule.iter().map(|(name, cron)| (*name, cron)).chain([(config::RECONCILE, &config.reconcile)]) {
        let cron = config::parse_cron(cron).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(next_after(&cron, now).is_some(), "{name}: {cron} never comes");
    }
    let mut files = std::collections::BTreeSet::new();
    for tenant in &config.tenants {
        let file = config.tenant_file(&tenant.name);
        assert_eq!(file.parent(), Some(&*config.data_dir), "{file:?} is not in the data folder");
        assert!(files.insert(file), "two tenants have one file");
        assert!(tenant.logs.keep.values().all(|keep| *keep >= Duration::from_secs(86_400)));
        assert!(tenant.logs.overlap >= Duration::from_secs(900));
    }
}
