//! Rows that belong to another row: compares the set that should stand with the one that does. Knows no particular table.

use std::collections::BTreeMap;

use rusqlite::{CachedStatement, Connection, params_from_iter};

use super::changes::{Change, Differences, Feed};
use super::item::{ChildRow, Value};
use super::rows::{read, write_json, write_name};
use super::table::{ChildTable, Kind};

/// Prepared statements over one child table, for one transaction.
pub(super) struct Children<'t> {
    table: &'static ChildTable,
    select: CachedStatement<'t>,
    insert: CachedStatement<'t>,
    update: CachedStatement<'t>,
    delete: CachedStatement<'t>,
    staged: Option<Staged<'t>>,
}

/// The rows that wait for the end of the first round, and what puts them into their place.
struct Staged<'t> {
    insert: CachedStatement<'t>,
    settle: String,
    /// Whether there may be any.
    waiting: bool,
    connection: &'t Connection,
}

impl<'t> Staged<'t> {
    fn new(connection: &'t Connection, table: &'static ChildTable, name: &str, listed: &str, places: &str) -> rusqlite::Result<Self> {
        let (main, parent) = (table.name, table.parent);
        let order = table.keys.join(", ");
        Ok(Staged {
            insert: connection.prepare_cached(&format!(
                "INSERT INTO {name} ({parent}, first_seen_at, last_changed_at, {listed}) VALUES (?1, ?2, ?2, {places})"
            ))?,
            settle: format!(
                "INSERT OR IGNORE INTO {main} ({parent}, {listed}, first_seen_at, last_changed_at)
                 SELECT {parent}, {listed}, first_seen_at, last_changed_at FROM {name} ORDER BY {parent}, {order};
                 DELETE FROM {name};"
            ),
            waiting: connection.prepare_cached(&format!("SELECT 1 FROM {name} LIMIT 1"))?.exists([])?,
            connection,
        })
    }
}

impl<'t> Children<'t> {
    pub fn new(connection: &'t Connection, table: &'static ChildTable) -> rusqlite::Result<Self> {
        let (name, parent) = (table.name, table.parent);
        let names: Vec<&str> = names(table).collect();
        let listed = names.join(", ");
        let places: String = (0..names.len()).map(|i| format!("?{}, ", i + 3)).collect();
        let sets: String = table.columns.iter().enumerate().map(|(i, c)| format!("{} = ?{}, ", c.name, i + 3)).collect();
        let first_key = table.columns.len() + 3;
        let keys: String = table.keys.iter().enumerate().map(|(i, k)| format!(" AND {k} = ?{}", i + first_key)).collect();
        let keys_alone: String = table.keys.iter().enumerate().map(|(i, k)| format!(" AND {k} = ?{}", i + 2)).collect();
        let places = places.trim_end_matches(", ");
        let staged = table.staged.map(|name| Staged::new(connection, table, name, &listed, places)).transpose()?;
        Ok(Children {
            table,
            staged,
            select: connection.prepare_cached(&format!("SELECT {listed} FROM {name} WHERE {parent} = ?1"))?,
            insert: connection.prepare_cached(&format!(
                "INSERT INTO {name} ({parent}, first_seen_at, last_changed_at, {listed}) VALUES (?1, ?2, ?2, {places})"
            ))?,
            update: connection.prepare_cached(&format!("UPDATE {name} SET {sets}last_changed_at = ?2 WHERE {parent} = ?1{keys}"))?,
            delete: connection.prepare_cached(&format!("DELETE FROM {name} WHERE {parent} = ?1{keys_alone}"))?,
        })
    }

    /// Name of the table.
    pub fn name(&self) -> &'static str {
        self.table.name
    }

    /// Puts the rows that wait into their place. Whoever looks for rows does that first.
    pub fn settle(&mut self) -> rusqlite::Result<()> {
        match &mut self.staged {
            Some(staged) if staged.waiting => {
                staged.waiting = false;
                staged.connection.execute_batch(&staged.settle)
            }
            _ => Ok(()),
        }
    }

    /// How its rows look.
    pub fn table(&self) -> &'static ChildTable {
        self.table
    }

    fn stand(&mut self, parent: &str) -> rusqlite::Result<Vec<ChildRow<'static>>> {
        self.settle()?;
        let width = self.table.keys.len() + self.table.columns.len();
        self.select.query_map([parent], |row| (0..width).map(|index| read(row, index)).collect())?.collect()
    }

    /// Whether the parent has any row.
    pub fn any(&mut self, parent: &str) -> rusqlite::Result<bool> {
        self.settle()?;
        self.select.exists([parent])
    }

    /// Makes the rows of `parent` what they should be after `incoming`. `fresh` says that none can stand yet; while nothing is told either,
    /// which is the first round, the rows of such a parent may wait for its end. Returns the number of writes.
    pub fn merge(
        &mut self,
        parent: &str,
        incoming: Vec<ChildRow<'_>>,
        fresh: bool,
        tell: bool,
        feed: &mut Feed<'_>,
        now: &str,
    ) -> rusqlite::Result<u64> {
        let table = self.table;
        let keys = table.keys.len();
        let stand = if fresh { Vec::new() } else { self.stand(parent)? };
        let wanted = (table.reconcile)(&stand, incoming);
        let mut old: BTreeMap<Vec<String>, ChildRow<'static>> = stand.into_iter().map(|row| (key(&row, keys), row)).collect();
        let mut writes = 0;
        let mut done: BTreeMap<Vec<String>, ()> = BTreeMap::new();
        for row in wanted {
            let key = key(&row, keys);
            // The same key twice in one answer: the first stands.
            if done.insert(key.clone(), ()).is_some() {
                continue;
            }
            let was = old.remove(&key);
            if was.as_ref().is_some_and(|was| was.iter().eq(row.iter())) {
                continue;
            }
            writes += 1;
            if was.is_some() {
                let tail = row[keys..].iter().chain(&row[..keys]);
                let head = [Value::Text(parent.into()), Value::Text(now.into())];
                self.update.execute(params_from_iter(head.iter().chain(tail)))?;
            } else {
                let head = [Value::Text(parent.into()), Value::Text(now.into())];
                let insert = match &mut self.staged {
                    Some(staged) if fresh && !tell => {
                        staged.waiting = true;
                        &mut staged.insert
                    }
                    _ => &mut self.insert,
                };
                insert.execute(params_from_iter(head.iter().chain(row.iter())))?;
            }
            if tell {
                let change = if was.is_some() { Change::Updated } else { Change::Created };
                feed.write(table.name, parent, change, Some(&differences(table, was.as_deref(), Some(&row))))?;
            }
        }
        for (_, row) in old {
            writes += 1;
            let head = [Value::Text(parent.into())];
            self.delete.execute(params_from_iter(head.iter().chain(&row[..keys])))?;
            if tell {
                feed.write(table.name, parent, Change::Deleted, Some(&differences(table, Some(&row), None)))?;
            }
        }
        Ok(writes)
    }

    /// Removes all rows of `parent`; returns them as a JSON array, for the tombstone, and the number of writes.
    pub fn remove_all(&mut self, parent: &str, tell: bool, feed: &mut Feed<'_>) -> rusqlite::Result<(String, u64)> {
        let table = self.table;
        let rows = self.stand(parent)?;
        let mut json = String::from("[");
        for row in &rows {
            let head = [Value::Text(parent.into())];
            self.delete.execute(params_from_iter(head.iter().chain(&row[..table.keys.len()])))?;
            if tell {
                feed.write(table.name, parent, Change::Deleted, Some(&differences(table, Some(row), None)))?;
            }
            if json.len() > 1 {
                json.push(',');
            }
            let mut object = String::from("{");
            for (index, name) in names(table).enumerate() {
                write_name(&mut object, name);
                write_json(&mut object, kind(table, index), &row[index]);
            }
            json.push_str(&object);
            json.push('}');
        }
        json.push(']');
        Ok((json, rows.len() as u64))
    }
}

fn names(table: &'static ChildTable) -> impl Iterator<Item = &'static str> {
    table.keys.iter().copied().chain(table.columns.iter().map(|c| c.name))
}

fn kind(table: &ChildTable, index: usize) -> Kind {
    index.checked_sub(table.keys.len()).map_or(Kind::Text, |column| table.columns[column].kind)
}

fn key(row: &[Value<'_>], keys: usize) -> Vec<String> {
    let text = |value: &Value<'_>| match value {
        Value::Integer(number) => number.to_string(),
        value => value.as_text().unwrap_or_default().to_owned(),
    };
    row[..keys].iter().map(text).collect()
}

/// Every key column, and the other columns that differ, so that a reader of the feed can find the row.
fn differences(table: &'static ChildTable, old: Option<&[Value<'_>]>, new: Option<&[Value<'_>]>) -> String {
    let mut out = Differences::new();
    for (index, name) in names(table).enumerate() {
        let before = old.map_or(&Value::Null, |row| &row[index]);
        let after = new.map_or(&Value::Null, |row| &row[index]);
        if index < table.keys.len() || before != after {
            out.add(name, kind(table, index), before, after);
        }
    }
    out.finish()
}

/// The rows of a child table as they stood in a tombstone.
pub(super) fn from_tombstone(table: &'static ChildTable, rows: &serde_json::Value) -> Vec<ChildRow<'static>> {
    rows.as_array()
        .into_iter()
        .flatten()
        .map(|row| names(table).enumerate().map(|(index, name)| super::rows::from_json(kind(table, index), row.get(name))).collect())
        .collect()
}
