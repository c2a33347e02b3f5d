//! The change feed: writes what differed, in the transaction of the difference. Silent for what belongs to a first enumeration.

use rusqlite::{CachedStatement, Connection, params};

use super::item::Value;
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
