//! The parts of a request target: which bytes a path and a query may have, and what an authority is
//! (RFC 3986, RFC 9110 §4.2).
//!
//! What we allow beyond the ABNF of RFC 3986, because browsers following the WHATWG URL standard
//! send it unencoded: `|`, `^`, `[` and `]` in path and query; `` ` ``, `{`, `}` and `\` in the query. None of
//! them ends, splits or re-routes a message. All else that is no `pchar`, `/` or `?` is refused:
//! controls, space, `"`, `<`, `>`, `#` and bytes above 0x7F.

use std::net::Ipv6Addr;

use crate::class;

/// Why a path or query was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum InvalidTarget {
    /// A byte that may not stand there.
    Byte,
    /// A percent sign without two hexadecimal digits.
    Percent,
}

/// Checks a path with its query; returns where the query starts, if there is one.
///
/// # Errors
/// It has a byte that may not stand where it stands.
#[inline]
pub fn check_path_and_query(text: &[u8]) -> Result<Option<usize>, InvalidTarget> {
    let mut at = 0;
    let mut query = None;
    loop {
        at = skip(text, at, if query.is_none() { IN_PATH } else { IN_QUERY });
        match text.get(at) {
            None => return Ok(query),
            Some(b'?') => {
                at += 1;
                query = Some(at);
            }
            Some(b'%') if pct_encoded(text.get(at + 1..).unwrap_or_default()) == Some(true) => {
                at += 3;
            }
            Some(b'%') => return Err(InvalidTarget::Percent),
            Some(_) => return Err(InvalidTarget::Byte),
        }
    }
}

/// Checks a whole path or query.
///
/// # Errors
/// It has a byte that is not of the class.
pub fn check(text: &[u8], class: u8) -> Result<(), InvalidTarget> {
    let mut at = skip(text, 0, class);
    while let Some(&byte) = text.get(at) {
        if byte != b'%' {
            return Err(InvalidTarget::Byte);
        }
        if pct_encoded(text.get(at + 1..).unwrap_or_default()) != Some(true) {
            return Err(InvalidTarget::Percent);
        }
        at = skip(text, at + 3, class);
    }
    Ok(())
}

/// What the protocol cores ask of an authority.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Authority {
    /// There is nothing before the port.
    pub host_is_empty: bool,
    /// `None` if there is no port, or an empty one.
    pub port: Option<u16>,
}

/// `uri-host [ ":" port ]` (RFC 9110 §7.2): an authority without userinfo. `None` if `text` is not
/// one, or the port is larger than 65 535.
#[inline(always)]
#[must_use]
pub fn authority(text: &[u8]) -> Option<Authority> {
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

/// Whether the two digits after a percent sign are good; `None` if they have not arrived.
#[inline]
#[must_use]
pub fn pct_encoded(digits: &[u8]) -> Option<bool> {
    match digits {
        [high, low, ..] => Some(high.is_ascii_hexdigit() && low.is_ascii_hexdigit()),
        [high] if !high.is_ascii_hexdigit() => Some(false),
        _ => None,
    }
}

/// Skips the bytes of a class, four at a time and then one at a time; returns where it stops.
#[inline]
#[must_use]
pub fn skip(input: &[u8], from: usize, class: u8) -> usize {
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

/// The class of a path's bytes.
pub const IN_PATH: u8 = 1;
/// The class of a query's bytes.
pub const IN_QUERY: u8 = 2;

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

#[cfg(test)]
mod tests;
