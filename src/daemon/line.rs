//! Runs whose time has come, in the order in which it came, and how many of each tenant go on. Knows no time and no configuration.

use std::collections::{BTreeMap, HashMap};

use super::driver::Key;

/// How many runs at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub tenants: usize,
    /// Of one tenant.
    pub resources: usize,
}

/// A place in the line; earlier ones are smaller.
pub(super) type Ticket = u64;

/// The line. Whoever came first goes first: a tenant with a run in progress gets no further one while another tenant has waited longer, or
/// one that always has something to do would keep its place for ever.
#[derive(Debug, Default)]
pub(super) struct Line {
    last: Ticket,
    due: HashMap<String, BTreeMap<Ticket, &'static str>>,
    /// First tickets of the tenants that have no run in progress.
    resting: BTreeMap<Ticket, String>,
    /// Tenants with runs in progress, and how many.
    running: HashMap<String, usize>,
    len: usize,
}

impl Line {
    /// A place for a run that may have to wait for something else first.
    pub fn ticket(&mut self) -> Ticket {
        self.last += 1;
        self.last
    }

    /// Runs in the line.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Puts a run at its place.
    pub fn push(&mut self, ticket: Ticket, (tenant, resource): Key) {
        if !self.running.contains_key(&tenant) {
            let first = self.due.get(&tenant).and_then(|due| due.first_key_value()).map(|(first, _)| *first);
            if first.is_none_or(|first| ticket < first) {
                first.and_then(|first| self.resting.remove(&first));
                self.resting.insert(ticket, tenant.clone());
            }
        }
        if self.due.entry(tenant).or_default().insert(ticket, resource).is_none() {
            self.len += 1;
        }
    }

    /// Takes the next run for which there is room; it counts as running from now on. Takes time by the tenants that run, however many wait.
    pub fn take(&mut self, limits: Limits) -> Option<Key> {
        let first = |tenant: &String| self.due.get(tenant)?.first_key_value().map(|(ticket, _)| *ticket);
        let running = self.running.iter().filter(|(_, count)| **count < limits.resources);
        let going_on = running.filter_map(|(tenant, _)| Some((first(tenant)?, tenant))).min();
        let resting = self.resting.first_key_value().map(|(ticket, tenant)| (*ticket, tenant));
        let (ticket, tenant) = match (going_on, resting) {
            (Some(going_on), Some(resting)) if going_on < resting => going_on,
            (Some(going_on), None) => going_on,
            (_, Some(resting)) if self.running.len() < limits.tenants => resting,
            _ => return None,
        };
        let tenant = tenant.clone();
        self.resting.remove(&ticket);
        let due = self.due.get_mut(&tenant)?;
        let resource = due.remove(&ticket)?;
        if due.is_empty() {
            self.due.remove(&tenant);
        }
        self.len -= 1;
        *self.running.entry(tenant.clone()).or_default() += 1;
        Some((tenant, resource))
    }

    /// A run that was taken is over.
    pub fn ended(&mut self, tenant: &str) {
        let Some(count) = self.running.get_mut(tenant) else { return };
        *count -= 1;
        if *count > 0 {
            return;
        }
        if let Some((tenant, _)) = self.running.remove_entry(tenant)
            && let Some((first, _)) = self.due.get(&tenant).and_then(|due| due.first_key_value())
        {
            self.resting.insert(*first, tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { tenants: 2, resources: 2 };

    fn line(runs: &[(&str, &'static str)]) -> Line {
        let mut line = Line::default();
        for (tenant, resource) in runs {
            push(&mut line, tenant, resource);
        }
        line
    }

    fn push(line: &mut Line, tenant: &str, resource: &'static str) {
        let ticket = line.ticket();
        line.push(ticket, (tenant.to_owned(), resource));
    }

    fn take(line: &mut Line) -> Option<String> {
        line.take(LIMITS).map(|(tenant, resource)| format!("{tenant} {resource}"))
    }

    #[test]
    fn the_first_goes_first_within_the_limits() {
        let mut line = line(&[("a", "users"), ("a", "groups"), ("a", "devices"), ("b", "users"), ("c", "users")]);
        assert_eq!(take(&mut line).as_deref(), Some("a users"));
        assert_eq!(take(&mut line).as_deref(), Some("a groups"));
        assert_eq!(take(&mut line).as_deref(), Some("b users"));
        assert_eq!(take(&mut line), None, "a has two, and c would be the third tenant");
        assert_eq!(line.len(), 2);
        line.ended("a");
        assert_eq!(take(&mut line).as_deref(), Some("a devices"));
        line.ended("b");
        assert_eq!(take(&mut line).as_deref(), Some("c users"));
        assert_eq!((take(&mut line), line.len()), (None, 0));
    }

    #[test]
    fn who_always_has_something_to_do_keeps_nobody_waiting() {
        let mut line = line(&[("a", "sign_ins"), ("a", "directory_audits"), ("b", "sign_ins"), ("c", "users")]);
        (0..3).for_each(|_| assert!(take(&mut line).is_some()));
        // A backfill takes its turn again behind all others, although its tenant still has a place.
        line.ended("a");
        push(&mut line, "a", "sign_ins");
        assert_eq!(take(&mut line), None, "c waits longer");
        line.ended("a");
        assert_eq!(take(&mut line).as_deref(), Some("c users"));
        assert_eq!(take(&mut line), None);
        line.ended("b");
        assert_eq!(take(&mut line).as_deref(), Some("a sign_ins"));
    }

    #[test]
    fn a_run_that_waited_for_another_has_kept_its_place() {
        let mut line = Line::default();
        let kept = line.ticket();
        push(&mut line, "b", "users");
        push(&mut line, "a", "groups");
        line.push(kept, ("a".to_owned(), "assigned_licenses"));
        assert_eq!(take(&mut line).as_deref(), Some("a assigned_licenses"));
        assert_eq!(take(&mut line).as_deref(), Some("b users"));
        assert_eq!(take(&mut line).as_deref(), Some("a groups"));
    }

    #[test]
    fn thousands_of_runs_all_get_their_turn_and_never_beyond_the_limits() {
        let mut line = Line::default();
        let names = ["users", "groups", "devices", "sign_ins", "roles"];
        let tenants: Vec<String> = (0..500).map(|n| format!("t{n}")).collect();
        for resource in names {
            tenants.iter().for_each(|tenant| push(&mut line, tenant, resource));
        }
        let mut random = fastrand::Rng::with_seed(7);
        let (mut running, mut done): (Vec<Key>, usize) = (Vec::new(), 0);
        while done < 2500 {
            while let Some(key) = line.take(Limits { tenants: 16, resources: 4 }) {
                running.push(key);
            }
            let mut by_tenant: HashMap<&str, usize> = HashMap::new();
            running.iter().for_each(|(tenant, _)| *by_tenant.entry(tenant).or_default() += 1);
            assert!(by_tenant.len() <= 16 && by_tenant.values().all(|count| *count <= 4));
            let (tenant, _) = running.swap_remove(random.usize(..running.len()));
            line.ended(&tenant);
            done += 1;
        }
        assert!(line.take(LIMITS).is_none() && running.is_empty());
    }
}
