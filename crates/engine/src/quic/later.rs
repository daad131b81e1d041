//! What has to wait: clients that are new, and those that cost more than they are good for.
//!
//! ```text
//!   sockets ──> too short for a packet ──> nothing
//!         ├──> packets without an identifier of ours ──> newcomers, in a queue for each network
//!         └──> the endpoint ──> the inbox of a connection
//!                                 ├── not in debt: driven at once, in the order in which it was listed
//!                                 ├── in its handshake ─┐ by turns with the newcomers,
//!                                 └── in debt ──────────┘ a little of each
//! ```
//!
//! Sockets are emptied before anything that came is looked at: what the kernel has to throw away it takes from
//! anybody. What is thrown away here is the sender's own.
//!
//! A connection has a *balance*: what it has brought, for each response that left and each byte of content that
//! was used, less the time that it has taken, and a little to begin with. Attackers are in debt soon, and when they
//! connect anew they wait as newcomers: together they have a third of the worker's time while there is other work,
//! and all of it while there is none.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use quinn_proto::EndpointEvent;

use super::connection::{Connection, Phase};
use super::socket::Arrival;
use super::{Quic, id};
use crate::admission::Admission;
use crate::counters::Counter;
use crate::desk::Desk;
use crate::service::Service;

/// Packets that are shorter cannot be opened: a first byte, an identifier of ours, four bytes of a packet number
/// at most, and a sample (RFC 9001 §5.4.2).
pub(super) const DATAGRAM_BYTES_MIN: usize = 1 + id::ID_LEN + 4 + 16;

/// Queues of newcomers. Networks are spread over them by a keyed hash: who floods from one shares its queue with a
/// few, and who floods from all of them has to be in all of them.
const QUEUES: usize = 64;
/// Datagrams in each.
const QUEUED_MAX: usize = 32;

/// That many newcomers are a crowd: some ten milliseconds of work.
const CROWD: usize = 32;

/// What may be in an inbox: of a connection that is proven, all that comes in a turn.
const INBOX_MAX: usize = 512;
const INBOX_UNPROVEN_MAX: usize = 64;
/// Datagrams of a connection before it is accounted, and others have their turn.
const TAKEN: usize = 64;
const TAKEN_UNPROVEN: usize = 8;

/// What they have at least in a turn, unless more waits in a socket: among that may be what goes before.
const LATER_MIN: Duration = Duration::from_micros(100);
/// And at most: a part of what the rest of the turn took.
const LATER_PART: u32 = 2;
const LATER_PART_OF_BACKLOG: u32 = 4;
/// Of a turn that took longer the worker was not on its CPU for a while.
const REST_MAX: Duration = Duration::from_millis(2);

/// What a response that left is worth: more than twice what one costs at worst, when each has a turn and datagrams
/// of its own.
pub(super) const RESPONSE_WORTH: u64 = 50_000;
/// What a byte of content is worth, either way: a few times what it costs.
pub(super) const BYTE_WORTH: u64 = 4;
/// What a connection begins with: its first requests need not wait.
pub(super) const BALANCE_FIRST: i64 = 200_000;
/// What a step can have taken. More, and the worker was not on its CPU for a while, which may happen to anybody.
const STEP_MAX: Duration = Duration::from_micros(300);
/// A balance is not kept above: who was good for a long time is not allowed a long flood.
const BALANCE_MAX: i64 = 20_000_000;
/// And not below: it takes 400 responses to get out of debt.
const DEBT_MAX: i64 = -20_000_000;

/// Whether a datagram begins with a packet for which no connection can be told by an identifier of ours. Of what
/// clients send until they know one, Handshake packets have it already.
#[inline]
pub(super) fn is_of_newcomer(datagram: &[u8]) -> bool {
    const LONG_HEADER: u8 = 0x80;
    datagram
        .first()
        .is_some_and(|first| first & LONG_HEADER != 0)
        && id::settled_destination(datagram).is_none()
}

/// First packets that wait.
pub(super) struct Newcomers {
    queues: [VecDeque<Letter>; QUEUES],
    /// Whose turn is next.
    next: usize,
    len: usize,
    key: u64,
}

struct Letter {
    place: usize,
    arrival: Arrival,
    datagram: Box<[u8]>,
}

impl Newcomers {
    pub(super) fn new(key: u64) -> Newcomers {
        Newcomers {
            queues: std::array::from_fn(|_| VecDeque::new()),
            next: 0,
            len: 0,
            key,
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// So many wait that who has not proved an address is asked to do so: that takes a tenth of the time.
    pub(super) const fn is_crowded(&self) -> bool {
        self.len >= CROWD
    }

    /// False if there is no room for it.
    pub(super) fn push(&mut self, place: usize, arrival: &Arrival, datagram: &[u8]) -> bool {
        let network = match arrival.remote.ip().to_canonical() {
            IpAddr::V4(address) => u64::from(address.to_bits()),
            IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
        };
        let hash = (network ^ self.key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let queue = &mut self.queues[(hash >> 58) as usize % QUEUES];
        if queue.len() >= QUEUED_MAX {
            return false;
        }
        queue.push_back(Letter {
            place,
            arrival: *arrival,
            datagram: datagram.into(),
        });
        self.len += 1;
        true
    }

    fn pop(&mut self) -> Option<Letter> {
        if self.len == 0 {
            return None;
        }
        for _ in 0..QUEUES {
            let at = self.next;
            self.next = (at + 1) % QUEUES;
            if let Some(letter) = self.queues[at].pop_front() {
                self.len -= 1;
                return Some(letter);
            }
        }
        None
    }
}

impl Connection {
    /// Its handshake is over, and it is not in debt.
    pub(super) fn is_proven(&self) -> bool {
        self.phase == Phase::Open && self.balance >= 0
    }

    /// Nothing more is taken of it now.
    pub(super) fn is_full(&self) -> bool {
        self.inbox.len() >= INBOX_UNPROVEN_MAX && !self.is_proven()
    }

    /// Puts what came into its inbox. False if there is no room for it.
    pub(super) fn put_in(&mut self, event: quinn_proto::ConnectionEvent) -> bool {
        let max = match self.is_proven() {
            true => INBOX_MAX,
            false => INBOX_UNPROVEN_MAX,
        };
        let has_room = self.inbox.len() < max;
        if has_room {
            self.inbox.push_back(event);
        }
        has_room
    }

    /// Gives the transport what came, or a part of that. True if there is more.
    pub(super) fn take_in(&mut self) -> bool {
        let count = match self.is_proven() {
            true => TAKEN,
            false => TAKEN_UNPROVEN,
        };
        let count = count.min(self.inbox.len());
        for event in self.inbox.drain(..count) {
            self.transport.handle_event(event);
        }
        if self.inbox.is_empty() && self.inbox.capacity() > INBOX_UNPROVEN_MAX {
            self.inbox = VecDeque::new();
        }
        !self.inbox.is_empty()
    }

    /// Settles what it has brought with what it took. Handshakes are on the house: they have their part anyway.
    fn account(&mut self, took: Duration) {
        let earned = std::mem::take(&mut self.earned);
        if self.phase == Phase::Open {
            let took = took.min(STEP_MAX).as_nanos() as i64;
            let earned = i64::try_from(earned).unwrap_or(i64::MAX);
            let balance = self.balance.saturating_add(earned).saturating_sub(took);
            self.balance = balance.clamp(DEBT_MAX, BALANCE_MAX);
        }
    }
}

/// Identifiers of connections that are full. It is not kept in order: what is asked for and does not hold any more is
/// taken out, and when there are many of those, all are.
#[derive(Default)]
pub(super) struct Full(HashMap<[u8; id::ID_LEN], u32>);

/// Connections that are full at a time, most often.
const FULL_MAX: usize = 1024;

impl Quic {
    /// Whether a datagram is for a connection that is full: then the endpoint need not see it.
    #[inline]
    pub(super) fn is_for_full(&mut self, datagram: &[u8]) -> bool {
        if self.full.0.is_empty() {
            return false;
        }
        let id = id::settled_destination(datagram).and_then(|id| id.first_chunk());
        let Some(index) = id.and_then(|id| self.full.0.get(id)).copied() else {
            return false;
        };
        let is_full = self.connection(index).is_some_and(|it| it.is_full());
        if !is_full && let Some(id) = id {
            self.full.0.remove(id);
        }
        is_full
    }

    /// So many bytes of datagrams of one length are for the same connection as the one before them.
    pub(super) fn bytes_for_same(before: &[u8], after: &[u8], stride: usize) -> usize {
        let Some(id) = id::settled_destination(before) else {
            return 0;
        };
        let datagrams = after.chunks(stride);
        let same = datagrams.take_while(|it| id::settled_destination(it) == Some(id));
        same.map(<[u8]>::len).sum()
    }

    /// A connection has no room for a datagram.
    pub(super) fn note_full(&mut self, index: u32, datagram: &[u8]) {
        if self.full.0.len() >= FULL_MAX {
            self.full.0.clear();
        }
        let id = id::settled_destination(datagram).and_then(|id| id.first_chunk());
        if let Some(id) = id {
            self.full.0.insert(*id, index);
        }
    }

    /// Takes what came to a connection and drives it.
    pub(super) fn drive_one<S: Service>(
        &mut self,
        desk: &mut Desk<'_, S>,
        admission: &Admission,
        index: u32,
        began: Instant,
    ) -> Instant {
        let Some(mut connection) = self.take_out(index) else {
            return began;
        };
        connection.is_listed = false;
        let outcome = self.guarded(desk, &mut connection, |session| session.take_in_and_drive());
        self.settle(desk, admission, connection, outcome);
        let now = Instant::now();
        if let Some(connection) = self.connection(index) {
            connection.account(now.saturating_duration_since(began));
            if !connection.inbox.is_empty() {
                self.list(index);
            }
        }
        now
    }

    /// Newcomers and connections that are not proven, for a part of the time that the rest of the turn took. What they
    /// take beyond that, because a step is long, is taken off the next turns.
    pub(super) fn drive_later<S: Service>(
        &mut self,
        desk: &mut Desk<'_, S>,
        admission: &Admission,
    ) {
        if self.newcomers.is_empty() && self.fresh.is_empty() && self.later.is_empty() {
            return;
        }
        let mut now = Instant::now();
        let rest = now.saturating_duration_since(self.now).min(REST_MAX);
        let share = match self.ports.iter().flatten().any(|port| port.is_readable) {
            true => rest / LATER_PART_OF_BACKLOG,
            false => (rest / LATER_PART).max(LATER_MIN),
        };
        if self.overdrawn >= share {
            self.overdrawn -= share;
            return;
        }
        let until = now + (share - self.overdrawn);
        self.overdrawn = Duration::ZERO;
        while now < until {
            let letter = self.newcomers.pop();
            let connections = [self.fresh.pop_front(), self.later.pop_front()];
            if letter.is_none() && connections == [None, None] {
                return;
            }
            if let Some(letter) = letter
                && self.ports.get(letter.place).is_some_and(Option::is_some)
            {
                let Letter {
                    place,
                    arrival,
                    datagram,
                } = &letter;
                self.handle(desk, admission, *place, arrival, datagram);
                now = Instant::now();
            }
            for index in connections.into_iter().flatten() {
                now = self.drive_one(desk, admission, index, now);
            }
        }
        self.overdrawn = now.saturating_duration_since(until);
    }

    /// Gives the place of the handshake that has been under way longest to a newcomer, if that has had some time. False
    /// if there is none.
    pub(super) fn make_room<S: Service>(
        &mut self,
        desk: &mut Desk<'_, S>,
        admission: &Admission,
    ) -> bool {
        while let Some((index, generation)) = self.half_open.front().copied() {
            let place = self.places.get_mut(index as usize);
            let in_handshake = place
                .filter(|place| place.generation == generation)
                .and_then(|place| place.connection.as_deref())
                .filter(|connection| connection.phase == Phase::Handshake);
            let Some(connection) = in_handshake else {
                self.half_open.pop_front();
                continue;
            };
            if desk.cx.now.saturating_sub(connection.clock.since()) < HANDSHAKE_TICKS_MIN {
                return false;
            }
            self.half_open.pop_front();
            let Some(mut connection) = self.take_out(index) else {
                continue;
            };
            desk.cx.counters.count(Counter::HandshakesRefused);
            let outcome = self.guarded(desk, &mut connection, |session| session.forget());
            self.settle(desk, admission, connection, outcome);
            return true;
        }
        false
    }
}

impl Quic {
    /// A connection was closed. It answers what still comes for three times its timeout (RFC 9000 §10.2), with all that its
    /// client had sent in its memory; who closes thousands in that time has the first of them forgotten, and gets
    /// stateless resets.
    pub(super) fn note_closed(&mut self, index: u32) {
        let generation = self.places[index as usize].generation;
        self.closing.push_back((index, generation));
        while self.closing.len() > CLOSING_MAX {
            if let Some((index, generation)) = self.closing.pop_front() {
                self.forget_closed(index, generation);
            }
        }
    }

    fn forget_closed(&mut self, index: u32, generation: u32) {
        let place = self.places.get_mut(index as usize);
        let Some(place) = place.filter(|place| place.generation == generation) else {
            return;
        };
        let is_closed = |it: &mut Box<Connection>| it.phase == Phase::Closing && it.is_released;
        if let Some(connection) = place.connection.take_if(is_closed) {
            self.endpoint
                .handle_event(connection.handle, EndpointEvent::drained());
            self.wheel.remove(index);
        }
    }
}

/// Closed connections that are remembered.
const CLOSING_MAX: usize = 256;

/// A second and more: round trips to anywhere, and a packet that was lost.
const HANDSHAKE_TICKS_MIN: crate::deadline::Tick = 5;

#[cfg(test)]
mod tests;
