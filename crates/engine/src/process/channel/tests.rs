use std::fs::File;
use std::io::{Read, Write};

use super::*;

const MESSAGES: &[Message] = &[
    Message::Setup {
        process: 1,
        threads: 2,
        addresses: 3,
    },
    Message::Sockets {
        thread: 7,
        address: 250,
        entry: 3,
        outlive_us: false,
    },
    Message::Run,
    Message::Adopt {
        process: u32::MAX,
        thread: 0,
        entry: 0x7fff_ffff,
        outlive_us: true,
    },
    Message::Release { process: 5 },
    Message::Command(Command::Retire),
    Message::Command(Command::DrainNow),
    Message::Ready,
    Message::Ask(Command::Stop),
    Message::Signalled,
    Message::Ended { cut: 9 },
    Message::TicketKeys,
    Message::Datagrams {
        thread: 1,
        entry: 2,
    },
    Message::QuicSecret { generation: 255 },
    Message::Receive,
    Message::Ways,
    Message::AdoptDatagrams {
        process: 1,
        thread: 2,
        entry: 3,
    },
];

#[test]
fn messages_arrive_as_they_were_sent_and_then_the_end() {
    let (ours, theirs) = Channel::pair().expect("a channel");
    for message in MESSAGES {
        ours.send(*message, &[]).expect("room");
    }
    for message in MESSAGES {
        let (received, descriptors) = theirs.receive().expect("one").expect("not the end");
        assert_eq!((received, descriptors.len()), (*message, 0));
    }
    let none = theirs.receive().map(|_| ()).map_err(|error| error.kind());
    assert_eq!(none, Err(io::ErrorKind::WouldBlock));
    drop(ours);
    assert!(theirs.receive().expect("the end").is_none());
    assert!(theirs.send(Message::Ready, &[]).is_err());
}

#[test]
fn descriptors_arrive_open_and_in_order() {
    let (ours, theirs) = Channel::pair().expect("a channel");
    let pipes: Vec<_> = (0..DESCRIPTORS_MAX)
        .map(|_| std::io::pipe().expect("a pipe"))
        .collect();
    let writers: Vec<BorrowedFd<'_>> = pipes.iter().map(|(_, writer)| writer.as_fd()).collect();
    ours.send(Message::Run, &writers).expect("room");
    let (_, descriptors) = theirs.receive().expect("one").expect("not the end");
    assert_eq!(descriptors.len(), DESCRIPTORS_MAX);
    for (number, descriptor) in descriptors.into_iter().enumerate() {
        let flags = rustix::io::fcntl_getfd(&descriptor).expect("open");
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        File::from(descriptor)
            .write_all(&[number as u8])
            .expect("a pipe");
        let mut byte = [0];
        (&pipes[number].0).read_exact(&mut byte).expect("a byte");
        assert_eq!(byte, [number as u8]);
    }
    let one_too_many = vec![pipes[0].1.as_fd(); DESCRIPTORS_MAX + 1];
    assert!(ours.send(Message::Run, &one_too_many).is_err());
}

#[test]
fn what_is_no_message_is_refused() {
    for numbers in [
        [0; 4],
        [11, 1, 0, 0],
        [12, 0, 0, 1],
        [14, 1, 0, 0],
        [17, 0, 0, 0],
        [3, 1, 0, 0],
        [6, 99, 0, 0],
        [8, 256, 0, 0],
    ] {
        assert_eq!(Message::from_numbers(numbers), None, "{numbers:?}");
    }
    let (ours, theirs) = Channel::pair().expect("a channel");
    let short = rustix::net::send(&ours, b"short", SendFlags::empty());
    assert_eq!(short, Ok(5));
    let kind = theirs.receive().map(|_| ()).map_err(|error| error.kind());
    assert_eq!(kind, Err(io::ErrorKind::InvalidData));
}

#[test]
fn a_reader_that_does_not_read_is_noticed() {
    let (ours, _theirs) = Channel::pair().expect("a channel");
    let full = (0..1_000_000).find_map(|_| ours.send(Message::Ready, &[]).err());
    assert_eq!(
        full.map(|error| error.kind()),
        Some(io::ErrorKind::WouldBlock)
    );
}
