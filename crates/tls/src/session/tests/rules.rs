//! What no client of a library would do once the handshake is complete.

use std::io::{Read, Write};

use rustls::version;

use super::crafted::{Crafter, HANDSHAKE, crafted_in};
use super::*;

/// What comes of bytes for a session that finished its handshake: the result, the plaintext and what
/// is to be sent.
fn receive(session: &mut Session, mut bytes: Vec<u8>) -> (Result<(), Failure>, Vec<u8>, Vec<u8>) {
    let (mut plaintext, mut output) = (Vec::new(), Vec::new());
    let sink = |bytes: &[u8]| plaintext.extend(bytes);
    let result = session.receive(&mut bytes, &mut output, sink);
    (result, plaintext, output)
}

/// A message, without the header of its record.
fn hello() -> Vec<u8> {
    let made = fixed();
    let client = x25519_client(&made, &version::TLS12);
    let flight = Pair::new(&client, &made.config(&options()), "a").flight();
    flight[HEADER_LEN..].to_vec()
}

#[test]
fn renegotiation_is_refused_once_and_then_ends_the_session() {
    let (mut session, mut crafter) = crafted_in(&version::TLS12);
    let (result, plaintext, output) = receive(&mut session, crafter.record(HANDSHAKE, &hello()));
    assert_eq!(result, Ok(()));
    assert!(plaintext.is_empty());
    // An alert, no_renegotiation (RFC 5246 §7.2.2), and the session goes on.
    assert_eq!(records(&output), [5 + 2 + 16]);
    assert_eq!(output[0], 21);
    let (result, plaintext, _) = receive(&mut session, crafter.record(APPLICATION_DATA, b"x"));
    assert_eq!((result, &plaintext[..]), (Ok(()), &b"x"[..]));
    let (result, _, output) = receive(&mut session, crafter.record(HANDSHAKE, &hello()));
    assert_eq!(result, Err(Failure::ProtocolViolation));
    assert!(output.len() <= 5 + 2 + 16);
}

#[test]
fn renegotiation_after_we_closed_is_not_answered() {
    let (mut session, mut crafter) = crafted_in(&version::TLS12);
    session.close(&mut Vec::new());
    let (result, _, output) = receive(&mut session, crafter.record(HANDSHAKE, &hello()));
    assert_eq!(result, Ok(()));
    assert!(output.is_empty());
}

#[test]
fn a_second_hello_ends_a_session_of_1_3() {
    let (mut session, mut crafter) = crafted_in(&version::TLS13);
    let (result, _, output) = receive(&mut session, crafter.record(HANDSHAKE, &hello()));
    assert_eq!(result, Err(Failure::ProtocolViolation));
    assert_eq!(records(&output), [5 + 2 + 1 + 16], "an alert");
}

#[test]
fn what_is_not_encrypted_is_refused_after_the_handshake() {
    for version in BOTH {
        for bytes in [
            // close_notify, with which anyone could cut the connection off.
            &[21, 3, 3, 0, 2, 1, 0][..],
            &[21, 3, 3, 0, 2, 2, 40],
            &[22, 3, 3, 0, 4, 1, 0, 0, 0],
            &[23, 3, 3, 0, 1, b'x'],
            &[20, 3, 3, 0, 1, 1],
            &[24, 3, 3, 0, 1, 1],
            &[23, 3, 3, 0, 0],
        ] {
            let (mut session, _) = crafted_in(version);
            let (result, plaintext, _) = receive(&mut session, bytes.to_vec());
            assert!(result.is_err(), "{bytes:?} {:?}", version.version);
            assert!(plaintext.is_empty());
            assert!(!session.peer_has_closed());
            assert_ne!(session.input_ended(), InputEnd::Clean);
            // And the same when each byte comes alone.
            let (mut session, _) = crafted_in(version);
            let mut output = Vec::new();
            let mut piecewise = bytes
                .iter()
                .map(|&byte| session.receive(&mut [byte], &mut output, |_| panic!("plaintext")));
            assert_eq!(piecewise.find(Result::is_err), Some(result));
        }
    }
}

#[test]
fn a_record_is_as_large_as_it_may_be_and_no_larger() {
    for version in BOTH {
        let largest = vec![b'x'; PLAINTEXT_RECORD_MAX];
        let (mut session, mut crafter) = crafted_in(version);
        let record = crafter.record(APPLICATION_DATA, &largest);
        let (result, plaintext, _) = receive(&mut session, record);
        assert!(result == Ok(()) && plaintext == largest);
        let larger = [&largest[..], b"x"].concat();
        let record = crafter.record(APPLICATION_DATA, &larger);
        let (result, plaintext, output) = receive(&mut session, record);
        assert_eq!(result, Err(Failure::RecordTooLarge));
        assert!(plaintext.is_empty());
        assert_eq!(records(&output).len(), 1, "an alert");
        // What cannot be right however it is encrypted is refused from its header.
        let (mut session, _) = crafted_in(version);
        let len = (PLAINTEXT_RECORD_MAX as u16 + 2048 + 1).to_be_bytes();
        let (result, _, _) = receive(&mut session, vec![23, 3, 3, len[0], len[1]]);
        assert_eq!(result, Err(Failure::RecordTooLarge));
    }
}

#[test]
fn records_may_not_be_repeated_left_out_or_exchanged() {
    type Mangle = fn(Vec<Vec<u8>>) -> Vec<Vec<u8>>;
    let mangles: [(Mangle, usize); 3] = [
        (|all| vec![all[0].clone(), all[0].clone()], 1),
        (|all| vec![all[0].clone(), all[2].clone()], 1),
        (|all| vec![all[1].clone(), all[0].clone()], 0),
    ];
    for version in BOTH {
        for (mangle, arrive) in mangles {
            let (mut session, mut crafter) = crafted_in(version);
            let content: [&[u8]; 3] = [b"1", b"2", b"3"];
            let all = content.map(|content| crafter.record(APPLICATION_DATA, content));
            let (result, plaintext, _) = receive(&mut session, mangle(all.to_vec()).concat());
            assert_eq!(result, Err(Failure::BadRecord));
            assert_eq!(plaintext, content.concat()[..arrive]);
        }
    }
}

#[test]
fn padding_is_taken_off() {
    let (mut session, mut crafter) = crafted_in(&version::TLS13);
    for zeros in [1, 15, 255, 10_000] {
        let record = crafter.padded_record(APPLICATION_DATA, b"content", zeros);
        let (result, plaintext, _) = receive(&mut session, record);
        assert_eq!((result, &plaintext[..]), (Ok(()), &b"content"[..]));
    }
    // Nothing but padding has no content type (RFC 8446 §5.4).
    let (result, ..) = receive(&mut session, crafter.padded_record(0, b"", 20));
    assert!(result.is_err());
}

/// Content, an empty record, more content, and the end, with garbage behind it.
fn conversation(crafter: &mut Crafter) -> Vec<u8> {
    let content = |crafter: &mut Crafter, content| crafter.record(APPLICATION_DATA, content);
    let mut bytes = content(crafter, b"some content");
    bytes.extend(content(crafter, b""));
    bytes.extend(content(crafter, b" and more"));
    bytes.extend(crafter.record(21, &[1, 0]));
    bytes.extend([0xff; 7]);
    bytes
}

#[test]
fn records_may_come_in_any_two_pieces() {
    for version in BOTH {
        let mut cut = 0;
        loop {
            let (mut session, mut crafter) = crafted_in(version);
            let mut bytes = conversation(&mut crafter);
            if cut > bytes.len() {
                break;
            }
            let (mut plaintext, mut output) = (Vec::<u8>::new(), Vec::new());
            let (first, second) = bytes.split_at_mut(cut);
            for piece in [first, second] {
                session
                    .receive(piece, &mut output, |bytes| plaintext.extend(bytes))
                    .unwrap();
            }
            assert_eq!(plaintext, b"some content and more", "cut at {cut}");
            assert_eq!(session.input_ended(), InputEnd::Clean);
            assert!(output.is_empty());
            assert_eq!(session.held.bytes.capacity(), 0);
            cut += 1;
        }
    }
}

fn connected_13() -> Pair {
    let made = fixed();
    let client = x25519_client(&made, &version::TLS13);
    Pair::connected(&client, &made.config(&options()), "a")
}

#[test]
fn key_updates_with_nothing_between_them_are_bounded() {
    let mut pair = connected_13();
    let mut updates = 0;
    let failure = loop {
        pair.client.refresh_traffic_keys().unwrap();
        if let Err(failure) = pair.run() {
            break failure;
        }
        updates += 1;
        assert!(updates < 100, "not noticed");
    };
    assert_eq!(failure, Failure::ProtocolViolation);
    assert!(updates >= 10, "a few are fine: {updates}");
}

#[test]
fn key_updates_with_content_between_them_cost_one_answer_only() {
    let mut pair = connected_13();
    for _ in 0..200 {
        pair.client.refresh_traffic_keys().unwrap();
        pair.client_sends(b"x");
        let (result, plaintext, output) = {
            let flight = pair.flight();
            receive(&mut pair.session, flight)
        };
        assert_eq!((result, &plaintext[..]), (Ok(()), &b"x"[..]));
        assert!(output.is_empty());
        assert_eq!(pair.session.held.bytes.capacity(), 0);
    }
    let mut output = Vec::new();
    pair.session.encrypt(b"answer", &mut output).unwrap();
    assert_eq!(records(&output).len(), 2);
    pair.give_client(&output);
    assert_eq!(pair.client_error, None);
    let mut answer = [0; 6];
    pair.client.reader().read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"answer");
}

#[test]
fn key_updates_may_come_in_any_two_pieces() {
    let mut cut = 0;
    loop {
        let mut pair = connected_13();
        pair.client.writer().write_all(b"before").unwrap();
        pair.client.refresh_traffic_keys().unwrap();
        pair.client.writer().write_all(b"after").unwrap();
        let mut flight = pair.flight();
        if cut > flight.len() {
            break;
        }
        let (first, second) = flight.split_at_mut(cut);
        pair.give(first).unwrap();
        assert_eq!(pair.server_sends(b"between"), b"between");
        pair.give(second).unwrap();
        assert_eq!(pair.received, b"beforeafter", "cut at {cut}");
        assert_eq!(pair.server_sends(b"answer"), b"answer");
        cut += 1;
    }
}

#[test]
fn small_writes_count_together_for_the_size_of_records() {
    for version in BOTH {
        let made = fixed();
        let client = x25519_client(&made, version);
        let mut pair = Pair::connected(&client, &made.config(&options()), "a");
        let mut sizes = |len: usize| {
            let mut output = Vec::new();
            pair.session.encrypt(&vec![0; len], &mut output).unwrap();
            records(&output)
        };
        for _ in 0..SMALL_RECORDS_LEN / 64 {
            assert_eq!(sizes(64).len(), 1, "a write is a record");
        }
        assert_eq!(sizes(20_000).len(), 2, "large ones from here on");
        assert_eq!(sizes(1).len(), 1);
        pair.session.was_idle();
        let mut output = Vec::new();
        pair.session.encrypt(&[0; 20_000], &mut output).unwrap();
        assert_eq!(records(&output).len(), 20_000_usize.div_ceil(1_400));
    }
}

#[test]
fn a_record_without_content_is_kept_as_a_whole_one() {
    // rustls refuses them all, but a session may not count on that: it would wait for bytes that the
    // record does not lack.
    let mut held = Held::default();
    let mut input = [23, 3, 3, 0, 0, 23, 3];
    assert_eq!(held.fill_from(&mut input[..3]), (&mut [][..], false));
    assert_eq!((held.whole, held.missing()), (0, 2));
    assert_eq!(held.fill_from(&mut input[3..]), (&mut [23, 3][..], true));
    assert_eq!((held.whole, held.missing()), (5, 5));
    assert_eq!(held.fill_from(&mut input[5..]), (&mut [][..], false));
    assert_eq!((held.whole, held.missing()), (5, 3));
}
