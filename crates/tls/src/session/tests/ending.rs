//! How sessions end: close_notify, other alerts, and nothing at all.

use rustls::version;

use super::crafted::{ALERT, HANDSHAKE, crafted_in};
use super::*;

const CLOSE_NOTIFY: [u8; 2] = [1, 0];

#[test]
fn content_and_close_notify_in_one_read_arrive_in_order() {
    for version in BOTH {
        let (mut session, mut crafter) = crafted_in(version);
        let mut input = crafter.record(APPLICATION_DATA, b"last words");
        input.extend(crafter.record(ALERT, &CLOSE_NOTIFY));
        // Good records, but too late.
        input.extend(crafter.record(APPLICATION_DATA, b"forgotten"));
        let (mut plaintext, mut output) = (Vec::<u8>::new(), Vec::new());
        for mut piece in [input, crafter.record(APPLICATION_DATA, b"too"), vec![0; 99]] {
            session
                .receive(&mut piece, &mut output, |bytes| plaintext.extend(bytes))
                .unwrap();
        }
        assert_eq!(plaintext, b"last words");
        assert!(session.peer_has_closed());
        assert_eq!(session.input_ended(), InputEnd::Clean);
        assert!(output.is_empty());
        // Nothing of it is in the way of what we have to say.
        session.encrypt(b"answer", &mut output).unwrap();
        session.close(&mut output);
        assert_eq!(records(&output).len(), 2);
        assert_eq!(session.held.bytes.capacity(), 0);
    }
}

#[test]
fn an_end_in_the_midst_of_a_record_is_a_truncation() {
    for version in BOTH {
        let (mut session, mut crafter) = crafted_in(version);
        let mut record = crafter.record(ALERT, &CLOSE_NOTIFY);
        let mut output = Vec::new();
        for byte in &mut record {
            assert_eq!(session.input_ended(), InputEnd::Truncated);
            session
                .receive(std::slice::from_mut(byte), &mut output, |_| ())
                .unwrap();
        }
        assert_eq!(session.input_ended(), InputEnd::Clean);
    }
}

#[test]
fn the_end_of_the_input_during_the_handshake_is_told() {
    let made = fixed();
    for version in BOTH {
        let client = x25519_client(&made, version);
        let mut pair = Pair::new(&client, &made.config(&options()), "a");
        // An unauthenticated close_notify closes nothing.
        let mut alert = [21, 3, 1, 0, 2, 1, 0];
        pair.give(&mut alert).unwrap();
        assert!(!pair.session.peer_has_closed());
        let mut hello = pair.flight();
        pair.give(&mut hello).unwrap();
        let mut finished = pair.flight();
        let last = finished.len() - 1;
        pair.give(&mut finished[..last]).unwrap();
        assert_eq!(pair.session.input_ended(), InputEnd::DuringHandshake);
        pair.give(&mut finished[last..]).unwrap();
        assert_eq!(pair.session.input_ended(), InputEnd::Truncated);
    }
}

#[test]
fn a_fatal_alert_ends_the_session_and_is_not_answered() {
    for version in BOTH {
        for description in [10, 40, 80, 255] {
            let (mut session, mut crafter) = crafted_in(version);
            let mut alert = crafter.record(ALERT, &[2, description]);
            let mut output = Vec::new();
            let failure = Failure::AlertReceived(description);
            let result = session.receive(&mut alert, &mut output, |_| ());
            assert_eq!(result, Err(failure));
            session.close(&mut output);
            let refused = session.encrypt(b"x", &mut output);
            assert_eq!(refused, Err(EncryptError::Failed(failure)));
            assert!(output.is_empty());
            assert_ne!(session.input_ended(), InputEnd::Clean);
        }
    }
}

#[test]
fn user_canceled_is_followed_by_close_notify() {
    for version in BOTH {
        let (mut session, mut crafter) = crafted_in(version);
        let mut input = crafter.record(ALERT, &[1, 90]);
        input.extend(crafter.record(ALERT, &CLOSE_NOTIFY));
        let mut output = Vec::new();
        session.receive(&mut input, &mut output, |_| ()).unwrap();
        assert_eq!(session.input_ended(), InputEnd::Clean);
        assert!(output.is_empty());
    }
}

#[test]
fn warnings_without_end_are_refused() {
    // TLS 1.3 has no warnings but user_canceled (RFC 8446 §6).
    for (version, description, failure, at) in [
        (&version::TLS12, 100, Failure::ProtocolViolation, 4),
        (&version::TLS12, 90, Failure::ProtocolViolation, 4),
        (&version::TLS13, 90, Failure::ProtocolViolation, 4),
        (&version::TLS13, 100, Failure::AlertReceived(100), 0),
    ] {
        let (mut session, mut crafter) = crafted_in(version);
        let mut output = Vec::new();
        let mut results = (0..20).map(|_| {
            let mut alert = crafter.record(ALERT, &[1, description]);
            session.receive(&mut alert, &mut output, |_| ())
        });
        assert_eq!(results.position(|result| result == Err(failure)), Some(at));
    }
}

#[test]
fn what_is_no_alert_is_refused() {
    for version in BOTH {
        for content in [&b""[..], &[1], &[2], &[1, 0, 0], &[3, 0], &[0, 40]] {
            let (mut session, mut crafter) = crafted_in(version);
            let mut alert = crafter.record(ALERT, content);
            let mut output = Vec::new();
            let result = session.receive(&mut alert, &mut output, |_| ());
            // An empty one is an empty record, of which a few are let through.
            assert!(result.is_err() || content.is_empty(), "{content:?}");
            assert_ne!(session.input_ended(), InputEnd::Clean, "{content:?}");
        }
    }
}

#[test]
fn close_notify_in_the_midst_of_a_message_is_no_clean_end() {
    let (mut session, mut crafter) = crafted_in(&version::TLS13);
    let mut input = crafter.record(HANDSHAKE, &[24, 0]);
    input.extend(crafter.record(ALERT, &CLOSE_NOTIFY));
    let mut output = Vec::new();
    let result = session.receive(&mut input, &mut output, |_| ());
    assert_eq!(result, Err(Failure::ProtocolViolation));
    assert_eq!(session.input_ended(), InputEnd::Truncated);
}

#[test]
fn closing_before_there_are_keys_sends_nothing() {
    let made = fixed();
    for version in BOTH {
        let client = x25519_client(&made, version);
        let mut pair = Pair::new(&client, &made.config(&options()), "a");
        let mut output = Vec::new();
        pair.session.close(&mut output);
        assert!(output.is_empty());
        assert_eq!(
            pair.session.encrypt(b"x", &mut output),
            Err(EncryptError::Closed)
        );
        // The handshake may go on; it serves nobody.
        pair.run().unwrap();
        let refused = pair.session.encrypt(b"x", &mut output);
        assert_eq!(refused, Err(EncryptError::Closed));
        assert!(output.is_empty());
    }
}

#[test]
fn after_both_have_closed_nothing_more_is_said() {
    for version in BOTH {
        for we_are_first in [true, false] {
            let (mut session, mut crafter) = crafted_in(version);
            let mut output = Vec::new();
            if we_are_first {
                session.close(&mut output);
            }
            let mut alert = crafter.record(ALERT, &CLOSE_NOTIFY);
            session.receive(&mut alert, &mut output, |_| ()).unwrap();
            session.close(&mut output);
            assert_eq!(records(&output).len(), 1);
            let mut more = crafter.record(APPLICATION_DATA, b"x");
            session
                .receive(&mut more, &mut output, |_| panic!("plaintext"))
                .unwrap();
            session.close(&mut output);
            assert_eq!(records(&output).len(), 1);
            assert_eq!(session.input_ended(), InputEnd::Clean);
        }
    }
}

#[test]
fn whatever_comes_after_we_closed_is_answered_with_nothing() {
    // RFC 8446 §6.1: close_notify is the last that is sent.
    for version in BOTH {
        let (mut session, mut crafter) = crafted_in(version);
        let mut output = Vec::new();
        session.close(&mut output);
        let len = output.len();
        let mut content = crafter.record(APPLICATION_DATA, b"x");
        let mut damaged = crafter.record(APPLICATION_DATA, b"x");
        damaged[10] ^= 1;
        let received = session.receive(&mut content, &mut output, |_| ());
        assert_eq!(received, Ok(()));
        let refused = session.receive(&mut damaged, &mut output, |_| ());
        assert_eq!(refused, Err(Failure::BadRecord));
        assert_eq!(output.len(), len);
    }
}
