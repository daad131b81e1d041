//! What a connection is good for: what it has brought, less what it took.
//!
//! Each response that left and each byte of content that was used is worth some nanoseconds of the worker's time; what
//! a step took is taken off. Who answers nothing for it is in debt soon, and waits: see [`later`](super::later).

use std::net::SocketAddr;
use std::time::Duration;

/// What a response that left is worth: what one costs when it has a step of its own, and several times what it costs
/// when it shares one.
const RESPONSE_WORTH: u64 = 10_000;
/// What a byte of content is worth, either way: a few times what it costs.
const BYTE_WORTH: u64 = 4;
/// What a connection begins with, so that what goes before its first request is not a debt.
const FIRST: i64 = 200_000;
/// What is charged for a client's move to another address: a new path, and to ask whether it is there.
const MOVE_COSTS: i64 = 200_000;
/// A balance is not kept above: who was good for a long time is not allowed a long flood.
const MAX: i64 = 20_000_000;
/// And not below: it takes 2000 responses to get out of debt.
const MIN: i64 = -20_000_000;
/// What a datagram may cost: a balance covers as many of them at once.
const DATAGRAM_COSTS: i64 = 20_000;
/// A step that takes longer is that of a connection with much to do.
const STEP_LONG: Duration = Duration::from_micros(100);
/// What a step can have taken. More, and the worker was not on its CPU for a while, which may happen to anybody.
const STEP_MAX: Duration = Duration::from_micros(300);

/// One connection's, in nanoseconds of the worker's time.
#[derive(Debug)]
pub(super) struct Balance {
    nanos: i64,
    /// Brought in the step that is under way.
    earned: u64,
    has_earned: bool,
    is_heavy: bool,
    /// Much was done in the step that is under way.
    did_much: bool,
    /// Where its client was at the last step.
    remote: Option<SocketAddr>,
}

/// How a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Good,
    /// Its last step was long, or left something to do.
    Heavy,
    /// Nothing was answered on it so far.
    New,
    Debt,
}

impl Balance {
    pub(super) const fn new() -> Balance {
        Balance {
            nanos: FIRST,
            earned: 0,
            has_earned: false,
            is_heavy: false,
            did_much: false,
            remote: None,
        }
    }

    /// A response has left.
    pub(super) const fn earn_response(&mut self) {
        self.earned += RESPONSE_WORTH;
    }

    /// So much content was used.
    pub(super) const fn earn_bytes(&mut self, len: usize) {
        self.earned = self.earned.saturating_add(BYTE_WORTH * len as u64);
    }

    /// Much is done in this step, whether or not it takes long.
    pub(super) const fn note_much(&mut self) {
        self.did_much = true;
    }

    /// Makes it up after a step. What handlers take is in that, and is not to be held against who asks for it: a step
    /// that brought something costs no more than that.
    pub(super) fn account(&mut self, took: Duration, has_more: bool, remote: SocketAddr) {
        self.is_heavy = std::mem::take(&mut self.did_much) || has_more || took > STEP_LONG;
        let earned = i64::try_from(std::mem::take(&mut self.earned)).unwrap_or(i64::MAX);
        let took = took.min(STEP_MAX).as_nanos() as i64;
        let cost = match earned {
            0 => took,
            _ => took.min(earned),
        };
        self.has_earned |= earned > 0;
        let moved = self.remote.replace(remote).is_some_and(|it| it != remote);
        let move_cost = if moved { MOVE_COSTS } else { 0 };
        let nanos = self.nanos.saturating_add(earned - cost - move_cost);
        self.nanos = nanos.clamp(MIN, MAX);
    }

    /// Forgets what was brought in its handshake but that it was: handshakes have their own part of the time.
    pub(super) fn begin(&mut self) {
        self.has_earned |= std::mem::take(&mut self.earned) > 0;
    }

    pub(super) const fn standing(&self) -> Standing {
        if self.nanos < 0 {
            Standing::Debt
        } else if !self.has_earned {
            Standing::New
        } else if self.is_heavy {
            Standing::Heavy
        } else {
            Standing::Good
        }
    }

    pub(super) const fn is_heavy(&self) -> bool {
        self.is_heavy
    }

    /// It has answered requests, and is not in debt.
    pub(super) const fn is_proven(&self) -> bool {
        self.nanos >= 0 && self.has_earned
    }

    /// Datagrams that it may have looked at in a step.
    pub(super) fn covers(&self) -> usize {
        match self.is_proven() {
            true => usize::try_from(self.nanos / DATAGRAM_COSTS).unwrap_or(usize::MAX),
            false => 0,
        }
    }
}

#[cfg(test)]
mod tests;
