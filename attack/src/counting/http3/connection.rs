//! One connection with its socket.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use quinn_proto::crypto::rustls::QuicClientConfig;
use quinn_proto::crypto::{CryptoError, HmacKey};
use quinn_proto::{
    ClientConfig, ConnectionError, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig,
    Event, ReadError, StreamEvent, StreamId, TransportConfig, VarInt,
};

use super::message::CONTROL;
use crate::Loopback;
use crate::counting::client::Written;
use crate::loopback::Sources;
use crate::quic::socket::{RECEIVE_BYTES, Udp};

/// `SO_RCVBUF` and `SO_SNDBUF`.
const BUFFER_BYTES: usize = 4 << 20;
/// Datagrams of one call.
const SEGMENTS_MAX: usize = 32;
/// Longer than any patience.
const SILENCE: Duration = Duration::from_secs(60);

pub(super) struct Connection {
    pub(super) socket: Udp,
    pub(super) generation: u32,
    endpoint: Endpoint,
    handle: ConnectionHandle,
    quic: quinn_proto::Connection,
    pub(super) began: Instant,
    pub(super) is_connected: bool,
    /// Until the first byte of the first answer.
    pub(super) connect_took: Option<Duration>,
    pub(super) exchanges: HashMap<StreamId, Exchange>,
    pub(super) requests: u32,
    /// When the transport wants to be looked at.
    pub(super) due: Option<Instant>,
    told: VecDeque<Told>,
    out: Vec<u8>,
    /// What the kernel did not take.
    unsent: Option<(usize, usize)>,
    block: BytesMut,
}

pub(super) struct Exchange {
    pub(super) number: u64,
    pub(super) unsent: Bytes,
    pub(super) received: Vec<u8>,
    pub(super) written: Option<Written>,
}

/// What has come of a connection or a request.
pub(super) enum Told {
    Connected,
    /// The first byte of a response.
    Began,
    Answered(StreamId),
    Reset(StreamId, u64),
    Lost(ConnectionError),
}

impl Connection {
    pub(super) fn connect(
        to: Loopback,
        sources: Sources,
        tls: Arc<rustls::ClientConfig>,
        generation: u32,
        now: Instant,
    ) -> Option<Connection> {
        let socket = Udp::connect(to, sources, u64::from(generation)).ok()?;
        socket.set_buffers(BUFFER_BYTES).ok()?;
        let config = Arc::new(EndpointConfig::new(Arc::new(NoKey)));
        let mut endpoint = Endpoint::new(config, None, true, None);
        let mut client = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).ok()?));
        let mut transport = TransportConfig::default();
        transport
            .max_concurrent_uni_streams(VarInt::from_u32(8))
            .max_idle_timeout(SILENCE.try_into().ok());
        client.transport_config(Arc::new(transport));
        let (handle, quic) = endpoint.connect(now, client, to.get(), "localhost").ok()?;
        Some(Connection {
            socket,
            generation,
            endpoint,
            handle,
            quic,
            began: now,
            is_connected: false,
            connect_took: None,
            exchanges: HashMap::new(),
            requests: 0,
            due: None,
            told: VecDeque::new(),
            out: Vec::new(),
            unsent: None,
            block: BytesMut::new(),
        })
    }

    /// Receives all that is there.
    pub(super) fn receive(&mut self, now: Instant, buffer: &mut [u8]) {
        while let Some((len, stride)) = self.socket.receive(buffer) {
            for datagram in buffer[..len].chunks(stride) {
                if self.block.capacity() < datagram.len() {
                    self.block.reserve(RECEIVE_BYTES);
                }
                self.block.extend_from_slice(datagram);
                let data = self.block.split();
                let (server, mut response) = (self.socket.server(), Vec::new());
                let event = self
                    .endpoint
                    .handle(now, server, None, None, data, &mut response);
                if let Some(DatagramEvent::ConnectionEvent(_, event)) = event {
                    self.quic.handle_event(event);
                }
            }
        }
    }

    /// Lets the transport do what is due; whether anything was.
    pub(super) fn timeouts(&mut self, now: Instant) -> bool {
        let mut was_due = false;
        loop {
            self.due = self.quic.poll_timeout();
            match self.due {
                Some(at) if at <= now => self.quic.handle_timeout(now),
                _ => return was_due,
            }
            was_due = true;
        }
    }

    /// Sends what the transport would; false if the kernel does not take it all.
    pub(super) fn transmit(&mut self, now: Instant) -> bool {
        while let Some(event) = self.quic.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(self.handle, event) {
                self.quic.handle_event(event);
            }
        }
        loop {
            let (size, segment) = match self.unsent.take() {
                Some(unsent) => unsent,
                None => {
                    self.out.clear();
                    let segments = self.socket.segments_max().min(SEGMENTS_MAX);
                    match self.quic.poll_transmit(now, segments, &mut self.out) {
                        Some(it) => (it.size, it.segment_size.unwrap_or(it.size)),
                        None => return true,
                    }
                }
            };
            if !self.socket.send(&self.out[..size], segment.max(1)) {
                self.unsent = Some((size, segment));
                return false;
            }
        }
    }

    /// Begins a request, if the server lets us.
    pub(super) fn request(&mut self, bytes: Vec<u8>, number: u64) -> bool {
        let Some(id) = self.quic.streams().open(Dir::Bi) else {
            return false;
        };
        let exchange = Exchange {
            number,
            unsent: bytes.into(),
            received: Vec::new(),
            written: None,
        };
        self.exchanges.insert(id, exchange);
        self.requests += 1;
        self.write(id);
        true
    }

    fn write(&mut self, id: StreamId) {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        let mut stream = self.quic.send_stream(id);
        while !exchange.unsent.is_empty() {
            match stream.write(&exchange.unsent) {
                Ok(len) => drop(exchange.unsent.split_to(len)),
                Err(_) => return,
            }
        }
        let _ = stream.finish();
    }

    pub(super) fn poll(&mut self) -> Option<Told> {
        loop {
            if let Some(told) = self.told.pop_front() {
                return Some(told);
            }
            match self.quic.poll()? {
                Event::Connected => {
                    self.is_connected = true;
                    if let Some(control) = self.quic.streams().open(Dir::Uni) {
                        let _ = self.quic.send_stream(control).write(CONTROL);
                    }
                    return Some(Told::Connected);
                }
                Event::ConnectionLost { reason } => return Some(Told::Lost(reason)),
                Event::Stream(StreamEvent::Readable { id }) => self.read(id),
                Event::Stream(StreamEvent::Writable { id }) => self.write(id),
                Event::Stream(StreamEvent::Opened { dir }) => {
                    while let Some(id) = self.quic.streams().accept(dir) {
                        self.read(id);
                    }
                }
                _ => {}
            }
        }
    }

    fn read(&mut self, id: StreamId) {
        let mut stream = self.quic.recv_stream(id);
        let Ok(mut chunks) = stream.read(true) else {
            return;
        };
        let mut exchange = self.exchanges.get_mut(&id);
        let mut has_begun = false;
        let end = loop {
            match chunks.next(usize::MAX) {
                Ok(Some(chunk)) => {
                    if let Some(exchange) = &mut exchange {
                        has_begun |= exchange.received.is_empty();
                        exchange.received.extend_from_slice(&chunk.bytes);
                    }
                }
                Ok(None) => break Some(Told::Answered(id)),
                Err(ReadError::Reset(code)) => break Some(Told::Reset(id, code.into_inner())),
                Err(ReadError::Blocked) => break None,
            }
        };
        let _ = chunks.finalize();
        self.told.extend(has_begun.then_some(Told::Began));
        self.told.extend(end);
    }

    pub(super) fn close(&mut self, now: Instant) {
        const NO_ERROR: u32 = 0x100;
        self.quic
            .close(now, VarInt::from_u32(NO_ERROR), Bytes::new());
        self.transmit(now);
    }
}

/// Nobody resets a client's connections: what its key does is no matter.
struct NoKey;

impl HmacKey for NoKey {
    fn sign(&self, _: &[u8], signature: &mut [u8]) {
        signature.fill(0);
    }

    fn signature_len(&self) -> usize {
        32
    }

    fn verify(&self, _: &[u8], _: &[u8]) -> Result<(), CryptoError> {
        Err(CryptoError)
    }
}
