//! Byte classes of the HTTP grammar as tables, each computed from a predicate written like the
//! ABNF it implements.

/// A table of one `bool` per byte value.
pub type Table = [bool; 256];

macro_rules! table {
    ($(#[$doc:meta])* $name:ident, $predicate:ident) => {
        $(#[$doc])*
        pub static $name: Table = {
            let mut table = [false; 256];
            let mut byte = 0;
            while byte < 256 {
                table[byte] = $predicate(byte as u8);
                byte += 1;
            }
            table
        };
    };
}

table! {
    /// `tchar` (RFC 9110 §5.6.2): the bytes of a token, hence of a method or field name.
    TCHAR, is_tchar
}
table! {
    /// Bytes allowed inside a field value (RFC 9110 §5.5): `field-vchar`, SP and HTAB.
    FIELD_VALUE, is_field_value_byte
}
table! {
    /// `qdtext` (RFC 9110 §5.6.4): bytes of a quoted-string that need no backslash.
    QDTEXT, is_qdtext
}
table! {
    /// `pchar` without `pct-encoded`, and `/` (RFC 3986 §3.3).
    PATH, is_path_byte
}
table! {
    /// Bytes of a `reg-name` without `pct-encoded` (RFC 3986 §3.2.2).
    REG_NAME, is_reg_name_byte
}

/// `tchar = "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "." / "^" / "_" / "`" / "|" /
/// "~" / DIGIT / ALPHA` (RFC 9110 §5.6.2).
#[must_use]
pub const fn is_tchar(byte: u8) -> bool {
    matches!(
        byte,
        b'!' | b'#'
            | b'$'
            | b'%'
            | b'&'
            | b'\''
            | b'*'
            | b'+'
            | b'-'
            | b'.'
            | b'^'
            | b'_'
            | b'`'
            | b'|'
            | b'~'
    ) || byte.is_ascii_alphanumeric()
}

/// `VCHAR = %x21-7E` (RFC 5234 appendix B.1).
#[must_use]
pub const fn is_vchar(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e)
}

/// `obs-text = %x80-FF` (RFC 9110 §5.5).
#[must_use]
pub const fn is_obs_text(byte: u8) -> bool {
    byte >= 0x80
}

/// `field-vchar = VCHAR / obs-text` (RFC 9110 §5.5).
#[must_use]
pub const fn is_field_vchar(byte: u8) -> bool {
    is_vchar(byte) || is_obs_text(byte)
}

/// `OWS = *( SP / HTAB )` (RFC 9110 §5.6.3).
#[must_use]
pub const fn is_ows(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// `field-content` uses `field-vchar`, SP and HTAB (RFC 9110 §5.5).
#[must_use]
pub const fn is_field_value_byte(byte: u8) -> bool {
    is_field_vchar(byte) || is_ows(byte)
}

/// `qdtext = HTAB / SP / %x21 / %x23-5B / %x5D-7E / obs-text` (RFC 9110 §5.6.4).
#[must_use]
pub const fn is_qdtext(byte: u8) -> bool {
    is_ows(byte) || matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e) || is_obs_text(byte)
}

/// `unreserved = ALPHA / DIGIT / "-" / "." / "_" / "~"` (RFC 3986 §2.3).
#[must_use]
pub const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// `sub-delims = "!" / "$" / "&" / "'" / "(" / ")" / "*" / "+" / "," / ";" / "="` (RFC 3986 §2.2).
#[must_use]
pub const fn is_sub_delim(byte: u8) -> bool {
    matches!(
        byte,
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
    )
}

/// `pchar = unreserved / pct-encoded / sub-delims / ":" / "@"` without `pct-encoded`, and the `/`
/// between segments (RFC 3986 §3.3).
#[must_use]
pub const fn is_path_byte(byte: u8) -> bool {
    is_unreserved(byte) || is_sub_delim(byte) || matches!(byte, b':' | b'@' | b'/')
}

/// `reg-name = *( unreserved / pct-encoded / sub-delims )` without `pct-encoded` (RFC 3986 §3.2.2).
#[must_use]
pub const fn is_reg_name_byte(byte: u8) -> bool {
    is_unreserved(byte) || is_sub_delim(byte)
}

/// Whether `name` is a field name: `field-name = token`, `token = 1*tchar` (RFC 9110 §5.1).
#[must_use]
pub fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|&byte| TCHAR[usize::from(byte)])
}

/// Whether every byte of `value` may stand in a field value (RFC 9110 §5.5).
#[must_use]
pub fn is_field_value(value: &[u8]) -> bool {
    value.iter().all(|&byte| FIELD_VALUE[usize::from(byte)])
}

/// `value` without leading and trailing optional whitespace (RFC 9110 §5.6.3).
#[must_use]
pub fn trim_ows(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// The elements of a comma-separated list in one field value, without surrounding whitespace.
///
/// Commas inside quoted strings do not separate. Empty elements are skipped, as a recipient must
/// (RFC 9110 §5.6.1.2).
pub fn list_elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    raw_list_elements(value).filter(|element| !element.is_empty())
}

/// Like [`list_elements`], but empty elements are shown: for rules stricter than §5.6.1.2.
pub fn raw_list_elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let value = rest?;
        let (mut quoted, mut escaped) = (false, false);
        let comma = value.iter().position(|&byte| {
            if escaped {
                escaped = false;
            } else if quoted && byte == b'\\' {
                escaped = true;
            } else if byte == b'"' {
                quoted = !quoted;
            } else {
                return byte == b',' && !quoted;
            }
            false
        });
        let (element, after) = match comma {
            Some(comma) => (value.get(..comma)?, value.get(comma + 1..)),
            None => (value, None),
        };
        rest = after;
        Some(trim_ows(element))
    })
}

#[cfg(test)]
mod tests;
