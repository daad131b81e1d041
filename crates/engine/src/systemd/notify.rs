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

#[derive(Debug)]
enum Phase {
    /// So many workers do not run yet.
    Starting(usize),
    Ready,
    Stopping,
}

/// How long a message may wait for room in the queue of whoever listens.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

impl Notifier {
    /// Connects to the socket that the environment names. As who started us: whom we run as later
    /// need not be allowed to.
    pub(crate) fn from_env(workers: usize) -> Notifier {
        let socket = env::var("NOTIFY_SOCKET").ok().and_then(|name| {
            let connected = connect(&name);
            connected
                .inspect_err(|error| tracing::warn!(%error, name, "cannot reach NOTIFY_SOCKET"))
                .ok()
        });
        Notifier::new(socket, workers)
    }

    fn new(socket: Option<UnixDatagram>, workers: usize) -> Notifier {
        Notifier {
            socket,
            phase: Mutex::new(Phase::Starting(workers)),
        }
    }

    /// One more worker runs.
    pub(crate) fn worker_runs(&self, addresses: impl fmt::Display) {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        match *phase {
            Phase::Starting(1) => {
                *phase = Phase::Ready;
                self.send(&format!("READY=1\nSTATUS=Serving on {addresses}\n"));
            }
            Phase::Starting(workers) => *phase = Phase::Starting(workers.saturating_sub(1)),
            Phase::Ready | Phase::Stopping => {}
        }
    }

    /// A drain begins, or everything is cut.
    pub(crate) fn stopping(&self) {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*phase, Phase::Stopping) {
            *phase = Phase::Stopping;
            self.send("STOPPING=1\nSTATUS=Answering what has arrived, and taking nothing new\n");
        }
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
