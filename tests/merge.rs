//! The merge, driven through its public face: any order and any repetition of the pages of a round ends in the same file.

use std::path::Path;

use entra_mirror::mirror::{Access, Checkpoint, Ending, Mirror, Page, Phase};
use entra_mirror::resources::{self, decode};
use proptest::prelude::*;
use rusqlite::Connection;
use serde_json::{Value, json};

const NOW: &str = "2026-11-24T08:00:00.000Z";

/// Applies pages of JSON objects as one round of a resource; the last page ends it.
fn round(mirror: &Mirror, resource: &str, pages: &[Vec<Value>], full: bool) {
    let resource = resources::find(resource).expect("a resource");
    let before = mirror.checkpoint(resource.name()).expect("a checkpoint");
    let number = if full { before.round + 1 } else { before.round };
    let running = Checkpoint { round: number, phase: if full { Phase::Full } else { Phase::Incremental }, ..before.clone() };
    let done = Checkpoint { phase: Phase::Idle, baseline_at: before.baseline_at.or_else(|| Some(NOW.into())), ..running.clone() };
    if full {
        mirror.begin_round(resource.name(), &running).expect("a round");
    }
    let empty = vec![Vec::new()];
    let pages = if pages.is_empty() { &empty } else { pages };
    for (index, page) in pages.iter().enumerate() {
        let texts: Vec<String> = page.iter().map(Value::to_string).collect();
        let items = texts.iter().map(|text| decode(resource, &["extension_1".to_owned()], text).expect("an item")).collect();
        let ending = (index + 1 == pages.len()).then_some(Ending { done: &done, held: &done, rules: None });
        let page = Page {
            resource: resource.name(),
            table: resource.table,
            round: number,
            full,
            beside_since: None,
            items,
            unread: &[],
            next: &running,
            ending,
            now: NOW,
        };
        mirror.apply(page).expect("applied");
    }
}

/// Everything an application sees, and what is internal but decides what it will see.
fn picture(file: &Path) -> Vec<String> {
    let connection = Connection::open(file).expect("open");
    let mut out = Vec::new();
    for sql in [
        "SELECT 'user', * FROM users",
        "SELECT 'licence', * FROM assigned_licenses",
        "SELECT 'group', * FROM groups",
        "SELECT 'member', * FROM group_members",
        "SELECT 'owner', * FROM group_owners",
        "SELECT 'deleted', resource, id, reason FROM deleted_objects",
        "SELECT 'hidden', id, type, hidden FROM objects",
        "SELECT 'link', a.id, b.id FROM group_member_links AS l JOIN objects AS a ON a.oid = l.group_oid JOIN objects AS b ON b.oid = l.member_oid \
         WHERE NOT EXISTS (SELECT 1 FROM deleted_objects AS d WHERE d.id IN (a.id, b.id) AND d.reason = 'deleted')",
    ] {
        let mut statement = connection.prepare(sql).expect(sql);
        let width = statement.column_count();
        let mut rows = statement.query([]).expect(sql);
        while let Some(row) = rows.next().expect(sql) {
            let cells: Vec<String> = (0..width).map(|i| format!("{:?}", row.get_ref(i).expect("value"))).collect();
            out.push(cells.join("|"));
        }
    }
    out.sort();
    out
}

fn open(folder: &Path, name: &str) -> (Mirror, std::path::PathBuf) {
    let file = folder.join(name);
    (Mirror::open(&file, &Access::default(), resources::tables()).expect("a mirror"), file)
}

fn id(kind: char, n: u8) -> String {
    format!("{kind}0000000-0000-0000-0000-0000000000{n:02}")
}

/// What one round tells of one user: pieces, each with some of the properties, never two values for one property.
fn user_pieces() -> impl Strategy<Value = Vec<Value>> {
    let text = || prop_oneof![Just(Value::Null), "[a-c]{1,3}".prop_map(Value::from)];
    (0u8..12, text(), text(), proptest::option::of(0u8..12), any::<bool>(), 0u8..8, text()).prop_map(
        |(n, title, department, manager, licensed, fate, extension)| {
            let user = id('a', n);
            match fate {
                0 => return vec![json!({"id": user, "@removed": {"reason": "changed"}})],
                1 => return vec![json!({"id": user, "@removed": {"reason": "deleted"}})],
                _ => {}
            }
            let mut pieces = vec![
                json!({"id": user, "displayName": format!("User {n}"), "jobTitle": title}),
                json!({"id": user, "department": department, "extension_1": extension}),
            ];
            if let Some(manager) = manager {
                pieces.push(json!({"id": user, "manager@delta": [{"@odata.type": "#microsoft.graph.user", "id": id('a', manager)}]}));
            }
            if licensed {
                pieces.push(json!({"id": user, "assignedLicenses": [{"skuId": id('f', 1), "disabledPlans": [id('e', 1)]}]}));
            }
            pieces
        },
    )
}

/// What one round tells of one group: its properties, and its members in slices.
fn group_pieces() -> impl Strategy<Value = Vec<Value>> {
    (0u8..6, proptest::collection::btree_map(0u8..14, any::<bool>(), 0..8), 0u8..8).prop_map(|(n, members, fate)| {
        let group = id('b', n);
        if fate == 0 {
            return vec![json!({"id": group, "@removed": {"reason": "deleted"}})];
        }
        let links: Vec<Value> = members
            .iter()
            .map(|(member, removed)| {
                let mut link = json!({"@odata.type": "#microsoft.graph.user", "id": id('a', *member)});
                if *removed {
                    link["@removed"] = json!({"reason": "deleted"});
                }
                link
            })
            .collect();
        let mut pieces = vec![json!({"id": group, "displayName": format!("Group {n}")})];
        pieces.extend(links.chunks(2).map(|slice| json!({"id": group, "displayName": format!("Group {n}"), "members@delta": slice})));
        pieces
    })
}

/// One entry for each object: a round never says two things about one.
fn distinct(mut all: Vec<Vec<Value>>) -> Vec<Value> {
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|pieces| seen.insert(pieces[0]["id"].as_str().expect("id").to_owned()));
    all.concat()
}

fn pages_of(items: Vec<Value>, size: usize) -> Vec<Vec<Value>> {
    items.chunks(size.max(1)).map(<[Value]>::to_vec).collect()
}

fn shuffled(mut items: Vec<Value>, seed: u64, repeats: usize) -> Vec<Value> {
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..repeats.min(items.len()) {
        items.push(items[random.usize(..items.len())].clone());
    }
    random.shuffle(&mut items);
    items
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_and_repetition_of_a_round_ends_in_the_same_file(
        first_users in proptest::collection::vec(user_pieces(), 0..14),
        first_groups in proptest::collection::vec(group_pieces(), 0..6),
        users in proptest::collection::vec(user_pieces(), 0..14),
        groups in proptest::collection::vec(group_pieces(), 0..6),
        seed in any::<u64>(), size in 1usize..7, repeats in 0usize..8, full in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let (users_1, groups_1, users_2, groups_2) = (distinct(first_users), distinct(first_groups), distinct(users), distinct(groups));
        let (one, one_file) = open(folder.path(), "one.db");
        round(&one, "users", &pages_of(users_1.clone(), 100), true);
        round(&one, "groups", &pages_of(groups_1.clone(), 100), true);
        round(&one, "users", &pages_of(users_2.clone(), 100), full);
        round(&one, "groups", &pages_of(groups_2.clone(), 100), full);

        let (two, two_file) = open(folder.path(), "two.db");
        round(&two, "users", &pages_of(shuffled(users_1, seed, repeats), size), true);
        round(&two, "groups", &pages_of(shuffled(groups_1, seed ^ 1, repeats), size), true);
        let (users_2, groups_2) = (shuffled(users_2, seed ^ 2, repeats), shuffled(groups_2, seed ^ 3, repeats));
        round(&two, "users", &pages_of(users_2.clone(), size), full);
        round(&two, "groups", &pages_of(groups_2.clone(), size), full);
        prop_assert_eq!(picture(&one_file), picture(&two_file));

        // Told again, nothing changes and nothing is told.
        let changes = |file: &Path| Connection::open(file).and_then(|c| c.query_row("SELECT count(*) FROM changes", [], |r| r.get::<_, i64>(0))).expect("changes");
        let (before, told) = (picture(&two_file), changes(&two_file));
        round(&two, "users", &pages_of(users_2, size), false);
        round(&two, "groups", &pages_of(groups_2, size), false);
        prop_assert_eq!(before, picture(&two_file));
        prop_assert_eq!(told, changes(&two_file));
    }
}

#[test]
fn a_link_to_somebody_who_was_never_seen_waits_until_he_arrives() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mirror, file) = open(folder.path(), "t.db");
    let member = |n: u8| json!({"@odata.type": "#microsoft.graph.user", "id": id('a', n)});
    let group = |members: Vec<Value>| vec![vec![json!({"id": id('b', 1), "displayName": "G", "members@delta": members})]];
    let user = |n: u8| vec![vec![json!({"id": id('a', n), "displayName": format!("U{n}")})]];
    let count = |sql: &str| Connection::open(&file).and_then(|c| c.query_row(sql, [], |r| r.get::<_, i64>(0))).expect(sql);
    let members = || count("SELECT count(*) FROM group_members");
    // Groups first: whether the people are there is not known, so they show.
    round(&mirror, "groups", &group(vec![member(1), member(2)]), true);
    assert_eq!(members(), 2);
    // The people are enumerated and one of them is not among them: soft-deleted long ago.
    round(&mirror, "users", &user(1), true);
    assert_eq!(members(), 1);
    assert_eq!(count("SELECT count(*) FROM changes"), 0);
    // A member whom users delta has not delivered yet shows, and is told, when it does.
    round(&mirror, "groups", &group(vec![member(3)]), false);
    assert_eq!((members(), count("SELECT count(*) FROM changes WHERE kind = 'member_added'")), (1, 0));
    round(&mirror, "users", &user(3), false);
    assert_eq!((members(), count("SELECT count(*) FROM changes WHERE kind = 'member_added'")), (2, 1));
    assert_eq!(count("SELECT count(*) FROM changes WHERE resource = 'users' AND kind = 'created'"), 1);
    // The other comes back from deletion: the membership is there at once.
    round(&mirror, "users", &user(2), false);
    assert_eq!(members(), 3);
    // What a full round of groups does not confirm goes, also while its end is not there.
    round(&mirror, "groups", &group(vec![member(4)]), false);
    round(&mirror, "groups", &group(vec![member(1)]), true);
    round(&mirror, "users", &user(4), false);
    assert_eq!(members(), 1);
}

/// Applies one page of a first round of users that goes on.
fn first_page(mirror: &Mirror, item: &Value) {
    let resource = resources::find("users").expect("users");
    let running = Checkpoint { round: 1, phase: Phase::Full, ..Checkpoint::default() };
    let text = item.to_string();
    let page = Page {
        resource: "users",
        table: resource.table,
        round: 1,
        full: true,
        beside_since: None,
        items: vec![decode(resource, &[], &text).expect("an item")],
        unread: &[],
        next: &running,
        ending: None,
        now: NOW,
    };
    mirror.apply(page).expect("applied");
}

#[test]
fn licences_of_a_first_round_wait_in_the_file_and_are_not_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let count = |file: &Path, table: &str| -> i64 {
        Connection::open(file).expect("open").query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).expect("a count")
    };
    let person = |n: u8, sku: u8| json!({"id": id('a', n), "assignedLicenses": [{"skuId": id('f', sku), "disabledPlans": []}]});
    let (mirror, file) = open(folder.path(), "a.db");
    first_page(&mirror, &person(1, 1));
    first_page(&mirror, &person(2, 1));
    assert_eq!((count(&file, "assigned_licenses"), count(&file, "assigned_licenses_staged")), (0, 2), "they wait");
    // Killed and begun again: what came before still waits. The same person with another licence: nothing of the first one stays.
    drop(mirror);
    let (mirror, file) = open(folder.path(), "a.db");
    first_page(&mirror, &person(2, 2));
    let skus: String = Connection::open(&file)
        .expect("open")
        .query_row("SELECT group_concat(user_id || sku_id, ' ') FROM assigned_licenses", [], |row| row.get(0))
        .expect("licences");
    assert_eq!(skus, format!("{}{} {}{}", id('a', 1), id('f', 1), id('a', 2), id('f', 2)));
    first_page(&mirror, &person(3, 1));
    first_page(&mirror, &json!({"id": id('a', 1), "@removed": {"reason": "deleted"}}));
    round(&mirror, "users", &[vec![person(2, 2), person(3, 1), person(4, 1)]], true);
    assert_eq!(
        (count(&file, "assigned_licenses"), count(&file, "assigned_licenses_staged")),
        (3, 0),
        "all in their place, but for the deleted one's"
    );
}

#[test]
fn a_link_that_does_not_say_its_ends_type_takes_nothing_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mirror, file) = open(folder.path(), "t.db");
    let group = json!({"id": id('b', 1), "displayName": "G",
        "members@delta": [{"@odata.type": "#microsoft.graph.orgContact", "id": id('c', 1)}], "owners@delta": [{"id": id('c', 1)}]});
    for _ in 0..3 {
        round(&mirror, "groups", &[vec![group.clone()]], true);
        let kind: String = Connection::open(&file)
            .and_then(|c| c.query_row("SELECT type FROM objects WHERE id = ?1", [id('c', 1)], |r| r.get(0)))
            .expect("the end of a link");
        assert_eq!(kind, "orgContact");
    }
}

#[test]
fn passwords_and_keys_share_a_table_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mirror, file) = open(folder.path(), "t.db");
    let app = |more: Value| {
        let mut app = json!({"id": id('d', 1), "displayName": "A"});
        app.as_object_mut().expect("an object").extend(more.as_object().expect("members").clone());
        vec![vec![app]]
    };
    let credentials = || -> Vec<String> {
        let connection = Connection::open(&file).expect("open");
        let mut statement =
            connection.prepare("SELECT credential_type || ' ' || key_id FROM application_credentials ORDER BY 1").expect("a statement");
        statement.query_map([], |row| row.get(0)).and_then(Iterator::collect).expect("credentials")
    };
    let (passwords, keys) = (json!([{"keyId": "p"}]), json!([{"keyId": "k"}]));
    // A full round that says nothing of keys clears keys, and no passwords.
    round(&mirror, "applications", &app(json!({"passwordCredentials": passwords, "keyCredentials": keys})), true);
    assert_eq!(credentials(), ["key k", "password p"]);
    round(&mirror, "applications", &app(json!({"passwordCredentials": passwords})), true);
    assert_eq!(credentials(), ["password p"]);
    round(&mirror, "applications", &app(json!({"passwordCredentials": passwords})), true);
    assert_eq!(credentials(), ["password p"]);
    round(&mirror, "applications", &app(json!({"keyCredentials": keys})), true);
    assert_eq!(credentials(), ["key k"]);
    // What an incremental round restores it restores with both, but for what it tells.
    round(&mirror, "applications", &app(json!({"passwordCredentials": passwords})), false);
    for (told, left) in [
        (json!({}), vec!["key k", "password p"]),
        (json!({"passwordCredentials": [{"keyId": "q"}]}), vec!["key k", "password q"]),
        (json!({"keyCredentials": []}), vec!["password q"]),
    ] {
        round(&mirror, "applications", &[vec![json!({"id": id('d', 1), "@removed": {"reason": "changed"}})]], false);
        assert_eq!(credentials(), [""; 0]);
        round(&mirror, "applications", &app(told), false);
        assert_eq!(credentials(), left);
    }
}
