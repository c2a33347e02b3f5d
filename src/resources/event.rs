//! From an event's JSON to the mirror's item: typed columns, rows of its parts, and the whole event in `raw`. Knows no HTTP and no SQL.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::decode::{self, DecodeError};
use super::definition::{Resource, Target};
use crate::mirror::{Item, Kind, Value, canonical_time};

/// An event, and what of it did not fit its column: that column is NULL, the value still stands in `raw`.
#[derive(Debug)]
pub struct Event {
    pub item: Item<'static>,
    pub misfit: Option<DecodeError>,
}

/// Decodes one event.
///
/// # Errors
/// Text that is no JSON object, or an event without its key or its time: it could not be stored in any window.
pub fn decode_event(resource: &Resource, json: &str) -> Result<Event, DecodeError> {
    let refuse = |id: &str, reason: String| DecodeError { resource: resource.name(), id: id.to_owned(), reason };
    let mut object: Json = serde_json::from_str(json).map_err(|e| decode::refuse(resource, json, e.to_string()))?;
    strip_annotations(&mut object);
    let Json::Object(members) = &object else { return Err(refuse("without id", "it is no object".into())) };
    let mut item = Item::new(Cow::Borrowed(""), resource.table.columns.len());
    item.values.iter_mut().for_each(|value| *value = Some(Value::Null));
    let mut misfit: Option<String> = None;
    for (name, value) in members {
        match resource.targets.get(name) {
            Some(Target::Key) => item.id = Cow::Owned(value.as_str().unwrap_or_default().to_owned()),
            Some(Target::Column(column, kind)) => match column_value(value, *kind) {
                Some(value) => item.values[*column] = Some(value),
                None => misfit = misfit.or_else(|| Some(format!("{name}: {value} does not fit the column"))),
            },
            Some(Target::Children(index, read)) if !value.is_null() => match read(&value.to_string()) {
                Ok(rows) => item.children.push((*index, rows)),
                Err(error) => misfit = misfit.or_else(|| Some(format!("{name}: {error}"))),
            },
            _ => {}
        }
    }
    for (path, column, kind) in &resource.nested {
        let value = path.iter().try_fold(&object, |value, part| value.get(part));
        match value.map(|value| column_value(value, *kind)) {
            Some(Some(value)) => item.values[*column] = Some(value),
            Some(None) => misfit = misfit.or_else(|| Some(format!("{} does not fit the column", path.join(".")))),
            None => {}
        }
    }
    if item.id.is_empty() {
        return Err(refuse("without id", format!("it has no {}", resource.table.key)));
    }
    let time = resource.table.time_column();
    if time.is_some_and(|time| item.values[time] == Some(Value::Null)) {
        return Err(refuse(&item.id, format!("it has no {}", resource.table.log_time.unwrap_or_default())));
    }
    if let Some(raw) = resource.raw {
        item.values[raw] = Some(Value::Text(Cow::Owned(object.to_string())));
    }
    if let Some(finish) = resource.definition.finish {
        finish(resource.table, &mut item);
    }
    let misfit = misfit.map(|reason| refuse(&item.id, reason));
    Ok(Event { item, misfit })
}

/// Removes `@odata.type` and its like, at every depth.
fn strip_annotations(value: &mut Json) {
    match value {
        Json::Object(members) => {
            members.retain(|name, _| !name.contains("@odata.") && !name.starts_with("@microsoft."));
            members.values_mut().for_each(strip_annotations);
        }
        Json::Array(list) => list.iter_mut().for_each(strip_annotations),
        _ => {}
    }
}

/// The value for a column; `None` when it does not fit. Graph writes unset text as `""` in logs: that is no value.
fn column_value(value: &Json, kind: Kind) -> Option<Value<'static>> {
    let text = |text: &str| Value::Text(Cow::Owned(text.to_owned()));
    Some(match (kind, value) {
        (_, Json::Null) => Value::Null,
        (Kind::Json, Json::Array(list)) if list.is_empty() => Value::Null,
        (Kind::Json, value) => Value::Text(Cow::Owned(value.to_string())),
        (_, Json::String(empty)) if empty.is_empty() => Value::Null,
        // Unset times of activity come as the year one.
        (Kind::Time, Json::String(at)) if at.starts_with("0001-01-01") => Value::Null,
        (Kind::Time, Json::String(at)) => Value::Text(Cow::Owned(canonical_time(at)?.into_owned())),
        (Kind::Text, Json::String(value)) => text(value),
        // Codes have been seen as numbers.
        (Kind::Text, Json::Number(number)) => text(&number.to_string()),
        (Kind::Integer, Json::Number(number)) => Value::Integer(number.as_i64()?),
        (Kind::Integer, Json::String(number)) => Value::Integer(number.parse().ok()?),
        (Kind::Real, Json::Number(number)) => Value::Real(number.as_f64()?),
        (Kind::Boolean, Json::Bool(flag)) => Value::Integer(i64::from(*flag)),
        _ => return None,
    })
}
