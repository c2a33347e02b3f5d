//! Brings a file to this program's schema, step by step, in one transaction. Knows SQL text from `schema/`, nothing of its meaning.

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// The steps in order; a file's `user_version` is the number of the last one applied. Add yours at the end.
const STEPS: &[(i64, &str, &str)] = &[
    (1, "directory", include_str!("../../schema/001_directory.sql")),
    (2, "activity", include_str!("../../schema/002_activity.sql")),
    (3, "staged_licenses", include_str!("../../schema/003_staged_licenses.sql")),
    (4, "running", include_str!("../../schema/004_running.sql")),
];

/// Views carry no data, so they are dropped and made again whenever the version changes.
const VIEWS: &str = include_str!("../../schema/views.sql");

/// `PRAGMA application_id` of our files: the letters EMIR.
pub(super) const APPLICATION_ID: i64 = 0x454d_4952;

/// The schema version this program writes.
pub const SCHEMA_VERSION: i64 = STEPS[STEPS.len() - 1].0;

/// SQL text of the views.
pub fn views() -> &'static str {
    VIEWS
}

/// Applies what is missing. A new file gets everything.
pub(super) fn migrate(connection: &mut Connection, from: i64) -> rusqlite::Result<()> {
    if from == SCHEMA_VERSION {
        return Ok(());
    }
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
    // Another process may have migrated between our look and our lock.
    let from: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if from < SCHEMA_VERSION {
        drop_views(&transaction)?;
        for (number, name, sql) in STEPS.iter().filter(|(number, _, _)| *number > from) {
            tracing::debug!(number, name, "migration");
            transaction.execute_batch(sql)?;
        }
        transaction.execute_batch(VIEWS)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    transaction.commit()
}

fn drop_views(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let names: Vec<String> = transaction
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'view'")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for name in names {
        // A view's name cannot be a bound parameter; quoting makes any name safe.
        transaction.execute_batch(&format!("DROP VIEW \"{}\"", name.replace('"', "\"\"")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_numbered_one_by_one() {
        for (index, (number, _, _)) in STEPS.iter().enumerate() {
            assert_eq!(*number, index as i64 + 1);
        }
    }

    #[test]
    fn migrating_twice_changes_nothing() {
        let mut connection = Connection::open_in_memory().expect("memory");
        migrate(&mut connection, 0).expect("first");
        let schema = |c: &Connection| -> Vec<String> {
            c.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
                .and_then(|mut s| s.query_map([], |r| r.get(0))?.collect())
                .expect("schema")
        };
        let before = schema(&connection);
        assert!(before.len() > 20);
        migrate(&mut connection, 0).expect("second");
        assert_eq!(before, schema(&connection));
    }

    #[test]
    fn every_table_is_strict_and_every_view_answers() {
        let mut connection = Connection::open_in_memory().expect("memory");
        migrate(&mut connection, 0).expect("migrate");
        let rows: Vec<(String, String, i64)> = connection
            .prepare("SELECT name, type, strict FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite%'")
            .and_then(|mut s| s.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?.collect())
            .expect("list");
        for (name, kind, strict) in rows {
            if kind == "table" {
                assert_eq!(strict, 1, "{name} is STRICT");
            } else if kind == "view" {
                let mut statement = connection.prepare(&format!("SELECT * FROM {name}")).expect("prepare");
                assert!(statement.query([]).and_then(|mut r| r.next().map(|_| ())).is_ok(), "{name}");
            }
        }
    }
}
