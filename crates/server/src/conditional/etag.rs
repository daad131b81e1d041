//! Entity tags (RFC 9110 §8.8.3).

use std::fmt;

/// An entity tag: a name for one state of some content.
///
/// A strong one says that the bytes are the same; a weak one that they mean the same.
///
/// ```
/// # use ajayserver::conditional::ETag;
/// let (strong, weak) = (ETag::strong("v7").unwrap(), ETag::weak("v7").unwrap());
/// assert_eq!((strong.as_str(), weak.as_str()), (r#""v7""#, r#"W/"v7""#));
/// assert!(strong.weak_eq(&weak) && !strong.strong_eq(&weak));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ETag {
    /// INVARIANT: `entity-tag` of the RFC's grammar.
    text: Box<str>,
}

/// The text cannot stand in an entity tag: a quote, white space or a control character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidETag;

impl fmt::Display for InvalidETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entity tag holds no quotes, white space and control characters")
    }
}

impl std::error::Error for InvalidETag {}

impl ETag {
    /// A strong tag; the quotes are added here.
    ///
    /// # Errors
    /// [`InvalidETag`] if the text holds what cannot stand between the quotes.
    pub fn strong(opaque: &str) -> Result<ETag, InvalidETag> {
        ETag::new("", opaque)
    }

    /// A weak tag; `W/` and the quotes are added here.
    ///
    /// # Errors
    /// As [`strong`](ETag::strong).
    pub fn weak(opaque: &str) -> Result<ETag, InvalidETag> {
        ETag::new("W/", opaque)
    }

    fn new(prefix: &str, opaque: &str) -> Result<ETag, InvalidETag> {
        if !opaque.bytes().all(is_etagc) {
            return Err(InvalidETag);
        }
        let text = format!("{prefix}\"{opaque}\"").into();
        Ok(ETag { text })
    }

    /// The tag that is all of a field's value.
    pub fn parse(value: &[u8]) -> Option<ETag> {
        let (tag, rest) = take(value)?;
        rest.is_empty().then_some(tag)
    }

    /// As it stands in fields.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is weak.
    pub fn is_weak(&self) -> bool {
        self.text.starts_with('W')
    }

    /// Whether both are strong and the same (RFC 9110 §8.8.3.2).
    pub fn strong_eq(&self, other: &ETag) -> bool {
        !self.is_weak() && self.text == other.text
    }

    /// Whether both are the same, weak or not (RFC 9110 §8.8.3.2).
    pub fn weak_eq(&self, other: &ETag) -> bool {
        self.quoted() == other.quoted()
    }

    fn quoted(&self) -> &str {
        self.text.strip_prefix("W/").unwrap_or(&self.text)
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The tags of a list, up to what is none. A comma may stand within a tag.
pub(super) fn list(mut line: &[u8]) -> impl Iterator<Item = ETag> {
    std::iter::from_fn(move || {
        while let [b' ' | b'\t' | b',', rest @ ..] = line {
            line = rest;
        }
        let (tag, rest) = take(line)?;
        let rest = rest.trim_ascii_start();
        line = match rest {
            [] | [b',', ..] => rest,
            // What follows is no list: this one may be part of something else, too.
            _ => {
                line = &[];
                return None;
            }
        };
        Some(tag)
    })
}

fn take(line: &[u8]) -> Option<(ETag, &[u8])> {
    let quoted = line.strip_prefix(b"W/").unwrap_or(line);
    let opaque = quoted.strip_prefix(b"\"")?;
    let end = opaque.iter().position(|byte| *byte == b'"')?;
    // Tags of ours are UTF-8: one that is not can only be another's.
    let opaque_text = std::str::from_utf8(&opaque[..end]).ok()?;
    let tag = match quoted.len() == line.len() {
        true => ETag::strong(opaque_text).ok()?,
        false => ETag::weak(opaque_text).ok()?,
    };
    Some((tag, &opaque[end + 1..]))
}

/// `etagc`: `%x21 / %x23-7E / obs-text`.
fn is_etagc(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x7e | 0x80..)
}
