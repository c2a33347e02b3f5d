//! What a page brings, decoded: objects with the values that came, links and child rows. Independent of where it came from.

use std::borrow::Cow;

/// A column's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(Cow<'a, str>),
}

impl Value<'_> {
    /// The same value without a borrow.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Value::Null => Value::Null,
            Value::Integer(i) => Value::Integer(i),
            Value::Real(x) => Value::Real(x),
            Value::Text(t) => Value::Text(Cow::Owned(t.into_owned())),
        }
    }

    /// The text, when it is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(t) => Some(t),
            _ => None,
        }
    }
}

/// Values of a child row: first the keys, then the columns, in the order of its [`super::ChildTable`].
pub type ChildRow<'a> = Vec<Value<'a>>;

/// Why Graph says an object is no longer there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Soft-deleted: can be restored.
    Changed,
    /// Gone for good.
    Deleted,
    /// Not said by Graph: a full round did not find it.
    Swept,
}

impl Removal {
    /// The word in `deleted_objects.reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Removal::Changed => "changed",
            Removal::Deleted => "deleted",
            Removal::Swept => "swept",
        }
    }
}

/// News of a single-valued relationship, such as the manager: the links that came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reference<'a> {
    /// The link that stands now, when one came.
    pub set: Option<Cow<'a, str>>,
    /// Links that no longer stand. They clear the column only when it holds one of them.
    pub removed: Vec<Cow<'a, str>>,
}

/// One link that came with an object.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkChange<'a> {
    /// Position in [`super::Table::links`].
    pub table: usize,
    /// Id of the other end.
    pub id: Cow<'a, str>,
    /// Graph type of the other end without prefix; empty when not said.
    pub kind: Cow<'a, str>,
    /// Whether the link was removed.
    pub removed: bool,
}

/// One object of a page.
#[derive(Clone, Debug)]
pub struct Item<'a> {
    /// The key.
    pub id: Cow<'a, str>,
    /// Set when the object was removed; nothing else counts then.
    pub removed: Option<Removal>,
    /// By position in [`super::Table::columns`]; `None` = did not come, so it is unchanged.
    pub values: Vec<Option<Value<'a>>>,
    /// Relationships stored in a column, with that column's position.
    pub references: Vec<(usize, Reference<'a>)>,
    /// Extra properties that came; JSON null clears one.
    pub extra: Vec<(String, serde_json::Value)>,
    pub links: Vec<LinkChange<'a>>,
    /// Child rows that came, with the position in [`super::Table::children`]: the whole set.
    pub children: Vec<(usize, Vec<ChildRow<'a>>)>,
}

impl<'a> Item<'a> {
    /// An object about which nothing came yet.
    pub fn new(id: Cow<'a, str>, columns: usize) -> Item<'a> {
        Item {
            id,
            removed: None,
            values: vec![None; columns],
            references: Vec::new(),
            extra: Vec::new(),
            links: Vec::new(),
            children: Vec::new(),
        }
    }
}
