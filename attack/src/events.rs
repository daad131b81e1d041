//! epoll and timers, as the loops of this crate use them.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::Timespec;

use crate::{Error, Result};

/// Events taken at once.
const EVENTS_MAX: usize = 512;

/// One use of one slot: an event or timer of an earlier use is recognised and ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

/// What the kernel told about a socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The peer has closed its sending side.
    pub(crate) finished: bool,
    /// The socket has an error, or is closed in both directions.
    pub(crate) broken: bool,
}

/// Edge-triggered: a socket is added once and never changed, so that waiting costs one call for
/// many connections.
pub(crate) struct Poller {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Poller {
    pub(crate) fn new() -> Result<Poller> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)
            .map_err(|error| Error::system("create an epoll instance", error))?;
        Ok(Poller {
            epoll,
            events: Vec::with_capacity(EVENTS_MAX),
        })
    }

    pub(crate) fn add(&self, socket: impl AsFd, token: Token) -> Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        self.add_as(socket, token, flags)
    }

    /// For listening sockets: said again as long as somebody waits.
    pub(crate) fn add_level(&self, socket: impl AsFd, token: Token) -> Result<()> {
        self.add_as(socket, token, EventFlags::IN)
    }

    fn add_as(&self, socket: impl AsFd, token: Token, flags: EventFlags) -> Result<()> {
        let data = u64::from(token.generation) << 32 | u64::from(token.slot);
        epoll::add(&self.epoll, socket, EventData::new_u64(data), flags)
            .map_err(|error| Error::system("watch a socket", error))
    }

    /// Waits, and returns how many events there are to [`get`](Poller::get).
    pub(crate) fn wait(&mut self, timeout: Duration) -> Result<usize> {
        let timeout = Timespec {
            tv_sec: timeout.as_secs().min(3600) as i64,
            tv_nsec: timeout.subsec_nanos().into(),
        };
        self.events.clear();
        match epoll::wait(
            &self.epoll,
            spare_capacity(&mut self.events),
            Some(&timeout),
        ) {
            Ok(count) => Ok(count),
            Err(Errno::INTR) => Ok(0),
            Err(error) => Err(Error::system("wait for events", error)),
        }
    }

    pub(crate) fn get(&self, at: usize) -> (Token, Seen) {
        let Event { flags, data, .. } = self.events[at];
        let data = data.u64();
        let token = Token {
            slot: data as u32,
            generation: (data >> 32) as u32,
        };
        let seen = Seen {
            readable: flags.contains(EventFlags::IN),
            writable: flags.contains(EventFlags::OUT),
            finished: flags.contains(EventFlags::RDHUP),
            broken: flags.intersects(EventFlags::ERR | EventFlags::HUP),
        };
        (token, seen)
    }
}

/// Timers of a few different periods: one queue for each, which is in order by itself.
#[derive(Default)]
pub(crate) struct Timers {
    queues: Vec<(Duration, VecDeque<(Instant, Token)>)>,
}

impl Timers {
    pub(crate) fn arm(&mut self, now: Instant, period: Duration, token: Token) {
        let due = now + period;
        let at = self.queues.iter().position(|(known, _)| *known == period);
        let at = at.unwrap_or_else(|| {
            self.queues.push((period, VecDeque::new()));
            self.queues.len() - 1
        });
        self.queues[at].1.push_back((due, token));
    }

    /// When the next timer is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        let firsts = self.queues.iter().filter_map(|(_, queue)| queue.front());
        firsts.map(|(due, _)| *due).min()
    }

    /// Takes a timer that is due.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Token> {
        let queue = self.queues.iter_mut().find_map(|(_, queue)| {
            let (due, _) = queue.front()?;
            (*due <= now).then_some(queue)
        })?;
        queue.pop_front().map(|(_, token)| token)
    }
}

#[cfg(test)]
mod tests;
