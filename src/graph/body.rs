//! Reads a body up to a limit. Knows nothing of what is in it.

use bytes::{Bytes, BytesMut};

use super::error::GraphError;

/// The whole body, refused when it is longer than `limit` bytes.
pub(super) async fn read(mut response: reqwest::Response, limit: usize, path: &str) -> Result<Bytes, GraphError> {
    let too_long = || GraphError::body(path, format!("the answer is longer than {} MiB", limit / (1024 * 1024)));
    let expected = response.content_length().and_then(|length| usize::try_from(length).ok());
    if expected.is_some_and(|length| length > limit) {
        return Err(too_long());
    }
    let mut body = BytesMut::with_capacity(expected.unwrap_or(64 * 1024).min(limit));
    while let Some(chunk) = response.chunk().await.map_err(|e| GraphError::transport(&e))? {
        if body.len() + chunk.len() > limit {
            return Err(too_long());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
