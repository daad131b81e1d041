//! Persistence, pipelining and the ends of connections (RFC 9112 §9).

use super::Vector;

pub(super) const VECTORS: &[Vector] = &[
    (
        b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /1; GET /2; GET /3",
    ),
    (
        b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /1=abc; GET /2",
    ),
    (
        b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /1=abc; GET /2",
    ),
    (b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGARBAGE\r\n", "GET /1; !MethodInvalid"),
    (b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET", "GET /1; ~Head"),
    (b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\r\n\r\n\r\n", "GET /1; !TooManyEmptyLines"),
    // The close option.
    (b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\n", "GET /1; closed"),
    (b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: CLOSE\r\n\r\n", "GET /1; closed"),
    (b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: x, close\r\n\r\n", "GET /1; closed"),
    (b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: x\r\nConnection:close\r\n\r\n", "GET /1; closed"),
    (b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n", "GET /1; closed"),
    (b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: ,,close,\r\n\r\n", "GET /1; closed"),
    (b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", "GET /1"),
    (b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: \"close\"\r\n\r\n", "GET /1"),
    (b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", "GET /1"),
    (b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection:\r\n\r\n", "GET /1"),
    (b"GET /1 HTTP/1.1\r\nHost: a\r\nProxy-Connection: close\r\n\r\n", "GET /1"),
    (
        b"POST /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nabGET",
        "POST /1=ab; closed",
    ),
    // HTTP/1.0.
    (b"GET /1 HTTP/1.0\r\n\r\nGET /2 HTTP/1.0\r\n\r\n", "GET /1; closed"),
    (b"GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\n", "GET /1; GET /2; closed"),
    (b"GET /1 HTTP/1.0\r\nConnection: Keep-Alive, x\r\n\r\n", "GET /1"),
    (b"GET /1 HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "GET /1; closed"),
    (b"GET /1 HTTP/1.0\r\nKeep-Alive: timeout=5\r\n\r\n", "GET /1; closed"),
    // Offers that were declined.
    (
        b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /1; GET /2",
    ),
    (
        b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: x\r\n\r\nGET",
        "GET /1; closed",
    ),
    // Behind a CONNECT that was accepted nothing is looked at.
    (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n\0\0\r\r", "CONNECT a:1; hand-over"),
    (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nx", "CONNECT a:1; hand-over"),
];
