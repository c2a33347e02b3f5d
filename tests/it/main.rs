//! The real binary against the simulator, over sockets; the file compared with ground truth.

mod events;
mod faults;
mod flaky;
mod logs;
mod matrix;
mod pacing;
mod patience;
mod reconcile;
mod simulate;
mod support;
mod sync;
mod truth;
mod visibility;
