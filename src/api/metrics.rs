//! `GET /metrics`: what the daemon counts, in OpenMetrics text. Names and units follow <https://prometheus.io/docs/practices/naming/>.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::files::{Facts, Fresh};
use super::server::Sources;
use crate::daemon::{Moment, Progress, TenantWork, Totals};
use crate::graph::{BreakerStatus, LaneStatus};

/// Of OpenMetrics text.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const BREAKER_STATES: [&str; 3] = ["closed", "half-open", "open"];

/// Everything as text.
///
/// # Errors
/// Never in practice: it is written into memory.
pub(super) fn text(sources: &Sources, tenants: Vec<(TenantWork, Facts)>) -> Result<String, fmt::Error> {
    let (own, shared) = sources.engine.queue_status().into_iter().partition(|lane| lane.tenant.is_some());
    let snapshot = Snapshot {
        now: crate::clock::now(),
        lanes: merged(own),
        shared,
        breakers: sources.engine.breakers(),
        moment: sources.live.moment(),
        totals: sources.live.totals(),
        tenants,
        resident_bytes: resident_bytes(),
    };
    let mut registry = Registry::default();
    registry.register_collector(Box::new(snapshot));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

/// A tenant has one lane for a workload, but for the time after its app was exchanged: then the two count as one.
fn merged(lanes: Vec<LaneStatus>) -> Vec<LaneStatus> {
    let mut by_key: BTreeMap<(Option<String>, &'static str), LaneStatus> = BTreeMap::new();
    for lane in lanes {
        let key = (lane.tenant.clone(), lane.workload);
        match by_key.remove(&key) {
            None => drop(by_key.insert(key, lane)),
            Some(mut other) => {
                other.counts += lane.counts;
                let (more, waiting) = (lane.waiting, &mut other.waiting);
                waiting.interactive += more.interactive;
                waiting.scheduled += more.scheduled;
                waiting.backfill += more.backfill;
                other.in_flight += lane.in_flight;
                other.used += lane.used;
                other.paused_for_seconds = other.paused_for_seconds.max(lane.paused_for_seconds);
                by_key.insert(key, other);
            }
        }
    }
    by_key.into_values().collect()
}

/// Bytes of memory that this process has in RAM, where the system tells.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// All that is told at one moment.
#[derive(Debug)]
struct Snapshot {
    now: Timestamp,
    lanes: Vec<LaneStatus>,
    shared: Vec<LaneStatus>,
    breakers: Vec<BreakerStatus>,
    moment: Moment,
    totals: Vec<((String, &'static str), Totals)>,
    tenants: Vec<(TenantWork, Facts)>,
    resident_bytes: Option<u64>,
}

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Out { encoder };
        self.requests(&mut out)?;
        self.budgets(&mut out)?;
        self.origins(&mut out)?;
        self.runs(&mut out)?;
        self.freshness(&mut out)?;
        self.process(&mut out)
    }
}

type Labels<'l, const N: usize> = [(&'static str, &'l str); N];

fn lane_labels(lane: &LaneStatus) -> Labels<'_, 2> {
    [("tenant", lane.tenant.as_deref().unwrap_or_default()), ("workload", lane.workload)]
}

fn app_labels(lane: &LaneStatus) -> Labels<'_, 2> {
    [("client_id", &lane.client_id), ("workload", lane.workload)]
}

impl Snapshot {
    /// A counter of each tenant's lanes.
    fn lane_counter<V: EncodeCounterValue>(&self, out: &mut Out<'_>, of: Of, value: impl Fn(&LaneStatus) -> V) -> fmt::Result {
        out.counters(of, self.lanes.iter().map(|lane| (lane_labels(lane), value(lane))))
    }

    fn requests(&self, out: &mut Out<'_>) -> fmt::Result {
        let by_status = self.lanes.iter().flat_map(|lane| {
            let counts = lane.counts;
            let classes = [
                ("2xx", counts.ok),
                ("3xx", counts.redirected),
                ("4xx", counts.refused),
                ("5xx", counts.server_errors),
                ("throttled", counts.throttled),
                ("broken", counts.broken),
            ];
            let [tenant, workload] = lane_labels(lane);
            classes.map(|(class, count)| ([tenant, workload, ("status", class)], count))
        });
        let help = "Requests to Microsoft Graph that ended, by class of their status: throttled is 429 and 503 with Retry-After, broken no answer or half of one";
        out.counters(Of::plain("entra_mirror_requests", help), by_status)?;
        self.lane_counter(out, Of::plain("entra_mirror_requests_sent", "Requests sent to Microsoft Graph"), |lane| lane.counts.requests)?;
        self.lane_counter(out, Of::plain("entra_mirror_retries", "Requests sent again after a failure"), |lane| lane.counts.retries)?;
        let help = "Answers that asked to wait: 429, and 503 with Retry-After";
        self.lane_counter(out, Of::plain("entra_mirror_throttled", help), |lane| lane.counts.throttled)?;
        let help = "Time that requests waited in the queue before they were sent, all together";
        self.lane_counter(out, Of::seconds("entra_mirror_request_wait", help), |lane| lane.counts.waited_seconds)?;
        let help = "Resource units spent, where Microsoft Graph counts those";
        self.lane_counter(out, Of::plain("entra_mirror_resource_units", help), |lane| lane.counts.units)?;
        let waiting = self.lanes.iter().flat_map(|lane| {
            let [tenant, workload] = lane_labels(lane);
            let waiting = lane.waiting;
            let classes = [("interactive", waiting.interactive), ("scheduled", waiting.scheduled), ("backfill", waiting.backfill)];
            classes.map(|(priority, count)| ([tenant, workload, ("priority", priority)], count as f64))
        });
        out.gauges(Of::plain("entra_mirror_requests_waiting", "Requests in the queue, by priority"), waiting)?;
        let in_flight = self.lanes.iter().map(|lane| (lane_labels(lane), lane.in_flight as f64));
        out.gauges(Of::plain("entra_mirror_requests_in_flight", "Requests under way"), in_flight)
    }

    /// Budgets: of each tenant, and of what all tenants of an app share.
    fn budgets(&self, out: &mut Out<'_>) -> fmt::Result {
        let Snapshot { lanes, shared, .. } = self;
        type Figure = fn(&LaneStatus) -> Option<f64>;
        let figures: [(Of, Of, Figure); 5] = [
            (
                Of::plain("entra_mirror_budget_limit", "Published or learnt budget of a window, in resource units or requests"),
                Of::plain("entra_mirror_app_budget_limit", "The same over all tenants of the app"),
                |lane| lane.budget,
            ),
            (
                Of::plain(
                    "entra_mirror_budget_allowed",
                    "What may be sent in a window at the moment: below the budget by the aim and by what throttling taught",
                ),
                Of::plain("entra_mirror_app_budget_allowed", "The same over all tenants of the app"),
                |lane| lane.allowed,
            ),
            (
                Of::plain("entra_mirror_budget_used", "What was sent in the window that ends now"),
                Of::plain("entra_mirror_app_budget_used", "The same over all tenants of the app"),
                |lane| Some(lane.used),
            ),
            (
                Of::seconds("entra_mirror_budget_window", "Length of the window"),
                Of::seconds("entra_mirror_app_budget_window", "Length of the window over all tenants of the app"),
                |lane| Some(lane.window_seconds),
            ),
            (
                Of::seconds("entra_mirror_paused", "How long nothing is sent because Microsoft Graph asked for it; 0 when requests go"),
                Of::seconds("entra_mirror_app_paused", "The same for all tenants of the app"),
                |lane| Some(lane.paused_for_seconds),
            ),
        ];
        for (own, app, figure) in figures {
            out.gauges(own, lanes.iter().filter_map(|lane| Some((lane_labels(lane), figure(lane)?))))?;
            out.gauges(app, shared.iter().filter_map(|lane| Some((app_labels(lane), figure(lane)?))))?;
        }
        Ok(())
    }

    fn origins(&self, out: &mut Out<'_>) -> fmt::Result {
        let states = self.breakers.iter().flat_map(|breaker| {
            BREAKER_STATES
                .map(|state| ([("origin", breaker.origin.as_str()), ("state", state)], f64::from(u8::from(breaker.state == state))))
        });
        let help = "1 for the state of the circuit breaker: open while the origin is taken to be out of service, half-open while one request tries";
        out.gauges(Of::plain("entra_mirror_breaker_state", help), states)?;
        let failures = self.breakers.iter().map(|breaker| ([("origin", breaker.origin.as_str())], f64::from(breaker.failures_in_a_row)));
        out.gauges(Of::plain("entra_mirror_breaker_failures_in_a_row", "Failures of the origin since its last answer"), failures)
    }

    fn runs(&self, out: &mut Out<'_>) -> fmt::Result {
        let labels = |(tenant, resource): &'_ (String, &'static str)| [("tenant", tenant.clone()), ("resource", (*resource).to_owned())];
        let outcomes = self.totals.iter().flat_map(|(key, totals)| {
            let [tenant, resource] = labels(key);
            totals.runs.iter().map(move |(outcome, count)| ([tenant.clone(), resource.clone(), ("outcome", (*outcome).to_owned())], *count))
        });
        out.counters(Of::plain("entra_mirror_runs", "Runs that ended since the daemon started, by outcome"), outcomes)?;
        type Figure = fn(&Progress) -> u64;
        let figures: [(Of, Figure); 5] = [
            (Of::plain("entra_mirror_pages", "Pages applied"), |done| done.pages),
            (Of::plain("entra_mirror_rows", "Objects received"), |done| done.rows),
            (Of::plain("entra_mirror_writes", "Rows inserted, updated or deleted in mirrored tables"), |done| done.writes),
            (Of::plain("entra_mirror_changes", "Rows written to the change feed"), |done| done.changes),
            (Of::plain("entra_mirror_late_events", "Events of logs that came after the time they belong to had been read"), |done| {
                done.late
            }),
        ];
        for (of, figure) in figures {
            out.counters(of, self.totals.iter().map(|(key, totals)| (labels(key), figure(&totals.done))))?;
        }
        let running = [([] as Labels<'_, 0>, self.moment.running.len() as f64)];
        out.gauges(Of::plain("entra_mirror_runs_in_progress", "Runs in progress"), running)?;
        let due = [([] as Labels<'_, 0>, self.moment.due as f64)];
        out.gauges(Of::plain("entra_mirror_runs_due", "Runs whose time has come and that wait for room"), due)
    }

    fn freshness(&self, out: &mut Out<'_>) -> fmt::Result {
        let second = |at: Timestamp| at.as_millisecond() as f64 / 1000.0;
        let age = |at: Timestamp| (second(self.now) - second(at)).max(0.0);
        type Time = fn(&Fresh) -> Option<Timestamp>;
        let (success, token): (Time, Time) = (|fresh| fresh.last_success, |fresh| fresh.delta_link);
        let times = |time: Time| {
            self.tenants.iter().flat_map(move |(tenant, facts)| {
                let mirrored = facts.resources.iter().filter(|fresh| tenant.resources.contains(&fresh.resource));
                mirrored.filter_map(move |fresh| Some(([("tenant", tenant.name.as_str()), ("resource", fresh.resource)], time(fresh)?)))
            })
        };
        let of = Of::seconds("entra_mirror_last_success_timestamp", "Unix time of the last successful round; none before the first");
        out.gauges(of, times(success).map(|(labels, at)| (labels, second(at))))?;
        let of = Of::seconds("entra_mirror_lag", "Time since the last successful round");
        out.gauges(of, times(success).map(|(labels, at)| (labels, age(at))))?;
        let of = Of::seconds("entra_mirror_delta_token_age", "Age of the delta token in use; Microsoft Graph promises it for seven days");
        out.gauges(of, times(token).map(|(labels, at)| (labels, age(at))))?;
        let sizes =
            |size: fn(&Facts) -> u64| self.tenants.iter().map(move |(t, facts)| ([("tenant", t.name.as_str())], size(facts) as f64));
        out.gauges(Of::bytes("entra_mirror_file", "Size of the tenant's file"), sizes(|facts| facts.mark.file_bytes))?;
        out.gauges(Of::bytes("entra_mirror_wal", "Size of the write-ahead log beside it"), sizes(|facts| facts.mark.wal_bytes))
    }

    fn process(&self, out: &mut Out<'_>) -> fmt::Result {
        let none: Labels<'_, 0> = [];
        let build = [([("version", env!("CARGO_PKG_VERSION"))], 1.0)];
        out.gauges(Of::plain("entra_mirror_build_info", "1, with the version as a label"), build)?;
        let age = [(none, self.moment.turned.as_secs_f64())];
        out.gauges(Of::seconds("entra_mirror_loop_age", "Time since the daemon's loop last went round"), age)?;
        let started = [(none, self.moment.started_at.as_millisecond() as f64 / 1000.0)];
        // These two have the names that every Prometheus client gives them.
        out.gauges(Of::seconds("process_start_time", "Unix time of the start"), started)?;
        let resident = self.resident_bytes.map(|bytes| (none, bytes as f64));
        out.gauges(Of::bytes("process_resident_memory", "Memory of the process that is in RAM"), resident)
    }
}

/// What a metric is called and what it says.
struct Of {
    /// Without its unit and without `_total`, which are appended.
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
}

impl Of {
    fn plain(name: &'static str, help: &'static str) -> Of {
        Of { name, help, unit: None }
    }

    fn seconds(name: &'static str, help: &'static str) -> Of {
        Of { name, help, unit: Some(Unit::Seconds) }
    }

    fn bytes(name: &'static str, help: &'static str) -> Of {
        Of { name, help, unit: Some(Unit::Bytes) }
    }
}

/// Writes metrics.
struct Out<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl Out<'_> {
    fn counters<L: EncodeLabelSet, V: EncodeCounterValue>(&mut self, of: Of, samples: impl IntoIterator<Item = (L, V)>) -> fmt::Result {
        let mut metric = self.encoder.encode_descriptor(of.name, of.help, of.unit.as_ref(), MetricType::Counter)?;
        for (labels, value) in samples {
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }

    fn gauges<L: EncodeLabelSet, V: EncodeGaugeValue>(&mut self, of: Of, samples: impl IntoIterator<Item = (L, V)>) -> fmt::Result {
        let mut metric = self.encoder.encode_descriptor(of.name, of.help, of.unit.as_ref(), MetricType::Gauge)?;
        for (labels, value) in samples {
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }
}
