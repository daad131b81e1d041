//! After warm-up a request on a connection that is kept, or on a new stream, allocates nothing, in the whole process: not in the core,
//! not in the engine, not for the handler's future, not for the response's fields.
//!
//! A program of its own, without the test harness, whose threads allocate whenever they like.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ajayserver::{
    Application, InvalidField, KnownField, ListenAddr, Next, Request, Response, Router, Server,
};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
/// Nothing may be allocated now; what is shows itself.
static IS_MEASURING: AtomicBool = AtomicBool::new(false);

fn count(bytes: usize) {
    ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    // Off meanwhile: showing it allocates.
    if IS_MEASURING.swap(false, Ordering::Relaxed) {
        let trace = std::backtrace::Backtrace::force_capture();
        let _ = writeln!(std::io::stderr(), "{bytes} bytes are allocated by\n{trace}");
    }
}

// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing, but where
// the test has failed already, and then not without end.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's obligations are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The diary's request.
const BROWSER: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\
    Accept: text/plain,text/html;q=0.9,application/xhtml+xml;q=0.9,application/xml;q=0.8,*/*;q=0.7\
    \r\nConnection: keep-alive\r\n\r\n";

const WARM_UP: usize = 500;
const MEASURED: usize = 5000;

fn main() {
    keep_alive_requests_allocate_nothing();
    http2_requests_allocate_nothing();
    routed_requests_allocate_nothing();
    // As the harness would have said it.
    let mut stdout = std::io::stdout();
    let _ = writeln!(
        stdout,
        "test keep_alive_requests_allocate_nothing ... ok\ntest http2_requests_allocate_nothing ... ok\n\
         test routed_requests_allocate_nothing ... ok\n\n\
         test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out"
    );
}

fn keep_alive_requests_allocate_nothing() {
    let (address, server) = start(true);
    let cases: [(&str, Vec<u8>, usize); 4] = [
        ("hello", BROWSER.to_vec(), 1),
        ("16 pipelined", BROWSER.repeat(16), 16),
        (
            "with fields",
            b"GET /fields HTTP/1.1\r\nHost: a\r\nX-Id: 7\r\n\r\n".to_vec(),
            1,
        ),
        (
            "a handler that waits",
            b"GET /yield HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
            1,
        ),
    ];
    for (name, request, responses) in cases {
        let mut client = connect(address);
        allocates_nothing(name, |buffer| {
            exchange(&mut client, &request, responses, buffer);
        });
    }
    server();
}

fn http2_requests_allocate_nothing() {
    // A new date is entered into the table of field compression, which grows to some sixty of them in as
    // many seconds: not what a request costs, but in the way here.
    let (address, server) = start(false);
    let cases: [(&str, &str, usize); 4] = [
        ("hello", "/", 1),
        ("100 streams", "/", 100),
        ("with fields", "/fields", 10),
        ("handlers that wait", "/yield", 10),
    ];
    for (name, path, streams) in cases {
        let mut client = connect(address);
        // The preface, empty SETTINGS, and as large a window for the connection as there can be.
        client
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
            .and_then(|()| client.write_all(b"\0\0\x04\x08\0\0\0\0\0\x7f\xff\0\0"))
            .expect("send");
        let (mut requests, mut stream) = (Vec::with_capacity(streams * 128), 1);
        allocates_nothing(&format!("HTTP/2, {name}"), |buffer| {
            requests.clear();
            for _ in 0..streams {
                write_headers(stream, path, &mut requests);
                stream += 2;
            }
            exchange(&mut client, &requests, streams, buffer);
        });
    }
    server();
}

/// A router with parameters, and a middleware that waits and adds a field.
fn routed_requests_allocate_nothing() {
    let below = Router::new().get("/{kind}/{name}", named);
    let router = Router::new()
        .get("/hello/{name}", named)
        .nest("/below", below)
        .wrap(with_a_field);
    let (address, server) = start_with(false, router.build().expect("no conflicts"));
    for target in ["/hello/you", "/below/it/7"] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
        let mut client = connect(address);
        allocates_nothing(target, |buffer| exchange(&mut client, &request, 1, buffer));
        let mut client = connect(address);
        client
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
            .and_then(|()| client.write_all(b"\0\0\x04\x08\0\0\0\0\0\x7f\xff\0\0"))
            .expect("send");
        let (mut requests, mut stream) = (Vec::with_capacity(10 * 128), 1);
        allocates_nothing(&format!("HTTP/2, {target}"), |buffer| {
            requests.clear();
            for _ in 0..10 {
                write_headers(stream, target, &mut requests);
                stream += 2;
            }
            exchange(&mut client, &requests, 10, buffer);
        });
    }
    server();
}

/// HEADERS that end their stream: a GET with an `X-Id`, without use of the dynamic table (RFC 7541 §6).
fn write_headers(stream: u32, path: &str, out: &mut Vec<u8>) {
    let length = 2 + 2 + path.len() + 3 + 8;
    out.extend_from_slice(&[0, 0, length as u8, 1, 5]);
    out.extend_from_slice(&stream.to_be_bytes());
    // `:method: GET`, `:scheme: http`.
    out.extend_from_slice(&[0x82, 0x86]);
    // `:path` and `:authority`, literal.
    out.extend_from_slice(&[0x04, path.len() as u8]);
    out.extend_from_slice(path.as_bytes());
    out.extend_from_slice(b"\x01\x01a");
    out.extend_from_slice(b"\x00\x04x-id\x017");
}

fn connect(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).expect("connect");
    client.set_nodelay(true).expect("nodelay");
    client
}

/// Sends these requests and reads as many responses.
fn exchange(client: &mut TcpStream, requests: &[u8], responses: usize, buffer: &mut [u8]) {
    client.write_all(requests).expect("send");
    let mut seen = 0;
    while seen < responses {
        let received = client.read(buffer).expect("receive");
        assert_ne!(received, 0, "closed");
        seen += buffer[..received]
            .windows(3)
            .filter(|w| w == b"OK\n")
            .count();
    }
}

fn allocates_nothing(name: &str, mut round: impl FnMut(&mut [u8])) {
    let mut buffer = vec![0; 64 * 1024];
    for _ in 0..WARM_UP {
        round(&mut buffer);
    }
    IS_MEASURING.store(true, Ordering::SeqCst);
    let before = ALLOCATIONS.load(Ordering::SeqCst);
    for _ in 0..MEASURED {
        round(&mut buffer);
    }
    IS_MEASURING.store(false, Ordering::SeqCst);
    let allocations = ALLOCATIONS.load(Ordering::SeqCst) - before;
    assert_eq!(
        allocations, 0,
        "{name}: {allocations} allocations in {MEASURED} rounds"
    );
}

fn start(send_date: bool) -> (SocketAddr, impl FnOnce()) {
    start_with(send_date, answer)
}

fn start_with(send_date: bool, app: impl Application + 'static) -> (SocketAddr, impl FnOnce()) {
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .and_then(|builder| {
            let builder = builder.threads(1).handle_signals(false);
            builder.send_date(send_date).bind()
        })
        .expect("bind");
    let ListenAddr::Tcp(address) = server.local_addrs()[0] else {
        panic!("not TCP")
    };
    let handle = server.handle();
    let thread = std::thread::spawn(move || server.run(app));
    (address, move || {
        handle.shutdown();
        thread.join().expect("no panic").expect("clean drain");
    })
}

async fn answer(request: Request) -> Result<Response, InvalidField> {
    match request.path() {
        "/fields" => Response::ok("OK\n")
            .with_field(
                "X-Id",
                request.fields().get_name("x-id").unwrap_or_default(),
            )?
            .with_field(KnownField::CacheControl.as_str(), "no-store"),
        "/yield" => {
            tokio::task::yield_now().await;
            Ok(Response::ok("OK\n"))
        }
        _ => Ok(Response::ok("OK\n")),
    }
}

async fn with_a_field(request: Request, next: Next) -> Response {
    tokio::task::yield_now().await;
    let mut response = next.run(request).await;
    let _ = response.append("X-Served-By", "one");
    response
}

async fn named(request: Request) -> &'static str {
    match request.param("name") {
        Some(_) => "OK\n",
        None => "no name\n",
    }
}
