//! The real binary against the simulator, over sockets; the file compared with ground truth.

mod faults;
mod logs;
mod pacing;
mod patience;
mod reconcile;
mod support;
mod sync;
mod truth;
mod visibility;
