//! Which modules have `unsafe`: those of the table in `docs/src/design/unsafe.md`.

use std::path::Path;

use crate::run::Failure;

const TABLE: &str = "docs/src/design/unsafe.md";

pub(super) fn check(
    root: &Path,
    files: &[String],
    problems: &mut Vec<String>,
) -> Result<(), Failure> {
    let read = |path: &str| {
        std::fs::read_to_string(root.join(path))
            .map_err(|error| Failure::new(format!("{path}: {error}")))
    };
    let mut sources = Vec::new();
    for path in files.iter().filter(|path| super::is_source(path)) {
        // A tracked file may be deleted in the working tree.
        if super::has_extension(path, "rs") && root.join(path).exists() {
            sources.push((path.as_str(), read(path)?));
        }
    }
    compare(&read(TABLE)?, &sources, problems);
    Ok(())
}

pub(super) fn compare(table: &str, sources: &[(&str, String)], problems: &mut Vec<String>) {
    let described: Vec<&str> = table
        .lines()
        .skip_while(|line| !line.starts_with("| module | why |"))
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| line.split('`').nth(1))
        .collect();
    for (path, text) in sources {
        let has_unsafe = text.lines().any(allows_unsafe);
        if has_unsafe && !described.contains(path) {
            problems.push(format!("{path}: has unsafe code, and is not in {TABLE}"));
        }
        let is_root = path.ends_with("/src/lib.rs") || path.ends_with("/src/main.rs");
        let guards = ["#![forbid(unsafe_code)]", "#![deny(unsafe_code)]"];
        if is_root && !guards.iter().any(|guard| text.contains(guard)) {
            problems.push(format!("{path}: neither forbids nor denies unsafe code"));
        }
    }
    for path in described {
        let source = sources.iter().find(|(source, _)| *source == path);
        if !source.is_some_and(|(_, text)| text.lines().any(allows_unsafe)) {
            problems.push(format!("{TABLE}: {path} has no unsafe code"));
        }
    }
}

/// The compiler sees to it that there is none without this.
fn allows_unsafe(line: &str) -> bool {
    let line = line.trim_start();
    (line.starts_with("#[") || line.starts_with("#!["))
        && ["allow(", "expect(", "warn("]
            .iter()
            .any(|word| line.contains(word))
        && line.contains("unsafe_code")
}
