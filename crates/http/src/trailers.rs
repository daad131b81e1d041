//! Which fields may not stand in a trailer section (RFC 9110 §6.5.1).

use crate::KnownField::{self, *};

/// Fields that say where a message ends or whom it is for: in a trailer section they can only be an
/// attempt to mislead somebody, so the message is refused.
pub const REFUSED: &[KnownField] = &[ContentLength, TransferEncoding, Host];

/// Whether a field must be known before the content is processed: routing, request modifiers,
/// authentication, content processing, control data. Such a field is dropped from a trailer section
/// that we receive, and not written to one that we send.
#[must_use]
pub const fn is_ignored(field: KnownField) -> bool {
    matches!(
        field,
        // Message framing and routing.
        ContentLength | TransferEncoding | Host | Trailer | Te | Connection | KeepAlive
            | ProxyConnection | Upgrade | Via | Forwarded | XForwardedFor | XForwardedHost
            | XForwardedPort | XForwardedProto | XRealIp | AltSvc | Http2Settings | EarlyData
        // Request modifiers.
            | CacheControl | Expect | MaxForwards | Pragma | Range | IfMatch | IfModifiedSince
            | IfNoneMatch | IfRange | IfUnmodifiedSince | Prefer
        // Authentication and state.
            | Authorization | AuthenticationInfo | ProxyAuthenticate | ProxyAuthenticationInfo
            | ProxyAuthorization | WwwAuthenticate | Cookie | SetCookie | Origin
        // How to process the content.
            | ContentEncoding | ContentType | ContentRange | ContentLanguage | ContentLocation
            | ContentDisposition
        // Control data of responses.
            | Age | Date | Expires | Location | RetryAfter | Vary | Warning
    )
}

#[cfg(test)]
mod tests;
