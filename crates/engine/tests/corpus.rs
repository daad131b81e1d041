//! Replays the committed fuzz corpus.

use std::fs;
use std::path::Path;

use ajay_engine::testing::fuzz_datagrams;

#[test]
fn quic_datagrams() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/quic_datagrams");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "the corpus is committed");
    for file in files {
        // Shown only if the run panics.
        eprintln!("{}", file.display());
        fuzz_datagrams(&fs::read(&file).expect("a readable file"));
    }
}
