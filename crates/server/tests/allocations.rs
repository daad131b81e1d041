//! After warm-up a keep-alive request allocates nothing, in the whole process: not in the core,
//! not in the engine, not for the handler's future, not for the response's fields.
//!
//! A program of its own, without the test harness, whose threads allocate whenever they like.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ajayserver::{InvalidField, KnownField, ListenAddr, Request, Response, Server};

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
    // As the harness would have said it.
    let mut stdout = std::io::stdout();
    let _ = writeln!(
        stdout,
        "test keep_alive_requests_allocate_nothing ... ok\n\ntest result: ok. 1 passed; 0 failed; \
         0 ignored; 0 measured; 0 filtered out"
    );
}

fn keep_alive_requests_allocate_nothing() {
    let (address, server) = start();
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
        let mut client = TcpStream::connect(address).expect("connect");
        client.set_nodelay(true).expect("nodelay");
        let mut buffer = vec![0; 64 * 1024];
        let round = |client: &mut TcpStream, buffer: &mut [u8]| {
            client.write_all(&request).expect("send");
            let mut seen = 0;
            while seen < responses {
                let received = client.read(buffer).expect("receive");
                assert_ne!(received, 0, "{name}: closed");
                seen += buffer[..received]
                    .windows(3)
                    .filter(|w| w == b"OK\n")
                    .count();
            }
        };
        for _ in 0..WARM_UP {
            round(&mut client, &mut buffer);
        }
        IS_MEASURING.store(true, Ordering::SeqCst);
        let before = ALLOCATIONS.load(Ordering::SeqCst);
        for _ in 0..MEASURED {
            round(&mut client, &mut buffer);
        }
        IS_MEASURING.store(false, Ordering::SeqCst);
        let allocations = ALLOCATIONS.load(Ordering::SeqCst) - before;
        assert_eq!(
            allocations, 0,
            "{name}: {allocations} allocations in {MEASURED} rounds"
        );
    }
    server();
}

fn start() -> (SocketAddr, impl FnOnce()) {
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .and_then(|builder| builder.threads(1).handle_signals(false).bind())
        .expect("bind");
    let ListenAddr::Tcp(address) = server.local_addrs()[0] else {
        panic!("not TCP")
    };
    let handle = server.handle();
    let thread = std::thread::spawn(move || server.run(answer));
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
