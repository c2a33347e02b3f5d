//! What a simulated tenant is made like. Plain data.

use std::time::Duration;

use super::throttle::Throttle;

/// Microsoft Entra ID licence of the tenant, which decides what is answered and what refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Premium {
    Free,
    P1,
    P2,
}

/// Quirks of the real delta queries, all of which a correct client survives.
#[derive(Clone, Debug)]
pub struct Quirks {
    /// One page in this many is empty and goes on; 0 = never.
    pub empty_page_every: u32,
    /// On one page in this many an object of the page before comes again; 0 = never.
    pub repeat_every: u32,
    /// The first round tells of deleted objects and removed members too.
    pub tombstones_in_first_round: bool,
    /// Unknown annotations and a wrong context.
    pub annotations: bool,
    /// A purge is told as removed links in the groups.
    pub announce_purged_links: bool,
    /// A page of a log begins with the last event of the page before.
    pub repeat_last_event: bool,
    /// Times of `signInActivity` that were never set come as the first of January of the year one.
    pub unset_as_year_one: bool,
}

impl Default for Quirks {
    fn default() -> Quirks {
        Quirks {
            empty_page_every: 5,
            repeat_every: 2,
            tombstones_in_first_round: true,
            annotations: true,
            announce_purged_links: false,
            repeat_last_event: true,
            unset_as_year_one: true,
        }
    }
}

impl Quirks {
    /// A service that behaves.
    pub fn none() -> Quirks {
        Quirks {
            empty_page_every: 0,
            repeat_every: 0,
            tombstones_in_first_round: false,
            annotations: false,
            announce_purged_links: false,
            repeat_last_event: false,
            unset_as_year_one: false,
        }
    }
}

/// One simulated tenant.
#[derive(Clone, Debug)]
pub struct TenantOptions {
    /// Short name: part of its domain and ids.
    pub name: String,
    pub display_name: String,
    pub domain: String,
    pub seed: u64,
    /// Users of all kinds at the start.
    pub people: usize,
    /// Groups; two for five people, at most 5,000, when not said.
    pub groups: Option<usize>,
    /// Members of the one huge group; a third of all people when not said.
    pub huge_group: Option<usize>,
    /// Application permissions that are consented.
    pub permissions: Vec<String>,
    pub premium: Premium,
    /// Objects on a delta page.
    pub delta_page: usize,
    /// Links of one delta page, over all its groups.
    pub delta_links: usize,
    /// Objects on a page of a listing or log at most, whatever `$top` asks for.
    pub list_page: Option<usize>,
    /// How long delta tokens are accepted; seven days are promised, fourteen have been seen.
    pub delta_token_life: Duration,
    /// Delta tells changes only so long after they happened; everything else shows them at once.
    pub delta_lag: Duration,
    pub quirks: Quirks,
    /// Budgets that requests are refused beyond; off when not said.
    pub throttle: Throttle,
    /// Client id of the app registration, for tenants that share one; its own when not said.
    pub app: Option<String>,
    /// Whether the tenant's clock follows the wall clock; otherwise it stands until it is advanced.
    pub real_time: bool,
    /// Whether what happens in the tenant is logged; so it is too when any of the counts below is more than 0.
    pub logs: bool,
    /// Sign-ins of all types at the start, over the last `log_days`.
    pub sign_ins: usize,
    /// Directory audits at the start.
    pub directory_audits: usize,
    /// Provisioning records at the start.
    pub provisioning_events: usize,
    /// Days that the logs go back at the start.
    pub log_days: u32,
    /// Share of events that are to be seen late; with 0 every event is there at once, otherwise within two minutes.
    pub late_share: f64,
    /// How many hours late at most.
    pub late_by_hours: f64,
    /// Share of sign-ins whose content changes later.
    pub amended_share: f64,
    /// A log asked for over a wider span of time is answered 504.
    pub logs_window_limit: Option<Duration>,
    /// Skip tokens, of whatever they are, are dead after so long.
    pub skiptoken_life: Option<Duration>,
    /// A skip token of a log is dead after so many pages.
    pub skiptoken_life_pages: Option<u32>,
    /// Probability of the answer that the tenant had no premium licence, 0 to 1, where it has one.
    pub licence_flaps: f64,
}

impl Default for TenantOptions {
    fn default() -> TenantOptions {
        TenantOptions::new("contoso", 1, 200)
    }
}

impl TenantOptions {
    /// A tenant of this name, seed and size, with every read permission and P2.
    pub fn new(name: &str, seed: u64, people: usize) -> TenantOptions {
        let permissions = [
            "User.Read.All",
            "GroupMember.Read.All",
            "Device.Read.All",
            "Application.Read.All",
            "AdministrativeUnit.Read.All",
            "RoleManagement.Read.Directory",
            "RoleAssignmentSchedule.Read.Directory",
            "RoleEligibilitySchedule.Read.Directory",
            "LicenseAssignment.Read.All",
            "Organization.Read.All",
            "AuditLog.Read.All",
            "IdentityRiskyUser.Read.All",
            "IdentityRiskEvent.Read.All",
        ];
        TenantOptions {
            name: name.to_owned(),
            display_name: format!("{}{} Ltd", name[..1].to_uppercase(), &name[1..]),
            domain: format!("{name}.example"),
            seed,
            people,
            groups: None,
            huge_group: None,
            permissions: permissions.map(str::to_owned).to_vec(),
            premium: Premium::P2,
            delta_page: 200,
            delta_links: 1000,
            list_page: None,
            delta_token_life: Duration::from_secs(7 * 24 * 3600),
            delta_lag: Duration::ZERO,
            quirks: Quirks::default(),
            throttle: Throttle::off(),
            app: None,
            real_time: false,
            logs: false,
            sign_ins: 0,
            directory_audits: 0,
            provisioning_events: 0,
            log_days: 30,
            late_share: 0.03,
            late_by_hours: 20.0,
            amended_share: 0.01,
            logs_window_limit: None,
            skiptoken_life: None,
            skiptoken_life_pages: None,
            licence_flaps: 0.0,
        }
    }

    /// Whether what happens in the tenant is logged.
    pub fn has_logs(&self) -> bool {
        self.logs || self.sign_ins + self.directory_audits + self.provisioning_events > 0
    }

    fn derived(&self, what: u64) -> String {
        // Multiplied, so that neighbouring seeds and names that differ in a digit do not cancel each other out.
        super::generate::guid(&mut fastrand::Rng::with_seed(
            self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
                ^ (what << 56)
                ^ self.name.bytes().fold(7, |h: u64, b| h.wrapping_mul(31).wrapping_add(u64::from(b))),
        ))
    }

    /// The tenant id, from name and seed.
    pub fn tenant_id(&self) -> String {
        self.derived(1)
    }

    /// The app registration's client id.
    pub fn client_id(&self) -> String {
        self.app.clone().unwrap_or_else(|| self.derived(2))
    }

    /// The app registration's secret.
    pub fn client_secret(&self) -> String {
        format!("sim~{}", self.derived(3).replace('-', ""))
    }
}
