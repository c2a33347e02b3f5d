//! A door for `fuzz/` and `tests/corpus.rs` to what reads Graph's answers and is private to this room. Nothing of the program uses it.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::HeaderMap;

use super::error::{GraphError, read_error_body};
use super::link::{Link, Origin};
use super::page::Page;
use super::retry;
use super::signals::Signals;

/// Reads a body as the answer of `/v1.0/fuzzed`.
///
/// # Errors
/// As a page that comes over the network.
pub fn page(body: &[u8], origin: &Origin) -> Result<Page, GraphError> {
    Page::parse(Bytes::copy_from_slice(body), origin, "/v1.0/fuzzed")
}

/// What is asked for when a link is followed.
pub fn sent(link: &Link) -> &str {
    link.url().as_str()
}

/// The wait that a `Retry-After` asks for.
pub fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    retry::retry_after(text, now)
}

/// How long a lane stops, and how long a failed request waits: all waits that follow from what a service says.
pub fn waits(asked: Option<Duration>, in_a_row: u32, random: f64) -> [Duration; 2] {
    [retry::throttle_wait(asked, in_a_row, random), retry::backoff(in_a_row, random)]
}

/// Resource units and share of the limit, as the headers tell them.
pub fn signals(headers: &HeaderMap) -> (Option<u32>, Option<f64>) {
    let signals = Signals::read(headers);
    (signals.units, signals.share)
}

/// Code and message of an error answer.
pub fn error_body(body: &[u8]) -> (String, String) {
    read_error_body(body)
}
