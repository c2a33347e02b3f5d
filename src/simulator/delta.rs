//! Delta queries: rounds of pages from a token, with the quirks of the real ones. Knows the store; no sockets.

use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::faults::Action;
use super::listing::{Query, base_url};
use super::schema::Kind;
use super::store::{Life, Link, Object, Relation, Store};
use super::tenant::Tenant;

/// Ids in a delta filter.
const FILTER_IDS: usize = 50;

/// Where a round stands. It travels in the token, so the service keeps nothing.
#[derive(Clone, Debug, PartialEq)]
struct Round {
    /// Number of the selection in the tenant's list.
    selection: usize,
    /// Changes after this are told; `None` in a first round.
    since: Option<u64>,
    /// State of the store when the round began.
    until: u64,
    /// First round: position in the collection. Later: the last change that was told.
    cursor: u64,
    /// Links of the object at the cursor that were already told.
    told_links: usize,
    page: u32,
    issued: i64,
    /// A circle: the cursor does not move.
    circle: bool,
}

impl Round {
    fn encode(&self, kind: char) -> String {
        let since = self.since.map_or(String::new(), |s| s.to_string());
        let Round { selection, until, cursor, told_links, page, issued, circle, .. } = self;
        let text = format!(
            "{kind}|{selection}|{since}|{until}|{cursor}|{told_links}|{page}|{issued}|{}|{:08x}",
            u8::from(*circle),
            fastrand::u32(..)
        );
        text.bytes().map(|byte| format!("{:02x}", byte ^ 0x5a)).collect()
    }

    fn decode(token: &str, kind: char) -> Option<Round> {
        let bytes: Option<Vec<u8>> =
            (0..token.len() / 2).map(|i| Some(u8::from_str_radix(token.get(2 * i..2 * i + 2)?, 16).ok()? ^ 0x5a)).collect();
        let text = String::from_utf8(bytes?).ok()?;
        let mut parts = text.split('|');
        if parts.next()? != kind.to_string() {
            return None;
        }
        let mut next = || parts.next();
        Some(Round {
            selection: next()?.parse().ok()?,
            since: next()?.parse().ok(),
            until: next()?.parse().ok()?,
            cursor: next()?.parse().ok()?,
            told_links: next()?.parse().ok()?,
            page: next()?.parse().ok()?,
            issued: next()?.parse().ok()?,
            circle: next()? == "1",
        })
    }
}

/// The properties and relationships that a round tracks.
struct Selection {
    /// `None` = the default set.
    names: Option<Vec<String>>,
    ids: Option<Vec<String>>,
    text: String,
}

impl Selection {
    fn parse(kind: Kind, text: &str) -> Result<Selection, Answer> {
        let (select, filter) = text.split_once('\n').unwrap_or((text, ""));
        let names = (!select.is_empty()).then(|| select.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>());
        for name in names.iter().flatten() {
            let info = kind.info();
            let known =
                info.properties.contains(&name.as_str()) || info.navigation.contains(&name.as_str()) || name.starts_with("extension_");
            if !known {
                let message = format!("Could not find a property named '{name}' on type 'microsoft.graph.{}'.", info.name);
                return Err(Answer::error(400, "BadRequest", &message));
            }
        }
        Ok(Selection { names, ids: ids_filter(filter)?, text: text.to_owned() })
    }

    fn has(&self, name: &str) -> bool {
        self.names.as_ref().is_none_or(|names| names.iter().any(|n| n == name))
    }

    fn relations(&self, kind: Kind) -> Vec<Relation> {
        let chosen = |relation: Relation| match (&self.names, kind) {
            (Some(names), _) => names.iter().any(|n| n == relation.name()),
            // Without a selection groups and units tell their members, users not their manager.
            (None, Kind::Group | Kind::AdministrativeUnit) => relation == Relation::Members,
            (None, _) => false,
        };
        [Relation::Members, Relation::Owners, Relation::Manager].into_iter().filter(|r| chosen(*r)).collect()
    }
}

/// `id eq 'a' or id eq 'b'`: the only filter that delta takes.
fn ids_filter(filter: &str) -> Result<Option<Vec<String>>, Answer> {
    if filter.is_empty() {
        return Ok(None);
    }
    let ids: Option<Vec<String>> =
        filter.split(" or ").map(|part| Some(part.trim().strip_prefix("id eq '")?.strip_suffix('\'')?.to_owned())).collect();
    match ids {
        Some(ids) if ids.len() <= FILTER_IDS => Ok(Some(ids)),
        Some(_) => Err(Answer::bad_request(
            "Too many child clauses specified in search filter expression containing 'OR' operators. Max allowed: 50.",
        )),
        None => Err(Answer::unsupported("Unsupported or invalid query filter clause specified for property.")),
    }
}

/// What a fault wants of this answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Twist {
    /// No object, and the end.
    pub empty: bool,
    pub circle: bool,
    /// No object, and more to come.
    pub pause: bool,
    /// First the last object of the page before.
    pub overlap: bool,
}

impl Twist {
    pub fn of(action: &Action) -> Twist {
        Twist {
            empty: *action == Action::Empty,
            circle: *action == Action::Loop,
            pause: *action == Action::EmptyPage,
            overlap: *action == Action::Overlap,
        }
    }
}

/// Answers a delta query of a collection.
pub(super) fn answer(tenant: &Tenant, kind: Kind, path: &str, query: &Query, minimal: bool, origin: &str, twist: Twist) -> Answer {
    for refused in ["$expand", "$orderby", "$search"] {
        if query.get(refused).is_some() {
            return Answer::unsupported(&format!("The query option '{refused}' is not supported by delta queries."));
        }
    }
    let skip = query.get("$skiptoken");
    if skip.is_some() && query.get("$select").is_some() {
        return Answer::bad_request("'$select' is not supported together with '$skiptoken'.");
    }
    let delta = query.get_any(&["$deltatoken", "$deltaToken"]);
    let now = tenant.now().as_second();
    let until = tenant.told_until();
    let store = tenant.read();
    let mut round = match (skip, delta) {
        (Some(token), _) => match Round::decode(token, 's') {
            Some(round) => round,
            None => {
                return Answer::error(
                    400,
                    "Directory_ExpiredPageToken",
                    "The specified page token value has expired and can no longer be included in your request.",
                );
            }
        },
        (None, Some(token)) if !token.is_empty() && token != "latest" => match Round::decode(token, 'd') {
            Some(round) => Round { until, cursor: round.since.unwrap_or(0), told_links: 0, page: 0, ..round },
            None => return Answer::bad_request("Badly formed token."),
        },
        (None, latest) => {
            let text = format!("{}\n{}", query.get("$select").unwrap_or(""), query.get("$filter").unwrap_or(""));
            if let Err(refused) = Selection::parse(kind, &text) {
                return refused;
            }
            let mut selections = tenant.shared.selections.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let number = selections.iter().position(|known| *known == text).unwrap_or_else(|| {
                selections.push(text);
                selections.len() - 1
            });
            let start = Round { selection: number, since: None, until, cursor: 0, told_links: 0, page: 0, issued: now, circle: false };
            if latest == Some("latest") {
                return page(kind, path, origin, Vec::new(), None, Some(&Round { since: Some(until), ..start }));
            }
            start
        }
    };
    if skip.is_some() && tenant.shared.options.skiptoken_life.is_some_and(|life| now - round.issued > life.as_secs() as i64) {
        return super::listing::expired();
    }
    if now - round.issued > tenant.shared.options.delta_token_life.as_secs() as i64 {
        let message = "The sync state generation is not found. Please resynchronize.";
        return Answer::error(400, "syncStateNotFound", message);
    }
    let text = {
        let selections = tenant.shared.selections.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        selections.get(round.selection).cloned()
    };
    let selection = match Selection::parse(kind, &text.unwrap_or_default()) {
        Ok(selection) => selection,
        Err(refused) => return refused,
    };
    if twist.empty {
        let complete = Round { since: Some(round.until), issued: now, ..round };
        return page(kind, path, origin, Vec::new(), None, Some(&complete));
    }
    round.circle |= twist.circle;
    let quirks = &tenant.shared.options.quirks;
    let empty = quirks.empty_page_every > 0 && round.page % quirks.empty_page_every == quirks.empty_page_every - 1;
    if empty || twist.pause {
        let next = Round { page: round.page + 1, issued: now, ..round };
        return page(kind, path, origin, Vec::new(), Some(&next), None);
    }
    let mut builder = Builder {
        tenant,
        store: &store,
        kind,
        selection: &selection,
        minimal,
        round: round.clone(),
        items: Vec::new(),
        links_left: tenant.shared.options.delta_links,
    };
    let again = quirks.repeat_every > 0 && round.page > 0 && round.page.is_multiple_of(quirks.repeat_every);
    if again || twist.overlap {
        builder.repeat();
    }
    let more = if round.since.is_none() { builder.first_round() } else { builder.changes() };
    let (items, mut after) = (builder.items, builder.round);
    after.page += 1;
    after.issued = now;
    if round.circle {
        let again = Round { cursor: round.cursor, told_links: round.told_links, page: round.page, ..after };
        return page(kind, path, origin, items, Some(&again), None);
    }
    match more {
        true => page(kind, path, origin, items, Some(&after), None),
        false => page(kind, path, origin, items, None, Some(&Round { since: Some(after.until), ..after })),
    }
}

fn page(kind: Kind, path: &str, origin: &str, items: Vec<Value>, next: Option<&Round>, delta: Option<&Round>) -> Answer {
    let mut body = Map::new();
    body.insert("@odata.context".into(), format!("{origin}/v1.0/$metadata#{}", kind.info().collection).into());
    let base = base_url(origin, path);
    if let Some(round) = next {
        body.insert("@odata.nextLink".into(), format!("{base}?$skiptoken={}", round.encode('s')).into());
    }
    if let Some(round) = delta {
        body.insert("@odata.deltaLink".into(), format!("{base}?$deltatoken={}", round.encode('d')).into());
    }
    body.insert("value".into(), items.into());
    Answer::ok(&Value::Object(body))
}

struct Builder<'b> {
    tenant: &'b Tenant,
    store: &'b Store,
    kind: Kind,
    selection: &'b Selection,
    minimal: bool,
    round: Round,
    items: Vec<Value>,
    links_left: usize,
}

impl Builder<'_> {
    fn wanted(&self, object: &Object) -> bool {
        self.selection.ids.as_ref().is_none_or(|ids| ids.contains(&object.id))
    }

    fn full(&self) -> bool {
        self.items.len() >= self.tenant.shared.options.delta_page || self.links_left == 0
    }

    /// Everything that stands; `true` when there is more.
    fn first_round(&mut self) -> bool {
        let all = self.store.all(self.kind);
        let tombstones = self.tenant.shared.options.quirks.tombstones_in_first_round;
        while let Some(index) = all.get(self.round.cursor as usize) {
            if self.full() {
                return true;
            }
            let object = self.store.object(*index);
            if self.wanted(object) && (object.is_live() || tombstones) && !self.emit(object) {
                return true;
            }
            self.round.cursor += 1;
            self.round.told_links = 0;
        }
        false
    }

    /// What changed; `true` when there is more.
    fn changes(&mut self) -> bool {
        let after = if self.round.told_links > 0 { self.round.cursor - 1 } else { self.round.cursor };
        let store = self.store;
        for (seq, index) in store.changed_after(self.kind, after) {
            if seq > self.round.until {
                break;
            }
            if self.full() {
                return true;
            }
            if seq != self.round.cursor {
                self.round.told_links = 0;
            }
            self.round.cursor = seq;
            let object = store.object(index);
            if self.wanted(object) && !self.emit(object) {
                return true;
            }
            self.round.told_links = 0;
        }
        false
    }

    /// An object of an earlier page once more.
    fn repeat(&mut self) {
        if self.round.since.is_some() || self.round.cursor == 0 {
            return;
        }
        let object = self.store.all(self.kind).get(self.round.cursor as usize - 1).map(|index| self.store.object(*index));
        if let Some(object) = object.filter(|object| object.is_live() && self.wanted(object)) {
            self.items.push(Value::Object(self.properties(object, 0)));
        }
    }

    /// Adds an object with as many of its links as fit; `false` when some are left for the next page.
    fn emit(&mut self, object: &Object) -> bool {
        let reason = match object.life {
            Life::Live => None,
            Life::SoftDeleted(_) => Some("changed"),
            Life::Purged => Some("deleted"),
        };
        if let Some(reason) = reason {
            self.items.push(json!({"id": object.id, "@removed": {"reason": reason}}));
            return true;
        }
        let since = self.round.since.unwrap_or(0);
        let tell_removed = self.round.since.is_some() || self.tenant.shared.options.quirks.tombstones_in_first_round;
        let relations = self.selection.relations(self.kind);
        let links: Vec<&Link> = object
            .links
            .iter()
            .filter(|link| relations.contains(&link.relation))
            .filter(|link| match self.round.since {
                // An object that is new, or came back from deletion, is told whole.
                Some(_) if object.born > since => !link.removed || link.seq > since,
                Some(_) => link.seq > since,
                None => !link.removed || tell_removed,
            })
            .collect();
        let mut item = self.properties(object, since);
        let rest = &links[self.round.told_links.min(links.len())..];
        let part = &rest[..rest.len().min(self.links_left.max(1))];
        for relation in relations {
            let entries: Vec<Value> = part.iter().filter(|link| link.relation == relation).map(|link| self.entry(link)).collect();
            if !entries.is_empty() {
                item.insert(format!("{}@delta", relation.name()), entries.into());
            }
        }
        self.items.push(Value::Object(item));
        self.links_left = self.links_left.saturating_sub(part.len());
        self.round.told_links += part.len();
        part.len() == rest.len()
    }

    fn entry(&self, link: &Link) -> Value {
        let mut entry = self.store.reference(link.target);
        if let (true, Some(entry)) = (link.removed, entry.as_object_mut()) {
            entry.insert("@removed".into(), json!({"reason": "deleted"}));
        }
        entry
    }

    fn properties(&self, object: &Object, since: u64) -> Map<String, Value> {
        let mut out = Map::new();
        let everything = self.round.since.is_none() || object.born > since || !self.minimal;
        let properties = object.kind.info().properties;
        for property in object.properties.iter().filter(|p| everything || p.seq > since) {
            let name = properties[property.number as usize];
            let tracked = !object.kind.out_of_store(name) && name != "signInActivity";
            if self.selection.has(name) && tracked && !(self.selection.names.is_none() && name == "licenseAssignmentStates") {
                out.insert(name.to_owned(), property.value.clone());
            }
        }
        for (name, seq, value) in &object.extensions {
            if self.selection.has(name) && (everything || *seq > since) {
                out.insert(name.clone(), value.clone());
            }
        }
        out.insert("id".into(), object.id.clone().into());
        if self.tenant.shared.options.quirks.annotations && object.seq.is_multiple_of(7) {
            out.insert("@odata.type".into(), format!("#microsoft.graph.{}", object.kind.info().name).into());
            out.insert("@microsoft.graph.tips".into(), self.selection.text.len().into());
        }
        out
    }
}
