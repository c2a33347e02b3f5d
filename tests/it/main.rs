//! The real binary against the simulator, over sockets; the file compared with ground truth.

mod child;
mod exchanged;
mod faults;
mod local;
mod logs;
mod pacing;
mod patience;
mod support;
mod sync;
mod truth;
