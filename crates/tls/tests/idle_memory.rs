//! What an idle session holds, in bytes of heap.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ajay_tls::{CertStore, Config, Options, Session, TicketKeys, TicketKeysCell, self_signed};
use rustls::pki_types::{CertificateDer, UnixTime, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore, version};

struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's obligations are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SESSIONS: usize = 64;

// One test, because the counter is the process's.
#[test]
fn an_idle_session_holds_less_than_3_kib() {
    let now = UnixTime::now();
    let directory = std::env::temp_dir().join(format!("ajay-tls-memory-{}", std::process::id()));
    let files = self_signed::certificate(&directory, &[], now).unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(&files.chain).unwrap())
        .unwrap();
    let store = Arc::new(CertStore::from_files(vec![files], now).unwrap());
    std::fs::remove_dir_all(directory).unwrap();
    let keys = TicketKeysCell::new(TicketKeys::new(now).unwrap()).unwrap();
    let config = Config::new(
        &Options {
            alpn: vec![b"http/1.1".to_vec()],
            tickets: Some(Arc::new(keys)),
            ..Options::default()
        },
        &store,
    )
    .unwrap();
    for version in [&version::TLS13, &version::TLS12] {
        let mut client = ClientConfig::builder_with_protocol_versions(&[version])
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        client.alpn_protocols = vec![b"http/1.1".to_vec()];
        let client = Arc::new(client);
        let mut sessions: Vec<Box<Session>> = Vec::with_capacity(SESSIONS);
        sessions.push(connect(&config, &client));
        let before = BYTES.load(Ordering::Relaxed);
        while sessions.len() < SESSIONS {
            sessions.push(connect(&config, &client));
        }
        let each = (BYTES.load(Ordering::Relaxed) - before) / (SESSIONS - 1);
        eprintln!("{:?}: {each} bytes for each idle session", version.version);
        assert!(each <= 3 * 1024, "{:?}: {each}", version.version);
    }
}

fn connect(config: &Config, client: &Arc<ClientConfig>) -> Box<Session> {
    let mut session = Box::new(Session::new(config).unwrap());
    let name = "localhost".try_into().unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
    while client.wants_write() {
        let mut flight = Vec::new();
        client.write_tls(&mut flight).unwrap();
        let mut output = Vec::new();
        session.receive(&mut flight, &mut output, |_| ()).unwrap();
        let mut output = &output[..];
        while !output.is_empty() {
            client.read_tls(&mut output).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    assert!(!session.is_handshaking());
    let mut output = Vec::new();
    session.encrypt(b"response", &mut output).unwrap();
    session
}
