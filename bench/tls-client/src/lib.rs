//! TLS 1.3 as the bench's own clients speak it: one cipher suite, one group for the key exchange, no
//! names, no ALPN, and no certificate that would not do.
//!
//! * [`Client`]: connections, for the runner's check.
//! * [`handshakes`]: as many as can be made, for the program `tls-handshakes`.

mod accept_any;
mod count;
mod group;
pub mod handshakes;
#[cfg(test)]
mod testing;

pub use count::{Count, Unreadable};
pub use group::{Group, UnknownGroup};

use accept_any::AcceptAny;
use rustls::{
    ClientConfig, ClientConnection, StreamOwned, client::Resumption, crypto::aws_lc_rs, version,
};
use std::{
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

/// The only cipher suite that clients offer: a server's taste is not what we measure.
pub const CIPHER: &str = "TLS_AES_128_GCM_SHA256";
/// How long a server may take for what comes next.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Sessions of one server are kept for one client: rustls keeps up to eight tickets of each.
const SERVERS: usize = 1;

pub type Connection = StreamOwned<ClientConnection, TcpStream>;

#[derive(Debug, Clone)]
pub struct Client {
    config: Arc<ClientConfig>,
}

/// Whether connections resume the sessions of earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sessions {
    New,
    /// By the tickets of this client's earlier connections, each of which is used once.
    Resumed,
}

impl Client {
    #[must_use]
    pub fn new(group: Group, sessions: Sessions) -> Self {
        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites = vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256];
        provider.kx_groups = vec![group.key_exchange()];
        let verifier = AcceptAny::new(&provider);
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&version::TLS13])
            .expect("the suite is one of TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.resumption = match sessions {
            Sessions::New => Resumption::disabled(),
            Sessions::Resumed => Resumption::in_memory_sessions(SERVERS),
        };
        Self {
            config: Arc::new(config),
        }
    }

    /// The configuration, for what makes its own connections of it.
    #[must_use]
    pub fn config(&self) -> ClientConfig {
        ClientConfig::clone(&self.config)
    }

    /// Connects the socket; the handshake comes with the first use of the connection.
    pub fn connect(&self, address: SocketAddr) -> std::io::Result<Connection> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        // An address is no server name that a client would send.
        let name = address.ip().into();
        let tls = ClientConnection::new(Arc::clone(&self.config), name)
            .expect("nothing in the configuration contradicts itself");
        Ok(StreamOwned::new(tls, socket))
    }
}
