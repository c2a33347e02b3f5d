//! Logs: events are upserted by id, and how far a log is read is stored with them. Events are never swept, only pruned by age.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::changes::Feed;
use super::children::Children;
use super::error::MirrorError;
use super::item::{Item, Value};
use super::open::Mirror;
use super::rows::{Rows, Stored};
use super::table::Table;

/// How far one query of a log is read. Times are canonical text; column comments are in the schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogProgress {
    pub stream: String,
    pub recent_from: String,
    pub watermark: String,
    pub backfill_from: Option<String>,
    pub backfill_to: Option<String>,
    pub window_seconds: i64,
    pub backfill_window_seconds: i64,
    pub swept_at: String,
    pub late: Late,
}

/// How many events came late, by how late they were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Late {
    counts: [u64; 5],
}

impl serde::Serialize for Late {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(Late::STEPS.iter().map(|(name, _)| name).zip(self.counts).filter(|(_, count)| *count > 0))
    }
}

impl Late {
    /// Name of each count, and the lateness in seconds up to which it goes.
    const STEPS: [(&'static str, i64); 5] = [("15min", 900), ("1h", 3600), ("6h", 6 * 3600), ("24h", 24 * 3600), ("more", i64::MAX)];

    /// Counts an event that came so many seconds after it happened.
    pub fn count(&mut self, seconds: i64) {
        let step = Late::STEPS.iter().position(|(_, up_to)| seconds <= *up_to).unwrap_or(Late::STEPS.len() - 1);
        self.counts[step] += 1;
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: &Late) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
    }

    /// JSON object of the counts that are not 0.
    pub fn json(&self) -> String {
        serde_json::to_value(self).unwrap_or_default().to_string()
    }

    fn parse(text: &str) -> Late {
        let json: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        Late { counts: Late::STEPS.map(|(name, _)| json.get(name).and_then(serde_json::Value::as_u64).unwrap_or(0)) }
    }
}

/// A page of events.
#[derive(Debug)]
pub struct EventPage<'a> {
    pub resource: &'static str,
    pub table: &'static Table,
    pub items: Vec<Item<'static>>,
    /// Stored with the page; its counts of late events grow by this page's.
    pub progress: &'a LogProgress,
    /// New events before this time are late: their time had been read already.
    pub late_before: Option<&'a str>,
    /// Graph's time now, for how late they are.
    pub at: jiff::Timestamp,
    /// Time of the observation.
    pub now: &'a str,
}

/// What a page of events did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppliedEvents {
    pub rows: u64,
    /// Events and rows of their parts that were inserted or changed.
    pub writes: u64,
    pub late: Late,
}

const COLUMNS: &str =
    "stream, recent_from, watermark, backfill_from, backfill_to, window_seconds, backfill_window_seconds, swept_at, late_by";

fn load(connection: &Connection, resource: &str) -> rusqlite::Result<Vec<LogProgress>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM log_progress WHERE resource = ?1 ORDER BY stream"))?
        .query_map([resource], |row| {
            Ok(LogProgress {
                stream: row.get(0)?,
                recent_from: row.get(1)?,
                watermark: row.get(2)?,
                backfill_from: row.get(3)?,
                backfill_to: row.get(4)?,
                window_seconds: row.get(5)?,
                backfill_window_seconds: row.get(6)?,
                swept_at: row.get(7)?,
                late: Late::parse(row.get_ref(8)?.as_str()?),
            })
        })?
        .collect()
}

fn store(connection: &Connection, resource: &str, progress: &LogProgress, late: &Late) -> rusqlite::Result<()> {
    connection
        .prepare_cached(&format!(
            "INSERT OR REPLACE INTO log_progress (resource, {COLUMNS}, late) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
        ))?
        .execute(params![
            resource,
            progress.stream,
            progress.recent_from,
            progress.watermark,
            progress.backfill_from,
            progress.backfill_to,
            progress.window_seconds,
            progress.backfill_window_seconds,
            progress.swept_at,
            late.json(),
            i64::try_from(late.total()).unwrap_or(i64::MAX),
        ])
        .map(|_| ())
}

/// What a log holds.
#[derive(Clone, Debug, serde::Serialize)]
pub struct LogStatus {
    /// Time of the oldest event that is stored.
    pub from: Option<String>,
    /// Time of the newest event that is stored.
    pub to: Option<String>,
    pub streams: Vec<StreamStatus>,
}

/// How far one query of a log is read.
#[derive(Clone, Debug, serde::Serialize)]
pub struct StreamStatus {
    /// Such as interactiveUser; empty when the log has one query only.
    pub stream: String,
    /// Everything from here ...
    pub complete_from: String,
    /// ... to here has been read.
    pub complete_to: String,
    /// Share of the backfill that is done, 0 to 1; none when there is none left.
    pub backfill_share: Option<f64>,
    /// Events that came after their time had been read.
    pub late: u64,
    /// How late -> how many.
    pub late_by: Late,
}

pub(super) fn status(connection: &Connection, table: &Table) -> rusqlite::Result<Option<LogStatus>> {
    let Some(time) = table.log_time else { return Ok(None) };
    let edge = |function: &str| connection.query_row(&format!("SELECT {function}({time}) FROM {}", table.name), [], |row| row.get(0));
    let streams = load(connection, table.name)?
        .into_iter()
        .map(|progress| StreamStatus {
            backfill_share: progress.backfill_share(),
            complete_from: progress.recent_from,
            complete_to: progress.watermark,
            stream: progress.stream,
            late: progress.late.total(),
            late_by: progress.late,
        })
        .collect();
    Ok(Some(LogStatus { from: edge("min")?, to: edge("max")?, streams }))
}

impl LogProgress {
    /// Share of the backfill that is done; none when there is none left.
    pub fn backfill_share(&self) -> Option<f64> {
        let second = |text: &str| text.parse::<jiff::Timestamp>().ok().map(|at| at.as_second() as f64);
        let (from, to) = (second(self.backfill_from.as_deref()?)?, second(self.backfill_to.as_deref()?)?);
        let end = second(&self.recent_from)?;
        Some(if end > from { ((to - from) / (end - from)).clamp(0.0, 1.0) } else { 1.0 })
    }
}

impl Mirror {
    /// How far the queries of a log are read; those that never were are not listed.
    pub fn log_progress(&self, resource: &str) -> Result<Vec<LogProgress>, MirrorError> {
        let writer = self.writer();
        load(&writer.connection, resource).map_err(|e| self.sql(e))
    }

    /// Stores progress by itself, for what does not go with a page.
    pub fn store_log_progress(&self, resource: &str, progress: &LogProgress) -> Result<(), MirrorError> {
        let writer = self.writer();
        store(&writer.connection, resource, progress, &progress.late).map_err(|e| self.sql(e))
    }

    /// Stores a page of events and the progress it makes, in one transaction. An event that stands as it came is not written.
    pub fn apply_events(&self, page: EventPage<'_>) -> Result<AppliedEvents, MirrorError> {
        let mut writer = self.writer();
        let applied = Transaction::new(&mut writer.connection, TransactionBehavior::Immediate).and_then(|transaction| {
            let mut applied = AppliedEvents { rows: page.items.len() as u64, ..AppliedEvents::default() };
            {
                let mut rows = Rows::new(&transaction, page.table)?;
                let mut children: Vec<Children<'_>> =
                    page.table.children.iter().map(|child| Children::new(&transaction, child)).collect::<Result<_, _>>()?;
                let mut feed = Feed::new(&transaction, page.now)?;
                let time = page.table.time_column();
                for item in page.items {
                    let stands = rows.find(&item.id)?;
                    let values = item.values.iter().map(|value| value.as_ref().unwrap_or(&Value::Null));
                    match stands {
                        None => {
                            rows.insert(&item.id, values, &serde_json::Map::new(), page.now, page.now)?;
                            applied.writes += 1;
                            let happened = time.and_then(|time| item.values[time].as_ref()?.as_text());
                            if let (Some(happened), Some(before)) = (happened, page.late_before)
                                && happened < before
                                && let Ok(happened) = happened.parse::<jiff::Timestamp>()
                            {
                                applied.late.count(page.at.duration_since(happened).as_secs());
                            }
                            for (index, came) in item.children {
                                applied.writes += children[index].merge(&item.id, came, true, false, &mut feed, page.now)?;
                            }
                        }
                        Some(stands) if stands.values.iter().eq(values.clone()) => {}
                        // Amended: risk and MFA results come later.
                        Some(stands) => {
                            let values = values.cloned().map(Value::into_owned).collect();
                            rows.update(&item.id, &Stored { values, ..stands }, page.now)?;
                            applied.writes += 1;
                            for (index, came) in item.children {
                                applied.writes += children[index].merge(&item.id, came, false, false, &mut feed, page.now)?;
                            }
                        }
                    }
                }
            }
            let mut late = page.progress.late;
            late.add(&applied.late);
            store(&transaction, page.resource, page.progress, &late)?;
            transaction.commit()?;
            Ok(applied)
        });
        applied.map_err(|e| self.sql(e))
    }

    /// Removes events before a time, at most `limit` in one short transaction; returns how many.
    pub fn prune(&self, table: &'static Table, before: &str, limit: u32) -> Result<u64, MirrorError> {
        let Some(time) = table.log_time else { return Ok(0) };
        self.give_way();
        let mut writer = self.writer();
        let (name, key) = (table.name, table.key);
        let removed = Transaction::new(&mut writer.connection, TransactionBehavior::Immediate).and_then(|transaction| {
            // The time up to which this portion goes; with equal times the portion is a little larger.
            let end: Option<String> = transaction
                .prepare_cached(&format!("SELECT {time} FROM {name} WHERE {time} < ?1 ORDER BY {time} LIMIT 1 OFFSET ?2"))?
                .query_row(params![before, limit.saturating_sub(1)], |row| row.get(0))
                .optional()?;
            let condition = if end.is_some() { "<=" } else { "<" };
            let end = end.as_deref().unwrap_or(before);
            for child in table.children {
                transaction
                    .prepare_cached(&format!(
                        "DELETE FROM {} WHERE {} IN (SELECT {key} FROM {name} WHERE {time} {condition} ?1)",
                        child.name, child.parent
                    ))?
                    .execute([end])?;
            }
            let removed = transaction.prepare_cached(&format!("DELETE FROM {name} WHERE {time} {condition} ?1"))?.execute([end])?;
            transaction.commit()?;
            Ok(removed as u64)
        });
        removed.map_err(|e| self.sql(e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_counted_by_steps_and_survives_the_file() {
        let mut late = Late::default();
        [10, 1000, 3000, 20 * 3600, 100 * 3600].into_iter().for_each(|seconds| late.count(seconds));
        assert_eq!(late.json(), r#"{"15min":1,"1h":2,"24h":1,"more":1}"#);
        assert_eq!(Late::parse(&late.json()), late);
        assert_eq!(late.total(), 5);
    }

    #[test]
    fn the_share_of_a_backfill() {
        let progress = |to: &str| LogProgress {
            recent_from: "2026-01-11T00:00:00.000Z".into(),
            backfill_from: Some("2026-01-01T00:00:00.000Z".into()),
            backfill_to: Some(to.into()),
            ..LogProgress::default()
        };
        assert_eq!(progress("2026-01-06T00:00:00.000Z").backfill_share(), Some(0.5));
        assert_eq!(LogProgress { backfill_to: None, ..progress("") }.backfill_share(), None);
    }
}
