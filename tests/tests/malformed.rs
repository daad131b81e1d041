//! Each class of malformed request: its exact status, `Connection: close`, the end of the
//! connection in order, and no answer to what was smuggled behind it.

use ajay_blackbox::{Server, program};

fn server() -> Server {
    Server::start(program!("testserver"), &[])
}

/// What an attacker hides behind a request. Were it answered there would be a second response.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n";

/// Each of these requests is answered with the status, alone, and the connection ends.
fn refused<T: AsRef<str>>(cases: impl IntoIterator<Item = (u16, T)>) {
    let server = server();
    for (status, request) in cases {
        let request = request.as_ref();
        let mut client = server.connect();
        client.send(format!("{request}{SMUGGLED}"));
        let response = client.response();
        let shown = request.escape_default().to_string();
        let shown = &shown[..shown.len().min(200)];
        assert_eq!(response.status, status, "{shown}");
        assert_eq!(response.connection(), ["close"], "{shown}");
        assert_eq!(response.field("content-length"), Some("0"), "{shown}");
        assert!(response.field("date").is_some(), "{shown}");
        client.expect_fin();
    }
    // Nobody else noticed.
    assert_eq!(server.connect().fetch("/hello").status, 200);
}

#[test]
fn request_lines() {
    refused([
        (400, "GET\r\n\r\n"),
        (400, "GET \r\nHost: a\r\n\r\n"),
        (400, "GET /\r\nHost: a\r\n\r\n"),
        (400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET /  HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
        (400, "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, " GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "G@T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}"),
        (400, "GET / HTTP/1.1\nHost: a\r\n\r\n"),
        (400, "GET / HTTP/1.1\rHost: a\r\n\r\n"),
        (400, "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET / http/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET / HTTP/11\r\nHost: a\r\n\r\n"),
        (400, "GET / HTTP/1.10\r\nHost: a\r\n\r\n"),
        (400, "GET / HTTP/1,1\r\nHost: a\r\n\r\n"),
        (400, "GET / FTP/1.1\r\nHost: a\r\n\r\n"),
        (505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
        (505, "GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
        (505, "GET / HTTP/0.9\r\nHost: a\r\n\r\n"),
        (505, "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"),
    ]);
}

#[test]
fn methods_too_long() {
    let method = "M".repeat(33);
    refused([(501, format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"))]);
    let garbage = "M".repeat(300);
    refused([(400, format!("{garbage} / HTTP/1.1\r\nHost: a\r\n\r\n"))]);
}

#[test]
fn targets() {
    refused([
        (400, "GET target HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET /a\"b HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET /a<b> HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET /a\u{7f}b HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET /% HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET /%4 HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET /%4g HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET http://user@b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET http://b:99999/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET b:80 HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "CONNECT b HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "CONNECT b:0 HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "CONNECT http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    ]);
    let long = "a".repeat(9000);
    refused([(414, format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"))]);
    let longer = "a".repeat(900_000);
    refused([(414, format!("GET /{longer} HTTP/1.1\r\nHost: a\r\n\r\n"))]);
}

#[test]
fn field_lines() {
    let with = |line: &str| format!("GET /hello HTTP/1.1\r\nHost: a\r\n{line}\r\n");
    let bad = [
        "X-A : b\r\n",
        "X-A\t: b\r\n",
        "X A: b\r\n",
        " X-A: b\r\n",
        "X-A: b\r\n c\r\n",
        "X-A: b\r\n\tc\r\n",
        "X-A\r\n",
        ": b\r\n",
        "X-A: b\n",
        "X-A: b\rc\r\n",
        "X-A: b\0c\r\n",
        "X-A: b\u{1}c\r\n",
        "X-A: b\u{7f}\r\n",
        "X\0A: b\r\n",
        "X(A): b\r\n",
        "X\u{e9}: b\r\n",
        "X-A: b\n\r\n",
        "Content_Length: 5\r\n",
        "transfer_encoding: chunked\r\n",
    ];
    refused(bad.map(|line| (400, with(line))));
    // The empty line that ends a head is CR LF, too.
    refused([(400, "GET /hello HTTP/1.1\r\nHost: a\r\n\n")]);
}

#[test]
fn hosts() {
    refused([
        (400, "GET /hello HTTP/1.1\r\n\r\n"),
        (400, "GET /hello HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
        (400, "GET /hello HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
        (400, "GET /hello HTTP/1.1\r\nHost:\r\n\r\n"),
        (400, "GET /hello HTTP/1.1\r\nHost: :80\r\n\r\n"),
        (400, "GET /hello HTTP/1.1\r\nHost: a b\r\n\r\n"),
        (400, "GET /hello HTTP/1.1\r\nHost: a,b\r\nHost: c\r\n\r\n"),
        (400, "GET /hello HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        (400, "GET /hello HTTP/1.1\r\nHost: user@a\r\n\r\n"),
        (400, "GET /hello HTTP/1.1\r\nHost: a:8x\r\n\r\n"),
        (400, "GET /hello HTTP/1.1\r\nHost: a:99999\r\n\r\n"),
        (400, "GET /hello HTTP/1.1\r\nHost: [::1\r\n\r\n"),
        (400, "GET http://b/hello HTTP/1.1\r\n\r\n"),
    ]);
}

#[test]
fn expectations() {
    refused([
        (
            417,
            "GET /hello HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n",
        ),
        (
            417,
            "POST /collect HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: \
             100-continue, other\r\n\r\nabc",
        ),
    ]);
}

#[test]
fn content_lengths() {
    let with = |value: &str| {
        format!("POST /collect HTTP/1.1\r\nHost: a\r\nContent-Length:{value}\r\n\r\n")
    };
    let bad = [
        "",
        " ",
        " +5",
        " -1",
        " 5x",
        " 0x5",
        " 5 5",
        " 1e1",
        " 5.0",
        " 05",
        " 00",
        " 5, 5",
        " 5,",
        " 5;5",
        " 18446744073709551616",
        " 99999999999999999999999",
        " five",
        " 5\r\nContent-Length: 5",
        " 5\r\nContent-Length: 6",
        " 0\r\nContent-Length: 0",
        " 5\r\ncontent-length: 5",
    ];
    refused(bad.map(|value| (400, with(value))));
    // Far above the limit of 1 GiB, but a number.
    refused([(413, with(" 18446744073709551615"))]);
    refused([(413, with(" 1073741825"))]);
}

#[test]
fn transfer_encodings() {
    let with =
        |lines: &str| format!("POST /collect HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n0\r\n\r\n");
    let bad = [
        (400, "Transfer-Encoding: chunked\r\nContent-Length: 5"),
        (400, "Content-Length: 5\r\nTransfer-Encoding: chunked"),
        (400, "Content-Length: 0\r\nTransfer-Encoding: chunked"),
        (400, "Transfer-Encoding: identity\r\nContent-Length: 5"),
        (400, "Transfer-Encoding: chunked, chunked"),
        (
            400,
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        ),
        (
            400,
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        ),
        (400, "Transfer-Encoding: chunked, gzip"),
        (400, "Transfer-Encoding: gzip"),
        (400, "Transfer-Encoding: identity"),
        (400, "Transfer-Encoding:"),
        (400, "Transfer-Encoding: ,"),
        (400, "Transfer-Encoding: chunked,"),
        (400, "Transfer-Encoding: ,chunked"),
        (400, "Transfer-Encoding: chunked;q=1"),
        (400, "Transfer-Encoding: xchunked"),
        (400, "Transfer-Encoding: \"chunked\""),
        (400, "Transfer-Encoding: \u{b}chunked"),
        (400, "Transfer-Encoding : chunked"),
        (400, "Transfer-Encoding\t: chunked"),
        (400, " Transfer-Encoding: chunked"),
        (400, "X: y\r\n Transfer-Encoding: chunked"),
        (400, "X: y\rTransfer-Encoding: chunked"),
        (400, "X: y\nTransfer-Encoding: chunked"),
        (501, "Transfer-Encoding: gzip, chunked"),
        (501, "Transfer-Encoding: identity, chunked"),
        (501, "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked"),
    ];
    refused(bad.map(|(status, lines)| (status, with(lines))));
    refused([(
        400,
        "POST /collect HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    )]);
}

#[test]
fn chunks() {
    let with = |content: &str| {
        format!("POST /collect HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{content}")
    };
    let bad = [
        "\r\n",
        "x\r\nabc\r\n0\r\n\r\n",
        "-3\r\nabc\r\n0\r\n\r\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        " 3\r\nabc\r\n0\r\n\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "3\rabc\r\n0\r\n\r\n",
        "3 \r\nabc\r\n0\r\n\r\n",
        "3;\r\nabc\r\n0\r\n\r\n",
        "3;a=\r\nabc\r\n0\r\n\r\n",
        "3;a=\"b\r\nabc\r\n0\r\n\r\n",
        "3;a=b\nabc\r\n0\r\n\r\n",
        "3;a\0b\r\nabc\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nab\r\n0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
        "00000000000000003\r\nabc\r\n0\r\n\r\n",
        "ffffffffffffffff1\r\nabc\r\n0\r\n\r\n",
        "3\r\nabc\r\n0\n\r\n",
        "3\r\nabc\r\n0\r\nX : y\r\n\r\n",
        "3\r\nabc\r\n0\r\n folded\r\n\r\n",
        "3\r\nabc\r\n0\r\nX: y\n\r\n",
        "3\r\nabc\r\n0\r\nContent-Length: 3\r\n\r\n",
        "3\r\nabc\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "3\r\nabc\r\n0\r\nHost: b\r\n\r\n",
    ];
    refused(bad.map(|content| (400, with(content))));
    refused([(413, with("ffffffffffffffff\r\nabc\r\n0\r\n\r\n"))]);
    refused([(413, with("40000001\r\nabc\r\n0\r\n\r\n"))]);
    let extension = "x".repeat(5000);
    refused([(400, with(&format!("3;{extension}\r\nabc\r\n0\r\n\r\n")))]);
    let trailer = "x".repeat(9000);
    refused([(431, with(&format!("0\r\nX: {trailer}\r\n\r\n")))]);
    let trailers = "X: y\r\n".repeat(33);
    refused([(431, with(&format!("0\r\n{trailers}\r\n")))]);
}

/// The same, when the violation comes while the handler already reads the content.
#[test]
fn chunks_that_break_after_a_good_beginning() {
    let mut server = server();
    for (status, bad) in [
        (400, "zz\r\n"),
        (400, "3\r\nabcd\r\n"),
        (413, "7fffffff\r\n"),
        (400, "0\r\nContent-Length: 3\r\n\r\n"),
    ] {
        let mut client = server.connect();
        client.send(
            "POST /collect HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \
             chunked\r\n\r\n5\r\nhello\r\n",
        );
        let before = server.counter("bytes_received");
        ajay_blackbox::wait_for("the beginning to be read", || {
            (server.counter("bytes_received") >= before).then_some(())
        });
        client.send(format!("{bad}{SMUGGLED}"));
        let response = client.response();
        assert_eq!((response.status, response.says_close()), (status, true));
        client.expect_fin();
    }
}

#[test]
fn content_where_there_is_none() {
    refused([
        (
            400,
            "TRACE /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        ),
        (
            400,
            "CONNECT b:80 HTTP/1.1\r\nHost: b:80\r\nContent-Length: 3\r\n\r\nabc",
        ),
    ]);
}

#[test]
fn heads_too_large() {
    let large = "x".repeat(17_000);
    refused([(
        431,
        &format!("GET /hello HTTP/1.1\r\nHost: a\r\nX: {large}\r\n\r\n"),
    )]);
    refused([(431, format!("GET /hello HTTP/1.1\r\nHost: a\r\n{large}"))]);
    let lines = "X: y\r\n".repeat(100);
    refused([(
        431,
        &format!("GET /hello HTTP/1.1\r\nHost: a\r\n{lines}\r\n"),
    )]);
    let huge = "x".repeat(1_000_000);
    refused([(
        431,
        &format!("GET /hello HTTP/1.1\r\nHost: a\r\nX: {huge}\r\n\r\n"),
    )]);
}

/// Content of known length hides nothing: what looks like a request inside it is content.
#[test]
fn content_is_not_taken_for_a_request() {
    let server = server();
    let mut client = server.connect();
    for target in ["/collect", "/ignore", "/hello"] {
        client.post(target, "", SMUGGLED.as_bytes());
        assert_eq!(client.response().status, 200, "{target}");
        let chunked = ajay_blackbox::chunked(SMUGGLED.as_bytes(), 10, "");
        client.send(format!(
            "POST {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        ));
        client.send(chunked);
        assert_eq!(client.response().status, 200, "{target}");
    }
    assert_eq!(client.fetch("/target").text(), "GET /target\n");
}

/// A refused client that goes on sending still reads the answer, and then FIN.
#[test]
fn a_client_that_sends_much_more_still_reads_the_answer() {
    let mut server = server();
    let cases = [
        (
            413,
            "POST /collect HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000000\r\n\r\n".to_owned(),
        ),
        (
            400,
            "POST /collect HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"
                .to_owned(),
        ),
        (431, format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(20_000))),
        (
            413,
            "POST /early-413 HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n".to_owned(),
        ),
    ];
    for (status, head) in cases {
        let mut client = server.connect();
        client.send(head);
        // The kernel's buffers do not hold this: the server must read it.
        for _ in 0..16 {
            client.send(vec![b'x'; 64 * 1024]);
        }
        let response = client.response();
        assert_eq!((response.status, response.says_close()), (status, true));
        client.expect_fin();
    }
    // Four clients are gone by now or very soon, none of them by a reset.
    assert_eq!(server.counter("connection_errors"), 0);
}

/// A malformed request behind good ones: those are answered first.
#[test]
fn good_requests_before_a_bad_one_are_answered() {
    let server = server();
    let mut client = server.connect();
    let good = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send(format!(
        "{good}{good}GET /slow?ms=20 HTTP/1.1\r\nHost: a\r\n\r\nBAD\r\n\r\n{SMUGGLED}"
    ));
    assert_eq!(client.response().status, 200);
    assert_eq!(client.response().status, 200);
    assert_eq!(client.response().text(), "slow\n");
    assert_eq!(client.response().status, 400);
    client.expect_fin();
}

/// Split at every point, a malformed request is judged alike.
#[test]
fn split_malformed_requests_are_judged_alike() {
    let server = server();
    let request =
        "POST /collect HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n";
    for at in 1..request.len() {
        let mut client = server.connect();
        client.send(&request[..at]);
        std::thread::yield_now();
        client.send(&request[at..]);
        client.send(SMUGGLED);
        assert_eq!(client.response().status, 400, "split at {at}");
        client.expect_fin();
    }
}
