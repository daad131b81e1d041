//! What can go wrong: [`Violation`] is the peer's fault, [`Misuse`] our caller's.

use std::fmt;

use ajay_fields::qpack::QpackError;
use ajay_http::StatusCode;
use ajay_mux::{Fault, response::HeadFault};

/// An error code (RFC 9114 §8.1, RFC 9204 §6). Codes that nobody has registered are kept as they came.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct ErrorCode(pub u64);

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        impl ErrorCode {
            $($(#[$doc])* pub const $name: Self = Self($code);)*

            /// The registered name, without its `H3_`, if it has one.
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
    NO_ERROR = 0x100;
    /// The peer broke a rule that has no code of its own.
    GENERAL_PROTOCOL_ERROR = 0x101;
    /// Our fault.
    INTERNAL_ERROR = 0x102;
    /// A stream that may not be opened.
    STREAM_CREATION_ERROR = 0x103;
    /// A stream that the connection needs was closed.
    CLOSED_CRITICAL_STREAM = 0x104;
    /// A frame in a place where it may not be.
    FRAME_UNEXPECTED = 0x105;
    /// A frame whose payload is not what its type says, or that was cut off.
    FRAME_ERROR = 0x106;
    /// The peer causes too much load.
    EXCESSIVE_LOAD = 0x107;
    /// An identifier that was not to be used, or not in that way.
    ID_ERROR = 0x108;
    /// SETTINGS that are not good.
    SETTINGS_ERROR = 0x109;
    /// No SETTINGS at the beginning of the control stream.
    MISSING_SETTINGS = 0x10a;
    /// The request was not processed: it can be tried again.
    REQUEST_REJECTED = 0x10b;
    /// The request or its response is no longer wanted.
    REQUEST_CANCELLED = 0x10c;
    /// The client's stream ended before its request did.
    REQUEST_INCOMPLETE = 0x10d;
    /// A malformed message.
    MESSAGE_ERROR = 0x10e;
    /// The connection of a CONNECT request failed.
    CONNECT_ERROR = 0x10f;
    /// HTTP/1.1 is wanted instead.
    VERSION_FALLBACK = 0x110;
    /// A field section that cannot be decoded.
    QPACK_DECOMPRESSION_FAILED = 0x200;
    /// An instruction of the encoder that is not good.
    QPACK_ENCODER_STREAM_ERROR = 0x201;
    /// An instruction of the decoder that is not good.
    QPACK_DECODER_STREAM_ERROR = 0x202;
}

impl ErrorCode {
    /// The number.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }
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
    /// The end of the connection with this code (RFC 9114 §8).
    Connection(ErrorCode),
    /// The stream is reset with this code; the connection goes on (§8).
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
        /// A rule of RFC 9110, RFC 9114, RFC 9204 or RFC 9218, or one of our limits, that the peer broke.
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
    // Streams (RFC 9114 §6).

    /// A second control stream (§6.2.1).
    SecondControlStream = connection STREAM_CREATION_ERROR, "second control stream";
    /// A second QPACK encoder or decoder stream (RFC 9204 §4.2).
    SecondQpackStream = connection STREAM_CREATION_ERROR, "second QPACK stream of its kind";
    /// A push stream, which only servers open (§6.2.2).
    PushStreamOfClient = connection STREAM_CREATION_ERROR, "push stream of a client";
    /// A control or QPACK stream was closed, reset, or not wanted (§6.2.1, RFC 9204 §4.2).
    CriticalStreamClosed = connection CLOSED_CRITICAL_STREAM, "critical stream closed";

    // Frames (§7).

    /// The first frame of the control stream is not SETTINGS (§6.2.1).
    SettingsMissing = connection MISSING_SETTINGS, "first frame is not SETTINGS";
    /// SETTINGS again (§7.2.4).
    SettingsAgain = connection FRAME_UNEXPECTED, "second SETTINGS";
    /// DATA before HEADERS, or DATA or HEADERS after a trailer section (§4.1).
    FrameOutOfOrder = connection FRAME_UNEXPECTED, "invalid sequence of frames";
    /// A frame of the control stream on a request's (§7.2).
    FrameOnRequestStream = connection FRAME_UNEXPECTED, "frame of the control stream on another";
    /// A frame of requests on the control stream (§7.2).
    FrameOnControlStream = connection FRAME_UNEXPECTED, "frame of a request on the control stream";
    /// PUSH_PROMISE of a client (§7.2.5).
    PushPromiseOfClient = connection FRAME_UNEXPECTED, "PUSH_PROMISE of a client";
    /// A frame type of HTTP/2 that has no counterpart (§7.2.8).
    FrameOfHttp2 = connection FRAME_UNEXPECTED, "frame type of HTTP/2";
    /// A payload that ends early, or has more than its type says (§7.1).
    FrameLength = connection FRAME_ERROR, "frame payload of a wrong length";
    /// A stream that ends within a frame (§7.1).
    FrameCutOff = connection FRAME_ERROR, "stream ends within a frame";
    /// A control frame with more payload than we take.
    ControlFrameTooLarge = connection EXCESSIVE_LOAD, "control frame too large";
    /// A setting twice (§7.2.4).
    SettingRepeated = connection SETTINGS_ERROR, "repeated setting";
    /// A setting of HTTP/2 that has no counterpart (§7.2.4.1).
    SettingOfHttp2 = connection SETTINGS_ERROR, "setting of HTTP/2";
    /// A setting with a value that it cannot have (RFC 9220 §3, RFC 9297 §2.1.1).
    SettingInvalid = connection SETTINGS_ERROR, "setting out of range";
    /// More settings than we take.
    TooManySettings = connection EXCESSIVE_LOAD, "too many settings";
    /// GOAWAY with a larger identifier than the one before (§5.2).
    GoAwayIncreased = connection ID_ERROR, "GOAWAY with a larger identifier";
    /// MAX_PUSH_ID with a smaller identifier than the one before (§7.2.7).
    MaxPushIdDecreased = connection ID_ERROR, "MAX_PUSH_ID decreased";
    /// CANCEL_PUSH for a push that was not promised (§7.2.3).
    CancelPushUnknown = connection ID_ERROR, "CANCEL_PUSH for no push";
    /// PRIORITY_UPDATE for something that is no request's stream, or no push (RFC 9218 §7.2).
    PriorityUpdateTarget = connection ID_ERROR, "PRIORITY_UPDATE for no request";

    // Field compression (RFC 9204).

    /// A field section that cannot be decoded (RFC 9204 §2.2).
    FieldSectionInvalid = connection QPACK_DECOMPRESSION_FAILED, "invalid field section";
    /// An instruction of the encoder that breaks a rule (RFC 9204 §4.3).
    EncoderStreamInvalid = connection QPACK_ENCODER_STREAM_ERROR, "invalid QPACK encoder instruction";
    /// An instruction of the decoder that breaks a rule (RFC 9204 §4.4).
    DecoderStreamInvalid = connection QPACK_DECODER_STREAM_ERROR, "invalid QPACK decoder instruction";
    /// A field section of too many lines.
    FieldSectionTooLarge = connection EXCESSIVE_LOAD, "field section of too many lines";
    /// Acknowledgments of QPACK that the peer does not let us send.
    AcknowledgmentsPiledUp = connection EXCESSIVE_LOAD, "QPACK acknowledgments cannot be sent";

    // Fields (§4.2).

    /// A capital letter in a field name (§4.2).
    FieldNameUppercase = stream MESSAGE_ERROR, "field name is not in lower case";
    /// A field name that is empty or not a token (RFC 9114 §4.2, RFC 9110 §5.1).
    FieldNameInvalid = stream MESSAGE_ERROR, "invalid field name";
    /// `content_length` or `transfer_encoding`: gateways that turn hyphens into underscores cannot
    /// tell them from the real ones (stricter than RFC 9110 §5.1).
    FieldNameLookalike = stream MESSAGE_ERROR, "field name that imitates a framing field";
    /// A control character in a field value (§10.3, RFC 9110 §5.5).
    FieldValueInvalid = stream MESSAGE_ERROR, "invalid field value";
    /// Whitespace at the start or end of a field value (§4.2).
    FieldValueWhitespace = stream MESSAGE_ERROR, "whitespace around a field value";
    /// `Connection`, `Keep-Alive`, `Proxy-Connection`, `Transfer-Encoding` or `Upgrade` (§4.2).
    ConnectionFieldPresent = stream MESSAGE_ERROR, "connection-specific field";
    /// `TE` other than `trailers` (§4.2).
    TeInvalid = stream MESSAGE_ERROR, "TE is not trailers";

    // Control data (§4.3).

    /// A pseudo-header field that is not defined for requests (§4.3), or `:protocol`, which we did
    /// not announce (RFC 9220 §3).
    PseudoFieldUnknown = stream MESSAGE_ERROR, "unknown pseudo-header field";
    /// A pseudo-header field twice (§4.3).
    PseudoFieldRepeated = stream MESSAGE_ERROR, "repeated pseudo-header field";
    /// A pseudo-header field after a regular one (§4.3).
    PseudoFieldMisplaced = stream MESSAGE_ERROR, "pseudo-header field after a field";
    /// No `:method` (§4.3.1).
    MethodMissing = stream MESSAGE_ERROR, "no :method";
    /// A `:method` that is not a token (RFC 9110 §9.1).
    MethodInvalid = stream MESSAGE_ERROR, "invalid :method";
    /// A `:method` longer than any that is implemented (RFC 9110 §9.1).
    MethodTooLong = response NOT_IMPLEMENTED, ":method too long";
    /// No `:scheme` (§4.3.1).
    SchemeMissing = stream MESSAGE_ERROR, "no :scheme";
    /// A `:scheme` that is none (RFC 3986 §3.1).
    SchemeInvalid = stream MESSAGE_ERROR, "invalid :scheme";
    /// No `:path` (§4.3.1).
    PathMissing = stream MESSAGE_ERROR, "no :path";
    /// An empty `:path` (§4.3.1).
    PathEmpty = stream MESSAGE_ERROR, "empty :path";
    /// A `:path` that does not start with `/` and is not `*` with OPTIONS, or has a byte that may not
    /// stand in one (§4.3.1, RFC 3986 §3.3).
    PathInvalid = stream MESSAGE_ERROR, "invalid :path";
    /// A `:path` over the limit (RFC 9110 §4.1).
    PathTooLong = response URI_TOO_LONG, ":path too long";
    /// Neither `:authority` nor `Host` (§4.3.1, RFC 9110 §4.2.1).
    AuthorityMissing = stream MESSAGE_ERROR, "no :authority and no Host";
    /// An `:authority` that is no host with an optional port, or has userinfo (§4.3.1).
    AuthorityInvalid = stream MESSAGE_ERROR, "invalid :authority";
    /// A `Host` that is no host with an optional port, or more than one (RFC 9110 §7.2).
    HostInvalid = stream MESSAGE_ERROR, "invalid Host";
    /// A `Host` that differs from `:authority` (§4.3.1).
    HostDiffers = stream MESSAGE_ERROR, "Host differs from :authority";
    /// CONNECT with `:scheme` or `:path`, or without a host and port in `:authority` (§4.4).
    ConnectInvalid = stream MESSAGE_ERROR, "invalid CONNECT";

    // The message (§4.1).

    /// `Content-Length` that is not one number, or out of place in a CONNECT request (§4.1.2,
    /// RFC 9110 §8.6).
    ContentLengthInvalid = stream MESSAGE_ERROR, "invalid Content-Length";
    /// More content than `Content-Length` (§4.1.2).
    ContentTooLong = stream MESSAGE_ERROR, "more content than declared";
    /// Less content than `Content-Length` (§4.1.2).
    ContentTooShort = stream MESSAGE_ERROR, "less content than declared";
    /// Content in a TRACE request (RFC 9110 §9.3.8).
    ContentForbidden = stream MESSAGE_ERROR, "content in a request whose method has none";
    /// A pseudo-header field in a trailer section (§4.1).
    TrailerPseudoField = stream MESSAGE_ERROR, "pseudo-header field in a trailer section";
    /// A field that frames or routes the message in a trailer section (RFC 9110 §6.5.1).
    TrailerFieldForbidden = stream MESSAGE_ERROR, "forbidden field in a trailer section";
    /// A trailer section over its limit.
    TrailersTooLarge = stream EXCESSIVE_LOAD, "trailer section too large";
    /// A head over the limit (§10.5.1).
    HeadTooLarge = response REQUEST_HEADER_FIELDS_TOO_LARGE, "request head too large";
    /// More field lines than the limit (§10.5.1).
    TooManyFieldLines = response REQUEST_HEADER_FIELDS_TOO_LARGE, "too many field lines";
    /// `Expect` asks for something other than `100-continue` (RFC 9110 §10.1.1).
    ExpectationUnknown = response EXPECTATION_FAILED, "unknown expectation";
    /// Declared or received content exceeds the limit (RFC 9110 §15.5.14).
    ContentTooLarge = response PAYLOAD_TOO_LARGE, "content too large";

    /// The client's stream ended before its request's head (§4.1).
    RequestIncomplete = stream REQUEST_INCOMPLETE, "stream ends before the request";

    // Load (§10.5).

    /// A request that we have said we will not process (§5.2).
    RequestAfterGoAway = stream REQUEST_REJECTED, "request after GOAWAY";
    /// More requests at once than we take.
    TooManyStreams = stream REQUEST_REJECTED, "too many concurrent requests";
    /// Requests over the limit again and again.
    RefusedStreamsFlood = connection EXCESSIVE_LOAD, "flood of requests over the limit";
    /// Requests given up before they were answered (CVE-2023-44487).
    ResetFlood = connection EXCESSIVE_LOAD, "flood of resets";
    /// Requests that the peer makes us reset (CVE-2025-8671).
    ProvokedResetFlood = connection EXCESSIVE_LOAD, "flood of stream errors";
    /// Heads that are refused with a status again and again.
    RefusedHeadFlood = connection EXCESSIVE_LOAD, "flood of refused requests";
    /// Too many frames on the control stream.
    ControlFrameFlood = connection EXCESSIVE_LOAD, "flood of control frames";
    /// Too many frames without content.
    EmptyFrameFlood = connection EXCESSIVE_LOAD, "flood of empty frames";
    /// Too many frames with next to no content.
    TinyDataFlood = connection EXCESSIVE_LOAD, "flood of tiny DATA frames";
    /// Too many frames of unknown types.
    StrayFrameFlood = connection EXCESSIVE_LOAD, "flood of unknown frames";
    /// Too many streams of unknown types.
    StrayStreamFlood = connection EXCESSIVE_LOAD, "flood of unknown streams";
}

impl Violation {
    /// The status code to answer with, if one is due.
    #[must_use]
    pub const fn status(self) -> Option<StatusCode> {
        match self.effect() {
            Effect::Response(status) => Some(status),
            Effect::Connection(_) | Effect::Stream(_) => None,
        }
    }

    /// The code with which the connection ends because of it.
    #[must_use]
    pub const fn connection_code(self) -> ErrorCode {
        match self.effect() {
            Effect::Connection(code) => code,
            Effect::Stream(_) | Effect::Response(_) => ErrorCode::INTERNAL_ERROR,
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

impl From<QpackError> for Violation {
    #[cold]
    fn from(error: QpackError) -> Self {
        match (error, ErrorCode(error.code())) {
            (QpackError::TooManyLines, _) => Self::FieldSectionTooLarge,
            (QpackError::DecoderStreamStalled, _) => Self::AcknowledgmentsPiledUp,
            (_, ErrorCode::QPACK_ENCODER_STREAM_ERROR) => Self::EncoderStreamInvalid,
            (_, ErrorCode::QPACK_DECODER_STREAM_ERROR) => Self::DecoderStreamInvalid,
            _ => Self::FieldSectionInvalid,
        }
    }
}

/// A mistake of our caller.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Misuse {
    /// The stream is over: finished, or reset by a side, which an event or a command told.
    StreamClosed,
    /// The final response's head was sent already.
    NoResponseDue,
    /// Content or its end before the head.
    HeadNotSent,
    /// The status code is not informational, or is 101, which HTTP/3 does not have (RFC 9114 §4.5).
    NotInformational,
    /// An informational status code where a final one is due.
    InformationalAsFinal,
    /// The response has `Transfer-Encoding`, which HTTP/3 does not have (RFC 9114 §4.2).
    TransferEncodingSet,
    /// The response's `Content-Length` is no number, repeated, or differs from the content's size.
    ContentLengthMismatch,
    /// More content than declared.
    ContentTooLong,
    /// The response was finished before all declared content was sent. It cannot be repaired: the stream
    /// must be reset.
    ContentTooShort,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StreamClosed => "the stream is over",
            Self::NoResponseDue => "no response is due",
            Self::HeadNotSent => "the response head was not sent yet",
            Self::NotInformational => "not an informational status code",
            Self::InformationalAsFinal => "informational status code as the final response",
            Self::TransferEncodingSet => "Transfer-Encoding in HTTP/3",
            Self::ContentLengthMismatch => "Content-Length differs from the content's size",
            Self::ContentTooLong => "more content than declared",
            Self::ContentTooShort => "less content than declared",
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
