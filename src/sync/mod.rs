//! How a resource is kept current: what a run does first, page by page, and how it ends. Knows resources, mirror and Graph; no schedule.

mod chain;
mod circles;
mod ending;
mod engine;
mod lock;
mod log;
mod plan;
mod run;
mod types;
mod windows;

pub use engine::Engine;
pub use lock::lock_folder;
pub use types::{EngineSettings, Mode, Observer, Outcome, RunReport, RunRequest, Silent, Target, Trigger};
