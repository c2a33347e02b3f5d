//! Replays what fuzzing found: every file of `fuzz/corpus/` goes through the function that the fuzz target of its folder's name calls.

use std::path::Path;

#[path = "../fuzz/src/lib.rs"]
mod bodies;

/// Runs all files of a target's corpus and says which one fails.
fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder).expect("a corpus").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert!(files.len() >= 10, "{} holds {} files only", folder.display(), files.len());
    let mut failed = Vec::new();
    for file in files {
        let data = std::fs::read(&file).expect("a file");
        if std::panic::catch_unwind(|| run(&data)).is_err() {
            failed.push(file);
        }
    }
    assert!(failed.is_empty(), "these inputs fail; what is wrong with each stands above: {failed:#?}");
}

macro_rules! targets {
    ($($target:ident)*) => {
        $(
            #[test]
            fn $target() {
                replay(stringify!($target), bodies::$target::run);
            }
        )*

        #[test]
        fn every_corpus_has_a_target() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
            let mut found: Vec<String> = std::fs::read_dir(folder)
                .expect("corpora")
                .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
                .collect();
            let mut known = vec![$(stringify!($target)),*];
            found.sort();
            known.sort_unstable();
            assert_eq!(found, known);
        }
    };
}

targets! { answer config filter link page retry_after }
