//! The numbers of directory objects: from Graph id to `oid` and back. Knows no table but `objects`.

use std::collections::HashMap;

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

/// How many ids are remembered at most: what a table of 2^17 places holds before it doubles, about 4 MiB.
const CACHE_ENTRIES: usize = 112 * 1024;

/// Remembers the numbers of ids met lately, because a link's other end is looked up millions of times.
#[derive(Debug, Default)]
pub(super) struct OidCache {
    by_guid: HashMap<u128, i64>,
}

impl OidCache {
    pub fn clear(&mut self) {
        self.by_guid.clear();
    }

    fn get(&self, guid: Option<u128>) -> Option<i64> {
        self.by_guid.get(&guid?).copied()
    }

    fn put(&mut self, guid: Option<u128>, oid: i64) {
        if let Some(guid) = guid {
            if self.by_guid.len() >= CACHE_ENTRIES {
                self.by_guid.clear();
            }
            self.by_guid.insert(guid, oid);
        }
    }
}

/// The number behind a GUID in its usual lower-case text, and only that: so number and text stand for one another.
fn guid(id: &str) -> Option<u128> {
    let bytes = id.as_bytes();
    if bytes.len() != 36 {
        return None;
    }
    let mut value: u128 = 0;
    for (index, byte) in bytes.iter().enumerate() {
        let digit = match byte {
            b'-' if matches!(index, 8 | 13 | 18 | 23) => continue,
            b'0'..=b'9' if !matches!(index, 8 | 13 | 18 | 23) => byte - b'0',
            b'a'..=b'f' if !matches!(index, 8 | 13 | 18 | 23) => byte - b'a' + 10,
            _ => return None,
        };
        value = value << 4 | u128::from(digit);
    }
    Some(value)
}

/// A row of `objects`.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub oid: i64,
    pub kind: String,
    pub hidden: bool,
    pub round: i64,
}

/// Prepared statements over `objects`, for one transaction.
pub(super) struct Objects<'t> {
    select: CachedStatement<'t>,
    insert: CachedStatement<'t>,
    see: CachedStatement<'t>,
    hide: CachedStatement<'t>,
    retype: CachedStatement<'t>,
}

impl<'t> Objects<'t> {
    pub fn new(connection: &'t Connection) -> rusqlite::Result<Self> {
        Ok(Objects {
            select: connection.prepare_cached("SELECT oid, type, hidden, round FROM objects WHERE id = ?1")?,
            insert: connection.prepare_cached("INSERT INTO objects (id, type, hidden, round) VALUES (?1, ?2, ?3, ?4)")?,
            see: connection.prepare_cached("UPDATE objects SET type = ?2, round = ?3 WHERE oid = ?1")?,
            hide: connection.prepare_cached("UPDATE objects SET hidden = ?2 WHERE oid = ?1")?,
            retype: connection.prepare_cached("UPDATE objects SET type = ?2 WHERE oid = ?1 AND round = 0 AND type <> ?2")?,
        })
    }

    pub fn find(&mut self, id: &str) -> rusqlite::Result<Option<Object>> {
        self.select
            .query_row([id], |row| Ok(Object { oid: row.get(0)?, kind: row.get(1)?, hidden: row.get(2)?, round: row.get(3)? }))
            .optional()
    }

    /// The number of an object, which is registered with `kind` when it was never met; `hidden` says whether its links wait for it.
    pub fn oid(&mut self, cache: &mut OidCache, id: &str, kind: &str, hidden: bool) -> rusqlite::Result<i64> {
        let guid = guid(id);
        if let Some(oid) = cache.get(guid) {
            return Ok(oid);
        }
        let oid = match self.find(id)? {
            Some(object) => object.oid,
            None => self.register(id, kind, hidden, 0)?,
        };
        cache.put(guid, oid);
        Ok(oid)
    }

    /// The number of an object, if it was ever met.
    pub fn known_oid(&mut self, cache: &mut OidCache, id: &str) -> rusqlite::Result<Option<i64>> {
        match cache.get(guid(id)) {
            Some(oid) => Ok(Some(oid)),
            None => Ok(self.find(id)?.map(|object| object.oid)),
        }
    }

    pub fn register(&mut self, id: &str, kind: &str, hidden: bool, round: i64) -> rusqlite::Result<i64> {
        self.insert.insert(params![id, kind, hidden, round])
    }

    /// Notes that the object itself was seen in a full round (and what type it is).
    pub fn see(&mut self, oid: i64, kind: &str, round: i64) -> rusqlite::Result<()> {
        self.see.execute(params![oid, kind, round]).map(|_| ())
    }

    /// What a link says of an object that no resource of its own brought: nothing else would ever correct its type. `true` when it did.
    pub fn retype(&mut self, oid: i64, kind: &str) -> rusqlite::Result<bool> {
        Ok(self.retype.execute(params![oid, kind])? == 1)
    }

    pub fn set_hidden(&mut self, oid: i64, hidden: bool) -> rusqlite::Result<()> {
        self.hide.execute(params![oid, hidden]).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::guid;

    #[test]
    fn only_canonical_guids_are_numbers() {
        assert_eq!(guid("00000000-0000-0000-0000-0000000000ff"), Some(255));
        for other in
            ["", "00000000-0000-0000-0000-0000000000FF", "00000000-0000-0000-0000-0000000000f", "0000000000000-0000-0000-0000000000ff-"]
        {
            assert_eq!(guid(other), None, "{other}");
        }
    }
}
