//! Listings of collections: `$select`, `$top`, `$filter`, `$count`, `$expand`, paging. Knows the store; no sockets.

use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::delta::Twist;
use super::filter::Filter;
use super::schema::Kind;
use super::store::{Object, Relation, Store};

/// Decoded query options.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(pub Vec<(String, String)>);

impl Query {
    pub fn parse(text: &str) -> Query {
        Query(url::form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn get_any(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.get(name))
    }
}

/// `origin/v1.0/path`.
pub(super) fn base_url(origin: &str, path: &str) -> String {
    format!("{origin}/v1.0/{path}")
}

/// How a collection may be listed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listing {
    pub kind: Kind,
    /// Largest `$top`; `None` = the collection is not paged.
    pub max_top: Option<usize>,
    pub default_top: usize,
    /// Whether `$filter` is taken.
    pub filters: bool,
}

/// How the tenant pages, and what a fault wants of the page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paging {
    /// Objects on a page at most.
    pub largest: Option<usize>,
    /// The tenant's time in Unix seconds, and how many of them a token lives.
    pub now: i64,
    pub life: Option<i64>,
    pub twist: Twist,
}

/// Answers a listing. `members` restricts it to these objects (a relationship), otherwise the whole collection.
pub(super) fn answer(store: &Store, listing: Listing, path: &str, query: &Query, eventual: bool, origin: &str, paging: Paging) -> Answer {
    let Listing { kind, max_top, default_top, filters } = listing;
    let select = match selection(kind, query.get("$select"), true) {
        Ok(select) => select,
        Err(refused) => return refused,
    };
    let counted = query.get("$count") == Some("true");
    let filter = match query.get("$filter") {
        None => None,
        Some(_) if !filters => return Answer::unsupported("Filter is not supported on this resource."),
        Some(text) => match Filter::parse(text) {
            None => return Answer::error(400, "Request_UnsupportedQuery", "Invalid filter clause"),
            Some(filter) => {
                if let Some(message) = filter.refusal(kind) {
                    return Answer::error(400, "BadRequest", &message);
                }
                // On a later page the missing header shows as a dead token, below.
                if filter.is_advanced() && !(eventual && counted) && query.get("$skiptoken").is_none() {
                    return Answer::unsupported(
                        "Operator is not supported because the required parameters might be missing. Try adding $count=true query parameter and ConsistencyLevel:eventual header.",
                    );
                }
                Some(filter)
            }
        },
    };
    if query.get("$search").is_some() && !eventual {
        return Answer::unsupported(
            "Request with $search query parameter only works through MSGraph with a special request header: 'ConsistencyLevel: eventual'",
        );
    }
    if query.get("$search").is_some() {
        return Answer::error(501, "NotImplemented", "The simulator does not search.");
    }
    let activity = select.as_ref().is_some_and(|names| names.iter().any(|name| name == "signInActivity"));
    let max_top = if activity { max_top.map(|max| max.min(500)) } else { max_top };
    let top = match (query.get("$top").map(str::parse::<usize>), max_top) {
        (None, _) => default_top,
        (Some(_), None) => return Answer::bad_request("The query specified in the URI is not valid. Query option 'Top' is not allowed."),
        (Some(Ok(top)), Some(max)) if (1..=max).contains(&top) => top,
        (Some(_), Some(_)) => return Answer::bad_request("Invalid page size specified. Must be between 1 and 999 inclusive."),
    };
    let Paging { largest, now, life, twist } = paging;
    let top = largest.map_or(top, |largest| top.min(largest));
    let expand = query.get("$expand");
    if let Some(name) = expand
        && !kind.info().navigation.contains(&name.split('(').next().unwrap_or_default())
    {
        return Answer::bad_request(&format!("Could not find a property named '{name}' on type 'microsoft.graph.{}'.", kind.info().name));
    }
    let (from, needs_eventual) = match query.get("$skiptoken") {
        None => (0, filter.as_ref().is_some_and(Filter::is_advanced)),
        Some(token) => match decode(token) {
            Some((position, eventual, issued)) if life.is_none_or(|life| now - issued <= life) => (position, eventual),
            _ => return expired(),
        },
    };
    if needs_eventual && !eventual {
        return expired();
    }
    let all = store.all(kind);
    let mut items = Vec::new();
    let mut next = None;
    // Nothing of a collection that comes whole stands on an earlier page.
    let start = if twist.overlap { from.saturating_sub(1) } else { from };
    for (position, index) in all.iter().enumerate().skip(start) {
        if twist.pause && max_top.is_some() {
            next = Some(from);
            break;
        }
        let object = store.object(*index);
        if !object.is_live() || filter.as_ref().is_some_and(|filter| !filter.matches(object)) {
            continue;
        }
        if max_top.is_some() && items.len() == top {
            next = Some(position);
            break;
        }
        items.push(shown(store, object, select.as_deref(), expand));
    }
    if twist.circle {
        next = Some(from);
    }
    let mut body = Map::new();
    body.insert("@odata.context".into(), format!("{origin}/v1.0/$metadata#{path}").into());
    if counted && from == 0 {
        let count = store.live(kind).filter(|object| filter.as_ref().is_none_or(|filter| filter.matches(object))).count();
        body.insert("@odata.count".into(), count.into());
    }
    if let Some(position) = next {
        let mut options = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in query.0.iter().filter(|(name, _)| name != "$skiptoken") {
            options.append_pair(name, value);
        }
        options.append_pair("$skiptoken", &encode(position, needs_eventual, now));
        body.insert("@odata.nextLink".into(), format!("{}?{}", base_url(origin, path), options.finish()).into());
    }
    body.insert("value".into(), items.into());
    Answer::ok(&Value::Object(body))
}

/// Names in `$select`, checked. `collection` says whether properties outside the store are refused.
pub(super) fn selection(kind: Kind, select: Option<&str>, collection: bool) -> Result<Option<Vec<String>>, Answer> {
    let Some(select) = select else {
        return Ok(kind.default_selection().map(|names| names.iter().map(|n| (*n).to_owned()).collect()));
    };
    let names: Vec<String> = select.split(',').map(|name| name.trim().to_owned()).collect();
    for name in &names {
        if !kind.info().properties.contains(&name.as_str()) && !name.starts_with("extension_") {
            let message = format!("Could not find a property named '{name}' on type 'microsoft.graph.{}'.", kind.info().name);
            return Err(Answer::error(400, "BadRequest", &message));
        }
        if collection && kind.out_of_store(name) {
            return Err(Answer::error(501, "NotImplemented", "Unsupported query."));
        }
    }
    Ok(Some(names))
}

/// An object as a listing shows it: selected properties, unset ones as null.
pub(super) fn shown(store: &Store, object: &Object, select: Option<&[String]>, expand: Option<&str>) -> Value {
    let mut out = Map::new();
    let properties = object.kind.info().properties;
    match select {
        Some(names) => {
            for name in names {
                let extension = object.extensions.iter().find(|(known, _, _)| known == name).map(|(_, _, value)| value);
                out.insert(name.clone(), object.get(name).or(extension).cloned().unwrap_or_default());
            }
        }
        None => {
            for property in &object.properties {
                out.insert(properties[property.number as usize].to_owned(), property.value.clone());
            }
        }
    }
    out.insert("id".into(), object.id.clone().into());
    let relation = |relation: Relation| object.live_links(relation).map(|link| store.reference(link.target));
    match expand.map(|name| name.split('(').next().unwrap_or_default()) {
        Some("manager") => {
            out.insert("manager".into(), relation(Relation::Manager).next().unwrap_or_default());
        }
        // At most twenty are expanded, without a word about the others.
        Some("members") => {
            out.insert("members".into(), relation(Relation::Members).take(20).collect());
        }
        Some("owners") => {
            out.insert("owners".into(), relation(Relation::Owners).take(20).collect());
        }
        _ => {}
    }
    Value::Object(out)
}

fn encode(position: usize, eventual: bool, now: i64) -> String {
    format!("{:x}{}{now:x}y{:08x}", position, if eventual { 'z' } else { 'y' }, fastrand::u32(..))
}

/// Position, whether the header is needed again, and when the token was issued.
fn decode(token: &str) -> Option<(usize, bool, i64)> {
    let end = token.find(['y', 'z'])?;
    let issued = token.get(end + 1..)?.split('y').next()?;
    Some((usize::from_str_radix(&token[..end], 16).ok()?, token[end..].starts_with('z'), i64::from_str_radix(issued, 16).ok()?))
}

pub(super) fn expired() -> Answer {
    Answer::error(
        400,
        "Directory_ExpiredPageToken",
        "The specified page token value has expired and can no longer be included in your request.",
    )
}

/// The links of an object as a collection of references, or of whole members.
pub(super) fn related(store: &Store, object: &Object, relation: Relation, path: &str, origin: &str) -> Answer {
    let items: Vec<Value> = object
        .live_links(relation)
        .map(|link| store.object(link.target))
        .filter(|target| target.is_live())
        .map(|target| {
            let mut value = shown(
                store,
                target,
                target.kind.default_selection().map(|n| n.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).as_deref(),
                None,
            );
            if let Some(map) = value.as_object_mut() {
                map.insert("@odata.type".into(), format!("#microsoft.graph.{}", target.kind.info().name).into());
            }
            value
        })
        .collect();
    Answer::ok(&json!({"@odata.context": format!("{origin}/v1.0/$metadata#{path}"), "value": items}))
}
