//! Mistakes in a configuration: which key, what is wrong, what would be right. Knows no key itself.

use std::fmt;
use std::path::PathBuf;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Key with dots, such as `tenants.0.cloud`; empty for the file as a whole.
    pub key: String,
    /// What is wrong and what would be right.
    pub what: String,
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file; `None` when none was found.
    pub file: Option<PathBuf>,
    pub mistakes: Vec<Mistake>,
}

impl ConfigError {
    pub(crate) fn one(file: Option<PathBuf>, key: &str, what: impl Into<String>) -> ConfigError {
        ConfigError { file, mistakes: vec![Mistake { key: key.into(), what: what.into() }] }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.mistakes.len()) {
            (None, _) => {}
            (Some(file), 1) => write!(f, "{}: ", file.display())?,
            (Some(file), count) => write!(f, "{}: {count} mistakes", file.display())?,
        }
        for (index, Mistake { key, what }) in self.mistakes.iter().enumerate() {
            if self.mistakes.len() > 1 {
                write!(f, "\n  {}. ", index + 1)?;
            }
            match key.as_str() {
                "" => f.write_str(what)?,
                key => write!(f, "{key}: {what}")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// The known word that was probably meant.
pub fn closest<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let word = word.to_lowercase();
    let distances = known.into_iter().map(|known| (distance(&word, &known.to_lowercase()), known));
    let (distance, known) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + word.chars().count() / 4).then_some(known)
}

/// Edits between two words: insert, delete, replace.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let known = ["users", "groups", "role_assignments"];
        assert_eq!(closest("usres", known), Some("users"));
        assert_eq!(closest("role_asignments", known), Some("role_assignments"));
        assert_eq!(closest("sign_ins", known), None);
    }
}
