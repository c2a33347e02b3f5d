//! Static descriptions of mirrored tables: what columns, links and child rows they have. Holds no data and runs no SQL.

use super::item::ChildRow;

/// How a value is stored, and so how it is shown in the change feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TEXT as it came.
    Text,
    /// INTEGER.
    Integer,
    /// REAL.
    Real,
    /// INTEGER 0 or 1.
    Boolean,
    /// TEXT, UTC, `YYYY-MM-DDTHH:MM:SS.sssZ`.
    Time,
    /// JSON text of a collection or complex value, with sorted keys; NULL when unset or an empty collection.
    Json,
}

/// One column that mirrors a value.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
}

/// Rows that belong to a row of the table, such as the licences of a user.
#[derive(Debug)]
pub struct ChildTable {
    /// Table name; also the `resource` of its rows in the change feed.
    pub name: &'static str,
    /// Column that holds the key of the parent row.
    pub parent: &'static str,
    /// The rest of the primary key, text or integers.
    pub keys: &'static [&'static str],
    /// The other columns.
    pub columns: &'static [Column],
    /// What should stand, from what stands and what came. A plain replacement returns the second argument.
    pub reconcile: for<'a> fn(&[ChildRow<'static>], Vec<ChildRow<'a>>) -> Vec<ChildRow<'a>>,
    /// A table with the same columns and no key, where the rows of parents never met before wait for the end of the first round: put in
    /// order there, they are written once, while each one put into its place as it comes would touch another page of the tree.
    pub staged: Option<&'static str>,
}

/// Links from an object of this table to other objects, stored as pairs of numbers.
#[derive(Clone, Debug)]
pub struct LinkTable {
    /// Name of the internal table.
    pub name: &'static str,
    /// Name of the view that shows the links, for messages and counts.
    pub view: &'static str,
    /// Column with the number of the object the link belongs to, such as `group_oid`.
    pub owner_oid: &'static str,
    /// Column with the number of the other end, such as `member_oid`.
    pub member_oid: &'static str,
    /// How the other end is called in the change feed, such as `member_id`.
    pub member_id: &'static str,
}

/// One mirrored resource's table.
#[derive(Debug)]
pub struct Table {
    /// Table name, which is the resource's name.
    pub name: &'static str,
    /// Primary key column.
    pub key: &'static str,
    /// Mirrored columns but the key.
    pub columns: &'static [Column],
    /// Graph type, for directory objects: these can be ends of links and are registered in `objects`.
    pub object_type: Option<&'static str>,
    /// Whether the table has the column `extra`.
    pub extra: bool,
    /// Set when the resource only brings child rows of another resource's rows: that resource's table.
    pub rows_of: Option<&'static str>,
    pub links: &'static [LinkTable],
    pub children: &'static [&'static ChildTable],
    /// Indexes built when the first round is complete (`CREATE INDEX IF NOT EXISTS`).
    pub indexes: Option<&'static str>,
    /// Whether an empty full round is never believed while rows stand, however few they are.
    pub never_empty: bool,
    /// Of a log: the column with the time of an event.
    pub log_time: Option<&'static str>,
    /// Key of the checkpoint of a full round beside the live delta token.
    pub reconcile_key: &'static str,
}

impl Table {
    /// Position of a column by name.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }

    /// Of a log: position of the column with the time of an event.
    pub fn time_column(&self) -> Option<usize> {
        self.log_time.and_then(|time| self.column(time))
    }
}
