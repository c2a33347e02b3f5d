//! How well budgets are used. A binary of its own, so that nothing else takes the processor while requests are counted over time.

mod pacing;
#[path = "../it/support.rs"]
#[allow(dead_code)]
mod support;
#[path = "../it/truth.rs"]
#[allow(dead_code)]
mod truth;
