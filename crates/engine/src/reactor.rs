//! The worker's own epoll instance, nested in tokio's.
//!
//! Every socket of a worker is registered here once, edge-triggered, for reading and writing, and
//! never touched again. While there are events the worker asks this instance only; when there are
//! none, tokio sleeps and this instance's descriptor wakes it. Compared with a tokio task for each
//! connection that saves the task, its reference counts and its wakers: in a prototype 6.2 to
//! 6.4 µs CPU per request at 512 connections against 6.6 µs, where a bare epoll loop took 6.1 to
//! 6.5 µs (see
//! `docs/src/design/reactor.md`).

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::task::{Context, Poll};

use rustix::event::epoll;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

pub(crate) use rustix::event::epoll::EventFlags;

/// What an event belongs to: an index and a generation, so that an event of a connection that was
/// closed in the same turn cannot reach its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

pub(crate) struct Reactor {
    /// INVARIANT: only ever borrowed; the descriptor inside is never closed or exchanged.
    epoll: AsyncFd<OwnedFd>,
    events: Vec<epoll::Event>,
}

/// Events taken in one turn. Larger turns make the first connection wait for the last; smaller
/// ones cost more system calls (512 connections: 2 % more CPU at 64 than at 256).
const EVENTS_PER_TURN: usize = 256;

impl Reactor {
    /// Must be called inside the worker's tokio runtime.
    pub(crate) fn new() -> io::Result<Reactor> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        // SAFETY: the `AsyncFd` owns the descriptor, it is private to `Reactor` and never taken
        // out or replaced (INVARIANT of the field), so it is open, and the same, until the drop.
        let epoll = unsafe { AsyncFd::register_with_interest(epoll, Interest::READABLE)? };
        Ok(Reactor {
            epoll,
            events: Vec::with_capacity(EVENTS_PER_TURN),
        })
    }

    /// Registers a socket for its whole life; closing it takes it out, if it is open nowhere else.
    pub(crate) fn register(&self, socket: impl AsFd, token: Token) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        let data =
            epoll::EventData::new_u64(u64::from(token.generation) << 32 | u64::from(token.index));
        Ok(epoll::add(self.epoll.get_ref(), socket, data, flags)?)
    }

    /// Takes a socket out that stays open elsewhere.
    pub(crate) fn deregister(&self, socket: impl AsFd) {
        // It was registered, so there is nothing that could fail.
        let _ = epoll::delete(self.epoll.get_ref(), socket);
    }

    /// Takes the events that are there now, without sleeping, and returns how many.
    pub(crate) fn take_events(&mut self) -> io::Result<usize> {
        self.events.clear();
        let buffer = rustix::buffer::spare_capacity(&mut self.events);
        let zero = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        match epoll::wait(self.epoll.get_ref(), buffer, Some(&zero)) {
            Err(rustix::io::Errno::INTR) => Ok(0),
            result => Ok(result?),
        }
    }

    /// Whether the last [`take_events`](Reactor::take_events) may have left events behind.
    pub(crate) fn was_full(&self) -> bool {
        self.events.len() == EVENTS_PER_TURN
    }

    /// The `at`-th event taken.
    #[inline]
    pub(crate) fn event(&self, at: usize) -> Option<(Token, EventFlags)> {
        // The kernel's struct is packed: copy, do not borrow.
        let epoll::Event { flags, data } = *self.events.get(at)?;
        let data = data.u64();
        Some((
            Token {
                index: data as u32,
                generation: (data >> 32) as u32,
            },
            flags,
        ))
    }

    /// Ready when tokio saw this instance become readable since the last call; otherwise
    /// registers the waker.
    ///
    /// Readiness is forgotten *before* events are taken: an event that arrives after the taking
    /// is a new edge for tokio's instance.
    pub(crate) fn poll_wake(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.epoll.poll_read_ready(cx) {
            Poll::Ready(Ok(mut guard)) => {
                guard.clear_ready();
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }
}
