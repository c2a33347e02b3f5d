//! What a fault makes of an answer: its status, its headers, its body, and how the body comes. Knows neither objects nor which request is hit.

use std::io;
use std::time::{Duration, SystemTime};

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::answer::Answer;
use super::faults::{Action, Retry};

/// Page tokens that begin so were given by a page that came only when it was asked for again.
const LOST: &str = "lost-";
/// Pieces that a trickled body comes in.
const PIECES: usize = 20;

/// The answer as the fault has it; `path` is with its version, `now` is the tenant's time.
pub(super) fn shape(action: &Action, answer: Answer, origin: &str, path: &str, now: SystemTime) -> Answer {
    match action {
        Action::Error { status, code, message, retry_after } => {
            let failed = match code.is_empty() && message.is_empty() {
                true => Answer::json(*status, ""),
                false => Answer::error(*status, code, message),
            };
            asking_to_wait(failed, retry_after, now)
        }
        Action::Plain { status, text, retry_after } => {
            asking_to_wait(Answer { content_type: "text/plain", ..Answer::json(*status, text.clone()) }, retry_after, now)
        }
        Action::LosePageToken => Answer::error(503, "serviceNotAvailable", "The service is not available. Try again later."),
        Action::Html { status } => Answer {
            content_type: "text/html",
            ..Answer::json(*status, "<html><body><h1>Our services aren't available right now</h1></body></html>")
        },
        Action::ContentType => Answer { content_type: "text/plain", ..answer },
        Action::Truncate => {
            let half = (0..=answer.body.len() / 2).rev().find(|i| answer.body.is_char_boundary(*i)).unwrap_or(0);
            Answer { body: answer.body[..half].to_owned(), ..answer }
        }
        Action::Oversized { mebibytes } => {
            // White space within an object: the body stays JSON, so that only its length is wrong with it.
            let body = answer.body.replacen('{', &format!("{{{}", " ".repeat(mebibytes * 1024 * 1024)), 1);
            Answer { body, ..answer }
        }
        Action::ForeignLink { origin: foreign } => {
            Answer { body: answer.body.replace(&format!("{origin}/{path}"), &format!("{foreign}/{path}")), ..answer }
        }
        Action::Redirect { to } => Answer::json(302, "").with_header("location", to.clone()),
        Action::Gone { location } => match location {
            true => gone().with_header("location", format!("{origin}/{path}?$deltatoken=")),
            false => gone(),
        },
        Action::GoneForeign { origin: foreign } => gone().with_header("location", format!("{foreign}/{path}?$deltatoken=")),
        Action::Throttled { retry_after, scope, share } => {
            let failed = asking_to_wait(Answer::error(429, "TooManyRequests", "Too many requests"), retry_after, now);
            let told = [("x-ms-throttle-scope", scope), ("x-ms-throttle-limit-percentage", share)];
            told.into_iter().filter(|(_, text)| !text.is_empty()).fold(failed, |failed, (name, text)| failed.with_header(name, text))
        }
        Action::Challenge { claims } => challenge(claims),
        Action::Insert { .. }
        | Action::Twice
        | Action::Omit
        | Action::Set { .. }
        | Action::UnknownTypes
        | Action::Context
        | Action::Parts => with_page(action, answer),
        Action::Reset
        | Action::Hang { .. }
        | Action::Empty
        | Action::Loop
        | Action::Trickle { .. }
        | Action::Change { .. }
        | Action::Pass { .. }
        | Action::EmptyPage
        | Action::Overlap
        | Action::Minimal
        | Action::Spell { .. } => answer,
    }
}

fn gone() -> Answer {
    Answer::error(410, "resyncRequired", "Resync required. Replace any local items with the server's version.")
}

/// <https://learn.microsoft.com/entra/identity-platform/claims-challenge>
fn challenge(claims: &str) -> Answer {
    let header = format!(
        "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", \
         error=\"insufficient_claims\", claims=\"{claims}\""
    );
    let message = "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: TokenIssuedBeforeRevocationTimestamp";
    Answer::error(401, "InvalidAuthenticationToken", message).with_header("www-authenticate", header)
}

fn asking_to_wait(failed: Answer, retry_after: &Retry, now: SystemTime) -> Answer {
    match retry_after {
        Retry::Missing => failed,
        Retry::Seconds(text) => failed.with_header("retry-after", text.clone()),
        Retry::Date(seconds) => {
            // As the `Date` of the answer is by the tenant's clock.
            failed.with_header("retry-after", httpdate::fmt_http_date(now + Duration::from_secs(*seconds)))
        }
    }
}

/// Faults of what a page holds; an answer that is no page stays as it is.
fn with_page(action: &Action, answer: Answer) -> Answer {
    let Ok(mut body) = serde_json::from_str::<Value>(&answer.body) else { return answer };
    if action == &Action::Context {
        body["@odata.context"] = "https://graph.microsoft.com/v1.0/$metadata#Collection(microsoft.graph.nothing)".into();
        body["@microsoft.graph.tips"] = json!({"any": ["thing"]});
    }
    let Some(page) = body["value"].as_array_mut() else { return answer };
    match action {
        Action::Insert { objects, last } => {
            let at = if *last { page.len() } else { 0 };
            page.splice(at..at, objects.iter().cloned());
        }
        Action::Twice => {
            let again: Vec<Value> = page.iter().rev().cloned().collect();
            page.extend(again);
        }
        Action::Omit => {
            page.pop();
        }
        Action::Parts => {
            let parts: Vec<Value> = page.iter_mut().filter_map(second_part).rev().collect();
            page.extend(parts);
        }
        Action::Set { property, value } => {
            if let Some(object) = page.iter_mut().find_map(Value::as_object_mut).filter(|object| !object.contains_key("@removed")) {
                object.insert(property.clone(), value.clone());
            }
        }
        Action::UnknownTypes => {
            for member in page.iter_mut().filter_map(|object| object.get_mut("members@delta")?.as_array_mut()).flatten() {
                member["@odata.type"] = "#microsoft.graph.somethingNew".into();
            }
        }
        Action::Context => {
            for object in page.iter_mut().filter_map(Value::as_object_mut) {
                object.insert("@odata.unknown".into(), json!({"any": ["thing"]}));
            }
        }
        _ => {}
    }
    Answer { body: body.to_string(), ..answer }
}

/// Takes every second property of an object, and of its links, into another one of the same id.
fn second_part(object: &mut Value) -> Option<Value> {
    let object = object.as_object_mut().filter(|object| !object.contains_key("@removed"))?;
    let id = object.get("id")?.clone();
    let names: Vec<String> = object.keys().filter(|name| !name.starts_with('@') && *name != "id").cloned().collect();
    let mut part = serde_json::Map::from_iter([("id".to_owned(), id)]);
    for (number, name) in names.into_iter().enumerate() {
        let links = object.get_mut(&name).filter(|_| name.ends_with("@delta")).and_then(Value::as_array_mut);
        let value = match links {
            Some(links) => Some(links.split_off(links.len() / 2).into()),
            None if number % 2 == 1 => object.remove(&name),
            None => None,
        };
        part.extend(value.map(|value| (name, value)));
    }
    (part.len() > 1).then_some(part.into())
}

/// Whether a page is asked for whose token is not found any more.
pub(super) fn is_lost(query: &str) -> bool {
    query.contains(&format!("skiptoken={LOST}"))
}

/// The answer to that.
pub(super) fn lost() -> Answer {
    Answer::error(400, "DirectoryPageTokenNotFoundException", "The page token was not found.")
}

/// A page whose nextLink leads to a token that is not found.
pub(super) fn leading_nowhere(answer: Answer) -> Answer {
    // The name is written in clear in every kind of link; objects do not speak of it.
    Answer { body: answer.body.replace("skiptoken=", &format!("skiptoken={LOST}")), ..answer }
}

/// A body that breaks off: the length promises more than comes.
pub(super) fn broken(answer: Answer) -> Response {
    let half = Bytes::copy_from_slice(&answer.body.as_bytes()[..answer.body.len() / 2]);
    let parts: [Result<Bytes, io::Error>; 2] = [Ok(half), Err(io::Error::from(io::ErrorKind::ConnectionReset))];
    streamed(answer.status, Body::from_stream(futures_util::stream::iter(parts)))
}

/// A body that comes in pieces over this time.
pub(super) fn trickled(answer: Answer, over: Duration) -> Response {
    let pause = over / PIECES as u32;
    let status = answer.status;
    let bytes = Bytes::from(answer.body);
    let length = bytes.len().div_ceil(PIECES).max(1);
    let pieces = futures_util::stream::unfold(bytes, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        let piece = rest.split_to(length.min(rest.len()));
        Some((Ok::<_, io::Error>(piece), rest))
    });
    streamed(status, Body::from_stream(pieces))
}

fn streamed(status: u16, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
