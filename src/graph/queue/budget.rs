//! How much Graph lets an app send: the published figures, and what a configuration puts in their place. Keeps no count of what was sent.
//! <https://learn.microsoft.com/graph/throttling-limits>

use std::time::Duration;

use super::super::call::Workload;

/// The budgets to pace by. The defaults are Graph's published ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Budgets {
    /// Resource units in 10 s of one app in one tenant; `None` = by the tenant's size: 3,500, 5,000 or 8,000.
    pub directory_units_per_10s: Option<f64>,
    /// Requests for logs and reports in 10 s of one app in one tenant.
    pub reports_per_10s: f64,
    /// Requests with `signInActivity` in a minute of one app, over all its tenants.
    pub sign_in_activity_per_minute: f64,
    /// Resource units in 20 s of one app over all its tenants.
    pub app_directory_units_per_20s: f64,
    /// Requests for logs and reports in 10 s of one app over all its tenants.
    pub app_reports_per_10s: f64,
    /// Requests for Identity Protection and Conditional Access in a second in one tenant.
    pub identity_protection_per_second: f64,
    /// Share of a budget that is used at most, 0 to 1.
    pub aim: f64,
    /// Factor on the length of all windows; 1 but for tests, which have no time.
    pub window_scale: f64,
}

impl Default for Budgets {
    fn default() -> Budgets {
        Budgets {
            directory_units_per_10s: None,
            reports_per_10s: 5.0,
            sign_in_activity_per_minute: 10.0,
            app_directory_units_per_20s: 150_000.0,
            app_reports_per_10s: 122.0,
            identity_protection_per_second: 1.0,
            aim: 0.95,
            window_scale: 1.0,
        }
    }
}

/// How a budget is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// As soon as there is room: a burst is as good as a stream.
    Burst,
    /// In even steps: with a handful of requests to a window, a burst would leave a whole window without any.
    Even,
}

/// So much in so long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limit {
    /// Units or requests; `None` = nothing is published.
    pub amount: Option<f64>,
    pub window: Duration,
    pub style: Style,
}

/// What an app may send for one workload.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limits {
    /// In one tenant.
    pub own: Limit,
    /// With others, see [`shared_by`].
    pub shared: Limit,
}

/// Who shares the second limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Sharing {
    /// All tenants of the app.
    App,
    /// All apps of the tenant.
    Tenant,
}

pub(super) fn shared_by(workload: Workload) -> Sharing {
    match workload {
        Workload::IdentityProtection => Sharing::Tenant,
        _ => Sharing::App,
    }
}

/// Resource units in 10 s that a tenant of so many people has; the smallest until it is known.
fn directory_units(users: Option<u64>) -> f64 {
    match users {
        None | Some(..50) => 3_500.0,
        Some(50..=500) => 5_000.0,
        Some(_) => 8_000.0,
    }
}

impl Budgets {
    /// The limits of a workload in a tenant of so many users.
    pub(super) fn limits(&self, workload: Workload, users: Option<u64>) -> Limits {
        let limit = |amount: Option<f64>, seconds: u64, style| Limit {
            amount,
            window: Duration::from_secs(seconds).mul_f64(self.window_scale.max(0.001)),
            style,
        };
        let (own, shared) = match workload {
            Workload::Directory => (
                limit(Some(self.directory_units_per_10s.unwrap_or_else(|| directory_units(users))), 10, Style::Burst),
                limit(Some(self.app_directory_units_per_20s), 20, Style::Burst),
            ),
            Workload::Reports => {
                (limit(Some(self.reports_per_10s), 10, Style::Even), limit(Some(self.app_reports_per_10s), 10, Style::Burst))
            }
            // The figure is published for the app in a tenant and, the same, for the app over all tenants.
            Workload::SignInActivity => {
                let limit = limit(Some(self.sign_in_activity_per_minute), 60, Style::Even);
                (limit, limit)
            }
            Workload::IdentityProtection => {
                let limit = limit(Some(self.identity_protection_per_second), 1, Style::Even);
                (limit, limit)
            }
            Workload::RoleManagement => (limit(None, 10, Style::Burst), limit(None, 10, Style::Burst)),
        };
        Limits { own, shared }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_budgets_follow_the_size_of_the_tenant_unless_told() {
        let units = |budgets: &Budgets, users| budgets.limits(Workload::Directory, users).own.amount;
        let budgets = Budgets::default();
        for (users, expected) in
            [(None, 3500.0), (Some(49), 3500.0), (Some(50), 5000.0), (Some(500), 5000.0), (Some(501), 8000.0), (Some(9_000_000), 8000.0)]
        {
            assert_eq!(units(&budgets, users), Some(expected), "{users:?}");
        }
        let told = Budgets { directory_units_per_10s: Some(100.0), ..Budgets::default() };
        assert_eq!(units(&told, Some(501)), Some(100.0));
    }
}
