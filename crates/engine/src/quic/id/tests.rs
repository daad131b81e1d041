use super::*;

fn seat(worker: u16, workers: u16) -> Seat {
    Seat {
        worker,
        workers,
        generation: 7,
    }
}

#[test]
fn identifiers_name_their_worker() {
    for workers in [1, 2, 3, 4, 7, 64, 255, 1000] {
        for worker in [0, workers / 2, workers - 1] {
            let seat = seat(worker, workers);
            let mut ids = IdGenerator::new(seat, [3, 5], LastId::default());
            for _ in 0..200 {
                let id = ids.generate_cid();
                assert_eq!(seat.worker_of(&id), Some(worker));
                assert!(ids.validate(&id).is_ok());
            }
        }
    }
}

#[test]
fn the_largest_random_bytes_name_it_too() {
    let seat = seat(2, 3);
    let id = IdGenerator::new(seat, [0, 0], LastId::default()).make([0xff; 9]);
    assert_eq!(seat.worker_of(&id), Some(2));
}

#[test]
fn identifiers_of_others_are_not_ours() {
    let ours = IdGenerator::new(seat(0, 4), [1, 2], LastId::default());
    let theirs = IdGenerator::new(seat(1, 4), [1, 2], LastId::default()).generate_cid();
    assert!(ours.validate(&theirs).is_err());
    assert!(ours.validate(&ConnectionId::new(b"short")).is_err());
}

#[test]
fn generations_cannot_be_seen() {
    let ids = IdGenerator::new(
        seat(0, 4),
        [0x1234_5678_9abc_def0, 0x0fed_cba9_8765_4321],
        LastId::default(),
    );
    let masked: std::collections::HashSet<u8> = (0..64)
        .map(|n| ids.make([0, 0, n, 1, 2, 3, 4, 5, 6])[2])
        .collect();
    assert!(masked.len() > 32, "{masked:?}");
}

#[test]
fn settled_destinations_are_found() {
    let short = [0x40, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 99];
    let id: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
    assert_eq!(settled_destination(&short), Some(id));
    let handshake = [&[0xe0, 0, 0, 0, 1, 10], id, &[0]].concat();
    assert_eq!(settled_destination(&handshake), Some(id));
    let other_length = [&[0xe0, 0, 0, 0, 1, 8], id, &[0]].concat();
    assert_eq!(settled_destination(&other_length), None);
    let other_version = [&[0xe0, 0, 0, 0, 2, 10], id, &[0]].concat();
    assert_eq!(settled_destination(&other_version), None);
    for unsettled in [0xc0, 0xd0, 0xf0] {
        let packet = [&[unsettled, 0, 0, 0, 1, 10], id, &[0]].concat();
        assert_eq!(settled_destination(&packet), None, "{unsettled:x}");
    }
    for len in 0..short.len() - 1 {
        assert_eq!(settled_destination(&short[..len]), None);
    }
    assert_eq!(settled_destination(&[0xe0, 0, 0]), None);
}

/// Runs a classic BPF program as the kernel does, as far as ours needs it.
fn run(program: &[libc::sock_filter], datagram: &[u8]) -> u32 {
    let (mut at, mut a) = (0, 0_u32);
    let load = |at: u32, len: usize| datagram.get(at as usize..at as usize + len);
    loop {
        let libc::sock_filter { code, jt, jf, k } = program[at];
        at += 1;
        match code {
            0x30 => match load(k, 1) {
                Some(bytes) => a = bytes[0].into(),
                None => return 0,
            },
            0x28 => match load(k, 2) {
                Some(bytes) => a = u16::from_be_bytes([bytes[0], bytes[1]]).into(),
                None => return 0,
            },
            0x45 => at += usize::from(if a & k != 0 { jt } else { jf }),
            0x05 => at += k as usize,
            0x94 => a %= k,
            0x16 => return a,
            other => panic!("no such instruction: {other:x}"),
        }
    }
}

#[test]
fn the_program_follows_the_rule() {
    let seat = seat(3, 5);
    let id = IdGenerator::new(seat, [8, 9], LastId::default()).generate_cid();
    let program = steering_program(5);
    let short = [&[0x41], &id[..], &[0; 30]].concat();
    assert_eq!(run(&program, &short), 3);
    for long in [0xc0, 0xd0, 0xe0, 0xf0] {
        let packet = [&[long, 0, 0, 0, 1, 10], &id[..], &[0; 30]].concat();
        assert_eq!(run(&program, &packet), 3);
    }
    assert_eq!(run(&program, &[]), 0);
    assert_eq!(run(&program, &[0x40, 1]), 0);
    assert_eq!(run(&program, &[0xc0, 0, 0, 0, 1, 10]), 0);
}

/// The kernel itself: as many sockets as workers, and each datagram at the one that it names.
#[test]
fn the_kernel_follows_the_rule() {
    use std::net::UdpSocket;
    let socket = |address: std::net::SocketAddr| {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
        socket.set_reuse_port(true).unwrap();
        socket.bind(&address.into()).unwrap();
        UdpSocket::from(socket)
    };
    let first = socket("127.0.0.1:0".parse().unwrap());
    let address = first.local_addr().unwrap();
    let workers = 4;
    let sockets: Vec<UdpSocket> = std::iter::once(first)
        .chain((1..workers).map(|_| socket(address)))
        .collect();
    steer(&sockets[0], workers).unwrap();
    for round in 0..32_u16 {
        let worker = round % workers;
        let seat = seat(worker, workers);
        let id = IdGenerator::new(seat, [round.into(), 1], LastId::default()).generate_cid();
        let datagram = [&[0x40], &id[..], &[round as u8; 20]].concat();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(&datagram, address).unwrap();
        let mut received = [0; 64];
        let timeout = Duration::from_secs(5);
        let socket = &sockets[usize::from(worker)];
        socket.set_read_timeout(Some(timeout)).unwrap();
        let len = socket.recv(&mut received).unwrap();
        assert_eq!(received[..len], datagram);
    }
}

#[test]
fn an_initial_packet_of_a_second_flight_names_an_identifier_of_ours() {
    let last = LastId::default();
    let id = IdGenerator::new(seat(0, 4), [1, 2], last.clone()).generate_cid();
    assert_eq!(&last.get()[..], &id[..]);
    let packet = |first: u8, version: u8, len: u8| {
        [&[first, 0, 0, 0, version, len][..], &id, &[0; 30]].concat()
    };
    // Two bits of the type, between the fixed bit, which may be anything, and four that are protected.
    for first in [0x80, 0x8f, 0xc0, 0xcf] {
        let packet = packet(first, 1, ID_LEN as u8);
        assert_eq!(
            initial_destination(&packet).map(|it| &it[..]),
            Some(&id[..])
        );
        assert_eq!(initial_destination(&packet[..6 + ID_LEN - 1]), None);
    }
    for (first, version, len) in [
        (0xd0, 1, ID_LEN),
        (0xe0, 1, ID_LEN),
        (0xf0, 1, ID_LEN),
        (0x40, 1, ID_LEN),
        (0xc0, 0, ID_LEN),
        (0xc0, 2, ID_LEN),
        (0xc0, 1, ID_LEN - 1),
        (0xc0, 1, ID_LEN + 1),
    ] {
        assert_eq!(
            initial_destination(&packet(first, version, len as u8)),
            None
        );
    }
}
