//! The end of a full round: what it did not see is swept, what it never mentioned is cleared, unless so much is missing that it is held.

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::changes::{Change, Differences};
use super::item::{Removal, Value};
use super::merge::{ABSENT_ROWS, Merge, extra_value};
use super::page::{Held, HoldRules};
use super::table::Kind;

/// What a full round has seen, kept in the file so that a restart midway loses nothing.
pub(super) struct Seen<'t> {
    connection: &'t Connection,
    resource: &'static str,
    mark: CachedStatement<'t>,
}

impl<'t> Seen<'t> {
    pub fn new(connection: &'t Connection, resource: &'static str) -> rusqlite::Result<Self> {
        let mark = connection.prepare_cached("INSERT OR IGNORE INTO round_marks (resource, id) VALUES (?1, ?2)")?;
        Ok(Seen { connection, resource, mark })
    }

    /// Marks a row that is not a directory object (those carry the round's number themselves).
    pub fn mark(&mut self, id: &str) -> rusqlite::Result<()> {
        self.mark.execute(params![self.resource, id]).map(|_| ())
    }

    /// Notes what the object did not mention. An object that comes in pieces lacks only what no piece brought.
    pub fn absent(&mut self, id: &str, absent: Vec<String>, seen_before: bool) -> rusqlite::Result<()> {
        let key = params![self.resource, id];
        if !seen_before {
            if absent.is_empty() {
                return Ok(());
            }
            let json = serde_json::Value::from(absent).to_string();
            return self
                .connection
                .prepare_cached("INSERT OR REPLACE INTO round_absences (resource, id, columns) VALUES (?1, ?2, ?3)")?
                .execute(params![self.resource, id, json])
                .map(|_| ());
        }
        let noted: Option<String> = self
            .connection
            .prepare_cached("SELECT columns FROM round_absences WHERE resource = ?1 AND id = ?2")?
            .query_row(key, |row| row.get(0))
            .optional()?;
        let Some(noted) = noted else { return Ok(()) };
        let mut left: Vec<String> = serde_json::from_str(&noted).unwrap_or_default();
        left.retain(|name| absent.contains(name));
        self.connection
            .prepare_cached("UPDATE round_absences SET columns = ?3 WHERE resource = ?1 AND id = ?2")?
            .execute(params![self.resource, id, serde_json::Value::from(left).to_string()])
            .map(|_| ())
    }

    fn absences(&self) -> rusqlite::Result<Vec<(String, Vec<String>)>> {
        self.connection
            .prepare("SELECT id, columns FROM round_absences WHERE resource = ?1")?
            .query_map([self.resource], |row| {
                let columns: String = row.get(1)?;
                Ok((row.get(0)?, serde_json::from_str(&columns).unwrap_or_default()))
            })?
            .collect()
    }

    fn forget(&self) -> rusqlite::Result<()> {
        forget_marks(self.connection, self.resource)
    }
}

/// Forgets what a full round has noted, when it ends or is begun anew.
pub(super) fn forget_marks(connection: &Connection, resource: &str) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM round_marks WHERE resource = ?1")?.execute([resource])?;
    connection.prepare_cached("DELETE FROM round_absences WHERE resource = ?1")?.execute([resource]).map(|_| ())
}

impl Merge<'_> {
    /// Sweeps, or says what is improbable and does nothing. `rules` of `None` lets everything through.
    pub fn sweep(&mut self, rules: Option<HoldRules>) -> rusqlite::Result<Option<Held>> {
        let missing = self.missing()?;
        if let Some(rules) = rules {
            let held = self.improbable(rules, missing.len() as u64)?;
            if held.is_some() {
                self.seen.forget()?;
                return Ok(held);
            }
        }
        for id in &missing {
            self.remove(id, Removal::Swept)?;
            self.swept += 1;
        }
        self.clear_absent()?;
        self.sweep_links()?;
        self.hide_unknown()?;
        self.seen.forget()?;
        Ok(None)
    }

    /// Objects of this resource that are known only as ends of links are not there: soft-deleted before the mirror began, or not
    /// delivered yet. Their links wait, hidden, until the object itself arrives.
    fn hide_unknown(&mut self) -> rusqlite::Result<()> {
        let Some(kind) = self.table.object_type else { return Ok(()) };
        self.connection.execute("UPDATE objects SET hidden = 1 WHERE type = ?1 AND round = 0 AND hidden = 0", [kind]).map(|_| ())
    }

    /// Keys of the rows that the round did not see.
    fn missing(&self) -> rusqlite::Result<Vec<String>> {
        let (table, key) = (self.table.name, self.table.key);
        let keys = |sql: &str, parameter: &dyn rusqlite::ToSql| -> rusqlite::Result<Vec<String>> {
            self.connection.prepare(sql)?.query_map([parameter], |row| row.get(0))?.collect()
        };
        match (self.table.rows_of, self.table.object_type) {
            // The parents' own resource says when a parent is gone.
            (Some(_), _) => Ok(Vec::new()),
            (None, Some(_)) => {
                keys(&format!("SELECT t.{key} FROM {table} AS t JOIN objects AS o ON o.id = t.{key} WHERE o.round < ?1"), &self.round)
            }
            (None, None) => keys(
                &format!(
                    "SELECT t.{key} FROM {table} AS t WHERE NOT EXISTS \
                     (SELECT 1 FROM round_marks AS m WHERE m.resource = ?1 AND m.id = t.{key})"
                ),
                &table,
            ),
        }
    }

    fn improbable(&self, rules: HoldRules, missing: u64) -> rusqlite::Result<Option<Held>> {
        let too_many = |missing: u64, rows: u64| missing > rules.rows && missing as f64 > rules.share * rows as f64;
        let held = |table: &str, missing, rows| Some(Held { table: table.into(), missing, rows, at: self.now.into() });
        if missing > 0 {
            let rows: i64 = self.connection.query_row(&format!("SELECT count(*) FROM {}", self.table.name), [], |r| r.get(0))?;
            let rows = rows.unsigned_abs();
            if too_many(missing, rows) || (self.table.never_empty && missing == rows) {
                return Ok(held(self.table.name, missing, rows));
            }
        }
        // Links of a first, uninterrupted round all carry its number: nothing to count.
        if self.round > 1 {
            for links in self.links.iter().filter(|links| links.owner.name == self.table.name) {
                let (rows, unseen) = links.count_unseen(self.round)?;
                if too_many(unseen, rows) {
                    return Ok(held(links.table.view, unseen, rows));
                }
            }
        }
        Ok(None)
    }

    /// Clears what the stored rows have and the whole round never mentioned.
    fn clear_absent(&mut self) -> rusqlite::Result<()> {
        for (id, names) in self.seen.absences()? {
            let Some(rows) = &mut self.rows else { return Ok(()) };
            let Some(mut row) = rows.find(&id)? else { continue };
            let mut differences = Differences::new();
            for name in &names {
                if let Some(index) = self.table.column(name) {
                    let kind = self.table.columns[index].kind;
                    let old = std::mem::replace(&mut row.values[index], Value::Null);
                    differences.add(name, kind, &old, &Value::Null);
                } else if let Some(rows) = name.strip_prefix(ABSENT_ROWS).and_then(|at| self.children.get_mut(at.parse::<usize>().ok()?)) {
                    let writes = rows.merge(&id, Vec::new(), false, self.tell, &mut self.feed, self.now)?;
                    self.writes += writes;
                }
            }
            let before = extra_value(&row.extra);
            for name in names.iter().filter_map(|name| name.strip_prefix("extra:")) {
                row.extra.remove(name);
            }
            let after = extra_value(&row.extra);
            if before != after {
                differences.add("extra", Kind::Json, &before, &after);
            }
            if differences.is_empty() {
                continue;
            }
            rows.update(&id, &row, self.now)?;
            self.writes += 1;
            if self.tell {
                self.feed.write(self.table.name, &id, Change::Updated, Some(&differences.finish()))?;
            }
        }
        Ok(())
    }

    /// Drops links that show and were not confirmed. Those to or from a deleted object stay: a restore brings them back, and Graph is
    /// silent about them meanwhile.
    fn sweep_links(&mut self) -> rusqlite::Result<()> {
        for links in self.links.iter_mut().filter(|links| links.owner.name == self.table.name) {
            if self.round > 1 {
                for link in links.unseen(self.round)? {
                    links.remove(link.owner, link.member)?;
                    self.writes += 1;
                    self.swept += 1;
                    if self.tell && link.shows {
                        self.feed.link(self.table, &link.owner_id, links.table.member_id, &link.member_id, false)?;
                    }
                }
            }
            links.drop_of_purged()?;
        }
        Ok(())
    }
}
