//! Answers in Graph's form: errors with code, message and inner error, and the headers that every answer has. Knows no objects.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

/// An answer to be sent.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub content_type: &'static str,
    pub body: String,
}

impl Answer {
    pub fn json(status: u16, body: impl Into<String>) -> Answer {
        Answer { status, headers: Vec::new(), content_type: "application/json;odata.metadata=minimal;charset=utf-8", body: body.into() }
    }

    pub fn ok(body: &Value) -> Answer {
        Answer::json(200, body.to_string())
    }

    /// Graph's error body.
    pub fn error(status: u16, code: &str, message: &str) -> Answer {
        let id = uuid::Uuid::new_v4().to_string();
        let inner = json!({"date": "2026-11-23T08:00:00", "request-id": id, "client-request-id": id});
        Answer::ok(&json!({"error": {"code": code, "message": message, "innerError": inner}})).with_status(status)
    }

    pub fn bad_request(message: &str) -> Answer {
        Answer::error(400, "Request_BadRequest", message)
    }

    pub fn unsupported(message: &str) -> Answer {
        Answer::error(400, "Request_UnsupportedQuery", message)
    }

    pub fn not_found(what: &str) -> Answer {
        let message = format!("Resource '{what}' does not exist or one of its queried reference-property objects are not present.");
        Answer::error(404, "Request_ResourceNotFound", &message)
    }

    pub fn with_status(mut self, status: u16) -> Answer {
        self.status = status;
        self
    }

    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Answer {
        self.headers.push((name, value.into()));
        self
    }

    /// Whether it holds the same objects and links as another answer; links are compared by whether there is one, for each has a new token.
    pub fn says_the_same(&self, other: &Answer) -> bool {
        let read = |answer: &Answer| serde_json::from_str::<Value>(&answer.body).ok();
        let page = |answer: &Answer| {
            let mut page = read(answer)?;
            let body = page.as_object_mut()?;
            for link in ["@odata.nextLink", "@odata.deltaLink"] {
                let token = |text: &str| text.split("token=").next().unwrap_or_default().to_owned();
                let known = body.get(link).and_then(Value::as_str).map(token);
                body.insert(link.to_owned(), known.into());
            }
            Some(page)
        };
        self.status == other.status && page(self) == page(other)
    }

    /// The HTTP answer; with `gzip` a body over 1 KiB is compressed.
    pub fn into_response(self, gzip: bool) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        for (name, value) in self.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                headers.insert(name, value);
            }
        }
        if gzip && self.body.len() > 1024 {
            use std::io::Write as _;
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            if let Ok(()) = encoder.write_all(self.body.as_bytes())
                && let Ok(bytes) = encoder.finish()
            {
                headers.insert(http::header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                *response.body_mut() = Body::from(bytes);
                return response;
            }
        }
        *response.body_mut() = Body::from(self.body);
        response
    }
}
