use std::path::{Path, PathBuf};

use super::load;

/// A path of the repository: another crate builds these tests, too, and its directory is another.
pub(super) fn in_repository(path: &str) -> PathBuf {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let mut paths = above.map(|directory| directory.join(path));
    paths.find(|it| it.exists()).expect(path)
}

/// Every configuration of the golden tests.
fn texts() -> Vec<String> {
    let tests = in_repository("crates/cli/tests");
    let directories = ["bad-configs", "good-configs"].map(|name| tests.join(name));
    let entries = directories
        .iter()
        .flat_map(|it| std::fs::read_dir(it).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path());
    let configs = paths.filter(|path| path.extension().is_some_and(|it| it == "toml"));
    configs
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect()
}

#[test]
fn what_is_cut_or_garbled_is_told_and_nothing_panics() {
    let directory = std::env::temp_dir().join(format!("ajayserver-garbled-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("ajayserver.toml");
    let mut loads = 0;
    for text in texts() {
        // Not everywhere, which takes long, but at other places in each.
        let places = text.char_indices().skip(loads % 5).step_by(5);
        for (at, c) in places {
            let (before, after) = (&text[..at], &text[at + c.len_utf8()..]);
            let garbled = [
                before.to_owned(),
                format!("{before}{after}"),
                format!("{before}\u{1F980}{after}"),
                format!("{before}\"{after}"),
            ];
            for text in garbled {
                std::fs::write(&path, &text).unwrap();
                let loaded = load(&path);
                assert_eq!(loaded.plan.is_none(), loaded.errors > 0, "{text}");
                let told = loaded.report.matches("error: ").count();
                assert!(told >= loaded.errors, "{text}\n{}", loaded.report);
                loads += 1;
            }
        }
    }
    std::fs::remove_dir_all(&directory).unwrap();
    assert!(loads > 1000, "{loads}");
}

#[test]
fn what_cannot_be_read_is_told() {
    let loaded = load(Path::new("no-such-directory/ajayserver.toml"));
    assert!(loaded.plan.is_none());
    assert_eq!(
        loaded.report,
        "error: cannot read no-such-directory/ajayserver.toml: no such file or directory\n\n"
    );
}
