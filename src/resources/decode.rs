//! From an object's JSON text to the mirror's item, in one pass and without a tree. Knows no HTTP and no SQL.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::definition::{Resource, Source, Target};
use crate::mirror::{Item, Kind, LinkChange, Reference, Removal, Value, canonical_time};

/// Why an object was refused: it is skipped, the page goes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{resource} {id}: {reason}")]
pub struct DecodeError {
    pub resource: &'static str,
    /// Key of the object, or `without id`.
    pub id: String,
    /// Which property, what was expected, what came.
    pub reason: String,
}

/// Decodes one object of a page. `extra` are the configured extra properties.
///
/// # Errors
/// A missing key, a value of the wrong type, or text that is not a JSON object.
pub fn decode<'a>(resource: &Resource, extra: &[String], json: &'a str) -> Result<Item<'a>, DecodeError> {
    if !resource.nested.is_empty() {
        // Members of complex values are found in a tree.
        let event = super::event::decode_event(resource, json)?;
        return event.misfit.map_or(Ok(event.item), Err);
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let item = ObjectSeed { resource, extra }.deserialize(&mut deserializer).and_then(|item| deserializer.end().map(|()| item));
    match item {
        Ok(mut item) if !item.id.is_empty() => {
            if item.removed.is_none() {
                if matches!(resource.definition.source, Source::List { .. }) {
                    // A listing gives whole objects: what does not come is not set.
                    item.values.iter_mut().filter(|value| value.is_none()).for_each(|value| *value = Some(Value::Null));
                }
                if let Some(finish) = resource.definition.finish {
                    finish(resource.table, &mut item);
                }
            }
            Ok(item)
        }
        Ok(_) => Err(refuse(resource, json, format!("it has no {}", resource.table.key))),
        // Where in the page an object stands says nothing to whoever reads this.
        Err(error) => Err(refuse(resource, json, error.to_string().split(" at line ").next().unwrap_or_default().to_owned())),
    }
}

pub(super) fn refuse(resource: &Resource, json: &str, reason: String) -> DecodeError {
    let mut id = String::new();
    // Whatever else is wrong with the object: when its key came it must be left as it stands, and not be swept.
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let _ = deserializer.deserialize_map(KeyOnly { resource, id: &mut id });
    if id.is_empty() {
        id = "without id".into();
    }
    DecodeError { resource: resource.name(), id, reason }
}

/// Reads the key and passes over the rest. What was found before something that cannot be read stays.
struct KeyOnly<'k> {
    resource: &'k Resource,
    id: &'k mut String,
}

impl<'de> Visitor<'de> for KeyOnly<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Text)? {
            let raw: &RawValue = map.next_value()?;
            if matches!(self.resource.targets.get(name.as_ref()), Some(Target::Key)) {
                *self.id = serde_json::from_str(raw.get()).unwrap_or_default();
            }
        }
        Ok(())
    }
}

/// Text that borrows from the page when it has no escapes.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// A scalar of a column.
struct Scalar(Kind);

impl<'de> DeserializeSeed<'de> for Scalar {
    type Value = Value<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Scalar {
    fn text<E: serde::de::Error>(&self, text: Cow<'de, str>) -> Result<Value<'de>, E> {
        match self.0 {
            Kind::Time => match canonical_time(&text) {
                Some(Cow::Borrowed(_)) => Ok(Value::Text(text)),
                Some(Cow::Owned(time)) => Ok(Value::Text(Cow::Owned(time))),
                None => Err(E::invalid_value(serde::de::Unexpected::Str(&text), self)),
            },
            Kind::Text => Ok(Value::Text(text)),
            _ => Err(E::invalid_type(serde::de::Unexpected::Str(&text), self)),
        }
    }

    fn number<E: serde::de::Error>(&self, number: i64) -> Result<Value<'de>, E> {
        match self.0 {
            Kind::Integer => Ok(Value::Integer(number)),
            #[expect(clippy::cast_precision_loss, reason = "a REAL column holds doubles")]
            Kind::Real => Ok(Value::Real(number as f64)),
            _ => Err(E::invalid_type(serde::de::Unexpected::Signed(number), self)),
        }
    }
}

impl<'de> Visitor<'de> for Scalar {
    type Value = Value<'de>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Text | Kind::Json => "text",
            Kind::Integer => "a whole number",
            Kind::Real => "a number",
            Kind::Boolean => "true or false",
            Kind::Time => "a date and time such as 2026-01-31T08:00:00Z",
        })
    }
    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        self.text(Cow::Borrowed(text))
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        self.text(Cow::Owned(text.to_owned()))
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E: serde::de::Error>(self, flag: bool) -> Result<Self::Value, E> {
        match self.0 {
            Kind::Boolean => Ok(Value::Integer(i64::from(flag))),
            _ => Err(E::invalid_type(serde::de::Unexpected::Bool(flag), &self)),
        }
    }
    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Self::Value, E> {
        self.number(number)
    }
    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Self::Value, E> {
        match self.0 {
            Kind::Real => Ok(Value::Real(number)),
            _ => Err(E::invalid_type(serde::de::Unexpected::Float(number), &self)),
        }
    }
    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
        match i64::try_from(number) {
            Ok(number) => self.number(number),
            Err(_) => Err(E::invalid_value(serde::de::Unexpected::Unsigned(number), &self)),
        }
    }
}

/// JSON text with sorted keys and no white space; NULL for null and for an empty collection.
pub(super) fn canonical_json(raw: &str) -> Result<Value<'_>, String> {
    let plain = !raw.contains(['\\', '{', ' ', '\n', '\t', '\r']);
    match raw {
        "null" | "[]" => Ok(Value::Null),
        _ if plain => Ok(Value::Text(Cow::Borrowed(raw))),
        _ => {
            let value: serde_json::Value = serde_json::from_str(raw).map_err(|e| e.to_string())?;
            let empty = value.as_array().is_some_and(Vec::is_empty);
            Ok(if empty { Value::Null } else { Value::Text(Cow::Owned(value.to_string())) })
        }
    }
}

struct ObjectSeed<'r> {
    resource: &'r Resource,
    extra: &'r [String],
}

impl<'de> DeserializeSeed<'de> for ObjectSeed<'_> {
    type Value = Item<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ObjectSeed<'_> {
    type Value = Item<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut item = Item::new(Cow::Borrowed(""), self.resource.table.columns.len());
        while let Some(name) = map.next_key_seed(Text)? {
            let Some(target) = self.resource.targets.get(name.as_ref()) else {
                if self.extra.iter().any(|extra| *extra == name) {
                    item.extra.push((name.into_owned(), map.next_value()?));
                } else {
                    // Annotations, and properties that this version does not know.
                    map.next_value::<IgnoredAny>()?;
                }
                continue;
            };
            value(&mut item, *target, &mut map).map_err(|error| {
                let message = error.to_string();
                let message = message.split(" at line ").next().unwrap_or_default();
                serde::de::Error::custom(format_args!("{name}: {message}"))
            })?;
        }
        Ok(item)
    }
}

fn value<'de, A: MapAccess<'de>>(item: &mut Item<'de>, target: Target, map: &mut A) -> Result<(), A::Error> {
    use serde::de::Error;
    match target {
        Target::Key => item.id = map.next_value_seed(Text)?,
        Target::Removed => {
            #[derive(serde::Deserialize)]
            struct Removed {
                reason: Option<String>,
            }
            let removed: Option<Removed> = map.next_value()?;
            item.removed = removed.map(|removed| match removed.reason.as_deref() {
                Some("deleted") => Removal::Deleted,
                // Unknown reasons count as restorable: that keeps more.
                _ => Removal::Changed,
            });
        }
        Target::Column(index, Kind::Json) => {
            let raw: &RawValue = map.next_value()?;
            item.values[index] = Some(canonical_json(raw.get()).map_err(A::Error::custom)?);
        }
        Target::Column(index, kind) => item.values[index] = Some(map.next_value_seed(Scalar(kind))?),
        Target::Nested => {
            map.next_value::<IgnoredAny>()?;
        }
        Target::Members(members, first) => {
            let object: Option<serde_json::Map<String, serde_json::Value>> = map.next_value()?;
            for (offset, member) in members.iter().enumerate() {
                item.values[first + offset] = Some(match object.as_ref().and_then(|o| o.get(*member)) {
                    None | Some(serde_json::Value::Null) => Value::Null,
                    Some(number) => {
                        let wrong = || A::Error::custom(format_args!("{member}: expected a whole number, found {number}"));
                        Value::Integer(number.as_i64().ok_or_else(wrong)?)
                    }
                });
            }
        }
        Target::Reference(column) => {
            let mut links = Vec::new();
            map.next_value_seed(LinkList { table: 0, links: &mut links })?;
            let mut reference = Reference::default();
            for link in links {
                match link.removed {
                    true => reference.removed.push(link.id),
                    false => reference.set = Some(link.id),
                }
            }
            item.references.push((column, reference));
        }
        Target::Links(table) => map.next_value_seed(LinkList { table, links: &mut item.links })?,
        Target::Children(index, read) => {
            let raw: &RawValue = map.next_value()?;
            let rows = if raw.get() == "null" { Vec::new() } else { read(raw.get()).map_err(A::Error::custom)? };
            // A name that comes twice in one object: the last counts, as for every property.
            item.children.retain(|(earlier, _)| *earlier != index);
            item.children.push((index, rows));
        }
    }
    Ok(())
}

/// `members@delta` and its like: an array of `{"@odata.type", "id", "@removed"?}`.
struct LinkList<'l, 'de> {
    table: usize,
    links: &'l mut Vec<LinkChange<'de>>,
}

impl<'de> DeserializeSeed<'de> for LinkList<'_, 'de> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for LinkList<'_, 'de> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of links")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(link) = seq.next_element_seed(Link { table: self.table })? {
            self.links.push(link);
        }
        Ok(())
    }
}

struct Link {
    table: usize,
}

impl<'de> DeserializeSeed<'de> for Link {
    type Value = LinkChange<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Link {
    type Value = LinkChange<'de>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a link with an id")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut link = LinkChange { table: self.table, id: Cow::Borrowed(""), kind: Cow::Borrowed(""), removed: false };
        while let Some(name) = map.next_key_seed(Text)? {
            match name.as_ref() {
                "id" => link.id = map.next_value_seed(Text)?,
                "@odata.type" => {
                    link.kind = match map.next_value_seed(Text)? {
                        Cow::Borrowed(name) => Cow::Borrowed(without_prefix(name)),
                        Cow::Owned(name) => Cow::Owned(without_prefix(&name).to_owned()),
                    }
                }
                "@removed" => link.removed = map.next_value::<Option<IgnoredAny>>()?.is_some(),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        match link.id.is_empty() {
            true => Err(serde::de::Error::custom("a link without an id")),
            false => Ok(link),
        }
    }
}

fn without_prefix(name: &str) -> &str {
    let name = name.trim_start_matches('#');
    name.strip_prefix("microsoft.graph.").unwrap_or(name)
}
