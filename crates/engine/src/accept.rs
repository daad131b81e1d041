//! Accepting: budgets, limits, and what to do when the system is out of something.

use std::collections::HashMap;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::net::SocketFlags;

use crate::counters::{Counter, Counters};
use crate::deadline::Tick;
use crate::listener::{Listener, Local};
use crate::request::PeerAddr;

/// Connections accepted from one listener in a turn, so that a burst of new connections does not
/// keep the old ones waiting.
pub(crate) const ACCEPTS_PER_TURN: u32 = 64;

/// What all workers of the process share about connections.
#[derive(Debug)]
pub(crate) struct Admission {
    connections_max: usize,
    per_address_max: Option<usize>,
    open: AtomicUsize,
    /// Only used when there is a limit per address.
    addresses: Mutex<HashMap<IpAddr, usize>>,
}

impl Admission {
    pub(crate) fn new(connections_max: usize, per_address_max: Option<usize>) -> Admission {
        Admission {
            connections_max,
            per_address_max,
            open: AtomicUsize::new(0),
            addresses: Mutex::default(),
        }
    }

    /// Takes a place for one more connection, if there is one.
    fn admit(&self) -> bool {
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        if before >= self.connections_max {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        true
    }

    /// Gives back what [`admit`](Admission::admit) took.
    pub(crate) fn leave(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a connection of this address, unless it has too many.
    fn admit_address(&self, peer: PeerAddr) -> bool {
        let (Some(max), Some(ip)) = (self.per_address_max, peer.ip_only()) else {
            return true;
        };
        let mut addresses = self.addresses();
        let open = addresses.entry(ip).or_insert(0);
        if *open >= max {
            return false;
        }
        *open += 1;
        true
    }

    /// Gives back what [`admit_address`](Admission::admit_address) took.
    pub(crate) fn leave_address(&self, peer: PeerAddr) {
        let (Some(_), Some(ip)) = (self.per_address_max, peer.ip_only()) else {
            return;
        };
        let mut addresses = self.addresses();
        if let Some(open) = addresses.get_mut(&ip) {
            *open -= 1;
            if *open == 0 {
                addresses.remove(&ip);
            }
        }
    }

    fn addresses(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // Nothing that can panic runs under this lock.
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The listeners of one worker.
pub(crate) struct Acceptor {
    listeners: Vec<Place>,
    /// No accepting before this tick: the system was out of descriptors or memory, or we are at
    /// the connection limit.
    paused_until: Option<Tick>,
    errors_logged_at: Option<Tick>,
}

struct Place {
    listener: Listener,
    /// The kernel may have connections for us: set by an event, cleared when it has none.
    ready: bool,
}

/// A connection that came in.
pub(crate) struct Accepted {
    pub(crate) socket: OwnedFd,
    pub(crate) peer: PeerAddr,
    pub(crate) local: Option<std::net::SocketAddr>,
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
    pub(crate) fn new(listeners: Vec<Listener>) -> Acceptor {
        let listeners = listeners
            .into_iter()
            .map(|listener| Place {
                listener,
                ready: true,
            })
            .collect();
        Acceptor {
            listeners,
            paused_until: None,
            errors_logged_at: None,
        }
    }

    pub(crate) fn sockets(&self) -> impl Iterator<Item = &OwnedFd> {
        self.listeners.iter().map(|place| &place.listener.socket)
    }

    pub(crate) fn set_ready(&mut self, index: usize) {
        if let Some(place) = self.listeners.get_mut(index) {
            place.ready = true;
        }
    }

    /// Whether there is something to accept now.
    pub(crate) fn has_work(&self) -> bool {
        self.paused_until.is_none() && self.listeners.iter().any(|place| place.ready)
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
        self.paused_until = None;
        for place in &mut self.listeners {
            place.ready = true;
            if let Err(error) = place.listener.turn_away() {
                tracing::debug!(%error, "a listener takes connections until it is closed");
            }
        }
    }

    /// Looks at every listener once more, also when we were at a limit.
    pub(crate) fn set_all_ready(&mut self) {
        self.paused_until = None;
        for place in &mut self.listeners {
            place.ready = true;
        }
    }

    /// Closes the listeners of which the kernel said that nobody is waiting.
    pub(crate) fn close_empty(&mut self) {
        self.listeners.retain(|place| place.ready);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.listeners.is_empty()
    }

    pub(crate) fn close_all(&mut self) {
        self.listeners.clear();
        self.paused_until = None;
    }

    /// The listeners that may have connections.
    pub(crate) fn ready(&self) -> impl Iterator<Item = usize> + use<> {
        let ready = |(index, place): (usize, &Place)| place.ready.then_some(index);
        let ready: Vec<usize> = self
            .listeners
            .iter()
            .enumerate()
            .filter_map(ready)
            .collect();
        ready.into_iter()
    }

    /// Accepts one connection.
    pub(crate) fn accept(
        &mut self,
        index: usize,
        admission: &Admission,
        counters: &Counters,
        now: Tick,
    ) -> Attempt {
        if self.paused_until.is_some() {
            return Attempt::Empty;
        }
        let Some(place) = self.listeners.get_mut(index) else {
            return Attempt::Empty;
        };
        if !admission.admit() {
            counters.count(Counter::ConnectionsMaxReached);
            // Others may close theirs: look again at the next tick.
            self.paused_until = Some(now + 1);
            return Attempt::Empty;
        }
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let error = match rustix::net::acceptfrom_with(&place.listener.socket, flags) {
            Ok((socket, address)) => {
                let peer = address.map_or(PeerAddr::Unix, peer_addr);
                if !admission.admit_address(peer) {
                    admission.leave();
                    counters.count(Counter::ConnectionsRefusedAddress);
                    return Attempt::Refused(socket);
                }
                let local = local_addr(place.listener.local, &socket);
                return Attempt::Accepted(Accepted {
                    socket,
                    peer,
                    local,
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
