//! Reading, writing and comparing the rows of one mirrored table. Statements are made from the static description only.

use std::borrow::Cow;

use rusqlite::types::{ToSqlOutput, Value as Sql, ValueRef};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, ToSql, params_from_iter};
use serde_json::Map;

use super::item::Value;
use super::table::{Kind, Table};

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Integer(i) => ToSqlOutput::Owned(Sql::Integer(*i)),
            Value::Real(x) => ToSqlOutput::Owned(Sql::Real(*x)),
            Value::Text(t) => ToSqlOutput::Borrowed(ValueRef::Text(t.as_bytes())),
        })
    }
}

/// A value as it stands in the file.
pub(super) fn read(row: &Row<'_>, index: usize) -> rusqlite::Result<Value<'static>> {
    Ok(match row.get_ref(index)? {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(i) => Value::Integer(i),
        ValueRef::Real(x) => Value::Real(x),
        other => Value::Text(Cow::Owned(other.as_str()?.to_owned())),
    })
}

/// A row as it stands, or as it will: values by column, the extra properties, and when it was first seen.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub values: Vec<Value<'static>>,
    pub extra: Map<String, serde_json::Value>,
    pub first_seen_at: String,
}

/// Prepared statements over one table, for one transaction.
pub(super) struct Rows<'t> {
    table: &'static Table,
    select: CachedStatement<'t>,
    insert: CachedStatement<'t>,
    update: CachedStatement<'t>,
    delete: CachedStatement<'t>,
}

impl<'t> Rows<'t> {
    pub fn new(connection: &'t Connection, table: &'static Table) -> rusqlite::Result<Self> {
        let names: Vec<&str> = table.columns.iter().map(|c| c.name).chain(table.extra.then_some("extra")).collect();
        let (name, key) = (table.name, table.key);
        let listed: String = names.iter().map(|n| format!("{n}, ")).collect();
        let places: String = (0..names.len()).map(|i| format!("?{}, ", i + 4)).collect();
        let sets: String = names.iter().enumerate().map(|(i, n)| format!("{n} = ?{}, ", i + 3)).collect();
        Ok(Rows {
            table,
            select: connection.prepare_cached(&format!("SELECT {listed}first_seen_at FROM {name} WHERE {key} = ?1"))?,
            insert: connection.prepare_cached(&format!(
                "INSERT INTO {name} ({key}, {listed}first_seen_at, last_changed_at) VALUES (?1, {places}?2, ?3)"
            ))?,
            update: connection.prepare_cached(&format!("UPDATE {name} SET {sets}last_changed_at = ?2 WHERE {key} = ?1"))?,
            delete: connection.prepare_cached(&format!("DELETE FROM {name} WHERE {key} = ?1"))?,
        })
    }

    pub fn find(&mut self, id: &str) -> rusqlite::Result<Option<Stored>> {
        let table = self.table;
        self.select
            .query_row([id], |row| {
                let columns = table.columns.len();
                let values = (0..columns).map(|index| read(row, index)).collect::<Result<_, _>>()?;
                let extra = match table.extra {
                    true => row.get::<_, Option<String>>(columns)?,
                    false => None,
                };
                Ok(Stored {
                    values,
                    extra: extra.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default(),
                    first_seen_at: row.get(columns + usize::from(table.extra))?,
                })
            })
            .optional()
    }

    /// Inserts a row; what did not come is NULL.
    pub fn insert<'v>(
        &mut self,
        id: &str,
        values: impl Iterator<Item = &'v Value<'v>>,
        extra: &Map<String, serde_json::Value>,
        first_seen_at: &str,
        now: &str,
    ) -> rusqlite::Result<()> {
        bind_all(&mut self.insert, [Some(id), Some(first_seen_at), Some(now)], values, self.table.extra.then_some(extra))?;
        self.insert.raw_execute().map(|_| ())
    }

    pub fn update(&mut self, id: &str, row: &Stored, now: &str) -> rusqlite::Result<()> {
        let extra = self.table.extra.then_some(&row.extra);
        bind_all(&mut self.update, [Some(id), Some(now), None], row.values.iter(), extra)?;
        self.update.raw_execute().map(|_| ())
    }

    pub fn delete(&mut self, id: &str) -> rusqlite::Result<()> {
        self.delete.execute(params_from_iter([id])).map(|_| ())
    }
}

fn bind_all<'v>(
    statement: &mut CachedStatement<'_>,
    head: [Option<&str>; 3],
    values: impl Iterator<Item = &'v Value<'v>>,
    extra: Option<&Map<String, serde_json::Value>>,
) -> rusqlite::Result<()> {
    let mut index = 0;
    for text in head.into_iter().flatten() {
        index += 1;
        statement.raw_bind_parameter(index, text)?;
    }
    for value in values {
        index += 1;
        statement.raw_bind_parameter(index, value)?;
    }
    if let Some(extra) = extra {
        statement.raw_bind_parameter(index + 1, extra_text(extra))?;
    }
    Ok(())
}

/// The text of the column `extra`: NULL when nothing is set.
pub(super) fn extra_text(extra: &Map<String, serde_json::Value>) -> Option<String> {
    (!extra.is_empty()).then(|| serde_json::Value::Object(extra.clone()).to_string())
}

/// Appends a value as JSON; JSON columns become part of the document, so `json_extract` gives back what the column holds.
pub(super) fn write_json(out: &mut String, kind: Kind, value: &Value<'_>) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Integer(i) => out.push_str(&i.to_string()),
        Value::Real(x) => out.push_str(&serde_json::Value::from(*x).to_string()),
        Value::Text(t) if kind == Kind::Json => out.push_str(t),
        Value::Text(t) => out.push_str(&serde_json::Value::String(t.clone().into_owned()).to_string()),
    }
}

/// Appends `"name":` with a comma before it where one is needed.
pub(super) fn write_name(out: &mut String, name: &str) {
    if !out.ends_with('{') {
        out.push(',');
    }
    out.push('"');
    out.push_str(name);
    out.push_str("\":");
}

/// A value read back from JSON that [`write_json`] wrote.
pub(super) fn from_json(kind: Kind, value: Option<&serde_json::Value>) -> Value<'static> {
    match value {
        None | Some(serde_json::Value::Null) => Value::Null,
        Some(value) if kind == Kind::Json => Value::Text(Cow::Owned(value.to_string())),
        Some(serde_json::Value::String(text)) => Value::Text(Cow::Owned(text.clone())),
        Some(value) if kind == Kind::Real => value.as_f64().map_or(Value::Null, Value::Real),
        Some(value) => value.as_i64().map_or(Value::Null, Value::Integer),
    }
}
