use std::os::unix::net::UnixStream;

use super::*;

/// A connected pair whose first end sends little before it blocks.
fn narrow_pair() -> (OwnedFd, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    ours.set_nonblocking(true).expect("nonblocking");
    theirs.set_nonblocking(true).expect("nonblocking");
    let ours = OwnedFd::from(ours);
    rustix::net::sockopt::set_socket_send_buffer_size(&ours, 4096).expect("a small buffer");
    (ours, theirs)
}

fn read_available(socket: &mut UnixStream, into: &mut Vec<u8>) {
    use std::io::Read;
    let mut buffer = [0; 1024];
    while let Ok(received) = socket.read(&mut buffer) {
        if received == 0 {
            break;
        }
        into.extend_from_slice(&buffer[..received]);
    }
}

fn filled() -> (Outbox, Vec<u8>) {
    let mut outbox = Outbox::default();
    let mut expected = Vec::new();
    let large = |byte: u8| Bytes::from(vec![byte; COPY_BYTES_MAX + 1]);
    for piece in [
        Bytes::from_static(b"head one;"),
        large(b'1'),
        large(b'2'),
        Bytes::from_static(b"head two;"),
        Bytes::from_static(b"small"),
        large(b'3'),
        Bytes::from_static(b"the end"),
    ] {
        expected.extend_from_slice(&piece);
        outbox.push(piece);
    }
    (outbox, expected)
}

#[test]
fn large_content_goes_by_reference_and_in_order() {
    let (outbox, expected) = filled();
    assert_eq!(outbox.len(), expected.len());
    assert!(outbox.buffer.len() < 64, "only the small pieces are copied");
    let mut outbox = outbox;
    let pieces = outbox.keep_rest(0).pieces;
    assert_eq!(
        pieces.iter().flatten().copied().collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn what_the_socket_does_not_take_waits_in_order() {
    let (socket, mut peer) = narrow_pair();
    let (mut outbox, expected) = filled();
    let mut pending = None;
    let mut received = Vec::new();

    let mut sent = outbox.send(&socket, &mut pending).expect("send");
    assert!(outbox.is_empty());
    let mut pending = pending.expect("the pair is narrow");
    while !pending.is_empty() {
        read_available(&mut peer, &mut received);
        sent += pending.send(&socket).expect("send");
    }
    read_available(&mut peer, &mut received);
    assert_eq!(sent, expected.len());
    assert!(
        received == expected,
        "bytes are lost, doubled or out of order"
    );
}

#[test]
fn a_full_socket_takes_nothing_and_loses_nothing() {
    let (socket, mut peer) = narrow_pair();
    let filler = vec![b'x'; 1 << 20];
    let mut filled = 0;
    loop {
        match super::send(&socket, &filler).expect("send") {
            0 => break,
            sent => filled += sent,
        }
    }
    let mut outbox = Outbox::default();
    outbox.push_static(b"behind");
    let mut pending = None;
    assert_eq!(outbox.send(&socket, &mut pending).expect("send"), 0);
    let mut pending = pending.expect("nothing went out");
    assert_eq!(pending.send(&socket).expect("send"), 0);
    outbox.push_static(b" and after");
    outbox.append_to(&mut pending);

    let mut received = Vec::new();
    while !pending.is_empty() {
        read_available(&mut peer, &mut received);
        pending.send(&socket).expect("send");
    }
    read_available(&mut peer, &mut received);
    assert_eq!(&received[filled..], b"behind and after");
}

#[test]
fn a_closed_peer_is_an_error_and_not_a_signal() {
    let (socket, peer) = narrow_pair();
    drop(peer);
    let mut outbox = Outbox::default();
    outbox.push_static(b"to nobody");
    let error = outbox
        .send(&socket, &mut None)
        .expect_err("the peer is gone");
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    assert!(outbox.is_empty());
}

#[test]
fn every_split_of_what_was_sent_leaves_the_rest() {
    let (mut outbox, expected) = filled();
    let all = outbox.keep_rest(0).pieces;
    for sent in 0..=expected.len() {
        let mut pending = Pending {
            pieces: all.clone(),
            bytes: expected.len(),
            owned: 0,
        };
        pending.advance(sent);
        assert_eq!(pending.bytes, expected.len() - sent);
        let rest: Vec<u8> = pending.pieces.iter().flatten().copied().collect();
        assert_eq!(rest, &expected[sent..]);
        assert_eq!(
            pending.is_empty(),
            sent == expected.len(),
            "no empty piece stays: {sent}"
        );
    }
}

#[test]
fn more_pieces_than_one_call_takes_all_leave_at_once() {
    // Nothing would tell us to go on: the socket was never full.
    let (ours, mut peer) = UnixStream::pair().expect("a socket pair");
    peer.set_nonblocking(true).expect("nonblocking");
    let socket = OwnedFd::from(ours);
    let piece = Bytes::from(vec![b'x'; 10]);
    let mut pending = Pending {
        pieces: VecDeque::from(vec![piece; 5 * GATHERED_PIECES_MAX / 2]),
        bytes: 10 * 5 * GATHERED_PIECES_MAX / 2,
        owned: 0,
    };
    let sent = pending.send(&socket).expect("send");
    assert_eq!(sent, 10 * 5 * GATHERED_PIECES_MAX / 2);
    assert!(pending.is_empty());
    let mut received = Vec::new();
    read_available(&mut peer, &mut received);
    assert_eq!(received.len(), sent);
}

/// What others share is not held for this connection.
#[test]
fn only_what_nobody_else_has_is_held() {
    let shared = Bytes::from(vec![b's'; COPY_BYTES_MAX + 1]);
    let own = Bytes::from(vec![b'o'; COPY_BYTES_MAX + 1]);
    let forever: &[u8] = &[b'f'; COPY_BYTES_MAX + 1];
    let mut outbox = Outbox::default();
    outbox.push(Bytes::from_static(b"head"));
    outbox.push(shared.clone());
    outbox.push(own);
    outbox.push(Bytes::from_static(forever));
    let mut pending = outbox.keep_rest(0);
    assert_eq!(pending.held(), 4 + COPY_BYTES_MAX + 1);
    pending.advance(4 + 3 * (COPY_BYTES_MAX + 1) - 5);
    assert_eq!(pending.held(), 5, "no more than what is left");
}
