//! The request-line: `method SP request-target SP HTTP-version CRLF` (RFC 9112 §3).
//!
//! | state     | waits for                            | kept while it waits                    |
//! |-----------|--------------------------------------|----------------------------------------|
//! | `Method`  | the space after the method           | how far the token was checked          |
//! | `Target`  | the space after the target           | its start, its query, how far checked  |
//! | `Version` | the ten bytes `HTTP/1.1` CR LF       | start, query and end of the target     |
//!
//! Every verdict depends on the bytes up to one position only, never on how many more have arrived:
//! a line cut into pieces is judged like the whole line.

use ajay_http::{Method, RequestHead, Span, TargetForm, TargetParts, Version, class};

use crate::{
    Violation,
    request_target::{self, Scan},
};

/// The longest method an application can implement. The longest registered one has 17 bytes
/// (`UPDATEREDIRECTREF`).
const METHOD_LEN_MAX: usize = 32;
/// A longer token at the start of a connection is no method that we do not implement (501, §3), but
/// something else than HTTP (400).
const METHOD_LEN_READ_MAX: usize = 256;

/// A request-line being read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RequestLine {
    Method {
        checked: u32,
    },
    Target {
        start: u32,
        checked: u32,
        query: u32,
    },
    Version {
        start: u32,
        end: u32,
        query: u32,
    },
}

impl RequestLine {
    pub(crate) const fn new() -> Self {
        Self::Method { checked: 0 }
    }

    /// How many bytes need not be looked at again, but for a bounded number at the end.
    #[cfg(test)]
    pub(crate) const fn checked(&self) -> u32 {
        match *self {
            Self::Method { checked } | Self::Target { checked, .. } => checked,
            Self::Version { end, .. } => end,
        }
    }

    /// Whether the target is what is being read.
    pub(crate) const fn is_in_target(&self) -> bool {
        matches!(self, Self::Target { .. })
    }

    /// Reads on. `input` starts with the line; returns where the line ends, or `None` if it has not
    /// ended yet. Positions fit a `u32` because the caller bounds `input` by a limit that does.
    #[inline]
    pub(crate) fn parse(
        &mut self,
        input: &[u8],
        head: &mut RequestHead,
        target_bytes_max: u32,
    ) -> Result<Option<usize>, Violation> {
        if let Self::Method { checked: 0 } = self
            && let Some(end) = parse_usual(input, head, target_bytes_max)
        {
            return Ok(Some(end));
        }
        self.parse_stepwise(input, head, target_bytes_max)
    }

    #[cold]
    fn parse_stepwise(
        &mut self,
        input: &[u8],
        head: &mut RequestHead,
        target_bytes_max: u32,
    ) -> Result<Option<usize>, Violation> {
        if let Self::Method { checked } = *self {
            let Some(start) = parse_any_method(input, checked as usize, head)? else {
                *self = Self::Method {
                    checked: input.len() as u32,
                };
                return Ok(None);
            };
            *self = Self::Target {
                start: start as u32,
                checked: start as u32,
                query: 0,
            };
        }
        if let Self::Target {
            start,
            checked,
            query,
        } = *self
        {
            let scan =
                request_target::scan(input, start as usize, checked as usize, query as usize);
            let (Scan::End { at, .. } | Scan::More { at, .. } | Scan::Stop { at, .. }) = scan;
            if at - start as usize > target_bytes_max as usize {
                return Err(Violation::TargetTooLong);
            }
            *self = match scan {
                Scan::End { at, query } => Self::Version {
                    start,
                    end: at as u32,
                    query: query as u32,
                },
                Scan::More { at, query } => {
                    *self = Self::Target {
                        start,
                        checked: at as u32,
                        query: query as u32,
                    };
                    return Ok(None);
                }
                Scan::Stop { violation, .. } => return Err(violation),
            };
        }
        let Self::Version { start, end, query } = *self else {
            return Ok(None);
        };
        let version_start = end as usize + 1;
        let Some(version) = parse_version(input.get(version_start..).unwrap_or_default())? else {
            return Ok(None);
        };
        head.set_version(version);
        head.set_target(target_parts(input, head.method(), start, end, query)?);
        Ok(Some(version_start + VERSION_LINE_LEN))
    }
}

/// Reads a line that is whole and as nearly all are: a method of four, a target in origin-form, a
/// known version. Whatever is not so, or not right, is left to the steps, which judge it.
#[inline(always)]
fn parse_usual(input: &[u8], head: &mut RequestHead, target_bytes_max: u32) -> Option<usize> {
    let (method, start) = match input.first_chunk()? {
        b"GET " => (Method::GET, 4),
        b"POST" if input.get(4) == Some(&b' ') => (Method::POST, 5),
        b"HEAD" if input.get(4) == Some(&b' ') => (Method::HEAD, 5),
        b"PUT " => (Method::PUT, 4),
        _ => return None,
    };
    let target = input.get(start..)?;
    if target.first() != Some(&b'/') {
        return None;
    }
    let (mut len, mut query) = request_target::plain_origin_form(target);
    if target.get(len) == Some(&b'%') {
        let Scan::End { at, query: place } = request_target::scan_origin_form(target, len, query)
        else {
            return None;
        };
        (len, query) = (at, place);
    }
    if len > target_bytes_max as usize || target.get(len) != Some(&b' ') {
        return None;
    }
    let (at, query) = (start + len, if query == 0 { 0 } else { start + query });
    let (_, after) = target.split_at_checked(len + 1)?;
    // Compared as a whole: a pattern would be compared byte by byte.
    let version_line: &[u8; VERSION_LINE_LEN] = after.first_chunk()?;
    let version = if version_line == b"HTTP/1.1\r\n" {
        Version::HTTP_11
    } else if version_line == b"HTTP/1.0\r\n" {
        Version::HTTP_10
    } else {
        return None;
    };
    // A cleared head has GET and 1.1 already.
    if method != Method::GET {
        head.set_method(method);
    }
    head.set_version(version);
    head.set_target(origin_form(start as u32, at as u32, query as u32));
    Some(at + 1 + VERSION_LINE_LEN)
}

#[cold]
fn parse_any_method(
    input: &[u8],
    checked: usize,
    head: &mut RequestHead,
) -> Result<Option<usize>, Violation> {
    for (at, &byte) in input.iter().enumerate().skip(checked) {
        if byte == b' ' && at > METHOD_LEN_MAX {
            return Err(Violation::MethodTooLong);
        }
        if byte == b' ' && at > 0 {
            let name = input.get(..at).unwrap_or_default();
            head.set_method(Method::from_bytes(name).map_err(|_| Violation::MethodInvalid)?);
            return Ok(Some(at + 1));
        }
        if !class::TCHAR[usize::from(byte)] || at >= METHOD_LEN_READ_MAX {
            return Err(Violation::MethodInvalid);
        }
    }
    Ok(None)
}

const VERSION_LINE_LEN: usize = b"HTTP/1.1\r\n".len();

/// Reads `HTTP-version CRLF` (RFC 9112 §2.3).
fn parse_version(input: &[u8]) -> Result<Option<Version>, Violation> {
    for (at, &byte) in input.iter().enumerate().take(VERSION_LINE_LEN) {
        let fits = match at {
            0 if byte == b'\r' || byte == b'\n' => return Err(Violation::VersionMissing),
            5 | 7 => byte.is_ascii_digit(),
            8 if byte == b'\n' => return Err(Violation::BareLf),
            9 if byte != b'\n' => return Err(Violation::BareCr),
            _ => b"HTTP/1.1\r\n".get(at) == Some(&byte),
        };
        if !fits {
            return Err(Violation::VersionInvalid);
        }
    }
    match input.first_chunk() {
        Some(b"HTTP/1.1\r\n") => Ok(Some(Version::HTTP_11)),
        Some(b"HTTP/1.0\r\n") => Ok(Some(Version::HTTP_10)),
        Some(_) => Err(Violation::VersionNotSupported),
        None => Ok(None),
    }
}

/// Decides which form the target has, and whether the method may have it (RFC 9112 §3.2).
fn target_parts(
    input: &[u8],
    method: &Method,
    start: u32,
    end: u32,
    query: u32,
) -> Result<TargetParts, Violation> {
    if input.get(start as usize) != Some(&b'/') {
        let text = span(start, end).of(input);
        return request_target::other_form(text, start, method);
    }
    if *method == Method::CONNECT {
        return Err(Violation::TargetFormNotForMethod);
    }
    Ok(origin_form(start, end, query))
}

/// An origin-form between `start` and `end` whose query starts at `query`, if that is not zero.
#[inline(always)]
fn origin_form(start: u32, end: u32, query: u32) -> TargetParts {
    let (path_end, query) = if query == 0 {
        (end, None)
    } else {
        (query - 1, Some(span(query, end)))
    };
    TargetParts {
        form: TargetForm::Origin,
        target: span(start, end),
        path: span(start, path_end),
        query,
        authority: None,
        scheme: None,
    }
}

#[inline(always)]
fn span(from: u32, to: u32) -> Span {
    Span {
        start: from,
        len: to.saturating_sub(from),
    }
}
