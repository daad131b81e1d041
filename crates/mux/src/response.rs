//! Response heads as field blocks (RFC 9113 §8.3.2), and how much content follows them.

use ajay_fields::{FieldEncoder, Sensitivity};
use ajay_http::{ContentSize, FieldSection, KnownField, ResponseHead, StatusCode, trailers};

use crate::{MethodClass, request::parse_content_length};

/// What follows a response's head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Plan {
    /// No content; a length may be told nevertheless (HEAD, 304, 205).
    NoContent {
        /// That length.
        length: Option<u64>,
    },
    /// So many bytes.
    Length(u64),
    /// Content up to the end of the stream.
    Unbounded,
}

impl Plan {
    /// The value of `Content-Length`.
    #[inline]
    #[must_use]
    pub const fn length(self) -> Option<u64> {
        match self {
            Self::NoContent { length } => length,
            Self::Length(length) => Some(length),
            Self::Unbounded => None,
        }
    }
}

/// Why a response's head cannot be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HeadFault {
    /// It has `Transfer-Encoding`, which there is not (RFC 9113 §8.2.2, RFC 9114 §4.2).
    TransferEncodingSet,
    /// An informational status code where a final one is due.
    InformationalAsFinal,
    /// Its `Content-Length` is no number, repeated, or differs from the content's size.
    ContentLengthMismatch,
}

/// Decides what follows a response's head (RFC 9110 §6.4.1, §8.6).
///
/// # Errors
/// The head contradicts itself or the content.
#[inline]
pub fn plan(
    method: MethodClass,
    head: &ResponseHead<'_>,
    content: ContentSize,
) -> Result<Plan, HeadFault> {
    if head.fields.contains(KnownField::TransferEncoding) {
        return Err(HeadFault::TransferEncodingSet);
    }
    let declared = declared_length(head.fields)?;
    let no_content = |length| Ok(Plan::NoContent { length });
    match (head.status.as_u16(), method) {
        (100..200, _) => Err(HeadFault::InformationalAsFinal),
        // What follows is the tunnel (RFC 9113 §8.5).
        (200..300, MethodClass::Connect) => Ok(Plan::Unbounded),
        (204, _) => no_content(None),
        (205, _) => no_content(Some(0)),
        // The length that the selected representation would have had, which only the application
        // can know (RFC 9110 §8.6).
        (304, _) => no_content(declared),
        (_, MethodClass::Head) => no_content(match content {
            ContentSize::Exact(size) => declared.or(Some(size)),
            ContentSize::Empty | ContentSize::Unknown => declared,
        }),
        (_, MethodClass::Connect | MethodClass::Other) => {
            let size = match content {
                ContentSize::Empty => 0,
                ContentSize::Exact(size) => size,
                ContentSize::Unknown => {
                    return Ok(declared.map_or(Plan::Unbounded, Plan::Length));
                }
            };
            if declared.is_some_and(|length| length != size) {
                return Err(HeadFault::ContentLengthMismatch);
            }
            Ok(Plan::Length(size))
        }
    }
}

/// The application's own `Content-Length`.
#[inline]
fn declared_length(fields: &FieldSection) -> Result<Option<u64>, HeadFault> {
    if !fields.contains(KnownField::ContentLength) {
        return Ok(None);
    }
    let mut values = fields.get_all(KnownField::ContentLength);
    let length = values.next().and_then(parse_content_length);
    match (length, values.next()) {
        (Some(length), None) => Ok(Some(length)),
        _ => Err(HeadFault::ContentLengthMismatch),
    }
}

/// Writes the field block of a final response.
#[inline]
pub fn write_head(
    encoder: &mut impl FieldEncoder,
    head: &ResponseHead<'_>,
    length: Option<u64>,
    out: &mut Vec<u8>,
) {
    let fields = head.fields;
    encoder.begin(out);
    encoder.status(head.status, out);
    let mut line = |field: KnownField, value: &[u8]| {
        let name = field.as_str().as_bytes();
        encoder.field(Some(field), name, value, Sensitivity::Public, out);
    };
    if let Some(server) = head.server
        && !fields.contains(KnownField::Server)
    {
        line(KnownField::Server, server.as_bytes());
    }
    if let Some(date) = head.date
        && !fields.contains(KnownField::Date)
    {
        line(KnownField::Date, date);
    }
    if let Some(content_type) = head.content_type
        && !fields.contains(KnownField::ContentType)
    {
        line(KnownField::ContentType, content_type.as_bytes());
    }
    if let Some(length) = length {
        let mut digits = [0; DIGITS_MAX];
        line(KnownField::ContentLength, decimal(length, &mut digits));
    }
    if !fields.is_empty() {
        write_fields(encoder, fields, is_not_sent, out);
    }
}

/// Writes the field block of an informational response (§8.1).
pub fn write_informational(
    encoder: &mut impl FieldEncoder,
    status: StatusCode,
    fields: &FieldSection,
    out: &mut Vec<u8>,
) {
    encoder.begin(out);
    encoder.status(status, out);
    write_fields(encoder, fields, is_not_sent, out);
}

/// Writes the field block of a trailer section.
pub fn write_trailers(encoder: &mut impl FieldEncoder, fields: &FieldSection, out: &mut Vec<u8>) {
    encoder.begin(out);
    let is_left_out = |field| is_not_sent(field) || trailers::is_ignored(field);
    write_fields(encoder, fields, is_left_out, out);
}

/// Whether anything of a trailer section is to be sent.
#[must_use]
pub fn has_trailers(fields: &FieldSection) -> bool {
    let mut lines = fields.iter();
    while let Some((known, _, _)) = lines.next_with_known() {
        if known.is_none_or(|field| !is_not_sent(field) && !trailers::is_ignored(field)) {
            return true;
        }
    }
    false
}

/// Fields that these protocols do not have (§8.2.2), and the length, which we write.
const fn is_not_sent(field: KnownField) -> bool {
    matches!(
        field,
        KnownField::Connection
            | KnownField::KeepAlive
            | KnownField::ProxyConnection
            | KnownField::TransferEncoding
            | KnownField::Upgrade
            | KnownField::ContentLength
    )
}

fn write_fields(
    encoder: &mut impl FieldEncoder,
    fields: &FieldSection,
    is_left_out: impl Fn(KnownField) -> bool,
    out: &mut Vec<u8>,
) {
    let mut lines = fields.iter();
    while let Some((known, name, value)) = lines.next_with_known() {
        match known {
            Some(field) if is_left_out(field) => {}
            Some(field) => {
                let name = field.as_str().as_bytes();
                encoder.field(known, name, value, Sensitivity::Public, out);
            }
            None => write_unknown(encoder, name.as_bytes(), value, out),
        }
    }
}

/// Writes a line whose name is as the application wrote it: names are in lower case here (§8.2).
fn write_unknown(encoder: &mut impl FieldEncoder, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let mut line = |name: &[u8]| encoder.field(None, name, value, Sensitivity::Public, out);
    let mut lower = [0; USUAL_NAME_LEN];
    if !name.iter().any(u8::is_ascii_uppercase) {
        line(name);
    } else if let Some(lower) = lower.get_mut(..name.len()) {
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        line(lower);
    } else {
        line(&name.to_ascii_lowercase());
    }
}

/// Names are rarely half as long.
const USUAL_NAME_LEN: usize = 64;

/// 2^64-1 has twenty digits.
const DIGITS_MAX: usize = 20;

/// The digits of a number, found from the right.
#[inline]
fn decimal(mut number: u64, digits: &mut [u8; DIGITS_MAX]) -> &[u8] {
    let mut at = DIGITS_MAX;
    for place in digits.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        at -= 1;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    digits.get(at..).unwrap_or_default()
}
