//! The change feed: writes what differed, in the transaction of the difference. Silent for what belongs to a first enumeration.

use rusqlite::{CachedStatement, Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::error::MirrorError;
use super::item::Value;
use super::open::Mirror;
use super::rows::{write_json, write_name};
use super::table::{Kind, Table};

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Created,
    Updated,
    Deleted,
    Restored,
    MemberAdded,
    MemberRemoved,
}

impl Change {
    fn as_str(self) -> &'static str {
        match self {
            Change::Created => "created",
            Change::Updated => "updated",
            Change::Deleted => "deleted",
            Change::Restored => "restored",
            Change::MemberAdded => "member_added",
            Change::MemberRemoved => "member_removed",
        }
    }
}

/// The feed within one transaction.
pub(super) struct Feed<'t> {
    insert: CachedStatement<'t>,
    recent: CachedStatement<'t>,
    now: &'t str,
    /// Resources whose first enumeration is complete.
    told: Vec<String>,
    pub count: u64,
}

impl<'t> Feed<'t> {
    pub fn new(connection: &'t Connection, now: &'t str) -> rusqlite::Result<Self> {
        let told = connection
            .prepare_cached("SELECT resource FROM checkpoints WHERE baseline_at IS NOT NULL")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let insert = connection
            .prepare_cached("INSERT INTO changes (resource, object_id, kind, changed, observed_at) VALUES (?1, ?2, ?3, ?4, ?5)")?;
        let recent = connection.prepare_cached("SELECT 1 FROM changes WHERE object_id = ?1 AND observed_at >= ?2 LIMIT 1")?;
        Ok(Feed { insert, recent, now, told, count: 0 })
    }

    /// Whether changes of this resource are told: its baseline stands.
    pub fn tells(&self, resource: &str) -> bool {
        self.told.iter().any(|name| name == resource)
    }

    /// Whether anything of an object was told since then.
    pub fn told_since(&mut self, id: &str, since: &str) -> rusqlite::Result<bool> {
        self.recent.exists(params![id, since])
    }

    pub fn write(&mut self, resource: &str, id: &str, change: Change, changed: Option<&str>) -> rusqlite::Result<()> {
        self.insert.execute(params![resource, id, change.as_str(), changed, self.now])?;
        self.count += 1;
        Ok(())
    }

    /// A link of `owner` came or went.
    pub fn link(&mut self, table: &Table, owner: &str, column: &str, member: &str, added: bool) -> rusqlite::Result<()> {
        let member = serde_json::Value::from(member);
        let (kind, pair) = match added {
            true => (Change::MemberAdded, format!("{{\"{column}\":[null,{member}]}}")),
            false => (Change::MemberRemoved, format!("{{\"{column}\":[{member},null]}}")),
        };
        self.write(table.name, owner, kind, Some(&pair))
    }
}

impl Mirror {
    /// Removes changes that were seen before a time, at most `limit` in one short transaction; returns how many. Costs next to nothing when
    /// there are none: changes are numbered in the order in which they were seen, so the first tells.
    pub fn prune_changes(&self, before: &str, now: &str, limit: u32) -> Result<u64, MirrorError> {
        self.give_way();
        let mut writer = self.writer();
        let mut remove = || -> rusqlite::Result<usize> {
            let first: Option<String> = writer
                .connection
                .prepare_cached("SELECT observed_at FROM changes ORDER BY seq LIMIT 1")?
                .query_row([], |row| row.get(0))
                .optional()?;
            // One that a wrong clock dated into the future says nothing of those behind it.
            if first.is_none_or(|first| first.as_str() >= before && first.as_str() <= now) {
                return Ok(0);
            }
            let transaction = Transaction::new(&mut writer.connection, TransactionBehavior::Immediate)?;
            let removed = transaction
                .prepare_cached(
                    "DELETE FROM changes WHERE observed_at < ?1 AND seq <= \
                     (SELECT max(seq) FROM (SELECT seq FROM changes ORDER BY seq LIMIT ?2))",
                )?
                .execute(params![before, limit])?;
            transaction.commit()?;
            Ok(removed)
        };
        remove().map(|removed| removed as u64).map_err(|e| self.sql(e))
    }
}

/// Builds the JSON of `changes.changed`.
#[derive(Debug)]
pub(super) struct Differences {
    json: String,
}

impl Differences {
    pub fn new() -> Self {
        Differences { json: String::from("{") }
    }

    pub fn is_empty(&self) -> bool {
        self.json.len() == 1
    }

    pub fn add(&mut self, column: &str, kind: Kind, old: &Value<'_>, new: &Value<'_>) {
        write_name(&mut self.json, column);
        self.json.push('[');
        write_json(&mut self.json, kind, old);
        self.json.push(',');
        write_json(&mut self.json, kind, new);
        self.json.push(']');
    }

    pub fn finish(mut self) -> String {
        self.json.push('}');
        self.json
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::Access;

    #[test]
    fn old_changes_go_in_portions_and_numbers_are_not_given_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let mirror = Mirror::open(&folder.path().join("t.db"), &Access::default(), &[]).expect("a mirror");
        let write = |id: &str, at: &str| {
            let writer = mirror.writer();
            Feed::new(&writer.connection, at).and_then(|mut feed| feed.write("users", id, Change::Updated, None)).expect("written");
        };
        let left = || -> Vec<(i64, String)> {
            let writer = mirror.writer();
            let mut statement = writer.connection.prepare("SELECT seq, object_id FROM changes ORDER BY seq").expect("SQL");
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows").map(|row| row.expect("a row")).collect()
        };
        let (before, now) = ("2026-06-01T00:00:00.000Z", "2026-11-24T00:00:00.000Z");
        let prune = |limit| mirror.prune_changes(before, now, limit).expect("pruned");
        assert_eq!(prune(2), 0, "an empty feed");
        write("wrong clock", "2036-01-01T00:00:00.000Z");
        for n in 0..4 {
            write(&format!("old{n}"), "2026-05-31T23:59:59.999Z");
        }
        write("kept", before);
        assert_eq!((prune(3), prune(3)), (2, 2));
        assert_eq!(prune(3), 0);
        assert_eq!(left(), [(1, "wrong clock".into()), (6, "kept".into())]);
        let later = "2037-01-01T00:00:00.000Z";
        assert_eq!(mirror.prune_changes(later, later, 10).expect("pruned"), 2);
        write("new", now);
        assert_eq!(left(), [(7, "new".into())], "an application goes on from the number it knows");
        assert_eq!(prune(3), 0);
    }
}
