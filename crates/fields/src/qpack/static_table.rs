//! The static table (RFC 9204 appendix A). Its indices begin with 0.

use ajay_http::KnownField;

use crate::name::{KnownName, NameId, PseudoField};

/// A field line of the table. Every name and value is valid.
pub(crate) struct StaticEntry {
    /// Without an id: `expect-ct` and `purpose`.
    pub(crate) known: Option<KnownName>,
    pub(crate) name: &'static str,
    pub(crate) value: &'static [u8],
}

const fn named(known: KnownName, value: &'static str) -> StaticEntry {
    StaticEntry {
        known: Some(known),
        name: known.as_str(),
        value: value.as_bytes(),
    }
}

const fn pseudo(field: PseudoField, value: &'static str) -> StaticEntry {
    named(KnownName::Pseudo(field), value)
}

const fn field(field: KnownField, value: &'static str) -> StaticEntry {
    named(KnownName::Field(field), value)
}

const fn unknown(name: &'static str, value: &'static str) -> StaticEntry {
    StaticEntry {
        known: None,
        name,
        value: value.as_bytes(),
    }
}

/// The entry of an index.
#[inline]
pub(crate) fn get(index: u64) -> Option<&'static StaticEntry> {
    ENTRIES.get(usize::try_from(index).ok()?)
}

/// The smallest index with that name.
#[inline]
pub(crate) fn index_of_name(id: NameId) -> Option<usize> {
    match NAME_INDICES[id.as_usize()] {
        NONE => None,
        index => Some(usize::from(index)),
    }
}

/// The index of that field line.
#[inline]
pub(crate) fn index_of(id: NameId, value: &[u8]) -> Option<usize> {
    let mut index = NAME_INDICES[id.as_usize()];
    while let Some(entry) = ENTRIES.get(usize::from(index)) {
        if entry.value == value {
            return Some(usize::from(index));
        }
        index = NEXT_INDICES[usize::from(index)];
    }
    None
}

/// No index.
const NONE: u8 = u8::MAX;

/// For each id, the smallest index with that name.
static NAME_INDICES: [u8; 256] = INDICES.0;

/// For each index, the next one with the same name: lines of one name do not stand together.
static NEXT_INDICES: [u8; ENTRIES_LEN] = INDICES.1;

const INDICES: ([u8; 256], [u8; ENTRIES_LEN]) = {
    let mut first = [NONE; 256];
    let mut next = [NONE; ENTRIES_LEN];
    let mut at = ENTRIES_LEN;
    while at > 0 {
        at -= 1;
        if ENTRIES[at].known.is_some() {
            let id = NameId::new(ENTRIES[at].known).as_usize();
            next[at] = first[id];
            first[id] = at as u8;
        }
    }
    (first, next)
};

const ENTRIES_LEN: usize = 99;

/// One line an index, as in the appendix.
#[rustfmt::skip]
static ENTRIES: [StaticEntry; ENTRIES_LEN] = [
    pseudo(PseudoField::Authority, ""),
    pseudo(PseudoField::Path, "/"),
    field(KnownField::Age, "0"),
    field(KnownField::ContentDisposition, ""),
    field(KnownField::ContentLength, "0"),
    field(KnownField::Cookie, ""),
    field(KnownField::Date, ""),
    field(KnownField::Etag, ""),
    field(KnownField::IfModifiedSince, ""),
    field(KnownField::IfNoneMatch, ""),
    field(KnownField::LastModified, ""),
    field(KnownField::Link, ""),
    field(KnownField::Location, ""),
    field(KnownField::Referer, ""),
    field(KnownField::SetCookie, ""),
    pseudo(PseudoField::Method, "CONNECT"),
    pseudo(PseudoField::Method, "DELETE"),
    pseudo(PseudoField::Method, "GET"),
    pseudo(PseudoField::Method, "HEAD"),
    pseudo(PseudoField::Method, "OPTIONS"),
    pseudo(PseudoField::Method, "POST"),
    pseudo(PseudoField::Method, "PUT"),
    pseudo(PseudoField::Scheme, "http"),
    pseudo(PseudoField::Scheme, "https"),
    pseudo(PseudoField::Status, "103"),
    pseudo(PseudoField::Status, "200"),
    pseudo(PseudoField::Status, "304"),
    pseudo(PseudoField::Status, "404"),
    pseudo(PseudoField::Status, "503"),
    field(KnownField::Accept, "*/*"),
    field(KnownField::Accept, "application/dns-message"),
    field(KnownField::AcceptEncoding, "gzip, deflate, br"),
    field(KnownField::AcceptRanges, "bytes"),
    field(KnownField::AccessControlAllowHeaders, "cache-control"),
    field(KnownField::AccessControlAllowHeaders, "content-type"),
    field(KnownField::AccessControlAllowOrigin, "*"),
    field(KnownField::CacheControl, "max-age=0"),
    field(KnownField::CacheControl, "max-age=2592000"),
    field(KnownField::CacheControl, "max-age=604800"),
    field(KnownField::CacheControl, "no-cache"),
    field(KnownField::CacheControl, "no-store"),
    field(KnownField::CacheControl, "public, max-age=31536000"),
    field(KnownField::ContentEncoding, "br"),
    field(KnownField::ContentEncoding, "gzip"),
    field(KnownField::ContentType, "application/dns-message"),
    field(KnownField::ContentType, "application/javascript"),
    field(KnownField::ContentType, "application/json"),
    field(KnownField::ContentType, "application/x-www-form-urlencoded"),
    field(KnownField::ContentType, "image/gif"),
    field(KnownField::ContentType, "image/jpeg"),
    field(KnownField::ContentType, "image/png"),
    field(KnownField::ContentType, "text/css"),
    field(KnownField::ContentType, "text/html; charset=utf-8"),
    field(KnownField::ContentType, "text/plain"),
    field(KnownField::ContentType, "text/plain;charset=utf-8"),
    field(KnownField::Range, "bytes=0-"),
    field(KnownField::StrictTransportSecurity, "max-age=31536000"),
    field(KnownField::StrictTransportSecurity, "max-age=31536000; includesubdomains"),
    field(KnownField::StrictTransportSecurity, "max-age=31536000; includesubdomains; preload"),
    field(KnownField::Vary, "accept-encoding"),
    field(KnownField::Vary, "origin"),
    field(KnownField::XContentTypeOptions, "nosniff"),
    field(KnownField::XXssProtection, "1; mode=block"),
    pseudo(PseudoField::Status, "100"),
    pseudo(PseudoField::Status, "204"),
    pseudo(PseudoField::Status, "206"),
    pseudo(PseudoField::Status, "302"),
    pseudo(PseudoField::Status, "400"),
    pseudo(PseudoField::Status, "403"),
    pseudo(PseudoField::Status, "421"),
    pseudo(PseudoField::Status, "425"),
    pseudo(PseudoField::Status, "500"),
    field(KnownField::AcceptLanguage, ""),
    field(KnownField::AccessControlAllowCredentials, "FALSE"),
    field(KnownField::AccessControlAllowCredentials, "TRUE"),
    field(KnownField::AccessControlAllowHeaders, "*"),
    field(KnownField::AccessControlAllowMethods, "get"),
    field(KnownField::AccessControlAllowMethods, "get, post, options"),
    field(KnownField::AccessControlAllowMethods, "options"),
    field(KnownField::AccessControlExposeHeaders, "content-length"),
    field(KnownField::AccessControlRequestHeaders, "content-type"),
    field(KnownField::AccessControlRequestMethod, "get"),
    field(KnownField::AccessControlRequestMethod, "post"),
    field(KnownField::AltSvc, "clear"),
    field(KnownField::Authorization, ""),
    field(KnownField::ContentSecurityPolicy, "script-src 'none'; object-src 'none'; base-uri 'none'"),
    field(KnownField::EarlyData, "1"),
    unknown("expect-ct", ""),
    field(KnownField::Forwarded, ""),
    field(KnownField::IfRange, ""),
    field(KnownField::Origin, ""),
    unknown("purpose", "prefetch"),
    field(KnownField::Server, ""),
    field(KnownField::TimingAllowOrigin, "*"),
    field(KnownField::UpgradeInsecureRequests, "1"),
    field(KnownField::UserAgent, ""),
    field(KnownField::XForwardedFor, ""),
    field(KnownField::XFrameOptions, "deny"),
    field(KnownField::XFrameOptions, "sameorigin"),
];

#[cfg(test)]
mod tests;
