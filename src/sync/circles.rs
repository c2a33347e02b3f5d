//! Recognises a chain of pages that goes round in circles, by content: the links differ each time. Knows nothing of what is in a page.

use std::collections::HashMap;

/// How often the same content may come in one chain: replays are allowed, and seen now and then.
const REPEATS: u32 = 3;
/// How many pages without any object may follow one another.
const EMPTY_PAGES: u32 = 1000;

/// What a chain has brought so far; twelve bytes a page.
#[derive(Debug, Default)]
pub(super) struct Circles {
    seen: HashMap<u64, u32>,
    empty: u32,
}

impl Circles {
    /// Takes note of a page; an answer says why the chain is not believed.
    pub fn note<'p>(&mut self, items: impl Iterator<Item = &'p str>) -> Option<String> {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut count = 0_u64;
        for item in items {
            count += 1;
            hash = mix(hash, item.as_bytes());
        }
        if count == 0 {
            self.empty += 1;
            return (self.empty > EMPTY_PAGES).then(|| format!("{EMPTY_PAGES} pages without an object followed one another"));
        }
        self.empty = 0;
        let times = self.seen.entry(hash).or_insert(0);
        *times += 1;
        (*times > REPEATS).then(|| format!("the same page came {times} times under different links"))
    }
}

/// Eight bytes at a time; not for adversaries, only to tell pages apart.
fn mix(mut hash: u64, bytes: &[u8]) -> u64 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let mut eight = [0; 8];
        eight.copy_from_slice(chunk);
        hash = (hash ^ u64::from_le_bytes(eight)).wrapping_mul(K).rotate_left(29);
    }
    for byte in chunks.remainder() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(K).rotate_left(29);
    }
    (hash ^ bytes.len() as u64).wrapping_mul(K).rotate_left(29)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_of_several_pages_is_found_and_replays_are_not() {
        let mut circles = Circles::default();
        let pages = ["a", "b", "c"];
        let verdicts: Vec<bool> = (0..12).map(|i| circles.note([pages[i % 3]].into_iter()).is_some()).collect();
        assert_eq!(verdicts.iter().position(|found| *found), Some(9));
    }

    #[test]
    fn empty_pages_are_allowed_up_to_a_bound() {
        let mut circles = Circles::default();
        assert!((0..EMPTY_PAGES).all(|_| circles.note(std::iter::empty()).is_none()));
        assert!(circles.note(std::iter::empty()).is_some());
    }

    #[test]
    fn order_and_boundaries_count() {
        let hash = |items: &[&str]| items.iter().fold(1, |h, i| mix(h, i.as_bytes()));
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
        assert_ne!(hash(&["ab", "c"]), hash(&["c", "ab"]));
    }
}
