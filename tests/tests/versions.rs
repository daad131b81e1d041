//! One handler, three versions: the same requests over HTTP/1.1, HTTP/2 and HTTP/3, with the same answers.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ajay_blackbox::http2::Http2;
use ajay_blackbox::http3::{Http3, receive_answer};
use ajay_blackbox::{Address, Authority, Server, fnv1a, pattern, program};

/// A test server with a listener for each version, and where HTTP/3 is.
struct Versions {
    server: Server,
    quic: SocketAddr,
    _authority: Authority,
}

impl Versions {
    fn start(test: &str, settings: &[&str]) -> Versions {
        let authority = Authority::new(test);
        let tls = authority.issue("localhost").settings();
        let mut all = vec!["listen=127.0.0.1:0", "tls_versions=all"];
        all.extend(tls.iter().map(String::as_str));
        all.extend(settings);
        let mut server = Server::start(program!("testserver"), &all);
        let addresses = server.command("addresses");
        let quic = addresses
            .split_whitespace()
            .last()
            .and_then(|it| it.parse().ok());
        Versions {
            server,
            quic: quic.expect("the last address is the one with TLS"),
            _authority: authority,
        }
    }
}

/// What all versions have of an answer.
#[derive(Debug, Default, PartialEq)]
struct Answer {
    status: u16,
    content_type: Option<String>,
    content_length: Option<String>,
    body: Vec<u8>,
    trailers: Vec<(String, String)>,
    interim: Vec<u16>,
    links: Vec<String>,
    is_complete: bool,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Version {
    Http1,
    Http2,
    Http3,
}

const ALL: [Version; 3] = [Version::Http1, Version::Http2, Version::Http3];

impl Versions {
    /// The answer to one request on a connection of its own.
    fn ask(
        &self,
        version: Version,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        content: &[u8],
    ) -> Answer {
        match version {
            Version::Http1 => self.ask_http1(method, target, fields, content),
            Version::Http2 => self.ask_http2(method, target, fields, content),
            Version::Http3 => {
                // It does not know our limits, or it would not ask for more.
                let client = Http3::connect_deaf(self.quic);
                let answer = client.ask(method, target, fields, content);
                let trailers = answer.trailers.iter().flatten();
                Answer {
                    status: answer.status,
                    content_type: answer.field("content-type").map(str::to_owned),
                    content_length: answer.field("content-length").map(str::to_owned),
                    trailers: trailers
                        .filter_map(|(name, value)| {
                            Some((name.to_string(), value.to_str().ok()?.to_owned()))
                        })
                        .collect(),
                    is_complete: answer.error.is_none(),
                    interim: answer.interim,
                    links: answer.links,
                    body: answer.body,
                }
            }
        }
    }

    fn ask_http1(
        &self,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        content: &[u8],
    ) -> Answer {
        let mut client = self.server.connect();
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n");
        for (name, value) in fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !content.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", content.len()));
        }
        head.push_str("\r\n");
        // An answer may come before all of it is taken.
        let _ = client.try_send(&head);
        let _ = client.try_send(content);
        match client.try_response_to(method) {
            Ok(response) => Answer {
                status: response.status,
                content_type: response.field("content-type").map(str::to_owned),
                content_length: response.field("content-length").map(str::to_owned),
                trailers: response
                    .trailers
                    .iter()
                    .map(|(name, value)| (name.to_lowercase(), value.clone()))
                    .collect(),
                body: response.body,
                interim: response.interim,
                links: response.links,
                is_complete: true,
            },
            Err(_) => Answer::default(),
        }
    }

    fn ask_http2(
        &self,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        content: &[u8],
    ) -> Answer {
        let Address::Tcp(_) = self.server.address() else {
            unreachable!("it listens on TCP");
        };
        let mut client: Http2 = self.server.connect_http2();
        let stream = client.request(method, target, fields, content.is_empty());
        if !content.is_empty() {
            client.upload(stream, content, true);
        }
        let answer = match client.try_response(stream) {
            Ok(answer) => answer,
            Err(_) => client.so_far(stream).clone(),
        };
        Answer {
            status: answer.status,
            content_type: answer.field("content-type").map(str::to_owned),
            content_length: answer.field("content-length").map(str::to_owned),
            trailers: answer.trailers.clone(),
            is_complete: answer.is_complete && answer.reset.is_none(),
            body: answer.body,
            interim: answer.interim,
            links: answer.links,
        }
    }
}

fn digest(content: &[u8]) -> String {
    format!("{} {:016x}\n", content.len(), fnv1a(content))
}

#[test]
fn answers_are_the_same() {
    let versions = Versions::start("versions-same", &[]);
    let uploads = [0, 1, 1000, 20_000, 70_000, 500_000].map(pattern);
    let mut requests: Vec<(&str, String, &[u8])> = vec![
        ("GET", "/hello".into(), b""),
        ("HEAD", "/hello".into(), b""),
        ("GET", "/nowhere".into(), b""),
        ("GET", "/target?a=%20b&c".into(), b""),
        ("DELETE", "/target".into(), b""),
        ("GET", "/status?code=204".into(), b""),
        ("GET", "/status?code=304".into(), b""),
        ("GET", "/status?code=503&body=later".into(), b""),
        ("GET", "/static-big".into(), b""),
        ("HEAD", "/static-big".into(), b""),
        ("GET", "/stream?n=20&bytes=5000".into(), b""),
        ("GET", "/stream?n=3&bytes=10&pause=20".into(), b""),
        ("GET", "/stream-length?n=4&bytes=25&length=100".into(), b""),
        ("GET", "/stream-trailers?n=3&bytes=10".into(), b""),
        ("GET", "/panic".into(), b""),
        ("GET", "/panic-later".into(), b""),
        ("GET", "/slow?ms=50".into(), b""),
        ("GET", "/bad-field".into(), b""),
        ("GET", "/wrong-length".into(), b""),
        ("GET", "/transfer-encoding".into(), b""),
    ];
    for bytes in [0, 1, 8192, 8193, 100_000, 3_000_000] {
        requests.push(("GET", format!("/big?bytes={bytes}"), b""));
    }
    for upload in &uploads {
        requests.push(("POST", "/collect".into(), upload));
        requests.push(("POST", "/read".into(), upload));
        requests.push(("PUT", "/echo".into(), upload));
        requests.push(("POST", "/ignore".into(), &upload[..upload.len().min(1000)]));
    }
    for (method, target, content) in &requests {
        let mut answers = ALL.map(|version| versions.ask(version, method, target, &[], content));
        if target == "/echo" {
            // Known only if all of the content came along with its head.
            answers
                .iter_mut()
                .for_each(|answer| answer.content_length = None);
        }
        let [first, second, third] = answers;
        assert!(first.is_complete, "{method} {target}: {first:?}");
        assert_eq!(third, first, "HTTP/3: {method} {target}");
        assert_eq!(second, first, "HTTP/2: {method} {target}");
    }
    let uploaded = versions.ask(Version::Http3, "POST", "/collect", &[], &uploads[5]);
    assert_eq!(uploaded.text(), digest(&uploads[5]));
}

#[test]
fn early_hints_come_before_the_response() {
    let versions = Versions::start("versions-hints", &[]);
    for target in ["/hints?n=1", "/hints?n=3&pause=20", "/hints?n=16"] {
        let count = target.split(['=', '&']).nth(1).map(str::parse::<usize>);
        let Some(Ok(count)) = count else {
            panic!("{target} says how many");
        };
        for version in ALL {
            let answer = versions.ask(version, "GET", target, &[], b"");
            assert_eq!(answer.text(), "hinted\n", "{version:?} {target}");
            assert_eq!(answer.interim, vec![103; count], "{version:?} {target}");
            let links = (0..count).map(|it| format!("</{it}.css>; rel=preload; as=style"));
            assert!(answer.links.iter().cloned().eq(links), "{answer:?}");
        }
    }
    // They do not wait for the response.
    let mut client = versions.server.connect();
    client.get("/hints?n=2&pause=60000", "");
    assert_eq!(client.head().map(|head| head.status), Ok(103));
    let mut client = versions.server.connect_http2();
    let stream = client.get("/hints?n=2&pause=60000");
    let answer = client.wait(stream, |answer| !answer.interim.is_empty());
    assert_eq!((answer.interim, answer.status), (vec![103], 0));
    let client = Http3::connect(versions.quic);
    let head = client.wait(async {
        let target = "/hints?n=2&pause=60000";
        let mut stream = client.open("GET", target, &[]).await.expect("a stream");
        stream.finish().await.expect("it is sent");
        stream.recv_response().await.map(|head| head.status())
    });
    assert_eq!(head.expect("hints").as_u16(), 103);
    // A client of HTTP/1.0 would take them for the response.
    let mut client = versions.server.connect();
    client.send("GET /hints?n=2&pause=10 HTTP/1.0\r\n\r\n");
    let response = client.response();
    assert_eq!((response.status, response.interim), (200, vec![]));
}

#[test]
fn limits_have_the_same_answers() {
    let settings = ["content_bytes_max=1000", "content_collected_bytes_max=500"];
    let versions = Versions::start("versions-limits", &settings);
    let long = "x".repeat(20_000);
    let longer = format!("/target?{}", "x".repeat(9000));
    let many: Vec<(&str, &str)> = (0..150).map(|_| ("x-many", "y")).collect();
    let half = "x".repeat(12_000);
    let content = [0; 2000];
    for (target, fields, content, status) in [
        (
            "/hello",
            &[("x-long", long.as_str())][..],
            &content[..0],
            431,
        ),
        ("/hello", &many, &content[..0], 431),
        (&longer, &[], &content[..0], 414),
        // Large, and allowed.
        ("/hello", &[("x-large", half.as_str())], &content[..0], 200),
        ("/collect", &[], &content[..500], 200),
        ("/collect", &[], &content[..501], 413),
        ("/read", &[], &content[..1001], 413),
        ("/hello", &[("expect", "tea")], &content[..1], 417),
    ] {
        for version in ALL {
            let answer = versions.ask(version, "POST", target, fields, content);
            assert_eq!(answer.status, status, "{version:?} {target:.20}");
        }
    }
}

#[test]
fn deadlines_have_the_same_answers() {
    let settings = [
        "handler_timeout=500",
        "content_timeout=1000",
        "rate_grace=60000",
    ];
    let mut versions = Versions::start("versions-deadlines", &settings);
    for version in ALL {
        let began = Instant::now();
        let answer = versions.ask(version, "GET", "/never", &[], b"");
        let took = began.elapsed();
        assert_eq!(answer.status, 503, "{version:?}");
        assert!(took >= Duration::from_millis(500), "{version:?}: {took:?}");
        assert!(took < Duration::from_secs(5), "{version:?}: {took:?}");
        versions.server.wait_note("never dropped");
    }
    // A client that stops in the midst of its content.
    let mut client = versions.server.connect();
    client.send("POST /collect HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    assert_eq!(client.response().status, 408);
    let mut client = versions.server.connect_http2();
    let stream = client.request("POST", "/collect", &[], false);
    client.data(stream, b"abc", false);
    assert_eq!(client.response(stream).status, 408);
    let client = Http3::connect(versions.quic);
    let answer = client.wait(async {
        let mut stream = client
            .open("POST", "/collect", &[])
            .await
            .expect("a stream");
        stream.send_data("abc".into()).await.expect("it is taken");
        let (send, receive) = stream.split();
        let answer = receive_answer(receive).await;
        drop(send);
        answer
    });
    assert_eq!(answer.status, 408);
}

#[test]
fn unfinished_responses_do_not_look_complete() {
    let versions = Versions::start("versions-unfinished", &[]);
    for target in [
        "/stream-abort?n=2&bytes=10",
        "/stream-drop?n=2&bytes=10",
        "/stream-panic?n=2&bytes=10",
        "/stream-length?n=2&bytes=10&length=100",
    ] {
        for version in ALL {
            let answer = versions.ask(version, "GET", target, &[], b"");
            assert!(!answer.is_complete, "{version:?} {target}: {answer:?}");
        }
    }
}

#[test]
fn handlers_of_clients_that_leave_are_dropped() {
    let mut versions = Versions::start("versions-leave", &[]);
    let leave: [&dyn Fn(&Versions); 3] = [
        &|versions| {
            let mut client = versions.server.connect();
            client.get("/never", "");
            std::thread::sleep(Duration::from_millis(200));
        },
        &|versions| {
            let mut client = versions.server.connect_http2();
            let stream = client.get("/never");
            std::thread::sleep(Duration::from_millis(200));
            client.reset(stream, ajay_blackbox::http2::code::CANCEL);
        },
        &|versions| {
            let client = Http3::connect(versions.quic);
            let mut stream = client
                .wait(client.open("GET", "/never", &[]))
                .expect("a stream");
            client.wait(stream.finish()).expect("it is sent");
            std::thread::sleep(Duration::from_millis(200));
            stream.stop_sending(h3::error::Code::H3_REQUEST_CANCELLED);
            std::thread::sleep(Duration::from_millis(200));
        },
    ];
    for (round, leave) in leave.iter().enumerate() {
        leave(&versions);
        versions.server.wait_note("never dropped");
        versions
            .server
            .wait_counter("handlers_cancelled", round as u64 + 1);
    }
}

#[test]
fn an_answer_may_come_before_the_content() {
    let versions = Versions::start("versions-early", &[]);
    for version in [Version::Http2, Version::Http3] {
        let answer = versions.ask(version, "POST", "/ignore", &[], &pattern(3_000_000));
        assert_eq!(
            (answer.status, &*answer.text()),
            (200, "ignored\n"),
            "{version:?}"
        );
    }
}
