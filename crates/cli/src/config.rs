//! The configuration: read, checked as a whole, and compiled into a [`Plan`].
//!
//! | step | file |
//! |---|---|
//! | every key, its type and what it means | `keys.rs`, `values.rs` |
//! | from TOML to those types, with places | `read.rs`, `source.rs` |
//! | what fits together, and what does not | `check.rs`, `routes.rs`, `options.rs` |

mod check;
mod keys;
mod options;
mod read;
#[cfg(test)]
mod reference;
mod routes;
mod source;
#[cfg(test)]
mod tests;
mod tls;
mod values;

use std::path::{Path, PathBuf};

use crate::plan::Plan;
use read::{Context, FILE_BYTES_MAX, Read, reason};
use source::{Level, Span, Spanned};
pub(crate) use values::Wanted;

/// The name of the file when nobody says.
pub(crate) const DEFAULT_FILE: &str = "ajayserver.toml";

/// What came of a file.
pub(crate) struct Loaded {
    /// None if there are errors.
    pub(crate) plan: Option<Plan>,
    /// All errors and warnings, as text.
    pub(crate) report: String,
    pub(crate) errors: usize,
    pub(crate) warnings: usize,
}

/// Reads, checks and compiles a file with all that it includes.
pub(crate) fn load(path: &Path) -> Loaded {
    let mut context = Context::default();
    let mut files = Files::default();
    if let Err(message) = files.read(path, &path.display().to_string(), &mut context) {
        context.problems.error_nowhere(message);
    }
    let plan = check::compile(&files.all, &mut context);
    let errors = context.problems.count(Level::Error);
    Loaded {
        plan: plan.filter(|_| errors == 0),
        report: context.problems.render(&context.sources),
        errors,
        warnings: context.problems.count(Level::Warning),
    }
}

/// The files, in the order in which they were read.
#[derive(Default)]
struct Files {
    all: Vec<keys::File>,
    /// Each by its true path, with the place that includes it.
    seen: Vec<(PathBuf, Option<Span>)>,
}

impl Files {
    /// Reads a file and what it includes. An error says why it cannot be read at all.
    fn read(&mut self, path: &Path, name: &str, context: &mut Context) -> Result<(), String> {
        let cannot = |error: std::io::Error| format!("cannot read {name}: {}", reason(&error));
        let real = path.canonicalize().map_err(cannot)?;
        let metadata = std::fs::metadata(path).map_err(cannot)?;
        if metadata.len() > FILE_BYTES_MAX {
            return Err(format!("{name} is too large for a configuration"));
        }
        let text = std::fs::read_to_string(path).map_err(cannot)?;
        if self.seen.is_empty() {
            self.seen.push((real, None));
        }
        let root = context.parse(name.to_owned(), path, text);
        let Some(mut file) = keys::File::read(&root, context) else {
            return Ok(());
        };
        let is_main = self.all.is_empty();
        if let (Some(server), false) = (&file.server, is_main) {
            context
                .problems
                .error(server.span, "`server` stands in the main file only");
        }
        let includes = file.include.take();
        self.all.push(file);
        for pattern in includes.iter().flat_map(|it| &it.value) {
            self.include(pattern, context);
        }
        Ok(())
    }

    fn include(&mut self, pattern: &Spanned<values::FilePath>, context: &mut Context) {
        let full = context.path(pattern.span, &pattern.value.0);
        let found = match glob::glob(&full.to_string_lossy()) {
            Ok(found) => found,
            Err(error) => {
                let message = format!("`{}` is no pattern: {}", pattern.value.0, error.msg);
                context.problems.error(pattern.span, message);
                return;
            }
        };
        let mut count = 0;
        for path in found {
            count += 1;
            match path {
                Ok(path) => self.include_file(&path, pattern, context),
                Err(error) => {
                    let why = reason(error.error());
                    let message = format!("cannot read {}: {why}", error.path().display());
                    context.problems.error(pattern.span, message);
                }
            }
        }
        let is_pattern = pattern.value.0.contains(['*', '?', '[']);
        match (count, is_pattern) {
            (0, false) => {
                let message = format!("there is no file {}", pattern.value.0);
                context.problems.error(pattern.span, message);
            }
            (0, true) => {
                let message = format!("no file is called {}", pattern.value.0);
                context.problems.warning(pattern.span, message);
            }
            _ => {}
        }
    }

    fn include_file(
        &mut self,
        path: &Path,
        pattern: &Spanned<values::FilePath>,
        context: &mut Context,
    ) {
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if let Some((_, before)) = self.seen.iter().find(|(seen, _)| *seen == real) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let message = format!("{name} is included twice, or includes itself");
            let problem = context.problems.error(pattern.span, message);
            if let Some(before) = before.filter(|before| *before != pattern.span) {
                problem.also(before, "first here");
            }
            return;
        }
        self.seen.push((real, Some(pattern.span)));
        if let Err(message) = self.read(path, &path.display().to_string(), context) {
            context.problems.error(pattern.span, message);
        }
    }
}
