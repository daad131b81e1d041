//! Replays the committed fuzz corpora.

use std::{fs, path::Path};

use ajay_h3::testing::{fuzz_frames, fuzz_streams};

#[test]
fn h3_frames() {
    replay("h3_frames", fuzz_frames);
}

#[test]
fn h3_streams() {
    replay("h3_streams", fuzz_streams);
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
