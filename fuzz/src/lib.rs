//! What each fuzz target does with its input and what must hold then. `tests/corpus.rs` includes this file to replay the corpus.

pub mod answer;
pub mod config;
pub mod filter;
pub mod link;
pub mod page;
pub mod retry_after;
mod store;
