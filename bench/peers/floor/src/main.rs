//! Raw epoll, no parsing: the least a server can spend on a request.
//!
//! One thread per core, each with its own listener and its own epoll. A read that completes
//! requests is answered with one `send`; bytes are kept for a connection only when a head came in
//! part or the socket took a part of the answer.

mod sys;

use peer_common::{Args, Canned, Framing, listen, on_threads, raise_descriptor_limit};
use std::{io, net::SocketAddr, os::fd::AsRawFd as _};
use sys::{Epoll, Socket};

const READ_BYTES: usize = 16 * 1024;
/// Events taken per wake-up.
const EVENTS: usize = 512;

fn main() {
    let args = Args::from_env();
    raise_descriptor_limit().expect("raise the descriptor limit");
    on_threads(args.threads, || {
        serve(args.listen).expect("serve");
    });
}

fn serve(address: SocketAddr) -> io::Result<()> {
    let listener = listen(address)?;
    let mut epoll = Epoll::new(EVENTS)?;
    epoll.add(listener.as_raw_fd(), sys::READABLE)?;
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut buffer = vec![0; READ_BYTES];
    let mut canned = Canned::default();
    loop {
        let ready = epoll.wait()?;
        canned.refresh();
        for index in 0..ready {
            let (fd, writable) = epoll.event(index);
            if fd == listener.as_raw_fd() {
                accept(fd, &epoll, &mut connections)?;
                continue;
            }
            let slot = &mut connections[usize::try_from(fd).expect("a descriptor")];
            let Some(connection) = slot.as_mut() else {
                continue;
            };
            let state = if writable {
                connection.flush(&epoll)
            } else {
                connection.read(&mut buffer, &canned, &epoll)
            };
            if !matches!(state, Ok(State::Open)) {
                *slot = None;
            }
        }
    }
}

fn accept(
    listener: i32,
    epoll: &Epoll,
    connections: &mut Vec<Option<Connection>>,
) -> io::Result<()> {
    while let Some(socket) = Socket::accept(listener)? {
        let fd = socket.fd();
        epoll.add(fd, sys::READABLE)?;
        let index = usize::try_from(fd).expect("a descriptor");
        if connections.len() <= index {
            connections.resize_with(index + 1, || None);
        }
        connections[index] = Some(Connection::new(socket));
    }
    Ok(())
}

#[derive(PartialEq, Eq)]
enum State {
    Open,
    Ended,
}

struct Connection {
    socket: Socket,
    framing: Framing,
    /// What the socket did not take yet; reading waits until it is empty.
    unsent: Vec<u8>,
    /// The connection ends when `unsent` is out.
    closing: bool,
}

impl Connection {
    fn new(socket: Socket) -> Self {
        Self {
            socket,
            framing: Framing::default(),
            unsent: Vec::new(),
            closing: false,
        }
    }

    fn read(&mut self, buffer: &mut [u8], canned: &Canned, epoll: &Epoll) -> io::Result<State> {
        let Some(count) = self.socket.receive(buffer)? else {
            return Ok(State::Open);
        };
        if count == 0 {
            return Ok(State::Ended);
        }
        let Ok(turn) = self.framing.receive(&buffer[..count]) else {
            return Ok(State::Ended);
        };
        if turn.close {
            self.closing = true;
            return self.send(&canned.closing(turn.requests), epoll);
        }
        let mut left = turn.requests;
        while left > 0 {
            let (bytes, count) = canned.keep_alive(left);
            self.send(bytes, epoll)?;
            left -= count;
        }
        Ok(State::Open)
    }

    fn send(&mut self, bytes: &[u8], epoll: &Epoll) -> io::Result<State> {
        let sent = if self.unsent.is_empty() {
            self.socket.send(bytes)?
        } else {
            0
        };
        if sent < bytes.len() {
            self.unsent.extend_from_slice(&bytes[sent..]);
            epoll.change(self.socket.fd(), sys::WRITABLE)?;
            return Ok(State::Open);
        }
        Ok(if self.closing {
            State::Ended
        } else {
            State::Open
        })
    }

    fn flush(&mut self, epoll: &Epoll) -> io::Result<State> {
        let sent = self.socket.send(&self.unsent)?;
        self.unsent.drain(..sent);
        if !self.unsent.is_empty() {
            return Ok(State::Open);
        }
        if self.closing {
            return Ok(State::Ended);
        }
        self.unsent = Vec::new();
        epoll.change(self.socket.fd(), sys::READABLE)?;
        Ok(State::Open)
    }
}
