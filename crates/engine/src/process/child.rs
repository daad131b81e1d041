//! A worker process's side: how it learns that it is one, and what it is to serve.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use ajay_tls::TicketKeys;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{SocketType, sockopt};

use super::{Channel, MARKER, Message};
use crate::inherit;
use crate::listener::{ListenAddr, Listener, Sockets};
use crate::mapping::Mapping;
use crate::quic::forward::Ways;
use crate::quic::keys::Secret;
use crate::quic::socket::Udp;
use crate::tls::read_ticket_keys;

/// What the master gave to this process.
pub(crate) struct Setup {
    pub(crate) channel: Channel,
    pub(crate) process: usize,
    pub(crate) mapping: Arc<Mapping>,
    /// Where the sockets are, ports that the system chose included.
    pub(crate) addresses: Vec<ListenAddr>,
    /// For each worker.
    pub(crate) sockets: Vec<Sockets>,
    /// The keys of session tickets, where some connections speak TLS.
    pub(crate) ticket_keys: Option<TicketKeys>,
    /// Where some of them speak QUIC.
    pub(crate) quic: Option<crate::quic::Shared>,
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
        (is_our_parent || is_orphaned(descriptor, master)).then_some(descriptor)
    })
}

/// How long a master that is being ended may take for it, as seen from its children: they have another
/// parent before its descriptors are closed, when its threads end on different cores.
const MASTER_ENDS_MAX: Duration = Duration::from_secs(5);

/// Whether this is the end of a channel that `master` made, and its other end is gone or soon will be:
/// then our parent is another one only because the master died before we looked. Nothing would be worse
/// than to think that we are no worker process, and to become a master.
///
/// A program that a worker process has started before it took its end of the channel waits here for
/// nothing, and is no worker process then.
fn is_orphaned(descriptor: RawFd, master: i32) -> bool {
    let look = |descriptor: BorrowedFd<'_>| {
        let is_channel = sockopt::socket_type(descriptor) == Ok(SocketType::SEQPACKET)
            && sockopt::socket_peercred(descriptor)
                .is_ok_and(|made_by| made_by.pid.as_raw_pid() == master);
        is_channel && hangs_up(descriptor, MASTER_ENDS_MAX)
    };
    inherit::look_at(descriptor, look).unwrap_or(false)
}

/// Waits for the other end's close.
fn hangs_up(descriptor: BorrowedFd<'_>, longest: Duration) -> bool {
    let give_up = Instant::now() + longest;
    loop {
        let left = give_up.saturating_duration_since(Instant::now());
        let mut poll = [PollFd::new(&descriptor, PollFlags::empty())];
        let timeout = Timespec {
            tv_sec: left.as_secs().cast_signed(),
            tv_nsec: left.subsec_nanos().into(),
        };
        match rustix::event::poll(&mut poll, Some(&timeout)) {
            Ok(_) => return poll[0].revents().contains(PollFlags::HUP),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
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
        let mut ticket_keys = None;
        let mut all: Vec<Sockets> = (0..threads).map(|_| Sockets::default()).collect();
        let mut secret = None;
        let mut ways = Ways::default();
        loop {
            let (message, files) = receive(&channel)?;
            let first = |files: Vec<OwnedFd>| {
                let mut files = files.into_iter();
                files.next().ok_or_else(|| unexpected(message))
            };
            match message {
                Message::Sockets {
                    thread,
                    address,
                    entry,
                    outlive_us,
                } => {
                    let list = all.get_mut(thread as usize);
                    let list = &mut list.ok_or_else(|| unexpected(message))?.listeners;
                    if list.len() != address as usize {
                        return Err(unexpected(message));
                    }
                    for socket in files {
                        let (address, listener) =
                            Listener::adopt(socket, outlive_us, entry as usize)?;
                        list.push(listener);
                        // The first worker's addresses are everybody's.
                        if thread == 0 {
                            bound.push(address);
                        }
                    }
                }
                Message::TicketKeys => {
                    ticket_keys = Some(read_ticket_keys(first(files)?)?);
                }
                Message::Datagrams { thread, entry } => {
                    let list = all.get_mut(thread as usize);
                    let list = &mut list.ok_or_else(|| unexpected(message))?.udp;
                    let entry = entry as usize;
                    list.extend(files.into_iter().map(|socket| Udp { socket, entry }));
                }
                Message::QuicSecret { generation } => {
                    secret = Some((Secret::from_file(first(files)?)?, generation as u8));
                }
                Message::Receive => ways.receive.extend(files),
                Message::Ways => ways.send.extend(files),
                Message::Run => break,
                other => return Err(unexpected(other)),
            }
        }
        if all
            .iter()
            .any(|sockets| sockets.listeners.len() != addresses as usize)
        {
            return Err(unexpected(Message::Run));
        }
        Ok(Setup {
            channel,
            process: process as usize,
            mapping,
            addresses: bound,
            sockets: all,
            ticket_keys,
            quic: secret.map(|(secret, generation)| crate::quic::Shared {
                secret,
                ways: Some(ways),
                generation,
            }),
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
