//! Serves prepared pages: what is measured is the client.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::Response;

use super::shape::Shape;

/// Answers by path and query.
type Pages = Arc<HashMap<String, Bytes>>;

/// Prints the origin and serves until killed.
pub fn serve(shape: &Shape) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("its address"));
        let pages = prepare(shape, &origin);
        println!("{origin}");
        let router = Router::new().fallback(answer).with_state(Arc::new(pages));
        axum::serve(listener, router).await.expect("serving");
    });
}

fn prepare(shape: &Shape, origin: &str) -> HashMap<String, Bytes> {
    let mut pages = HashMap::new();
    let token = "{\"token_type\":\"Bearer\",\"expires_in\":3599,\"access_token\":\"bench\"}";
    pages.insert("/bench.example/oauth2/v2.0/token".to_owned(), Bytes::from_static(token.as_bytes()));
    chain(&mut pages, origin, "users", "first", shape.user_pages(), "d1");
    chain(&mut pages, origin, "users", "d1", shape.changed_users(), "d2");
    chain(&mut pages, origin, "users", "d2", Vec::new(), "d2");
    chain(&mut pages, origin, "groups", "first", shape.group_pages(), "d2");
    chain(&mut pages, origin, "groups", "d2", Vec::new(), "d2");
    pages
}

/// A round: from `start` through its pages to the delta link `end`.
fn chain(pages: &mut HashMap<String, Bytes>, origin: &str, collection: &str, start: &str, mut bodies: Vec<String>, end: &str) {
    if bodies.is_empty() {
        bodies.push(String::new());
    }
    let count = bodies.len();
    for (index, items) in bodies.into_iter().enumerate() {
        let (link, token) = match index + 1 == count {
            true => ("deltaLink", format!("$deltatoken={end}")),
            false => ("nextLink", format!("$skiptoken={start}-{}", index + 1)),
        };
        let body = format!("{{\"@odata.{link}\":\"{origin}/v1.0/{collection}/delta?{token}\",\"value\":[{items}]}}");
        let key = match (index, start) {
            (0, "first") => format!("/v1.0/{collection}/delta first"),
            (0, _) => format!("/v1.0/{collection}/delta $deltatoken={start}"),
            _ => format!("/v1.0/{collection}/delta $skiptoken={start}-{index}"),
        };
        pages.insert(key, Bytes::from(body));
    }
}

async fn answer(State(pages): State<Pages>, request: Request) -> Response {
    let path = request.uri().path();
    let key = match request.uri().query() {
        None => path.to_owned(),
        Some(query) if query.contains("token=") => format!("{path} {query}"),
        Some(_) => format!("{path} first"),
    };
    let body = pages.get(&key).unwrap_or_else(|| panic!("no page {key}")).clone();
    let mut response = Response::new(body.into());
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    response
}
