//! The channel between the master and one process: messages of four numbers, with descriptors.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

use crate::link::Command;

/// A connected Unix socket that keeps messages apart. It never blocks.
pub(crate) struct Channel {
    socket: OwnedFd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// Which process this is, how many workers each has, and how many addresses there are. With the
    /// file of the shared mapping.
    Setup {
        process: u32,
        threads: u32,
        addresses: u32,
    },
    /// Sockets of one worker, for the addresses from this one on; whether they were passed to the
    /// master and outlive the server, and what their connections speak ([`Listener::entry`]).
    ///
    /// [`Listener::entry`]: crate::listener::Listener::entry
    Sockets {
        thread: u32,
        address: u32,
        entry: u32,
        outlive_us: bool,
    },
    /// UDP sockets of one worker.
    Datagrams {
        thread: u32,
        entry: u32,
    },
    /// The secret of QUIC, in a file, and how often this process was started.
    QuicSecret {
        generation: u32,
    },
    /// Where each worker of the process gets what others forward, in their order.
    Receive,
    /// Where each worker of all processes gets it, in their order.
    Ways,
    /// The keys of session tickets, in a file.
    TicketKeys,
    /// That was all.
    Run,
    /// Sockets of a worker of another process, to be served until [`Release`](Message::Release).
    Adopt {
        process: u32,
        thread: u32,
        entry: u32,
        outlive_us: bool,
    },
    /// UDP sockets of a worker of another process, likewise.
    AdoptDatagrams {
        process: u32,
        thread: u32,
        entry: u32,
    },
    /// That process is back.
    Release {
        process: u32,
    },
    /// To all workers of the process.
    Command(Command),
    Ready,
    /// To all processes of the server.
    Ask(Command),
    Signalled,
    /// With so many connections cut.
    Ended {
        cut: u32,
    },
}

/// Descriptors that one message carries: `SCM_MAX_FD` of the kernel.
pub(crate) const DESCRIPTORS_MAX: usize = 253;

const BYTES: usize = 16;

impl Channel {
    /// Both ends of a new channel.
    pub(crate) fn pair() -> io::Result<(Channel, Channel)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (ours, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok((Channel::new(ours), Channel::new(theirs)))
    }

    pub(crate) fn new(socket: OwnedFd) -> Channel {
        Channel { socket }
    }

    pub(crate) fn try_clone(&self) -> io::Result<Channel> {
        Ok(Channel::new(self.socket.try_clone()?))
    }

    /// # Errors
    /// When the other end is gone, or has not read for so long that there is no room.
    pub(crate) fn send(&self, message: Message, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = message.to_bytes();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        loop {
            let pieces = [IoSlice::new(&bytes)];
            let flags = SendFlags::NOSIGNAL;
            match rustix::net::sendmsg(&self.socket, &pieces, &mut control, flags) {
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The next message; none when the other end is gone.
    ///
    /// # Errors
    /// `WouldBlock` when there is none yet; `InvalidData` for what is no message.
    pub(crate) fn receive(&self) -> io::Result<Option<(Message, Vec<OwnedFd>)>> {
        let mut bytes = [0; BYTES];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut pieces = [IoSliceMut::new(&mut bytes)];
            let flags = RecvFlags::CMSG_CLOEXEC;
            match rustix::net::recvmsg(&self.socket, &mut pieces, &mut control, flags) {
                Ok(received) => break received,
                Err(rustix::io::Errno::INTR) => {}
                // The other end was closed with messages of ours unread.
                Err(rustix::io::Errno::CONNRESET) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        };
        if received.bytes == 0 {
            return Ok(None);
        }
        let mut descriptors = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        // Out of descriptors, the kernel leaves some out.
        if received.flags.contains(ReturnFlags::CTRUNC) {
            return Err(io::Error::other("too few descriptors are left"));
        }
        match Message::from_bytes(&bytes) {
            Some(message) if received.bytes == BYTES => Ok(Some((message, descriptors))),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl From<Channel> for OwnedFd {
    fn from(channel: Channel) -> OwnedFd {
        channel.socket
    }
}

/// An entry, and whether its sockets outlive the server.
fn kind(entry: u32, outlive_us: bool) -> u32 {
    entry << 1 | u32::from(outlive_us)
}

impl Message {
    fn to_numbers(self) -> [u32; 4] {
        match self {
            Message::Setup {
                process,
                threads,
                addresses,
            } => [1, process, threads, addresses],
            Message::Sockets {
                thread,
                address,
                entry,
                outlive_us,
            } => [2, thread, address, kind(entry, outlive_us)],
            Message::Run => [3, 0, 0, 0],
            Message::Adopt {
                process,
                thread,
                entry,
                outlive_us,
            } => [4, process, thread, kind(entry, outlive_us)],
            Message::Release { process } => [5, process, 0, 0],
            Message::Command(command) => [6, command as u32, 0, 0],
            Message::Ready => [7, 0, 0, 0],
            Message::Ask(command) => [8, command as u32, 0, 0],
            Message::Signalled => [9, 0, 0, 0],
            Message::Ended { cut } => [10, cut, 0, 0],
            Message::TicketKeys => [11, 0, 0, 0],
            Message::Datagrams { thread, entry } => [12, thread, entry, 0],
            Message::QuicSecret { generation } => [13, generation, 0, 0],
            Message::Receive => [14, 0, 0, 0],
            Message::Ways => [15, 0, 0, 0],
            Message::AdoptDatagrams {
                process,
                thread,
                entry,
            } => [16, process, thread, entry],
        }
    }

    fn from_numbers(numbers: [u32; 4]) -> Option<Message> {
        let command = |number: u32| Command::from_number(u8::try_from(number).ok()?);
        Some(match numbers {
            [1, process, threads, addresses] => Message::Setup {
                process,
                threads,
                addresses,
            },
            [2, thread, address, kind] => Message::Sockets {
                thread,
                address,
                entry: kind >> 1,
                outlive_us: kind & 1 == 1,
            },
            [3, 0, 0, 0] => Message::Run,
            [4, process, thread, kind] => Message::Adopt {
                process,
                thread,
                entry: kind >> 1,
                outlive_us: kind & 1 == 1,
            },
            [5, process, 0, 0] => Message::Release { process },
            [6, number, 0, 0] => Message::Command(command(number)?),
            [7, 0, 0, 0] => Message::Ready,
            [8, number, 0, 0] => Message::Ask(command(number)?),
            [9, 0, 0, 0] => Message::Signalled,
            [10, cut, 0, 0] => Message::Ended { cut },
            [11, 0, 0, 0] => Message::TicketKeys,
            [12, thread, entry, 0] => Message::Datagrams { thread, entry },
            [13, generation, 0, 0] => Message::QuicSecret { generation },
            [14, 0, 0, 0] => Message::Receive,
            [15, 0, 0, 0] => Message::Ways,
            [16, process, thread, entry] => Message::AdoptDatagrams {
                process,
                thread,
                entry,
            },
            _ => return None,
        })
    }

    fn to_bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        for (place, number) in bytes.chunks_exact_mut(4).zip(self.to_numbers()) {
            place.copy_from_slice(&number.to_ne_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8; BYTES]) -> Option<Message> {
        let mut numbers = [0; 4];
        for (number, place) in numbers.iter_mut().zip(bytes.chunks_exact(4)) {
            *number = u32::from_ne_bytes(place.try_into().ok()?);
        }
        Message::from_numbers(numbers)
    }
}

#[cfg(test)]
mod tests;
