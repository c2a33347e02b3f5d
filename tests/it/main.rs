//! The real binary against the simulator, over sockets; the file compared with ground truth.

mod child;
mod events;
mod exchanged;
mod faults;
mod flaky;
mod local;
mod logs;
mod matrix;
mod moved;
mod patience;
mod reconcile;
mod simulate;
mod support;
mod sync;
mod tenants;
mod truth;
mod visibility;
mod week;
