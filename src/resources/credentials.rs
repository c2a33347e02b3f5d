//! Secrets and certificates of applications and service principals, as rows: what they are and when they end, never their value.
//! <https://learn.microsoft.com/graph/api/resources/passwordcredential>, <https://learn.microsoft.com/graph/api/resources/keycredential>

use std::borrow::Cow;

use serde::Deserialize;

use crate::mirror::{ChildRow, Column, Kind, Value, canonical_time};

const KEYS: &[&str] = &["credential_type", "key_id"];
const COLUMNS: &[Column] = &[
    Column { name: "display_name", kind: Kind::Text },
    Column { name: "start_date_time", kind: Kind::Time },
    Column { name: "end_date_time", kind: Kind::Time },
    Column { name: "hint", kind: Kind::Text },
    Column { name: "type", kind: Kind::Text },
    Column { name: "usage", kind: Kind::Text },
    Column { name: "custom_key_identifier", kind: Kind::Text },
];
const PASSWORD: &str = "password";
const KEY: &str = "key";

/// Passwords and keys come as two properties and stand in one table: each replaces only its own kind.
macro_rules! credential_tables {
    ($($module:ident: $table:literal, $parent:literal, $kind:expr;)*) => {
        $(pub(super) mod $module {
            use super::*;
            pub(in crate::resources) static TABLE: crate::mirror::ChildTable = crate::mirror::ChildTable {
                name: $table,
                parent: $parent,
                keys: KEYS,
                columns: COLUMNS,
                reconcile: |stand, came| replace_kind(stand, came, $kind),
                staged: None,
            };
        })*
    };
}
credential_tables! {
    application_passwords: "application_credentials", "application_id", PASSWORD;
    application_keys: "application_credentials", "application_id", KEY;
    service_principal_passwords: "service_principal_credentials", "service_principal_id", PASSWORD;
    service_principal_keys: "service_principal_credentials", "service_principal_id", KEY;
}

fn replace_kind<'a>(stand: &[ChildRow<'static>], came: Vec<ChildRow<'a>>, kind: &str) -> Vec<ChildRow<'a>> {
    stand.iter().filter(|row| row[0].as_text() != Some(kind)).cloned().chain(came).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Credential {
    key_id: Option<String>,
    display_name: Option<String>,
    start_date_time: Option<String>,
    end_date_time: Option<String>,
    hint: Option<String>,
    r#type: Option<String>,
    usage: Option<String>,
    custom_key_identifier: Option<String>,
}

pub(super) fn read_passwords(json: &str) -> Result<Vec<ChildRow<'static>>, String> {
    read(json, PASSWORD)
}

pub(super) fn read_keys(json: &str) -> Result<Vec<ChildRow<'static>>, String> {
    read(json, KEY)
}

fn read(json: &str, kind: &'static str) -> Result<Vec<ChildRow<'static>>, String> {
    let credentials: Vec<Credential> = serde_json::from_str(json).map_err(|e| e.to_string())?;
    credentials.into_iter().map(|credential| row(credential, kind)).collect()
}

fn row(credential: Credential, kind: &'static str) -> Result<ChildRow<'static>, String> {
    let text = |value: Option<String>| value.map_or(Value::Null, |text| Value::Text(Cow::Owned(text)));
    let time = |value: Option<String>| match value {
        None => Ok(Value::Null),
        Some(at) => match canonical_time(&at) {
            Some(at) => Ok(Value::Text(Cow::Owned(at.into_owned()))),
            None => Err(format!("expected a date and time, found {at:?}")),
        },
    };
    let key_id = credential.key_id.ok_or("a credential without keyId")?;
    Ok(vec![
        Value::Text(Cow::Borrowed(kind)),
        text(Some(key_id)),
        text(credential.display_name),
        time(credential.start_date_time)?,
        time(credential.end_date_time)?,
        text(credential.hint),
        text(credential.r#type),
        text(credential.usage),
        text(credential.custom_key_identifier),
    ])
}
