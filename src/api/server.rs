//! Serves the daemon's socket and, where configured, a port. Knows who may ask what, not what the answers are made of.

use std::future::IntoFuture;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::files::Files;
use super::metrics;
use super::socket::{self, Socket};
use super::status::Status;
use crate::daemon::Live;
use crate::sync::Engine;

/// A loop that did not go round for this long hangs: it goes round several times a minute even when there is nothing to do.
const HANGS: Duration = Duration::from_secs(60);

/// Where the answers come from.
#[derive(Clone)]
pub struct Sources {
    pub engine: Engine,
    pub live: Arc<Live>,
}

/// Shared by all requests.
struct Shared {
    sources: Sources,
    files: Files,
}

/// Serves until it is dropped; then the socket is gone.
#[derive(Debug)]
pub struct Server {
    _tasks: JoinSet<std::io::Result<()>>,
    _socket: Option<Socket>,
}

impl Server {
    /// Listens on the socket of the data directory, and on `port`. The caller holds the daemon's lock of that directory.
    ///
    /// # Errors
    /// A sentence that names the place where it cannot listen.
    pub async fn start(sources: Sources, data_dir: &Path, port: Option<SocketAddr>) -> anyhow::Result<Server> {
        let shared = Arc::new(Shared { sources, files: Files::default() });
        let public = || Router::new().route("/metrics", get(serve_metrics)).route("/healthz", get(health));
        let mut tasks = JoinSet::new();
        let socket = match socket::listen(data_dir) {
            Ok((listener, socket)) => {
                let routes = public().route("/status", get(serve_status)).with_state(Arc::clone(&shared));
                tasks.spawn(axum::serve(listener, routes).into_future());
                Some(socket)
            }
            // Mirroring does not depend on it.
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                let path = socket::path(data_dir);
                tracing::warn!(path = %path.display(), %error, "no socket: `entra-mirror status` cannot ask this daemon");
                None
            }
            Err(error) => return Err(error).with_context(|| format!("cannot listen on {}", socket::path(data_dir).display())),
        };
        if let Some(port) = port {
            let listener = TcpListener::bind(port).await.with_context(|| format!("metrics.listen: cannot listen on {port}"))?;
            tracing::info!(%port, "serving /metrics and /healthz");
            tasks.spawn(axum::serve(listener, public().with_state(shared)).into_future());
        }
        Ok(Server { _tasks: tasks, _socket: socket })
    }
}

async fn serve_status(State(shared): State<Arc<Shared>>) -> Json<Status> {
    Json(Status::now(&shared.sources))
}

async fn health(State(shared): State<Arc<Shared>>) -> (StatusCode, &'static str) {
    match shared.sources.live.since_turn() < HANGS {
        true => (StatusCode::OK, "ok\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "the daemon's loop hangs\n"),
    }
}

async fn serve_metrics(State(shared): State<Arc<Shared>>) -> Response {
    // Reads files, where blocking is allowed.
    let text = tokio::task::spawn_blocking(move || {
        let Sources { engine, live } = &shared.sources;
        let tenants = live.tenants();
        let files: Vec<(String, PathBuf)> = tenants.iter().map(|t| (t.name.clone(), engine.file(&t.name))).collect();
        let facts = shared.files.facts(&files);
        metrics::text(&shared.sources, tenants.into_iter().zip(facts).collect())
    });
    match text.await {
        Ok(Ok(text)) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
