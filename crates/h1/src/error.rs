//! What can go wrong: [`Violation`] is the peer's fault, [`Misuse`] our caller's.

use std::fmt;

use ajay_http::StatusCode;

macro_rules! violations {
    ($($(#[$doc:meta])* $variant:ident = $status:ident, $text:literal;)*) => {
        /// A rule of RFC 9110 or RFC 9112, or one of our limits, that the peer's bytes broke.
        ///
        /// After a violation no further request is read from the connection.
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Violation {
            $($(#[$doc])* $variant,)*
        }

        impl Violation {
            /// Every violation, for tables of counters.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The status code of the response that reports it.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self {
                    $(Self::$variant => StatusCode::$status,)*
                }
            }

            /// A stable name for counters and logs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant),)*
                }
            }

            const fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

violations! {
    // The request-line (RFC 9112 §3).

    /// More empty lines before the request-line than one robust client could send (§2.2).
    TooManyEmptyLines = BAD_REQUEST, "too many empty lines before the request-line";
    /// The method is empty or not a token (§3.1).
    MethodInvalid = BAD_REQUEST, "invalid method";
    /// The method is longer than any that is implemented (§3).
    MethodTooLong = NOT_IMPLEMENTED, "method too long";
    /// There is nothing between the method and the version (§3.2).
    TargetMissing = BAD_REQUEST, "request target is missing";
    /// The target has a byte that none of its forms allows (§3.2).
    TargetInvalid = BAD_REQUEST, "invalid byte in request target";
    /// A percent sign without two hexadecimal digits (RFC 3986 §2.1).
    TargetPercentInvalid = BAD_REQUEST, "invalid percent-encoding in request target";
    /// The target is none of the four forms (§3.2).
    TargetFormInvalid = BAD_REQUEST, "request target has no valid form";
    /// The target's form does not go with the method (§3.2.3, §3.2.4).
    TargetFormNotForMethod = BAD_REQUEST, "request target form does not fit the method";
    /// The target's authority is no host with an optional port, or has userinfo (RFC 9110 §4.2.4).
    TargetAuthorityInvalid = BAD_REQUEST, "invalid authority in request target";
    /// The target exceeds the limit (§3).
    TargetTooLong = URI_TOO_LONG, "request target too long";
    /// There is no version: HTTP/0.9 or not HTTP (§3).
    VersionMissing = BAD_REQUEST, "HTTP version is missing";
    /// The version is not `HTTP/` DIGIT `.` DIGIT at the end of the line (§2.3).
    VersionInvalid = BAD_REQUEST, "invalid HTTP version";
    /// A version other than 1.0 and 1.1 (§2.3).
    VersionNotSupported = HTTP_VERSION_NOT_SUPPORTED, "HTTP version not supported";

    // Field lines (RFC 9112 §5).

    /// CR without LF (§2.2).
    BareCr = BAD_REQUEST, "CR without LF";
    /// LF without CR (§2.2).
    BareLf = BAD_REQUEST, "LF without CR";
    /// A field line that starts with whitespace: obs-fold, or a smuggled line (§2.2, §5.2).
    LineFolded = BAD_REQUEST, "field line starts with whitespace";
    /// A field line without a name (§5).
    FieldNameMissing = BAD_REQUEST, "field name is missing";
    /// The name is not a token (RFC 9110 §5.1).
    FieldNameInvalid = BAD_REQUEST, "invalid byte in field name";
    /// Whitespace in the name or between name and colon (§5.1).
    FieldNameSpace = BAD_REQUEST, "whitespace before the colon of a field line";
    /// The line ends before a colon (§5).
    FieldColonMissing = BAD_REQUEST, "field line without a colon";
    /// `Content_Length` or `Transfer_Encoding`: gateways that turn hyphens into underscores cannot
    /// tell them from the real ones (stricter than RFC 9110 §5.1).
    FieldNameLookalike = BAD_REQUEST, "field name that imitates a framing field";
    /// A control character in a field value (RFC 9110 §5.5).
    FieldValueInvalid = BAD_REQUEST, "invalid byte in field value";
    /// More field lines than the limit (RFC 9110 §5.4).
    TooManyFieldLines = REQUEST_HEADER_FIELDS_TOO_LARGE, "too many field lines";
    /// The head exceeds the limit (RFC 9110 §5.4).
    HeadTooLarge = REQUEST_HEADER_FIELDS_TOO_LARGE, "request head too large";

    // Rules on single fields.

    /// An HTTP/1.1 request without `Host` (§3.2).
    HostMissing = BAD_REQUEST, "Host is missing";
    /// More than one `Host` (§3.2).
    HostRepeated = BAD_REQUEST, "Host is repeated";
    /// `Host` is no host with an optional port, or is empty although `http` and `https` URIs always
    /// have a host (§3.2, RFC 9110 §4.2.1, §7.2).
    HostInvalid = BAD_REQUEST, "invalid Host";
    /// `Expect` asks for something other than `100-continue` (RFC 9110 §10.1.1).
    ExpectationUnknown = EXPECTATION_FAILED, "unknown expectation";

    // Message framing (RFC 9112 §6).

    /// `Content-Length` is not `1*DIGIT` (RFC 9110 §8.6).
    ContentLengthInvalid = BAD_REQUEST, "invalid Content-Length";
    /// `Content-Length` has a leading zero: decimal for us, octal for some (stricter than §8.6).
    ContentLengthLeadingZero = BAD_REQUEST, "Content-Length with a leading zero";
    /// `Content-Length` exceeds 64 bits (RFC 9110 §8.6).
    ContentLengthOverflow = BAD_REQUEST, "Content-Length is larger than 64 bits";
    /// More than one `Content-Length`, or a list of them, even if they agree (§6.3).
    ContentLengthRepeated = BAD_REQUEST, "Content-Length is repeated";
    /// Both `Content-Length` and `Transfer-Encoding` (§6.1).
    ContentLengthWithTransferEncoding = BAD_REQUEST, "Content-Length with Transfer-Encoding";
    /// `Transfer-Encoding` in an HTTP/1.0 request (§6.1).
    TransferEncodingInHttp10 = BAD_REQUEST, "Transfer-Encoding in HTTP/1.0";
    /// `Transfer-Encoding` is empty or no list of codings, or has empty elements (§6.1; the latter
    /// are refused, against RFC 9110 §5.6.1.2, because intermediaries disagree about them).
    TransferEncodingInvalid = BAD_REQUEST, "invalid Transfer-Encoding";
    /// A transfer coding other than `chunked` (§6.1).
    TransferCodingUnknown = NOT_IMPLEMENTED, "unknown transfer coding";
    /// The last transfer coding is not `chunked`: the length cannot be known (§6.3).
    ChunkedNotLast = BAD_REQUEST, "last transfer coding is not chunked";
    /// `chunked` applied more than once (§7).
    ChunkedRepeated = BAD_REQUEST, "chunked is repeated";
    /// `chunked` with parameters (§7.1).
    ChunkedWithParameters = BAD_REQUEST, "chunked with parameters";
    /// Content in a CONNECT or TRACE request (RFC 9110 §9.3.6, §9.3.8).
    ContentForbidden = BAD_REQUEST, "content in a request whose method has none";
    /// Declared or received content exceeds the limit (RFC 9110 §15.5.14).
    ContentTooLarge = PAYLOAD_TOO_LARGE, "content too large";

    // Chunked coding (RFC 9112 §7.1).

    /// The chunk size is not `1*HEXDIG` followed by an extension or CRLF.
    ChunkSizeInvalid = BAD_REQUEST, "invalid chunk size";
    /// The chunk size has more than 16 digits.
    ChunkSizeTooLong = BAD_REQUEST, "chunk size too long";
    /// A chunk extension that does not follow the grammar (§7.1.1).
    ChunkExtensionInvalid = BAD_REQUEST, "invalid chunk extension";
    /// The extensions of a message exceed the limit (§7.1.1).
    ChunkExtensionsTooLarge = BAD_REQUEST, "chunk extensions too large";
    /// The chunk's data is not followed by CRLF.
    ChunkDataUnterminated = BAD_REQUEST, "chunk data is not followed by CRLF";
    /// A field that frames or routes the message in the trailer section (RFC 9110 §6.5.1).
    TrailerFieldForbidden = BAD_REQUEST, "forbidden field in trailer section";
    /// More trailer lines than the limit.
    TooManyTrailerLines = REQUEST_HEADER_FIELDS_TOO_LARGE, "too many trailer lines";
    /// The trailer section exceeds the limit.
    TrailersTooLarge = REQUEST_HEADER_FIELDS_TOO_LARGE, "trailer section too large";
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for Violation {}

/// A command that does not fit the connection's state or the message: a bug of the caller, never
/// caused by the peer's bytes. Nothing was written then.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Misuse {
    /// There is no request to respond to, or the final response's head was sent already.
    NoResponseDue,
    /// Content or its end before the head.
    HeadNotSent,
    /// The status code is not informational, or is 101, which [`send_head`] sends.
    ///
    /// [`send_head`]: crate::Connection::send_head
    NotInformational,
    /// An informational status code where a final one is due.
    InformationalAsFinal,
    /// 101 without an `Upgrade` field in request and response, or in HTTP/1.0.
    SwitchWithoutUpgrade,
    /// The response has `Transfer-Encoding`, which is ours to set.
    TransferEncodingSet,
    /// The response's `Content-Length` is no number, repeated, or differs from the content's size.
    ContentLengthMismatch,
    /// More content than declared.
    ContentTooLong,
    /// The response was finished before all declared content was sent. It cannot be repaired: the
    /// connection must be closed.
    ContentTooShort,
    /// So many bytes of content are not to come, or nobody knows whether they are.
    NotContent,
    /// The next cycle cannot start: the request has not been read to its end.
    RequestNotComplete,
    /// The next cycle cannot start: the response is not finished.
    ResponseNotFinished,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoResponseDue => "no response is due",
            Self::HeadNotSent => "the response head was not sent yet",
            Self::NotInformational => "not an informational status code",
            Self::InformationalAsFinal => "informational status code as the final response",
            Self::SwitchWithoutUpgrade => "101 without Upgrade",
            Self::TransferEncodingSet => "Transfer-Encoding is not the application's to set",
            Self::ContentLengthMismatch => "Content-Length differs from the content's size",
            Self::ContentTooLong => "more content than declared",
            Self::ContentTooShort => "less content than declared",
            Self::NotContent => "not known to be content",
            Self::RequestNotComplete => "the request was not read to its end",
            Self::ResponseNotFinished => "the response is not finished",
        })
    }
}

impl std::error::Error for Misuse {}

#[cfg(test)]
mod tests;
