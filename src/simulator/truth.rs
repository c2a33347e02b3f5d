//! Everything as it really is, in Graph's shape, so that a mirror can be compared with it object by object.

use serde_json::{Map, Value, json};

use super::schema::{Kind, TYPES};
use super::store::{Life, Object, Relation, Store};

/// By collection: the live objects with every set property; users with `manager`, groups and units with `members` and `owners` (as Graph
/// keeps them: soft-deleted members included). And `deleted`: what is soft-deleted. The logs are added by [`super::logs::add_truth`].
pub(super) fn ground_truth(store: &Store) -> Value {
    let mut truth = Map::new();
    for info in TYPES.iter().filter(|info| info.kind != Kind::OrgContact) {
        let objects: Vec<Value> = store.live(info.kind).map(|object| describe(store, object)).collect();
        truth.insert(info.collection.to_owned(), objects.into());
    }
    let deleted: Vec<Value> = store
        .objects
        .iter()
        .filter(|object| matches!(object.life, Life::SoftDeleted(_)))
        .map(|object| json!({"id": object.id, "type": object.kind.info().name}))
        .collect();
    truth.insert("deleted".into(), deleted.into());
    truth.into()
}

fn describe(store: &Store, object: &Object) -> Value {
    let properties = object.kind.info().properties;
    let set = object.properties.iter().filter(|p| !p.value.is_null());
    let mut out: Map<String, Value> = set.map(|p| (properties[p.number as usize].to_owned(), p.value.clone())).collect();
    for (name, _, value) in object.extensions.iter().filter(|(_, _, value)| !value.is_null()) {
        out.insert(name.clone(), value.clone());
    }
    out.insert("id".into(), object.id.clone().into());
    let links = |relation: Relation| object.live_links(relation).map(|link| store.reference(link.target)).collect::<Vec<_>>();
    match object.kind {
        Kind::User => {
            out.insert("manager".into(), links(Relation::Manager).into_iter().next().map_or(Value::Null, |m| m["id"].clone()));
        }
        Kind::Group => {
            out.insert("members".into(), links(Relation::Members).into());
            out.insert("owners".into(), links(Relation::Owners).into());
        }
        Kind::AdministrativeUnit => {
            out.insert("members".into(), links(Relation::Members).into());
        }
        _ => {}
    }
    out.into()
}
