//! Paths as routes name them.

use super::path::{PathError, normalise};
use super::table::CAPTURES_MAX;

/// A path: a whole one, one with `{name}` for a part, or the beginning of one, with `/*` at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    pub(super) text: String,
    pub(super) segments: Vec<Segment>,
    /// Of `{name}` in order, and `rest` for the `*`.
    pub(super) names: Vec<Box<str>>,
}

/// The order is that in which parts are tried.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Segment {
    Literal(Box<str>),
    /// A part that is not empty.
    Capture,
    /// All that is left, or nothing.
    Rest,
}

/// What templates know besides: no pattern may use these names.
pub(crate) const RESERVED: [&str; 5] = ["host", "path", "query", "uri", "rest"];

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Pattern, String> {
        let Some(inner) = text.strip_prefix('/') else {
            return Err(format!("`{text}` is no path: it has to begin with `/`"));
        };
        let mut pattern = Pattern {
            text: text.to_owned(),
            segments: Vec::new(),
            names: Vec::new(),
        };
        let mut parts = inner.split('/').peekable();
        while let Some(part) = parts.next() {
            let segment = match part {
                "*" if parts.peek().is_none() => {
                    pattern.names.push("rest".into());
                    Segment::Rest
                }
                part if part.contains('*') => {
                    return Err(format!(
                        "`{text}` is no path: `*` stands only at the end, after a slash; use `path_regex` for more"
                    ));
                }
                part if part.contains(['{', '}']) => {
                    pattern.names.push(name_of(text, part, &pattern.names)?);
                    Segment::Capture
                }
                part => Segment::Literal(literal(text, part)?),
            };
            pattern.segments.push(segment);
        }
        match pattern.names.len() > CAPTURES_MAX {
            true => Err(format!(
                "`{text}` has more than {CAPTURES_MAX} parts with names"
            )),
            false => Ok(pattern),
        }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// Equal for patterns that stand for the same paths.
    pub(crate) fn shape(&self) -> String {
        let parts = self.segments.iter().map(|segment| match segment {
            Segment::Literal(text) => text,
            Segment::Capture => "{}",
            Segment::Rest => "*",
        });
        parts.fold(String::new(), |shape, part| shape + "/" + part)
    }

    /// Whether it has a `*` at its end.
    pub(crate) fn is_prefix(&self) -> bool {
        self.segments.last() == Some(&Segment::Rest)
    }

    /// Whether it is for every path.
    pub(crate) fn is_everything(&self) -> bool {
        self.segments == [Segment::Rest]
    }

    /// The path, if it is for one only.
    pub(super) fn whole(&self) -> Option<String> {
        let mut path = String::new();
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => {
                    path.push('/');
                    path.push_str(text);
                }
                _ => return None,
            }
        }
        Some(path)
    }
}

fn name_of(text: &str, part: &str, known: &[Box<str>]) -> Result<Box<str>, String> {
    let name = part
        .strip_prefix('{')
        .and_then(|part| part.strip_suffix('}'))
        .ok_or_else(|| {
            format!("`{text}` is no path: `{{name}}` stands for all between two slashes")
        })?;
    let is_name = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !is_name {
        return Err(format!(
            "`{name}` is no name for a part of a path; use lower-case letters, digits and `_`"
        ));
    }
    if RESERVED.contains(&name) {
        return Err(format!(
            "`{{{name}}}` has a meaning already; give the part of the path another name"
        ));
    }
    match known.iter().any(|other| **other == *name) {
        true => Err(format!("`{text}` has two parts with the name `{name}`")),
        false => Ok(name.into()),
    }
}

/// A part as it is in the normal form of paths.
fn literal(text: &str, part: &str) -> Result<Box<str>, String> {
    if let Some(c) = part.chars().find(|c| matches!(c, '?' | '#')) {
        return Err(format!(
            "`{text}` is no path: `{c}` is not part of one; see `query` for what follows `?`"
        ));
    }
    if let Some(c) = part.chars().find(|c| *c <= ' ' || *c == '\x7f') {
        return Err(format!(
            "`{text}` is no path: {c:?} has to be written as %{:02X}",
            u32::from(c)
        ));
    }
    let mut encoded = String::new();
    for c in part.chars() {
        match c.is_ascii() {
            true => encoded.push(c),
            false => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    encoded.push_str(&format!("%{byte:02X}"));
                }
            }
        }
    }
    let path = format!("/{encoded}");
    match normalise(&path, true) {
        Ok(normal) if matches!(&*encoded, "." | "..") || normal.len() < 2 && !part.is_empty() => {
            Err(format!(
                "`{text}` is no path: `{part}` never reaches a route"
            ))
        }
        Ok(normal) => Ok(normal[1..].into()),
        Err(error @ (PathError::Percent | PathError::Nul | PathError::Separator)) => {
            Err(format!("`{text}` is no path: it has {error}"))
        }
        Err(PathError::NotAbsolute) => Err(format!("`{text}` is no path")),
    }
}
