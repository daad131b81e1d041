//! `cargo xtask tidy`: rules of our own that no lint knows.
//!
//! | rule | why |
//! |---|---|
//! | source files of `crates/` have at most 800 lines, functions at most 100 | a reader can hold them |
//! | no path of somebody's machine in a tracked file | it means nothing elsewhere |
//! | no reminders of open work and no debug prints in Rust files | open work belongs to the tracker |
//! | crates depend downwards only, and the cores on nothing that does I/O | the layers are the architecture |
//! | `docs/src/design/unsafe.md` names every module with unsafe code | each is argued for |
//! | the tables in `docs/src/reference` name every limit, counter and violation | tables drift |

mod layers;
mod tables;
mod unsafe_modules;

use std::path::Path;

use crate::run::{Failure, command, root};

const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 100;

pub(crate) fn run() -> Result<(), Failure> {
    let mut problems = Vec::new();
    let files = files(&["."])?;
    for path in &files {
        // A tracked file may be deleted in the working tree, and need not be text.
        let Ok(text) = std::fs::read_to_string(root().join(path)) else {
            continue;
        };
        check_text(path, &text, &mut problems);
    }
    layers::check(&root(), &mut problems)?;
    tables::check(&root(), &mut problems)?;
    unsafe_modules::check(&root(), &files, &mut problems)?;
    if problems.is_empty() {
        println!("tidy");
        return Ok(());
    }
    for problem in &problems {
        println!("{problem}");
    }
    Err(Failure::new(format!("{} untidy things", problems.len())))
}

/// The files under these paths that git tracks or would track.
pub(crate) fn files(paths: &[&str]) -> Result<Vec<String>, Failure> {
    let mut arguments = vec![
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "--",
    ];
    arguments.extend(paths);
    let listed = command("git", &arguments)
        .output()
        .ok_or_else(|| Failure::new("`git ls-files` failed"))?;
    Ok(listed.lines().map(str::to_owned).collect())
}

fn check_text(path: &str, text: &str, problems: &mut Vec<String>) {
    for (at, line) in text.lines().enumerate() {
        for word in machine_paths() {
            if line.contains(&word) {
                problems.push(format!("{path}:{}: a path of a machine: {word}", at + 1));
            }
        }
    }
    if !has_extension(path, "rs") {
        return;
    }
    for (at, line) in text.lines().enumerate() {
        for word in leftovers() {
            if line.contains(&word) {
                problems.push(format!("{path}:{}: {word}", at + 1));
            }
        }
    }
    if is_source(path) {
        check_sizes(path, text, problems);
    }
}

/// Spelled in parts, so that this file holds none of them.
fn machine_paths() -> [String; 4] {
    ["home", "root", "Users", "work"].map(|directory| format!("/{directory}/"))
}

fn leftovers() -> [String; 3] {
    [("TO", "DO"), ("FIX", "ME"), ("dbg", "!(")].map(|(a, b)| format!("{a}{b}"))
}

/// Sources of the product: what is in `crates/*/src` and no test.
fn is_source(path: &str) -> bool {
    path.starts_with("crates/")
        && path.contains("/src/")
        && !path.contains("/tests/")
        && !path.ends_with("/tests.rs")
}

fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|found| found == extension)
}

fn check_sizes(path: &str, text: &str, problems: &mut Vec<String>) {
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        problems.push(format!("{path}: {lines} lines; more than {FILE_LINES_MAX}"));
    }
    for function in functions(text) {
        if function.lines > FUNCTION_LINES_MAX {
            problems.push(format!(
                "{path}:{}: `{}` has {} lines; more than {FUNCTION_LINES_MAX}",
                function.line, function.name, function.lines
            ));
        }
    }
}

#[derive(Debug, PartialEq)]
struct Function<'a> {
    name: &'a str,
    /// Counted from 1.
    line: usize,
    lines: usize,
}

/// The functions with a body. Relies on rustfmt: a function ends with the first `}` that stands
/// alone and as deep as its `fn`.
fn functions(text: &str) -> Vec<Function<'_>> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else {
            continue;
        };
        let depth = line.len() - line.trim_start().len();
        let end = lines[at..].iter().position(|line| {
            let indent = line.len() - line.trim_start().len();
            let text = line.trim();
            // A declaration ends with a semicolon at its own depth; so does a one-line body.
            let is_end =
                text == "}" || text.ends_with(';') || text.ends_with("{}") || text.ends_with(" }");
            indent == depth && is_end
        });
        if let Some(end) = end {
            found.push(Function {
                name,
                line: at + 1,
                lines: end + 1,
            });
        }
    }
    found
}

/// The name, if the line begins a function.
fn function_name(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    loop {
        match words.next()? {
            "fn" => break,
            "pub" | "const" | "async" | "unsafe" | "extern" | "\"C\"" => {}
            visibility if visibility.starts_with("pub(") => {}
            // `pub(in some::path)` goes on after its space.
            path if path.ends_with(')') && line.trim_start().starts_with("pub(in ") => {}
            _ => return None,
        }
    }
    let name = words.next()?;
    Some(name.split(['(', '<']).next().unwrap_or(name))
}

#[cfg(test)]
mod tests;
