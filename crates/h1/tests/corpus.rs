//! Replays the committed fuzz corpora.

use std::{fs, path::Path};

use ajay_h1::testing::{fuzz_chunked, fuzz_connection, fuzz_head};

#[test]
fn head() {
    replay("head", fuzz_head);
}

#[test]
fn chunked() {
    replay("chunked", fuzz_chunked);
}

#[test]
fn connection() {
    replay("connection", fuzz_connection);
}

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "the corpus of {target} is committed");
    for file in files {
        // Shown only if the run panics.
        eprintln!("{}", file.display());
        run(&fs::read(&file).expect("a readable file"));
    }
}
