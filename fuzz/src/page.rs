//! Pages of Graph: read or refused as a whole, each object decoded or skipped with a reason, and stored so that the same page again is no news.

use std::collections::BTreeMap;

use entra_mirror::graph::{Origin, Page, fuzzing};
use entra_mirror::mirror::{Kind, Value, canonical_time};
use entra_mirror::resources::{self, Resource, decode, decode_event};
use serde_json::value::RawValue;

use super::{link, store};

/// The first byte chooses the resource whose table the page is stored in; every resource decodes it.
pub fn run(data: &[u8]) {
    let Some((choice, body)) = data.split_first() else { return };
    let Ok(origin) = Origin::parse("https://graph.microsoft.com") else { return };
    let page = match fuzzing::page(body, &origin) {
        Ok(page) => page,
        Err(error) => {
            let shown = format!("{error} {error:?}");
            if let Ok(text) = std::str::from_utf8(body) {
                text.split('"').filter(|text| text.starts_with("https://")).for_each(|text| link::hides(text, &shown));
            }
            return;
        }
    };
    links_are_ours(&page, &origin);
    let items: Vec<&str> = page.items().collect();
    assert_eq!(items.len(), page.len());
    for resource in resources::all() {
        items.iter().for_each(|json| decodes(resource, json));
    }
    let all = resources::all();
    store::twice(all[usize::from(*choice) % all.len()], &items);
}

fn links_are_ours(page: &Page, origin: &Origin) {
    assert!(page.next().is_none() || page.delta().is_none());
    for found in [page.next(), page.delta()].into_iter().flatten() {
        link::check(origin, found.expose());
        let value = page.items().any(|json| json.contains(found.expose()));
        if !value {
            link::hides(found.expose(), &format!("{page:?}"));
        }
    }
}

/// The name under which the key comes.
fn key(resource: &Resource) -> &'static str {
    if resource.table.key == "sku_id" { "skuId" } else { "id" }
}

/// The key as somebody sees it who looks at nothing else.
fn key_of(resource: &Resource, json: &str) -> Option<String> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(json).ok()?;
    serde_json::from_str(members.get(key(resource))?.get()).ok()
}

fn decodes(resource: &'static Resource, json: &str) {
    let item = match decode(resource, &store::extra(), json) {
        Ok(item) => item,
        Err(error) => {
            assert!(error.resource == resource.name() && error.reason.len() > 5, "{error:?} says nothing");
            // An object that came and cannot be read must not be taken for one that did not come.
            if let Some(id) = key_of(resource, json).filter(|id| !id.is_empty()) {
                assert_eq!(error.id, id, "{error} is not told under its key: {json}");
            }
            return;
        }
    };
    assert!(!item.id.is_empty());
    assert_eq!(item.values.len(), resource.table.columns.len());
    for (column, value) in resource.table.columns.iter().zip(&item.values) {
        let Some(value) = value else { continue };
        let fits = match (column.kind, value) {
            (_, Value::Null) => true,
            (Kind::Time, Value::Text(time)) => is_canonical(time) && canonical_time(time).as_deref() == Some(time),
            (Kind::Json, Value::Text(json)) => serde_json::from_str::<&RawValue>(json).is_ok(),
            (Kind::Text, Value::Text(_)) | (Kind::Integer, Value::Integer(_)) | (Kind::Boolean, Value::Integer(0 | 1)) => true,
            (Kind::Real, Value::Real(number)) => number.is_finite(),
            _ => false,
        };
        assert!(fits, "{}.{} is {value:?}", resource.name(), column.name);
    }
    // What is stored of an object again as an object is the same.
    if let Ok(event) = decode_event(resource, json) {
        assert_eq!(event.item.values.len(), resource.table.columns.len());
    }
}

/// `2026-01-31T08:00:00.000Z`: sorts as text.
fn is_canonical(time: &str) -> bool {
    let form = b"0000-00-00T00:00:00.000Z";
    time.len() == form.len()
        && time.bytes().zip(form).all(|(found, form)| if *form == b'0' { found.is_ascii_digit() } else { found == *form })
}
