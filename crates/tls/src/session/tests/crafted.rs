//! A client that finishes its handshake and then encrypts what no client of a library would send.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use rustls::{ConnectionTrafficSecrets, SupportedProtocolVersion, version};

use super::*;

/// The client's keys after the handshake.
pub(super) struct Crafter {
    version: ProtocolVersion,
    key: LessSafeKey,
    iv: [u8; 12],
    sequence: u64,
}

/// A session with TLS 1.3 that finished its handshake with a client whose keys we have.
fn crafted() -> (Session, Crafter) {
    crafted_in(&version::TLS13)
}

/// The same with either version.
pub(super) fn crafted_in(version: &'static SupportedProtocolVersion) -> (Session, Crafter) {
    let made = Made::new(&["a"]);
    let mut provider = provider::default_provider();
    provider.cipher_suites = vec![
        provider::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        provider::cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ];
    let mut client = made.client_with(provider, &[version]);
    client.enable_secret_extraction = true;
    let pair = Pair::connected(&client, &made.config(&options()), "a");
    #[allow(deprecated)] // The other form is for connections without buffers.
    let secrets = pair.client.dangerous_extract_secrets().unwrap();
    let (sequence, ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }) = secrets.tx else {
        panic!("another cipher");
    };
    let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_ref()).unwrap();
    let crafter = Crafter {
        version: version.version,
        key: LessSafeKey::new(key),
        iv: iv.as_ref().try_into().unwrap(),
        sequence,
    };
    (pair.session, crafter)
}

impl Crafter {
    pub(super) fn record(&mut self, content_type: u8, content: &[u8]) -> Vec<u8> {
        match self.version {
            ProtocolVersion::TLSv1_3 => self.padded_record(content_type, content, 0),
            _ => self.tls12_record(content_type, content),
        }
    }

    /// RFC 8446 §5.2: with so many zeros behind the content type.
    pub(super) fn padded_record(
        &mut self,
        content_type: u8,
        content: &[u8],
        zeros: usize,
    ) -> Vec<u8> {
        let mut inner = content.to_vec();
        inner.push(content_type);
        inner.resize(inner.len() + zeros, 0);
        let len = (inner.len() as u16 + 16).to_be_bytes();
        let header = [23, 3, 3, len[0], len[1]];
        self.sealed(header, &header, inner)
    }

    /// RFC 5246 §6.2.3.3, RFC 7905.
    fn tls12_record(&mut self, content_type: u8, content: &[u8]) -> Vec<u8> {
        let header = |len: usize| {
            let len = (len as u16).to_be_bytes();
            [content_type, 3, 3, len[0], len[1]]
        };
        let authenticated = [&self.sequence.to_be_bytes()[..], &header(content.len())[..]].concat();
        self.sealed(header(content.len() + 16), &authenticated, content.to_vec())
    }

    fn sealed(&mut self, header: [u8; 5], authenticated: &[u8], mut inner: Vec<u8>) -> Vec<u8> {
        let mut nonce = self.iv;
        for (byte, of_sequence) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= of_sequence;
        }
        self.sequence += 1;
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(authenticated),
                &mut inner,
            )
            .unwrap();
        [&header[..], &inner].concat()
    }
}

pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;

/// Asks for one in return (RFC 8446 §4.6.3).
const KEY_UPDATE: [u8; 5] = [24, 0, 0, 1, 1];

#[test]
fn a_key_update_is_answered_with_the_next_record() {
    let (mut session, mut crafter) = crafted();
    let mut output = Vec::new();
    let mut update = crafter.record(HANDSHAKE, &KEY_UPDATE);
    session.receive(&mut update, &mut output, |_| ()).unwrap();
    session.encrypt(b"x", &mut output).unwrap();
    assert_eq!(records(&output), [5 + 5 + 1 + 16, 5 + 1 + 1 + 16]);
}

#[test]
fn a_message_cut_by_records_is_kept_while_we_encrypt() {
    for cut in 1..KEY_UPDATE.len() {
        let (mut session, mut crafter) = crafted();
        let mut output = Vec::new();
        let mut first = crafter.record(HANDSHAKE, &KEY_UPDATE[..cut]);
        session.receive(&mut first, &mut output, |_| ()).unwrap();
        assert!(!session.held.bytes.is_empty());
        session.encrypt(b"x", &mut output).unwrap();
        assert_eq!(records(&output), [5 + 1 + 1 + 16]);
        let mut second = crafter.record(HANDSHAKE, &KEY_UPDATE[cut..]);
        let (head, tail) = second.split_at_mut(cut);
        session.receive(head, &mut output, |_| ()).unwrap();
        session.encrypt(b"x", &mut output).unwrap();
        session.receive(tail, &mut output, |_| ()).unwrap();
        assert!(session.held.bytes.is_empty());
        output.clear();
        session.encrypt(b"x", &mut output).unwrap();
        assert_eq!(records(&output).len(), 2, "the key update is answered");
    }
}

#[test]
fn a_failure_in_the_midst_of_a_cut_message_ends_the_session() {
    let (mut session, mut crafter) = crafted();
    let mut output = Vec::new();
    let mut first = crafter.record(HANDSHAKE, &KEY_UPDATE[..2]);
    session.receive(&mut first, &mut output, |_| ()).unwrap();
    // Records of other types may not come between (RFC 8446 §5.1).
    let mut between = crafter.record(APPLICATION_DATA, b"x");
    let mut plaintext: Vec<u8> = Vec::new();
    let result = session.receive(&mut between, &mut output, |bytes| plaintext.extend(bytes));
    assert_eq!(result, Err(Failure::ProtocolViolation));
    assert!(plaintext.is_empty());
    // rustls has no alert for this one, and remembers a position in bytes that are gone.
    session.close(&mut output);
    assert!(session.encrypt(b"x", &mut output).is_err());
    assert!(output.is_empty());
}

#[test]
fn closing_in_the_midst_of_a_cut_message() {
    let (mut session, mut crafter) = crafted();
    let mut output = Vec::new();
    let mut first = crafter.record(HANDSHAKE, &KEY_UPDATE[..2]);
    session.receive(&mut first, &mut output, |_| ()).unwrap();
    session.close(&mut output);
    assert_eq!(records(&output), [5 + 2 + 1 + 16]);
}

#[test]
fn a_message_in_endless_records_is_bounded() {
    let (mut session, mut crafter) = crafted();
    let mut output = Vec::new();
    let mut record = crafter.record(HANDSHAKE, &[24, 0, 0xea, 0x60]);
    let mut given = 0;
    let failure = loop {
        given += record.len();
        assert!(given <= HELD_MAX + 100, "not noticed");
        if let Err(failure) = session.receive(&mut record, &mut output, |_| ()) {
            break failure;
        }
        record = crafter.record(HANDSHAKE, &[0]);
    };
    assert_eq!(failure, Failure::HandshakeTooLarge);
    assert_eq!(session.held.bytes.capacity(), 0);
    assert_eq!(records(&output), [5 + 2 + 1 + 16], "close_notify");
}

#[test]
fn empty_records_without_end_are_refused() {
    let (mut session, mut crafter) = crafted();
    let mut output = Vec::new();
    let failure = (0..1_000).find_map(|_| {
        let mut record = crafter.record(APPLICATION_DATA, b"");
        session.receive(&mut record, &mut output, |_| ()).err()
    });
    assert_eq!(failure, Some(Failure::ProtocolViolation));
}

#[test]
fn many_records_in_one_read() {
    let (mut session, mut crafter) = crafted();
    let mut input = Vec::new();
    for round in 0..200_u8 {
        input.extend(crafter.record(APPLICATION_DATA, &[round]));
    }
    input.extend(crafter.record(HANDSHAKE, &KEY_UPDATE));
    let (mut output, mut plaintext) = (Vec::new(), Vec::<u8>::new());
    session
        .receive(&mut input, &mut output, |bytes| plaintext.extend(bytes))
        .unwrap();
    assert_eq!(plaintext, (0..200).collect::<Vec<u8>>());
}
