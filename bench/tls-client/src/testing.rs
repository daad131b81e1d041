//! A server for the tests.

use rustls::{
    ServerConfig, ServerConnection, StreamOwned, crypto::aws_lc_rs, pki_types::PrivateKeyDer,
};
use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    config: Arc<ServerConfig>,
    response: &'static [u8],
    requests: Mutex<Vec<Vec<u8>>>,
    ended: AtomicBool,
}

impl Server {
    /// Answers every request with `response` and ends the connection, one connection at a time.
    pub(crate) fn start(response: &'static [u8]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let shared = Arc::new(Shared {
            config: config(),
            response,
            requests: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        Self {
            address: listener.local_addr().unwrap(),
            shared: Arc::clone(&shared),
            thread: Some(thread::spawn(move || shared.serve(&listener))),
        }
    }

    /// Those that came until now.
    pub(crate) fn requests(&self) -> Vec<Vec<u8>> {
        self.shared.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        // Wakes it.
        let _ = TcpStream::connect(self.address);
        let ended = self.thread.take().map(JoinHandle::join);
        if !thread::panicking() {
            ended.unwrap().unwrap();
        }
    }
}

impl Shared {
    fn serve(&self, listener: &TcpListener) {
        loop {
            let (socket, _) = listener.accept().unwrap();
            if self.ended.load(Ordering::Acquire) {
                return;
            }
            self.answer(socket);
        }
    }

    fn answer(&self, socket: TcpStream) {
        let tls = ServerConnection::new(Arc::clone(&self.config)).unwrap();
        let mut stream = StreamOwned::new(tls, socket);
        let mut request = [0; 1024];
        let length = stream.read(&mut request).unwrap();
        if length > 0 {
            let request = request[..length].to_vec();
            self.requests.lock().unwrap().push(request);
            stream.write_all(self.response).unwrap();
        }
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        stream.sock.shutdown(Shutdown::Write).unwrap();
    }
}

fn config() -> Arc<ServerConfig> {
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    config.ticketer = aws_lc_rs::Ticketer::new().unwrap();
    Arc::new(config)
}
