//! How long a request's content is: RFC 9112 §6.

use ajay_http::{FieldSection, KnownField, Method, Version, class};

use crate::Violation;

/// How a message's content is delimited.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Framing {
    /// There is no content.
    None,
    /// `Content-Length`: exactly so many bytes follow.
    Length(u64),
    /// The chunked transfer coding (RFC 9112 §7.1).
    Chunked,
}

impl Framing {
    /// Whether bytes of content, or of their framing, follow the head.
    #[must_use]
    pub const fn has_content(self) -> bool {
        !matches!(self, Self::None | Self::Length(0))
    }
}

/// Decides where a request's content ends. The numbers are those of the list in RFC 9112 §6.3.
///
/// Whatever two implementations could understand differently is refused, even where the RFC would
/// let us repair it: a repaired message is how requests are smuggled.
///
/// # Errors
/// The framing is ambiguous, unknown or not allowed for the method.
#[inline]
pub fn message_framing(
    method: &Method,
    version: Version,
    fields: &FieldSection,
) -> Result<Framing, Violation> {
    // 1. and 2. are about responses to HEAD, CONNECT and those that never have content.
    if !fields.contains_any(&[KnownField::ContentLength, KnownField::TransferEncoding]) {
        // 7. Neither of the two: there is no content.
        return Ok(Framing::None);
    }
    let framing = content_framing(version, fields)?;
    if framing.has_content() && matches!(*method, Method::CONNECT | Method::TRACE) {
        return Err(Violation::ContentForbidden);
    }
    Ok(framing)
}

fn content_framing(version: Version, fields: &FieldSection) -> Result<Framing, Violation> {
    if fields.contains(KnownField::TransferEncoding) {
        // §6.1: faulty framing in HTTP/1.0, whatever else the message says.
        if version == Version::HTTP_10 {
            return Err(Violation::TransferEncodingInHttp10);
        }
        // 3. Both: an attempt at smuggling; it ought to be handled as an error.
        if fields.contains(KnownField::ContentLength) {
            return Err(Violation::ContentLengthWithTransferEncoding);
        }
        // 4. Chunked if that is the final coding. We implement no other coding (§6.1: 501).
        check_transfer_encoding(fields)?;
        return Ok(Framing::Chunked);
    }
    // 5. An invalid Content-Length is unrecoverable. Equal values in a list or on several lines may
    //    be taken for one or refused: refused.
    let mut values = fields.get_all(KnownField::ContentLength);
    let value = values.next().unwrap_or_default();
    if values.next().is_some() || value.contains(&b',') {
        return Err(Violation::ContentLengthRepeated);
    }
    // 6. A valid Content-Length. 8. is about responses.
    parse_content_length(value).map(Framing::Length)
}

/// `Transfer-Encoding = 1#transfer-coding` over all its lines, of which we accept only `chunked`.
fn check_transfer_encoding(fields: &FieldSection) -> Result<(), Violation> {
    let (mut chunked, mut unknown, mut last_is_chunked) = (0_u32, false, false);
    for coding in fields
        .get_all(KnownField::TransferEncoding)
        .flat_map(class::raw_list_elements)
    {
        let (name, parameters) = match coding.iter().position(|&byte| byte == b';') {
            Some(at) => (class::trim_ows(coding.get(..at).unwrap_or_default()), true),
            None => (coding, false),
        };
        if !class::is_token(name) {
            return Err(Violation::TransferEncodingInvalid);
        }
        last_is_chunked = name.eq_ignore_ascii_case(b"chunked");
        if last_is_chunked && parameters {
            return Err(Violation::ChunkedWithParameters);
        }
        chunked += u32::from(last_is_chunked);
        unknown |= !last_is_chunked;
    }
    match () {
        () if !last_is_chunked => Err(Violation::ChunkedNotLast),
        () if chunked > 1 => Err(Violation::ChunkedRepeated),
        () if unknown => Err(Violation::TransferCodingUnknown),
        () => Ok(()),
    }
}

/// `Content-Length = 1*DIGIT` (RFC 9110 §8.6), without leading zeros.
pub(crate) fn parse_content_length(value: &[u8]) -> Result<u64, Violation> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Violation::ContentLengthInvalid);
    }
    if value.len() > 1 && value.first() == Some(&b'0') {
        return Err(Violation::ContentLengthLeadingZero);
    }
    value
        .iter()
        .try_fold(0_u64, |length, digit| {
            length.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        })
        .ok_or(Violation::ContentLengthOverflow)
}
