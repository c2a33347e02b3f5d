//! The circuit breaker of one origin: whether the service as a whole answers. Pure state; time and chance are handed in.

use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row before it opens.
const FAILURES: u32 = 10;
/// Where an origin serves one tenant only and does answer, if with errors, this many different paths must fail: one broken resource is no
/// outage.
const PATHS: usize = 5;
/// Until the first probe, and the most between two.
const FIRST_PROBE: Duration = Duration::from_secs(1);
const LONGEST_PROBE: Duration = Duration::from_secs(60);

/// Whether a request may go to the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Closed,
    /// One may go, to see whether the service is back.
    Probe,
    /// None before this instant; `None` = a probe is under way.
    Wait(Option<Instant>),
}

/// What happened to the breaker, to be told once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Opened { failures: u32, probe_after: Duration },
    Closed { after: Duration },
}

#[derive(Debug)]
struct Open {
    since: Instant,
    probe_at: Instant,
    interval: Duration,
    probing: bool,
}

/// One origin's breaker.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// The first tenant that the origin serves, and whether there are more.
    serves: Option<String>,
    serves_many: bool,
    failures: u32,
    failed: Option<String>,
    failed_many: bool,
    connects: u32,
    paths: Vec<String>,
    open: Option<Open>,
}

impl Breaker {
    /// The origin serves this tenant.
    pub fn serve(&mut self, tenant: &str) {
        match &self.serves {
            Some(first) => self.serves_many |= first != tenant,
            None => self.serves = Some(tenant.to_owned()),
        }
    }

    pub fn gate(&self, now: Instant) -> Gate {
        match &self.open {
            None => Gate::Closed,
            Some(open) if open.probing => Gate::Wait(None),
            Some(open) if open.probe_at > now => Gate::Wait(Some(open.probe_at)),
            Some(_) => Gate::Probe,
        }
    }

    /// A request that was let through as a probe is sent.
    pub fn probe(&mut self) {
        if let Some(open) = &mut self.open {
            open.probing = true;
        }
    }

    /// A probe ended without an answer of any kind: it was called off.
    pub fn probe_lost(&mut self) {
        if let Some(open) = &mut self.open {
            open.probing = false;
        }
    }

    /// The origin answered like a service that works.
    pub fn worked(&mut self, now: Instant) -> Option<Change> {
        self.failures = 0;
        self.failed = None;
        self.failed_many = false;
        self.connects = 0;
        self.paths.clear();
        self.open.take().map(|open| Change::Closed { after: now.saturating_duration_since(open.since) })
    }

    /// A request failed. `connected` tells a service that answers with errors, or breaks off, from one that is not there.
    pub fn failed(&mut self, tenant: &str, path: &str, connected: bool, probe: bool, random: f64, now: Instant) -> Option<Change> {
        let jitter = |interval: Duration| interval.mul_f64(0.5 + 0.5 * random.clamp(0.0, 1.0));
        if let Some(open) = &mut self.open {
            // Requests that were under way when it opened say nothing new.
            if probe {
                open.probing = false;
                open.interval = (open.interval * 2).min(LONGEST_PROBE);
                open.probe_at = now + jitter(open.interval);
            }
            return None;
        }
        self.failures = self.failures.saturating_add(1);
        self.connects = self.connects.saturating_add(u32::from(!connected));
        match &self.failed {
            Some(first) => self.failed_many |= first != tenant,
            None => self.failed = Some(tenant.to_owned()),
        }
        if self.paths.len() < PATHS && !self.paths.iter().any(|known| known == path) {
            self.paths.push(path.to_owned());
        }
        let alone = !self.serves_many && (self.connects >= FAILURES || self.paths.len() >= PATHS);
        if self.failures < FAILURES || !(self.failed_many || alone) {
            return None;
        }
        let probe_after = jitter(FIRST_PROBE);
        self.open = Some(Open { since: now, probe_at: now + probe_after, interval: FIRST_PROBE, probing: false });
        Some(Change::Opened { failures: self.failures, probe_after })
    }

    /// Since when it is open.
    pub fn since(&self) -> Option<Instant> {
        self.open.as_ref().map(|open| open.since)
    }

    /// State, failures in a row, and the time to the next probe.
    pub fn describe(&self, now: Instant) -> (&'static str, u32, Option<Duration>) {
        match &self.open {
            None => ("closed", self.failures, None),
            Some(open) if open.probing => ("half-open", self.failures, None),
            Some(open) => ("open", self.failures, Some(open.probe_at.saturating_duration_since(now))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tenants: &[&str]) -> Breaker {
        let mut breaker = Breaker::default();
        tenants.iter().for_each(|tenant| breaker.serve(tenant));
        breaker
    }

    #[test]
    fn it_opens_probes_and_closes() {
        let (mut breaker, now) = (of(&["a", "b"]), Instant::now());
        for n in 0..9 {
            assert_eq!(breaker.failed(if n % 2 == 0 { "a" } else { "b" }, "/users", true, false, 1.0, now), None);
        }
        assert_eq!(breaker.gate(now), Gate::Closed);
        let opened = breaker.failed("a", "/users", true, false, 1.0, now);
        assert_eq!(opened, Some(Change::Opened { failures: 10, probe_after: FIRST_PROBE }));
        assert_eq!(breaker.gate(now), Gate::Wait(Some(now + FIRST_PROBE)));
        assert_eq!(breaker.failed("a", "/users", true, false, 1.0, now), None, "it is told once");
        let mut at = now + FIRST_PROBE;
        let mut intervals = Vec::new();
        for _ in 0..8 {
            assert_eq!(breaker.gate(at), Gate::Probe);
            breaker.probe();
            assert_eq!(breaker.gate(at), Gate::Wait(None), "one at a time");
            breaker.failed("a", "/users", true, true, 1.0, at);
            let Gate::Wait(Some(next)) = breaker.gate(at) else { panic!("open") };
            intervals.push((next - at).as_secs());
            at = next;
        }
        assert_eq!(intervals, [2, 4, 8, 16, 32, 60, 60, 60]);
        breaker.probe();
        breaker.probe_lost();
        assert_eq!(breaker.gate(at), Gate::Probe, "a probe that was called off is made up for");
        breaker.probe();
        assert!(matches!(breaker.worked(at), Some(Change::Closed { .. })));
        assert_eq!(breaker.gate(at), Gate::Closed);
        assert_eq!(breaker.worked(at), None);
    }

    #[test]
    fn one_tenants_outage_is_no_outage_of_the_origin() {
        let (mut breaker, now) = (of(&["a", "b"]), Instant::now());
        for n in 0..1000 {
            assert_eq!(breaker.failed("a", &format!("/{n}"), false, false, 0.5, now), None);
        }
        assert!(breaker.failed("b", "/users", true, false, 0.5, now).is_some(), "the second tenant tells that it is");
    }

    #[test]
    fn where_there_is_one_tenant_only_it_opens_for_what_concerns_all_of_it() {
        let (mut breaker, now) = (of(&["a"]), Instant::now());
        for n in 0..100 {
            assert_eq!(breaker.failed("a", &format!("/{}", n % 4), true, false, 0.5, now), None, "a few resources are broken");
        }
        assert!(breaker.failed("a", "/5", true, false, 0.5, now).is_some());
        let mut breaker = of(&["a"]);
        assert!((0..10).any(|_| breaker.failed("a", "/users", false, false, 0.5, now).is_some()), "nobody is there");
    }

    #[test]
    fn a_success_between_starts_the_count_over() {
        let (mut breaker, now) = (of(&["a"]), Instant::now());
        for n in 0..100 {
            assert_eq!(breaker.failed("a", &format!("/{n}"), false, false, 0.5, now), None);
            if n % 9 == 8 {
                breaker.worked(now);
            }
        }
    }
}
