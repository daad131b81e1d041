//! A client's UDP socket, and datagrams that leave together.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};

use crate::Loopback;
use crate::loopback::Sources;

/// What one call receives: 64 datagrams that the kernel has joined.
pub(crate) const RECEIVE_BYTES: usize = 64 * 1024;
/// What one call sends, at most: a limit of the kernel.
const SEND_BYTES_MAX: usize = 60_000;

/// One port, connected to the server's.
pub(crate) struct Udp {
    socket: Socket,
    state: UdpSocketState,
    server: SocketAddr,
}

impl Udp {
    pub(crate) fn connect(to: Loopback, sources: Sources, serial: u64) -> io::Result<Udp> {
        let server = to.get();
        let kind = Type::DGRAM.nonblocking().cloexec();
        let socket = Socket::new(Domain::for_address(server), kind, Some(Protocol::UDP))?;
        let any = match (sources.nth(serial), server) {
            (Some(source), _) => IpAddr::V4(source),
            (None, SocketAddr::V4(_)) => Ipv4Addr::LOCALHOST.into(),
            (None, SocketAddr::V6(_)) => Ipv6Addr::LOCALHOST.into(),
        };
        socket.bind(&SocketAddr::new(any, 0).into())?;
        socket.connect(&server.into())?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        Ok(Udp {
            socket,
            state,
            server,
        })
    }

    /// Makes room for a response that comes at once.
    pub(crate) fn set_buffers(&self, bytes: usize) -> io::Result<()> {
        self.socket.set_recv_buffer_size(bytes)?;
        self.socket.set_send_buffer_size(bytes)
    }

    pub(crate) fn server(&self) -> SocketAddr {
        self.server
    }

    pub(crate) fn segments_max(&self) -> usize {
        self.state.max_gso_segments()
    }

    /// Sends so many bytes, in datagrams of one length but for the last. False if the kernel takes none now.
    pub(crate) fn send(&self, bytes: &[u8], len: usize) -> bool {
        let message = Transmit {
            destination: self.server,
            ecn: None,
            contents: bytes,
            segment_size: (len < bytes.len()).then_some(len),
            src_ip: None,
        };
        let sent = self
            .state
            .try_send(UdpSockRef::from(&self.socket), &message);
        !matches!(sent, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Receives: how many bytes, and how many each datagram but the last has. None when there are no more.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> Option<(usize, usize)> {
        loop {
            let mut meta = [RecvMeta::default()];
            let mut buffers = [IoSliceMut::new(buffer)];
            let socket = UdpSockRef::from(&self.socket);
            match self.state.recv(socket, &mut buffers, &mut meta) {
                Ok(_) => return Some((meta[0].len, meta[0].stride.max(1))),
                // What ICMP says of an earlier datagram.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(_) => return None,
            }
        }
    }
}

impl AsFd for Udp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A port where nobody answers.
pub(crate) struct Silent {
    socket: Socket,
    state: UdpSocketState,
    buffers: Vec<Vec<u8>>,
}

impl Silent {
    /// As large a buffer as servers have: `SO_RCVBUF` is what the kernel allows, at most this.
    pub(crate) fn bind(address: Loopback) -> io::Result<Silent> {
        let kind = Type::DGRAM.nonblocking().cloexec();
        let domain = Domain::for_address(address.get());
        let socket = Socket::new(domain, kind, Some(Protocol::UDP))?;
        socket.set_recv_buffer_size(4 << 20)?;
        socket.bind(&address.get().into())?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let count = quinn_udp::BATCH_SIZE.min(16);
        let buffers = vec![vec![0; RECEIVE_BYTES]; count];
        Ok(Silent {
            socket,
            state,
            buffers,
        })
    }

    /// Receives what one call brings: datagrams and bytes. None when there is nothing.
    pub(crate) fn receive(&mut self) -> Option<(u64, u64)> {
        let mut metas = vec![RecvMeta::default(); self.buffers.len()];
        let mut slices: Vec<_> = self
            .buffers
            .iter_mut()
            .map(|it| IoSliceMut::new(it))
            .collect();
        let socket = UdpSockRef::from(&self.socket);
        let count = self.state.recv(socket, &mut slices, &mut metas).ok()?;
        let metas = metas[..count].iter();
        Some(metas.fold((0, 0), |(datagrams, bytes), meta| {
            let here = meta.len.div_ceil(meta.stride.max(1));
            (datagrams + here as u64, bytes + meta.len as u64)
        }))
    }
}

impl AsFd for Silent {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Datagrams for one socket. Those of one length that follow each other leave in one call.
#[derive(Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Batch {
    /// Adds a datagram; none if it cannot be made.
    pub(crate) fn datagram(&mut self, make: impl FnOnce(&mut Vec<u8>) -> Option<()>) -> Option<()> {
        let start = self.bytes.len();
        if make(&mut self.bytes).is_none() {
            self.bytes.truncate(start);
            return None;
        }
        self.ends.push(self.bytes.len());
        Some(())
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Sends all of them, as far as the socket takes them; how many bytes that were.
    pub(crate) fn flush(&mut self, socket: &Udp) -> u64 {
        let segments = socket.segments_max();
        let (mut at, mut start, mut sent) = (0, 0, 0);
        while let Some(first_end) = self.ends.get(at).copied() {
            let len = first_end - start;
            let mut end = first_end;
            at += 1;
            let mut count = 1;
            while let Some(next) = self.ends.get(at).copied()
                && next - end == len
                && count < segments
                && next - start <= SEND_BYTES_MAX
            {
                end = next;
                at += 1;
                count += 1;
            }
            if socket.send(&self.bytes[start..end], len) {
                sent += (end - start) as u64;
            }
            start = end;
        }
        self.clear();
        sent
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}
