//! The media type of a request's content (RFC 9110 §8.3).

use ajay_engine::KnownField;

use crate::Request;

/// Type and subtype, without parameters; empty if the request does not say.
pub(crate) fn of(request: &Request) -> &str {
    let value = request.get(KnownField::ContentType).unwrap_or_default();
    let end = value.iter().position(|byte| *byte == b';');
    let essence = &value[..end.unwrap_or(value.len())];
    std::str::from_utf8(essence.trim_ascii()).unwrap_or_default()
}
