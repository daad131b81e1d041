//! Tells a client that speaks plain HTTP on a TLS port.

/// Whether the first bytes of a connection are those of an HTTP request, so that it can be answered
/// in the clear. The first byte decides: a TLS record begins with its content type, which is no
/// letter (RFC 8446 §5.1), and a request line, as well as HTTP/2's preface, with one.
///
/// Of what follows only a few bytes are looked at, to keep other protocols from a pointless answer.
#[must_use]
pub fn looks_like_http(first: &[u8]) -> bool {
    let looked_at = &first[..first.len().min(METHOD_LOOKED_AT)];
    let method = looked_at
        .iter()
        .position(|&byte| byte == b' ')
        .unwrap_or(looked_at.len());
    method > 0
        && looked_at[0].is_ascii_alphabetic()
        && looked_at[..method]
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// `OPTIONS ` is the longest of the usual methods.
const METHOD_LOOKED_AT: usize = 8;

#[cfg(test)]
mod tests;
