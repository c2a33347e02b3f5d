//! One page, one transaction: the page's objects are merged and the cursor that follows the page is stored with them.

use rusqlite::{Transaction, TransactionBehavior};

use super::checkpoint::Checkpoint;
use super::error::MirrorError;
use super::item::Item;
use super::merge::Merge;
use super::open::Mirror;
use super::sweep::forget_marks;
use super::table::Table;

/// When a sweep is improbable enough to be held.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HoldRules {
    /// Share of the rows of a table, 0 to 1.
    pub share: f64,
    /// Number of rows; both must be exceeded.
    pub rows: u64,
}

/// A sweep that was held: nothing of it was done.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Held {
    /// Table or view that would have lost rows.
    pub table: String,
    /// How many rows the round did not find.
    pub missing: u64,
    /// How many stand.
    pub rows: u64,
    /// When.
    pub at: String,
}

/// How a round ends with this page.
#[derive(Clone, Copy, Debug)]
pub struct Ending<'a> {
    /// Stored when the round is complete.
    pub done: &'a Checkpoint,
    /// Stored instead when the sweep is held; `held` is filled in.
    pub held: &'a Checkpoint,
    /// `None` lets every sweep through.
    pub rules: Option<HoldRules>,
}

/// A page to apply.
#[derive(Debug)]
pub struct Page<'a> {
    /// Resource whose checkpoint this is.
    pub resource: &'static str,
    pub table: &'static Table,
    /// Number of the full round in hand or, in an incremental one, of the last.
    pub round: i64,
    /// Whether a full round is in hand: what is seen is marked, what is not seen is swept at its end.
    pub full: bool,
    /// Set when the full round runs beside the live delta token: when it began. What delta has told of an object since then is newer than
    /// what a page says that may have been fetched before, so it stands.
    pub beside_since: Option<&'a str>,
    pub items: Vec<Item<'a>>,
    /// Keys of objects that came and could not be read: they are left as they stand, and are not swept.
    pub unread: &'a [&'a str],
    /// Stored with the page when the round goes on.
    pub next: &'a Checkpoint,
    /// Set when this is the last page of the round.
    pub ending: Option<Ending<'a>>,
    /// Time of the observation.
    pub now: &'a str,
}

/// What a page did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Objects that came.
    pub rows: u64,
    /// Rows inserted, updated or deleted in mirrored tables, links and child rows included.
    pub writes: u64,
    /// Rows written to the change feed.
    pub changes: u64,
    /// Rows a sweep removed.
    pub swept: u64,
    pub held: Option<Held>,
}

impl Mirror {
    /// Applies a page and stores the cursor that follows it, in one transaction. Applying a page twice changes nothing.
    ///
    /// Blocks while another resource of the tenant is written: call it where blocking is allowed.
    pub fn apply(&self, mut page: Page<'_>) -> Result<Applied, MirrorError> {
        let mut writer = self.writer();
        let writer = &mut *writer;
        let outcome = Transaction::new(&mut writer.connection, TransactionBehavior::Immediate).and_then(|transaction| {
            let items = std::mem::take(&mut page.items);
            let mut applied = Applied { rows: items.len() as u64, ..Applied::default() };
            let mut merge = Merge::new(&transaction, self.tables(), &page, &mut writer.oids)?;
            for item in items {
                merge.item(item)?;
            }
            for id in page.unread {
                merge.leave(id)?;
            }
            let mut checkpoint = page.next.clone();
            if let Some(ending) = page.ending {
                checkpoint = ending.done.clone();
                // Sorting the indexes takes memory too: pages that were read make room for it.
                transaction.execute_batch("PRAGMA shrink_memory")?;
                merge.settle()?;
                if page.full {
                    if let Some(indexes) = page.table.indexes {
                        transaction.execute_batch(indexes)?;
                    }
                    applied.held = merge.sweep(ending.rules)?;
                    applied.swept = merge.swept;
                    if let Some(held) = &applied.held {
                        checkpoint = ending.held.clone();
                        checkpoint.held = serde_json::to_string(held).ok();
                    }
                }
            }
            (applied.writes, applied.changes) = merge.counts();
            drop(merge);
            checkpoint.store(&transaction, page.resource)?;
            transaction.commit()?;
            Ok(applied)
        });
        if outcome.is_err() {
            // Numbers given out in a transaction that was rolled back mean nothing.
            writer.oids.clear();
        } else if page.ending.is_some() && page.full {
            // Statistics let readers' queries choose well; bounded work, and a failure only costs speed.
            if let Err(error) = writer.connection.execute_batch("PRAGMA analysis_limit = 400; PRAGMA optimize = 0x10002;") {
                tracing::debug!(%error, "PRAGMA optimize");
            }
        }
        outcome.map_err(|e| self.sql(e))
    }

    /// Begins a full round beside the live delta token: `key` is the row of its checkpoint. The live round's number grows as well, so that
    /// what the live token brings from now on counts as seen. The caller holds the resource's lock, so no live round is in progress.
    pub fn begin_beside(&self, resource: &str, key: &str, mut checkpoint: Checkpoint) -> Result<Checkpoint, MirrorError> {
        let mut writer = self.writer();
        let begun = Transaction::new(&mut writer.connection, TransactionBehavior::Immediate).and_then(|transaction| {
            let mut live = Checkpoint::load(&transaction, resource)?.unwrap_or_default();
            live.round += 1;
            live.store(&transaction, resource)?;
            checkpoint.round = live.round;
            checkpoint.baseline_at = live.baseline_at;
            forget_marks(&transaction, key)?;
            checkpoint.store(&transaction, key)?;
            transaction.commit()?;
            Ok(checkpoint)
        });
        begun.map_err(|e| self.sql(e))
    }

    /// Begins a full round: what an abandoned one had marked is forgotten and the checkpoint stored, in one transaction.
    pub fn begin_round(&self, resource: &str, checkpoint: &Checkpoint) -> Result<(), MirrorError> {
        let mut writer = self.writer();
        let begun = Transaction::new(&mut writer.connection, TransactionBehavior::Immediate).and_then(|transaction| {
            forget_marks(&transaction, resource)?;
            checkpoint.store(&transaction, resource)?;
            transaction.commit()
        });
        begun.map_err(|e| self.sql(e))
    }
}
