//! The other end of the daemon's socket: a command asks what the daemon does. Waits a second at most; no answer is an answer.

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::socket;

/// A daemon that takes longer does not answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// More than any daemon has to say, bytes.
const LONGEST: u64 = 64 * 1024 * 1024;

/// What the daemon of a data directory says of itself (`GET /status`); `None` = none runs there, or it does not answer within a second.
pub async fn daemon_status(data_dir: &Path) -> Option<serde_json::Value> {
    let path = socket::path(data_dir);
    match tokio::time::timeout(PATIENCE, get(&path, "/status")).await {
        Ok(Ok(body)) => serde_json::from_slice(&body).ok(),
        Ok(Err(error)) => {
            tracing::debug!(path = %path.display(), %error, "no daemon answers");
            None
        }
        Err(_) => {
            tracing::warn!(path = %path.display(), "the daemon does not answer within a second");
            None
        }
    }
}

/// One request over a connection of its own; HTTP/1.0, so that the body comes in one piece and ends with the connection.
async fn get(path: &Path, what: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(path).await?;
    stream.write_all(format!("GET {what} HTTP/1.0\r\nHost: daemon\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer).await?;
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or(std::io::ErrorKind::InvalidData)?;
    let ok = answer.starts_with(b"HTTP/1.0 200") || answer.starts_with(b"HTTP/1.1 200");
    if ok { Ok(answer.split_off(head + 4)) } else { Err(std::io::ErrorKind::InvalidData.into()) }
}
