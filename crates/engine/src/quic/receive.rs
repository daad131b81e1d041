//! Datagrams in: from sockets and from other workers, to connections, to new ones, or on to who has theirs.

use bytes::BytesMut;
use quinn_proto::{DatagramEvent, Transmit};

use super::forward::DATAGRAMS_BYTES_MAX;
use super::later::{DATAGRAM_BYTES_MIN, is_of_newcomer};
use super::socket::{Arrival, Port};
use super::{Quic, id};
use crate::admission::Admission;
use crate::counters::Counter;
use crate::desk::Desk;
use crate::service::Service;

/// Calls to receive for each socket in a turn: 64 would be a thousand messages.
const RECEIVES_PER_TURN: usize = 4;

/// Packets of nobody, one after the other from one sender: one may be answered with a reset.
const STRANGE_MAX: usize = 2;

/// Datagrams of other workers that are taken in a turn.
const FORWARDED_PER_TURN: usize = 256;

/// Datagrams are copied into blocks of this size. What a stream keeps of one keeps all of its block, so it is
/// not larger than what a few datagrams need.
const BLOCK_BYTES: usize = 16 * 1024;

/// What became of a datagram.
enum Sorted {
    Taken,
    /// It is nobody's.
    Strange,
    /// Its connection has no room for it.
    Full,
}

impl Quic {
    pub(super) fn receive<S: Service>(&mut self, desk: &mut Desk<'_, S>, admission: &Admission) {
        let Some(mut batch) = self.batch.take() else {
            return;
        };
        for place in 0..self.ports.len() {
            for _ in 0..RECEIVES_PER_TURN {
                let Some(port) = self.ports[place].as_mut().filter(|port| port.is_readable) else {
                    break;
                };
                let count = match port.receive(&mut batch) {
                    Ok(count) => count,
                    Err(error) => {
                        // An ICMP message for something that we sent, most of the time.
                        tracing::trace!(%error, "receiving failed");
                        continue;
                    }
                };
                for at in 0..count {
                    let (arrival, bytes, stride) = batch.message(at);
                    self.take(desk, admission, place, &arrival, bytes, stride);
                }
            }
        }
        self.batch = Some(batch);
    }

    pub(super) fn receive_forwarded<S: Service>(
        &mut self,
        desk: &mut Desk<'_, S>,
        admission: &Admission,
    ) {
        if !self.has_forwarded {
            return;
        }
        let Some(forwarding) = self.forwarding.take() else {
            self.has_forwarded = false;
            return;
        };
        let mut scratch = std::mem::take(&mut desk.cx.scratch);
        for _ in 0..FORWARDED_PER_TURN {
            let Some((place, arrival, datagrams)) = forwarding.receive(&mut scratch) else {
                self.has_forwarded = false;
                break;
            };
            for datagram in datagrams {
                desk.cx.counters.count(Counter::QuicForwardsReceived);
                if self.ports.get(place).is_some_and(Option::is_some) {
                    self.sort(desk, admission, place, &arrival, datagram);
                }
            }
        }
        desk.cx.scratch = scratch;
        self.forwarding = Some(forwarding);
    }

    /// Takes datagrams, all but the last of which have `stride` bytes, or sends them on to the worker that they
    /// are for.
    fn take<S: Service>(
        &mut self,
        desk: &mut Desk<'_, S>,
        admission: &Admission,
        place: usize,
        arrival: &Arrival,
        bytes: &[u8],
        stride: usize,
    ) {
        let counters = &desk.cx.counters;
        let count = bytes.len().div_ceil(stride);
        counters.add(Counter::QuicDatagramsReceived, count as u64);
        counters.add(Counter::BytesReceived, bytes.len() as u64);
        if stride < DATAGRAM_BYTES_MIN && bytes.len() > stride {
            // None of them is a packet.
            return counters.add(Counter::QuicDatagramsDropped, count as u64);
        }
        let mut strange = 0;
        let mut rest = bytes;
        while !rest.is_empty() {
            let (datagram, after) = rest.split_at(stride.min(rest.len()));
            let Some(worker) = self.other_worker(datagram) else {
                rest = after;
                match self.sort(desk, admission, place, arrival, datagram) {
                    Sorted::Taken => strange = 0,
                    Sorted::Strange => strange += 1,
                    Sorted::Full => {
                        let len = Quic::bytes_for_same(datagram, rest, stride);
                        let counters = &desk.cx.counters;
                        counters.add(Counter::QuicDatagramsDropped, len.div_ceil(stride) as u64);
                        rest = &rest[len..];
                    }
                }
                if strange == STRANGE_MAX {
                    // What else its sender has sent with these is nobody's either.
                    let count = rest.len().div_ceil(stride) as u64;
                    return desk.cx.counters.add(Counter::QuicDatagramsDropped, count);
                }
                continue;
            };
            // Those that go the same way go together.
            let mut len = datagram.len();
            while let Some(next) = rest.get(len..rest.len().min(len + stride))
                && !next.is_empty()
                && len + next.len() <= DATAGRAMS_BYTES_MAX
                && self.other_worker(next) == Some(worker)
            {
                len += next.len();
            }
            let (together, after) = rest.split_at(len);
            rest = after;
            let place = self.common_place(place);
            let is_sent = self
                .forwarding
                .as_ref()
                .is_some_and(|it| it.send(worker.into(), place, arrival, together, stride));
            let counter = match is_sent {
                true => Counter::QuicForwards,
                false => Counter::QuicForwardsLost,
            };
            desk.cx.counters.add(counter, len.div_ceil(stride) as u64);
        }
    }

    /// Which other worker has the connection that a datagram is for.
    #[inline]
    fn other_worker(&self, datagram: &[u8]) -> Option<u16> {
        self.forwarding.as_ref()?;
        let id = id::settled_destination(datagram)?;
        let worker = self.seat.worker_of(id)?;
        (worker != self.seat.worker).then_some(worker)
    }

    /// The place that a socket's address has in the lists of all workers.
    pub(super) fn common_place(&self, place: usize) -> usize {
        match self.ports.get(place) {
            Some(Some(port)) if port.adopted_from.is_some() => {
                let is_same = |own: &Option<Port>| {
                    own.as_ref()
                        .is_some_and(|own| own.adopted_from.is_none() && own.local == port.local)
                };
                self.ports.iter().position(is_same).unwrap_or(place)
            }
            _ => place,
        }
    }

    /// Lets newcomers wait, and hands all others to the endpoint.
    fn sort<S: Service>(
        &mut self,
        desk: &mut Desk<'_, S>,
        admission: &Admission,
        place: usize,
        arrival: &Arrival,
        datagram: &[u8],
    ) -> Sorted {
        let sorted = if datagram.len() < DATAGRAM_BYTES_MIN {
            Sorted::Strange
        } else if is_of_newcomer(datagram) && !self.is_in_handshake(datagram) {
            if self.newcomers.push(place, arrival, datagram) {
                return Sorted::Taken;
            }
            Sorted::Taken
        } else if self.is_for_full(datagram) {
            Sorted::Full
        } else {
            return match self.handle(desk, admission, place, arrival, datagram) {
                true => Sorted::Taken,
                false => Sorted::Strange,
            };
        };
        desk.cx.counters.count(Counter::QuicDatagramsDropped);
        sorted
    }

    /// Hands a datagram to the endpoint. False if it is nobody's packet.
    pub(super) fn handle<S: Service>(
        &mut self,
        desk: &mut Desk<'_, S>,
        admission: &Admission,
        place: usize,
        arrival: &Arrival,
        datagram: &[u8],
    ) -> bool {
        let data = self.copy(datagram);
        self.response.clear();
        let event = self.endpoint.handle(
            self.now,
            arrival.remote,
            arrival.local_ip,
            arrival.ecn,
            data,
            &mut self.response,
        );
        match event {
            None => return false,
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                let index = handle.0 as u32;
                let Some(connection) = self.connection(index) else {
                    return true;
                };
                connection.note_received(datagram.len());
                connection.port = place;
                if !connection.put_in(event) {
                    desk.cx.counters.count(Counter::QuicDatagramsDropped);
                    self.note_full(index, datagram);
                }
                self.list(index);
            }
            Some(DatagramEvent::NewConnection(incoming)) => {
                self.accept(desk, admission, place, arrival, incoming, datagram);
            }
            Some(DatagramEvent::Response(transmit)) => {
                self.respond(place, &transmit);
                return false;
            }
        }
        true
    }

    /// Whether a datagram begins with an Initial packet of a client whose handshake is under way.
    #[inline]
    fn is_in_handshake(&self, datagram: &[u8]) -> bool {
        id::initial_destination(datagram).is_some_and(|id| self.in_handshake.contains(id))
    }

    fn copy(&mut self, datagram: &[u8]) -> BytesMut {
        if self.block.capacity() < datagram.len() {
            // Takes the old block again if nobody has a part of it any more.
            self.block.reserve(BLOCK_BYTES.max(datagram.len()));
        }
        self.block.extend_from_slice(datagram);
        self.block.split()
    }

    /// Sends what the endpoint itself answers. It is lost if the socket is full.
    pub(super) fn respond(&mut self, place: usize, transmit: &Transmit) {
        if let Some(Some(port)) = self.ports.get_mut(place) {
            port.send(transmit, &self.response);
        }
    }
}
