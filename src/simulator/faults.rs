//! Faults on demand: which request they hit and what happens to it. Knows no objects.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// How an answer asks to wait.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// No Retry-After.
    #[default]
    Missing,
    /// Whole or decimal seconds, as written.
    Seconds(String),
    /// An HTTP date so many seconds from now.
    Date(u64),
}

/// What happens.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// An error in Graph's form; an empty code gives an empty body.
    Error {
        status: u16,
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
        #[serde(default)]
        retry_after: Retry,
    },
    /// A body that is HTML.
    Html { status: u16 },
    /// The connection breaks in the middle of the body.
    Reset,
    /// The body ends in the middle, with a length that agrees.
    Truncate,
    /// Nothing comes for so many milliseconds; then the answer.
    Hang { millis: u64 },
    /// The nextLink or deltaLink names this origin.
    ForeignLink { origin: String },
    /// A redirect to this URL.
    Redirect { to: String },
    /// A delta or listing succeeds without any object.
    Empty,
    /// The same page for ever, under a new link each time.
    Loop,
    /// 410 with or without `Location`.
    Gone { location: bool },
    /// 410 whose `Location` names another origin.
    GoneForeign { origin: String },
    /// An error whose body is plain text.
    Plain {
        status: u16,
        text: String,
        #[serde(default)]
        retry_after: Retry,
    },
    /// The right body, called plain text.
    ContentType,
    /// The body comes in pieces over so many milliseconds.
    Trickle { millis: u64 },
    /// The body is that much longer, and small on the wire for who takes gzip.
    Oversized { mebibytes: usize },
    /// 503; once the same is asked again, its nextLink leads to a page token that is not found (`DirectoryPageTokenNotFoundException`).
    LosePageToken,
    /// These objects come with the page, before or after its own: an older value, a duplicate, an object that nobody can find.
    Insert {
        objects: Vec<Value>,
        #[serde(default)]
        last: bool,
    },
    /// The page's objects come twice, the second time in another order.
    Twice,
    /// The last object of the page is left out: a lost change, an omission between pages.
    Omit,
    /// A property of the page's first object has this value, whatever its type.
    Set { property: String, value: Value },
    /// Members of groups and units are of a type that nobody knows.
    UnknownTypes,
    /// The wrong `@odata.context`, and annotations that nobody knows.
    Context,
    /// So many things happen in the tenant before this request is answered: in the middle of a round.
    Change { events: usize },
    /// So much of the tenant's time passes before this request is answered: tokens die, events age.
    Pass { seconds: u64 },
    /// The page is empty and goes on.
    EmptyPage,
    /// The page begins with the last object of the page before.
    Overlap,
    /// Objects come in two parts, each with other properties and links, the second ones behind all others of the page.
    Parts,
    /// Delta tells only the properties that changed.
    Minimal,
    /// 429 with the headers that tell of throttling; `scope` is `x-ms-throttle-scope`, `share` is `x-ms-throttle-limit-percentage`.
    Throttled {
        #[serde(default)]
        retry_after: Retry,
        #[serde(default)]
        scope: String,
        #[serde(default)]
        share: String,
    },
    /// 429 for so many milliseconds, and who asks again before they are over waits twice as long.
    Spell { millis: u64 },
    /// 401 that asks for a token with these claims, in base64, as continuous access evaluation does.
    Challenge { claims: String },
}

impl Action {
    /// Whether it can find nothing to change in an answer, and has then not happened.
    pub(super) fn changes_pages(&self) -> bool {
        use Action::{Context, EmptyPage, ForeignLink, Insert, Omit, Overlap, Parts, Set, Twice, UnknownTypes};
        matches!(
            self,
            ForeignLink { .. } | Insert { .. } | Twice | Omit | Set { .. } | UnknownTypes | Context | EmptyPage | Overlap | Parts
        )
    }
}

/// A fault that hit, and which one it was.
#[derive(Debug)]
pub(super) struct Struck {
    pub action: Action,
    number: usize,
}

/// A throttle spell under way: when it ends, and how long whoever asks too early makes it.
#[derive(Clone, Copy, Debug)]
struct Spell {
    until: Instant,
    length: Duration,
}

/// A fault: what it does, and to which requests.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Part of path or query; several, separated by a space, must all be there. Empty matches all.
    #[serde(default)]
    pub matching: String,
    /// Skips so many matching requests first.
    #[serde(default)]
    pub after: u64,
    /// One matching request in this many; 0 and 1 mean each.
    #[serde(default)]
    pub every: u64,
    /// 0 to 1; each otherwise chosen request is hit with this probability.
    #[serde(default = "certain")]
    pub probability: f64,
    /// Hits so many at most; 0 means no limit.
    #[serde(default)]
    pub times: u64,
    /// Seconds of the tenant's clock, since the tenant was made, before which nothing is hit.
    #[serde(default)]
    pub from_seconds: u64,
    /// And from which on nothing is hit any more; 0 means no end.
    #[serde(default)]
    pub to_seconds: u64,
    pub action: Action,
}

fn certain() -> f64 {
    1.0
}

impl Fault {
    /// A fault that hits every request whose path or query contains `matching`, or each of its parts when it has spaces.
    pub fn new(matching: &str, action: Action) -> Fault {
        Fault { matching: matching.to_owned(), after: 0, every: 1, probability: 1.0, times: 0, from_seconds: 0, to_seconds: 0, action }
    }

    /// Skips the first matching requests.
    pub fn after(self, after: u64) -> Fault {
        Fault { after, ..self }
    }

    /// Hits so many at most.
    pub fn times(self, times: u64) -> Fault {
        Fault { times, ..self }
    }

    /// One in this many.
    pub fn every(self, every: u64) -> Fault {
        Fault { every, ..self }
    }

    /// Within this span of the tenant's clock, in seconds since the tenant was made; 0 as the end means none.
    pub fn within(self, from_seconds: u64, to_seconds: u64) -> Fault {
        Fault { from_seconds, to_seconds, ..self }
    }

    /// With this probability.
    pub fn probability(self, probability: f64) -> Fault {
        Fault { probability, ..self }
    }
}

/// The faults of a tenant, with their counts.
#[derive(Debug)]
pub(super) struct Faults {
    list: Vec<(Fault, u64, u64)>,
    began: Timestamp,
    /// Requests that failed and whose page, once it comes, leads nowhere.
    losing: HashSet<String>,
    /// By number of the fault.
    spells: HashMap<usize, Spell>,
    random: fastrand::Rng,
}

impl Faults {
    pub fn new(seed: u64, began: Timestamp) -> Faults {
        Faults { list: Vec::new(), began, losing: HashSet::new(), spells: HashMap::new(), random: fastrand::Rng::with_seed(seed ^ 0xfa17) }
    }

    pub fn add(&mut self, fault: Fault) {
        self.list.push((fault, 0, 0));
    }

    /// How often each fault hit, by what it matches.
    pub fn hits(&self) -> Vec<(String, u64)> {
        self.list.iter().map(|(fault, _, hits)| (fault.matching.clone(), *hits)).collect()
    }

    pub fn clear(&mut self) {
        self.list.clear();
        self.losing.clear();
        self.spells.clear();
    }

    /// The fault found nothing to change in the answer: it has not hit, and waits for the next request.
    pub fn missed(&mut self, struck: &Struck) {
        if let Some((_, _, hits)) = self.list.get_mut(struck.number) {
            *hits = hits.saturating_sub(1);
        }
    }

    /// How long a spell still lasts; `None` once it is over. Asking before its end doubles it.
    fn spell(&mut self, number: usize, first: Duration, now: Instant) -> Option<Duration> {
        let spell = self.spells.entry(number).or_insert(Spell { until: now + first, length: first });
        let left = spell.until.checked_duration_since(now)?;
        if left < spell.length {
            spell.length *= 2;
            spell.until = now + spell.length;
        }
        Some(spell.until.saturating_duration_since(now))
    }

    /// What happens to this request, if anything. The first fault that hits counts.
    pub fn strike(&mut self, path_and_query: &str, now: Timestamp) -> Option<Struck> {
        let age = u64::try_from(now.duration_since(self.began).as_secs()).unwrap_or(0);
        for number in 0..self.list.len() {
            let (fault, seen, hits) = &mut self.list[number];
            let at_time = age >= fault.from_seconds && (fault.to_seconds == 0 || age < fault.to_seconds);
            if !at_time || !fault.matching.split(' ').all(|part| path_and_query.contains(part)) {
                continue;
            }
            *seen += 1;
            let exhausted = fault.times > 0 && *hits >= fault.times;
            let due = *seen > fault.after && (*seen - fault.after - 1).is_multiple_of(fault.every.max(1));
            if exhausted || !due || self.random.f64() >= fault.probability {
                continue;
            }
            *hits += 1;
            let mut action = fault.action.clone();
            match action {
                Action::LosePageToken => {
                    self.losing.insert(path_and_query.to_owned());
                }
                Action::Spell { millis } => {
                    let Some(left) = self.spell(number, Duration::from_millis(millis), Instant::now()) else {
                        // Over for good: it has not hit.
                        self.list[number].2 -= 1;
                        continue;
                    };
                    let wait = Retry::Seconds(format!("{:.3}", left.as_secs_f64()));
                    action = Action::Throttled { retry_after: wait, scope: String::new(), share: String::new() };
                }
                _ => {}
            }
            return Some(Struck { action, number });
        }
        None
    }

    /// Whether this request failed before in a way that its page leads nowhere now; told once.
    pub fn leads_nowhere(&mut self, path_and_query: &str) -> bool {
        self.losing.remove(path_and_query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_hits_by_parts_number_and_time() {
        let began = Timestamp::UNIX_EPOCH;
        let mut faults = Faults::new(1, began);
        faults.add(Fault::new("users skiptoken", Action::Reset).after(1).times(2).within(60, 120));
        let mut hit = |text: &str, second: i64| faults.strike(text, began + jiff::SignedDuration::from_secs(second)).is_some();
        assert!(!hit("users/delta?$skiptoken=a", 59), "too early, and not counted");
        assert!(!hit("users/delta?$skiptoken=a", 60), "the first is skipped");
        assert!(!hit("users/delta?$deltatoken=a", 61) && !hit("groups/delta?$skiptoken=a", 61));
        assert!(hit("users/delta?$skiptoken=a", 62) && !hit("users/delta?$skiptoken=a", 120) && hit("users/delta?$skiptoken=a", 119));
        assert!(!hit("users/delta?$skiptoken=a", 100), "twice at most");
        assert_eq!(faults.hits(), [("users skiptoken".to_owned(), 2)]);
    }

    #[test]
    fn what_finds_nothing_to_change_has_not_hit() {
        let mut faults = Faults::new(1, Timestamp::UNIX_EPOCH);
        faults.add(Fault::new("users", Action::Omit).times(1));
        let mut strike = |changed: bool| {
            let struck = faults.strike("users", Timestamp::UNIX_EPOCH);
            struck.as_ref().filter(|_| !changed).inspect(|struck| faults.missed(struck));
            struck.is_some()
        };
        assert!(strike(false) && strike(true) && !strike(true));
    }

    #[test]
    fn a_spell_grows_for_who_asks_too_early_and_ends_for_who_waits() {
        let (mut faults, second, began) = (Faults::new(1, Timestamp::UNIX_EPOCH), Duration::from_secs(1), Instant::now());
        assert_eq!(faults.spell(0, second, began), Some(second));
        assert_eq!(faults.spell(0, second, began + second / 2), Some(2 * second));
        assert_eq!(faults.spell(0, second, began + second), Some(4 * second), "too early again");
        assert_eq!(faults.spell(0, second, began + 6 * second), None);
        assert_eq!(faults.spell(0, second, began + 7 * second), None);
    }
}
