//! Links: taken only when they lead to our origin, sent as they came, and never shown with their query.

use entra_mirror::graph::{Link, Origin, fuzzing};

const ORIGINS: [&str; 2] = ["https://graph.microsoft.com", "http://127.0.0.1:8080"];

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for origin in ORIGINS.into_iter().filter_map(|origin| Origin::parse(origin).ok()) {
        check(&origin, text);
    }
    // And as somebody may write an origin into a configuration.
    if let Ok(origin) = Origin::parse(text) {
        let shown = origin.as_str();
        assert!(shown.starts_with("https://") || shown.starts_with("http://"), "{shown}");
        assert!(!shown[8..].contains(['/', '?', '#', '@']), "{shown} is more than an origin");
        assert_eq!(Origin::parse(shown).as_ref(), Ok(&origin));
    }
}

/// What must hold of a text that is taken for a link, or refused as one.
pub fn check(origin: &Origin, text: &str) {
    let link = match Link::parse(origin, text) {
        Ok(link) => link,
        Err(error) => {
            hides(text, &format!("{error} {error:?} {}", error.hint().unwrap_or_default()));
            return;
        }
    };
    assert_eq!(link.expose(), text, "the link is not kept as it came");
    let sent = fuzzing::sent(&link);
    let rest = sent.strip_prefix(origin.as_str()).unwrap_or_else(|| panic!("{sent} leads away from {origin}"));
    assert!(rest.starts_with('/'), "{sent} leads away from {origin}");
    // Nothing behind a # is sent.
    assert!(!rest.contains('#'), "the end of {sent} would not be sent");
    if text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&()*+,;=%".contains(&b)) {
        assert_eq!(sent, text, "nothing in the link needs an escape, yet it is sent otherwise");
    }
    hides(text, &format!("{link} {link:?}"));
    assert!(rest.starts_with(link.path()));
    assert!(link.query_contains(""));
    assert_eq!(Link::parse(origin, link.expose()).ok().as_ref(), Some(&link), "the link is not taken again");
    // And the same when it is sent, stored, and comes back from a server that escapes as we do.
    assert_eq!(Link::parse(origin, sent).ok().map(|again| fuzzing::sent(&again).to_owned()).as_deref(), Some(sent));
}

/// The query of a link, which may hold a token, is in no message: long enough not to be there by chance.
pub fn hides(link: &str, shown: &str) {
    let Some((before, query)) = link.split_once('?') else { return };
    // Hosts are shown, and in their canonical form.
    let before = format!("{before} {}", url::Url::parse(before).map(|url| url.to_string()).unwrap_or_default());
    let words = query.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() >= 12 && !before.contains(word));
    for word in words {
        assert!(!shown.contains(word), "{shown} shows {word} of {link}");
    }
}
