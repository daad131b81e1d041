//! HTTP/3 on the wire: what a connection has of its own, rules that clients break, drains, and clients that
//! move.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use ajay_blackbox::http3::{Http3, Options, Raw, code, receive_answer};
use ajay_blackbox::{Authority, Server, pattern, program, wait_for};
use rustix::process::Signal;

struct Quic {
    server: Server,
    _authority: Authority,
}

fn server(test: &str, settings: &[&str]) -> Quic {
    let authority = Authority::new(test);
    let tls = authority.issue("localhost").settings();
    let mut all = vec!["tls_versions=all"];
    all.extend(tls.iter().map(String::as_str));
    all.extend(settings);
    Quic {
        server: Server::start(program!("testserver"), &all),
        _authority: authority,
    }
}

impl Quic {
    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.server.port()))
    }

    fn connect(&self) -> Http3 {
        Http3::connect(self.address())
    }

    fn raw(&self) -> Raw {
        Raw::connect(self.address())
    }
}

/// A client's control stream with empty SETTINGS.
const CONTROL: &[u8] = b"\x00\x04\x00";
/// HEADERS of `GET https://localhost/hello`: method and scheme indexed, authority and path literal.
const HELLO: &[u8] = b"\x01\x17\x00\x00\xd1\xd7\x50\x09localhost\x51\x06/hello";
/// The same with POST, to be followed by content.
const POST: &[u8] = b"\x01\x19\x00\x00\xd4\xd7\x50\x09localhost\x51\x08/collect";

// A connection.

#[test]
fn a_response_has_its_parts() {
    let mut quic = server("h3-parts", &[]);
    let answer = quic.connect().fetch("/hello");
    assert_eq!((answer.status, answer.text()), (200, "Hello, world!\n"));
    assert_eq!(answer.field("content-length"), Some("14"));
    assert_eq!(answer.field("server"), Some("ajayserver"));
    assert_eq!(
        answer.field("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert!(
        answer
            .field("date")
            .is_some_and(|date| date.ends_with(" GMT"))
    );
    assert_eq!(answer.fields.len(), 4, "{answer:?}");
    assert_eq!(quic.server.counter("http3_connections"), 1);
    assert_eq!(quic.server.counter("requests"), 1);
    assert_eq!(quic.server.counter("responses_2xx"), 1);
}

#[test]
fn the_application_sees_the_version_the_client_and_tls() {
    let quic = server("h3-sees", &[]);
    let client = quic.connect();
    let text = client.fetch("/connection").text().to_owned();
    let (port, local) = (quic.server.port(), "127.0.0.1:");
    assert!(text.starts_with(local), "{text}");
    assert!(text.contains(&format!("Some(127.0.0.1:{port})")), "{text}");
    assert!(
        text.contains(&format!("HTTP/3.0 Some(\"localhost:{port}\")")),
        "{text}"
    );
    let tls = client.fetch("/tls").text().to_owned();
    assert!(tls.contains("h3") && tls.contains("localhost"), "{tls}");
}

#[test]
fn other_versions_are_served_on_the_same_port() {
    let quic = server("h3-port", &[]);
    assert_eq!(quic.connect().fetch("/hello").status, 200);
    let output = std::process::Command::new("curl")
        .args(["-sk", "--max-time", "20", "-w", "%{http_version}"])
        .arg(format!("https://127.0.0.1:{}/hello", quic.server.port()))
        .output()
        .expect("curl runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Hello, world!\n2");
}

#[test]
fn other_versions_tell_of_it() {
    for (settings, expected) in [
        (&[][..], Some(86_400)),
        (&["alt_svc_max_age=60"], Some(60)),
        (&["alt_svc_max_age=0"], None),
    ] {
        let quic = server("h3-alt-svc", settings);
        let port = quic.server.port();
        for version in ["--http1.1", "--http2"] {
            let output = std::process::Command::new("curl")
                .args(["-skI", "--max-time", "20", version])
                .arg(format!("https://127.0.0.1:{port}/hello"))
                .output()
                .expect("curl runs");
            let head = String::from_utf8_lossy(&output.stdout).to_lowercase();
            let found = head.lines().find_map(|line| line.strip_prefix("alt-svc: "));
            let expected = expected.map(|age| format!("h3=\":{port}\"; ma={age}"));
            assert_eq!(found, expected.as_deref(), "{version}: {head}");
        }
        assert_eq!(quic.connect().fetch("/hello").field("alt-svc"), None);
    }
}

#[test]
fn many_requests_at_once_are_all_answered() {
    let mut quic = server("h3-many", &[]);
    let client = quic.connect();
    client.wait(async {
        let mut tasks = Vec::new();
        for n in 0..500 {
            let path = format!("/big?bytes={}", n * 100);
            // The server lets 100 be open.
            let mut stream = client.open("GET", &path, &[]).await.expect("a stream");
            tasks.push(tokio::spawn(async move {
                stream.finish().await.expect("it is sent");
                let answer = receive_answer(stream).await;
                assert_eq!(answer.error, None);
                assert_eq!(answer.body, pattern(n * 100));
            }));
        }
        for task in tasks {
            task.await.expect("an answer");
        }
    });
    assert_eq!(quic.server.counter("requests"), 500);
    assert_eq!(quic.server.counter("streams_refused"), 0);
}

#[test]
fn large_contents_go_both_ways() {
    let quic = server("h3-large", &[]);
    let client = quic.connect();
    let content = pattern(20_000_000);
    let answer = client.ask("POST", "/echo", &[], &content);
    assert_eq!(answer.error, None);
    assert!(answer.body == content);
}

#[test]
fn a_client_that_takes_nothing_holds_only_its_stream_back() {
    let quic = server("h3-blocked", &["write_timeout=2000"]);
    // Two responses that do not fit the windows of their streams, and one that does.
    let client = Http3::connect_with(
        quic.address(),
        Options {
            window: Some(20_000),
            ..Options::default()
        },
    );
    client.wait(async {
        let mut first = client
            .open("GET", "/big?bytes=100000", &[])
            .await
            .expect("a stream");
        first.finish().await.expect("it is sent");
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mut second = client.open("GET", "/hello", &[]).await.expect("a stream");
        second.finish().await.expect("it is sent");
        assert_eq!(receive_answer(second).await.status, 200);
        let answer = receive_answer(first).await;
        assert_eq!((answer.error, answer.body.len()), (None, 100_000));
    });
}

#[test]
fn trailers_come_in_and_go_out() {
    let quic = server("h3-trailers", &[]);
    let client = quic.connect();
    let answer = client.wait(async {
        let mut stream = client.open("POST", "/read", &[]).await.expect("a stream");
        stream.send_data("abc".into()).await.expect("it is taken");
        let mut trailers = http::HeaderMap::new();
        trailers.insert("x-one", "1".parse().expect("a value"));
        trailers.insert("x-two", "2".parse().expect("a value"));
        stream.send_trailers(trailers).await.expect("it is taken");
        let _ = stream.finish().await;
        receive_answer(stream).await
    });
    assert!(answer.text().ends_with(" 2\n"), "{}", answer.text());
    let answer = client.fetch("/stream-trailers?n=2&bytes=3");
    let trailers = answer.trailers.expect("there are trailers");
    assert_eq!(trailers.get("x-pieces").expect("the field"), "2");
    assert_eq!(trailers.len(), 1);
}

#[test]
fn keys_may_be_updated() {
    let quic = server("h3-keys", &[]);
    let client = quic.connect();
    for _ in 0..5 {
        assert_eq!(client.fetch("/hello").status, 200);
        client.connection.force_key_update();
    }
    assert_eq!(client.fetch("/hello").status, 200);
}

// Addresses.

#[test]
fn connections_survive_a_change_of_the_clients_port() {
    for settings in [&["threads=3"][..], &["threads=3", "quic_steering=false"]] {
        let mut quic = server("h3-rebind", settings);
        let client = quic.connect();
        let content = pattern(3_000_000);
        for _ in 0..5 {
            let answer = client.ask("POST", "/echo", &[], &content);
            assert!(answer.error.is_none() && answer.body == content);
            client.rebind();
        }
        assert_eq!(client.fetch("/hello").status, 200);
        assert_eq!(quic.server.counter("http3_connections"), 1);
        assert_eq!(quic.server.counter("quic_forwards_lost"), 0);
        let forwards = quic.server.counter("quic_forwards");
        if settings.len() == 1 {
            assert_eq!(forwards, 0, "the kernel steers");
        }
    }
}

#[test]
fn all_workers_have_connections() {
    for settings in [&["threads=3"][..], &["threads=3", "quic_steering=false"]] {
        let mut quic = server("h3-workers", settings);
        let clients: Vec<Http3> = (0..24).map(|_| quic.connect()).collect();
        for client in &clients {
            assert_eq!(client.fetch("/hello").status, 200);
        }
        let requests = quic.server.command("worker-requests");
        let busy = requests
            .split_whitespace()
            .filter(|count| *count != "0")
            .count();
        assert_eq!(busy, 3, "{requests}");
    }
}

#[test]
fn clients_may_have_to_prove_their_address() {
    let mut quic = server("h3-retry", &["quic_retry=always"]);
    assert_eq!(quic.connect().fetch("/hello").status, 200);
    // The first flight may have two datagrams.
    let retries = quic.server.counter("quic_retries");
    assert!((1..=2).contains(&retries), "{retries}");
}

#[test]
fn unknown_versions_are_told_of_ours() {
    let quic = server("h3-version", &[]);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a timeout");
    // A long header of a version that nobody has, with identifiers of 8 bytes.
    let mut packet = b"\xc0\x1a\x2a\x3a\x4a\x08destinat\x08sourceid".to_vec();
    packet.resize(1200, 0);
    socket.send_to(&packet, quic.address()).expect("it is sent");
    let mut answer = [0; 1500];
    let len = socket.recv(&mut answer).expect("an answer");
    assert_eq!(answer[1..5], [0; 4], "version negotiation");
    assert_eq!(&answer[5..23], b"\x08sourceid\x08destinat");
    let versions: Vec<&[u8]> = answer[23..len].chunks(4).collect();
    assert!(versions.contains(&&[0, 0, 0, 1][..]), "{versions:?}");
    // Too short to be answered by more than it is.
    socket
        .send_to(&packet[..100], quic.address())
        .expect("it is sent");
    socket
        .set_read_timeout(Some(Duration::from_millis(300)))
        .expect("a timeout");
    assert!(socket.recv(&mut answer).is_err());
}

#[test]
fn noise_hurts_nobody() {
    let quic = server("h3-noise", &[]);
    let client = quic.connect();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut random = ajay_blackbox::Random::new(7);
    for round in 0..2000 {
        let len = random.within(1..1400);
        let mut packet = random.bytes(len);
        if round % 2 == 0 {
            // Something like an Initial packet.
            packet[0] |= 0xc0;
            packet.resize(1200, 0);
            packet[1..5].copy_from_slice(&[0, 0, 0, 1]);
        }
        let _ = socket.send_to(&packet, quic.address());
    }
    assert_eq!(client.fetch("/hello").status, 200);
    assert_eq!(quic.connect().fetch("/hello").status, 200);
}

// Rules.

#[test]
fn a_rule_that_is_broken_on_the_control_stream_ends_the_connection() {
    let quic = server("h3-control", &[]);
    for (bytes, expected) in [
        (&b"\x00\x07\x01\x00"[..], code::MISSING_SETTINGS),
        (b"\x00\x04\x00\x04\x00", code::FRAME_UNEXPECTED),
        (b"\x00\x04\x00\x00\x01a", code::FRAME_UNEXPECTED),
        (b"\x00\x04\x00\x01\x02\x00\x00", code::FRAME_UNEXPECTED),
        (b"\x00\x04\x00\x06\x00", code::FRAME_UNEXPECTED),
        (b"\x00\x04\x02\x04\x00", code::SETTINGS_ERROR),
        (b"\x00\x04\x04\x21\x00\x21\x00", code::SETTINGS_ERROR),
        (b"\x00\x04\x01\x21", code::FRAME_ERROR),
        (b"\x00\x04\x00\x0d\x01\x05\x0d\x01\x04", code::ID_ERROR),
        (b"\x00\x04\x00\x07\x01\x05\x07\x01\x06", code::ID_ERROR),
        (b"\x00\x04\x00\x03\x01\x00", code::ID_ERROR),
        (b"\x01\x00", code::STREAM_CREATION_ERROR),
        (b"\x02\xc0\x00", 0x201),
        (b"\x03\x84", 0x202),
    ] {
        let client = quic.raw();
        let _stream = client.unidirectional(bytes);
        assert_eq!(client.close_code(), expected, "{bytes:x?}");
    }
    let client = quic.raw();
    let _streams = [
        client.unidirectional(CONTROL),
        client.unidirectional(CONTROL),
    ];
    assert_eq!(client.close_code(), code::STREAM_CREATION_ERROR);
    let client = quic.raw();
    client.unidirectional(CONTROL).finish().expect("it is open");
    assert_eq!(client.close_code(), code::CLOSED_CRITICAL_STREAM);
    // The server's own control stream is needed too.
    let client = quic.raw();
    client.wait(async {
        let mut stream = client.connection.accept_uni().await.expect("a stream");
        stream.stop(0_u32.into()).expect("it is open");
    });
    assert_eq!(client.close_code(), code::CLOSED_CRITICAL_STREAM);
}

#[test]
fn a_rule_that_is_broken_on_a_requests_stream_ends_the_connection() {
    let quic = server("h3-request", &[]);
    let after_post = |bytes: &[u8]| [POST, bytes].concat();
    for (bytes, end, expected) in [
        (b"\x00\x01a".to_vec(), false, code::FRAME_UNEXPECTED),
        (b"\x04\x00".to_vec(), false, code::FRAME_UNEXPECTED),
        (b"\x05\x01\x00".to_vec(), false, code::FRAME_UNEXPECTED),
        (b"\x09\x00".to_vec(), false, code::FRAME_UNEXPECTED),
        (b"\x01\x05\x00".to_vec(), true, code::FRAME_ERROR),
        (after_post(b"\x00\x05a"), true, code::FRAME_ERROR),
        (after_post(b"\x0d\x01\x00"), false, code::FRAME_UNEXPECTED),
        (
            b"\x01\x00".to_vec(),
            false,
            code::QPACK_DECOMPRESSION_FAILED,
        ),
        (
            b"\x01\x03\x02\x00\x80".to_vec(),
            false,
            code::QPACK_DECOMPRESSION_FAILED,
        ),
        (
            b"\x01\x04\x00\x00\xff\x24".to_vec(),
            false,
            code::QPACK_DECOMPRESSION_FAILED,
        ),
    ] {
        let client = quic.raw();
        let _control = client.unidirectional(CONTROL);
        let _streams = client.request(&bytes, end);
        assert_eq!(client.close_code(), expected, "{bytes:x?}");
    }
}

#[test]
fn a_malformed_request_costs_its_stream_only() {
    let quic = server("h3-malformed", &[]);
    let client = quic.raw();
    let _control = client.unidirectional(CONTROL);
    for (bytes, end, expected) in [
        (b"".to_vec(), true, code::REQUEST_INCOMPLETE),
        // No method.
        (b"\x01\x03\x00\x00\xd7".to_vec(), true, code::MESSAGE_ERROR),
        // Less content than declared.
        (
            [
                b"\x01\x1c\x00\x00\xd4\xd7\x50\x09localhost\x51\x08/collect\x54\x01".as_slice(),
                b"5\x00\x01a",
            ]
            .concat(),
            true,
            code::MESSAGE_ERROR,
        ),
    ] {
        let (_send, receive) = client.request(&bytes, end);
        assert_eq!(client.read(receive), Err(expected), "{bytes:x?}");
    }
    let (_send, receive) = client.request(HELLO, true);
    let answer = client.read(receive).expect("a response");
    assert!(answer.ends_with(b"Hello, world!\n"));
}

#[test]
fn a_client_may_ask_before_it_sends_content() {
    let quic = server("h3-expect", &[]);
    let client = quic.raw();
    let _control = client.unidirectional(CONTROL);
    let head = [
        b"\x01\x2d\x00\x00\xd4\xd7\x50\x09localhost\x51\x08/collect".as_slice(),
        b"\x26expect\x0c100-continue",
    ]
    .concat();
    let (mut send, mut receive) = client.request(&head, false);
    // HEADERS with `:status: 100`; our lengths of field sections have two bytes.
    let mut answer = [0; 7];
    client
        .wait(receive.read_exact(&mut answer))
        .expect("a response");
    assert_eq!(&answer, b"\x01\x40\x04\x00\x00\xff\x00");
    client
        .wait(send.write_all(b"\x00\x05abcde"))
        .expect("it is wanted");
    let _ = send.finish();
    let answer = client.read(receive).expect("a final response");
    // `:status: 200`.
    assert_eq!(answer[3..6], *b"\x00\x00\xd9");
}

#[test]
fn unknown_streams_and_frames_are_ignored() {
    let quic = server("h3-unknown", &[]);
    let client = quic.raw();
    let _control = client.unidirectional(b"\x00\x04\x00\x21\x03abc\x40\x21\x00");
    let mut stray = client.unidirectional(b"\x21\x00\x01\x02");
    let stopped = client.wait(stray.stopped()).expect("it is open");
    assert_eq!(
        stopped.map(quinn::VarInt::into_inner),
        Some(code::STREAM_CREATION_ERROR)
    );
    let grease = b"\x40\x21\x05grease";
    let (_send, receive) = client.request(&[&b"\x21\x00"[..], HELLO, &grease[..8]].concat(), true);
    let answer = client.read(receive).expect("a response");
    assert!(answer.ends_with(b"Hello, world!\n"));
    let _ = stray.finish();
}

#[test]
fn floods_end_their_connection() {
    let mut quic = server("h3-floods", &[]);
    // Requests that are given up as fast as they are made.
    let client = quic.raw();
    let _control = client.unidirectional(CONTROL);
    client.wait(async {
        for _ in 0..1000 {
            let Ok((mut send, receive)) = client.connection.open_bi().await else {
                break;
            };
            let never = b"\x01\x17\x00\x00\xd1\xd7\x50\x09localhost\x51\x06/never";
            let _ = send.write_all(never).await;
            let _ = send.reset(0x10c_u32.into());
            drop(receive);
        }
    });
    assert_eq!(client.close_code(), code::EXCESSIVE_LOAD);
    let client = quic.raw();
    let _control = client.unidirectional(&[CONTROL, &b"\x0d\x01\x00".repeat(2000)].concat());
    assert_eq!(client.close_code(), code::EXCESSIVE_LOAD);
    let client = quic.raw();
    let _streams = client.request(&[POST, &b"\x00\x01a".repeat(12_000)].concat(), false);
    assert_eq!(client.close_code(), code::EXCESSIVE_LOAD);
    assert_eq!(quic.connect().fetch("/hello").status, 200);
    assert_eq!(quic.server.counter("open"), 1);
    for counter in ["flood_resets", "flood_priorities", "flood_tiny_data"] {
        assert_eq!(quic.server.counter(counter), 1, "{counter}");
    }
}

#[test]
fn events_may_be_written_as_qlog() {
    let directory = std::env::temp_dir().join(format!("ajay-qlog-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let setting = format!("quic_qlog_directory={}", directory.display());
    let quic = server("h3-qlog", &[&setting]);
    for _ in 0..2 {
        let client = quic.connect();
        assert_eq!(client.fetch("/hello").status, 200);
        client.close();
    }
    let mut server = quic.server;
    server.wait_counter("open", 0);
    server.signal(Signal::TERM);
    server.wait();
    let files: Vec<_> = std::fs::read_dir(&directory)
        .expect("the directory")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert_eq!(files.len(), 2);
    for file in &files {
        let text = std::fs::read_to_string(file).expect("text");
        // RFC 7464: each record begins so.
        let records: Vec<&str> = text.split('\u{1e}').skip(1).collect();
        assert!(records.len() > 5, "{text}");
        assert!(records[0].contains("\"qlog_version\""), "{text}");
        assert!(
            records.iter().all(|record| record.ends_with("}\n")),
            "{text}"
        );
        assert!(text.contains("packet_received"), "{text}");
        assert!(text.contains("packet_sent"), "{text}");
    }
    std::fs::remove_dir_all(&directory).expect("it can be removed");
}

#[test]
fn idle_connections_are_closed() {
    let quic = server("h3-idle", &["idle_timeout=1000", "first_byte_timeout=1000"]);
    let client = quic.connect();
    assert_eq!(client.fetch("/hello").status, 200);
    assert_eq!(client.close_code(), code::NO_ERROR);
    let client = quic.raw();
    assert_eq!(client.close_code(), code::NO_ERROR);
}

#[test]
fn a_head_that_does_not_come_costs_its_stream() {
    let mut quic = server("h3-head", &["head_timeout=1000"]);
    let client = quic.raw();
    let _control = client.unidirectional(CONTROL);
    let (_send, receive) = client.request(&HELLO[..10], false);
    assert_eq!(client.read(receive), Err(code::REQUEST_INCOMPLETE));
    assert_eq!(quic.server.counter("timeout_head"), 1);
    let (_send, receive) = client.request(HELLO, true);
    assert!(client.read(receive).is_ok());
}

// The end.

#[test]
fn what_was_sent_before_a_drain_is_answered() {
    let mut quic = server("h3-drain", &["threads=2"]);
    let clients: Vec<Http3> = (0..4).map(|_| quic.connect()).collect();
    let streams: Vec<_> = clients
        .iter()
        .map(|client| {
            client.wait(async {
                let mut stream = client
                    .open("GET", "/slow?ms=700", &[])
                    .await
                    .expect("a stream");
                stream.finish().await.expect("it is sent");
                stream
            })
        })
        .collect();
    for _ in 0..4 {
        quic.server.wait_note("slow begun");
    }
    quic.server.signal(Signal::TERM);
    for (client, stream) in clients.iter().zip(streams) {
        let answer = client.wait(receive_answer(stream));
        assert_eq!((answer.status, answer.error), (200, None));
        assert_eq!(client.close_code(), code::NO_ERROR);
    }
    assert_eq!(quic.server.wait().code, Some(0));
}

#[test]
fn idle_connections_do_not_hold_up_a_drain() {
    let quic = server("h3-drain-idle", &[]);
    let client = quic.connect();
    assert_eq!(client.fetch("/hello").status, 200);
    quic.server.signal(Signal::TERM);
    assert_eq!(client.close_code(), code::NO_ERROR);
    assert_eq!(quic.server.wait().code, Some(0));
}

#[test]
fn a_client_that_is_gone_is_forgotten() {
    let mut quic = server("h3-gone", &[]);
    let client = quic.connect();
    let mut stream = client
        .wait(client.open("GET", "/never", &[]))
        .expect("a stream");
    client.wait(stream.finish()).expect("it is sent");
    quic.server.wait_note("never begun");
    client.close();
    quic.server.wait_note("never dropped");
    wait_for("the connection is over", || {
        (quic.server.counter("open") == 0).then_some(())
    });
}
