//! What can go wrong: [`Violation`] is the peer's fault, [`Misuse`] our caller's.

use std::fmt;

use ajay_http::StatusCode;
use ajay_mux::{Fault, response::HeadFault};

/// An error code (RFC 9113 §7). Codes that nobody has registered are kept as they came.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct ErrorCode(pub u32);

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        impl ErrorCode {
            $($(#[$doc])* pub const $name: Self = Self($code);)*

            /// The registered name, if it has one.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

error_codes! {
    /// Nothing is wrong.
    NO_ERROR = 0x0;
    /// The peer broke a rule that has no code of its own.
    PROTOCOL_ERROR = 0x1;
    /// Our fault.
    INTERNAL_ERROR = 0x2;
    /// More content than the windows allow.
    FLOW_CONTROL_ERROR = 0x3;
    /// Settings were not acknowledged.
    SETTINGS_TIMEOUT = 0x4;
    /// A frame on a half-closed stream.
    STREAM_CLOSED = 0x5;
    /// A frame of a wrong size.
    FRAME_SIZE_ERROR = 0x6;
    /// The stream was not processed: it can be tried again.
    REFUSED_STREAM = 0x7;
    /// The stream is no longer wanted.
    CANCEL = 0x8;
    /// The state of field compression is lost.
    COMPRESSION_ERROR = 0x9;
    /// The connection of a CONNECT request failed.
    CONNECT_ERROR = 0xa;
    /// The peer causes too much load.
    ENHANCE_YOUR_CALM = 0xb;
    /// The transport is not secure enough.
    INADEQUATE_SECURITY = 0xc;
    /// HTTP/1.1 is wanted instead.
    HTTP_1_1_REQUIRED = 0xd;
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#x}", self.0),
        }
    }
}

/// What a violation leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Effect {
    /// GOAWAY with this code, and the end of the connection (RFC 9113 §5.4.1).
    Connection(ErrorCode),
    /// RST_STREAM with this code; the connection goes on (§5.4.2).
    Stream(ErrorCode),
    /// A response with this status code; the connection goes on, the stream's content is discarded.
    Response(StatusCode),
}

macro_rules! effect {
    (connection $code:ident) => {
        Effect::Connection(ErrorCode::$code)
    };
    (stream $code:ident) => {
        Effect::Stream(ErrorCode::$code)
    };
    (response $status:ident) => {
        Effect::Response(StatusCode::$status)
    };
}

macro_rules! violations {
    ($($(#[$doc:meta])* $variant:ident = $kind:ident $code:ident, $text:literal;)*) => {
        /// A rule of RFC 9110, RFC 9113 or RFC 9218, or one of our limits, that the peer broke.
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Violation {
            $($(#[$doc])* $variant,)*
        }

        impl Violation {
            /// Every violation, for tables of counters.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// What it leads to.
            #[must_use]
            pub const fn effect(self) -> Effect {
                match self {
                    $(Self::$variant => effect!($kind $code),)*
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
    // The connection and its frames (RFC 9113 §3.4, §4).

    /// The first bytes are not the client's connection preface (§3.4).
    PrefaceInvalid = connection PROTOCOL_ERROR, "invalid connection preface";
    /// The first frame is not SETTINGS (§3.4).
    SettingsNotFirst = connection PROTOCOL_ERROR, "first frame is not SETTINGS";
    /// A frame longer than we announced (§4.2).
    FrameTooLarge = connection FRAME_SIZE_ERROR, "frame too large";
    /// A field block that cannot be decompressed (§4.3).
    FieldBlockInvalid = connection COMPRESSION_ERROR, "invalid field block";
    /// Another frame between the frames of a field block (§4.3, §6.2, §6.10).
    ContinuationInterrupted = connection PROTOCOL_ERROR, "field block is interrupted";
    /// CONTINUATION without a field block to continue (§6.10).
    ContinuationUnexpected = connection PROTOCOL_ERROR, "CONTINUATION continues nothing";

    // DATA (§6.1).

    /// DATA on stream 0 (§6.1).
    DataOnStreamZero = connection PROTOCOL_ERROR, "DATA on stream 0";
    /// DATA on a stream that was never opened (§5.1).
    DataOnIdle = connection PROTOCOL_ERROR, "DATA on an idle stream";
    /// DATA after the stream's end, or after the peer reset it (§5.1).
    DataOnClosed = stream STREAM_CLOSED, "DATA on a closed stream";
    /// DATA on a stream that both sides had ended (§5.1).
    DataAfterClose = connection STREAM_CLOSED, "DATA on a stream that was over";
    /// Padding as long as the frame's payload or longer, or no room for its length (§6.1, §6.2).
    PaddingTooLong = connection PROTOCOL_ERROR, "padding too long";
    /// More bytes than the connection's window (§6.9.1).
    ConnectionWindowExceeded = connection FLOW_CONTROL_ERROR, "connection window exceeded";
    /// More bytes than the stream's window (§6.9.1).
    StreamWindowExceeded = stream FLOW_CONTROL_ERROR, "stream window exceeded";

    // HEADERS and stream identifiers (§5.1.1, §6.2).

    /// HEADERS on stream 0 (§6.2).
    HeadersOnStreamZero = connection PROTOCOL_ERROR, "HEADERS on stream 0";
    /// A frame on a stream with an even identifier: only a server could open it, and we do not push
    /// (§5.1.1).
    StreamIdEven = connection PROTOCOL_ERROR, "even stream identifier";
    /// HEADERS on a stream that is not larger than those before and was not open (§5.1.1).
    StreamIdNotIncreased = connection PROTOCOL_ERROR, "stream identifier has not increased";
    /// HEADERS on a stream after its end, or after the peer reset it (§5.1).
    HeadersOnClosed = stream STREAM_CLOSED, "HEADERS on a closed stream";
    /// HEADERS on a stream that both sides had ended (§5.1).
    HeadersAfterClose = connection STREAM_CLOSED, "HEADERS on a stream that was over";
    /// HEADERS too short for its priority (§6.2).
    HeadersTooShort = connection FRAME_SIZE_ERROR, "HEADERS too short";

    // The other frames (§6.3 to §6.10).

    /// PRIORITY on stream 0 (§6.3).
    PriorityOnStreamZero = connection PROTOCOL_ERROR, "PRIORITY on stream 0";
    /// PRIORITY that is not 5 bytes long (§6.3).
    PriorityLength = stream FRAME_SIZE_ERROR, "PRIORITY of a wrong length";
    /// A stream that depends on itself (RFC 7540 §5.3.1).
    PrioritySelfDependency = stream PROTOCOL_ERROR, "stream depends on itself";
    /// RST_STREAM on stream 0 (§6.4).
    RstStreamOnStreamZero = connection PROTOCOL_ERROR, "RST_STREAM on stream 0";
    /// RST_STREAM on a stream that was never opened (§6.4).
    RstStreamOnIdle = connection PROTOCOL_ERROR, "RST_STREAM on an idle stream";
    /// RST_STREAM that is not 4 bytes long (§6.4).
    RstStreamLength = connection FRAME_SIZE_ERROR, "RST_STREAM of a wrong length";
    /// SETTINGS on a stream (§6.5).
    SettingsOnStream = connection PROTOCOL_ERROR, "SETTINGS on a stream";
    /// SETTINGS that is not a multiple of 6 bytes long, or an acknowledgement with a payload (§6.5).
    SettingsLength = connection FRAME_SIZE_ERROR, "SETTINGS of a wrong length";
    /// SETTINGS_ENABLE_PUSH, SETTINGS_ENABLE_CONNECT_PROTOCOL or SETTINGS_NO_RFC7540_PRIORITIES that
    /// is neither 0 nor 1 (§6.5.2, RFC 8441 §3, RFC 9218 §2.1).
    SettingsFlagInvalid = connection PROTOCOL_ERROR, "setting is neither 0 nor 1";
    /// SETTINGS_NO_RFC7540_PRIORITIES that changed after the first SETTINGS (RFC 9218 §2.1).
    SettingsPrioritiesChanged = connection PROTOCOL_ERROR, "SETTINGS_NO_RFC7540_PRIORITIES changed";
    /// SETTINGS_INITIAL_WINDOW_SIZE above 2^31-1 (§6.5.2).
    SettingsWindowInvalid = connection FLOW_CONTROL_ERROR, "SETTINGS_INITIAL_WINDOW_SIZE too large";
    /// SETTINGS_MAX_FRAME_SIZE below 2^14 or above 2^24-1 (§6.5.2).
    SettingsFrameSizeInvalid = connection PROTOCOL_ERROR, "SETTINGS_MAX_FRAME_SIZE out of range";
    /// SETTINGS_INITIAL_WINDOW_SIZE that makes a stream's window exceed 2^31-1 (§6.9.2).
    SettingsWindowOverflow = connection FLOW_CONTROL_ERROR, "setting makes a window too large";
    /// PUSH_PROMISE from a client (§6.6, §8.4).
    PushPromiseReceived = connection PROTOCOL_ERROR, "PUSH_PROMISE from a client";
    /// PING on a stream (§6.7).
    PingOnStream = connection PROTOCOL_ERROR, "PING on a stream";
    /// PING that is not 8 bytes long (§6.7).
    PingLength = connection FRAME_SIZE_ERROR, "PING of a wrong length";
    /// GOAWAY on a stream (§6.8).
    GoAwayOnStream = connection PROTOCOL_ERROR, "GOAWAY on a stream";
    /// GOAWAY shorter than 8 bytes (§6.8).
    GoAwayLength = connection FRAME_SIZE_ERROR, "GOAWAY of a wrong length";
    /// WINDOW_UPDATE that is not 4 bytes long (§6.9).
    WindowUpdateLength = connection FRAME_SIZE_ERROR, "WINDOW_UPDATE of a wrong length";
    /// WINDOW_UPDATE on a stream that was never opened (§5.1).
    WindowUpdateOnIdle = connection PROTOCOL_ERROR, "WINDOW_UPDATE on an idle stream";
    /// WINDOW_UPDATE by zero for the connection (§6.9).
    WindowUpdateZero = connection PROTOCOL_ERROR, "WINDOW_UPDATE by zero";
    /// WINDOW_UPDATE by zero for a stream (§6.9).
    StreamWindowUpdateZero = stream PROTOCOL_ERROR, "WINDOW_UPDATE by zero for a stream";
    /// The connection's window exceeds 2^31-1 (§6.9.1).
    WindowOverflow = connection FLOW_CONTROL_ERROR, "window too large";
    /// A stream's window exceeds 2^31-1 (§6.9.1).
    StreamWindowOverflow = stream FLOW_CONTROL_ERROR, "window of a stream too large";
    /// PRIORITY_UPDATE that is not on stream 0 (RFC 9218 §7.1).
    PriorityUpdateOnStream = connection PROTOCOL_ERROR, "PRIORITY_UPDATE on a stream";
    /// PRIORITY_UPDATE shorter than 4 bytes (RFC 9218 §7.1).
    PriorityUpdateLength = connection FRAME_SIZE_ERROR, "PRIORITY_UPDATE too short";
    /// PRIORITY_UPDATE for stream 0 or for a stream that only a server could open (RFC 9218 §7.1).
    PriorityUpdateTarget = connection PROTOCOL_ERROR, "PRIORITY_UPDATE for no request";

    // Fields (§8.2).

    /// A capital letter in a field name (§8.2.1).
    FieldNameUppercase = stream PROTOCOL_ERROR, "field name is not in lower case";
    /// A field name that is empty or not a token (§8.2.1, RFC 9110 §5.1).
    FieldNameInvalid = stream PROTOCOL_ERROR, "invalid field name";
    /// `content_length` or `transfer_encoding`: gateways that turn hyphens into underscores cannot
    /// tell them from the real ones (stricter than RFC 9110 §5.1).
    FieldNameLookalike = stream PROTOCOL_ERROR, "field name that imitates a framing field";
    /// A control character in a field value (§8.2.1, RFC 9110 §5.5).
    FieldValueInvalid = stream PROTOCOL_ERROR, "invalid field value";
    /// Whitespace at the start or end of a field value (§8.2.1).
    FieldValueWhitespace = stream PROTOCOL_ERROR, "whitespace around a field value";
    /// `Connection`, `Keep-Alive`, `Proxy-Connection`, `Transfer-Encoding` or `Upgrade` (§8.2.2).
    ConnectionFieldPresent = stream PROTOCOL_ERROR, "connection-specific field";
    /// `TE` other than `trailers` (§8.2.2).
    TeInvalid = stream PROTOCOL_ERROR, "TE is not trailers";

    // Control data (§8.3).

    /// A pseudo-header field that is not defined for requests (§8.3), or `:protocol`, which we did
    /// not announce (RFC 8441 §3).
    PseudoFieldUnknown = stream PROTOCOL_ERROR, "unknown pseudo-header field";
    /// A pseudo-header field twice (§8.3).
    PseudoFieldRepeated = stream PROTOCOL_ERROR, "repeated pseudo-header field";
    /// A pseudo-header field after a regular one (§8.3).
    PseudoFieldMisplaced = stream PROTOCOL_ERROR, "pseudo-header field after a field";
    /// No `:method` (§8.3.1).
    MethodMissing = stream PROTOCOL_ERROR, "no :method";
    /// A `:method` that is not a token (RFC 9110 §9.1).
    MethodInvalid = stream PROTOCOL_ERROR, "invalid :method";
    /// A `:method` longer than any that is implemented (RFC 9110 §9.1).
    MethodTooLong = response NOT_IMPLEMENTED, ":method too long";
    /// No `:scheme` (§8.3.1).
    SchemeMissing = stream PROTOCOL_ERROR, "no :scheme";
    /// A `:scheme` that is none (RFC 3986 §3.1).
    SchemeInvalid = stream PROTOCOL_ERROR, "invalid :scheme";
    /// No `:path` (§8.3.1).
    PathMissing = stream PROTOCOL_ERROR, "no :path";
    /// An empty `:path` (§8.3.1).
    PathEmpty = stream PROTOCOL_ERROR, "empty :path";
    /// A `:path` that does not start with `/` and is not `*` with OPTIONS, or has a byte that may not
    /// stand in one (§8.3.1, RFC 3986 §3.3).
    PathInvalid = stream PROTOCOL_ERROR, "invalid :path";
    /// A `:path` over the limit (RFC 9110 §4.1).
    PathTooLong = response URI_TOO_LONG, ":path too long";
    /// Neither `:authority` nor `Host` (§8.3.1, RFC 9110 §4.2.1).
    AuthorityMissing = stream PROTOCOL_ERROR, "no :authority and no Host";
    /// An `:authority` that is no host with an optional port, or has userinfo (§8.3.1).
    AuthorityInvalid = stream PROTOCOL_ERROR, "invalid :authority";
    /// A `Host` that is no host with an optional port, or more than one (RFC 9110 §7.2).
    HostInvalid = stream PROTOCOL_ERROR, "invalid Host";
    /// A `Host` that differs from `:authority` (§8.3.1).
    HostDiffers = stream PROTOCOL_ERROR, "Host differs from :authority";
    /// CONNECT with `:scheme` or `:path`, or without a host and port in `:authority` (§8.5).
    ConnectInvalid = stream PROTOCOL_ERROR, "invalid CONNECT";

    // The message (§8.1).

    /// `Content-Length` that is not one number, or out of place in a CONNECT request (§8.1.1,
    /// RFC 9110 §8.6).
    ContentLengthInvalid = stream PROTOCOL_ERROR, "invalid Content-Length";
    /// More content than `Content-Length` (§8.1.1).
    ContentTooLong = stream PROTOCOL_ERROR, "more content than declared";
    /// Less content than `Content-Length` (§8.1.1).
    ContentTooShort = stream PROTOCOL_ERROR, "less content than declared";
    /// Content in a TRACE request (RFC 9110 §9.3.8).
    ContentForbidden = stream PROTOCOL_ERROR, "content in a request whose method has none";
    /// HEADERS within a request that does not end it (§8.1).
    TrailersWithoutEnd = stream PROTOCOL_ERROR, "second HEADERS does not end the stream";
    /// A pseudo-header field in a trailer section (§8.1).
    TrailerPseudoField = stream PROTOCOL_ERROR, "pseudo-header field in a trailer section";
    /// A field that frames or routes the message in a trailer section (RFC 9110 §6.5.1).
    TrailerFieldForbidden = stream PROTOCOL_ERROR, "forbidden field in a trailer section";
    /// A trailer section over its limit.
    TrailersTooLarge = stream ENHANCE_YOUR_CALM, "trailer section too large";
    /// A head over the limit (§10.5.1).
    HeadTooLarge = response REQUEST_HEADER_FIELDS_TOO_LARGE, "request head too large";
    /// More field lines than the limit (§10.5.1).
    TooManyFieldLines = response REQUEST_HEADER_FIELDS_TOO_LARGE, "too many field lines";
    /// `Expect` asks for something other than `100-continue` (RFC 9110 §10.1.1).
    ExpectationUnknown = response EXPECTATION_FAILED, "unknown expectation";
    /// Declared or received content exceeds the limit (RFC 9110 §15.5.14).
    ContentTooLarge = response PAYLOAD_TOO_LARGE, "content too large";

    // Load (§5.1.2, §10.5).

    /// More streams than SETTINGS_MAX_CONCURRENT_STREAMS (§5.1.2).
    TooManyStreams = stream REFUSED_STREAM, "too many concurrent streams";
    /// Streams beyond SETTINGS_MAX_CONCURRENT_STREAMS again and again.
    RefusedStreamsFlood = connection ENHANCE_YOUR_CALM, "flood of streams over the limit";
    /// Requests reset by the peer before they were answered (CVE-2023-44487).
    ResetFlood = connection ENHANCE_YOUR_CALM, "flood of RST_STREAM";
    /// Requests that the peer makes us reset (CVE-2025-8671).
    ProvokedResetFlood = connection ENHANCE_YOUR_CALM, "flood of stream errors";
    /// Heads that are refused with a status again and again.
    RefusedHeadFlood = connection ENHANCE_YOUR_CALM, "flood of refused requests";
    /// A field block of too many frames (CVE-2024-27316).
    ContinuationFlood = connection ENHANCE_YOUR_CALM, "flood of CONTINUATION";
    /// A field block of too many bytes or lines.
    FieldBlockTooLarge = connection ENHANCE_YOUR_CALM, "field block too large";
    /// Too many SETTINGS (CVE-2019-9515).
    SettingsFlood = connection ENHANCE_YOUR_CALM, "flood of SETTINGS";
    /// Too many PING (CVE-2019-9512).
    PingFlood = connection ENHANCE_YOUR_CALM, "flood of PING";
    /// Too many PRIORITY and PRIORITY_UPDATE (CVE-2019-9513).
    PriorityFlood = connection ENHANCE_YOUR_CALM, "flood of PRIORITY";
    /// Too many WINDOW_UPDATE for what was sent (CVE-2019-9511).
    WindowUpdateFlood = connection ENHANCE_YOUR_CALM, "flood of WINDOW_UPDATE";
    /// Too many frames that carry nothing and end nothing (CVE-2019-9518).
    EmptyFrameFlood = connection ENHANCE_YOUR_CALM, "flood of empty frames";
    /// Too many DATA with next to nothing in them (CVE-2019-9511).
    TinyDataFlood = connection ENHANCE_YOUR_CALM, "flood of tiny DATA";
    /// Too many frames of unknown types, or for streams that are over.
    StrayFrameFlood = connection ENHANCE_YOUR_CALM, "flood of frames without a use";
}

impl Violation {
    /// The status code of the response that it demands, if it demands one.
    #[must_use]
    pub const fn status(self) -> Option<StatusCode> {
        match self.effect() {
            Effect::Response(status) => Some(status),
            Effect::Connection(_) | Effect::Stream(_) => None,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for Violation {}

impl From<Fault> for Violation {
    #[inline]
    fn from(fault: Fault) -> Self {
        ajay_mux::fault_to!(Violation, fault)
    }
}

/// A command that does not fit the stream's state or the message: a bug of the caller, never caused
/// by the peer's bytes. Nothing was written then.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Misuse {
    /// The stream is over: finished, or reset by a side, which an event or a command told.
    StreamClosed,
    /// The final response's head was sent already.
    NoResponseDue,
    /// Content or its end before the head.
    HeadNotSent,
    /// The status code is not informational, or is 101, which HTTP/2 does not have (RFC 9113 §8.6).
    NotInformational,
    /// An informational status code where a final one is due.
    InformationalAsFinal,
    /// The response has `Transfer-Encoding`, which HTTP/2 does not have (RFC 9113 §8.2.2).
    TransferEncodingSet,
    /// The response's `Content-Length` is no number, repeated, or differs from the content's size.
    ContentLengthMismatch,
    /// More content than declared.
    ContentTooLong,
    /// The response was finished before all declared content was sent. It cannot be repaired: the
    /// stream must be reset.
    ContentTooShort,
    /// More content than was granted: than the windows or the frame size allow.
    WindowExceeded,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StreamClosed => "the stream is over",
            Self::NoResponseDue => "no response is due",
            Self::HeadNotSent => "the response head was not sent yet",
            Self::NotInformational => "not an informational status code",
            Self::InformationalAsFinal => "informational status code as the final response",
            Self::TransferEncodingSet => "Transfer-Encoding in HTTP/2",
            Self::ContentLengthMismatch => "Content-Length differs from the content's size",
            Self::ContentTooLong => "more content than declared",
            Self::ContentTooShort => "less content than declared",
            Self::WindowExceeded => "more content than was granted",
        })
    }
}

impl std::error::Error for Misuse {}

impl From<HeadFault> for Misuse {
    fn from(fault: HeadFault) -> Self {
        match fault {
            HeadFault::TransferEncodingSet => Self::TransferEncodingSet,
            HeadFault::InformationalAsFinal => Self::InformationalAsFinal,
            HeadFault::ContentLengthMismatch => Self::ContentLengthMismatch,
        }
    }
}

#[cfg(test)]
mod tests;
