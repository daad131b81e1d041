//! Replays the committed fuzz corpora.

use std::{fs, path::Path};

use ajay_h2::testing::{fuzz_frames, fuzz_ops};

#[test]
fn h2_frames() {
    replay("h2_frames", fuzz_frames);
}

#[test]
fn h2_ops() {
    replay("h2_ops", fuzz_ops);
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
