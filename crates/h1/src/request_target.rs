//! Request targets (RFC 9112 §3.2): their bytes and their four forms.
//!
//! What we allow beyond the ABNF of RFC 3986, because browsers following the WHATWG URL standard
//! send it unencoded: `|`, `^`, `[` and `]` in path and query; `` ` ``, `{`, `}` and `\` in the query. None of
//! them ends, splits or re-routes a message. All else that is no `pchar`, `/` or `?` is refused:
//! controls, space, `"`, `<`, `>`, `#` and bytes above 0x7F.

use std::net::Ipv6Addr;

use ajay_http::{Method, Span, TargetForm, TargetParts, class};

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

/// Whether the two digits after a percent sign are good; `None` if they have not arrived.
fn pct_encoded(digits: &[u8]) -> Option<bool> {
    match digits {
        [high, low, ..] => Some(high.is_ascii_hexdigit() && low.is_ascii_hexdigit()),
        [high] if !high.is_ascii_hexdigit() => Some(false),
        _ => None,
    }
}

/// Skips the bytes of a class, four at a time and then one at a time; returns where it stops.
#[inline]
fn skip(input: &[u8], from: usize, class: u8) -> usize {
    let is_in = |byte: u8| TARGET_CLASSES[usize::from(byte)] & class;
    let mut rest = input.get(from..).unwrap_or_default();
    while let Some((&[a, b, c, d], after)) = rest.split_first_chunk() {
        if is_in(a) & is_in(b) & is_in(c) & is_in(d) == 0 {
            break;
        }
        rest = after;
    }
    while let [byte, after @ ..] = rest
        && is_in(*byte) != 0
    {
        rest = after;
    }
    input.len() - rest.len()
}

const IN_PATH: u8 = 1;
const IN_QUERY: u8 = 2;

/// The classes of each byte but `%`, which needs a look at what follows.
static TARGET_CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        if is_path_byte(byte as u8) {
            classes[byte] |= IN_PATH;
        }
        if is_query_byte(byte as u8) {
            classes[byte] |= IN_QUERY;
        }
        byte += 1;
    }
    classes
};

/// `absolute-path` bytes, and what browsers send in one.
const fn is_path_byte(byte: u8) -> bool {
    class::is_path_byte(byte) || matches!(byte, b'|' | b'^' | b'[' | b']')
}

/// `query = *( pchar / "/" / "?" )` bytes (RFC 3986 §3.4), and what browsers send in one.
const fn is_query_byte(byte: u8) -> bool {
    is_path_byte(byte) || matches!(byte, b'?' | b'`' | b'{' | b'}' | b'\\')
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

/// Checks a whole path or query.
fn check(text: &[u8], class: u8) -> Result<(), Violation> {
    let mut at = skip(text, 0, class);
    while let Some(&byte) = text.get(at) {
        if byte != b'%' {
            return Err(Violation::TargetInvalid);
        }
        if pct_encoded(text.get(at + 1..).unwrap_or_default()) != Some(true) {
            return Err(Violation::TargetPercentInvalid);
        }
        at = skip(text, at + 3, class);
    }
    Ok(())
}

/// What the rest of this crate asks of an authority.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Authority {
    pub(crate) host_is_empty: bool,
    /// `None` if there is no port, or an empty one.
    pub(crate) port: Option<u16>,
}

/// `uri-host [ ":" port ]` (RFC 9110 §7.2): an authority without userinfo. `None` if `text` is not
/// one, or the port is larger than 65 535.
#[inline(always)]
pub(crate) fn authority(text: &[u8]) -> Option<Authority> {
    let host_len = if text.first() == Some(&b'[') {
        ip_literal_len(text)?
    } else {
        reg_name_len(text)?
    };
    let port = match text.get(host_len..)? {
        [] | [b':'] => None,
        [b':', digits @ ..] => Some(port(digits)?),
        _ => return None,
    };
    Some(Authority {
        host_is_empty: host_len == 0,
        port,
    })
}

/// The length of the `reg-name` (which includes `IPv4address`) that `text` starts with.
#[inline(always)]
fn reg_name_len(text: &[u8]) -> Option<usize> {
    let is_in = |byte: u8| class::REG_NAME[usize::from(byte)];
    let mut rest = text;
    while let Some((&[a, b, c, d], after)) = rest.split_first_chunk() {
        if !(is_in(a) & is_in(b) & is_in(c) & is_in(d)) {
            break;
        }
        rest = after;
    }
    while let [byte, after @ ..] = rest {
        if is_in(*byte) {
            rest = after;
        } else if *byte == b'%' {
            if pct_encoded(after) != Some(true) {
                return None;
            }
            rest = after.get(2..)?;
        } else {
            break;
        }
    }
    Some(text.len() - rest.len())
}

/// The length of the `IP-literal` that `text` starts with (RFC 3986 §3.2.2).
#[cold]
fn ip_literal_len(text: &[u8]) -> Option<usize> {
    let end = text.iter().position(|&byte| byte == b']')?;
    let inside = std::str::from_utf8(text.get(1..end)?).ok()?;
    let valid = match inside.strip_prefix(['v', 'V']) {
        Some(future) => is_ip_future(future),
        None => inside.parse::<Ipv6Addr>().is_ok(),
    };
    valid.then_some(end + 1)
}

/// `IPvFuture = "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )`, after the `v`.
fn is_ip_future(text: &str) -> bool {
    text.split_once('.').is_some_and(|(version, address)| {
        let is_address_byte = |byte: u8| class::is_reg_name_byte(byte) || byte == b':';
        !version.is_empty()
            && version.bytes().all(|byte| byte.is_ascii_hexdigit())
            && !address.is_empty()
            && address.bytes().all(is_address_byte)
    })
}

#[inline]
fn port(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0_u16, |port, byte| {
        let digit = byte.is_ascii_digit().then(|| u16::from(byte - b'0'))?;
        port.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests;
