//! Request targets (RFC 9112 §3.2): their bytes and their four forms.
//!
//! Which bytes a path and a query may have, and what an authority is, stands in [`ajay_http::target`].

pub(crate) use ajay_http::target::{Authority, authority};
use ajay_http::{
    Method, Span, TargetForm, TargetParts, class,
    target::{self, IN_PATH, IN_QUERY, InvalidTarget, pct_encoded, skip},
};

use crate::Violation;

/// What a scan over a target found. `query` is where the query starts, zero if there is none.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scan {
    /// The space after the target.
    End { at: usize, query: usize },
    /// The input ends inside the target; all before `at` is good.
    More { at: usize, query: usize },
    /// A byte that may not stand here.
    Stop { at: usize, violation: Violation },
}

/// Scans the target that starts at `start`, going on at `checked`, for the space that ends it.
///
/// An origin-form is checked completely; of the other forms, which are rare, only that they are
/// visible ASCII: [`other_form`] does the rest when the line is complete.
#[cold]
pub(crate) fn scan(input: &[u8], start: usize, checked: usize, query: usize) -> Scan {
    match input.get(start) {
        Some(b'/') => scan_origin_form(input, checked, query),
        Some(b' ') => Scan::Stop {
            at: start,
            violation: Violation::TargetMissing,
        },
        Some(_) => scan_visible(input, checked),
        None => Scan::More { at: checked, query },
    }
}

/// The length of the origin-form that `text` begins with and where its query starts in it, as in
/// [`Scan`]: up to a space, a percent sign, or a byte that may not stand there.
#[inline(always)]
pub(crate) fn plain_origin_form(text: &[u8]) -> (usize, usize) {
    let path_len = skip(text, 0, IN_PATH);
    if text.get(path_len) == Some(&b'?') {
        (skip(text, path_len + 1, IN_QUERY), path_len + 1)
    } else {
        (path_len, 0)
    }
}

/// Scans an origin-form, whose query starts at `query` if that is not zero.
pub(crate) fn scan_origin_form(input: &[u8], checked: usize, mut query: usize) -> Scan {
    let mut at = checked;
    loop {
        let allowed = if query == 0 { IN_PATH } else { IN_QUERY };
        at = skip(input, at, allowed);
        match input.get(at) {
            Some(b' ') => return Scan::End { at, query },
            Some(b'?') => {
                at += 1;
                query = at;
            }
            Some(b'%') => match pct_encoded(input.get(at + 1..).unwrap_or_default()) {
                Some(true) => at += 3,
                Some(false) => {
                    return Scan::Stop {
                        at,
                        violation: Violation::TargetPercentInvalid,
                    };
                }
                None => return Scan::More { at, query },
            },
            Some(&byte) => {
                return Scan::Stop {
                    at,
                    violation: refuse(byte),
                };
            }
            None => return Scan::More { at, query },
        }
    }
}

#[cold]
fn scan_visible(input: &[u8], checked: usize) -> Scan {
    for (at, &byte) in input.iter().enumerate().skip(checked) {
        if byte == b' ' {
            return Scan::End { at, query: 0 };
        }
        if !class::is_vchar(byte) {
            return Scan::Stop {
                at,
                violation: refuse(byte),
            };
        }
    }
    Scan::More {
        at: input.len(),
        query: 0,
    }
}

const fn refuse(byte: u8) -> Violation {
    // The line ends where the space before the version should be.
    if matches!(byte, b'\r' | b'\n') {
        Violation::VersionMissing
    } else {
        Violation::TargetInvalid
    }
}

/// Takes a target apart that is not in origin-form. `start` is its place in the head.
#[cold]
pub(crate) fn other_form(
    text: &[u8],
    start: u32,
    method: &Method,
) -> Result<TargetParts, Violation> {
    let target = Span {
        start,
        len: text.len() as u32,
    };
    if *method == Method::CONNECT {
        // authority-form = uri-host ":" port; the port must be there (RFC 9110 §9.3.6).
        return match authority(text) {
            Some(Authority {
                host_is_empty: false,
                port: Some(1..),
            }) => Ok(TargetParts {
                form: TargetForm::Authority,
                target,
                authority: Some(target),
                ..TargetParts::default()
            }),
            None if split_scheme(text).is_some() => Err(Violation::TargetFormNotForMethod),
            _ => Err(Violation::TargetAuthorityInvalid),
        };
    }
    if text == b"*" {
        if *method != Method::OPTIONS {
            return Err(Violation::TargetFormNotForMethod);
        }
        return Ok(TargetParts {
            form: TargetForm::Asterisk,
            target,
            path: target,
            ..TargetParts::default()
        });
    }
    absolute_form(text, target)
}

/// `absolute-form`, as far as HTTP schemes have it: `scheme "://" authority path-abempty
/// [ "?" query ]` (RFC 9112 §3.2.2, RFC 9110 §4.2).
fn absolute_form(text: &[u8], target: Span) -> Result<TargetParts, Violation> {
    let Some((scheme, rest)) = split_scheme(text) else {
        let is_authority = authority(text).is_some_and(|authority| authority.port.is_some());
        return Err(if is_authority {
            Violation::TargetFormNotForMethod
        } else {
            Violation::TargetFormInvalid
        });
    };
    let authority_len = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?'))
        .unwrap_or(rest.len());
    let (host_and_port, path_and_query) = rest.split_at_checked(authority_len).unwrap_or_default();
    if authority(host_and_port).is_none_or(|authority| authority.host_is_empty) {
        return Err(Violation::TargetAuthorityInvalid);
    }
    let path_len = path_and_query.iter().position(|&byte| byte == b'?');
    let (path, query) = match path_len {
        Some(at) => (path_and_query.get(..at), path_and_query.get(at + 1..)),
        None => (Some(path_and_query), None),
    };
    check(path.unwrap_or_default(), IN_PATH)?;
    check(query.unwrap_or_default(), IN_QUERY)?;

    let mut at = target.start;
    let mut next = |len: usize, gap: u32| {
        let span = Span {
            start: at,
            len: len as u32,
        };
        at = at.saturating_add(len as u32 + gap);
        span
    };
    Ok(TargetParts {
        form: TargetForm::Absolute,
        target,
        scheme: Some(next(scheme.len(), SCHEME_END.len() as u32)),
        authority: Some(next(host_and_port.len(), 0)),
        path: next(path.unwrap_or_default().len(), 1),
        query: query.map(|query| next(query.len(), 0)),
    })
}

const SCHEME_END: &[u8] = b"://";

/// `scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )` (RFC 3986 §3.1), and what follows `://`.
fn split_scheme(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = text.iter().position(|&byte| byte == b':')?;
    let (scheme, rest) = text.split_at_checked(len)?;
    let is_scheme = scheme.first()?.is_ascii_alphabetic()
        && scheme
            .iter()
            .all(|&byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    is_scheme.then_some((scheme, rest.strip_prefix(SCHEME_END)?))
}

fn check(text: &[u8], class: u8) -> Result<(), Violation> {
    target::check(text, class).map_err(|invalid| match invalid {
        InvalidTarget::Byte => Violation::TargetInvalid,
        InvalidTarget::Percent => Violation::TargetPercentInvalid,
    })
}

#[cfg(test)]
mod tests;
