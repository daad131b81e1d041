//! Inputs around the limits of `small_limits`: head 256, target 64, 8 lines, trailers 64 bytes and
//! 3 lines, extensions 32, content 1000.

use super::Vector;

pub(super) const VECTORS: &[Vector] = &[
    // Lines.
    (b"GET / HTTP/1.1\r\nHost: a\r\nA:1\r\nA:2\r\nA:3\r\nA:4\r\nA:5\r\nA:6\r\nA:7\r\n\r\n", "GET /"),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nA:1\r\nA:2\r\nA:3\r\nA:4\r\nA:5\r\nA:6\r\nA:7\r\nA:8\r\n\r\n",
        "!TooManyFieldLines",
    ),
    // Content.
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", "!ContentTooLarge"),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n", "POST /=…; !ContentTooLarge"),
    (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3e7\r\n",
        "POST /=ab…; !ContentTooLarge",
    ),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n", "POST /=…; ~Content"),
    // Extensions: the sum over all chunks counts.
    (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n0\r\n\r\n",
        "POST /=x",
    ),
    (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n0\r\n\r\n",
        "POST /=…; !ChunkExtensionsTooLarge",
    ),
    (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;aaaaaaaaaaaaaaa\r\nx\r\n1;aaaaaaaaaaaaaaa\r\ny\r\n0;a\r\n\r\n",
        "POST /=xy…; !ChunkExtensionsTooLarge",
    ),
    // Trailers.
    (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA:1\r\nB:2\r\nC:3\r\n\r\n",
        "POST /=+A:1+B:2+C:3",
    ),
    (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA:1\r\nB:2\r\nC:3\r\nD:4\r\n\r\n",
        "POST /=…; !TooManyTrailerLines",
    ),
    (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n",
        "POST /=+A:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ),
    (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n",
        "POST /=…; !TrailersTooLarge",
    ),
];

/// Vectors too long to write out.
pub(super) fn generated() -> Vec<(Vec<u8>, &'static str)> {
    let target = |len: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(len - 1));
    let absolute = |len: usize| {
        let path = "a".repeat(len - "http://a/".len());
        format!("GET http://a/{path} HTTP/1.1\r\nHost: a\r\n\r\n")
    };
    let head = |len: usize| {
        let rest = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len();
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
            "a".repeat(len - rest)
        )
    };
    let long = "A".repeat(100_000);
    let texts = [
        // 414 as soon as the target is too long, whatever follows.
        (target(65), "!TargetTooLong"),
        (absolute(65), "!TargetTooLong"),
        (format!("GET /{}", "a".repeat(64)), "!TargetTooLong"),
        (format!("GET /{}", "a".repeat(63)), "~Head"),
        (
            format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"),
            "!TargetTooLong",
        ),
        (format!("GET /{}\0", "a".repeat(63)), "!TargetInvalid"),
        (format!("GET /{}\0", "a".repeat(64)), "!TargetTooLong"),
        // 431.
        (head(257), "!HeadTooLarge"),
        (head(300), "!HeadTooLarge"),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"),
            "!HeadTooLarge",
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\n{long}: x\r\n\r\n"),
            "!HeadTooLarge",
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "a".repeat(300)),
            "!HeadTooLarge",
        ),
        // A method has no limit of its own below the 256 bytes of this head.
        (
            format!("{} / HTTP/1.1\r\n", "A".repeat(300)),
            "!HeadTooLarge",
        ),
    ];
    let mut vectors: Vec<(Vec<u8>, &'static str)> = texts
        .into_iter()
        .map(|(text, expected)| (text.into_bytes(), expected))
        .collect();
    let fits = [target(64), absolute(64), head(256)];
    let summaries = [
        "GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "GET http://a/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "GET /",
    ];
    vectors.extend(fits.into_iter().map(String::into_bytes).zip(summaries));
    vectors
}
