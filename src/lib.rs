//! entra-mirror: a local SQLite copy of Microsoft Entra ID tenants, kept current through Microsoft Graph.

pub mod api;
pub mod clock;
pub mod commands;
pub mod config;
pub mod daemon;
pub mod graph;
pub mod mirror;
pub mod resources;
pub mod simulator;
pub mod sync;
