//! Skip tokens of logs: a position by time and id, which stays the same place whatever arrives meanwhile. Pure.

use std::sync::Arc;

use jiff::Timestamp;

use super::store::Key;

/// Where a chain of pages stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SkipToken {
    /// The last event that was given; none before the first.
    pub last: Option<Key>,
    /// Pages given so far.
    pub pages: u32,
    /// When it was given, in Unix seconds of the tenant's clock.
    pub issued: i64,
    /// Of the query it belongs to: a token is good for no other.
    pub fingerprint: u64,
}

impl SkipToken {
    /// As hex, which looks like the hash that the service gives.
    pub fn write(&self) -> String {
        let (at, id) = self.last.as_ref().map_or((0, ""), |(at, id)| (at.as_nanosecond(), &**id));
        let text = format!("{:x}.{at}.{}.{}.{id}", self.fingerprint, self.pages, self.issued);
        text.bytes().map(|byte| format!("{:02x}", byte ^ 0x5a)).collect()
    }

    pub fn read(token: &str) -> Option<SkipToken> {
        if !token.is_ascii() {
            return None;
        }
        let bytes: Option<Vec<u8>> =
            (0..token.len()).step_by(2).map(|i| u8::from_str_radix(token.get(i..i + 2)?, 16).ok().map(|byte| byte ^ 0x5a)).collect();
        let text = String::from_utf8(bytes?).ok()?;
        let mut parts = text.splitn(5, '.');
        let fingerprint = u64::from_str_radix(parts.next()?, 16).ok()?;
        let at = Timestamp::from_nanosecond(parts.next()?.parse().ok()?).ok()?;
        let pages = parts.next()?.parse().ok()?;
        let issued = parts.next()?.parse().ok()?;
        let id = parts.next()?;
        let last = (!id.is_empty()).then(|| (at, Arc::from(id)));
        Some(SkipToken { last, pages, issued, fingerprint })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_as_they_were() {
        let at: Timestamp = "2026-03-13T19:15:41.6195833Z".parse().unwrap();
        for last in [None, Some((at, Arc::from("Directory_a.b_c")))] {
            let token = SkipToken { last, pages: 7, issued: 1_773_429_341, fingerprint: 99 };
            assert_eq!(SkipToken::read(&token.write()), Some(token));
        }
        assert_eq!(SkipToken::read("zz"), None);
        assert_eq!(SkipToken::read("é"), None);
    }
}
