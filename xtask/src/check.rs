//! `cargo xtask check`: formatting, lints, features, rustdoc, the public API, dependencies, the book.

use std::path::Path;

use crate::run::{Failure, cargo, command, root};

/// Workspaces of their own, held to the same form.
const OTHER_WORKSPACES: &[&str] = &["bench/Cargo.toml", "fuzz/Cargo.toml"];

pub(crate) fn run() -> Result<(), Failure> {
    cargo(&["fmt", "--all", "--check"]).run()?;
    for manifest in OTHER_WORKSPACES {
        if root().join(manifest).exists() {
            cargo(&["fmt", "--all", "--check", "--manifest-path", manifest]).run()?;
        }
    }
    cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--locked",
        "--",
        "-D",
        "warnings",
    ])
    .run()?;
    cargo(&[
        "doc",
        "--workspace",
        "--no-deps",
        "--all-features",
        "--document-private-items",
        "--locked",
    ])
    .env("RUSTDOCFLAGS", "-D warnings")
    .run()?;
    features()?;
    crate::api::run(false)?;
    cargo(&["deny", "--locked", "check", "bans", "licenses", "sources"]).run()?;
    command("mdbook", &["build", "docs"]).run()?;
    check_book(&root().join("docs/src"))
}

/// The library with no feature, with each, and with each two: what one of them needs must not come
/// from another by chance. Only the library is built anew, a second and a half for each of the 45.
fn features() -> Result<(), Failure> {
    cargo(&[
        "hack",
        "clippy",
        "--package",
        "ajayserver",
        "--lib",
        "--feature-powerset",
        "--depth",
        "2",
        "--locked",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ])
    .run()
}

/// mdBook builds a page that SUMMARY.md does not name into nothing, and says nothing.
fn check_book(pages: &Path) -> Result<(), Failure> {
    let summary = std::fs::read_to_string(pages.join("SUMMARY.md"))
        .map_err(|error| Failure::new(format!("docs/src/SUMMARY.md: {error}")))?;
    let mut forgotten = Vec::new();
    for page in crate::tidy::files(&["docs/src"])? {
        let name = page.trim_start_matches("docs/src/");
        if name.ends_with(".md") && name != "SUMMARY.md" && !summary.contains(&format!("({name})"))
        {
            forgotten.push(page.clone());
        }
    }
    if forgotten.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "not in docs/src/SUMMARY.md: {}",
        forgotten.join(" ")
    )))
}
