use super::frame::{self, Frame};
use super::packet::{self, Header, Outline, Space};
use super::*;

#[test]
fn numbers_of_every_length_come_back() {
    for value in [
        0,
        63,
        64,
        16_383,
        16_384,
        (1 << 30) - 1,
        1 << 30,
        (1 << 62) - 1,
    ] {
        let mut bytes = Vec::new();
        varint(&mut bytes, value);
        let mut rest = &bytes[..];
        assert_eq!(take_varint(&mut rest), Some(value));
        assert!(rest.is_empty());
        assert_eq!(take_varint(&mut &bytes[..bytes.len() - 1]), None);
    }
    // RFC 9000 §A.1.
    let mut bytes = &[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c][..];
    assert_eq!(take_varint(&mut bytes), Some(151_288_809_941_952_652));
}

#[test]
fn a_first_packet_can_be_opened_by_whoever_knows_its_identifier() {
    let id = [1, 2, 3, 4, 5, 6, 7, 8];
    let keys = tls::initial_keys(&id).unwrap();
    let header = Header {
        space: Space::Initial,
        to: &id,
        from: b"from",
        token: b"token",
        number: 0x1_0203,
        phase: false,
    };
    let mut bytes = Vec::new();
    packet::seal(&mut bytes, &header, &keys.local, &[1; 50]).unwrap();
    assert_eq!(
        bytes.len(),
        packet::initial_overhead(&id, b"from", b"token") + 50
    );
    let Outline::Sealed {
        space,
        from,
        number_at,
        end,
    } = packet::outline(&bytes, 8)
    else {
        panic!("{bytes:?}");
    };
    assert_eq!(
        (space, &from[..], end),
        (Space::Initial, &b"from"[..], bytes.len())
    );
    let mut damaged = bytes.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let opened = |packet: &mut [u8]| {
        let keys = &keys.local;
        let (number, at) = packet::unmask(packet, number_at, &*keys.header, 0x1_0200)?;
        assert_eq!(number, 0x1_0203);
        packet::open(packet, at, number, &*keys.packet).map(<[u8]>::to_vec)
    };
    assert_eq!(opened(&mut damaged), None);
    assert_eq!(opened(&mut bytes), Some(vec![1; 50]));
}

#[test]
fn acknowledgments_name_what_came_and_nothing_else() {
    let mut bytes = Vec::new();
    frame::ack(&mut bytes, &[(0, 3), (5, 5), (9, 12)]);
    // Highest 12, no delay, two more ranges, 4 packets; 7 and 8 not, 6 either: one less each.
    assert_eq!(bytes, [2, 12, 0, 2, 3, 2, 0, 0, 3]);
    let mut rest = &bytes[..];
    let ack = frame::next(&mut rest);
    assert_eq!(
        (ack, rest.len()),
        (Some(Frame::Other { needs_ack: false }), 0)
    );
}

#[test]
fn frames_of_a_server_are_read() {
    let mut bytes = Vec::new();
    frame::stream(&mut bytes, 4, 10, b"abc", true);
    frame::crypto(&mut bytes, 7, b"hello");
    frame::new_connection_id(&mut bytes, 9, 0, b"identity");
    frame::path(&mut bytes, frame::kind::PATH_CHALLENGE, b"whoareyo");
    frame::numbers(&mut bytes, &[0x12, 200]);
    frame::numbers(&mut bytes, &[0x1d, 0x107, 0]);
    let mut rest = &bytes[..];
    let mut all = Vec::new();
    while let Some(frame) = frame::next(&mut rest) {
        all.push(frame);
    }
    assert_eq!(
        all,
        [
            Frame::Stream {
                stream: 4,
                ends: true
            },
            Frame::Crypto {
                offset: 7,
                content: b"hello"
            },
            Frame::NewConnectionId {
                sequence: 9,
                id: b"identity"
            },
            Frame::PathChallenge(*b"whoareyo"),
            Frame::MaxStreams {
                is_bidirectional: true,
                max: 200
            },
            Frame::Close {
                is_application: true,
                code: 0x107
            },
        ]
    );
    assert!(rest.is_empty());
}
