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
use crate::listener::Listener;
use crate::mapping::Mapping;
use crate::process::channel::DESCRIPTORS_MAX;
use crate::process::{Channel, MARKER, Message};
use crate::tls::ticket_keys_file;

/// Starts a process that serves these sockets: for each of its workers one for each address.
pub(super) fn start(
    process: usize,
    mapping: &Mapping,
    sockets: &[Vec<Listener>],
    ticket_keys: Option<&TicketKeys>,
) -> io::Result<Child> {
    let (ours, theirs) = Channel::pair()?;
    // Everything is on its way before the process begins.
    send_setup(&ours, process, mapping, sockets)?;
    if let Some(keys) = ticket_keys {
        send_ticket_keys(&ours, keys)?;
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
    sockets: &[Vec<Listener>],
) -> io::Result<()> {
    let setup = Message::Setup {
        process: process as u32,
        threads: sockets.len() as u32,
        addresses: sockets.first().map_or(0, Vec::len) as u32,
    };
    channel.send(setup, &[mapping.file()])?;
    for (thread, listeners) in sockets.iter().enumerate() {
        for part in in_parts(listeners) {
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

/// Gives a process the keys of session tickets.
pub(super) fn send_ticket_keys(channel: &Channel, keys: &TicketKeys) -> io::Result<()> {
    let file = ticket_keys_file(keys)?;
    channel.send(Message::TicketKeys, &[file.as_fd()])
}

/// Gives the sockets of process `process`, which is down, to another one.
pub(super) fn send_adopted(
    channel: &Channel,
    process: usize,
    sockets: &[Vec<Listener>],
) -> io::Result<()> {
    for (thread, listeners) in sockets.iter().enumerate() {
        for part in in_parts(listeners) {
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
