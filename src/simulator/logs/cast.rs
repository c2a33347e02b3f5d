//! Who takes part in the events: people and applications as they were called when something happened, and where people are. Knows the
//! store's objects; nothing of HTTP or of single events.

use std::collections::HashMap;

use super::super::schema::Kind;
use super::super::store::{Object, Store};
use super::super::words::OFFICES;

/// City, state, country, latitude, longitude, hours from UTC.
pub(super) type Place = (&'static str, &'static str, &'static str, f64, f64, i8);

/// Where sign-ins come from; in the order of [`OFFICES`], so that people sign in from the city they work in.
pub(super) static PLACES: &[Place] = &[
    ("Seattle", "Washington", "US", 47.60621, -122.33207, -8),
    ("New York", "New York", "US", 40.71427, -74.00597, -5),
    ("London", "England", "GB", 51.50853, -0.12574, 0),
    ("Berlin", "Berlin", "DE", 52.52437, 13.41053, 1),
    ("Paris", "Ile-De-France", "FR", 48.85341, 2.3488, 1),
    ("Stockholm", "Stockholms Lan", "SE", 59.33258, 18.0649, 1),
    ("Warsaw", "Mazowieckie", "PL", 52.22977, 21.01178, 1),
    ("Tokyo", "Tokyo", "JP", 35.6895, 139.69171, 9),
    ("Seoul", "Seoul", "KR", 37.566, 126.9784, 9),
    ("Shanghai", "Shanghai", "CN", 31.22222, 121.45806, 8),
    ("Bengaluru", "Karnataka", "IN", 12.97194, 77.59369, 5),
    ("Dubai", "Dubayy", "AE", 25.07725, 55.30927, 4),
    ("Tel Aviv", "Tel Aviv", "IL", 32.08088, 34.78057, 2),
    ("Sao Paulo", "Sao Paulo", "BR", -23.5475, -46.63611, -3),
];

/// A user as it was at the time.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::simulator) struct Person {
    pub id: String,
    /// As sign-ins write it: lower case, guests by their home address.
    pub upn: String,
    pub name: String,
    pub guest: bool,
    /// In [`PLACES`].
    pub place: usize,
    /// From the id: what is always the same of this person, such as the device.
    pub habit: u64,
}

/// An application's service principal as it was at the time.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::simulator) struct Principal {
    pub id: String,
    pub app_id: String,
    pub name: String,
}

/// All who ever took part. Events refer to positions in it.
#[derive(Debug, Default)]
pub(in crate::simulator) struct Cast {
    people: Vec<Person>,
    principals: Vec<Principal>,
    latest: HashMap<String, u32>,
}

/// A number from a text, the same for ever.
pub(in crate::simulator) fn habit(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

impl Cast {
    /// The user as it is now.
    pub fn person(&mut self, object: &Object) -> u32 {
        let guest = object.text("userType") == "Guest";
        let upn = if guest && !object.text("mail").is_empty() { object.text("mail") } else { object.text("userPrincipalName") };
        let habit = habit(&object.id);
        let office = OFFICES.iter().position(|office| office.2 == object.text("city"));
        let person = Person {
            id: object.id.clone(),
            upn: upn.to_lowercase(),
            name: object.text("displayName").to_owned(),
            guest,
            place: office.unwrap_or(habit as usize % PLACES.len()).min(PLACES.len() - 1),
            habit,
        };
        let known = self.latest.get(&object.id).copied();
        if let Some(known) = known.filter(|known| self.people[*known as usize] == person) {
            return known;
        }
        self.people.push(person);
        let position = self.people.len() as u32 - 1;
        self.latest.insert(object.id.clone(), position);
        position
    }

    /// The service principal as it is now.
    pub fn principal(&mut self, object: &Object) -> u32 {
        let principal =
            Principal { id: object.id.clone(), app_id: object.text("appId").to_owned(), name: object.text("displayName").to_owned() };
        let known = self.latest.get(&object.id).copied();
        if let Some(known) = known.filter(|known| self.principals[*known as usize] == principal) {
            return known;
        }
        self.principals.push(principal);
        let position = self.principals.len() as u32 - 1;
        self.latest.insert(object.id.clone(), position);
        position
    }

    pub fn get_person(&self, position: u32) -> Option<&Person> {
        self.people.get(position as usize)
    }

    pub fn get_principal(&self, position: u32) -> Option<&Principal> {
        self.principals.get(position as usize)
    }
}

/// A user by id, deleted ones too, because they have a past.
pub(super) fn user<'s>(store: &'s Store, id: &str) -> Option<&'s Object> {
    store.find(id).filter(|object| object.kind == Kind::User)
}
