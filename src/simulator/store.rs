//! A tenant's objects and what changed when. Knows nothing of HTTP, tokens or pages.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::schema::Kind;

/// Position of an object in the store.
pub(super) type Index = u32;

/// Relationships that are tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Members,
    Owners,
    Manager,
}

impl Relation {
    pub fn name(self) -> &'static str {
        match self {
            Relation::Members => "members",
            Relation::Owners => "owners",
            Relation::Manager => "manager",
        }
    }
}

/// One link and when it last changed.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub relation: Relation,
    pub target: Index,
    pub seq: u64,
    pub removed: bool,
}

/// One property and when it last changed; null = cleared.
#[derive(Clone, Debug)]
pub(super) struct Property {
    pub number: u16,
    pub seq: u64,
    pub value: Value,
}

/// Whether an object is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Live,
    SoftDeleted(Timestamp),
    Purged,
}

/// One object.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub id: String,
    pub kind: Kind,
    pub life: Life,
    /// When anything of it last changed.
    pub seq: u64,
    /// When it was created, or came back from deletion: everything of it is news then.
    pub born: u64,
    pub properties: Vec<Property>,
    /// Properties beyond the schema, such as directory extensions.
    pub extensions: Vec<(String, u64, Value)>,
    pub links: Vec<Link>,
}

impl Object {
    pub fn get(&self, name: &str) -> Option<&Value> {
        let number = self.kind.property(name)?;
        self.properties.iter().find(|p| p.number == number).map(|p| &p.value)
    }

    pub fn text(&self, name: &str) -> &str {
        self.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub fn live_links(&self, relation: Relation) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(move |link| link.relation == relation && !link.removed)
    }

    pub fn is_live(&self) -> bool {
        self.life == Life::Live
    }
}

/// All objects of a tenant.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub objects: Vec<Object>,
    by_id: HashMap<String, Index>,
    collections: HashMap<Kind, Vec<Index>>,
    /// By kind: the objects in the order of their last change.
    changed: HashMap<Kind, BTreeMap<u64, Index>>,
    pub seq: u64,
    /// Changes that delta never tells (a fault).
    lost: Vec<String>,
    /// Whether purges announce the links they remove.
    pub announce_purged_links: bool,
}

impl Store {
    pub fn index(&self, id: &str) -> Option<Index> {
        self.by_id.get(id).copied()
    }

    pub fn object(&self, index: Index) -> &Object {
        &self.objects[index as usize]
    }

    pub fn find(&self, id: &str) -> Option<&Object> {
        self.index(id).map(|index| self.object(index))
    }

    /// Objects of a kind in the order of their creation, gone ones included.
    pub fn all(&self, kind: Kind) -> &[Index] {
        self.collections.get(&kind).map_or(&[], Vec::as_slice)
    }

    pub fn live(&self, kind: Kind) -> impl Iterator<Item = &Object> {
        self.all(kind).iter().map(|index| self.object(*index)).filter(|object| object.is_live())
    }

    /// Objects of a kind that changed after `since`, oldest change first.
    pub fn changed_after(&self, kind: Kind, since: u64) -> impl Iterator<Item = (u64, Index)> {
        let log = self.changed.get(&kind);
        log.into_iter().flat_map(move |log| log.range(since + 1..)).map(|(seq, index)| (*seq, *index))
    }

    /// Adds an object; `links` may only name objects that exist.
    pub fn create(&mut self, kind: Kind, id: &str, properties: Map<String, Value>) -> Index {
        self.seq += 1;
        let seq = self.seq;
        let index = self.objects.len() as Index;
        let mut object = Object {
            id: id.to_owned(),
            kind,
            life: Life::Live,
            seq,
            born: seq,
            properties: Vec::with_capacity(properties.len()),
            extensions: Vec::new(),
            links: Vec::new(),
        };
        for (name, value) in properties {
            match kind.property(&name) {
                Some(number) => object.properties.push(Property { number, seq, value }),
                None => object.extensions.push((name, seq, value)),
            }
        }
        self.objects.push(object);
        self.by_id.insert(id.to_owned(), index);
        self.collections.entry(kind).or_default().push(index);
        self.changed.entry(kind).or_default().insert(seq, index);
        index
    }

    /// Adds an object whose id another kind of object has as well, so that it is found only in its collection.
    pub fn create_alias(&mut self, kind: Kind, id: &str, properties: Map<String, Value>) -> Index {
        let known = self.by_id.get(id).copied();
        let index = self.create(kind, id, properties);
        if let Some(known) = known {
            self.by_id.insert(id.to_owned(), known);
        }
        index
    }

    /// The object of a kind with this id.
    pub fn find_of(&self, kind: Kind, id: &str) -> Option<Index> {
        self.all(kind).iter().copied().find(|index| self.object(*index).id == id)
    }

    /// Ends an object that is no directory object, such as a role assignment.
    pub fn end(&mut self, kind: Kind, id: &str) {
        if let Some(index) = self.find_of(kind, id) {
            self.touch(index);
            self.objects[index as usize].life = Life::Purged;
        }
    }

    /// The next delta of this object is never told.
    pub fn lose_next_change(&mut self, id: &str) {
        self.lost.push(id.to_owned());
    }

    fn touch(&mut self, index: Index) -> u64 {
        let object = &mut self.objects[index as usize];
        if let Some(position) = self.lost.iter().position(|id| *id == object.id) {
            self.lost.swap_remove(position);
            return object.seq;
        }
        self.seq += 1;
        let log = self.changed.entry(object.kind).or_default();
        log.remove(&object.seq);
        object.seq = self.seq;
        log.insert(self.seq, index);
        self.seq
    }

    /// Sets properties; null clears one. Properties that delta does not track change silently.
    pub fn update(&mut self, id: &str, patch: &Map<String, Value>) -> bool {
        let Some(index) = self.index(id) else { return false };
        let kind = self.object(index).kind;
        let silent = |name: &str| kind.out_of_store(name) || matches!(name, "signInActivity" | "licenseAssignmentStates");
        let seq = match patch.keys().all(|name| silent(name)) {
            true => self.object(index).seq,
            false => self.touch(index),
        };
        let object = &mut self.objects[index as usize];
        for (name, value) in patch {
            let Some(number) = kind.property(name) else {
                match object.extensions.iter_mut().find(|(known, _, _)| known == name) {
                    Some(entry) => (entry.1, entry.2) = (seq, value.clone()),
                    None => object.extensions.push((name.clone(), seq, value.clone())),
                }
                continue;
            };
            match object.properties.iter_mut().find(|p| p.number == number) {
                Some(property) => (property.seq, property.value) = (seq, value.clone()),
                None => object.properties.push(Property { number, seq, value: value.clone() }),
            }
        }
        true
    }

    /// Adds a link; `false` when it stands.
    pub fn link(&mut self, from: &str, relation: Relation, to: &str) -> bool {
        let (Some(from), Some(target)) = (self.index(from), self.index(to)) else { return false };
        let stands = |link: &&mut Link| link.relation == relation && link.target == target;
        let standing = self.objects[from as usize].links.iter_mut().find(stands).map(|link| link.removed);
        if standing == Some(false) {
            return false;
        }
        let seq = self.touch(from);
        let links = &mut self.objects[from as usize].links;
        match links.iter_mut().find(stands) {
            Some(link) => (link.removed, link.seq) = (false, seq),
            None => links.push(Link { relation, target, seq, removed: false }),
        }
        true
    }

    /// Adds a link of a tenant that is being made, without looking whether it stands.
    pub fn link_new(&mut self, from: Index, relation: Relation, target: Index) {
        let object = &mut self.objects[from as usize];
        let seq = object.seq;
        object.links.push(Link { relation, target, seq, removed: false });
    }

    /// Removes a link; `false` when there is none.
    pub fn unlink(&mut self, from: &str, relation: Relation, to: &str) -> bool {
        let (Some(from), Some(target)) = (self.index(from), self.index(to)) else { return false };
        let stands = |link: &&mut Link| link.relation == relation && link.target == target && !link.removed;
        if self.objects[from as usize].links.iter_mut().find(stands).is_none() {
            return false;
        }
        let seq = self.touch(from);
        if let Some(link) = self.objects[from as usize].links.iter_mut().find(stands) {
            (link.removed, link.seq) = (true, seq);
        }
        true
    }

    /// Makes `manager` the manager, or removes the one there is.
    pub fn set_manager(&mut self, user: &str, manager: Option<&str>) {
        let Some(index) = self.index(user) else { return };
        let old: Vec<String> = self.object(index).live_links(Relation::Manager).map(|link| self.object(link.target).id.clone()).collect();
        for old in old.iter().filter(|old| Some(old.as_str()) != manager) {
            self.unlink(user, Relation::Manager, old);
        }
        if let Some(manager) = manager {
            self.link(user, Relation::Manager, manager);
        }
    }

    /// Soft-deletes where the kind can be restored, else removes for good.
    pub fn delete(&mut self, id: &str, now: Timestamp) -> bool {
        let Some(index) = self.index(id).filter(|index| self.object(*index).is_live()) else { return false };
        let kind = self.object(index).kind;
        let restorable = matches!(kind, Kind::User | Kind::Group | Kind::Application | Kind::ServicePrincipal | Kind::AdministrativeUnit);
        self.touch(index);
        self.objects[index as usize].life = if restorable { Life::SoftDeleted(now) } else { Life::Purged };
        if !restorable {
            self.drop_links_to(index);
        }
        true
    }

    /// Brings a soft-deleted object back, with its memberships.
    pub fn restore(&mut self, id: &str) -> bool {
        let restorable = |index: &Index| matches!(self.object(*index).life, Life::SoftDeleted(_));
        let Some(index) = self.index(id).filter(restorable) else { return false };
        let seq = self.touch(index);
        let object = &mut self.objects[index as usize];
        object.life = Life::Live;
        object.born = seq;
        true
    }

    /// Removes a soft-deleted object for good.
    pub fn purge(&mut self, id: &str) -> bool {
        let deleted = |index: &Index| matches!(self.object(*index).life, Life::SoftDeleted(_));
        let Some(index) = self.index(id).filter(deleted) else { return false };
        self.touch(index);
        self.objects[index as usize].life = Life::Purged;
        self.drop_links_to(index);
        true
    }

    fn drop_links_to(&mut self, target: Index) {
        let holders: Vec<Index> = (0..self.objects.len() as Index)
            .filter(|index| self.object(*index).links.iter().any(|link| link.target == target && !link.removed))
            .collect();
        for holder in holders {
            // A manager link stays: Graph goes on naming whom it named. Groups are mostly silent about purges.
            let seq = if self.announce_purged_links { self.touch(holder) } else { self.object(holder).seq };
            let announce = self.announce_purged_links;
            let links = &mut self.objects[holder as usize].links;
            if announce {
                for link in links.iter_mut().filter(|link| link.target == target && link.relation != Relation::Manager) {
                    (link.removed, link.seq) = (true, seq);
                }
            } else {
                // Silently, and in its place: pages of a round that is under way count the links before them.
                for link in links.iter_mut().filter(|link| link.target == target && link.relation != Relation::Manager) {
                    link.removed = true;
                }
            }
        }
    }

    /// `{"@odata.type", "id"}` of an object, as links show it.
    pub fn reference(&self, index: Index) -> Value {
        let object = self.object(index);
        json!({"@odata.type": format!("#microsoft.graph.{}", object.kind.info().name), "id": object.id})
    }
}
