//! Sessions against rustls's buffered client.

use std::sync::Arc;

use proptest::prelude::*;
use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
use rustls::crypto::aws_lc_rs as provider;
use rustls::{AlertDescription, ClientConfig, Error, version};

use super::*;
use crate::testing::{BOTH, Made, Pair, now, records};
use crate::{CertStore, Options, VersionMin};

mod crafted;
mod early_data;
mod ending;
mod names;
mod rules;

fn options() -> Options {
    Options {
        alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        ..Options::default()
    }
}

#[test]
fn both_versions_with_each_kind_of_key_agree_on_everything() {
    for key in [
        KeyPair::generate().unwrap(),
        KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap(),
        KeyPair::generate_for(&PKCS_ED25519).unwrap(),
    ] {
        let made = Made::with_key(&["example.com"], &key);
        let config = made.config(&options());
        for version in BOTH {
            let mut client = made.client(&[version]);
            client.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
            let mut pair = Pair::connected(&client, &config, "Example.COM");
            let session = &pair.session;
            assert_eq!(session.version(), Some(version.version));
            assert_eq!(session.alpn(), Some(&b"h2"[..]), "our order counts");
            assert_eq!(session.sni(), Some("example.com"));
            assert_eq!(session.peer_certificates(), None);
            assert_eq!(session.handshake_kind(), Some(HandshakeKind::Full));
            assert_eq!(
                session.cipher_suite(),
                pair.client
                    .negotiated_cipher_suite()
                    .map(|suite| suite.suite())
            );
            pair.client_sends(b"ping");
            pair.run().unwrap();
            assert_eq!(pair.received, b"ping");
            assert_eq!(pair.server_sends(b"pong"), b"pong");
            assert!(pair.session.held.bytes.is_empty());
        }
    }
}

#[test]
fn the_group_is_post_quantum_if_the_client_can() {
    let made = Made::new(&["a"]);
    let config = made.config(&options());
    let group = |client: &ClientConfig| {
        Pair::connected(client, &config, "a")
            .session
            .key_exchange_group()
    };
    let client = made.client(&[&version::TLS13]);
    assert_eq!(group(&client), Some(NamedGroup::X25519MLKEM768));
    // A client that guesses X25519 and supports the other is asked again.
    let mut provider = provider::default_provider();
    provider.kx_groups = vec![
        provider::kx_group::X25519,
        provider::kx_group::X25519MLKEM768,
    ];
    let client = made.client_with(provider, &[&version::TLS13]);
    let mut pair = Pair::connected(&client, &config, "a");
    assert!(matches!(
        pair.session.key_exchange_group(),
        Some(NamedGroup::X25519MLKEM768 | NamedGroup::X25519)
    ));
    assert_eq!(pair.session.sni(), Some("a"));
    assert_eq!(pair.server_sends(b"x"), b"x");
    assert_eq!(
        group(&x25519_client(&made, &version::TLS13)),
        Some(NamedGroup::X25519)
    );
}

/// A client whose flights are short.
fn x25519_client(made: &Made, version: &'static rustls::SupportedProtocolVersion) -> ClientConfig {
    let mut provider = provider::default_provider();
    provider.kx_groups = vec![provider::kx_group::X25519];
    made.client_with(provider, &[version])
}

#[test]
fn a_second_hello_after_a_retry_request() {
    let made = Made::new(&["a"]);
    let config = made.config(&options());
    let mut provider = provider::default_provider();
    // The server supports only the second, whose share the client did not send.
    provider.kx_groups = vec![&Unusable, provider::kx_group::SECP384R1];
    let client = made.client_with(provider, &[&version::TLS13]);
    let mut pair = Pair::connected(&client, &config, "a");
    assert_eq!(
        pair.session.handshake_kind(),
        Some(HandshakeKind::FullWithHelloRetryRequest)
    );
    assert_eq!(pair.session.sni(), Some("a"));
    assert_eq!(pair.server_sends(b"x"), b"x");
    // Nothing of it is left for the next session of this thread.
    let mut next = Pair::new(&client, &config, "127.0.0.1");
    next.run().unwrap_err();
    assert_eq!(next.session.sni(), None);
}

/// A group that no server knows.
#[derive(Debug)]
struct Unusable;

impl rustls::crypto::SupportedKxGroup for Unusable {
    fn start(&self) -> Result<Box<dyn rustls::crypto::ActiveKeyExchange>, Error> {
        provider::kx_group::X25519
            .start()
            .map(|inner| Box::new(Renamed(inner)) as Box<dyn rustls::crypto::ActiveKeyExchange>)
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::Unknown(0x7a7a)
    }
}

struct Renamed(Box<dyn rustls::crypto::ActiveKeyExchange>);

impl rustls::crypto::ActiveKeyExchange for Renamed {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<rustls::crypto::SharedSecret, Error> {
        self.0.complete(peer)
    }

    fn pub_key(&self) -> &[u8] {
        self.0.pub_key()
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::Unknown(0x7a7a)
    }
}

#[test]
fn flights_may_come_in_any_two_pieces() {
    let made = Made::new(&["a"]);
    let config = made.config(&options());
    for version in BOTH {
        let client = x25519_client(&made, version);
        // The position of the cut in the whole of what the client sends.
        let mut cut = 0;
        loop {
            let mut pair = Pair::new(&client, &config, "a");
            pair.client_sends(b"request");
            let mut sent = 0;
            loop {
                let mut flight = pair.flight();
                if flight.is_empty() {
                    break;
                }
                let at = cut.clamp(sent, sent + flight.len()) - sent;
                sent += flight.len();
                let (first, second) = flight.split_at_mut(at);
                pair.give(first).unwrap();
                pair.give(second).unwrap();
            }
            assert_eq!(pair.received, b"request", "cut at {cut}");
            assert!(pair.session.held.bytes.is_empty());
            cut += 1;
            if cut > sent {
                break;
            }
        }
    }
}

#[test]
fn flights_may_come_byte_by_byte() {
    let made = Made::new(&["a"]);
    let config = made.config(&options());
    for version in BOTH {
        let mut pair = Pair::new(&made.client(&[version]), &config, "a");
        pair.client_sends(&[7; 100]);
        loop {
            let flight = pair.flight();
            if flight.is_empty() {
                break;
            }
            for byte in flight {
                pair.give(&mut [byte]).unwrap();
            }
        }
        assert_eq!(pair.received, [7; 100]);
        assert_eq!(pair.server_sends(b"answer"), b"answer");
        assert!(pair.session.held.bytes.is_empty());
    }
}

/// The hello in records of `len` bytes each.
fn in_small_records(hello: &[u8], len: usize) -> Vec<u8> {
    let (header, message) = hello.split_at(HEADER_LEN);
    let record = |piece: &[u8]| {
        let mut record = header[..3].to_vec();
        record.extend((piece.len() as u16).to_be_bytes());
        record.extend(piece);
        record
    };
    message.chunks(len).flat_map(record).collect()
}

#[test]
fn a_hello_may_span_records_which_may_come_in_pieces() {
    let made = Made::new(&["a"]);
    let config = made.config(&options());
    for version in BOTH {
        let client = made.client(&[version]);
        for (record_len, piece_len) in [
            (1, 1),
            (1, 6),
            (1, 100_000),
            (7, 5),
            (50, 64),
            (100, 1_000),
            (1_000, 999),
        ] {
            let mut pair = Pair::new(&client, &config, "a");
            let hello = pair.flight();
            let mut hello = in_small_records(&hello, record_len);
            for piece in hello.chunks_mut(piece_len) {
                pair.give(piece).unwrap();
            }
            pair.client_sends(b"x");
            pair.run().unwrap();
            assert_eq!(
                pair.received, b"x",
                "records of {record_len}, pieces of {piece_len}"
            );
            assert!(pair.session.held.bytes.is_empty());
        }
    }
}

#[test]
fn a_hello_in_endless_records_is_bounded() {
    let made = Made::new(&["a"]);
    let mut pair = Pair::new(&made.client(&BOTH), &made.config(&options()), "a");
    // A handshake message that says it has 60 000 bytes, one in each record.
    let mut records = vec![22, 3, 1, 0, 4, 1, 0, 0xea, 0x60];
    let mut failure = None;
    let mut given = 0;
    while failure.is_none() {
        given += records.len();
        failure = pair.give(&mut records).err();
        assert!(given <= HELD_MAX + 10, "not noticed");
        records = vec![22, 3, 1, 0, 1, 0];
    }
    assert_eq!(failure, Some(Failure::HandshakeTooLarge));
    assert_eq!(pair.session.held.bytes.capacity(), 0);
    // Longer than anyone needs is refused from its header.
    let mut pair = Pair::new(&made.client(&BOTH), &made.config(&options()), "a");
    let result = pair.give(&mut [22, 3, 1, 0, 4, 1, 1, 0, 0]);
    assert_eq!(result, Err(Failure::HandshakeTooLarge));
}

#[test]
fn large_transfers_of_odd_sizes_both_ways() {
    let made = Made::new(&["a"]);
    let config = made.config(&options());
    for version in BOTH {
        let mut pair = Pair::connected(&made.client(&[version]), &config, "a");
        let content: Vec<u8> = (0..1_000_003_u32).map(|i| (i ^ i >> 8) as u8).collect();
        let mut at = 0;
        for (round, len) in [1, 17, 1_399, 1_401, 16_384, 16_385, 60_001, 3]
            .iter()
            .cycle()
            .enumerate()
        {
            let end = content.len().min(at + len);
            pair.client_sends(&content[at..end]);
            let mut flight = pair.flight();
            // As reads of a socket would cut it.
            for piece in flight.chunks_mut(1 + round * 4_099 % 65_536) {
                pair.give(piece).unwrap();
            }
            at = end;
            if at == content.len() {
                break;
            }
        }
        assert!(pair.received == content);
        assert!(pair.session.held.bytes.is_empty());
        assert!(pair.server_sends(&content) == content);
    }
}

#[test]
fn records_are_small_first_and_then_large() {
    let made = Made::new(&["a"]);
    for version in BOTH {
        let mut pair = Pair::connected(&made.client(&[version]), &made.config(&options()), "a");
        let mut output = Vec::new();
        pair.session.encrypt(&[0; 200_000], &mut output).unwrap();
        let lens = records(&output);
        let small = SMALL_RECORDS_LEN.div_ceil(SMALL_RECORD_LEN);
        assert!(
            lens[..small].iter().all(|&len| len > 1_400 && len <= 1_440),
            "{lens:?}"
        );
        assert!(
            lens[small..lens.len() - 1]
                .iter()
                .all(|&len| len > PLAINTEXT_RECORD_MAX)
        );
        output.clear();
        pair.session.was_idle();
        pair.session.encrypt(&[0; 3_000], &mut output).unwrap();
        assert_eq!(records(&output).len(), 3);
        output.clear();
        pair.session.encrypt(&[], &mut output).unwrap();
        assert!(output.is_empty());
    }
}

#[test]
fn an_unknown_application_protocol_is_refused() {
    let made = Made::new(&["a"]);
    let config = made.config(&options());
    for version in BOTH {
        let mut client = made.client(&[version]);
        client.alpn_protocols = vec![b"spdy/3".to_vec()];
        let mut pair = Pair::new(&client, &config, "a");
        assert_eq!(pair.run(), Err(Failure::NoApplicationProtocol));
        assert_eq!(
            pair.client_error,
            Some(Error::AlertReceived(
                AlertDescription::NoApplicationProtocol
            ))
        );
        // From then on the failure is repeated and nothing is sent.
        let mut output = Vec::new();
        let again = pair.session.receive(&mut [1, 2, 3], &mut output, |_| ());
        assert_eq!(again, Err(Failure::NoApplicationProtocol));
        pair.session.close(&mut output);
        assert_eq!(
            pair.session.encrypt(b"x", &mut output),
            Err(EncryptError::Failed(Failure::NoApplicationProtocol))
        );
        assert!(output.is_empty());
        // None at all is fine.
        let pair = Pair::connected(&made.client(&[version]), &config, "a");
        assert_eq!(pair.session.alpn(), None);
    }
}

#[test]
fn versions_below_the_least_are_refused() {
    let made = Made::new(&["a"]);
    let config = made.config(&Options {
        version_min: VersionMin::Tls13,
        ..options()
    });
    let mut pair = Pair::new(&made.client(&[&version::TLS12]), &config, "a");
    assert_eq!(pair.run(), Err(Failure::NoCommonVersion));
    assert_eq!(
        pair.client_error,
        Some(Error::AlertReceived(AlertDescription::ProtocolVersion))
    );
    Pair::connected(&made.client(&BOTH), &config, "a");
}

#[test]
fn an_end_without_close_notify_is_told_apart() {
    let made = Made::new(&["a"]);
    let config = made.config(&options());
    for version in BOTH {
        let mut pair = Pair::new(&made.client(&[version]), &config, "a");
        assert_eq!(pair.session.input_ended(), InputEnd::DuringHandshake);
        pair.run().unwrap();
        assert_eq!(pair.session.input_ended(), InputEnd::Truncated);
        pair.client_sends(b"last");
        pair.client.send_close_notify();
        let mut flight = pair.flight();
        flight.extend(b"whatever comes after it");
        pair.give(&mut flight).unwrap();
        assert_eq!(pair.received, b"last");
        assert!(pair.session.peer_has_closed());
        assert_eq!(pair.session.input_ended(), InputEnd::Clean);
        // The server may go on, and then closes too.
        assert_eq!(pair.server_sends(b"answer"), b"answer");
        let mut output = Vec::new();
        pair.session.close(&mut output);
        pair.session.close(&mut output);
        assert_eq!(records(&output).len(), 1);
        assert_eq!(
            pair.session.encrypt(b"x", &mut output),
            Err(EncryptError::Closed)
        );
        pair.give_client(&output);
        let state = pair.client.process_new_packets().unwrap();
        assert!(state.peer_has_closed());
        pair.give(b"more".to_vec().as_mut_slice()).unwrap();
    }
}

#[test]
fn closing_first_still_receives() {
    let made = Made::new(&["a"]);
    let config = made.config(&options());
    for version in BOTH {
        let mut pair = Pair::connected(&made.client(&[version]), &config, "a");
        let mut output = Vec::new();
        pair.session.close(&mut output);
        pair.client_sends(b"on its way");
        pair.run().unwrap();
        assert_eq!(pair.received, b"on its way");
        pair.give_client(&output);
        assert!(pair.client.process_new_packets().unwrap().peer_has_closed());
    }
}

#[test]
fn nothing_is_encrypted_before_the_handshake_is_complete() {
    let made = Made::new(&["a"]);
    let mut pair = Pair::new(&made.client(&BOTH), &made.config(&options()), "a");
    let mut output = Vec::new();
    let early = pair.session.encrypt(b"x", &mut output);
    assert_eq!(early, Err(EncryptError::Handshaking));
    // The server has sent its last flight, the client's is still to come.
    let mut hello = pair.flight();
    pair.give(&mut hello).unwrap();
    let early = pair.session.encrypt(b"x", &mut output);
    assert_eq!(early, Err(EncryptError::Handshaking));
    assert!(output.is_empty());
    pair.run().unwrap();
    assert_eq!(pair.server_sends(b"x"), b"x");
}

#[test]
fn a_client_that_does_not_trust_us_says_so() {
    let (made, other) = (Made::new(&["a"]), Made::new(&["a"]));
    for version in BOTH {
        let mut pair = Pair::new(&other.client(&[version]), &made.config(&options()), "a");
        let failure = pair.run().unwrap_err();
        assert!(matches!(failure, Failure::AlertReceived(_)), "{failure:?}");
        assert!(failure.to_string().starts_with("the peer sent an alert: "));
    }
}

#[test]
fn what_is_not_tls_gets_an_alert() {
    let made = Made::new(&["a"]);
    let config = made.config(&options());
    for (bytes, failure) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], Failure::NotTls),
        (&[0; 20], Failure::NotTls),
        (&[22, 9, 9, 0, 1, 0], Failure::NotTls),
        (&[22, 3, 1, 0xff, 0xff], Failure::RecordTooLarge),
        (&[22, 3, 1, 0, 0], Failure::Malformed),
        (&[22, 3, 1, 0, 4, 1, 0, 0, 0], Failure::Malformed),
        // A finished message, and application data, before anything else.
        (&[22, 3, 3, 0, 4, 20, 0, 0, 0], Failure::ProtocolViolation),
        (&[23, 3, 3, 0, 1, 0], Failure::ProtocolViolation),
        (&[21, 3, 3, 0, 2, 2, 40], Failure::AlertReceived(40)),
    ] {
        let mut session = Session::new(&config).unwrap();
        let mut output = Vec::new();
        let result = session.receive(&mut bytes.to_vec(), &mut output, |_| ());
        assert_eq!(result, Err(failure), "{bytes:?}");
        let alert = !matches!(failure, Failure::AlertReceived(_));
        assert_eq!(output.first() == Some(&21), alert, "{bytes:?} {output:?}");
    }
}

#[test]
fn a_damaged_record_does_not_decrypt() {
    let made = Made::new(&["a"]);
    for version in BOTH {
        let mut pair = Pair::connected(&made.client(&[version]), &made.config(&options()), "a");
        pair.client_sends(b"something");
        let mut flight = pair.flight();
        let last = flight.len() - 1;
        flight[last] ^= 1;
        assert_eq!(pair.give(&mut flight), Err(Failure::BadRecord));
        assert_eq!(
            pair.client_error,
            Some(Error::AlertReceived(AlertDescription::BadRecordMac))
        );
        assert!(pair.received.is_empty());
    }
}

#[test]
fn certificates_are_swapped_under_living_sessions() {
    let (old, new) = (Made::new(&["a"]), Made::new(&["a"]));
    let store = Arc::new(CertStore::from_pem(&[old.pem()], now()).unwrap());
    let config = Config::new(&options(), &store).unwrap();
    let mut living = Pair::connected(&old.client(&BOTH), &config, "a");
    store.replace_with_pem(&[new.pem()], now()).unwrap();
    Pair::connected(&new.client(&BOTH), &config, "a");
    assert!(Pair::new(&old.client(&BOTH), &config, "a").run().is_err());
    assert_eq!(living.server_sends(b"still"), b"still");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever happens to the client's flights, nothing panics, and a failure stays.
    #[test]
    fn damaged_flights_fail_in_order(
        tls13 in any::<bool>(),
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        flight_no in 0..3_usize,
        piece_len in 1..3_000_usize,
    ) {
        let made = fixed();
        let config = made.config(&options());
        let version = BOTH[usize::from(tls13)];
        let mut pair = Pair::new(&x25519_client(&made, version), &config, "a");
        pair.client_sends(b"request");
        let mut result = Ok(());
        for number in 0..4 {
            let mut flight = pair.flight();
            if number == flight_no && !flight.is_empty() {
                for (at, byte) in &damages {
                    let at = at.index(flight.len());
                    flight[at] = *byte;
                }
            }
            for piece in flight.chunks_mut(piece_len) {
                let next = pair.give(piece);
                if result.is_err() {
                    prop_assert_eq!(next, result);
                }
                result = next;
            }
            let mut output = Vec::new();
            let encrypted = pair.session.encrypt(b"x", &mut output);
            prop_assert!(result.is_ok() || encrypted.is_err());
            prop_assert!(pair.session.held.bytes.len() <= HELD_MAX);
        }
    }

    #[test]
    fn garbage_never_panics(
        garbage in prop::collection::vec(any::<u8>(), 0..200),
        header in prop::option::of((20_u8..25, 0_u8..4)),
        piece_len in 1..50_usize,
    ) {
        let config = fixed().config(&options());
        let mut session = Session::new(&config).unwrap();
        let mut bytes = garbage;
        if let Some((kind, minor)) = header {
            let len = (bytes.len() as u16).to_be_bytes();
            bytes.splice(0..0, [kind, 3, minor, len[0], len[1]]);
        }
        let mut output = Vec::new();
        for piece in bytes.chunks_mut(piece_len) {
            let _ = session.receive(piece, &mut output, |_| ());
        }
        session.close(&mut output);
        prop_assert!(session.is_handshaking());
    }
}

fn fixed() -> Made {
    static MADE: std::sync::OnceLock<Made> = std::sync::OnceLock::new();
    MADE.get_or_init(|| Made::new(&["a"])).clone()
}
