//! A door for `fuzz/` and `tests/corpus.rs` to the two readers of `$filter`. Nothing of the program uses it.

use super::filter::Filter;
use super::schema::Kind;

/// Whether directory collections, and logs, take this for a filter; `body` is an event that it is tried on.
pub fn filters(text: &str, body: &serde_json::Value) -> [bool; 2] {
    let directory = Filter::parse(text)
        .is_some_and(|filter| filter.is_advanced() || filter.refusal(Kind::User).is_some() || !filter.properties().is_empty());
    [directory, super::logs::is_read(text, body)]
}
