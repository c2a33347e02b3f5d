//! The merge: an object that came against the row that stands. Absent is unchanged, null is cleared, no difference is no write.

use std::borrow::Cow;

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};
use serde_json::Map;

use super::changes::{Change, Differences, Feed};
use super::children::{Children, from_tombstone};
use super::item::{Item, LinkChange, Reference, Removal, Value};
use super::links::Links;
use super::objects::{Object, Objects, OidCache};
use super::page::Page;
use super::rows::{Rows, Stored, extra_text, from_json, write_json, write_name};
use super::sweep::Seen;
use super::table::{Kind, Table};

/// The merge of one page, inside its transaction.
pub(super) struct Merge<'t> {
    pub connection: &'t Connection,
    pub table: &'static Table,
    pub round: i64,
    pub full: bool,
    /// As in [`Page::beside_since`].
    beside_since: Option<&'t str>,
    /// Whether this page's differences are told in the change feed.
    pub tell: bool,
    pub now: &'t str,
    pub rows: Option<Rows<'t>>,
    pub objects: Objects<'t>,
    pub oids: &'t mut OidCache,
    /// The link tables of all resources: a deletion hides links of any of them.
    pub links: Vec<Links<'t>>,
    /// Positions in `links` of this table's own.
    own_links: Vec<usize>,
    /// Graph types whose own resource has a baseline: an object of these that it did not bring is not there (yet).
    settled_types: Vec<&'static str>,
    pub children: Vec<Children<'t>>,
    pub feed: Feed<'t>,
    pub seen: Seen<'t>,
    tombstone: CachedStatement<'t>,
    put_tombstone: CachedStatement<'t>,
    drop_tombstone: CachedStatement<'t>,
    pub writes: u64,
    pub swept: u64,
}

impl<'t> Merge<'t> {
    pub fn new(
        connection: &'t Connection,
        tables: &'static [&'static Table],
        page: &Page<'t>,
        oids: &'t mut OidCache,
    ) -> rusqlite::Result<Self> {
        let table = page.table;
        let mut links = Vec::new();
        let mut own_links = Vec::new();
        for owner in tables {
            for link in owner.links {
                if owner.name == table.name {
                    own_links.push(links.len());
                }
                links.push(Links::new(connection, owner, link)?);
            }
        }
        let feed = Feed::new(connection, page.now)?;
        Ok(Merge {
            connection,
            table,
            round: page.round,
            full: page.full,
            beside_since: page.beside_since,
            tell: feed.tells(page.resource),
            settled_types: tables.iter().filter(|table| feed.tells(table.name)).filter_map(|table| table.object_type).collect(),
            now: page.now,
            rows: table.rows_of.is_none().then(|| Rows::new(connection, table)).transpose()?,
            objects: Objects::new(connection)?,
            oids,
            links,
            own_links,
            children: table.children.iter().map(|child| Children::new(connection, child)).collect::<Result<_, _>>()?,
            feed,
            seen: Seen::new(connection, page.resource)?,
            tombstone: connection.prepare_cached("SELECT reason, last_row FROM deleted_objects WHERE resource = ?1 AND id = ?2")?,
            put_tombstone: connection.prepare_cached(
                "INSERT OR REPLACE INTO deleted_objects (resource, id, reason, removed_at, last_row) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?,
            drop_tombstone: connection.prepare_cached("DELETE FROM deleted_objects WHERE resource = ?1 AND id = ?2")?,
            writes: 0,
            swept: 0,
        })
    }

    /// Puts child rows that waited for the end of the first round into their place.
    pub fn settle(&mut self) -> rusqlite::Result<()> {
        self.children.iter_mut().try_for_each(Children::settle)
    }

    /// Writes to mirrored tables, and rows of the change feed.
    pub fn counts(&self) -> (u64, u64) {
        (self.writes, self.feed.count)
    }

    pub fn item(&mut self, item: Item<'_>) -> rusqlite::Result<()> {
        if let (Some(_), Some(since)) = (item.removed, self.beside_since)
            && self.feed.told_since(&item.id, since)?
        {
            // It may have come back after that page was made.
            return Ok(());
        }
        match (item.removed, self.table.rows_of) {
            (Some(reason), None) => self.remove(&item.id, reason),
            (None, None) => self.upsert(item),
            (Some(_), Some(_)) => Ok(()),
            (None, Some(parent)) => self.child_rows_only(item, parent),
        }
    }

    /// An object came that could not be read: it stands as it is, and a full round does not miss it.
    pub fn leave(&mut self, id: &str) -> rusqlite::Result<()> {
        if !self.full || self.table.rows_of.is_some() {
            return Ok(());
        }
        match self.table.object_type {
            None => self.seen.mark(id),
            Some(kind) => match self.objects.find(id)? {
                Some(object) => self.objects.see(object.oid, kind, self.round),
                None => Ok(()),
            },
        }
    }

    /// For a resource that only brings child rows: they count when the parent row stands.
    fn child_rows_only(&mut self, item: Item<'_>, parent: &'static str) -> rusqlite::Result<()> {
        let stands = self.connection.prepare_cached(&format!("SELECT 1 FROM {parent} WHERE id = ?1"))?.exists([item.id.as_ref()])?;
        if stands { self.merge_children(&item.id, item.children, false) } else { Ok(()) }
    }

    fn upsert(&mut self, mut item: Item<'_>) -> rusqlite::Result<()> {
        let object = match self.table.object_type {
            Some(_) => self.objects.find(&item.id)?,
            None => None,
        };
        let hidden = object.as_ref().is_some_and(|o| o.hidden);
        if let Some(since) = self.beside_since
            && self.feed.told_since(&item.id, since)?
        {
            return self.only_see(&item, object.as_ref());
        }
        let stored = match (&object, self.table.object_type) {
            (None, Some(_)) => None,
            _ if hidden => None,
            _ => match &mut self.rows {
                Some(rows) => rows.find(&item.id)?,
                None => None,
            },
        };
        let (deleted, restored) = if hidden { self.take_tombstone(&item.id)? } else { (false, None) };
        let fresh = stored.is_none() && restored.is_none();
        let seen_before = object.as_ref().is_some_and(|o| o.round == self.round);
        let oid = self.note_object(&item.id, object.as_ref())?;
        if let Some(stored) = stored {
            self.update(&mut item, stored, seen_before)?;
        } else if let Some((last, children)) = restored {
            self.restore(&mut item, last, children)?;
        } else {
            self.insert(&mut item, deleted)?;
        }
        if let (true, Some(oid)) = (hidden, oid) {
            self.objects.set_hidden(oid, false)?;
            self.tell_links(oid, &item.id, true)?;
        }
        if self.table.object_type.is_none() && self.full {
            self.seen.mark(&item.id)?;
        }
        let children = std::mem::take(&mut item.children);
        self.merge_children(&item.id, children, fresh)?;
        match oid {
            Some(oid) if !item.links.is_empty() => self.merge_links(oid, &item.id, &item.links),
            _ => Ok(()),
        }
    }

    /// The live token has told newer things of this object: it and its links that stand are noted as seen, and left as they are.
    fn only_see(&mut self, item: &Item<'_>, object: Option<&Object>) -> rusqlite::Result<()> {
        let Some(object) = object.filter(|object| !object.hidden) else { return Ok(()) };
        self.note_object(&item.id, Some(object))?;
        for link in item.links.iter().filter(|link| !link.removed) {
            if let Some(member) = self.objects.known_oid(self.oids, &link.id)? {
                self.links[self.own_links[link.table]].see(object.oid, member, self.round)?;
            }
        }
        Ok(())
    }

    /// Registers a directory object, or notes that it was seen in this full round.
    fn note_object(&mut self, id: &str, object: Option<&Object>) -> rusqlite::Result<Option<i64>> {
        let Some(kind) = self.table.object_type else { return Ok(None) };
        match object {
            None => self.objects.register(id, kind, false, self.round).map(Some),
            Some(object) => {
                // One that comes back counts as seen too: a full round may be under way beside this one.
                let unseen = object.round == 0 || ((self.full || object.hidden) && object.round < self.round);
                if unseen || object.kind != kind {
                    self.objects.see(object.oid, kind, self.round)?;
                }
                Ok(Some(object.oid))
            }
        }
    }

    fn insert(&mut self, item: &mut Item<'_>, deleted: bool) -> rusqlite::Result<()> {
        let Some(rows) = &mut self.rows else { return Ok(()) };
        for (column, reference) in std::mem::take(&mut item.references) {
            item.values[column] = resolve(&reference, &Value::Null);
        }
        let mut extra = Map::new();
        merge_extra(&mut extra, std::mem::take(&mut item.extra));
        let values = item.values.iter().map(|value| value.as_ref().unwrap_or(&Value::Null));
        rows.insert(&item.id, values.clone(), &extra, self.now, self.now)?;
        self.writes += 1;
        if self.table.object_type.is_none() {
            self.drop_tombstone.execute(params![self.table.name, item.id])?;
        }
        if self.tell {
            let values: Vec<Value<'static>> = values.cloned().map(Value::into_owned).collect();
            let change = if deleted { Change::Restored } else { Change::Created };
            let changed = whole(self.table, &Stored { values, extra, first_seen_at: String::new() });
            self.feed.write(self.table.name, &item.id, change, Some(&changed))?;
        }
        Ok(())
    }

    fn update(&mut self, item: &mut Item<'_>, stored: Stored, seen_before: bool) -> rusqlite::Result<()> {
        if self.full {
            let absent = absences(self.table, item, &stored, &mut self.children)?;
            self.seen.absent(&item.id, absent, seen_before)?;
        }
        let (row, differences) = overlay(self.table, stored, item);
        if differences.is_empty() {
            return Ok(());
        }
        let Some(rows) = &mut self.rows else { return Ok(()) };
        rows.update(&item.id, &row, self.now)?;
        self.writes += 1;
        if self.tell {
            self.feed.write(self.table.name, &item.id, Change::Updated, Some(&differences.finish()))?;
        }
        Ok(())
    }

    /// A deleted object came back: its last row, with what came now on top of it.
    fn restore(&mut self, item: &mut Item<'_>, last: Stored, children: serde_json::Value) -> rusqlite::Result<()> {
        if self.full {
            let absent = absences(self.table, item, &last, &mut self.children)?;
            self.seen.absent(&item.id, absent, false)?;
        }
        let (row, _) = overlay(self.table, last, item);
        let Some(rows) = &mut self.rows else { return Ok(()) };
        rows.insert(&item.id, row.values.iter(), &row.extra, &row.first_seen_at, self.now)?;
        self.writes += 1;
        if self.tell {
            self.feed.write(self.table.name, &item.id, Change::Restored, Some(&whole(self.table, &row)))?;
        }
        let (id, tables) = (&item.id, self.table.children);
        for rows_of in first_of_each_table(&mut self.children) {
            // Where two collections share a table, the one that came replaces its part afterwards.
            let mut sharing = tables.iter().enumerate().filter(|(_, table)| table.name == rows_of.name());
            if sharing.any(|(index, _)| !item.children.iter().any(|(position, _)| *position == index)) {
                let rows = from_tombstone(rows_of.table(), &children[rows_of.name()]);
                self.writes += rows_of.merge(id, rows, true, self.tell, &mut self.feed, self.now)?;
            }
        }
        Ok(())
    }

    fn merge_children(&mut self, id: &str, children: Vec<(usize, Vec<super::item::ChildRow<'_>>)>, fresh: bool) -> rusqlite::Result<()> {
        for (index, rows) in children {
            // A row that was restored or whose parent stood may have rows already; a fresh one cannot.
            let writes = self.children[index].merge(id, rows, fresh, self.tell, &mut self.feed, self.now)?;
            self.writes += writes;
        }
        Ok(())
    }

    fn merge_links(&mut self, owner: i64, id: &str, links: &[LinkChange<'_>]) -> rusqlite::Result<()> {
        let mut resolved = Vec::with_capacity(links.len());
        for (order, link) in links.iter().enumerate() {
            let member = match link.removed {
                // A link to what its own resource has not brought is kept and shows when that arrives: nobody is granted anything
                // for somebody who may be deleted.
                false => {
                    let hidden = self.settled_types.iter().any(|kind| *kind == link.kind);
                    Some(self.objects.oid(self.oids, &link.id, &link.kind, hidden)?)
                }
                true => self.objects.known_oid(self.oids, &link.id)?,
            };
            resolved.extend(member.map(|member| (link.table, member, order)));
        }
        // By number, so that neighbours in the tree are written together; the same link twice keeps its order.
        resolved.sort_unstable();
        for (table, member, order) in resolved {
            let link = &links[order];
            let statements = &mut self.links[self.own_links[table]];
            let changed = match link.removed {
                false => statements.add(owner, member, self.round, self.full)?,
                true => statements.remove(owner, member)?,
            };
            // A link that does not say its end's type does not take back what another one said.
            if !changed && self.full && !link.removed && !link.kind.is_empty() && self.objects.retype(member, &link.kind)? {
                self.writes += 1;
            }
            if changed {
                self.writes += 1;
                let column = statements.table.member_id;
                if self.tell && !self.objects.find(&link.id)?.is_some_and(|o| o.hidden) {
                    self.feed.link(self.table, id, column, &link.id, !link.removed)?;
                }
            }
        }
        Ok(())
    }

    /// Takes an object out of the live tables. Its row stays in `deleted_objects`.
    pub fn remove(&mut self, id: &str, reason: Removal) -> rusqlite::Result<()> {
        let object = match self.table.object_type {
            Some(_) => self.objects.find(id)?,
            None => None,
        };
        if let Some(object) = object.as_ref().filter(|object| object.hidden)
            && self.tombstone.exists(params![self.table.name, id])?
        {
            return self.purge(id, object.oid, reason);
        }
        let stored = match &mut self.rows {
            Some(rows) => rows.find(id)?,
            None => None,
        };
        let mut last_row = None;
        if let (Some(stored), Some(rows)) = (stored, &mut self.rows) {
            let mut json = String::from("{");
            write_name(&mut json, self.table.key);
            write_json(&mut json, Kind::Text, &Value::Text(Cow::Borrowed(id)));
            row_json(&mut json, self.table, &stored);
            rows.delete(id)?;
            self.writes += 1;
            for children in first_of_each_table(&mut self.children) {
                let (rows, writes) = children.remove_all(id, self.tell, &mut self.feed)?;
                self.writes += writes;
                write_name(&mut json, children.name());
                json.push_str(&rows);
            }
            json.push('}');
            last_row = Some(json);
            if self.tell {
                self.feed.write(self.table.name, id, Change::Deleted, None)?;
            }
        }
        self.put_tombstone.execute(params![self.table.name, id, reason.as_str(), self.now, last_row])?;
        if let Some(kind) = self.table.object_type {
            let oid = match object {
                // Only known as the end of a link until now: the tombstone is its first sight.
                Some(object) if object.hidden => {
                    self.objects.see(object.oid, kind, self.round)?;
                    object.oid
                }
                Some(object) => {
                    self.tell_links(object.oid, id, false)?;
                    self.objects.set_hidden(object.oid, true)?;
                    object.oid
                }
                None => self.objects.register(id, kind, true, self.round)?,
            };
            if reason == Removal::Deleted {
                self.drop_links(oid)?;
            }
        }
        Ok(())
    }

    /// An object that was already out of the live tables is now gone for good.
    fn purge(&mut self, id: &str, oid: i64, reason: Removal) -> rusqlite::Result<()> {
        if reason != Removal::Deleted {
            return Ok(());
        }
        let changed = self
            .connection
            .prepare_cached(
                "UPDATE deleted_objects SET reason = 'deleted', removed_at = ?3 WHERE resource = ?1 AND id = ?2 AND reason <> 'deleted'",
            )?
            .execute(params![self.table.name, id, self.now])?;
        if changed > 0 { self.drop_links(oid) } else { Ok(()) }
    }

    /// Tells the links that a deletion hides or a restore shows again. A first enumeration is silent about them too.
    fn tell_links(&mut self, oid: i64, id: &str, shown: bool) -> rusqlite::Result<()> {
        if !self.tell {
            return Ok(());
        }
        for links in &self.links {
            if !self.feed.tells(links.owner.name) {
                continue;
            }
            let column = links.table.member_id;
            for end in links.members_of(oid)?.iter().filter(|end| !end.hidden && end.oid != oid) {
                self.feed.link(links.owner, id, column, &end.id, shown)?;
            }
            for end in links.owners_of(oid)?.iter().filter(|end| !end.hidden) {
                self.feed.link(links.owner, &end.id, column, id, shown)?;
            }
        }
        Ok(())
    }

    /// Drops the links of an object that is gone for good. Before a resource's first round is complete there is no index for it, so
    /// that is left to the end of the round; the links do not show meanwhile.
    fn drop_links(&mut self, oid: i64) -> rusqlite::Result<()> {
        for links in &mut self.links {
            if !self.feed.tells(links.owner.name) {
                continue;
            }
            for end in links.members_of(oid)? {
                self.writes += u64::from(links.remove(oid, end.oid)?);
            }
            for end in links.owners_of(oid)? {
                self.writes += u64::from(links.remove(end.oid, oid)?);
            }
        }
        Ok(())
    }

    /// Whether there was a tombstone, which then is gone, and the object's last row; `None` when it was never seen alive.
    fn take_tombstone(&mut self, id: &str) -> rusqlite::Result<(bool, Option<(Stored, serde_json::Value)>)> {
        let found: Option<Option<String>> = self.tombstone.query_row(params![self.table.name, id], |row| row.get(1)).optional()?;
        let Some(text) = found else { return Ok((false, None)) };
        self.drop_tombstone.execute(params![self.table.name, id])?;
        let Some(mut last) = text.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok()) else {
            return Ok((true, None));
        };
        let values = self.table.columns.iter().map(|c| from_json(c.kind, last.get(c.name))).collect();
        let extra = match last.get_mut("extra").map(serde_json::Value::take) {
            Some(serde_json::Value::Object(extra)) => extra,
            _ => Map::new(),
        };
        let first_seen_at = last.get("first_seen_at").and_then(|at| at.as_str()).unwrap_or(self.now).to_owned();
        Ok((true, Some((Stored { values, extra, first_seen_at }, last))))
    }
}

/// Two collections may share a table, and whatever is done with all rows of an object is done once.
fn first_of_each_table<'c, 't>(children: &'c mut [Children<'t>]) -> impl Iterator<Item = &'c mut Children<'t>> {
    let mut before: Vec<&str> = Vec::new();
    children.iter_mut().filter(move |children| {
        let first = !before.contains(&children.name());
        before.push(children.name());
        first
    })
}

/// What a relationship's news make of the column; `None` = unchanged.
fn resolve<'a>(reference: &Reference<'a>, stands: &Value<'_>) -> Option<Value<'a>> {
    if let Some(id) = &reference.set {
        return Some(Value::Text(id.clone()));
    }
    let cleared = stands.as_text().is_some_and(|id| reference.removed.iter().any(|removed| removed == id));
    cleared.then_some(Value::Null)
}

fn merge_extra(extra: &mut Map<String, serde_json::Value>, came: Vec<(String, serde_json::Value)>) {
    for (name, value) in came {
        if value.is_null() {
            extra.remove(&name);
        } else {
            extra.insert(name, value);
        }
    }
}

/// What came, laid over a row; and the differences.
fn overlay(table: &Table, mut row: Stored, item: &mut Item<'_>) -> (Stored, Differences) {
    let mut differences = Differences::new();
    for (column, reference) in std::mem::take(&mut item.references) {
        item.values[column] = resolve(&reference, &row.values[column]);
    }
    for (index, column) in table.columns.iter().enumerate() {
        if let Some(new) = item.values[index].take().filter(|new| *new != row.values[index]) {
            let new = new.into_owned();
            differences.add(column.name, column.kind, &row.values[index], &new);
            row.values[index] = new;
        }
    }
    if table.extra && !item.extra.is_empty() {
        let before = extra_value(&row.extra);
        merge_extra(&mut row.extra, std::mem::take(&mut item.extra));
        let after = extra_value(&row.extra);
        if before != after {
            differences.add("extra", Kind::Json, &before, &after);
        }
    }
    (row, differences)
}

pub(super) fn extra_value(extra: &Map<String, serde_json::Value>) -> Value<'static> {
    extra_text(extra).map_or(Value::Null, |text| Value::Text(Cow::Owned(text)))
}

/// Names of what the stored row has and the item does not mention: columns, `extra:NAME`, and child tables.
/// Before the position of a collection of rows among the names of what did not come: two collections may share one table.
pub(super) const ABSENT_ROWS: &str = "rows:";

fn absences(table: &Table, item: &Item<'_>, stored: &Stored, children: &mut [Children<'_>]) -> rusqlite::Result<Vec<String>> {
    let mut absent = Vec::new();
    for (index, column) in table.columns.iter().enumerate() {
        let referred = item.references.iter().any(|(position, _)| *position == index);
        if item.values[index].is_none() && !referred && stored.values[index] != Value::Null {
            absent.push(column.name.to_owned());
        }
    }
    for name in stored.extra.keys().filter(|name| !item.extra.iter().any(|(came, _)| came == *name)) {
        absent.push(format!("extra:{name}"));
    }
    for index in 0..table.children.len() {
        let came = item.children.iter().any(|(position, _)| *position == index);
        if !came && children[index].any(&item.id)? {
            absent.push(format!("{ABSENT_ROWS}{index}"));
        }
    }
    Ok(absent)
}

fn row_json(json: &mut String, table: &Table, row: &Stored) {
    for (column, value) in table.columns.iter().zip(&row.values) {
        write_name(json, column.name);
        write_json(json, column.kind, value);
    }
    if table.extra {
        write_name(json, "extra");
        write_json(json, Kind::Json, &extra_value(&row.extra));
    }
    write_name(json, "first_seen_at");
    write_json(json, Kind::Text, &Value::Text(Cow::Borrowed(&row.first_seen_at)));
}

/// Every set column as a difference from nothing: a reader can build the row from it.
fn whole(table: &Table, row: &Stored) -> String {
    let mut differences = Differences::new();
    for (column, value) in table.columns.iter().zip(&row.values).filter(|(_, value)| **value != Value::Null) {
        differences.add(column.name, column.kind, &Value::Null, value);
    }
    if let extra @ Value::Text(_) = extra_value(&row.extra) {
        differences.add("extra", Kind::Json, &Value::Null, &extra);
    }
    differences.finish()
}
