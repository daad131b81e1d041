//! The static table (RFC 9204 appendix A).

use ajay_http::KnownField;

use crate::name::{KnownName, NameId, PseudoField};

/// A field line of the table. Every name and value of it is valid.
pub(super) struct StaticEntry {
    pub(super) known: Option<KnownName>,
    pub(super) name: &'static str,
    pub(super) value: &'static [u8],
}

const fn entry(known: KnownName, value: &'static [u8]) -> StaticEntry {
    StaticEntry {
        known: Some(known),
        name: known.as_str(),
        value,
    }
}

const fn pseudo(field: PseudoField, value: &'static [u8]) -> StaticEntry {
    entry(KnownName::Pseudo(field), value)
}

const fn field(field: KnownField, value: &'static [u8]) -> StaticEntry {
    entry(KnownName::Field(field), value)
}

const fn other(name: &'static str, value: &'static [u8]) -> StaticEntry {
    StaticEntry {
        known: None,
        name,
        value,
    }
}

/// The entry of an index.
#[inline]
pub(super) fn get(index: u64) -> Option<&'static StaticEntry> {
    ENTRIES.get(usize::try_from(index).ok()?)
}

/// The smallest index with that name.
#[inline]
pub(super) fn index_of_name(id: NameId) -> Option<u8> {
    let index = NAME_INDICES[id.as_usize()];
    (index != NONE).then_some(index)
}

/// The index of that field line, if it stands among the first ones of its name that follow each other.
#[inline]
pub(super) fn index_of(id: NameId, value: &[u8]) -> Option<u8> {
    let first = index_of_name(id)?;
    let lines = ENTRIES.get(usize::from(first)..)?;
    let mut lines = lines
        .iter()
        .take_while(|entry| NameId::new(entry.known) == id);
    let at = lines.position(|entry| entry.value == value)?;
    Some(first + at as u8)
}

const NONE: u8 = u8::MAX;

/// For each id, the smallest index with that name, or [`NONE`].
static NAME_INDICES: [u8; 256] = {
    let mut indices = [NONE; 256];
    let mut at = ENTRIES.len();
    while at > 0 {
        at -= 1;
        if ENTRIES[at].known.is_some() {
            indices[NameId::new(ENTRIES[at].known).as_usize()] = at as u8;
        }
    }
    indices
};

#[rustfmt::skip]
pub(super) static ENTRIES: [StaticEntry; 99] = [
    pseudo(PseudoField::Authority, b""),
    pseudo(PseudoField::Path, b"/"),
    field(KnownField::Age, b"0"),
    field(KnownField::ContentDisposition, b""),
    field(KnownField::ContentLength, b"0"),
    field(KnownField::Cookie, b""),
    field(KnownField::Date, b""),
    field(KnownField::Etag, b""),
    field(KnownField::IfModifiedSince, b""),
    field(KnownField::IfNoneMatch, b""),
    field(KnownField::LastModified, b""),
    field(KnownField::Link, b""),
    field(KnownField::Location, b""),
    field(KnownField::Referer, b""),
    field(KnownField::SetCookie, b""),
    pseudo(PseudoField::Method, b"CONNECT"),
    pseudo(PseudoField::Method, b"DELETE"),
    pseudo(PseudoField::Method, b"GET"),
    pseudo(PseudoField::Method, b"HEAD"),
    pseudo(PseudoField::Method, b"OPTIONS"),
    pseudo(PseudoField::Method, b"POST"),
    pseudo(PseudoField::Method, b"PUT"),
    pseudo(PseudoField::Scheme, b"http"),
    pseudo(PseudoField::Scheme, b"https"),
    pseudo(PseudoField::Status, b"103"),
    pseudo(PseudoField::Status, b"200"),
    pseudo(PseudoField::Status, b"304"),
    pseudo(PseudoField::Status, b"404"),
    pseudo(PseudoField::Status, b"503"),
    field(KnownField::Accept, b"*/*"),
    field(KnownField::Accept, b"application/dns-message"),
    field(KnownField::AcceptEncoding, b"gzip, deflate, br"),
    field(KnownField::AcceptRanges, b"bytes"),
    field(KnownField::AccessControlAllowHeaders, b"cache-control"),
    field(KnownField::AccessControlAllowHeaders, b"content-type"),
    field(KnownField::AccessControlAllowOrigin, b"*"),
    field(KnownField::CacheControl, b"max-age=0"),
    field(KnownField::CacheControl, b"max-age=2592000"),
    field(KnownField::CacheControl, b"max-age=604800"),
    field(KnownField::CacheControl, b"no-cache"),
    field(KnownField::CacheControl, b"no-store"),
    field(KnownField::CacheControl, b"public, max-age=31536000"),
    field(KnownField::ContentEncoding, b"br"),
    field(KnownField::ContentEncoding, b"gzip"),
    field(KnownField::ContentType, b"application/dns-message"),
    field(KnownField::ContentType, b"application/javascript"),
    field(KnownField::ContentType, b"application/json"),
    field(KnownField::ContentType, b"application/x-www-form-urlencoded"),
    field(KnownField::ContentType, b"image/gif"),
    field(KnownField::ContentType, b"image/jpeg"),
    field(KnownField::ContentType, b"image/png"),
    field(KnownField::ContentType, b"text/css"),
    field(KnownField::ContentType, b"text/html; charset=utf-8"),
    field(KnownField::ContentType, b"text/plain"),
    field(KnownField::ContentType, b"text/plain;charset=utf-8"),
    field(KnownField::Range, b"bytes=0-"),
    field(KnownField::StrictTransportSecurity, b"max-age=31536000"),
    field(KnownField::StrictTransportSecurity, b"max-age=31536000; includesubdomains"),
    field(KnownField::StrictTransportSecurity, b"max-age=31536000; includesubdomains; preload"),
    field(KnownField::Vary, b"accept-encoding"),
    field(KnownField::Vary, b"origin"),
    field(KnownField::XContentTypeOptions, b"nosniff"),
    field(KnownField::XXssProtection, b"1; mode=block"),
    pseudo(PseudoField::Status, b"100"),
    pseudo(PseudoField::Status, b"204"),
    pseudo(PseudoField::Status, b"206"),
    pseudo(PseudoField::Status, b"302"),
    pseudo(PseudoField::Status, b"400"),
    pseudo(PseudoField::Status, b"403"),
    pseudo(PseudoField::Status, b"421"),
    pseudo(PseudoField::Status, b"425"),
    pseudo(PseudoField::Status, b"500"),
    field(KnownField::AcceptLanguage, b""),
    field(KnownField::AccessControlAllowCredentials, b"FALSE"),
    field(KnownField::AccessControlAllowCredentials, b"TRUE"),
    field(KnownField::AccessControlAllowHeaders, b"*"),
    field(KnownField::AccessControlAllowMethods, b"get"),
    field(KnownField::AccessControlAllowMethods, b"get, post, options"),
    field(KnownField::AccessControlAllowMethods, b"options"),
    field(KnownField::AccessControlExposeHeaders, b"content-length"),
    field(KnownField::AccessControlRequestHeaders, b"content-type"),
    field(KnownField::AccessControlRequestMethod, b"get"),
    field(KnownField::AccessControlRequestMethod, b"post"),
    field(KnownField::AltSvc, b"clear"),
    field(KnownField::Authorization, b""),
    field(KnownField::ContentSecurityPolicy, b"script-src 'none'; object-src 'none'; base-uri 'none'"),
    field(KnownField::EarlyData, b"1"),
    other("expect-ct", b""),
    field(KnownField::Forwarded, b""),
    field(KnownField::IfRange, b""),
    field(KnownField::Origin, b""),
    other("purpose", b"prefetch"),
    field(KnownField::Server, b""),
    field(KnownField::TimingAllowOrigin, b"*"),
    field(KnownField::UpgradeInsecureRequests, b"1"),
    field(KnownField::UserAgent, b""),
    field(KnownField::XForwardedFor, b""),
    field(KnownField::XFrameOptions, b"deny"),
    field(KnownField::XFrameOptions, b"sameorigin"),
];
