//! An axum application, served by `axum::serve` and by us with only that line changed: the same requests have
//! the same answers, over HTTP/1.1, HTTP/2 and HTTP/3.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use ajay_blackbox::axum_app::app;
use ajay_blackbox::http2::Http2;
use ajay_blackbox::http3::Http3;
use ajay_blackbox::{Address, Authority, Client, fnv1a, pattern, wait_for};
use ajayserver::tls::Versions;
use ajayserver::tower::from_tower;
use ajayserver::{Counter, Handle, ListenAddr, Server, Tls};

/// `axum::serve`, until the program ends.
fn theirs() -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    listener.set_nonblocking(true).expect("it can be so");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            axum::serve(listener, app()).await
        })
    });
    Address::Tcp(address)
}

struct Ours {
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
    let thread = Some(std::thread::spawn(move || server.run(from_tower(app()))));
    Ours {
        cleartext: Address::Tcp(cleartext),
        tls,
        handle,
        thread,
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

/// What is to be compared of an answer.
#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    content_type: Option<String>,
    path: Option<String>,
    body: Vec<u8>,
}

type Asked = (
    &'static str,
    String,
    Vec<(&'static str, &'static str)>,
    Vec<u8>,
);

fn requests() -> Vec<Asked> {
    let json = ("content-type", "application/json");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let parts = ("content-type", "multipart/form-data; boundary=XX");
    let get = |target: &str| ("GET", target.to_owned(), vec![], vec![]);
    let mut upload =
        b"--XX\r\nContent-Disposition: form-data; name=\"a\"; filename=\"a.bin\"\r\n\r\n".to_vec();
    upload.extend(pattern(3 << 20));
    upload.extend(b"\r\n--XX\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\nb\r\n--XX--\r\n");
    let post = |target: &str, field, content: &[u8]| {
        ("POST", target.to_owned(), vec![field], content.to_vec())
    };
    vec![
        get("/"),
        ("HEAD", "/".to_owned(), vec![], vec![]),
        post("/todos", json, br#"{"text":"buy milk"}"#),
        post("/todos", json, br#"{"text":"sleep","completed":true}"#),
        post("/todos", json, br#"{"text":"#),
        post("/todos", json, br#"{"note":1}"#),
        post("/todos", form, br#"{"text":"x"}"#),
        get("/todos?offset=1&limit=5"),
        get("/todos?offset=x"),
        get("/todos/1"),
        get("/todos/99"),
        get("/todos/nine"),
        (
            "PATCH",
            "/todos/1".to_owned(),
            vec![json],
            br#"{"text":"buy bread"}"#.to_vec(),
        ),
        ("DELETE", "/todos/2".to_owned(), vec![], vec![]),
        ("DELETE", "/todos/2".to_owned(), vec![], vec![]),
        ("PUT", "/todos".to_owned(), vec![], vec![]),
        get("/todos"),
        ("PUT", "/values/a%20b".to_owned(), vec![], pattern(100_000)),
        get("/values/a%20b"),
        ("DELETE", "/values/a%20b".to_owned(), vec![], vec![]),
        get("/values/a%20b"),
        ("PUT", "/values/large".to_owned(), vec![], pattern(3 << 20)),
        post("/form", form, b"text=a+b%21"),
        post("/upload", parts, &upload),
        post("/upload", parts, b"--XX\r\nbroken"),
        ("POST", "/digest".to_owned(), vec![], pattern(2_000_000)),
        post("/echo", json, &pattern(70_000)),
        get("/events"),
        get("/stream"),
        get("/teapot"),
        get("/nowhere"),
        get("/todos/1/more"),
    ]
}

fn over_http1(address: &Address, (method, target, fields, content): &Asked) -> Answer {
    let mut client = Client::connect(address);
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n");
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !content.is_empty() {
        head.push_str(&format!("Content-Length: {}\r\n", content.len()));
    }
    // An answer may come before all of it is taken.
    let _ = client.try_send(format!("{head}\r\n"));
    let _ = client.try_send(content);
    let response = client.response_to(method);
    Answer {
        status: response.status,
        content_type: response.field("content-type").map(str::to_owned),
        path: response.field("x-path").map(str::to_owned),
        body: response.body,
    }
}

fn over_http2(address: &Address, (method, target, fields, content): &Asked) -> Answer {
    let mut client = Http2::connect(address);
    let stream = client.request(method, target, fields, content.is_empty());
    if !content.is_empty() {
        client.upload(stream, content, true);
    }
    let answer = client.response(stream);
    Answer {
        status: answer.status,
        content_type: answer.field("content-type").map(str::to_owned),
        path: answer.field("x-path").map(str::to_owned),
        body: answer.body,
    }
}

fn over_http3(address: SocketAddr, (method, target, fields, content): &Asked) -> Answer {
    let client = Http3::connect(address);
    let answer = client.ask(method, target, fields, content);
    Answer {
        status: answer.status,
        content_type: answer.field("content-type").map(str::to_owned),
        path: answer.field("x-path").map(str::to_owned),
        body: answer.body,
    }
}

#[test]
fn answers_are_those_of_axum_serve() {
    let theirs = theirs();
    let expected: Vec<Answer> = requests()
        .iter()
        .map(|it| over_http1(&theirs, it))
        .collect();
    assert_eq!(expected[2].status, 201);
    assert_eq!(expected[23].body, b"a.bin 3145728\nb 1\n");
    assert_eq!(
        String::from_utf8_lossy(&expected[25].body),
        format!("2000000 {:016x}", fnv1a(&pattern(2_000_000)))
    );
    // Each has stores of its own.
    for version in 1..=3 {
        let ours = ours(&format!("axum-{version}"));
        for (asked, expected) in requests().iter().zip(&expected) {
            let answer = match version {
                1 => over_http1(&ours.cleartext, asked),
                2 => over_http2(&ours.cleartext, asked),
                _ => over_http3(ours.tls, asked),
            };
            assert!(
                answer == *expected,
                "HTTP/{version} {} {}: {} {:?}, not {} {:?}",
                asked.0,
                asked.1,
                answer.status,
                answer.content_type,
                expected.status,
                expected.content_type
            );
        }
    }
}

#[test]
fn handlers_of_clients_that_leave_are_dropped() {
    let ours = ours("axum-leave");
    let clients: Vec<Client> = (0..200)
        .map(|_| {
            let mut client = Client::connect(&ours.cleartext);
            client.get("/never", "");
            client
        })
        .collect();
    let mut watcher = Client::connect(&ours.cleartext);
    wait_for("all are asked", || {
        (ours.handle.counters().get(Counter::Requests) >= 200).then_some(())
    });
    assert_eq!(watcher.fetch("/dropped").text(), "0");
    drop(clients);
    wait_for("all are dropped", || {
        (watcher.fetch("/dropped").text() == "200").then_some(())
    });
    assert_eq!(ours.handle.counters().get(Counter::HandlersCancelled), 200);
}

#[test]
fn a_panic_is_500_and_the_connection_goes_on() {
    let ours = ours("axum-panic");
    let mut client = Client::connect(&ours.cleartext);
    assert_eq!(client.fetch("/panic").status, 500);
    assert_eq!(client.fetch("/").status, 200);
}

#[test]
fn a_client_that_reads_slowly_holds_the_stream_back() {
    let ours = ours("axum-slow");
    let mut client = Client::connect(&ours.cleartext);
    client.get("/stream", "");
    std::thread::sleep(Duration::from_millis(200));
    assert!(client.response().body == pattern(5000).repeat(20));
}
