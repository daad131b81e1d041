//! UDP sockets: how they are bound, and datagrams in and out of them.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use quinn_proto::{EcnCodepoint, Transmit};
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::id;
use crate::config::QuicOptions;
use crate::listener::{BindError, ListenAddr};

/// A UDP socket of one worker, not at work yet.
#[derive(Debug)]
pub(crate) struct Udp {
    pub(crate) socket: OwnedFd,
    /// Which of the places to listen on this belongs to.
    pub(crate) entry: usize,
}

/// Makes one socket for each of `workers` at the address and port where TCP listens already. All of them
/// share the port, and the kernel gives each datagram to the worker that its identifier names.
///
/// # Errors
/// The address cannot be had, or is none of IP.
pub(crate) fn bind(
    address: &ListenAddr,
    entry: usize,
    workers: usize,
    ipv6_only: bool,
    options: &QuicOptions,
) -> Result<(ListenAddr, Vec<Udp>), BindError> {
    let fail = |error| BindError::new(format!("{address} (UDP)"), error);
    let (wanted, ipv6_only) = match address {
        ListenAddr::Tcp(address) => (*address, ipv6_only),
        ListenAddr::TcpAny(port) => ((Ipv6Addr::UNSPECIFIED, *port).into(), false),
        _ => {
            let what = "HTTP/3 needs an IP address and a port";
            return Err(fail(io::Error::new(io::ErrorKind::InvalidInput, what)));
        }
    };
    let (wanted, sockets) = bind_all(wanted, ipv6_only, workers, options).map_err(fail)?;
    let bound = match address {
        ListenAddr::TcpAny(_) => ListenAddr::TcpAny(wanted.port()),
        _ => ListenAddr::Tcp(wanted),
    };
    let sockets = sockets.into_iter();
    let udp = |socket: Socket| Udp {
        socket: socket.into(),
        entry,
    };
    Ok((bound, sockets.map(udp).collect()))
}

fn bind_all(
    wanted: SocketAddr,
    ipv6_only: bool,
    workers: usize,
    options: &QuicOptions,
) -> io::Result<(SocketAddr, Vec<Socket>)> {
    // As with TCP: a socket without `SO_REUSEPORT` finds out whether another program is there.
    let probe = udp_socket(wanted, ipv6_only, options)?;
    probe.bind(&wanted.into())?;
    let address = probe.local_addr()?.as_socket().unwrap_or(wanted);
    drop(probe);
    let mut sockets = Vec::with_capacity(workers);
    for _ in 0..workers {
        let socket = udp_socket(address, ipv6_only, options)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        sockets.push(socket);
    }
    if let Some(first) = sockets.first() {
        warn_of_small_buffers(first, options);
        if workers > 1 {
            steer(first, workers, options);
        }
    }
    Ok((address, sockets))
}

fn udp_socket(address: SocketAddr, ipv6_only: bool, options: &QuicOptions) -> io::Result<Socket> {
    let kind = Type::DGRAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(ipv6_only)?;
    }
    // The kernel gives what its limits allow, and no error.
    socket.set_recv_buffer_size(options.receive_buffer_bytes)?;
    socket.set_send_buffer_size(options.send_buffer_bytes)?;
    Ok(socket)
}

fn warn_of_small_buffers(socket: &Socket, options: &QuicOptions) {
    // The kernel doubles what it is asked for, to account for its own overhead.
    let bytes = socket.recv_buffer_size().unwrap_or(usize::MAX) / 2;
    if bytes < options.receive_buffer_bytes {
        tracing::warn!(
            bytes,
            wanted = options.receive_buffer_bytes,
            "the kernel allows small UDP buffers only, and bursts will be lost: raise the sysctl \
             net.core.rmem_max"
        );
    }
}

fn steer(socket: &Socket, workers: usize, options: &QuicOptions) {
    if !options.steering {
        tracing::info!("QUIC packets are forwarded between workers: steering is off");
        return;
    }
    let result = match u16::try_from(workers) {
        Ok(workers) => id::steer(socket, workers),
        Err(_) => Err(io::ErrorKind::Unsupported.into()),
    };
    match result {
        Ok(()) => tracing::debug!(workers, "QUIC packets are steered by the kernel"),
        Err(error) => tracing::warn!(
            %error,
            "the kernel refuses to steer QUIC packets; they are forwarded between workers instead"
        ),
    }
}

/// A UDP socket at work.
pub(super) struct Port {
    socket: OwnedFd,
    state: UdpSocketState,
    pub(super) entry: usize,
    /// Its port, and its address unless it is bound to all of them.
    pub(super) local: SocketAddr,
    /// The process whose socket this is, if it is not ours.
    pub(super) adopted_from: Option<usize>,
    /// The kernel may have datagrams for us.
    pub(super) is_readable: bool,
    /// The kernel takes no more until it says so.
    pub(super) is_full: bool,
}

/// Where a datagram came from, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) remote: SocketAddr,
    pub(super) local_ip: Option<IpAddr>,
    pub(super) ecn: Option<EcnCodepoint>,
}

impl Port {
    pub(super) fn new(udp: Udp, adopted_from: Option<usize>) -> io::Result<Port> {
        let state = UdpSocketState::new(UdpSockRef::from(&udp.socket))?;
        let address = SockRef::from(&udp.socket).local_addr()?.as_socket();
        Ok(Port {
            local: address.ok_or(io::ErrorKind::Unsupported)?,
            socket: udp.socket,
            state,
            entry: udp.entry,
            adopted_from,
            is_readable: true,
            is_full: false,
        })
    }

    pub(super) fn descriptor(&self) -> &OwnedFd {
        &self.socket
    }

    pub(super) fn into_descriptor(self) -> OwnedFd {
        self.socket
    }

    /// Whether the kernel may cut what we send into fragments, so that its size says nothing of the path.
    pub(super) fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }

    /// How many datagrams may leave in one call.
    pub(super) fn segments_max(&self) -> usize {
        self.state.max_gso_segments()
    }

    /// Receives into `batch`, and returns how many messages; none when there is nothing.
    ///
    /// # Errors
    /// Something is wrong with the socket, or an ICMP message said that a datagram was not delivered.
    pub(super) fn receive(&mut self, batch: &mut Batch) -> io::Result<usize> {
        let socket = UdpSockRef::from(&self.socket);
        let mut buffers = batch.bytes.chunks_exact_mut(MESSAGE_BYTES);
        let mut slices: [IoSliceMut<'_>; MESSAGES] =
            std::array::from_fn(|_| IoSliceMut::new(buffers.next().unwrap_or_default()));
        match self.state.recv(socket, &mut slices, &mut batch.metas) {
            Ok(count) => Ok(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.is_readable = false;
                Ok(0)
            }
            Err(error) => Err(error),
        }
    }

    /// Sends what `transmit` describes. False when the kernel is full: then it was not sent, and
    /// `is_full` is set. A datagram that cannot be delivered for another reason is lost, as any can be.
    pub(super) fn send(&mut self, transmit: &Transmit, bytes: &[u8]) -> bool {
        let contents = &bytes[..transmit.size];
        let message = quinn_udp::Transmit {
            destination: transmit.destination,
            ecn: transmit
                .ecn
                .and_then(|ecn| quinn_udp::EcnCodepoint::from_bits(ecn as u8)),
            contents,
            segment_size: transmit.segment_size,
            src_ip: transmit.src_ip,
        };
        match self
            .state
            .try_send(UdpSockRef::from(&self.socket), &message)
        {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.is_full = true;
                false
            }
            Err(error) => {
                tracing::trace!(to = %transmit.destination, %error, "a datagram was not sent");
                true
            }
        }
    }
}

/// Where datagrams are received into.
pub(super) struct Batch {
    bytes: Vec<u8>,
    metas: [RecvMeta; MESSAGES],
}

/// Messages that one call receives: sixteen of 64 KiB each is more than a socket holds most of the time.
const MESSAGES: usize = if BATCH_SIZE < 16 { BATCH_SIZE } else { 16 };

/// The kernel joins up to 64 datagrams of one sender into a message of at most 64 KiB.
const MESSAGE_BYTES: usize = 64 * 1024;

impl Batch {
    /// Memory that is touched only as far as datagrams reach into it.
    pub(super) fn new() -> Batch {
        Batch {
            bytes: vec![0; MESSAGES * MESSAGE_BYTES],
            metas: [RecvMeta::default(); MESSAGES],
        }
    }

    /// The datagrams of the `at`-th message, all from one sender: their bytes, and the length of each but the
    /// last.
    pub(super) fn message(&self, at: usize) -> (Arrival, &[u8], usize) {
        let meta = &self.metas[at];
        let arrival = Arrival {
            remote: meta.addr,
            local_ip: meta.dst_ip,
            ecn: meta.ecn.and_then(|ecn| EcnCodepoint::from_bits(ecn as u8)),
        };
        let bytes = &self.bytes[at * MESSAGE_BYTES..][..meta.len.min(MESSAGE_BYTES)];
        (arrival, bytes, meta.stride.max(1))
    }
}
