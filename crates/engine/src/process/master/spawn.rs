//! Starting a process, and giving sockets to it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Instant;

use ajay_tls::TicketKeys;
use rustix::io::FdFlags;
use rustix::process::Pid;
use tokio::net::UnixStream;

use super::Child;
use crate::listener::{Listener, Sockets};
use crate::mapping::Mapping;
use crate::process::channel::DESCRIPTORS_MAX;
use crate::process::{Channel, MARKER, Message};
use crate::quic;
use crate::quic::socket::Udp;
use crate::tls::ticket_keys_file;

/// Starts a process that serves these sockets: for each of its workers one for each address.
pub(super) fn start(
    process: usize,
    mapping: &Mapping,
    sockets: &[Sockets],
    ticket_keys: Option<&TicketKeys>,
    quic: Option<(&quic::Shared, u8)>,
) -> io::Result<Child> {
    let (ours, theirs) = Channel::pair()?;
    // Everything is on its way before the process begins.
    send_setup(&ours, process, mapping, sockets)?;
    if let Some(keys) = ticket_keys {
        send_ticket_keys(&ours, keys)?;
    }
    if let Some((quic, generation)) = quic {
        send_quic(&ours, process, sockets, quic, generation)?;
    }
    ours.send(Message::Run, &[])?;
    let incoming = std::os::unix::net::UnixStream::from(OwnedFd::from(ours.try_clone()?));
    let incoming = UnixStream::from_std(incoming)?;
    let pid = run_program(theirs)?;
    Ok(Child {
        pid,
        channel: ours,
        incoming: Some(incoming),
        started: Instant::now(),
        is_ready: false,
        is_leaving: false,
        stopped: None,
        is_replaced: false,
        signalled: None,
    })
}

/// Runs this program once more, with our arguments.
fn run_program(channel: Channel) -> io::Result<Pid> {
    let channel = OwnedFd::from(channel);
    // From here until it is closed below, a program that another thread starts would inherit it as
    // well. It would hold one end of a channel that it knows nothing of, and we do not rely on the
    // channel's end to learn of a process's.
    rustix::io::fcntl_setfd(&channel, FdFlags::empty())?;
    let descriptor = std::os::fd::AsRawFd::as_raw_fd(&channel);
    let mut arguments = std::env::args_os();
    // What is run, also if its file was replaced or removed meanwhile.
    let mut command = Command::new("/proc/self/exe");
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    let child = command
        .args(arguments)
        .env(MARKER, format!("{}:{descriptor}", std::process::id()))
        .stdin(Stdio::null())
        .spawn()?;
    Pid::from_raw(child.id().cast_signed()).ok_or_else(|| io::ErrorKind::Other.into())
}

fn send_setup(
    channel: &Channel,
    process: usize,
    mapping: &Mapping,
    sockets: &[Sockets],
) -> io::Result<()> {
    let setup = Message::Setup {
        process: process as u32,
        threads: sockets.len() as u32,
        addresses: sockets.first().map_or(0, |all| all.listeners.len()) as u32,
    };
    channel.send(setup, &[mapping.file()])?;
    for (thread, sockets) in sockets.iter().enumerate() {
        for part in in_parts(&sockets.listeners) {
            let message = Message::Sockets {
                thread: thread as u32,
                address: part.first as u32,
                entry: part.entry as u32,
                outlive_us: part.outlive_us,
            };
            channel.send(message, &part.descriptors)?;
        }
    }
    Ok(())
}

/// Gives a process what it needs to speak QUIC.
fn send_quic(
    channel: &Channel,
    process: usize,
    sockets: &[Sockets],
    quic: &quic::Shared,
    generation: u8,
) -> io::Result<()> {
    for (thread, sockets) in sockets.iter().enumerate() {
        for part in udp_in_parts(&sockets.udp) {
            let message = Message::Datagrams {
                thread: thread as u32,
                entry: part.entry as u32,
            };
            channel.send(message, &part.descriptors)?;
        }
    }
    if let Some(ways) = &quic.ways {
        let threads = sockets.len();
        let own = ways.receive.iter().skip(process * threads).take(threads);
        send_all(channel, Message::Receive, own)?;
        send_all(channel, Message::Ways, ways.send.iter())?;
    }
    let file = quic.secret.to_file()?;
    let generation = generation.into();
    channel.send(Message::QuicSecret { generation }, &[file.as_fd()])
}

/// Sends descriptors in as many messages as they need.
fn send_all<'a>(
    channel: &Channel,
    message: Message,
    descriptors: impl Iterator<Item = &'a OwnedFd>,
) -> io::Result<()> {
    let descriptors: Vec<BorrowedFd<'_>> = descriptors.map(AsFd::as_fd).collect();
    let mut parts = descriptors.chunks(DESCRIPTORS_MAX);
    parts.try_for_each(|part| channel.send(message, part))
}

/// Gives a process the keys of session tickets.
pub(super) fn send_ticket_keys(channel: &Channel, keys: &TicketKeys) -> io::Result<()> {
    let file = ticket_keys_file(keys)?;
    channel.send(Message::TicketKeys, &[file.as_fd()])
}

/// Gives the sockets of process `process`, which is down, to another one.
pub(super) fn send_adopted(
    channel: &Channel,
    process: usize,
    sockets: &[Sockets],
) -> io::Result<()> {
    for (thread, sockets) in sockets.iter().enumerate() {
        for part in in_parts(&sockets.listeners) {
            let message = Message::Adopt {
                process: process as u32,
                thread: thread as u32,
                entry: part.entry as u32,
                outlive_us: part.outlive_us,
            };
            channel.send(message, &part.descriptors)?;
        }
    }
    Ok(())
}

/// Gives its UDP sockets to another one, which must not be done as long as it reads from them.
pub(super) fn send_adopted_udp(
    channel: &Channel,
    process: usize,
    sockets: &[Sockets],
) -> io::Result<()> {
    for (thread, sockets) in sockets.iter().enumerate() {
        for part in udp_in_parts(&sockets.udp) {
            let message = Message::AdoptDatagrams {
                process: process as u32,
                thread: thread as u32,
                entry: part.entry as u32,
            };
            channel.send(message, &part.descriptors)?;
        }
    }
    Ok(())
}

/// Sockets that go in one message.
struct Part<'a> {
    /// The place of the first.
    first: usize,
    entry: usize,
    outlive_us: bool,
    descriptors: Vec<BorrowedFd<'a>>,
}

/// As many as a message takes, all of one kind.
fn in_parts(listeners: &[Listener]) -> impl Iterator<Item = Part<'_>> {
    let kind = |listener: &Listener| (listener.entry, listener.outlives_us);
    let of_one_kind = listeners.chunk_by(move |one, next| kind(one) == kind(next));
    let mut first = 0;
    of_one_kind
        .flat_map(|listeners| listeners.chunks(DESCRIPTORS_MAX))
        .map(move |listeners| {
            let part = Part {
                first,
                entry: listeners.first().map_or(0, |listener| listener.entry),
                outlive_us: listeners.iter().any(|listener| listener.outlives_us),
                descriptors: listeners.iter().map(|one| one.socket.as_fd()).collect(),
            };
            first += listeners.len();
            part
        })
}

fn udp_in_parts(sockets: &[Udp]) -> impl Iterator<Item = Part<'_>> {
    let of_one_entry = sockets.chunk_by(|one, next| one.entry == next.entry);
    of_one_entry
        .flat_map(|sockets| sockets.chunks(DESCRIPTORS_MAX))
        .map(|sockets| Part {
            first: 0,
            entry: sockets.first().map_or(0, |socket| socket.entry),
            outlive_us: false,
            descriptors: sockets.iter().map(|one| one.socket.as_fd()).collect(),
        })
}
