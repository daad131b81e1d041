//! What a peer can do wrong in a message, whatever carries it.

macro_rules! faults {
    ($($(#[$doc:meta])* $variant:ident;)*) => {
        /// A rule on messages that the peer broke. Each protocol has a violation of the same name, which
        /// says what it leads to.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Fault {
            $($(#[$doc])* $variant,)*
        }

        /// The same rule among a protocol's own.
        #[macro_export]
        macro_rules! fault_to {
            ($violation:ident, $fault:expr) => {
                match $fault {
                    $($crate::Fault::$variant => $violation::$variant,)*
                }
            };
        }
    };
}

faults! {
    /// A capital letter in a field name (§8.2.1).
    FieldNameUppercase;
    /// A field name that is empty or not a token (§8.2.1, RFC 9110 §5.1).
    FieldNameInvalid;
    /// `content_length` or `transfer_encoding`: gateways that turn hyphens into underscores cannot
    /// tell them from the real ones (stricter than RFC 9110 §5.1).
    FieldNameLookalike;
    /// A control character in a field value (§8.2.1, RFC 9110 §5.5).
    FieldValueInvalid;
    /// Whitespace at the start or end of a field value (§8.2.1).
    FieldValueWhitespace;
    /// `Connection`, `Keep-Alive`, `Proxy-Connection`, `Transfer-Encoding` or `Upgrade` (§8.2.2).
    ConnectionFieldPresent;
    /// `TE` other than `trailers` (§8.2.2).
    TeInvalid;
    /// A pseudo-header field that is not defined for requests (§8.3), or `:protocol`, which we did
    /// not announce (RFC 8441 §3).
    PseudoFieldUnknown;
    /// A pseudo-header field twice (§8.3).
    PseudoFieldRepeated;
    /// A pseudo-header field after a regular one (§8.3).
    PseudoFieldMisplaced;
    /// No `:method` (§8.3.1).
    MethodMissing;
    /// A `:method` that is not a token (RFC 9110 §9.1).
    MethodInvalid;
    /// A `:method` longer than any that is implemented (RFC 9110 §9.1).
    MethodTooLong;
    /// No `:scheme` (§8.3.1).
    SchemeMissing;
    /// A `:scheme` that is none (RFC 3986 §3.1).
    SchemeInvalid;
    /// No `:path` (§8.3.1).
    PathMissing;
    /// An empty `:path` (§8.3.1).
    PathEmpty;
    /// A `:path` that does not start with `/` and is not `*` with OPTIONS, or has a byte that may not
    /// stand in one (§8.3.1, RFC 3986 §3.3).
    PathInvalid;
    /// A `:path` over the limit (RFC 9110 §4.1).
    PathTooLong;
    /// Neither `:authority` nor `Host` (§8.3.1, RFC 9110 §4.2.1).
    AuthorityMissing;
    /// An `:authority` that is no host with an optional port, or has userinfo (§8.3.1).
    AuthorityInvalid;
    /// A `Host` that is no host with an optional port, or more than one (RFC 9110 §7.2).
    HostInvalid;
    /// A `Host` that differs from `:authority` (§8.3.1).
    HostDiffers;
    /// CONNECT with `:scheme` or `:path`, or without a host and port in `:authority` (§8.5).
    ConnectInvalid;
    /// `Content-Length` that is not one number, or out of place in a CONNECT request (§8.1.1,
    /// RFC 9110 §8.6).
    ContentLengthInvalid;
    /// Content in a TRACE request (RFC 9110 §9.3.8).
    ContentForbidden;
    /// A pseudo-header field in a trailer section (§8.1).
    TrailerPseudoField;
    /// A field that frames or routes the message in a trailer section (RFC 9110 §6.5.1).
    TrailerFieldForbidden;
    /// A trailer section over its limit.
    TrailersTooLarge;
    /// A head over the limit (§10.5.1).
    HeadTooLarge;
    /// More field lines than the limit (§10.5.1).
    TooManyFieldLines;
    /// `Expect` asks for something other than `100-continue` (RFC 9110 §10.1.1).
    ExpectationUnknown;
    /// Declared or received content exceeds the limit (RFC 9110 §15.5.14).
    ContentTooLarge;
}
