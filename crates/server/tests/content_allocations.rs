//! How often a request with content of a type allocates, after warm-up and in the whole process:
//! what the route must and not more.
//!
//! A program of its own, without the test harness, whose threads allocate whenever they like.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};

use ajayserver::{FormError, Json, JsonError, ListenAddr, Request, Router, Server};
use serde::{Deserialize, Serialize};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's obligations are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const WARM_UP: usize = 500;
const MEASURED: usize = 2000;

/// About 1 KiB of JSON, and none of its parts on the heap.
#[derive(Deserialize, Serialize)]
struct Numbers {
    ok: bool,
    rows: [[u32; 8]; 16],
}

async fn json(mut request: Request) -> Result<Json<Numbers>, JsonError> {
    request.json().await.map(Json)
}

#[derive(Deserialize)]
struct Pair {
    a: u32,
    b: u32,
}

async fn form(mut request: Request) -> Result<&'static str, FormError> {
    let pair: Pair = request.form().await?;
    Ok(if pair.a < pair.b { "true" } else { "false" })
}

fn main() {
    let server = Server::builder().listen("127.0.0.1:0").expect("an address");
    let server = server
        .threads(1)
        .handle_signals(false)
        .bind()
        .expect("bind");
    let ListenAddr::Tcp(address) = server.local_addrs()[0] else {
        panic!("not TCP")
    };
    let handle = server.handle();
    let router = Router::new().post("/json", json).post("/form", form);
    let routes = router.build().expect("no conflicts");
    let thread = std::thread::spawn(move || server.run(routes));

    let row = "[100001,100002,100003,100004,100005,100006,100007,100008]";
    let rows = vec![row; 16].join(",");
    let numbers = format!("{{\"ok\":true,\"rows\":[{rows}]}}");
    assert!((900..1100).contains(&numbers.len()), "{}", numbers.len());
    // The content, which is copied out of the connection's buffer; the response's.
    counted(address, "/json", "application/json", &numbers, &numbers, 2);
    let form = "application/x-www-form-urlencoded";
    // The content; a map of names, and the value of each.
    counted(address, "/form", form, "a=1&b=2", "true", 4);

    handle.shutdown();
    thread.join().expect("no panic").expect("clean drain");
    axum_routes(&numbers);
    let mut stdout = std::io::stdout();
    let _ = writeln!(
        stdout,
        "test requests_allocate_what_they_must ... ok\n\n\
         test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out"
    );
}

/// The same of an axum application: what `http::Request`, axum's routing and its extractors take is in it.
fn axum_routes(numbers: &str) {
    use axum::routing::post;

    let server = Server::builder().listen("127.0.0.1:0").expect("an address");
    let server = server
        .threads(1)
        .handle_signals(false)
        .bind()
        .expect("bind");
    let ListenAddr::Tcp(address) = server.local_addrs()[0] else {
        panic!("not TCP")
    };
    let handle = server.handle();
    let app = axum::Router::new()
        .route("/hello", post(async || "true"))
        .route(
            "/axum",
            post(async |axum::Json(numbers): axum::Json<Numbers>| axum::Json(numbers)),
        );
    let from_axum = ajayserver::tower::from_axum(app);
    let thread = std::thread::spawn(move || server.run(from_axum));
    counted(address, "/hello", "text/plain", "x", "true", 18);
    let json = "application/json";
    counted(address, "/axum", json, numbers, numbers, 29);
    handle.shutdown();
    thread.join().expect("no panic").expect("clean drain");
}

/// Sends the content many times; so often a request may allocate.
fn counted(
    address: SocketAddr,
    target: &str,
    content_type: &str,
    content: &str,
    answer: &str,
    allocations_max: usize,
) {
    let mut client = TcpStream::connect(address).expect("connect");
    client.set_nodelay(true).expect("nodelay");
    let request = format!(
        "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Type: {content_type}\r\n\
         Content-Length: {}\r\n\r\n{content}",
        content.len()
    );
    let mut buffer = vec![0; 64 * 1024];
    let mut round = || {
        client.write_all(request.as_bytes()).expect("send");
        let mut received = 0;
        while !buffer[..received].ends_with(answer.as_bytes()) {
            let more = client.read(&mut buffer[received..]).expect("receive");
            assert_ne!(more, 0, "closed");
            received += more;
        }
        assert!(buffer.starts_with(b"HTTP/1.1 200 "), "{target}");
    };
    (0..WARM_UP).for_each(|_| round());
    let before = ALLOCATIONS.load(Ordering::SeqCst);
    (0..MEASURED).for_each(|_| round());
    let allocations = ALLOCATIONS.load(Ordering::SeqCst) - before;
    let _ = writeln!(
        std::io::stdout(),
        "{target}: {allocations} allocations in {MEASURED} requests"
    );
    assert!(
        allocations <= MEASURED * allocations_max,
        "{target}: {allocations} allocations in {MEASURED} requests"
    );
}
