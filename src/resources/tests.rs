//! The definitions agree with the schema, and decoding keeps what came.

use rusqlite::Connection;

use super::*;
use crate::mirror::{Item, Removal, Value};

fn resource(name: &str) -> &'static Resource {
    find(name).expect("a resource")
}

fn value<'i>(resource: &Resource, item: &'i Item<'_>, column: &str) -> Option<&'i Value<'i>> {
    item.values[resource.table.column(column).expect(column)].as_ref()
}

#[test]
fn every_column_of_every_table_is_mirrored_and_the_other_way_round() {
    let schema = Connection::open_in_memory().expect("memory");
    for step in [include_str!("../../schema/001_directory.sql"), include_str!("../../schema/002_activity.sql")] {
        schema.execute_batch(step).expect("schema");
    }
    let columns = |table: &str| -> Vec<String> {
        schema
            .prepare("SELECT name FROM pragma_table_info(?1)")
            .and_then(|mut s| s.query_map([table], |r| r.get(0))?.collect())
            .expect("columns")
    };
    for resource in all() {
        let table = resource.table;
        if table.rows_of.is_none() {
            let mut ours: Vec<String> = vec![table.key.into()];
            ours.extend(table.columns.iter().map(|c| c.name.to_owned()));
            ours.extend(table.extra.then(|| "extra".to_owned()));
            ours.extend(["first_seen_at".to_owned(), "last_changed_at".to_owned()]);
            let mut theirs = columns(table.name);
            ours.sort();
            theirs.sort();
            assert_eq!(ours, theirs, "{}", table.name);
        }
        for child in table.children {
            let mut ours = vec![child.parent.to_owned(), "first_seen_at".into(), "last_changed_at".into()];
            ours.extend(child.keys.iter().map(|k| (*k).to_owned()).chain(child.columns.iter().map(|c| c.name.to_owned())));
            let mut theirs = columns(child.name);
            ours.sort();
            theirs.sort();
            assert_eq!(ours, theirs, "{}", child.name);
        }
        for link in table.links {
            assert_eq!(columns(link.name), [link.owner_oid, link.member_oid, "round"], "{}", link.name);
        }
        if let Some(indexes) = table.indexes {
            schema.execute_batch(indexes).expect("indexes");
        }
    }
}

#[test]
fn absent_null_and_set_are_three_things() {
    let users = resource("users");
    let json = r#"{"id":"u1","displayName":"Ada \"L\"","mail":null,"businessPhones":[],"accountEnabled":true,
        "createdDateTime":"2026-01-02T03:04:05.6789012Z","identities":[{"issuer":"i","b":1}],"unknown":{"x":[1]},"@odata.type":"x"}"#;
    let item = decode(users, &[], json).expect("a user");
    assert_eq!(item.id, "u1");
    assert_eq!(value(users, &item, "display_name"), Some(&Value::Text("Ada \"L\"".into())));
    assert_eq!(value(users, &item, "mail"), Some(&Value::Null));
    assert_eq!(value(users, &item, "surname"), None);
    assert_eq!(value(users, &item, "business_phones"), Some(&Value::Null));
    assert_eq!(value(users, &item, "account_enabled"), Some(&Value::Integer(1)));
    assert_eq!(value(users, &item, "created_date_time"), Some(&Value::Text("2026-01-02T03:04:05.678Z".into())));
    assert_eq!(value(users, &item, "identities"), Some(&Value::Text(r#"[{"b":1,"issuer":"i"}]"#.into())));
}

#[test]
fn managers_come_in_any_order_and_the_new_one_stands() {
    let users = resource("users");
    for json in [
        r##"{"id":"u","manager@delta":[{"id":"old","@removed":{"reason":"deleted"}},{"@odata.type":"#microsoft.graph.user","id":"new"}]}"##,
        r#"{"id":"u","manager@delta":[{"id":"new"},{"id":"old","@removed":{"reason":"deleted"}}]}"#,
    ] {
        let item = decode(users, &[], json).expect("a user");
        assert_eq!(item.references[0].1.set.as_deref(), Some("new"));
        assert_eq!(item.references[0].1.removed, ["old"]);
    }
}

#[test]
fn removals_links_and_extra_properties() {
    let groups = resource("groups");
    let removed =
        |reason: &str| decode(groups, &[], &format!(r#"{{"@removed":{{"reason":"{reason}"}},"id":"g"}}"#)).expect("a group").removed;
    assert_eq!(removed("changed"), Some(Removal::Changed));
    assert_eq!(removed("deleted"), Some(Removal::Deleted));
    let json = r##"{"id":"g","members@delta":[{"@odata.type":"#microsoft.graph.user","id":"a"},{"id":"b","@removed":{"reason":"deleted"}}],
        "owners@delta":[{"@odata.type":"#microsoft.graph.servicePrincipal","id":"s"}],"extension_1_cost":"42"}"##;
    let item = decode(groups, &["extension_1_cost".into()], json).expect("a group");
    let links: Vec<_> = item.links.iter().map(|l| (l.table, l.id.as_ref(), l.kind.as_ref(), l.removed)).collect();
    assert_eq!(links, [(0, "a", "user", false), (0, "b", "", true), (1, "s", "servicePrincipal", false)]);
    assert_eq!(item.extra, [("extension_1_cost".to_owned(), serde_json::json!("42"))]);
}

#[test]
fn wrong_types_name_the_object_and_the_property() {
    let users = resource("users");
    for (json, says) in [
        (r#"{"id":"u","displayName":{"a":1}}"#, "displayName"),
        (r#"{"id":"u","accountEnabled":"yes"}"#, "accountEnabled: invalid type: string \"yes\", expected true or false"),
        (r#"{"id":"u","createdDateTime":"datetime-value"}"#, "createdDateTime"),
        (r#"{"displayName":"x"}"#, "it has no id"),
        (r#"{"id":7}"#, "id"),
        (r#"[1]"#, "an object"),
    ] {
        let error = decode(users, &[], json).expect_err(json).to_string();
        assert!(error.contains(says) && error.starts_with("users "), "{error}");
    }
}

#[test]
fn listed_objects_are_whole() {
    let roles = resource("role_definitions");
    let json = r#"{"id":"62e90394-69f5-4237-9190-012177145e10","templateId":"62e90394-69f5-4237-9190-012177145e10","isBuiltIn":true}"#;
    let item = decode(roles, &[], json).expect("a role");
    assert_eq!(value(roles, &item, "description"), Some(&Value::Null));
    assert_eq!(value(roles, &item, "is_privileged"), Some(&Value::Integer(1)));
    let custom = decode(roles, &[], r#"{"id":"x","isBuiltIn":false}"#).expect("a role");
    assert_eq!(value(roles, &custom, "is_privileged"), Some(&Value::Null));
    let skus = resource("subscribed_skus");
    let sku =
        decode(skus, &[], r#"{"id":"t_s","skuId":"s","prepaidUnits":{"enabled":25,"lockedOut":0},"servicePlans":[{"servicePlanId":"p"}]}"#)
            .expect("a product");
    assert_eq!(sku.id, "s");
    assert_eq!(value(skus, &sku, "prepaid_units_enabled"), Some(&Value::Integer(25)));
    assert_eq!(value(skus, &sku, "prepaid_units_warning"), Some(&Value::Null));
    assert_eq!(sku.children[0].1.len(), 1);
}

#[test]
fn names_are_snake_case_of_graphs() {
    assert_eq!(snake_case("userPrincipalName"), "user_principal_name");
    assert_eq!(snake_case("onPremisesNetBiosName"), "on_premises_net_bios_name");
    assert_eq!(snake_case("oauth2PermissionScopes"), "oauth2_permission_scopes");
}

proptest::proptest! {
    #[test]
    fn any_text_is_an_object_or_an_error(json in ".{0,120}") {
        for resource in all() {
            let _ = decode(resource, &[], &json);
        }
    }
}

#[test]
fn what_cannot_be_read_is_told_under_its_key() {
    // Whoever is not told counts as gone at the end of a full round.
    for (name, json, id) in [
        ("users", r#"{"id":"a","accountEnabled":"perhaps"}"#, "a"),
        ("users", r#"{"accountEnabled":"perhaps","unknown":1e999,"id":"a"}"#, "a"),
        ("users", r#"{"id":"a","displayName":"\ud800"}"#, "a"),
        ("subscribed_skus", r#"{"id":"tenant_sku","skuId":"sku","consumedUnits":"many"}"#, "sku"),
        ("user_sign_in_activity", r#"{"id":"a","signInActivity":{"lastSignInDateTime":"yesterday"}}"#, "a"),
        ("user_sign_in_activity", r#"{"id":"a","unknown":1e999}"#, "a"),
        ("users", r#"{"accountEnabled":"perhaps"}"#, "without id"),
        ("users", r#"{"id":7}"#, "without id"),
    ] {
        let error = decode(resource(name), &[], json).expect_err(json);
        assert_eq!(error.id, id, "{json}: {error}");
    }
}

#[test]
fn a_collection_that_comes_twice_in_one_object_counts_once() {
    // Rows of both would collide in the table, and the page could never be stored.
    let json = r#"{"skuId":"s","servicePlans":[{"servicePlanId":"p"},{"servicePlanId":"q"}],"servicePlans":[{"servicePlanId":"p"}]}"#;
    let item = decode(resource("subscribed_skus"), &[], json).expect("an object");
    assert_eq!(item.children.iter().map(|(table, rows)| (*table, rows.len())).collect::<Vec<_>>(), [(0, 1)]);
}
