//! Accepting: budgets, limits, and what to do when the system is out of something.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::SocketFlags;

use crate::admission::{Admission, Admitted};
use crate::counters::Counter;
use crate::deadline::Tick;
use crate::listener::{Listener, Local};
use crate::mapping::Slot;
use crate::request::PeerAddr;

/// Connections accepted from one listener in a turn, so that a burst of new connections does not
/// keep the old ones waiting.
pub(crate) const ACCEPTS_PER_TURN: u32 = 64;

/// The listeners of one worker.
#[derive(Default)]
pub(crate) struct Acceptor {
    /// A place that is empty is used again.
    places: Vec<Option<Place>>,
    /// No accepting before this tick: the system was out of descriptors or memory, or we are at
    /// the connection limit.
    paused_until: Option<Tick>,
    errors_logged_at: Option<Tick>,
}

struct Place {
    listener: Listener,
    /// The kernel may have connections for us: set by an event, cleared when it has none.
    ready: bool,
    /// The process whose listener this is, if it is not ours.
    adopted_from: Option<usize>,
}

/// A connection that came in.
pub(crate) struct Accepted {
    pub(crate) socket: OwnedFd,
    pub(crate) peer: PeerAddr,
    pub(crate) local: Option<std::net::SocketAddr>,
    /// See [`Listener::entry`].
    pub(crate) entry: usize,
    /// Its address must be given back to the admission.
    pub(crate) is_counted: bool,
}

/// What one attempt to accept gave.
pub(crate) enum Attempt {
    Accepted(Accepted),
    /// Too many from this address: tell it, and close.
    Refused(OwnedFd),
    /// A connection that failed before we had it.
    Failed,
    /// Nothing more now.
    Empty,
}

impl Acceptor {
    /// Adds a listener, adopted from another process or our own, and returns its place.
    pub(crate) fn add(
        &mut self,
        listener: Listener,
        adopted_from: Option<usize>,
    ) -> (usize, &OwnedFd) {
        let free = self.places.iter().position(Option::is_none);
        let index = free.unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        let place = self.places[index].insert(Place {
            listener,
            ready: true,
            adopted_from,
        });
        (index, &place.listener.socket)
    }

    /// Takes a listener out, without closing it.
    pub(crate) fn remove(&mut self, index: usize) -> Option<Listener> {
        let place = self.places.get_mut(index)?.take()?;
        Some(place.listener)
    }

    pub(crate) fn all(&self) -> Vec<usize> {
        self.indices(|_| true)
    }

    pub(crate) fn adopted_from(&self, process: usize) -> Vec<usize> {
        self.indices(|place| place.adopted_from == Some(process))
    }

    /// The listeners that may have connections.
    pub(crate) fn ready(&self) -> Vec<usize> {
        self.indices(|place| place.ready)
    }

    pub(crate) fn set_ready(&mut self, index: usize) {
        if let Some(Some(place)) = self.places.get_mut(index) {
            place.ready = true;
        }
    }

    /// Whether there is something to accept now.
    pub(crate) fn has_work(&self) -> bool {
        self.paused_until.is_none() && self.iter().any(|place| place.ready)
    }

    /// Whether the clock has to run although there is no connection.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused_until.is_some()
    }

    pub(crate) fn resume(&mut self, now: Tick) {
        if self.paused_until.is_some_and(|until| until <= now) {
            self.paused_until = None;
        }
    }

    /// A connection of this worker was closed: there is room again.
    pub(crate) fn resume_now(&mut self) {
        self.paused_until = None;
    }

    /// Lets nobody else in, and looks at every listener again for who came before, whatever
    /// events said.
    pub(crate) fn turn_away(&mut self) {
        self.set_all_ready();
        for place in self.iter() {
            if let Err(error) = place.listener.turn_away() {
                tracing::debug!(%error, "a listener takes connections until it is closed");
            }
        }
    }

    /// Looks at every listener once more, also when we were at a limit.
    pub(crate) fn set_all_ready(&mut self) {
        self.paused_until = None;
        for place in self.places.iter_mut().flatten() {
            place.ready = true;
        }
    }

    /// Closes the listeners of which the kernel said that nobody is waiting.
    pub(crate) fn close_empty(&mut self) {
        for place in &mut self.places {
            place.take_if(|place| !place.ready);
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.iter().next().is_none()
    }

    pub(crate) fn close_all(&mut self) {
        self.places.clear();
        self.paused_until = None;
    }

    fn iter(&self) -> impl Iterator<Item = &Place> {
        self.places.iter().flatten()
    }

    fn indices(&self, is_wanted: impl Fn(&Place) -> bool) -> Vec<usize> {
        let places = self.places.iter().enumerate();
        places
            .filter(|(_, place)| place.as_ref().is_some_and(&is_wanted))
            .map(|(index, _)| index)
            .collect()
    }

    /// Accepts one connection, unless the worker or the process has as many as it may have.
    pub(crate) fn accept(
        &mut self,
        index: usize,
        is_full: bool,
        admission: &Admission,
        counters: &Slot,
        now: Tick,
    ) -> Attempt {
        if self.paused_until.is_some() {
            return Attempt::Empty;
        }
        let Some(Some(place)) = self.places.get_mut(index) else {
            return Attempt::Empty;
        };
        if is_full || !admission.admit() {
            counters.count(Counter::ConnectionsMaxReached);
            // Others may close theirs: look again at the next tick.
            self.paused_until = Some(now + 1);
            return Attempt::Empty;
        }
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let error = match rustix::net::acceptfrom_with(&place.listener.socket, flags) {
            Ok((socket, address)) => {
                let peer = address.map_or(PeerAddr::Unix, peer_addr);
                let admitted = admission.admit_address(peer);
                if admitted == Admitted::Refused {
                    admission.leave();
                    counters.count(Counter::ConnectionsRefusedAddress);
                    return Attempt::Refused(socket);
                }
                let local = local_addr(place.listener.local, &socket);
                return Attempt::Accepted(Accepted {
                    socket,
                    peer,
                    local,
                    entry: place.listener.entry,
                    is_counted: admitted == Admitted::Counted,
                });
            }
            Err(error) => error,
        };
        admission.leave();
        match error {
            // EINVAL: nobody waits, and nobody is let in any more (`Listener::turn_away`).
            Errno::AGAIN | Errno::INVAL => {
                place.ready = false;
                Attempt::Empty
            }
            Errno::INTR => Attempt::Failed,
            Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM => {
                counters.count(Counter::AcceptErrors);
                self.log_error(error, now);
                // The connection stays in the backlog. Trying again at once would only spin.
                self.paused_until = Some(now + 1);
                Attempt::Empty
            }
            // Errors of the connection that was waiting (accept(2): ECONNABORTED, EPERM and the
            // network errors): the next one may be fine.
            _ => {
                counters.count(Counter::AcceptErrors);
                self.log_error(error, now);
                Attempt::Failed
            }
        }
    }

    /// At most one line a second.
    fn log_error(&mut self, error: Errno, now: Tick) {
        if self
            .errors_logged_at
            .is_none_or(|at| now.saturating_sub(at) >= 4)
        {
            self.errors_logged_at = Some(now);
            tracing::warn!(%error, "accept failed");
        }
    }
}

fn peer_addr(address: rustix::net::SocketAddrAny) -> PeerAddr {
    match std::net::SocketAddr::try_from(address) {
        Ok(address) => PeerAddr::Ip(unmapped(address)),
        Err(_) => PeerAddr::Unix,
    }
}

fn local_addr(local: Local, socket: &OwnedFd) -> Option<std::net::SocketAddr> {
    match local {
        Local::Fixed(address) => Some(address),
        Local::Unix => None,
        Local::Any => {
            let address = rustix::net::getsockname(socket).ok()?;
            std::net::SocketAddr::try_from(address).ok().map(unmapped)
        }
    }
}

/// A client of a dual-stack listener that speaks IPv4 is shown with its IPv4 address.
fn unmapped(address: std::net::SocketAddr) -> std::net::SocketAddr {
    std::net::SocketAddr::new(address.ip().to_canonical(), address.port())
}
