//! Telling systemd how far we are: sd_notify(3).
//!
//! A datagram of lines to the socket named in the environment. The protocol is these few lines,
//! so there is no dependency for it.

use std::env;
use std::fmt;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Says `READY=1` when all workers run, and `STOPPING=1` when a drain begins, each once and in
/// this order. Says nothing where nobody listens.
#[derive(Debug)]
pub(crate) struct Notifier {
    socket: Option<UnixDatagram>,
    phase: Mutex<Phase>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Starting,
    Ready,
    Stopping,
}

/// How long a message may wait for room in the queue of whoever listens.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

impl Notifier {
    /// Connects to the socket that the environment names. As who started us: whom we run as later
    /// need not be allowed to.
    pub(crate) fn from_env() -> Notifier {
        let socket = env::var("NOTIFY_SOCKET").ok().and_then(|name| {
            let connected = connect(&name);
            connected
                .inspect_err(|error| tracing::warn!(%error, name, "cannot reach NOTIFY_SOCKET"))
                .ok()
        });
        Notifier::new(socket)
    }

    /// One that says nothing.
    pub(crate) fn silent() -> Notifier {
        Notifier::new(None)
    }

    fn new(socket: Option<UnixDatagram>) -> Notifier {
        Notifier {
            socket,
            phase: Mutex::new(Phase::Starting),
        }
    }

    /// All workers run.
    pub(crate) fn ready(&self, addresses: impl fmt::Display) {
        if self.reaches(Phase::Ready) {
            self.send(&format!("READY=1\nSTATUS=Serving on {addresses}\n"));
        }
    }

    /// A drain begins, or everything is cut.
    pub(crate) fn stopping(&self) {
        if self.reaches(Phase::Stopping) {
            self.send("STOPPING=1\nSTATUS=Answering what has arrived, and taking nothing new\n");
        }
    }

    /// Whether this is a phase further on, which it is then.
    fn reaches(&self, next: Phase) -> bool {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        let is_next = next > *phase;
        if is_next {
            *phase = next;
        }
        is_next
    }

    fn send(&self, message: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(message.as_bytes())
        {
            tracing::warn!(%error, "cannot tell NOTIFY_SOCKET");
        }
    }
}

/// A path, or a name in the abstract namespace behind an `@`.
fn connect(name: &str) -> io::Result<UnixDatagram> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_write_timeout(Some(SEND_TIMEOUT))?;
    Ok(socket)
}

#[cfg(test)]
mod tests;
