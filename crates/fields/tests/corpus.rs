//! Replays the committed fuzz corpora.

use std::{fs, path::Path};

use ajay_fields::testing::{
    fuzz_hpack_decode, fuzz_hpack_round_trip, fuzz_qpack_decode, fuzz_qpack_round_trip,
};

#[test]
fn hpack_decode() {
    replay("hpack_decode", fuzz_hpack_decode);
}

#[test]
fn hpack_round_trip() {
    replay("hpack_round_trip", fuzz_hpack_round_trip);
}

#[test]
fn qpack_decode() {
    replay("qpack_decode", fuzz_qpack_decode);
}

#[test]
fn qpack_round_trip() {
    replay("qpack_round_trip", fuzz_qpack_round_trip);
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
