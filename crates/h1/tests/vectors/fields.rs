//! Field lines (RFC 9112 §5, RFC 9110 §5) and the rules on `Host` (§3.2) and `Expect`.

use super::Vector;

pub(super) const VECTORS: &[Vector] = &[
    // Lines.
    (b"GET / HTTP/1.1\r\nHost:a\r\n\r\n", "GET /"),
    (b"GET / HTTP/1.1\r\nHost: \t a \t \r\n\r\n", "GET /"),
    (b"GET / HTTP/1.1\r\nhOsT: a\r\n\r\n", "GET /"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n", "GET /"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n", "GET /"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: a:b:c\r\n\r\n", "GET /"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\tb\r\n\r\n", "GET /"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x80\xff\r\n\r\n", "GET /"),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\n!#$%&'*+-.^_`|~09azAZ: b\r\n\r\n",
        "GET /",
    ),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX_Y: b\r\n\r\n", "GET /"),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
        "!FieldNameMissing",
    ),
    (
        b"GET / HTTP/1.1\r\n: b\r\nHost: a\r\n\r\n",
        "!FieldNameMissing",
    ),
    (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", "!FieldNameSpace"),
    (b"GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", "!FieldNameSpace"),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nX Y: b\r\n\r\n",
        "!FieldNameSpace",
    ),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nX\tY: b\r\n\r\n",
        "!FieldNameSpace",
    ),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
        "!FieldColonMissing",
    ),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nX\n\r\n",
        "!FieldColonMissing",
    ),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\ngarbage\r\nX: y\r\n\r\n",
        "!FieldColonMissing",
    ),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nX[]: b\r\n\r\n",
        "!FieldNameInvalid",
    ),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\n(X): b\r\n\r\n",
        "!FieldNameInvalid",
    ),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n",
        "!FieldNameInvalid",
    ),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nX\x7f: b\r\n\r\n",
        "!FieldNameInvalid",
    ),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nX-T\xc3\xabst: b\r\n\r\n",
        "!FieldNameInvalid",
    ),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\n\"X\": b\r\n\r\n",
        "!FieldNameInvalid",
    ),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nX/Y: b\r\n\r\n",
        "!FieldNameInvalid",
    ),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nX,Y: b\r\n\r\n",
        "!FieldNameInvalid",
    ),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nX@Y: b\r\n\r\n",
        "!FieldNameInvalid",
    ),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\n\x0bX: b\r\n\r\n",
        "!FieldNameInvalid",
    ),
    // obs-fold, and whitespace before the first line.
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
        "!LineFolded",
    ),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n",
        "!LineFolded",
    ),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nX:\r\n b\r\n\r\n",
        "!LineFolded",
    ),
    (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", "!LineFolded"),
    (b"GET / HTTP/1.1\r\n\tHost: a\r\n\r\n", "!LineFolded"),
    (b"GET / HTTP/1.1\r\n \r\nHost: a\r\n\r\n", "!LineFolded"),
    (b"GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n", "!LineFolded"),
    // Values.
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n",
        "!FieldValueInvalid",
    ),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
        "!FieldValueInvalid",
    ),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nX: abc\x07\x08\x0bdef\r\n\r\n",
        "!FieldValueInvalid",
    ),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nX: \x1b[0m\r\n\r\n",
        "!FieldValueInvalid",
    ),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nX: b\x7fc\r\n\r\n",
        "!FieldValueInvalid",
    ),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nCookie: a=b\0c\r\n\r\n",
        "!FieldValueInvalid",
    ),
    // Line ends.
    (b"GET / HTTP/1.1\r\nHost: a\n\r\n", "!BareLf"),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nX: b\nY: c\r\n\r\n",
        "!BareLf",
    ),
    (b"GET / HTTP/1.1\r\nHost: a\r\n\n", "!BareLf"),
    (b"GET / HTTP/1.1\r\n\n", "!BareLf"),
    (b"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", "!BareCr"),
    (b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", "!BareCr"),
    (b"GET / HTTP/1.1\r\nHost: a\r\n\rX: b\r\n\r\n", "!BareCr"),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r Y: c\r\n\r\n",
        "!BareCr",
    ),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\0\r\n", "!BareCr"),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nX: val\rue\r\n\r\n",
        "!BareCr",
    ),
    // Names that imitate framing fields.
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\n\r\n",
        "!FieldNameLookalike",
    ),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\n\r\n",
        "!FieldNameLookalike",
    ),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\ncontent_LENGTH: 5\r\n\r\n",
        "!FieldNameLookalike",
    ),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nContent_Lengths: 5\r\n\r\n",
        "GET /",
    ),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nContent_Bength: 5\r\n\r\n",
        "GET /",
    ),
    // Host.
    (b"GET / HTTP/1.1\r\n\r\n", "!HostMissing"),
    (b"GET / HTTP/1.1\r\nX: y\r\n\r\n", "!HostMissing"),
    (b"GET http://a/ HTTP/1.1\r\n\r\n", "!HostMissing"),
    (b"GET / HTTP/1.0\r\nX: y\r\n\r\n", "GET /; closed"),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "!HostRepeated",
    ),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nhost: a\r\n\r\n",
        "!HostRepeated",
    ),
    (
        b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n",
        "!HostRepeated",
    ),
    (b"GET / HTTP/1.1\r\nHost: localhost:8080\r\n\r\n", "GET /"),
    (b"GET / HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n", "GET /"),
    (b"GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n", "GET /"),
    (
        b"GET / HTTP/1.1\r\nHost: [2001:db8::1]:8443\r\n\r\n",
        "GET /",
    ),
    (b"GET / HTTP/1.1\r\nHost: [v1.a:b]\r\n\r\n", "GET /"),
    (b"GET / HTTP/1.1\r\nHost: a_b.example\r\n\r\n", "GET /"),
    (b"GET / HTTP/1.1\r\nHost: a.example.\r\n\r\n", "GET /"),
    (b"GET / HTTP/1.1\r\nHost: a%2db\r\n\r\n", "GET /"),
    (b"GET / HTTP/1.1\r\nHost: a:\r\n\r\n", "GET /"),
    (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", "!HostInvalid"),
    (b"GET / HTTP/1.1\r\nHost: \t\r\n\r\n", "!HostInvalid"),
    (b"GET / HTTP/1.0\r\nHost:\r\n\r\n", "GET /; closed"),
    (b"GET / HTTP/1.1\r\nHost: :80\r\n\r\n", "!HostInvalid"),
    (b"GET / HTTP/1.0\r\nHost: :80\r\n\r\n", "!HostInvalid"),
    (b"GET / HTTP/1.1\r\nHost: user@a\r\n\r\n", "!HostInvalid"),
    (b"GET / HTTP/1.1\r\nHost: user:pw@a\r\n\r\n", "!HostInvalid"),
    (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "!HostInvalid"),
    (b"GET / HTTP/1.1\r\nHost: http://a\r\n\r\n", "!HostInvalid"),
    (b"GET / HTTP/1.1\r\nHost: a?b\r\n\r\n", "!HostInvalid"),
    (b"GET / HTTP/1.1\r\nHost: a#b\r\n\r\n", "!HostInvalid"),
    (b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "!HostInvalid"),
    (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "!HostInvalid"),
    (b"GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n", "!HostInvalid"),
    (b"GET / HTTP/1.1\r\nHost: a:-1\r\n\r\n", "!HostInvalid"),
    (b"GET / HTTP/1.1\r\nHost: a:8o\r\n\r\n", "!HostInvalid"),
    (b"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", "!HostInvalid"),
    (b"GET / HTTP/1.1\r\nHost: a%2\r\n\r\n", "!HostInvalid"),
    (b"GET / HTTP/1.1\r\nHost: a%zz\r\n\r\n", "!HostInvalid"),
    (b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "!HostInvalid"),
    (b"GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", "!HostInvalid"),
    (
        b"GET / HTTP/1.1\r\nHost: [::1%25eth0]\r\n\r\n",
        "!HostInvalid",
    ),
    (b"GET / HTTP/1.1\r\nHost: [v1.]\r\n\r\n", "!HostInvalid"),
    (b"GET / HTTP/1.1\r\nHost: []\r\n\r\n", "!HostInvalid"),
    (b"GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", "!HostInvalid"),
    (b"GET / HTTP/1.1\r\nHost: \xc3\xa9\r\n\r\n", "!HostInvalid"),
    (
        b"GET http://a/ HTTP/1.1\r\nHost: b c\r\n\r\n",
        "!HostInvalid",
    ),
    (
        b"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n",
        "GET http://a/",
    ),
    // Expect.
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
        "GET /",
    ),
    (
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\nx",
        "POST /=x",
    ),
    (b"GET / HTTP/1.1\r\nHost: a\r\nExpect:\r\n\r\n", "GET /"),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-maybe\r\n\r\n",
        "!ExpectationUnknown",
    ),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, x\r\n\r\n",
        "!ExpectationUnknown",
    ),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nExpect: x\r\n\r\n",
        "!ExpectationUnknown",
    ),
    (
        b"GET / HTTP/1.0\r\nExpect: 200-maybe\r\n\r\n",
        "GET /; closed",
    ),
    // What has not ended yet.
    (b"GET / HTTP/1.1\r\n", "~Head"),
    (b"GET / HTTP/1.1\r\nHo", "~Head"),
    (b"GET / HTTP/1.1\r\nHost:", "~Head"),
    (b"GET / HTTP/1.1\r\nHost: a", "~Head"),
    (b"GET / HTTP/1.1\r\nHost: a\r", "~Head"),
    (b"GET / HTTP/1.1\r\nHost: a\r\n", "~Head"),
    (b"GET / HTTP/1.1\r\nHost: a\r\n\r", "~Head"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX-Test: value", "~Head"),
];
