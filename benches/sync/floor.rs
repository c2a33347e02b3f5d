//! What cannot be beaten: the same bytes downloaded, and the same rows inserted, by bare code.

use std::path::Path;
use std::time::Instant;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

/// Downloads both chains at once, as the program does, and looks only for the next link. Prints seconds.
pub fn download(origin: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let began = Instant::now();
    runtime.block_on(async {
        let http = reqwest::Client::new();
        let chain = |collection: &'static str| {
            let (http, mut link) = (http.clone(), format!("{origin}/v1.0/{collection}/delta?$select=id"));
            tokio::spawn(async move {
                loop {
                    let body = http.get(&link).send().await.expect("an answer").bytes().await.expect("a body");
                    let head = std::str::from_utf8(&body[..body.len().min(300)]).unwrap_or_default();
                    match head.strip_prefix("{\"@odata.nextLink\":\"") {
                        Some(rest) => link = rest.split('"').next().expect("a link").to_owned(),
                        None => break,
                    }
                }
            })
        };
        let (users, groups) = (chain("users"), chain("groups"));
        users.await.expect("users");
        groups.await.expect("groups");
    });
    println!("{}", began.elapsed().as_secs_f64());
}

/// Inserts the rows of `from` into a new file with the same tables and indexes, in one transaction. Reading is not timed. Prints seconds.
pub fn insert(from: &Path, to: &Path) {
    let source = Connection::open(from).expect("the mirror");
    let target = Connection::open(to).expect("a file");
    target.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -32768").expect("pragmas");
    let sql = |kind: &str| -> Vec<String> {
        let text = format!("SELECT sql FROM sqlite_schema WHERE type = '{kind}' AND sql IS NOT NULL AND name NOT LIKE 'sqlite%'");
        source.prepare(&text).and_then(|mut s| s.query_map([], |r| r.get(0))?.collect()).expect("schema")
    };
    sql("table").iter().for_each(|table| target.execute_batch(table).expect("table"));
    let mut seconds = 0.0;
    let transaction = target.unchecked_transaction().expect("transaction");
    for table in ["objects", "users", "assigned_licenses", "groups", "group_member_links"] {
        let mut select = source.prepare(&format!("SELECT * FROM {table}")).expect("select");
        let width = select.column_count();
        let mut rows = select.query([]).expect("rows");
        let places = vec!["?"; width].join(",");
        let mut insert = target.prepare(&format!("INSERT INTO {table} VALUES ({places})")).expect("insert");
        loop {
            // In portions, so that the rows in memory are few.
            let mut portion: Vec<Vec<Value>> = Vec::new();
            while portion.len() < 10_000
                && let Some(row) = rows.next().expect("row")
            {
                portion.push((0..width).map(|i| row.get(i).expect("value")).collect());
            }
            if portion.is_empty() {
                break;
            }
            let began = Instant::now();
            for row in &portion {
                insert.execute(params_from_iter(row)).expect("insert");
            }
            seconds += began.elapsed().as_secs_f64();
        }
    }
    let began = Instant::now();
    sql("index").iter().for_each(|index| target.execute_batch(index).expect("index"));
    transaction.commit().expect("commit");
    seconds += began.elapsed().as_secs_f64();
    println!("{seconds}");
}
