//! HTTP/1 on the wire: messages, persistence, pipelining, and how each malformed request ends.

use ajay_blackbox::{Client, Random, Response, Server, program};

fn server() -> Server {
    Server::start(program!("testserver"), &[])
}

const HELLO: &str = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_response_has_its_parts() {
    let server = server();
    let response = server.connect().fetch("/hello");
    assert_eq!((response.minor_version, response.status), (1, 200));
    assert_eq!(response.reason, "OK");
    assert_eq!(response.text(), "Hello, world!\n");
    assert_eq!(response.field("content-length"), Some("14"));
    assert_eq!(response.field("server"), Some("ajayserver"));
    assert_eq!(
        response.field("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(response.field("connection"), None);
    let date = response.field("date").expect("Date is missing");
    assert!(is_imf_fixdate(date), "{date}");
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).
fn is_imf_fixdate(date: &str) -> bool {
    let shape = "Aaa, 00 Aaa 0000 00:00:00 GMT";
    let fits = |(byte, shape): (u8, u8)| match shape {
        b'0' => byte.is_ascii_digit(),
        b'A' => byte.is_ascii_uppercase(),
        b'a' => byte.is_ascii_lowercase(),
        other => byte == other,
    };
    let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    date.len() == shape.len()
        && date.bytes().zip(shape.bytes()).all(fits)
        && days.iter().any(|day| date.starts_with(day))
}

#[test]
fn the_date_is_the_clocks() {
    let server = server();
    let date = server.connect().fetch("/hello");
    let date = date.field("date").expect("Date is missing");
    let output = ajay_blackbox::run(std::process::Command::new("python3").args([
        "-c",
        "import sys, time, email.utils as e; \
         print(abs(time.time() - e.parsedate_to_datetime(sys.argv[1]).timestamp()) < 5)",
        date,
    ]));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "True");
}

#[test]
fn date_and_server_can_be_left_out() {
    let args = ["-l", "127.0.0.1:0", "--no-date", "--no-server-name"];
    let server = Server::start_program(program!("blackbox-ajayserver"), &args);
    let response = server.connect().fetch("/");
    assert_eq!(response.text(), "OK");
    assert_eq!(response.field("date"), None);
    assert_eq!(response.field("server"), None);
}

#[test]
fn the_applications_fields_win() {
    let server = server();
    let response = server.connect().fetch("/own-fields");
    assert_eq!(response.field("server"), Some("mine"));
    assert_eq!(
        response.field("date"),
        Some("Thu, 01 Jan 1970 00:00:00 GMT")
    );
    assert_eq!(response.field("content-type"), Some("text/x-mine"));
    assert_eq!(response.field("content-length"), Some("3"));
    let cookies = response
        .fields
        .iter()
        .filter(|(name, _)| name == "Set-Cookie");
    let cookies: Vec<&str> = cookies.map(|(_, value)| value.as_str()).collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
}

#[test]
fn received_fields_reach_the_application() {
    let server = server();
    let mut client = server.connect();
    client.get(
        "/fields",
        "A: 1\r\nb:2\r\nA:\t 3 \t\r\nEmpty:\r\nHigh: \u{e9}\r\n",
    );
    assert_eq!(
        client.response().text(),
        "host: localhost\nA: 1\nb: 2\nA: 3\nEmpty: \nHigh: \\xc3\\xa9\n"
    );
}

#[test]
fn an_http_1_1_connection_persists() {
    let mut server = server();
    let mut client = server.connect();
    for _ in 0..50 {
        let response = client.fetch("/hello");
        assert_eq!((response.status, response.says_close()), (200, false));
    }
    assert_eq!(server.counter("connections_accepted"), 1);
    assert_eq!(server.counter("requests"), 50);
}

/// (version, `Connection` line, persists, option in the response)
const PERSISTENCE: &[(&str, &str, bool, &[&str])] = &[
    ("1.1", "", true, &[]),
    ("1.1", "Connection: keep-alive\r\n", true, &[]),
    ("1.1", "Connection: close\r\n", false, &["close"]),
    ("1.1", "Connection: CLOSE\r\n", false, &["close"]),
    (
        "1.1",
        "Connection: keep-alive, close\r\n",
        false,
        &["close"],
    ),
    (
        "1.1",
        "Connection: x\r\nConnection: close\r\n",
        false,
        &["close"],
    ),
    ("1.1", "Connection: ,, close ,\r\n", false, &["close"]),
    ("1.1", "Connection: closed\r\n", true, &[]),
    ("1.1", "Connection: x-close\r\n", true, &[]),
    ("1.1", "Proxy-Connection: close\r\n", true, &[]),
    ("1.0", "", false, &["close"]),
    ("1.0", "Connection: keep-alive\r\n", true, &["keep-alive"]),
    ("1.0", "Connection: Keep-Alive\r\n", true, &["keep-alive"]),
    (
        "1.0",
        "Connection: keep-alive, close\r\n",
        false,
        &["close"],
    ),
    ("1.0", "Connection: close\r\n", false, &["close"]),
];

#[test]
fn connection_options_decide_about_persistence() {
    let server = server();
    for (version, line, persists, options) in PERSISTENCE {
        let mut client = server.connect();
        client.send(format!(
            "GET /hello HTTP/{version}\r\nHost: a\r\n{line}\r\n"
        ));
        let response = client.response();
        assert_eq!(response.status, 200, "{version} {line}");
        assert_eq!(response.minor_version, 1, "a server speaks its own version");
        assert_eq!(response.connection(), *options, "{version} {line}");
        if *persists {
            assert_eq!(client.fetch("/hello").status, 200, "{version} {line}");
        } else {
            client.expect_fin();
        }
    }
}

#[test]
fn the_application_can_close() {
    let server = server();
    let mut client = server.connect();
    assert_eq!(client.fetch("/close").connection(), ["close"]);
    client.expect_fin();

    let mut client = server.connect();
    assert_eq!(
        client.fetch("/connection-option").connection(),
        ["x-option"]
    );
    assert_eq!(client.fetch("/hello").status, 200);
}

#[test]
fn nothing_after_close_is_answered() {
    let server = server();
    let mut client = server.connect();
    client.send(format!(
        "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n{HELLO}"
    ));
    assert!(client.response().says_close());
    client.expect_fin();
}

fn numbered(count: usize) -> (Vec<u8>, Vec<String>) {
    let mut requests = Vec::new();
    let mut answers = Vec::new();
    for number in 0..count {
        let target = format!("/target?{number}");
        // Some with content, so that request boundaries are not all alike.
        let (method, content) = match number % 3 {
            0 => ("GET", String::new()),
            1 => ("POST", "Content-Length: 7\r\n\r\ncontent".to_owned()),
            _ => (
                "PUT",
                "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_owned(),
            ),
        };
        let end = if content.is_empty() { "\r\n" } else { &content };
        let request = format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{end}");
        requests.extend_from_slice(request.as_bytes());
        answers.push(format!("{method} {target}\n"));
    }
    (requests, answers)
}

fn expect_in_order(client: &mut Client, answers: &[String]) {
    for answer in answers {
        let response = client.response();
        assert_eq!((response.status, response.text()), (200, answer.as_str()));
    }
}

#[test]
fn pipelined_requests_in_one_write_are_answered_in_order() {
    let server = server();
    // More than one turn takes (128), and more than one read takes (64 KiB).
    for count in [100, 1000] {
        let (requests, answers) = numbered(count);
        let mut client = server.connect();
        client.send(requests);
        expect_in_order(&mut client, &answers);
        assert_eq!(client.fetch("/hello").status, 200);
    }
}

#[test]
fn pipelined_requests_byte_by_byte() {
    let server = server();
    let (requests, answers) = numbered(12);
    let mut client = server.connect();
    for byte in requests {
        client.send([byte]);
    }
    expect_in_order(&mut client, &answers);
}

#[test]
fn pipelined_requests_split_anywhere() {
    let server = server();
    let mut random = Random::new(7);
    let (requests, answers) = numbered(40);
    for _ in 0..40 {
        let mut client = server.connect();
        let mut rest = &requests[..];
        while !rest.is_empty() {
            let longest = if random.one_in(4) { 600 } else { 30 };
            let (piece, later) = rest.split_at(random.within(1..longest).min(rest.len()));
            client.send(piece);
            if random.one_in(10) {
                std::thread::yield_now();
            }
            rest = later;
        }
        expect_in_order(&mut client, &answers);
    }
}

#[test]
fn a_slow_answer_holds_back_the_ones_behind_it() {
    let server = server();
    let mut client = server.connect();
    client.send(format!(
        "GET /slow?ms=100 HTTP/1.1\r\nHost: a\r\n\r\n{HELLO}GET /stream?n=3&pause=10 HTTP/1.1\r\nHost: \
         a\r\n\r\n{HELLO}"
    ));
    assert_eq!(client.response().text(), "slow\n");
    assert_eq!(client.response().text(), "Hello, world!\n");
    assert_eq!(client.response().body.len(), 3);
    assert_eq!(client.response().text(), "Hello, world!\n");
}

#[test]
fn head_has_the_fields_and_no_content() {
    let server = server();
    let mut client = server.connect();
    for (target, length) in [
        ("/hello", Some("14")),
        ("/big?bytes=100000", Some("100000")),
        ("/stream?n=5", None),
        ("/not-there", None),
    ] {
        client.send(format!("HEAD {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let response = client.response_to("HEAD");
        assert_eq!(response.field("content-length"), length, "{target}");
    }
    assert_eq!(client.fetch("/hello").status, 200, "still in step");
}

#[test]
fn statuses_without_content_have_none() {
    let server = server();
    let mut client = server.connect();
    for (code, length) in [(204, None), (304, None), (205, Some("0"))] {
        let response = client.fetch(&format!("/status?code={code}&body=text"));
        assert_eq!(response.status, code);
        assert_eq!(response.field("content-length"), length, "{code}");
        assert_eq!(response.field("transfer-encoding"), None, "{code}");
        assert_eq!(client.fetch("/hello").status, 200, "still in step");
    }
}

#[test]
fn other_statuses_have_a_length() {
    let server = server();
    let mut client = server.connect();
    for (code, reason) in [
        (201, "Created"),
        (301, "Moved Permanently"),
        (404, "Not Found"),
        (418, "I'm a teapot"),
        (500, "Internal Server Error"),
        (599, ""),
        (299, ""),
    ] {
        let response = client.fetch(&format!("/status?code={code}&body=text"));
        assert_eq!((response.status, response.reason.as_str()), (code, reason));
        assert_eq!(response.text(), "text");
        let empty = client.fetch(&format!("/status?code={code}"));
        assert_eq!(empty.field("content-length"), Some("0"), "{code}");
    }
}

#[test]
fn a_stream_is_chunked_for_http_1_1() {
    let server = server();
    let mut client = server.connect();
    let response = client.fetch("/stream?n=300&bytes=1000");
    assert_eq!(response.field("transfer-encoding"), Some("chunked"));
    assert_eq!(response.chunks, vec![1000; 300]);
    assert!(response.body == ajay_blackbox::pattern(1000).repeat(300));
    assert!(client.fetch("/stream?n=0").body.is_empty());
    let large = client.fetch("/stream?n=5&bytes=1000000");
    assert_eq!(large.body.len(), 5_000_000);
    assert_eq!(client.fetch("/hello").status, 200, "still in step");
}

#[test]
fn a_stream_ends_with_the_connection_for_http_1_0() {
    let server = server();
    for line in ["", "Connection: keep-alive\r\n"] {
        let mut client = server.connect();
        client.send(format!(
            "GET /stream?n=100&bytes=777 HTTP/1.0\r\n{line}\r\n"
        ));
        let response = client.response();
        assert_eq!(response.field("transfer-encoding"), None);
        assert!(response.until_close && response.says_close());
        assert!(response.body == ajay_blackbox::pattern(777).repeat(100));
    }
}

#[test]
fn a_stream_of_declared_length() {
    let server = server();
    let mut client = server.connect();
    let response = client.fetch("/stream-length?n=4&bytes=25&length=100");
    assert_eq!(response.field("content-length"), Some("100"));
    assert_eq!(response.body.len(), 100);
    assert_eq!(client.fetch("/hello").status, 200);
}

#[test]
fn trailers_go_out_with_chunks_only() {
    let server = server();
    let mut client = server.connect();
    let response = client.fetch("/stream-trailers?n=3&bytes=5");
    assert_eq!(response.body.len(), 15);
    assert_eq!(
        response.trailers,
        [("X-Pieces".to_owned(), "3".to_owned())],
        "Set-Cookie may not be there"
    );
    assert_eq!(client.fetch("/hello").status, 200);
    client.send("GET /stream-trailers?n=3&bytes=5 HTTP/1.0\r\n\r\n");
    assert_eq!(client.response().body.len(), 15);
}

#[test]
fn large_contents_arrive_whole() {
    let server = server();
    let mut client = server.connect();
    for bytes in [
        0, 1, 8191, 8192, 8193, 65_535, 65_536, 1_000_000, 20_000_000,
    ] {
        let response = client.fetch(&format!("/big?bytes={bytes}"));
        assert!(response.body == ajay_blackbox::pattern(bytes), "{bytes}");
    }
    let response = client.fetch("/static-big");
    assert!(response.body == ajay_blackbox::pattern(1024 * 1024));
}

#[test]
fn pipelined_large_contents_arrive_whole() {
    let server = server();
    let mut client = server.connect();
    let sizes = [100, 9000, 300_000, 8192, 2_000_000, 1, 70_000];
    let mut requests = String::new();
    for bytes in sizes.repeat(10) {
        requests += &format!("GET /big?bytes={bytes} HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    client.send(requests);
    for bytes in sizes.repeat(10) {
        assert!(client.response().body == ajay_blackbox::pattern(bytes));
    }
}

#[test]
fn empty_lines_before_a_request_are_skipped() {
    let server = server();
    let mut client = server.connect();
    client.send(format!("\r\n{HELLO}\r\n\r\n{HELLO}\r\n"));
    assert_eq!(client.response().status, 200);
    assert_eq!(client.response().status, 200);
    client.send(HELLO);
    assert_eq!(client.response().status, 200);
}

#[test]
fn targets_of_all_forms() {
    let server = server();
    let mut client = server.connect();
    for (method, target) in [
        ("GET", "/target"),
        ("GET", "/target?a=b?c/d"),
        ("GET", "http://other.example:81/target?x"),
        ("GET", "HTTPS://other.example/target"),
        ("M-SEARCH", "/target"),
        ("get", "/target"),
    ] {
        client.send(format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let response = client.response();
        assert_eq!(response.text(), format!("{method} {target}\n"));
    }
    client.send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().status, 404, "this application has no *");
}

#[test]
fn connect_is_refused_and_the_connection_survives_or_ends_in_order() {
    let server = server();
    let mut client = server.connect();
    client.send("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n");
    let response = client.response();
    assert!(response.status >= 400, "{}", response.status);
}

#[test]
fn an_upgrade_that_is_not_taken_is_ignored() {
    let server = server();
    let mut client = server.connect();
    client.get(
        "/hello",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    );
    assert_eq!(client.response().status, 200);
    assert_eq!(client.fetch("/hello").status, 200);
}

#[test]
fn an_application_cannot_break_the_framing() {
    let mut server = server();
    for target in ["/bad-field", "/wrong-length", "/transfer-encoding"] {
        let mut client = server.connect();
        let response = client.fetch(target);
        assert_eq!(response.status, 500, "{target}");
        assert_eq!(response.field("x-evil"), None);
        assert_eq!(response.field("set-cookie"), None);
        if response.says_close() {
            client.expect_fin();
        } else {
            assert_eq!(client.fetch("/hello").status, 200);
        }
    }
    assert_eq!(server.counter("response_misuse"), 2);
}

#[test]
fn blocking_work_has_its_own_threads() {
    let server = server();
    let response = server.connect().fetch("/blocking-read");
    assert!(response.text().starts_with("Name:\ttestserver\n"));
}

#[test]
fn many_connections_at_once() {
    let server = Server::start(program!("testserver"), &["threads=2"]);
    let mut clients: Vec<Client> = (0..300).map(|_| server.connect()).collect();
    for round in 0..5 {
        for client in &mut clients {
            client.get(&format!("/target?{round}"), "");
        }
        for client in &mut clients {
            let response: Response = client.response();
            assert_eq!(response.text(), format!("GET /target?{round}\n"));
        }
    }
}
