//! The static table (RFC 7541 appendix A).

use ajay_http::KnownField;

use crate::name::{KnownName, NameId, PseudoField};

/// A field line of the table. Every name of it is known, every value valid.
pub(super) struct StaticEntry {
    pub(super) name: KnownName,
    pub(super) value: &'static [u8],
}

const fn pseudo(field: PseudoField, value: &'static [u8]) -> StaticEntry {
    let name = KnownName::Pseudo(field);
    StaticEntry { name, value }
}

const fn field(field: KnownField, value: &'static [u8]) -> StaticEntry {
    let name = KnownName::Field(field);
    StaticEntry { name, value }
}

/// The entry of an index, which begins with 1.
#[inline]
pub(super) fn get(index: usize) -> Option<&'static StaticEntry> {
    ENTRIES.get(index.checked_sub(1)?)
}

/// The smallest index with that name.
#[inline]
pub(super) fn index_of_name(id: NameId) -> Option<usize> {
    match NAME_INDICES[id.as_usize()] {
        0 => None,
        index => Some(usize::from(index)),
    }
}

/// The index of that field line.
pub(super) fn index_of(name: KnownName, value: &[u8]) -> Option<usize> {
    let first = index_of_name(NameId::new(Some(name)))?;
    // Lines of one name stand together.
    let lines = ENTRIES.get(first - 1..)?;
    let same_name = lines.iter().take_while(|entry| entry.name == name);
    let at = same_name
        .enumerate()
        .find_map(|(at, entry)| (entry.value == value).then_some(at))?;
    Some(first + at)
}

/// For each id, the smallest index with that name, or 0.
static NAME_INDICES: [u8; 256] = {
    let mut indices = [0; 256];
    let mut at = ENTRIES.len();
    while at > 0 {
        indices[NameId::new(Some(ENTRIES[at - 1].name)).as_usize()] = at as u8;
        at -= 1;
    }
    indices
};

#[rustfmt::skip]
pub(super) static ENTRIES: [StaticEntry; 61] = [
    pseudo(PseudoField::Authority, b""),
    pseudo(PseudoField::Method, b"GET"),
    pseudo(PseudoField::Method, b"POST"),
    pseudo(PseudoField::Path, b"/"),
    pseudo(PseudoField::Path, b"/index.html"),
    pseudo(PseudoField::Scheme, b"http"),
    pseudo(PseudoField::Scheme, b"https"),
    pseudo(PseudoField::Status, b"200"),
    pseudo(PseudoField::Status, b"204"),
    pseudo(PseudoField::Status, b"206"),
    pseudo(PseudoField::Status, b"304"),
    pseudo(PseudoField::Status, b"400"),
    pseudo(PseudoField::Status, b"404"),
    pseudo(PseudoField::Status, b"500"),
    field(KnownField::AcceptCharset, b""),
    field(KnownField::AcceptEncoding, b"gzip, deflate"),
    field(KnownField::AcceptLanguage, b""),
    field(KnownField::AcceptRanges, b""),
    field(KnownField::Accept, b""),
    field(KnownField::AccessControlAllowOrigin, b""),
    field(KnownField::Age, b""),
    field(KnownField::Allow, b""),
    field(KnownField::Authorization, b""),
    field(KnownField::CacheControl, b""),
    field(KnownField::ContentDisposition, b""),
    field(KnownField::ContentEncoding, b""),
    field(KnownField::ContentLanguage, b""),
    field(KnownField::ContentLength, b""),
    field(KnownField::ContentLocation, b""),
    field(KnownField::ContentRange, b""),
    field(KnownField::ContentType, b""),
    field(KnownField::Cookie, b""),
    field(KnownField::Date, b""),
    field(KnownField::Etag, b""),
    field(KnownField::Expect, b""),
    field(KnownField::Expires, b""),
    field(KnownField::From, b""),
    field(KnownField::Host, b""),
    field(KnownField::IfMatch, b""),
    field(KnownField::IfModifiedSince, b""),
    field(KnownField::IfNoneMatch, b""),
    field(KnownField::IfRange, b""),
    field(KnownField::IfUnmodifiedSince, b""),
    field(KnownField::LastModified, b""),
    field(KnownField::Link, b""),
    field(KnownField::Location, b""),
    field(KnownField::MaxForwards, b""),
    field(KnownField::ProxyAuthenticate, b""),
    field(KnownField::ProxyAuthorization, b""),
    field(KnownField::Range, b""),
    field(KnownField::Referer, b""),
    field(KnownField::Refresh, b""),
    field(KnownField::RetryAfter, b""),
    field(KnownField::Server, b""),
    field(KnownField::SetCookie, b""),
    field(KnownField::StrictTransportSecurity, b""),
    field(KnownField::TransferEncoding, b""),
    field(KnownField::UserAgent, b""),
    field(KnownField::Vary, b""),
    field(KnownField::Via, b""),
    field(KnownField::WwwAuthenticate, b""),
];

#[cfg(test)]
mod tests;
