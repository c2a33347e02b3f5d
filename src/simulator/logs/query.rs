//! Reading a log: `$filter`, `$orderby`, `$top`, `$select`, paging, retention, and the ways in which the service fails at it. Knows logs by
//! their keys; not what events hold, nor who may read them.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::super::answer::Answer;
use super::super::listing::Query;
use super::super::routes::Request;
use super::cast::habit;
use super::filter::{Clause, Operators};
use super::store::{Event, Key, Log};
use super::token::SkipToken;

/// How a log may be read.
pub(super) struct Rules<'r> {
    /// Path under the version.
    pub path: &'static str,
    /// The property that says when.
    pub time: &'static str,
    pub filterable: &'r [(&'static str, Operators)],
    /// Letters differ by case.
    pub exact: bool,
}

/// Most events on a page, and as many as come unless less is asked for.
pub(super) const MAX_TOP: usize = 1000;

/// A query, read.
pub(super) struct Reading {
    pub from: Timestamp,
    pub to: Timestamp,
    rest: Vec<Clause>,
    /// Whether the filter speaks of `signInEventTypes`.
    pub types: bool,
    top: usize,
    ascending: bool,
    select: Option<Vec<String>>,
    token: SkipToken,
}

pub(super) fn invalid_filter() -> Answer {
    Answer::error(400, "BadRequest", "Invalid filter clause")
}

fn dead_token() -> Answer {
    Answer::error(400, "BadRequest", "Token not found: token is either invalid or expired.")
}

/// `$top` within 1 and `max`; `default` when not said.
pub(super) fn top(request: &Request<'_>, max: usize, default: usize) -> Result<usize, Answer> {
    let (query, largest) = (&request.query, request.tenant.shared.options.list_page.unwrap_or(usize::MAX));
    asked(query, max, default).map(|top| top.min(largest))
}

fn asked(query: &Query, max: usize, default: usize) -> Result<usize, Answer> {
    match query.get("$top").map(str::parse::<usize>) {
        None => Ok(default),
        Some(Ok(top)) if (1..=max).contains(&top) => Ok(top),
        Some(_) => Err(Answer::error(400, "BadRequest", &format!("Invalid value for $top. It must be between 1 and {max}."))),
    }
}

/// The skip token of a query whose other options are what they were on the page before; `pages` is how many pages it lives.
pub(super) fn position(request: &Request<'_>, pages: Option<u32>) -> Result<SkipToken, Answer> {
    let asked: Vec<String> =
        request.query.0.iter().filter(|(name, _)| name != "$skiptoken").map(|(name, value)| format!("{name}={value}&")).collect();
    let fingerprint = habit(&format!("{}?{}", request.path.to_ascii_lowercase(), asked.concat()));
    let (options, now) = (&request.tenant.shared.options, request.tenant.now().as_second());
    let token = match request.query.get("$skiptoken") {
        None => return Ok(SkipToken { last: None, pages: 0, issued: now, fingerprint }),
        Some("") => return Err(Answer::error(400, "UnknownError", "Invalid Skip Token, skip token is null")),
        Some(text) => SkipToken::read(text).filter(|token| token.fingerprint == fingerprint).ok_or_else(dead_token)?,
    };
    let worn = pages.is_some_and(|life| token.pages >= life);
    let old = options.skiptoken_life.is_some_and(|life| now - token.issued > life.as_secs() as i64);
    if worn || old { Err(dead_token()) } else { Ok(SkipToken { issued: now, ..token }) }
}

/// The link to the next page: the options stay readable, as the service leaves them.
pub(super) fn next_link(request: &Request<'_>, path: &str, token: &SkipToken) -> String {
    let mut options = String::new();
    for (name, value) in request.query.0.iter().filter(|(name, _)| name != "$skiptoken") {
        let value: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        options.push_str(&format!("{name}={}&", value.replace('+', "%20")));
    }
    format!("{}/{}/{path}?{options}$skiptoken={}", request.origin, request.version, token.write())
}

/// Reads the query options of a log.
pub(super) fn read(request: &Request<'_>, rules: &Rules<'_>) -> Result<Reading, Answer> {
    let query = &request.query;
    if let Some(name) = ["$skip", "$search", "$expand", "$count"].into_iter().find(|name| query.get(name).is_some_and(|v| v != "false")) {
        return Err(Answer::bad_request(&format!("The query option '{name}' is not supported.")));
    }
    let (mut from, mut to, mut rest, mut types) = (Timestamp::MIN, Timestamp::MAX, Vec::new(), false);
    if let Some(text) = query.get("$filter") {
        let clause = Clause::parse(text).filter(|clause| clause.is_allowed(rules.filterable, &[rules.time])).ok_or_else(invalid_filter)?;
        types = clause.mentions("signInEventTypes");
        ((from, to), rest) = clause.window(rules.time);
    }
    let ascending = match query.get_any(&["$orderby", "$orderBy"]) {
        None => false,
        Some(text) => {
            let (name, direction) = text.trim().split_once(' ').unwrap_or((text.trim(), "asc"));
            match direction.trim() {
                "asc" if name == rules.time => true,
                "desc" if name == rules.time => false,
                _ => return Err(Answer::error(400, "BadRequest", "Invalid order by clause")),
            }
        }
    };
    let top = top(request, MAX_TOP, MAX_TOP)?;
    let select = query.get("$select").map(|text| text.split(',').map(|name| name.trim().to_owned()).collect());
    Ok(Reading {
        from,
        to,
        rest,
        types,
        top,
        ascending,
        select,
        token: position(request, request.tenant.shared.options.skiptoken_life_pages)?,
    })
}

/// One page. `accept` sorts out events cheaply; `show` writes one out.
pub(super) fn page<C>(
    request: &Request<'_>,
    rules: &Rules<'_>,
    reading: &Reading,
    log: &Log<C>,
    accept: impl Fn(&Event<C>) -> bool,
    show: impl Fn(&Key, &Event<C>) -> Map<String, Value>,
) -> Answer {
    let (options, now) = (&request.tenant.shared.options, request.tenant.now());
    let kept = now - SignedDuration::from_hours(24 * super::retention_days(options.premium));
    let (from, to) = (reading.from.max(kept), reading.to);
    let beyond_now = now.checked_add(SignedDuration::from_nanos(1)).unwrap_or(Timestamp::MAX);
    let width = to.min(beyond_now).as_nanosecond().saturating_sub(from.as_nanosecond());
    if options.logs_window_limit.is_some_and(|limit| width > limit.as_nanos() as i128 + 1) {
        return Answer::error(504, "UnknownError", "");
    }
    let written = |key: &Key, event: &Event<C>| -> Option<Value> {
        if !event.is_seen(now) || !accept(event) {
            return None;
        }
        let body = Value::Object(show(key, event));
        reading.rest.iter().all(|clause| clause.matches(&body, rules.exact)).then_some(body)
    };
    let token = &reading.token;
    let mut values = Vec::new();
    let mut last = token.last.clone();
    let mut more = false;
    let every = options.quirks.empty_page_every;
    if request.twist.empty {
        // Success without a word: what a fault makes of the page.
    } else if request.twist.pause || every > 0 && token.pages > 0 && token.pages.is_multiple_of(every) {
        more = true;
    } else {
        // With pages of one event the repeated one would leave no room for another.
        if let Some(key) = token.last.as_ref().filter(|_| (options.quirks.repeat_last_event || request.twist.overlap) && reading.top > 1) {
            values.extend(log.get(key).filter(|_| key.0 >= from && key.0 < to).and_then(|event| written(key, event)));
        }
        for (key, event) in log.span(from, to, token.last.as_ref(), reading.ascending) {
            if values.len() == reading.top {
                // Whether something matching follows is known only by looking: the service gives the link first and an empty page then.
                more = true;
                break;
            }
            if let Some(body) = written(key, event) {
                values.push(body);
                last = Some(key.clone());
            }
        }
    }
    if request.twist.circle {
        (more, last) = (true, token.last.clone());
    }
    let mut body = Map::new();
    body.insert("@odata.context".into(), format!("{}/{}/$metadata#{}", request.origin, request.version, rules.path).into());
    if more {
        // The query's own fingerprint and one page more: a chain that goes in circles does so under new links.
        let next = SkipToken { last, pages: token.pages + 1, ..token.clone() };
        body.insert("@odata.nextLink".into(), next_link(request, rules.path, &next).into());
    }
    let values = values.into_iter().map(|value| project(value, reading.select.as_deref()));
    body.insert("value".into(), values.collect::<Vec<_>>().into());
    Answer::ok(&Value::Object(body))
}

/// The selected properties, and the id.
pub(super) fn project(value: Value, select: Option<&[String]>) -> Value {
    match (value, select) {
        (Value::Object(mut map), Some(names)) => {
            map.retain(|name, _| name == "id" || names.iter().any(|wanted| wanted == name));
            Value::Object(map)
        }
        (value, _) => value,
    }
}
