//! Links between objects, stored as pairs of numbers. Knows nothing of what the ends are.

use rusqlite::{CachedStatement, Connection, params};

use super::table::{LinkTable, Table};

/// Prepared statements over one link table, for one transaction.
pub(super) struct Links<'t> {
    pub owner: &'static Table,
    pub table: &'static LinkTable,
    connection: &'t Connection,
    insert: CachedStatement<'t>,
    mark: CachedStatement<'t>,
    delete: CachedStatement<'t>,
}

/// The other end of a link: its number, its id, and whether it is hidden.
pub(super) struct End {
    pub oid: i64,
    pub id: String,
    pub hidden: bool,
}

/// A link that a full round did not confirm.
pub(super) struct Unseen {
    pub owner: i64,
    pub member: i64,
    pub owner_id: String,
    pub member_id: String,
    /// Whether readers see it now.
    pub shows: bool,
}

impl<'t> Links<'t> {
    pub fn new(connection: &'t Connection, owner: &'static Table, table: &'static LinkTable) -> rusqlite::Result<Self> {
        let LinkTable { name, owner_oid, member_oid, .. } = table;
        Ok(Links {
            owner,
            table,
            connection,
            insert: connection.prepare_cached(&format!(
                "INSERT INTO {name} ({owner_oid}, {member_oid}, round) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING"
            ))?,
            mark: connection
                .prepare_cached(&format!("UPDATE {name} SET round = ?3 WHERE {owner_oid} = ?1 AND {member_oid} = ?2 AND round < ?3"))?,
            delete: connection.prepare_cached(&format!("DELETE FROM {name} WHERE {owner_oid} = ?1 AND {member_oid} = ?2"))?,
        })
    }

    /// Adds a link; `false` when it stood. With `mark` a link that stood is noted as seen in `round`.
    pub fn add(&mut self, owner: i64, member: i64, round: i64, mark: bool) -> rusqlite::Result<bool> {
        let added = self.insert.execute(params![owner, member, round])? == 1;
        if !added && mark {
            self.mark.execute(params![owner, member, round])?;
        }
        Ok(added)
    }

    /// Notes a link that stands as seen in `round`, and adds none.
    pub fn see(&mut self, owner: i64, member: i64, round: i64) -> rusqlite::Result<()> {
        self.mark.execute(params![owner, member, round]).map(|_| ())
    }

    /// Removes a link; `false` when there was none.
    pub fn remove(&mut self, owner: i64, member: i64) -> rusqlite::Result<bool> {
        Ok(self.delete.execute(params![owner, member])? == 1)
    }

    /// What the object links to.
    pub fn members_of(&self, owner: i64) -> rusqlite::Result<Vec<End>> {
        let LinkTable { name, owner_oid, member_oid, .. } = self.table;
        self.ends(
            &format!("SELECT o.oid, o.id, o.hidden FROM {name} AS l JOIN objects AS o ON o.oid = l.{member_oid} WHERE l.{owner_oid} = ?1 ORDER BY 1"),
            owner,
        )
    }

    /// What links to the object.
    pub fn owners_of(&self, member: i64) -> rusqlite::Result<Vec<End>> {
        let LinkTable { name, owner_oid, member_oid, .. } = self.table;
        self.ends(
            &format!("SELECT o.oid, o.id, o.hidden FROM {name} AS l JOIN objects AS o ON o.oid = l.{owner_oid} WHERE l.{member_oid} = ?1 ORDER BY 1"),
            member,
        )
    }

    fn ends(&self, sql: &str, oid: i64) -> rusqlite::Result<Vec<End>> {
        self.connection
            .prepare_cached(sql)?
            .query_map([oid], |row| Ok(End { oid: row.get(0)?, id: row.get(1)?, hidden: row.get(2)? }))?
            .collect()
    }

    /// How many links stand, and how many of those that show were not seen in `round`.
    pub fn count_unseen(&self, round: i64) -> rusqlite::Result<(u64, u64)> {
        let LinkTable { name, owner_oid, member_oid, .. } = self.table;
        let all: i64 = self.connection.query_row(&format!("SELECT count(*) FROM {name}"), [], |row| row.get(0))?;
        let unseen: i64 = self.connection.query_row(
            &format!(
                "SELECT count(*) FROM {name} AS l JOIN objects AS g ON g.oid = l.{owner_oid} JOIN objects AS m ON m.oid = l.{member_oid} \
                 WHERE l.round < ?1 AND g.hidden = 0 AND m.hidden = 0"
            ),
            [round],
            |row| row.get(0),
        )?;
        Ok((all.unsigned_abs(), unseen.unsigned_abs()))
    }

    /// Links that were not seen in `round`, but for those to or from a deleted object.
    pub fn unseen(&self, round: i64) -> rusqlite::Result<Vec<Unseen>> {
        let LinkTable { name, owner_oid, member_oid, .. } = self.table;
        self.connection
            .prepare(&format!(
                "SELECT l.{owner_oid}, l.{member_oid}, g.id, m.id, g.hidden = 0 AND m.hidden = 0 FROM {name} AS l \
                 JOIN objects AS g ON g.oid = l.{owner_oid} JOIN objects AS m ON m.oid = l.{member_oid} \
                 WHERE l.round < ?1 AND g.hidden = 0 AND (m.hidden = 0 OR m.round = 0)"
            ))?
            .query_map([round], |row| {
                Ok(Unseen { owner: row.get(0)?, member: row.get(1)?, owner_id: row.get(2)?, member_id: row.get(3)?, shows: row.get(4)? })
            })?
            .collect()
    }

    /// Drops links to and from objects that are gone for good. The way from the other end must be indexed by now.
    pub fn drop_of_purged(&self) -> rusqlite::Result<()> {
        let LinkTable { name, owner_oid, member_oid, .. } = self.table;
        for column in [owner_oid, member_oid] {
            self.connection.execute(
                &format!(
                    "DELETE FROM {name} WHERE {column} IN (SELECT o.oid FROM deleted_objects AS d \
                     JOIN objects AS o ON o.id = d.id WHERE d.reason = 'deleted' AND o.hidden = 1)"
                ),
                [],
            )?;
        }
        Ok(())
    }
}
