//! The SQLite file of one tenant: open, migrate, merge rows, checkpoints, change feed. Knows no HTTP and no Graph names.

mod changes;
mod checkpoint;
mod children;
mod error;
mod freshness;
mod item;
mod limits;
mod links;
mod log;
mod merge;
mod migrate;
mod objects;
mod open;
mod page;
mod place;
mod rows;
mod runs;
mod status;
mod sweep;
mod table;
mod time;

pub use checkpoint::{Checkpoint, Phase, State};
pub use error::MirrorError;
pub use freshness::{FileFacts, FileMark, Freshness, file_facts, file_mark};
pub use item::{ChildRow, Item, LinkChange, Reference, Removal, Value};
pub use limits::{DESCRIPTORS_HINT, is_out_of_descriptors};
pub use log::{AppliedEvents, EventPage, Late, LogProgress, LogStatus, StreamStatus};
pub use migrate::{SCHEMA_VERSION, views};
pub use open::{Access, Mirror, open_reader};
pub use page::{Applied, Ending, Held, HoldRules, Page};
pub use place::FileId;
pub use runs::{RunEnd, RunStart};
pub use status::{ResourceStatus, TenantStatus, status};
pub use table::{ChildTable, Column, Kind, LinkTable, Table};
pub use time::{canonical_time, format_time, now};
