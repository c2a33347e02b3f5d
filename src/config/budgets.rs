//! Section `[budgets]`: figures in the place of Graph's published ones. Knows what a figure must be, not how it is used.

use super::raw::RawBudgets;
use super::validate::Checks;
use crate::graph::Budgets;

/// More than any budget that Graph has, or will have soon: a figure beyond it is a slip.
const MOST: f64 = 1e9;

/// Checks the section; what it does not say is as published.
pub(super) fn budgets(raw: &RawBudgets, checks: &mut Checks) -> Budgets {
    let published = Budgets::default();
    let mut amount = |key: &str, written: Option<f64>| {
        let written = written?;
        if written.is_finite() && written > 0.0 && written <= MOST {
            return Some(written);
        }
        checks.wrong(&format!("budgets.{key}"), format!("{written} is no budget: expected a number above 0"));
        None
    };
    let mut budgets = Budgets {
        directory_units_per_10s: amount("directory_units_per_10s", raw.directory_units_per_10s),
        reports_per_10s: amount("reports_per_10s", raw.reports_per_10s).unwrap_or(published.reports_per_10s),
        sign_in_activity_per_minute: amount("sign_in_activity_per_minute", raw.sign_in_activity_per_minute)
            .unwrap_or(published.sign_in_activity_per_minute),
        app_directory_units_per_20s: amount("app_directory_units_per_20s", raw.app_directory_units_per_20s)
            .unwrap_or(published.app_directory_units_per_20s),
        app_reports_per_10s: amount("app_reports_per_10s", raw.app_reports_per_10s).unwrap_or(published.app_reports_per_10s),
        identity_protection_per_second: amount("identity_protection_per_second", raw.identity_protection_per_second)
            .unwrap_or(published.identity_protection_per_second),
        ..published
    };
    match raw.aim {
        Some(aim) if (0.1..=1.0).contains(&aim) => budgets.aim = aim,
        Some(aim) => checks.wrong("budgets.aim", format!("{aim} is not a share of the budgets: expected 0.1 to 1, such as 0.95")),
        None => {}
    }
    budgets
}

#[cfg(test)]
mod tests {
    use super::super::raw::Raw;
    use super::super::validate::validate;
    use super::*;

    #[test]
    fn what_is_not_said_is_as_published() {
        let mut checks = Checks::default();
        assert_eq!(budgets(&RawBudgets::default(), &mut checks), Budgets::default());
        let raw = RawBudgets { reports_per_10s: Some(50.0), aim: Some(0.5), ..RawBudgets::default() };
        let expected = Budgets { reports_per_10s: 50.0, aim: 0.5, ..Budgets::default() };
        assert_eq!(budgets(&raw, &mut checks), expected);
    }

    #[test]
    fn every_mistake_is_told() {
        let budgets = RawBudgets {
            directory_units_per_10s: Some(0.0),
            reports_per_10s: Some(-5.0),
            sign_in_activity_per_minute: Some(f64::NAN),
            app_directory_units_per_20s: Some(f64::INFINITY),
            app_reports_per_10s: Some(1e12),
            identity_protection_per_second: Some(-0.0),
            aim: Some(95.0),
        };
        let error = validate(Raw { budgets, ..Raw::default() }, std::path::Path::new("config.toml")).expect_err("mistakes");
        let told: Vec<_> = error.mistakes.iter().map(|m| m.key.as_str()).filter(|key| key.starts_with("budgets.")).collect();
        assert_eq!(told.len(), 7, "{told:?}");
    }
}
