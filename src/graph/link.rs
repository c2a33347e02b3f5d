//! Links to Graph: followed byte for byte, only to the configured origin, and never shown whole. Knows nothing of what they lead to.

use std::fmt;

use url::{Host, Url};

use super::error::GraphError;

/// Scheme, host and port of a service. https, or http on loopback.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin(String);

impl Origin {
    /// Takes an origin such as `https://graph.microsoft.com`.
    ///
    /// # Errors
    /// A sentence that says what is wrong: a path, a query, a user name, or http to another machine.
    pub fn parse(text: &str) -> Result<Origin, String> {
        let url =
            Url::parse(text).map_err(|e| format!("{text:?} is not a URL ({e}); expected something like https://graph.microsoft.com"))?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(format!("{text:?} must be an origin only, without path or query"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(format!("{text:?} must not carry a user name or password"));
        }
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => return Err(format!("{text:?} must be https: http is allowed on loopback only")),
            scheme => return Err(format!("{text:?} has the scheme {scheme}; expected https")),
        }
        Ok(Origin(url.origin().ascii_serialization()))
    }

    /// The origin as text, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// An absolute URL on the configured Graph origin. Its query may hold a delta token, so only [`Link::expose`] shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Link {
    text: String,
    url: Url,
}

impl Link {
    /// Accepts a link that leads to `origin`.
    ///
    /// # Errors
    /// [`GraphError::is_foreign_link`] when it leads elsewhere; a plain error when it is not a URL or would not be sent as it is written.
    pub fn parse(origin: &Origin, text: &str) -> Result<Link, GraphError> {
        let url = Url::parse(text).map_err(|_| GraphError::bad_link("the link is not an absolute URL"))?;
        let found = url.origin().ascii_serialization();
        if found != origin.0 || !url.username().is_empty() || url.password().is_some() {
            return Err(GraphError::foreign_link(origin, &found));
        }
        // The parser may escape what is not allowed in a URL. What is escaped still means the same; anything else would be another link.
        // What stands behind a # would not be sent at all.
        if unescape(url.as_str()) != unescape(text) || url.fragment().is_some() {
            return Err(GraphError::bad_link("the link would be changed by sending it"));
        }
        Ok(Link { text: text.to_owned(), url })
    }

    /// The whole link, for the checkpoint only.
    pub fn expose(&self) -> &str {
        &self.text
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// The path, which holds no secret.
    pub fn path(&self) -> &str {
        self.url.path()
    }

    /// The decoded query, for counting its cost only: it may hold a token.
    pub(super) fn query(&self) -> Vec<(String, String)> {
        self.url.query_pairs().into_owned().collect()
    }

    /// Whether the decoded query holds this text.
    pub fn query_contains(&self, text: &str) -> bool {
        let query = self.url.query().unwrap_or_default().replace('+', " ");
        // Lossy: a token may hold any bytes, which say nothing of the rest.
        String::from_utf8_lossy(&unescape(&query)).contains(text)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.url.path(), if self.url.query().is_some() { "?…" } else { "" })
    }
}

/// Bytes with percent escapes resolved.
fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let hex = (bytes[index] == b'%')
            .then(|| text.get(index + 1..index + 3))
            .flatten()
            .filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                index += 3;
            }
            None => {
                out.push(bytes[index]);
                index += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin::parse("https://graph.microsoft.com").expect("an origin")
    }

    #[test]
    fn origins_are_https_or_loopback_and_bare() {
        for good in
            ["https://graph.microsoft.com", "https://graph.microsoft.us/", "http://127.0.0.1:8080", "http://[::1]:1", "http://localhost:7"]
        {
            assert!(Origin::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "graph.microsoft.com",
            "http://graph.microsoft.com",
            "https://graph.microsoft.com/v1.0",
            "https://u:p@graph.microsoft.com",
            "ftp://localhost",
            "http://10.0.0.1",
            "",
        ] {
            assert!(Origin::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn links_stay_as_they_came() {
        for text in [
            "https://graph.microsoft.com/v1.0/users/delta?$skiptoken=a%24b'c|d+e",
            "https://graph.microsoft.com/v1.0/users/delta?$deltatoken=AB_cd-12==&x=%E2%82%AC",
            "https://graph.microsoft.com:443/v1.0/users/delta?$select=id,manager",
        ] {
            let Ok(link) = Link::parse(&origin(), text) else {
                // The default port is dropped by the parser: refused rather than changed.
                assert!(text.contains(":443"), "{text}");
                continue;
            };
            assert_eq!(link.expose(), text);
            let shown = format!("{link} {link:?}");
            assert!(!shown.contains("token"), "{shown}");
        }
    }

    #[test]
    fn links_elsewhere_are_refused() {
        for text in [
            "https://graph.microsoft.com.evil.example/v1.0/users/delta",
            "https://evil.example/v1.0/users/delta?$skiptoken=secret",
            "http://graph.microsoft.com/v1.0/users/delta",
            "https://graph.microsoft.com:8443/v1.0/users",
            "https://graph.microsoft.com@evil.example/v1.0/users",
            "https://user@graph.microsoft.com/v1.0/users",
        ] {
            let error = Link::parse(&origin(), text).expect_err(text);
            assert!(error.is_foreign_link(), "{text}");
            assert!(!error.to_string().contains("secret"));
        }
        assert!(Link::parse(&origin(), "/v1.0/users").is_err());
        let error =
            Link::parse(&origin(), "https://graph.microsoft.com/v1.0/users/delta?$deltatoken=a#b").expect_err("an end that is not sent");
        assert!(error.to_string().contains("would be changed"), "{error}");
    }

    #[test]
    fn selections_are_found_in_a_query_however_it_is_escaped() {
        let link = Link::parse(&origin(), "https://graph.microsoft.com/v1.0/users/delta?%24select=id%2Cmail&$deltatoken=").expect("a link");
        assert!(link.query_contains("$select=id,mail"));
        assert!(!link.query_contains("$select=id,name"));
        let link = Link::parse(&origin(), "https://graph.microsoft.com/v1.0/users/delta?$select=id,mail&$deltatoken=%b4").expect("a link");
        assert!(link.query_contains("$select=id,mail"));
    }
}
