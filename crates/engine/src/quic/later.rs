//! What has to wait: clients that are new, those that have much to do, and those that cost more than they are good for.
//!
//! ```text
//!   sockets ──> too short for a packet ──> nothing
//!         ├──> packets without an identifier of ours ──> newcomers, in a queue for each network
//!         └──> the endpoint ──> the inbox of a connection
//!                                 ├── little to do: driven at once, in the order in which it was listed
//!                                 ├── much to do: by turns, for a third of the time that those took
//!                                 ├── in its handshake ───────┐
//!                                 ├── nothing answered so far ┤ by turns with the newcomers, a step of each,
//!                                 ├── in debt ────────────────┤ for another third
//!                                 └── closed ─────────────────┘
//! ```
//!
//! Sockets are emptied before anything that came is looked at: what the kernel has to throw away it takes from
//! anybody. What is thrown away here is the sender's own.
//!
//! Whose requests come as they are answered does not wait for those who flood, as in RFC 8290; and what floods without
//! asking for anything is in debt soon (see [`balance`](super::balance)). An attacker that is cut and connects anew waits
//! as a newcomer. A step that takes longer than there was time is taken off the next turns. While nobody else has anything
//! to do, all of the time is theirs, in pieces between which sockets are looked at.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use quinn_proto::EndpointEvent;

use super::balance::Standing;
use super::connection::{Connection, Phase};
use super::session::Outcome;
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
const QUEUES: usize = u64::BITS as usize;
/// Datagrams in each.
const QUEUED_MAX: usize = 32;

/// That many newcomers are a crowd: some ten milliseconds of work.
const CROWD: usize = 32;

/// What may be in an inbox: of a connection that is proven, all that comes in a turn.
const INBOX_MAX: usize = 256;
const INBOX_UNPROVEN_MAX: usize = 64;
/// Of one that is closed: it answers any packet alike.
const INBOX_CLOSING_MAX: usize = 1;
/// Datagrams of a connection before it is accounted, and others have their turn.
const TAKEN: usize = 64;
const TAKEN_UNPROVEN: usize = 8;

/// A part of the time that those took who have little to do, at least so much of a turn, and at most.
const LATER_PART: u32 = 3;
const LATER_MIN: Duration = Duration::from_micros(25);
const REST_MAX: Duration = Duration::from_millis(2);
/// While nobody else has anything to do: until sockets are looked at again.
const ALONE: Duration = Duration::from_micros(120);

/// Whose turn it is after each newcomer's: a handshake takes two steps, and what is closed next to nothing.
const TURNS: [Class; 6] = [
    Class::Handshake,
    Class::Handshake,
    Class::First,
    Class::Debt,
    Class::Closed,
    Class::Closed,
];

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

/// First packets that wait. Queues have their turns one after the other, but for those into which something came after
/// they had been empty for a turn: who comes rarely goes before who floods (RFC 8290 §4.2).
pub(super) struct Newcomers {
    queues: [VecDeque<Letter>; QUEUES],
    /// Queues that something came into, and all others that are not known to be empty.
    rare: VecDeque<u8>,
    busy: VecDeque<u8>,
    /// One bit for each queue that stands in either.
    known: u64,
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
            rare: VecDeque::new(),
            busy: VecDeque::new(),
            known: 0,
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
        let at = (hash >> 58) as u8;
        let queue = &mut self.queues[usize::from(at)];
        if queue.len() >= QUEUED_MAX {
            return false;
        }
        queue.push_back(Letter {
            place,
            arrival: *arrival,
            datagram: datagram.into(),
        });
        self.len += 1;
        if self.known & 1 << at == 0 {
            self.known |= 1 << at;
            self.rare.push_back(at);
        }
        true
    }

    fn pop(&mut self) -> Option<Letter> {
        while let Some(at) = self.rare.pop_front().or_else(|| self.busy.pop_front()) {
            if let Some(letter) = self.queues[usize::from(at)].pop_front() {
                self.len -= 1;
                // Even if it is empty now: it may not be when it has its turn again.
                self.busy.push_back(at);
                return Some(letter);
            }
            self.known &= !(1 << at);
        }
        None
    }
}

/// Why a connection has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// It has much to do.
    Heavy,
    /// It is in its handshake.
    Handshake,
    /// Nothing was answered on it so far.
    First,
    /// It is in debt.
    Debt,
    /// It is closed: all that it does is to say so again.
    Closed,
}

/// Connections that wait, with their generations: one that is over in the meantime is left where it stands.
#[derive(Default)]
pub(super) struct Waiting([VecDeque<(u32, u32)>; 5]);

impl Waiting {
    pub(super) fn push(&mut self, class: Class, index: u32, generation: u32) {
        self.0[class as usize].push_back((index, generation));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(VecDeque::is_empty)
    }

    fn has(&self, class: Class) -> bool {
        !self.0[class as usize].is_empty()
    }
}

impl Connection {
    /// Why it has to wait, if it has to.
    pub(super) const fn class(&self) -> Option<Class> {
        match (self.phase, self.balance.standing()) {
            (Phase::Handshake, _) => Some(Class::Handshake),
            (Phase::Closing, _) => Some(Class::Closed),
            (Phase::Open, Standing::Debt) => Some(Class::Debt),
            (Phase::Open, Standing::New) => Some(Class::First),
            (Phase::Open, Standing::Heavy) => Some(Class::Heavy),
            (Phase::Open, Standing::Good) => None,
        }
    }

    /// Its handshake is over, and it is good for something.
    fn is_proven(&self) -> bool {
        self.phase == Phase::Open && self.balance.is_proven()
    }

    /// Nothing more is taken of it now.
    pub(super) fn is_full(&self) -> bool {
        match self.phase {
            Phase::Closing => self.inbox.len() >= INBOX_CLOSING_MAX,
            _ => self.inbox.len() >= INBOX_UNPROVEN_MAX && !self.is_proven(),
        }
    }

    /// Puts what came into its inbox. False if there is no room for it.
    pub(super) fn put_in(&mut self, event: quinn_proto::ConnectionEvent) -> bool {
        let max = match self.phase {
            Phase::Open if self.is_proven() => INBOX_MAX,
            Phase::Closing => INBOX_CLOSING_MAX,
            _ => INBOX_UNPROVEN_MAX,
        };
        let has_room = self.inbox.len() < max;
        if has_room {
            self.inbox.push_back(event);
        }
        has_room
    }

    /// Gives the transport what came, or a part of that. True if there is more.
    pub(super) fn take_in(&mut self) -> bool {
        let covered = match self.phase {
            Phase::Open => self.balance.covers(),
            Phase::Handshake | Phase::Closing => 0,
        };
        let count = covered.clamp(TAKEN_UNPROVEN, TAKEN).min(self.inbox.len());
        for event in self.inbox.drain(..count) {
            self.transport.handle_event(event);
        }
        if self.inbox.is_empty() && self.inbox.capacity() > INBOX_UNPROVEN_MAX {
            self.inbox = VecDeque::new();
        }
        !self.inbox.is_empty()
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
        let was = connection.phase;
        let outcome = self.guarded(desk, &mut connection, |session| session.take_in_and_drive());
        self.settle(desk, admission, connection, outcome);
        let now = Instant::now();
        if let Some(connection) = self.connection(index) {
            let has_more = outcome == Outcome::Again || !connection.inbox.is_empty();
            let took = now.saturating_duration_since(began);
            match was {
                Phase::Open => {
                    let remote = connection.transport.remote_address();
                    connection.balance.account(took, has_more, remote);
                }
                // Handshakes have their part anyway.
                Phase::Handshake | Phase::Closing => connection.balance.begin(),
            }
            if has_more {
                self.list(index);
            }
        }
        now
    }

    /// The next connection that waits for a reason.
    fn next_of(&mut self, class: Class) -> Option<u32> {
        while let Some((index, generation)) = self.waiting.0[class as usize].pop_front() {
            let connection = self.connection(index);
            if connection.is_some_and(|it| it.token.generation == generation && it.is_listed) {
                return Some(index);
            }
        }
        None
    }

    /// The time that each of them has who go behind those that have little to do, and took `light`.
    fn share_beside(&self, light: Option<Duration>) -> Duration {
        let share = light.map_or(ALONE, |light| {
            (light / LATER_PART).clamp(LATER_MIN, REST_MAX)
        });
        // Among what still waits in a socket may be what goes before.
        match self.ports.iter().flatten().any(|port| port.is_readable) {
            true => share / 2,
            false => share,
        }
    }

    /// Connections that have much to do, one step of each after the other, for as long as the rest of the turn took.
    pub(super) fn drive_heavy<S: Service>(
        &mut self,
        desk: &mut Desk<'_, S>,
        admission: &Admission,
        light: Option<Duration>,
    ) {
        if !self.waiting.has(Class::Heavy) {
            return;
        }
        let mut now = Instant::now();
        let share = self.share_beside(light);
        if self.heavy_overdrawn >= share {
            self.heavy_overdrawn -= share;
            return;
        }
        let until = now + share.saturating_sub(self.heavy_overdrawn);
        self.heavy_overdrawn = Duration::ZERO;
        // What a step leaves to do is for the next turn.
        for _ in 0..self.waiting.0[Class::Heavy as usize].len() {
            let Some(index) = self.next_of(Class::Heavy) else {
                return;
            };
            now = self.drive_one(desk, admission, index, now);
            if now >= until {
                self.heavy_overdrawn = now.saturating_duration_since(until);
                return;
            }
        }
    }

    /// Newcomers and connections that are not proven, for a part of the time that the rest of the turn took. What they
    /// take beyond that, because a step is long, is taken off the next turns.
    pub(super) fn drive_later<S: Service>(
        &mut self,
        desk: &mut Desk<'_, S>,
        admission: &Admission,
        light: Option<Duration>,
    ) {
        let waits = TURNS.iter().any(|class| self.waiting.has(*class));
        if self.newcomers.is_empty() && !waits {
            return;
        }
        let mut now = Instant::now();
        let share = self.share_beside(light);
        if self.overdrawn >= share {
            self.overdrawn -= share;
            return;
        }
        let until = now + (share - self.overdrawn);
        self.overdrawn = Duration::ZERO;
        while now < until {
            let letter = self.newcomers.pop();
            let connections = TURNS.map(|class| self.next_of(class));
            if letter.is_none() && connections == [None; TURNS.len()] {
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
