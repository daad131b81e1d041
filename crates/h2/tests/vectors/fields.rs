//! Field blocks of requests: RFC 9113 §8.2, §8.3, §8.5. They are written as literals without
//! indexing: `\0`, name and value with their lengths; or with the index of a name.

use super::BlockVector;

/// Complete requests on stream 1.
pub(crate) const REQUESTS: &[BlockVector] = &[
    (b"\x82\x84\x86\x01\x01a", "1:GET /"),
    (b"\x82\x84\x87\x01\x01a", "1:GET /"),
    (b"\x82\x04\x07/a?b=%2\x86\x01\x01a", "1!PathInvalid"),
    (b"\x82\x04\x06/a?b=c\x86\x01\x01a", "1:GET /a?b=c"),
    // §8.2.1.
    (b"\x82\x84\x86\x01\x01a\0\x01X\x01y", "1!FieldNameUppercase"),
    (
        b"\x82\x84\x86\x01\x01a\0\x06Cookie\x01y",
        "1!FieldNameUppercase",
    ),
    (b"\x82\x84\x86\x01\x01a\0\x03x y\x01y", "1!FieldNameInvalid"),
    (b"\x82\x84\x86\x01\x01a\0\0\x01y", "1!FieldNameInvalid"),
    (b"\x82\x84\x86\x01\x01a\0\x02x:\x01y", "1!FieldNameInvalid"),
    (
        b"\x82\x84\x86\x01\x01a\0\x02\xc3\xa4\x01y",
        "1!FieldNameInvalid",
    ),
    (
        b"\x82\x84\x86\x01\x01a\0\x0econtent_length\x011",
        "1!FieldNameLookalike",
    ),
    (
        b"\x82\x84\x86\x01\x01a\0\x01x\x03a\0b",
        "1!FieldValueInvalid",
    ),
    (
        b"\x82\x84\x86\x01\x01a\0\x01x\x03a\rb",
        "1!FieldValueInvalid",
    ),
    (
        b"\x82\x84\x86\x01\x01a\0\x01x\x03a\nb",
        "1!FieldValueInvalid",
    ),
    (
        b"\x82\x84\x86\x01\x01a\0\x01x\x03a\x7fb",
        "1!FieldValueInvalid",
    ),
    (b"\x82\x84\x86\x01\x01a\0\x01x\x03a\tb", "1:GET /"),
    (
        b"\x82\x84\x86\x01\x01a\0\x01x\x02 b",
        "1!FieldValueWhitespace",
    ),
    (
        b"\x82\x84\x86\x01\x01a\0\x01x\x02a\t",
        "1!FieldValueWhitespace",
    ),
    (b"\x82\x84\x86\x01\x01a\0\x01x\0", "1:GET /"),
    // §8.2.2.
    (
        b"\x82\x84\x86\x01\x01a\0\x0aconnection\x05close",
        "1!ConnectionFieldPresent",
    ),
    (
        b"\x82\x84\x86\x01\x01a\0\x0akeep-alive\x011",
        "1!ConnectionFieldPresent",
    ),
    (
        b"\x82\x84\x86\x01\x01a\0\x10proxy-connection\x01x",
        "1!ConnectionFieldPresent",
    ),
    (
        b"\x82\x84\x86\x01\x01a\0\x11transfer-encoding\x07chunked",
        "1!ConnectionFieldPresent",
    ),
    (
        b"\x82\x84\x86\x01\x01a\0\x07upgrade\x03h2c",
        "1!ConnectionFieldPresent",
    ),
    (b"\x82\x84\x86\x01\x01a\0\x02te\x08trailers", "1:GET /"),
    (b"\x82\x84\x86\x01\x01a\0\x02te\x04gzip", "1!TeInvalid"),
    // §8.3.
    (
        b"\x82\x84\x86\x01\x01a\0\x04:foo\x01x",
        "1!PseudoFieldUnknown",
    ),
    (
        b"\x82\x84\x86\x01\x01a\0\x07:status\x03200",
        "1!PseudoFieldUnknown",
    ),
    (
        b"\x82\x84\x86\x01\x01a\0\x09:protocol\x09websocket",
        "1!PseudoFieldUnknown",
    ),
    (b"\x82\x82\x84\x86\x01\x01a", "1!PseudoFieldRepeated"),
    (b"\x82\x84\x84\x86\x01\x01a", "1!PseudoFieldRepeated"),
    (b"\x82\x84\x86\x87\x01\x01a", "1!PseudoFieldRepeated"),
    (b"\x82\x84\x86\x01\x01a\x01\x01a", "1!PseudoFieldRepeated"),
    (
        b"\x82\x84\0\x01x\x01y\x86\x01\x01a",
        "1!PseudoFieldMisplaced",
    ),
    // §8.3.1.
    (b"\x84\x86\x01\x01a", "1!MethodMissing"),
    (b"\x02\0\x84\x86\x01\x01a", "1!MethodInvalid"),
    (b"\x02\x03G T\x84\x86\x01\x01a", "1!MethodInvalid"),
    (b"\x02\x03FOO\x84\x86\x01\x01a", "1:FOO /"),
    (
        b"\x02\x21ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG\x84\x86\x01\x01a",
        "1!MethodTooLong",
    ),
    (b"\x82\x84\x01\x01a", "1!SchemeMissing"),
    (b"\x82\x84\x06\0\x01\x01a", "1!SchemeInvalid"),
    (b"\x82\x84\x06\x021x\x01\x01a", "1!SchemeInvalid"),
    (b"\x82\x84\x06\x03x-y\x01\x01a", "1:GET /"),
    (b"\x82\x86\x01\x01a", "1!PathMissing"),
    (b"\x82\x04\0\x86\x01\x01a", "1!PathEmpty"),
    (b"\x82\x04\x01a\x86\x01\x01a", "1!PathInvalid"),
    (b"\x82\x04\x01*\x86\x01\x01a", "1!PathInvalid"),
    (b"\x82\x04\x03/ x\x86\x01\x01a", "1!PathInvalid"),
    (b"\x82\x04\x03/#x\x86\x01\x01a", "1!PathInvalid"),
    (b"\x82\x04\x09http://a/\x86\x01\x01a", "1!PathInvalid"),
    (b"\x02\x07OPTIONS\x04\x01*\x86\x01\x01a", "1:OPTIONS *"),
    (b"\x82\x84\x86", "1!AuthorityMissing"),
    (b"\x82\x84\x86\x01\0", "1!AuthorityInvalid"),
    (b"\x82\x84\x86\x01\x03u@a", "1!AuthorityInvalid"),
    (b"\x82\x84\x86\x01\x03a/b", "1!AuthorityInvalid"),
    (b"\x82\x84\x86\x01\x04a:80", "1:GET /"),
    (b"\x82\x84\x86\x0f\x17\x01a", "1:GET /"),
    (b"\x82\x84\x86\x01\x01a\x0f\x17\x01A", "1:GET /"),
    (b"\x82\x84\x86\x0f\x17\0", "1!HostInvalid"),
    (
        b"\x82\x84\x86\x01\x01a\x0f\x17\x01a\x0f\x17\x01a",
        "1!HostInvalid",
    ),
    (b"\x82\x84\x86\x01\x01a\x0f\x17\x01b", "1!HostDiffers"),
    // §8.5.
    (b"\x02\x07CONNECT\x01\x03a:1", "1:CONNECT a:1"),
    (b"\x02\x07CONNECT\x01\x01a", "1!ConnectInvalid"),
    (b"\x02\x07CONNECT", "1!ConnectInvalid"),
    (b"\x02\x07CONNECT\x86\x01\x03a:1", "1!ConnectInvalid"),
    (b"\x02\x07CONNECT\x84\x01\x03a:1", "1!ConnectInvalid"),
    (
        b"\x02\x07CONNECT\x01\x03a:1\x0f\x0d\x010",
        "1!ContentLengthInvalid",
    ),
    // RFC 9110 §8.6.
    (b"\x82\x84\x86\x01\x01a\x0f\x0d\x010", "1:GET /"),
    (b"\x82\x84\x86\x01\x01a\x0f\x0d\x011", "1!ContentTooShort"),
    (b"\x82\x84\x86\x01\x01a\x0f\x0d\0", "1!ContentLengthInvalid"),
    (
        b"\x82\x84\x86\x01\x01a\x0f\x0d\x02+1",
        "1!ContentLengthInvalid",
    ),
    (
        b"\x82\x84\x86\x01\x01a\x0f\x0d\x0201",
        "1!ContentLengthInvalid",
    ),
    (
        b"\x82\x84\x86\x01\x01a\x0f\x0d\x010\x0f\x0d\x010",
        "1!ContentLengthInvalid",
    ),
    (
        b"\x82\x84\x86\x01\x01a\x0f\x0d\x1418446744073709551616",
        "1!ContentLengthInvalid",
    ),
    // RFC 9110 §10.1.1.
    (
        b"\x82\x84\x86\x01\x01a\x0f\x14\x03200",
        "1!ExpectationUnknown",
    ),
];

/// Requests whose content, `abc`, follows.
pub(crate) const WITH_CONTENT: &[BlockVector] = &[
    (b"\x83\x84\x86\x01\x01a", "1:POST /=abc"),
    (b"\x83\x84\x86\x01\x01a\x0f\x0d\x013", "1:POST /=abc"),
    (
        b"\x83\x84\x86\x01\x01a\x0f\x14\x0c100-Continue",
        "1:POST /=abc",
    ),
    (
        b"\x83\x84\x86\x01\x01a\x0f\x14\x03200",
        "1!ExpectationUnknown",
    ),
    (
        b"\x02\x05TRACE\x84\x86\x01\x01a\x0f\x0d\x013",
        "1!ContentForbidden",
    ),
    (b"\x02\x07CONNECT\x01\x03a:1", "1:CONNECT a:1=abc"),
];

/// Trailer sections of `POST /` after the content `x`.
pub(crate) const TRAILERS: &[BlockVector] = &[
    (b"\0\x01a\x01b", "1:POST /=x+a:b"),
    // RFC 9110 §6.5.1: dropped.
    (b"\0\x01a\x01b\0\x05range\x01x", "1:POST /=x+a:b"),
    (b"\x0f\x0d\x011", "1:POST /=x…!TrailerFieldForbidden"),
    (b"\x0f\x17\x01a", "1:POST /=x…!TrailerFieldForbidden"),
    (b"\x84", "1:POST /=x…!TrailerPseudoField"),
    (b"\0\x02:x\x01y", "1:POST /=x…!TrailerPseudoField"),
    (b"\0\x01X\x01y", "1:POST /=x…!FieldNameUppercase"),
    (
        b"\0\x0aconnection\x01x",
        "1:POST /=x…!ConnectionFieldPresent",
    ),
    (b"\xff", "1:POST /=x…; !FieldBlockInvalid"),
];

/// With the small limits, complete requests on stream 1.
pub(crate) const LIMITS: &[BlockVector] = &[
    (
        b"\x82\x04\x20/234567890123456789012345678901X\x86\x01\x01a",
        "1:GET /234567890123456789012345678901X",
    ),
    (
        b"\x82\x04\x21/234567890123456789012345678901XY\x86\x01\x01a",
        "1!PathTooLong",
    ),
    (
        b"\x82\x84\x86\x01\x01a\0\x01a\0\0\x01b\0\0\x01c\0\0\x01d\0",
        "1:GET /",
    ),
    (
        b"\x82\x84\x86\x01\x01a\0\x01a\0\0\x01b\0\0\x01c\0\0\x01d\0\0\x01e\0",
        "1!TooManyFieldLines",
    ),
];
