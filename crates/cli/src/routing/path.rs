//! Paths of requests in the one form that routes are compared with.

use std::borrow::Cow;
use std::fmt;

/// Why a path is refused: 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathError {
    /// `%` without two hexadecimal digits.
    Percent,
    /// `%00`: what comes after it may be lost elsewhere.
    Nul,
    /// `%2F`, `%5C` or a backslash, which some take for what separates names.
    Separator,
    /// It does not begin with a slash.
    NotAbsolute,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PathError::Percent => "a `%` without two hexadecimal digits after it",
            PathError::Nul => "an encoded NUL",
            PathError::Separator => {
                "an encoded slash, or a backslash (see `encoded_slashes` of the site)"
            }
            PathError::NotAbsolute => "it does not begin with `/`",
        })
    }
}

/// The path with unreserved characters decoded (RFC 3986 §6.2.2.2), the digits of other escapes in
/// upper case (§6.2.2.1) and without dot segments (§5.2.4). `//` stays.
pub(crate) fn normalise(path: &str, encoded_slashes: bool) -> Result<Cow<'_, str>, PathError> {
    let bytes = path.as_bytes();
    if bytes.first() != Some(&b'/') {
        return Err(PathError::NotAbsolute);
    }
    // Most paths have neither escapes nor a part that begins with a dot.
    let is_plain = !bytes.iter().any(|byte| matches!(byte, b'%' | b'\\'))
        && !bytes.windows(2).any(|pair| pair == b"/.");
    if is_plain {
        return Ok(Cow::Borrowed(path));
    }
    let decoded = decode_unreserved(path, encoded_slashes)?;
    Ok(Cow::Owned(without_dot_segments(&decoded)))
}

fn decode_unreserved(path: &str, encoded_slashes: bool) -> Result<String, PathError> {
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find(['%', '\\']) {
        decoded.push_str(&rest[..at]);
        if rest.as_bytes()[at] == b'\\' {
            return Err(PathError::Separator);
        }
        let digit = |place: usize| {
            let byte = *rest.as_bytes().get(at + place)?;
            char::from(byte).to_digit(16)
        };
        let (Some(high), Some(low)) = (digit(1), digit(2)) else {
            return Err(PathError::Percent);
        };
        // Two digits of four bits each.
        let byte = (high << 4 | low) as u8;
        match byte {
            0 => return Err(PathError::Nul),
            b'/' | b'\\' if !encoded_slashes => return Err(PathError::Separator),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                decoded.push(char::from(byte));
            }
            _ => decoded.push_str(&format!("%{byte:02X}")),
        }
        rest = &rest[at + 3..];
    }
    decoded.push_str(rest);
    Ok(decoded)
}

fn without_dot_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    // What comes before the first slash is empty.
    let mut segments = path[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}
