//! The real binary against the simulator, over sockets; the file compared with ground truth.

mod assertions;
mod child;
mod credentials;
mod events;
mod exchanged;
mod faults;
mod federated;
mod flaky;
mod local;
mod logs;
mod machine;
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
