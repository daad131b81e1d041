//! One connection and its socket.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use quinn_proto::crypto::rustls::QuicClientConfig;
use quinn_proto::{
    ClientConfig, ConnectionHandle, DatagramEvent, EcnCodepoint, Endpoint, EndpointConfig,
    TransportConfig, VarInt, congestion,
};
use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};

/// How connections are made.
#[derive(Clone, Debug)]
pub struct Options {
    pub server: SocketAddr,
    pub bbr: bool,
    /// Of a stream; the connection's is as many times larger as there may be streams at once.
    pub window: u32,
}

/// A connection that verifies nothing.
pub struct Connection {
    socket: mio::net::UdpSocket,
    state: UdpSocketState,
    endpoint: Endpoint,
    handle: ConnectionHandle,
    pub quic: quinn_proto::Connection,
    server: SocketAddr,
    buffer: Vec<u8>,
    block: BytesMut,
    out: Vec<u8>,
    /// What the socket did not take.
    unsent: Option<quinn_proto::Transmit>,
    pub datagrams_sent: u64,
    pub datagrams_received: u64,
}

const RECEIVE_BYTES: usize = 64 * 1024;

impl Options {
    fn client_config(&self) -> Result<ClientConfig, Box<dyn std::error::Error>> {
        let client = tls_client::Client::new(tls_client::Group::X25519, tls_client::Sessions::New);
        let mut tls = client.config();
        tls.alpn_protocols = vec![b"h3".to_vec()];
        let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
        let mut transport = TransportConfig::default();
        transport
            .stream_receive_window(VarInt::from_u32(self.window))
            .receive_window(VarInt::from_u32(self.window.saturating_mul(16)))
            .send_window(u64::from(self.window) * 16)
            .max_concurrent_uni_streams(VarInt::from_u32(8))
            .max_idle_timeout(Some(Duration::from_secs(120).try_into()?));
        if self.bbr {
            let bbr = congestion::BbrConfig::default();
            transport.congestion_controller_factory(Arc::new(bbr));
        }
        config.transport_config(Arc::new(transport));
        Ok(config)
    }
}

impl Connection {
    pub fn connect(options: &Options) -> Result<Connection, Box<dyn std::error::Error>> {
        let any: SocketAddr = match options.server {
            SocketAddr::V4(_) => "0.0.0.0:0".parse()?,
            SocketAddr::V6(_) => "[::]:0".parse()?,
        };
        let socket = std::net::UdpSocket::bind(any)?;
        let sized = socket2::SockRef::from(&socket);
        sized.set_recv_buffer_size(4 << 20)?;
        sized.set_send_buffer_size(4 << 20)?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let reset_key = aws_reset_key();
        let mut endpoint = Endpoint::new(
            Arc::new(EndpointConfig::new(reset_key)),
            None,
            !state.may_fragment(),
            None,
        );
        let config = options.client_config()?;
        let (handle, quic) =
            endpoint.connect(Instant::now(), config, options.server, "localhost")?;
        Ok(Connection {
            socket: mio::net::UdpSocket::from_std(socket),
            state,
            endpoint,
            handle,
            quic,
            server: options.server,
            buffer: vec![0; RECEIVE_BYTES],
            block: BytesMut::new(),
            out: Vec::new(),
            unsent: None,
            datagrams_sent: 0,
            datagrams_received: 0,
        })
    }

    pub fn socket(&mut self) -> &mut mio::net::UdpSocket {
        &mut self.socket
    }

    /// Receives all that is there.
    pub fn receive(&mut self, now: Instant) -> io::Result<()> {
        loop {
            let mut meta = [RecvMeta::default()];
            let mut buffers = [IoSliceMut::new(&mut self.buffer)];
            let socket = UdpSockRef::from(&self.socket);
            match self.state.recv(socket, &mut buffers, &mut meta) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // An ICMP message.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                Err(error) => return Err(error),
            }
            let [meta] = meta;
            for at in (0..meta.len).step_by(meta.stride.max(1)) {
                let datagram = at..(at + meta.stride).min(meta.len);
                self.datagrams_received += 1;
                if self.block.capacity() < datagram.len() {
                    self.block.reserve(RECEIVE_BYTES);
                }
                self.block.extend_from_slice(&self.buffer[datagram]);
                let data = self.block.split();
                let ecn = meta.ecn.and_then(|ecn| EcnCodepoint::from_bits(ecn as u8));
                let mut response = Vec::new();
                let event = self
                    .endpoint
                    .handle(now, self.server, None, ecn, data, &mut response);
                if let Some(DatagramEvent::ConnectionEvent(_, event)) = event {
                    self.quic.handle_event(event);
                }
            }
        }
    }

    /// Sends all that there is, as far as the socket takes it.
    pub fn transmit(&mut self, now: Instant) -> io::Result<()> {
        while let Some(event) = self.quic.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(self.handle, event) {
                self.quic.handle_event(event);
            }
        }
        loop {
            let transmit = match self.unsent.take() {
                Some(transmit) => transmit,
                None => {
                    self.out.clear();
                    let segments = self.state.max_gso_segments().min(32);
                    match self.quic.poll_transmit(now, segments, &mut self.out) {
                        Some(transmit) => transmit,
                        None => return Ok(()),
                    }
                }
            };
            let message = quinn_udp::Transmit {
                destination: transmit.destination,
                ecn: transmit
                    .ecn
                    .and_then(|ecn| quinn_udp::EcnCodepoint::from_bits(ecn as u8)),
                contents: &self.out[..transmit.size],
                segment_size: transmit.segment_size,
                src_ip: None,
            };
            match self
                .state
                .try_send(UdpSockRef::from(&self.socket), &message)
            {
                Ok(()) => {
                    let segment = transmit.segment_size.unwrap_or(transmit.size).max(1);
                    self.datagrams_sent += transmit.size.div_ceil(segment) as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.unsent = Some(transmit);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Handles timers that have passed; when the next one does.
    pub fn timeout(&mut self, now: Instant) -> Option<Instant> {
        while let Some(at) = self.quic.poll_timeout() {
            if at > now {
                return Some(at);
            }
            self.quic.handle_timeout(now);
        }
        None
    }
}

/// Nobody resets a client's connections: any key will do.
fn aws_reset_key() -> Arc<dyn quinn_proto::crypto::HmacKey> {
    struct Key;
    impl quinn_proto::crypto::HmacKey for Key {
        fn sign(&self, data: &[u8], signature: &mut [u8]) {
            for (at, byte) in signature.iter_mut().enumerate() {
                *byte = data.get(at).copied().unwrap_or(at as u8);
            }
        }
        fn signature_len(&self) -> usize {
            32
        }
        fn verify(&self, _: &[u8], _: &[u8]) -> Result<(), quinn_proto::crypto::CryptoError> {
            Err(quinn_proto::crypto::CryptoError)
        }
    }
    Arc::new(Key)
}
