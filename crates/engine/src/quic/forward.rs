//! Datagrams for other workers.
//!
//! A datagram can reach a worker that does not have its connection: where the kernel does not steer, after
//! a client's address has changed, or while a process stands in for another. It goes on to the worker that
//! its identifier names, over a Unix socket, with where it came from. Whoever receives it that way keeps
//! it: nothing is forwarded twice.
//!
//! Datagrams that came together, from one sender and for one worker, go together. All who send to a worker
//! share one end of a pair of sockets that keeps messages apart; one for datagrams would hold ten of them
//! (`net.unix.max_dgram_qlen`).

use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use quinn_proto::EcnCodepoint;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, SocketFlags, SocketType,
};

use super::socket::Arrival;

/// A worker's end, and the ways to all others.
#[derive(Debug)]
pub(crate) struct Forwarding {
    pub(crate) own: OwnedFd,
    /// By worker.
    pub(crate) others: Vec<OwnedFd>,
}

/// Both ends for each worker: where it receives, and where the others send.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    pub(crate) receive: Vec<OwnedFd>,
    pub(crate) send: Vec<OwnedFd>,
}

impl Ways {
    /// # Errors
    /// The system is out of descriptors.
    pub(crate) fn new(workers: usize) -> io::Result<Ways> {
        let mut ways = Ways {
            receive: Vec::with_capacity(workers),
            send: Vec::with_capacity(workers),
        };
        for _ in 0..workers {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let (receive, send) =
                rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
            // As much as the kernel allows: it gives what it can.
            let _ = rustix::net::sockopt::set_socket_send_buffer_size(&send, SEND_BUFFER_BYTES);
            ways.receive.push(receive);
            ways.send.push(send);
        }
        Ok(ways)
    }

    /// What one worker of this process gets.
    ///
    /// # Errors
    /// The system is out of descriptors.
    pub(crate) fn of(&self, worker: usize) -> io::Result<Forwarding> {
        let own = self.receive.get(worker).ok_or(io::ErrorKind::NotFound)?;
        Ok(Forwarding {
            own: own.try_clone()?,
            others: self
                .send
                .iter()
                .map(OwnedFd::try_clone)
                .collect::<io::Result<_>>()?,
        })
    }
}

/// As for UDP sockets.
const SEND_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// What goes before the datagrams.
const HEADER_LEN: usize = 40;

/// Messages are not longer than this, so that they fit where they are received into.
pub(super) const DATAGRAMS_BYTES_MAX: usize = 32 * 1024;

impl Forwarding {
    /// Sends datagrams on, all but the last of which have `stride` bytes. False when that worker has no room
    /// for them, or there is none: they are lost, as any datagram can be.
    pub(super) fn send(
        &self,
        worker: usize,
        place: usize,
        arrival: &Arrival,
        datagrams: &[u8],
        stride: usize,
    ) -> bool {
        let Some(way) = self.others.get(worker) else {
            return false;
        };
        let header = header(place, arrival, stride);
        let pieces = [IoSlice::new(&header), IoSlice::new(datagrams)];
        let mut control = SendAncillaryBuffer::default();
        rustix::net::sendmsg(way, &pieces, &mut control, SendFlags::NOSIGNAL).is_ok()
    }

    /// Receives datagrams: the place of their socket in the list that every worker has, and where they came
    /// from. None when there are no more.
    pub(super) fn receive<'b>(
        &self,
        buffer: &'b mut [u8],
    ) -> Option<(usize, Arrival, std::slice::Chunks<'b, u8>)> {
        let (len, _) = rustix::net::recv(&self.own, &mut *buffer, RecvFlags::empty()).ok()?;
        let (header, datagrams) = buffer.get(..len)?.split_first_chunk::<HEADER_LEN>()?;
        let (place, arrival, stride) = parse(header)?;
        Some((place, arrival, datagrams.chunks(stride.max(1))))
    }
}

/// `[place: 2][port: 2][stride: 2][family][ecn and local family][address: 16][local address: 16]`
fn header(place: usize, arrival: &Arrival, stride: usize) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    let numbers = [place as u16, arrival.remote.port(), stride as u16];
    for (slot, number) in header.chunks_exact_mut(2).zip(numbers) {
        slot.copy_from_slice(&number.to_ne_bytes());
    }
    let ecn = arrival.ecn.map_or(0, |ecn| ecn as u8);
    header[6] = write_ip(Some(arrival.remote.ip()), &mut header[8..24]);
    header[7] = ecn << 4 | write_ip(arrival.local_ip, &mut header[24..40]);
    header
}

fn parse(header: &[u8; HEADER_LEN]) -> Option<(usize, Arrival, usize)> {
    let number = |at: usize| u16::from_ne_bytes([header[2 * at], header[2 * at + 1]]);
    let remote = read_ip(header[6], &header[8..24])?;
    let arrival = Arrival {
        remote: SocketAddr::new(remote, number(1)),
        local_ip: read_ip(header[7] & 0xf, &header[24..40]),
        ecn: EcnCodepoint::from_bits(header[7] >> 4),
    };
    Some((number(0).into(), arrival, number(2).into()))
}

/// Checks that a header, if these bytes begin with one, means the same when it is written again.
#[cfg(feature = "testing")]
pub(super) fn check_header(bytes: &[u8]) {
    let Some(bytes) = bytes.first_chunk::<HEADER_LEN>() else {
        return;
    };
    if let Some((place, arrival, stride)) = parse(bytes) {
        let again = parse(&header(place, &arrival, stride));
        let (place_again, arrival_again, stride_again) = again.expect("it is one");
        assert_eq!((place_again, stride_again), (place, stride));
        assert_eq!(arrival_again.remote, arrival.remote);
        assert_eq!(arrival_again.local_ip, arrival.local_ip);
        assert_eq!(arrival_again.ecn, arrival.ecn);
    }
}

fn write_ip(ip: Option<IpAddr>, out: &mut [u8]) -> u8 {
    match ip {
        None => 0,
        Some(IpAddr::V4(ip)) => {
            out[..4].copy_from_slice(&ip.octets());
            4
        }
        Some(IpAddr::V6(ip)) => {
            out.copy_from_slice(&ip.octets());
            6
        }
    }
}

fn read_ip(family: u8, bytes: &[u8]) -> Option<IpAddr> {
    match family {
        4 => {
            let octets: [u8; 4] = bytes.get(..4)?.try_into().ok()?;
            Some(Ipv4Addr::from(octets).into())
        }
        6 => {
            let octets: [u8; 16] = bytes.try_into().ok()?;
            Some(Ipv6Addr::from(octets).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
