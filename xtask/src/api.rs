//! `cargo xtask api`: the public API of `ajayserver` as text, against `crates/server/public-api.txt`.
//!
//! Whoever changes what users see has to change that file too, and a review shows it. The text is
//! made by `cargo public-api` of rustdoc's JSON, one line for each item, with all features. Most of
//! what a user touches is defined in crates below and exported again, for which rustdoc says no
//! more than `pub use`. So this goes on from there: an item of a crate below is in the text if
//! `ajayserver` exports it, or names it in a signature, or one that is in the text does.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::run::{Failure, cargo, root};

const SNAPSHOT: &str = "crates/server/public-api.txt";

/// The crate whose API it is, and those below that it may show items of.
const CRATES: &[&str] = &[
    "ajayserver",
    "ajay-engine",
    "ajay-tls",
    "ajay-h3",
    "ajay-h2",
    "ajay-mux",
    "ajay-http",
];

/// Auto traits that say nothing to users, and marks that the compiler leaves.
const SILENT: &[&str] = &[
    "core::marker::Freeze",
    "core::marker::UnsafeUnpin",
    "core::marker::StructuralPartialEq",
    "core::panic::unwind_safe::UnwindSafe",
    "core::panic::unwind_safe::RefUnwindSafe",
];

/// Compares, or with `bless` writes what there is now.
pub(crate) fn run(bless: bool) -> Result<(), Failure> {
    let path = root().join(SNAPSHOT);
    let now = snapshot()?;
    if bless {
        std::fs::write(&path, now).map_err(|error| Failure::new(format!("{SNAPSHOT}: {error}")))?;
        println!("written: {SNAPSHOT}");
        return Ok(());
    }
    let before = std::fs::read_to_string(&path)
        .map_err(|error| Failure::new(format!("{SNAPSHOT}: {error}")))?;
    let changes = difference(&before, &now);
    if changes.is_empty() {
        println!("the public API is that of {SNAPSHOT}");
        return Ok(());
    }
    for change in &changes {
        println!("{change}");
    }
    Err(Failure::new(format!(
        "the public API has changed in {} lines; if that is meant, run `cargo xtask api --bless` and say so \
         in CHANGELOG.md (docs/src/reference/stability.md says what may change when)",
        changes.len()
    )))
}

/// Lines that are gone and lines that are new, in the order of the text.
fn difference(before: &str, now: &str) -> Vec<String> {
    let lines = |text: &str| -> BTreeSet<String> {
        let is_item = |line: &&str| !line.is_empty() && !line.starts_with("# ");
        text.lines().filter(is_item).map(str::to_owned).collect()
    };
    let (old, new) = (lines(before), lines(now));
    let gone = old.difference(&new).map(|line| format!("- {line}"));
    let added = new.difference(&old).map(|line| format!("+ {line}"));
    gone.chain(added).collect()
}

fn snapshot() -> Result<String, Failure> {
    let mut listings = BTreeMap::new();
    for package in CRATES {
        let lines = listing(package)?;
        listings.insert(package.replace('-', "_"), groups(&lines));
    }
    Ok(text(&reachable(CRATES[0], &listings)))
}

/// The lines of one crate.
fn listing(package: &str) -> Result<Vec<String>, Failure> {
    let me = std::env::current_exe().map_err(|error| Failure::new(format!("xtask: {error}")))?;
    cargo(&[
        "rustdoc",
        "--quiet",
        "--package",
        package,
        "--lib",
        "--all-features",
        "--locked",
        "--",
        "-Z",
        "unstable-options",
        "--output-format",
        "json",
    ])
    .env("RUSTDOC", &me.display().to_string())
    .env(AS_RUSTDOC, "1")
    .run()?;
    let json = target()?
        .join("doc")
        .join(format!("{}.json", package.replace('-', "_")));
    let json = json.display().to_string();
    let list = ["public-api", "--rustdoc-json", &json, "-s", "--color=never"];
    let output = cargo(&list).output().ok_or_else(|| {
        Failure::new(
            "`cargo public-api` failed; `cargo xtask setup` installs the version for this compiler",
        )
    })?;
    let is_shown = |line: &&str| {
        !SILENT
            .iter()
            .any(|name| line.contains(&format!("{name} for ")) || line.ends_with(name))
    };
    Ok(output.lines().filter(is_shown).map(str::to_owned).collect())
}

/// Where cargo puts what it builds.
fn target() -> Result<PathBuf, Failure> {
    let failed = || Failure::new("`cargo metadata` does not say where the target directory is");
    let metadata = cargo(&["metadata", "--format-version=1", "--no-deps", "--locked"])
        .output()
        .ok_or_else(failed)?;
    let rest = metadata
        .split_once("\"target_directory\":\"")
        .ok_or_else(failed)?;
    let (path, _) = rest.1.split_once('"').ok_or_else(failed)?;
    Ok(Path::new(path).to_owned())
}

/// Set when this program is to be rustdoc.
const AS_RUSTDOC: &str = "AJAY_XTASK_AS_RUSTDOC";

/// JSON is not stable in rustdoc, and a stable compiler refuses it unless `RUSTC_BOOTSTRAP` is set.
/// Set for all of cargo, build scripts would see it, and everything would be built anew; so cargo
/// takes this program for rustdoc, which starts the real one with it.
pub(crate) fn as_rustdoc() -> Option<std::process::ExitCode> {
    std::env::var_os(AS_RUSTDOC)?;
    let status = std::process::Command::new("rustdoc")
        .args(std::env::args_os().skip(1))
        .env_remove(AS_RUSTDOC)
        .env("RUSTC_BOOTSTRAP", "1")
        .status();
    let code = status.ok().and_then(|status| status.code()).unwrap_or(1);
    Some(std::process::ExitCode::from(
        u8::try_from(code).unwrap_or(1),
    ))
}

/// An item with its members and what it implements.
#[derive(Debug, PartialEq)]
struct Group {
    /// `ajay_engine::Body`
    path: String,
    is_module: bool,
    lines: Vec<String>,
}

/// `cargo public-api` writes an item's members and implementations below it.
fn groups(lines: &[String]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for line in lines {
        let begins = defined(line).filter(|(_, path)| {
            let within = groups.last().is_some_and(|group| {
                !group.is_module && path.starts_with(&format!("{}::", group.path))
            });
            !within
        });
        match (begins, groups.last_mut()) {
            (Some((kind, path)), _) => groups.push(Group {
                path: path.to_owned(),
                is_module: kind == "mod",
                lines: vec![line.clone()],
            }),
            (None, Some(group)) => group.lines.push(line.clone()),
            (None, None) => {}
        }
    }
    groups
}

/// Kind and path of what a line defines; none for implementations, fields and variants.
fn defined(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split_whitespace().skip_while(|word| *word != "pub");
    words.next()?;
    let kind = words.find(|word| {
        !["const", "async", "unsafe"].contains(word) || {
            // `pub const NAME: …`: the next word is no `fn`.
            *word == "const" && !line.contains(" fn ")
        }
    })?;
    let kinds = [
        "struct", "enum", "union", "trait", "type", "fn", "mod", "use", "static", "macro", "const",
    ];
    if !kinds.contains(&kind) {
        return None;
    }
    let path = words.next()?;
    let end = path.find(['<', '(', ':', ';']).map_or(path.len(), |first| {
        // Two colons belong to the path; one ends it.
        let mut end = first;
        while path[end..].starts_with("::") {
            let rest = &path[end + 2..];
            end += 2 + rest.find(['<', '(', ':', ';']).unwrap_or(rest.len());
        }
        end
    });
    Some((kind, &path[..end]))
}

/// The groups of the first crate, and those of others that they name, by crate.
fn reachable<'a>(
    first: &str,
    listings: &'a BTreeMap<String, Vec<Group>>,
) -> BTreeMap<&'a str, BTreeMap<usize, &'a Group>> {
    // By crate and last name: signatures name an item by the module that it is written in, and
    // listings by the one that it is exported from.
    let mut names: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
    for (name, groups) in listings {
        for (at, group) in groups.iter().enumerate() {
            if !group.lines[0].starts_with("pub use ") {
                names.entry((name, last(&group.path))).or_default().push(at);
            }
        }
    }
    let mut found: BTreeMap<&str, BTreeMap<usize, &Group>> = BTreeMap::new();
    let mut open: Vec<(&str, usize)> = Vec::new();
    if let Some((name, groups)) = listings.get_key_value(first) {
        open.extend((0..groups.len()).map(|at| (name.as_str(), at)));
    }
    while let Some((name, at)) = open.pop() {
        let group = &listings[name][at];
        if found.entry(name).or_default().insert(at, group).is_some() {
            continue;
        }
        for line in &group.lines {
            if line.starts_with("pub use ") {
                // It does not say of which crate: of all below.
                let below = listings.keys().filter(|below| *below != name);
                open.extend(below.flat_map(|below| {
                    let items = names.get(&(below.as_str(), last(&group.path)));
                    let items = items.map(Vec::as_slice).unwrap_or_default();
                    items.iter().map(|at| (below.as_str(), *at))
                }));
            }
            for (of, item) in mentioned(line) {
                let Some((of, _)) = listings.get_key_value(of) else {
                    continue;
                };
                let items = names.get(&(of.as_str(), item)).map(Vec::as_slice);
                let items = items.unwrap_or_default().iter();
                open.extend(items.map(|at| (of.as_str(), *at)));
            }
        }
        if group.is_module && name != first {
            let below = format!("{}::", group.path);
            let inside = listings[name].iter().enumerate();
            let inside = inside.filter(|(_, inner)| inner.path.starts_with(&below));
            open.extend(inside.map(|(at, _)| (name, at)));
        }
    }
    found
}

fn last(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or(path)
}

/// The items of our crates that a line names: crate, and name of the type or trait.
fn mentioned(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let paths = line.split(move |c| !is_path(c));
    paths.filter_map(|path| {
        let mut parts = path.split("::");
        let first = parts.next().filter(|name| name.starts_with("ajay"))?;
        let is_type = |part: &&str| part.starts_with(char::is_uppercase);
        Some((first, parts.find(is_type)?))
    })
}

fn text(found: &BTreeMap<&str, BTreeMap<usize, &Group>>) -> String {
    let mut text = String::from(
        "# The public API of ajayserver with all features. Made by `cargo xtask api --bless`; compared by\n\
         # `cargo xtask check`. docs/src/reference/stability.md says what of it may change when.\n",
    );
    for package in CRATES {
        let name = package.replace('-', "_");
        let Some(groups) = found.get(name.as_str()) else {
            continue;
        };
        let _ = write!(text, "\n# {name}\n");
        for group in groups.values() {
            for line in &group.lines {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    #[test]
    fn items_are_taken_apart() {
        let defined = |line| defined(line);
        assert_eq!(defined("pub fn a::f(u8) -> b::C"), Some(("fn", "a::f")));
        assert_eq!(defined("pub const fn a::T::f()"), Some(("fn", "a::T::f")));
        assert_eq!(defined("pub const a::T::N: u8"), Some(("const", "a::T::N")));
        assert_eq!(
            defined("pub struct a::Html<T>(pub T)"),
            Some(("struct", "a::Html"))
        );
        assert_eq!(
            defined("#[non_exhaustive] pub enum a::E"),
            Some(("enum", "a::E"))
        );
        assert_eq!(defined("pub trait a::M: 'static"), Some(("trait", "a::M")));
        assert_eq!(defined("pub a::E::Variant"), None);
        assert_eq!(defined("impl core::clone::Clone for a::E"), None);
    }

    #[test]
    fn what_is_exported_or_named_is_followed() {
        let top = lines(
            "pub mod ajayserver
             pub use ajayserver::Body
             pub struct ajayserver::Server
             pub fn ajayserver::Server::handle(&self) -> ajay_engine::handle::Handle",
        );
        let engine = lines(
            "pub mod ajay_engine
             pub struct ajay_engine::Body
             impl ajay_engine::Body
             pub fn ajay_engine::Body::len(&self) -> ajay_engine::size::Size
             pub struct ajay_engine::Handle
             pub struct ajay_engine::Hidden
             pub struct ajay_engine::Size",
        );
        let listings = BTreeMap::from([
            ("ajayserver".to_owned(), groups(&top)),
            ("ajay_engine".to_owned(), groups(&engine)),
        ]);
        let text = text(&reachable("ajayserver", &listings));
        for shown in [
            "Body::len",
            "ajay_engine::Handle",
            "struct ajay_engine::Size",
        ] {
            assert!(text.contains(shown), "{shown} in {text}");
        }
        assert!(!text.contains("Hidden"), "{text}");
    }

    #[test]
    fn a_changed_line_is_shown_twice() {
        let changes = difference("# head\npub fn a::f(u8)\n", "pub fn a::f(u16)\n");
        assert_eq!(changes, ["- pub fn a::f(u8)", "+ pub fn a::f(u16)"]);
    }
}
