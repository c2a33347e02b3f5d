//! The real binary against the simulator, over sockets; the file compared with ground truth.

mod faults;
mod logs;
mod support;
mod sync;
mod truth;
