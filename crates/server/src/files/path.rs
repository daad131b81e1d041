//! From a request's path to a file's.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use crate::Request;

/// The part of a request's path that names a file; see [`Files`](super::Files).
pub(super) fn of(request: &Request) -> &str {
    match request.route_pattern() {
        None => {
            let path = request.path();
            path.strip_prefix('/').unwrap_or(path)
        }
        Some(pattern) => match pattern.rfind("{*") {
            Some(_) => request.params().last().map_or("", |(_, value)| value),
            None => "",
        },
    }
}

/// The relative path that this one means, with a slash at its end if it is that of a directory.
/// None for one that names nothing below the root: with empty, `.` or `..` segments, with a slash
/// or NUL in one, or hidden.
pub(super) fn below(path: &str, has_dot_files: bool) -> Option<PathBuf> {
    let mut found = Vec::with_capacity(path.len());
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        let start = found.len();
        found.extend(percent_decode_str(segment));
        match &found[start..] {
            [] if is_last => break,
            [] | b"." | b".." => return None,
            [b'.', ..] if !has_dot_files => return None,
            name if name.contains(&b'/') || name.contains(&0) => return None,
            _ => {}
        }
        if !is_last {
            found.push(b'/');
        }
    }
    Some(OsString::from_vec(found).into())
}
