//! A worker process's side: how it learns that it is one, and what it is to serve.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::sync::{Arc, OnceLock};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::SocketType;

use super::{Channel, MARKER, Message};
use crate::inherit;
use crate::listener::{ListenAddr, Listener};
use crate::mapping::Mapping;

/// What the master gave to this process.
pub(crate) struct Setup {
    pub(crate) channel: Channel,
    pub(crate) process: usize,
    pub(crate) mapping: Arc<Mapping>,
    /// Where the sockets are, ports that the system chose included.
    pub(crate) addresses: Vec<ListenAddr>,
    /// One list for each worker.
    pub(crate) listeners: Vec<Vec<Listener>>,
}

/// The number of our end of the channel, if this is a worker process. Found out once: a master that
/// dies later changes nothing.
pub(super) fn marker() -> Option<RawFd> {
    static MARKED: OnceLock<Option<RawFd>> = OnceLock::new();
    *MARKED.get_or_init(|| {
        let marker = std::env::var(MARKER).ok()?;
        let (master, descriptor) = marker.split_once(':')?;
        let (master, descriptor) = (master.parse::<i32>().ok()?, descriptor.parse().ok()?);
        let is_our_parent =
            rustix::process::getppid().is_some_and(|pid| pid.as_raw_pid() == master);
        (is_our_parent || is_orphaned(descriptor)).then_some(descriptor)
    })
}

/// Whether this is the end of a channel whose other end is gone: then our parent is another one only
/// because the master died before we looked. Nothing would be worse than to think that we are no worker
/// process, and to become a master.
fn is_orphaned(descriptor: RawFd) -> bool {
    let look = |descriptor: BorrowedFd<'_>| {
        let is_channel = rustix::net::sockopt::socket_type(descriptor) == Ok(SocketType::SEQPACKET);
        let mut poll = [PollFd::new(&descriptor, PollFlags::empty())];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let is_polled = rustix::event::poll(&mut poll, Some(&now)).is_ok();
        is_channel && is_polled && poll[0].revents().contains(PollFlags::HUP)
    };
    inherit::look_at(descriptor, look).unwrap_or(false)
}

/// Our end of the channel, once: a program has one server of several processes.
pub(crate) fn claim_channel() -> io::Result<Option<Channel>> {
    marker()
        .map(|number| inherit::take(number).map(Channel::new))
        .transpose()
}

impl Setup {
    /// Waits for what the master sends, which it does before anything else.
    pub(crate) fn receive(channel: Channel) -> io::Result<Setup> {
        let (first, files) = receive(&channel)?;
        let Message::Setup {
            process,
            threads,
            addresses,
        } = first
        else {
            return Err(unexpected(first));
        };
        let file = files.into_iter().next().ok_or_else(|| unexpected(first))?;
        let mapping = Mapping::open(file, false)?;
        if process as usize >= mapping.shape().processes
            || threads as usize != mapping.shape().threads
        {
            return Err(unexpected(first));
        }
        let mut bound = Vec::new();
        let mut listeners: Vec<Vec<Listener>> = (0..threads).map(|_| Vec::new()).collect();
        loop {
            let (message, sockets) = receive(&channel)?;
            match message {
                Message::Sockets {
                    thread,
                    address,
                    outlive_us,
                } => {
                    let list = listeners.get_mut(thread as usize);
                    let list = list.ok_or_else(|| unexpected(message))?;
                    if list.len() != address as usize {
                        return Err(unexpected(message));
                    }
                    for socket in sockets {
                        let (address, listener) = Listener::adopt(socket, outlive_us)?;
                        list.push(listener);
                        // The first worker's addresses are everybody's.
                        if thread == 0 {
                            bound.push(address);
                        }
                    }
                }
                Message::Run => break,
                other => return Err(unexpected(other)),
            }
        }
        if listeners
            .iter()
            .any(|list| list.len() != addresses as usize)
        {
            return Err(unexpected(Message::Run));
        }
        Ok(Setup {
            channel,
            process: process as usize,
            mapping,
            addresses: bound,
            listeners,
        })
    }
}

/// The next message, waited for.
fn receive(channel: &Channel) -> io::Result<(Message, Vec<OwnedFd>)> {
    loop {
        match channel.receive() {
            Ok(Some(received)) => return Ok(received),
            Ok(None) => return Err(io::Error::other("the master process is gone")),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let mut poll = [PollFd::new(channel, PollFlags::IN)];
                match rustix::event::poll(&mut poll, None) {
                    Ok(_) | Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Err(error) => return Err(error),
        }
    }
}

fn unexpected(message: Message) -> io::Error {
    io::Error::other(format!("the master process sent {message:?} out of turn"))
}
