//! A page of a collection: the objects as they came, and where the chain goes on. Knows nothing of what the objects are.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::call::CallStats;
use super::error::GraphError;
use super::link::{Link, Origin};

/// An owned page: the body, and where in it each object stands.
#[derive(Clone)]
pub struct Page {
    body: Bytes,
    items: Vec<Range<usize>>,
    next: Option<Link>,
    delta: Option<Link>,
    stats: CallStats,
}

impl fmt::Debug for Page {
    /// Without the body: it holds people's data, and links with their tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("bytes", &self.body.len())
            .field("items", &self.items.len())
            .field("next", &self.next)
            .field("delta", &self.delta)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    value: Option<Vec<&'a RawValue>>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
    #[serde(rename = "@odata.deltaLink")]
    delta: Option<String>,
}

impl Page {
    /// Reads the envelope. <https://learn.microsoft.com/graph/paging>
    ///
    /// # Errors
    /// A body that is not JSON text, lacks `value`, has both links, or a link that leads elsewhere.
    pub(super) fn parse(body: Bytes, origin: &Origin, path: &str) -> Result<Page, GraphError> {
        let text = std::str::from_utf8(&body).map_err(|_| GraphError::body(path, "the answer is not UTF-8 text"))?;
        let envelope: Envelope<'_> = serde_json::from_str(text).map_err(|e| {
            GraphError::body(path, format!("the answer is not a page of JSON ({}, {} bytes)", what_is_wrong(&e), text.len()))
        })?;
        let values = envelope.value.ok_or_else(|| GraphError::body(path, "the answer has no `value`"))?;
        if envelope.next.is_some() && envelope.delta.is_some() {
            return Err(GraphError::body(path, "the answer has both a nextLink and a deltaLink"));
        }
        let start = text.as_ptr() as usize;
        let items = values
            .iter()
            .map(|raw| {
                // The text of a raw value is a part of the body.
                let from = raw.get().as_ptr() as usize - start;
                from..from + raw.get().len()
            })
            .collect();
        let next = envelope.next.map(|link| Link::parse(origin, &link)).transpose()?;
        let delta = envelope.delta.map(|link| Link::parse(origin, &link)).transpose()?;
        Ok(Page { body, items, next, delta, stats: CallStats::default() })
    }

    pub(super) fn with_stats(mut self, stats: CallStats) -> Page {
        self.stats = stats;
        self
    }

    /// Number of objects.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether the page holds no object; that is not the end of a chain.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// JSON text of each object.
    pub fn items(&self) -> impl Iterator<Item = &str> {
        // The body was checked to be UTF-8, and the ranges are those of whole JSON values in it.
        self.items.iter().map(|range| std::str::from_utf8(&self.body[range.clone()]).unwrap_or_default())
    }

    /// The next page of this round.
    pub fn next(&self) -> Option<&Link> {
        self.next.as_ref()
    }

    /// The cursor of the next round: this round is complete.
    pub fn delta(&self) -> Option<&Link> {
        self.delta.as_ref()
    }

    /// Size of the body, uncompressed.
    pub fn bytes(&self) -> usize {
        self.body.len()
    }

    /// What fetching it cost.
    pub fn stats(&self) -> CallStats {
        self.stats
    }
}

/// The parser's own words, but for a value of the wrong type: those quote the value, and it may be a link.
fn what_is_wrong(error: &serde_json::Error) -> String {
    if error.is_data() && !error.to_string().starts_with("duplicate field") {
        format!("a value of the wrong type at line {} column {}", error.line(), error.column())
    } else {
        error.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<Page, GraphError> {
        let origin = Origin::parse("https://graph.microsoft.com").expect("an origin");
        Page::parse(Bytes::copy_from_slice(body.as_bytes()), &origin, "/v1.0/users/delta")
    }

    #[test]
    fn a_page_gives_its_objects_as_they_came() {
        let page = parse(r#" {"@odata.context":"x","value":[ {"id":"é"} ,{"id" : "b"}],"@odata.nextLink":"https://graph.microsoft.com/v1.0/users/delta?$skiptoken=1"}"#).expect("a page");
        assert_eq!(page.items().collect::<Vec<_>>(), [r#"{"id":"é"}"#, r#"{"id" : "b"}"#]);
        assert!(page.next().is_some() && page.delta().is_none());
    }

    #[test]
    fn what_is_no_page_is_refused_with_a_reason() {
        for body in [
            "",
            "<html>",
            "{}",
            r#"{"value":{}}"#,
            r#"{"value":[{"#,
            r#"{"value":[],"@odata.nextLink":"https://graph.microsoft.com/a","@odata.deltaLink":"https://graph.microsoft.com/b"}"#,
        ] {
            let error = parse(body).expect_err(body);
            assert!(error.to_string().starts_with("GET /v1.0/users/delta: the answer"), "{error}");
        }
        assert!(parse(r#"{"value":[],"@odata.nextLink":"https://evil.example/a"}"#).expect_err("foreign").is_foreign_link());
    }

    #[test]
    fn no_message_shows_a_token() {
        let link = "https://graph.microsoft.com/v1.0/users/delta?$deltatoken=s3cr3t";
        for body in [format!("{link:?}"), format!(r#"{{"value":{link:?}}}"#), format!(r#"{{"value":[],"@odata.nextLink":[{link:?}]}}"#)] {
            let error = parse(&body).expect_err(&body);
            assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error:?}");
        }
        let page = parse(&format!(r#"{{"value":[],"@odata.deltaLink":{link:?}}}"#)).expect("a page");
        assert_eq!(
            format!("{page:?}"),
            format!("Page {{ bytes: {}, items: 0, next: None, delta: Some(/v1.0/users/delta?…), .. }}", page.bytes())
        );
    }

    proptest::proptest! {
        #[test]
        fn any_body_is_a_page_or_an_error(body in ".{0,200}") {
            let _ = parse(&body);
        }
    }
}
