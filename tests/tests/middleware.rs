//! Ready-made middleware over real connections of all versions: compression and CORS; and our router inside
//! another's server.

use std::io::Read;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ajay_blackbox::http2::Http2;
use ajay_blackbox::http3::Http3;
use ajay_blackbox::{Address, Authority, Client, fnv1a, pattern, run, wait_for};
use ajayserver::middleware::{Compression, Cors};
use ajayserver::tls::Versions;
use ajayserver::tower::into_tower;
use ajayserver::{
    ContentError, ContentType, Handle, ListenAddr, Request, Response, Router, Server, StreamClosed,
    Tls,
};
use bytes::Buf;
use tokio::sync::Notify;

/// What the handlers and a test have in common.
#[derive(Clone, Default)]
struct Shared {
    /// Lets `/ticks` go on.
    go_on: Arc<Notify>,
    /// Streams that were dropped.
    dropped: Arc<AtomicUsize>,
}

struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Text of which no two lines are the same.
fn text(lines: usize) -> String {
    (0..lines)
        .map(|line| format!("{line} {:x} and more\n", fnv1a(&line.to_be_bytes())))
        .collect()
}

const LINES: usize = 10_000;

fn router(shared: &Shared) -> Router {
    let (ticking, endless) = (shared.clone(), shared.clone());
    Router::new()
        .get("/text", async |_: Request| text(100))
        .get("/large", async |_: Request| text(LINES))
        .get("/small", async |_: Request| "small")
        .get("/picture", async |_: Request| {
            Response::ok(pattern(5000)).with_content_type(ContentType::new("image/png"))
        })
        .get("/lines", async |_: Request| {
            let response = Response::stream(async |mut writer| {
                for lines in text(LINES).as_bytes().chunks(3000) {
                    writer.write(lines.to_vec()).await?;
                }
                writer.finish();
                Ok::<_, StreamClosed>(())
            });
            response.with_content_type(ContentType::TEXT)
        })
        .get("/ticks", async move |_: Request| {
            let go_on = Arc::clone(&ticking.go_on);
            let response = Response::stream(async move |mut writer| {
                for tick in ["one\n", "two\n", "three\n"] {
                    writer.write(tick).await?;
                    go_on.notified().await;
                }
                writer.finish();
                Ok::<_, StreamClosed>(())
            });
            response.with_content_type(ContentType::TEXT)
        })
        .get("/endless", async move |request: Request| {
            // Or only so many pieces, and then a wait without end.
            let pieces = request.query().and_then(|it| it.parse().ok());
            let pieces = pieces.unwrap_or(usize::MAX);
            let guard = Dropped(Arc::clone(&endless.dropped));
            let response = Response::stream(async move |mut writer| {
                let _guard = guard;
                for _ in 0..pieces {
                    // Becomes no smaller: the client's window fills.
                    let random: Vec<u8> = std::iter::repeat_with(random).take(10_000).collect();
                    writer.write(random).await?;
                }
                std::future::pending::<Result<(), StreamClosed>>().await
            });
            response.with_content_type(ContentType::TEXT)
        })
        .post("/echo", async |mut request: Request| {
            let content = request.content().collect().await?;
            Ok::<_, ContentError>(Response::ok(content).with_content_type(ContentType::TEXT))
        })
        .put("/put", async |_: Request| "put\n")
        .get("/panics", async |_: Request| -> &str {
            panic!("on purpose")
        })
        .get("/peer", async |request: Request| {
            request.peer_addr().to_string()
        })
        .wrap(
            Cors::new()
                .origin("https://shop.example")
                .methods([ajayserver::Method::PUT])
                .headers(["X-A"])
                .credentials(true),
        )
        .wrap(Compression::new())
}

/// Another byte each time.
fn random() -> u8 {
    static STATE: AtomicUsize = AtomicUsize::new(1);
    let state = STATE.fetch_add(1, Ordering::Relaxed);
    (fnv1a(&state.to_be_bytes()) >> 24) as u8
}

struct Ours {
    shared: Shared,
    cleartext: Address,
    tls: SocketAddr,
    handle: Handle,
    thread: Option<std::thread::JoinHandle<ajayserver::Result<()>>>,
    _authority: Authority,
}

fn ours(test: &str) -> Ours {
    let authority = Authority::new(test);
    let issued = authority.issue("localhost");
    let tls = Tls::files(&issued.chain, &issued.key).versions(Versions::ALL);
    let server = Server::builder()
        .threads(1)
        .handle_signals(false)
        .listen("127.0.0.1:0")
        .and_then(|builder| builder.listen("127.0.0.1:0"))
        .and_then(|builder| builder.tls(tls).bind())
        .expect("bind");
    let [ListenAddr::Tcp(cleartext), ListenAddr::Tcp(tls)] = server.local_addrs() else {
        panic!("{:?}", server.local_addrs())
    };
    let (cleartext, tls, handle) = (*cleartext, *tls, server.handle());
    let shared = Shared::default();
    let routes = router(&shared).build().expect("no conflict");
    Ours {
        shared,
        cleartext: Address::Tcp(cleartext),
        tls,
        handle,
        thread: Some(std::thread::spawn(move || server.run(routes))),
        _authority: authority,
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.handle.stop();
        let ended = self.thread.take().map(std::thread::JoinHandle::join);
        assert!(matches!(ended, Some(Ok(_))), "no panic");
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Version {
    Http1,
    Http2,
    Http3,
}

const ALL: [Version; 3] = [Version::Http1, Version::Http2, Version::Http3];

/// What all versions have of an answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(it, _)| it == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} is repeated: {self:?}");
        value
    }

    /// The content, without its coding.
    fn decoded(&self) -> Vec<u8> {
        match self.field("content-encoding") {
            Some(coding) => decoded(coding, &self.body).expect("it is complete"),
            None => self.body.clone(),
        }
    }
}

/// All of it, or what there is of it.
fn decoded(coding: &str, content: &[u8]) -> Result<Vec<u8>, Vec<u8>> {
    let mut reader: Box<dyn Read> = match coding {
        "gzip" => Box::new(flate2::read::GzDecoder::new(content)),
        "br" => Box::new(brotli::Decompressor::new(content, 4096)),
        "zstd" => Box::new(zstd::stream::read::Decoder::new(content).expect("a decoder")),
        _ => panic!("{coding}"),
    };
    let mut bytes = Vec::new();
    match reader.read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(_) => Err(bytes),
    }
}

const CODINGS: [&str; 3] = ["gzip", "br", "zstd"];

impl Ours {
    fn ask(&self, version: Version, method: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        match version {
            Version::Http1 => over_http1(&self.cleartext, method, path, fields),
            Version::Http2 => {
                let mut client = Http2::connect(&self.cleartext);
                let stream = client.request(method, path, fields, true);
                let answer = client.response(stream);
                Answer {
                    status: answer.status,
                    fields: answer.fields,
                    body: answer.body,
                }
            }
            Version::Http3 => {
                let answer = Http3::connect(self.tls).ask(method, path, fields, &[]);
                assert_eq!(answer.error, None);
                let fields = answer.fields.iter().map(|(name, value)| {
                    let value = value.to_str().expect("text");
                    (name.to_string(), value.to_owned())
                });
                Answer {
                    status: answer.status,
                    fields: fields.collect(),
                    body: answer.body,
                }
            }
        }
    }
}

fn over_http1(address: &Address, method: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
    let mut client = Client::connect(address);
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    client.send(format!("{head}\r\n"));
    let response = client.response_to(method);
    let lines = response.fields.iter();
    Answer {
        status: response.status,
        fields: lines
            .map(|(name, value)| (name.to_lowercase(), value.clone()))
            .collect(),
        body: response.body,
    }
}

#[test]
fn content_is_compressed_over_all_versions() {
    let ours = ours("middleware-compressed");
    for version in ALL {
        for coding in CODINGS {
            let accept = [("accept-encoding", coding)];
            for (path, expected) in [
                ("/text", text(100)),
                ("/large", text(LINES)),
                ("/lines", text(LINES)),
            ] {
                let answer = ours.ask(version, "GET", path, &accept);
                let what = format!("{version:?} {coding} {path}");
                assert_eq!(answer.field("content-encoding"), Some(coding), "{what}");
                assert_eq!(
                    answer.field("vary"),
                    Some("Accept-Encoding, Origin"),
                    "{what}"
                );
                assert!(answer.body.len() < expected.len() * 2 / 3, "{what}");
                assert!(answer.decoded() == expected.as_bytes(), "{what}");
                let length = answer.field("content-length");
                assert_eq!(length.is_some(), path == "/text", "{what}");
                let head = ours.ask(version, "HEAD", path, &accept);
                assert_eq!(head.field("content-encoding"), Some(coding), "{what}");
                assert_eq!(head.field("content-length"), length, "{what}");
                assert!(head.body.is_empty(), "{what}");
            }
            for (path, len) in [("/small", 5), ("/picture", 5000)] {
                let answer = ours.ask(version, "GET", path, &accept);
                assert_eq!(answer.field("content-encoding"), None);
                assert_eq!(answer.body.len(), len);
            }
        }
        let plain = ours.ask(version, "GET", "/large", &[]);
        assert_eq!(plain.field("content-encoding"), None);
        assert!(plain.body == text(LINES).as_bytes());
    }
}

#[test]
fn what_a_handler_wrote_arrives_while_it_waits() {
    let ours = ours("middleware-ticks");
    let ticks = ["one\n", "one\ntwo\n", "one\ntwo\nthree\n"];
    let has = |coding: &str, body: &[u8], expected: &str| {
        // Some decoders say nothing of what is not all there.
        let so_far = decoded(coding, body);
        so_far.unwrap_or_else(|so_far| so_far) == expected.as_bytes()
    };
    for coding in CODINGS {
        let accept = [("accept-encoding", coding)];
        let mut client = Client::connect(&ours.cleartext);
        client.get("/ticks", &format!("Accept-Encoding: {coding}\r\n"));
        assert_eq!(client.head().expect("a head").status, 200);
        let mut received = Vec::new();
        for expected in ticks {
            // Some of it may have come with the head.
            received.extend(client.take_received());
            while !has(coding, &unchunked(&received), expected) {
                assert!(client.receive(), "it ended");
                received.extend(client.take_received());
            }
            ours.shared.go_on.notify_one();
        }
        while !received.ends_with(b"0\r\n\r\n") {
            assert!(client.receive(), "it ended");
            received.extend(client.take_received());
        }
        assert!(decoded(coding, &unchunked(&received)).is_ok());

        let mut client = Http2::connect(&ours.cleartext);
        let stream = client.request("GET", "/ticks", &accept, true);
        for expected in ticks {
            client.wait(stream, |answer| has(coding, &answer.body, expected));
            ours.shared.go_on.notify_one();
        }
        assert!(decoded(coding, &client.response(stream).body).is_ok());

        let client = Http3::connect(ours.tls);
        client.wait(async {
            let Ok(mut stream) = client.open("GET", "/ticks", &accept).await else {
                panic!("not opened");
            };
            stream.finish().await.expect("sent");
            stream.recv_response().await.expect("a head");
            let mut body = Vec::new();
            for expected in ticks {
                while !has(coding, &body, expected) {
                    let data = stream.recv_data().await.expect("no error");
                    let mut data = data.expect("it goes on");
                    body.extend_from_slice(&data.copy_to_bytes(data.remaining()));
                }
                ours.shared.go_on.notify_one();
            }
            while let Some(mut data) = stream.recv_data().await.expect("no error") {
                body.extend_from_slice(&data.copy_to_bytes(data.remaining()));
            }
            assert!(decoded(coding, &body).is_ok());
        });
    }
}

/// The data of all chunks that are complete.
fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(line) = bytes.windows(2).position(|pair| pair == b"\r\n") {
        let digits = std::str::from_utf8(&bytes[..line]).expect("digits");
        let len = usize::from_str_radix(digits, 16).expect("a size");
        let end = line + 2 + len;
        if bytes.len() < end + 2 {
            break;
        }
        body.extend_from_slice(&bytes[line + 2..end]);
        bytes = &bytes[end + 2..];
    }
    body
}

#[test]
fn clients_that_leave_drop_what_is_compressed_for_them() {
    let ours = ours("middleware-leave");
    for coding in CODINGS {
        let before = ours.shared.dropped.load(Ordering::SeqCst);
        let clients: Vec<Client> = (0..20)
            .map(|number| {
                let mut client = Client::connect(&ours.cleartext);
                let path = if number == 0 {
                    "/endless"
                } else {
                    "/endless?5"
                };
                client.get(path, &format!("Accept-Encoding: {coding}\r\n"));
                let head = client.head().expect("a head");
                assert_eq!(head.field("content-encoding"), Some(coding));
                client
            })
            .collect();
        let mut http2 = Http2::connect(&ours.cleartext);
        let stream = http2.request("GET", "/endless", &[("accept-encoding", coding)], true);
        http2.wait(stream, |answer| answer.body.len() > 10_000);
        drop(clients);
        http2.reset(stream, 8);
        wait_for("all are dropped", || {
            (ours.shared.dropped.load(Ordering::SeqCst) == before + 21).then_some(())
        });
    }
}

#[test]
fn so_many_streams_are_compressed_at_a_time_and_no_more() {
    let ours = ours("middleware-many");
    let mut clients: Vec<Client> = Vec::new();
    let mut codings = Vec::new();
    for _ in 0..130 {
        let mut client = Client::connect(&ours.cleartext);
        client.get("/endless?1", "Accept-Encoding: gzip\r\n");
        let head = client.head().expect("a head");
        codings.push(head.field("content-encoding").map(str::to_owned));
        assert!(
            head.field("vary")
                .is_some_and(|it| it.contains("Accept-Encoding"))
        );
        clients.push(client);
    }
    let compressed = codings.iter().filter(|it| it.is_some()).count();
    assert_eq!(compressed, 128, "{codings:?}");
    drop(clients);
    wait_for("all are dropped", || {
        (ours.shared.dropped.load(Ordering::SeqCst) == 130).then_some(())
    });
    let mut client = Client::connect(&ours.cleartext);
    client.get("/endless?1", "Accept-Encoding: gzip\r\n");
    let head = client.head().expect("a head");
    assert_eq!(head.field("content-encoding"), Some("gzip"));
}

#[test]
fn curl_decodes_it() {
    let ours = ours("middleware-curl");
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        for coding in ["", "gzip", "br", "zstd"] {
            for (path, expected) in [
                ("/text", text(100)),
                ("/large", text(LINES)),
                ("/lines", text(LINES)),
            ] {
                let mut command = Command::new("curl");
                command.args(["-sS", "--max-time", "20", "--compressed", version]);
                if !coding.is_empty() {
                    command.args(["-H", &format!("Accept-Encoding: {coding}")]);
                }
                let counted = "\n%{size_download}";
                command.args(["-w", counted, &format!("http://{}{path}", ours.cleartext)]);
                let output = run(&mut command);
                let stderr = String::from_utf8_lossy(&output.stderr);
                assert!(
                    output.status.success(),
                    "{version} {coding} {path}: {stderr}"
                );
                let shown = String::from_utf8_lossy(&output.stdout).into_owned();
                let (content, size) = shown.rsplit_once('\n').expect("a size");
                assert!(content == expected, "{version} {coding} {path}");
                let size: usize = size.parse().expect("a size");
                assert!(size < expected.len() * 2 / 3, "{size} bytes");
            }
        }
    }
}

#[test]
fn preflights_are_answered_over_all_versions() {
    let ours = ours("middleware-cors");
    for version in ALL {
        let preflight = [
            ("origin", "https://shop.example"),
            ("access-control-request-method", "PUT"),
            ("access-control-request-headers", "x-a"),
        ];
        for path in ["/put", "/text", "/nowhere"] {
            let answer = ours.ask(version, "OPTIONS", path, &preflight);
            assert_eq!(answer.status, 204, "{version:?} {path}");
            let allowed = |name: &str| answer.field(&format!("access-control-allow-{name}"));
            assert_eq!(allowed("origin"), Some("https://shop.example"));
            assert_eq!(allowed("methods"), Some("PUT"));
            assert_eq!(allowed("headers"), Some("X-A"));
            assert_eq!(allowed("credentials"), Some("true"));
            assert_eq!(answer.field("content-length"), None);
            assert!(answer.body.is_empty());
        }
        let other = [("origin", "https://other.example"), preflight[1]];
        let answer = ours.ask(version, "OPTIONS", "/put", &other);
        assert_eq!(answer.field("access-control-allow-origin"), None);
        let answer = ours.ask(version, "PUT", "/put", &preflight[..1]);
        assert_eq!((answer.status, &answer.body[..]), (200, &b"put\n"[..]));
        let origin = answer.field("access-control-allow-origin");
        assert_eq!(origin, Some("https://shop.example"));
        let options = ours.ask(version, "OPTIONS", "/put", &preflight[..1]);
        assert_eq!(options.field("allow"), Some("OPTIONS, PUT"));
    }
}

/// Our router inside an axum app, which `axum::serve` serves until the program ends.
fn inside_axum(shared: &Shared) -> Address {
    let ours = into_tower(router(shared).build().expect("no conflict")).threads(2);
    let app = axum::Router::new()
        .route("/", axum::routing::get(async || "theirs"))
        .nest_service("/ours", ours);
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
            let listener = listener.expect("a listener");
            sender.send(listener.local_addr()).expect("it waits");
            let app = app.into_make_service_with_connect_info::<SocketAddr>();
            axum::serve(listener, app).await
        })
    });
    let address = receiver.recv().expect("it starts");
    Address::Tcp(address.expect("an address"))
}

#[test]
fn a_router_of_ours_works_inside_axum() {
    let shared = Shared::default();
    let address = inside_axum(&shared);
    let get = |path: &str, fields: &[(&str, &str)]| over_http1(&address, "GET", path, fields);
    assert_eq!(get("/", &[]).body, b"theirs");
    assert_eq!(get("/ours/small", &[]).body, b"small");
    assert_eq!(get("/ours/nowhere", &[]).status, 404);
    assert_eq!(get("/ours/panics", &[]).status, 500);
    assert!(get("/ours/peer", &[]).body.starts_with(b"127.0.0.1:"));
    for path in ["/ours/text", "/ours/large", "/ours/lines"] {
        let expected = if path == "/ours/text" {
            text(100)
        } else {
            text(LINES)
        };
        assert!(get(path, &[]).body == expected.as_bytes(), "{path}");
        for coding in CODINGS {
            let answer = get(path, &[("accept-encoding", coding)]);
            assert_eq!(answer.field("content-encoding"), Some(coding), "{path}");
            assert!(answer.decoded() == expected.as_bytes(), "{path} {coding}");
        }
    }
    let head = over_http1(&address, "HEAD", "/ours/large", &[]);
    let length = text(LINES).len().to_string();
    assert_eq!(head.field("content-length"), Some(&*length));
    let preflight = [
        ("origin", "https://shop.example"),
        ("access-control-request-method", "PUT"),
    ];
    let answer = over_http1(&address, "OPTIONS", "/ours/put", &preflight);
    assert_eq!(answer.status, 204);
    assert_eq!(answer.field("access-control-allow-methods"), Some("PUT"));

    // Content both ways, on one connection.
    let mut client = Client::connect(&address);
    for len in [0, 10, 100_000, 3 << 20] {
        let content = pattern(len);
        client.post("/ours/echo", "", &content);
        let response = client.response();
        assert_eq!(response.status, 200);
        assert!(response.body == content, "{len}");
    }
    client.post("/ours/echo", "", &pattern(5 << 20));
    assert_eq!(client.response().status, 413);
}

#[test]
fn clients_of_axum_that_leave_drop_our_handlers() {
    let shared = Shared::default();
    let address = inside_axum(&shared);
    let clients: Vec<Client> = (0..20)
        .map(|_| {
            let mut client = Client::connect(&address);
            client.get("/ours/endless", "");
            assert_eq!(client.head().expect("a head").status, 200);
            client
        })
        .collect();
    assert_eq!(shared.dropped.load(Ordering::SeqCst), 0);
    drop(clients);
    wait_for("all are dropped", || {
        (shared.dropped.load(Ordering::SeqCst) == 20).then_some(())
    });
}
