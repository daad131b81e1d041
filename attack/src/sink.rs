//! A server that accepts, reads and throws away, and never answers; over TCP, and UDP on the same port.
//!
//! It is what an attack is aimed at to see what the attack itself costs on a machine: less cannot
//! be done with what it sends. Some attackers rest until they are answered, and those need a sink that keeps
//! them as busy as a server does: see [`Manner`].

use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use socket2::Socket;

use crate::events::{Poller, Token};
use crate::loopback::{Loopback, listen};
use crate::quic::socket::Silent;
use crate::{Error, Result, descriptors};

/// Bounded by `net.core.somaxconn`.
const BACKLOG: i32 = 65_535;
/// The listener is no connection.
const LISTENER: Token = Token {
    slot: u32::MAX,
    generation: 0,
};
/// What the kernel may hold unsent of a streaming sink's output for one connection, as of ours.
const NOTSENT_LOWAT: u32 = 64 * 1024;
/// And neither is what datagrams come to.
const DATAGRAMS: Token = Token {
    slot: u32::MAX - 1,
    generation: 0,
};
/// Calls for one socket before others have their turn.
const CALLS_PER_TURN: usize = 16;
/// Between two looks at whether to stop.
const LOOK: Duration = Duration::from_millis(50);

/// What a sink does for clients that have sent something, beside reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Manner {
    /// Nothing.
    #[default]
    Silent,
    /// Sends without end: for attackers that ask for much and hardly read, and cost by being sent to.
    Streams,
    /// Answers whatever came first with a few fixed bytes, and closes: for attackers that come back as soon as
    /// they are refused.
    Refuses,
}

/// What a sink has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Connections.
    pub accepted: u64,
    /// Those that clients have ended.
    pub ended: u64,
    /// Datagrams of UDP.
    pub datagrams: u64,
    /// Bytes that were thrown away.
    pub bytes: u64,
}

/// A sink in the background. It stops when this is dropped, without being waited for.
#[derive(Debug)]
pub struct Sink {
    address: Loopback,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Totals>>>,
}

impl Sink {
    /// Listens, and reads for at most `duration`.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start(address: Loopback, duration: Duration, manner: Manner) -> Result<Sink> {
        let listener = listen(address, BACKLOG)?;
        if manner == Manner::Streams {
            listener
                .set_tcp_notsent_lowat(NOTSENT_LOWAT)
                .map_err(|error| Error::system("bound what is not sent", error))?;
        }
        let address = address_of(&listener)?;
        let udp = Silent::bind(address)
            .map_err(|error| Error::system(format!("bind {} (UDP)", address.get()), error))?;
        let stop = Arc::new(AtomicBool::new(false));
        let until = Instant::now() + duration;
        let stopped = Arc::clone(&stop);
        let thread =
            std::thread::spawn(move || Drain::new(listener, udp, manner)?.run(until, &stopped));
        Ok(Sink {
            address,
            stop,
            thread: Some(thread),
        })
    }

    /// Where it listens, with the port that port 0 became.
    pub fn address(&self) -> Loopback {
        self.address
    }

    /// Ends it before its time.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When the machine did not play along.
    pub fn join(mut self) -> Result<Totals> {
        let thread = self.thread.take().ok_or(Error::Panicked)?;
        thread.join().map_err(|_| Error::Panicked)?
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Drain {
    listener: Socket,
    udp: Silent,
    poller: Poller,
    connections: Vec<Option<Connection>>,
    vacant: Vec<u32>,
    /// Told once that they are readable or writable, and not used to the end.
    unfinished: Vec<u32>,
    received: Vec<u8>,
    manner: Manner,
    totals: Totals,
}

/// What a streaming sink sends, again and again.
static STREAMED: [u8; 64 * 1024] = [b'x'; 64 * 1024];
/// What a refusing sink sends once.
const REFUSAL: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

struct Connection {
    socket: Socket,
    /// In `unfinished`, and not to be put there again.
    queued: bool,
    /// It has sent something.
    has_asked: bool,
    is_refused: bool,
}

impl Drain {
    fn new(listener: Socket, udp: Silent, manner: Manner) -> Result<Drain> {
        let poller = Poller::new()?;
        poller.add_level(&listener, LISTENER)?;
        poller.add_level(&udp, DATAGRAMS)?;
        Ok(Drain {
            listener,
            udp,
            poller,
            connections: Vec::new(),
            vacant: Vec::new(),
            unfinished: Vec::new(),
            received: vec![0; 64 * 1024],
            manner,
            totals: Totals::default(),
        })
    }

    fn run(&mut self, until: Instant, stop: &AtomicBool) -> Result<Totals> {
        while Instant::now() < until && !stop.load(Ordering::Relaxed) {
            let patience = if self.unfinished.is_empty() {
                LOOK
            } else {
                Duration::ZERO
            };
            let mut unfinished = std::mem::take(&mut self.unfinished);
            for slot in unfinished.drain(..) {
                if let Some(connection) = &mut self.connections[slot as usize] {
                    connection.queued = false;
                    self.read(slot);
                    self.answer(slot);
                }
            }
            // Those that are still unfinished were pushed anew; the allocation is kept.
            unfinished.append(&mut self.unfinished);
            self.unfinished = unfinished;
            for at in 0..self.poller.wait(patience)? {
                match self.poller.get(at).0 {
                    LISTENER => self.accept()?,
                    DATAGRAMS => self.take_datagrams(),
                    token => {
                        self.read(token.slot);
                        self.answer(token.slot);
                    }
                }
            }
        }
        Ok(self.totals)
    }

    fn take_datagrams(&mut self) {
        for _ in 0..CALLS_PER_TURN {
            let Some((datagrams, bytes)) = self.udp.receive() else {
                return;
            };
            self.totals.datagrams += datagrams;
            self.totals.bytes += bytes;
        }
    }

    fn accept(&mut self) -> Result<()> {
        let connections_max = descriptors() as usize;
        for _ in 0..CALLS_PER_TURN {
            if self.connections.len() - self.vacant.len() >= connections_max {
                return Ok(());
            }
            // An error is a client that is gone already, or an empty queue.
            let Ok((socket, _)) = self.listener.accept() else {
                return Ok(());
            };
            if socket.set_nonblocking(true).is_err() {
                continue;
            }
            self.totals.accepted += 1;
            let slot = self.vacant.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() as u32 - 1
            });
            let token = Token {
                slot,
                generation: 0,
            };
            self.poller.add(&socket, token)?;
            self.connections[slot as usize] = Some(Connection {
                socket,
                queued: false,
                has_asked: false,
                is_refused: false,
            });
        }
        Ok(())
    }

    /// Answers who has asked. An error is found by reading.
    fn answer(&mut self, slot: u32) {
        let Some(Some(connection)) = self.connections.get_mut(slot as usize) else {
            return;
        };
        if !connection.has_asked {
            return;
        }
        match self.manner {
            Manner::Silent => {}
            Manner::Streams => self.stream(slot),
            Manner::Refuses if connection.is_refused => {}
            Manner::Refuses => {
                connection.is_refused = true;
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                let _ = send(&connection.socket, REFUSAL, flags);
                let _ = connection.socket.shutdown(Shutdown::Write);
            }
        }
    }

    /// Sends what the socket takes.
    fn stream(&mut self, slot: u32) {
        let Some(Some(connection)) = self.connections.get_mut(slot as usize) else {
            return;
        };
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        for _ in 0..CALLS_PER_TURN {
            match send(&connection.socket, &STREAMED, flags) {
                // What is left over is as good as what comes next.
                Ok(len) if len == STREAMED.len() => {}
                _ => return,
            }
        }
        // It takes more, and no event will say so again.
        if !std::mem::replace(&mut connection.queued, true) {
            self.unfinished.push(slot);
        }
    }

    /// An event of a connection that had this slot before finds nothing to read, and does no harm.
    fn read(&mut self, slot: u32) {
        let Some(connection) = &mut self.connections[slot as usize] else {
            return;
        };
        for _ in 0..CALLS_PER_TURN {
            match recv(
                &connection.socket,
                &mut self.received[..],
                RecvFlags::DONTWAIT,
            ) {
                Ok((0, _)) => return self.end(slot),
                Ok((len, _)) => {
                    self.totals.bytes += len as u64;
                    connection.has_asked = true;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => return self.end(slot),
            }
        }
        if !std::mem::replace(&mut connection.queued, true) {
            self.unfinished.push(slot);
        }
    }

    fn end(&mut self, slot: u32) {
        self.connections[slot as usize] = None;
        self.vacant.push(slot);
        self.totals.ended += 1;
    }
}

fn address_of(listener: &Socket) -> Result<Loopback> {
    let address = listener
        .local_addr()
        .map_err(|error| Error::system("ask for an address", error))?;
    let address = address
        .as_socket()
        .ok_or_else(|| Error::NotAnAddress(format!("{address:?}")))?;
    Loopback::new(address)
}

#[cfg(test)]
mod tests;
