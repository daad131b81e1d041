//! The examples of RFC 9204 appendix B, and each rule.

use std::ops::ControlFlow;

use ajay_http::{KnownField, StatusCode};

use super::*;
use crate::{DecodedField, FieldEncoder, Scratch, Sensitivity};

type Lines = Vec<(String, String)>;

fn decode(
    decoder: &mut Decoder,
    stream: u64,
    section: &[u8],
) -> Result<(Decoded, Lines), QpackError> {
    let mut lines = Lines::new();
    let mut sink = |field: DecodedField<'_>| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        lines.push((text(field.name), text(field.value)));
        ControlFlow::Continue(())
    };
    let decoded = decoder.decode(&mut Scratch::new(), stream, section, &mut sink)?;
    Ok((decoded, lines))
}

fn lines(all: &[(&str, &str)]) -> Lines {
    all.iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect()
}

fn instructions(decoder: &mut Decoder) -> Vec<u8> {
    let mut out = Vec::new();
    decoder.write_decoder_stream(&mut out);
    out
}

/// A decoder that has taken these bytes in pieces of each size.
fn fed(table: u32, blocked: u32, bytes: &[u8]) -> Vec<Decoder> {
    (1..=bytes.len().max(1))
        .map(|size| {
            let mut decoder = Decoder::new(table, blocked);
            for piece in bytes.chunks(size) {
                decoder.receive_encoder_stream(piece).unwrap();
            }
            decoder
        })
        .collect()
}

#[test]
fn literal_field_line_with_name_reference() {
    // Appendix B.1.
    let section = b"\x00\x00\x51\x0b/index.html";
    let (decoded, found) = decode(&mut Decoder::new(0, 0), 0, section).unwrap();
    assert_eq!(decoded, Decoded::Done);
    assert_eq!(found, lines(&[(":path", "/index.html")]));
}

/// Appendix B.2 to B.5: set capacity, inserts, a duplicate, an eviction.
const B2: &[u8] = b"\x3f\xbd\x01\xc0\x0fwww.example.com\xc1\x0c/sample/path";
const B3: &[u8] = b"\x4acustom-key\x0ccustom-value";
const B4: &[u8] = b"\x02";
const B5: &[u8] = b"\x81\x0dcustom-value2";

#[test]
fn the_examples_of_the_rfc_in_pieces_of_every_size() {
    let all = [B2, B3, B4, B5].concat();
    for mut decoder in fed(220, 1, &all) {
        assert_eq!(decoder.insert_count(), 5);
        assert_eq!(instructions(&mut decoder), b"\x05");
        // Base 5: relative 0 is the newest. The first entry was evicted.
        let (_, found) = decode(&mut decoder, 4, b"\x06\x00\x80\x81\x82\x83").unwrap();
        assert_eq!(
            found,
            lines(&[
                ("custom-key", "custom-value2"),
                (":authority", "www.example.com"),
                ("custom-key", "custom-value"),
                (":path", "/sample/path"),
            ])
        );
        assert_eq!(instructions(&mut decoder), b"\x84");
        assert_eq!(
            decode(&mut decoder, 8, b"\x06\x00\x84"),
            Err(QpackError::IndexOutOfRange)
        );
    }
}

#[test]
fn post_base_indices() {
    // Appendix B.2: Required Insert Count 2, Base 0.
    for mut decoder in fed(220, 1, B2) {
        let (_, found) = decode(&mut decoder, 4, b"\x03\x81\x10\x11").unwrap();
        assert_eq!(
            found,
            lines(&[(":authority", "www.example.com"), (":path", "/sample/path")])
        );
        assert_eq!(instructions(&mut decoder), b"\x84");
    }
}

#[test]
fn sections_wait_for_their_entries() {
    let mut decoder = Decoder::new(220, 1);
    let section = b"\x03\x81\x10\x11";
    let blocked = Decoded::Blocked {
        required_insert_count: 2,
    };
    assert_eq!(
        decode(&mut decoder, 4, section).unwrap(),
        (blocked, lines(&[]))
    );
    assert_eq!(decode(&mut decoder, 4, section).unwrap().0, blocked);
    assert_eq!(
        decode(&mut decoder, 8, section),
        Err(QpackError::TooManyBlockedStreams)
    );
    decoder.receive_encoder_stream(B2).unwrap();
    assert_eq!(decode(&mut decoder, 4, section).unwrap().1.len(), 2);
    // Another may wait now.
    let next = decode(&mut decoder, 8, b"\x04\x00\x80").unwrap().0;
    let required_insert_count = 3;
    assert_eq!(
        next,
        Decoded::Blocked {
            required_insert_count
        }
    );
    decoder.cancel(8);
    assert_eq!(decode(&mut decoder, 12, b"\x04\x00\x80").unwrap().0, next);
    assert_eq!(instructions(&mut decoder), b"\x84\x48");
}

#[test]
fn acknowledgments_and_increments_count_each_entry_once() {
    let mut decoder = Decoder::new(220, 1);
    decoder.receive_encoder_stream(B2).unwrap();
    assert!(decoder.has_instructions());
    decode(&mut decoder, 4, b"\x03\x81\x10\x11").unwrap();
    // The acknowledgment covers both entries.
    assert_eq!(instructions(&mut decoder), b"\x84");
    decoder.receive_encoder_stream(B3).unwrap();
    decoder.receive_encoder_stream(B4).unwrap();
    assert_eq!(instructions(&mut decoder), b"\x02");
    assert!(!decoder.has_instructions());
    assert_eq!(instructions(&mut decoder), b"");
}

#[test]
fn without_a_table_nothing_is_cancelled() {
    let mut decoder = Decoder::new(0, 0);
    decoder.cancel(4);
    assert_eq!(instructions(&mut decoder), b"");
}

#[test]
fn required_insert_counts_wrap() {
    // 64 bytes: two entries, so counts go modulo 4.
    let mut decoder = Decoder::new(64, 1);
    decoder.receive_encoder_stream(b"\x3f\x21").unwrap();
    for count in 1..=50_u64 {
        decoder.receive_encoder_stream(b"\xc0\x00").unwrap();
        let encoded = (count % 4 + 1) as u8;
        let (decoded, found) = decode(&mut decoder, 4 * count, &[encoded, 0, 0x80]).unwrap();
        assert_eq!(decoded, Decoded::Done, "after {count}");
        assert_eq!(found.len(), 1);
        // The next one.
        let next = ((count + 1) % 4 + 1) as u8;
        let (decoded, _) = decode(&mut decoder, 1 << 20, &[next, 0, 0x80]).unwrap();
        let required_insert_count = count + 1;
        assert_eq!(
            decoded,
            Decoded::Blocked {
                required_insert_count
            }
        );
        decoder.cancel(1 << 20);
    }
}

#[test]
fn required_insert_counts_that_no_encoder_has() {
    for (table, section) in [
        // No table at all.
        (0, &b"\x01\x00"[..]),
        // Beyond the full range.
        (64, b"\x05\x00"),
        // Zero, in another way.
        (64, b"\x01\x00"),
        // Before the beginning: 0 inserted, at most 2 ahead.
        (64, b"\x04\x00"),
    ] {
        assert_eq!(
            decode(&mut Decoder::new(table, 1), 0, section),
            Err(QpackError::RequiredInsertCountInvalid),
            "{section:x?}"
        );
    }
}

#[test]
fn a_base_is_not_negative() {
    let mut decoder = Decoder::new(220, 1);
    decoder.receive_encoder_stream(B2).unwrap();
    assert_eq!(
        decode(&mut decoder, 0, b"\x03\x82\x10"),
        Err(QpackError::BaseNegative)
    );
    assert!(decode(&mut decoder, 0, b"\x03\x81\x10").is_ok());
}

#[test]
fn references_stay_below_the_required_insert_count() {
    let mut decoder = Decoder::new(220, 1);
    decoder.receive_encoder_stream(B2).unwrap();
    // Required Insert Count 1, Base 1: post-base 0 is the second entry.
    for section in [
        &b"\x02\x00\x10"[..],
        b"\x02\x00\x81",
        b"\x02\x00\x00\x01x",
        b"\x00\x00\x80",
    ] {
        assert_eq!(
            decode(&mut decoder, 0, section),
            Err(QpackError::IndexOutOfRange),
            "{section:x?}"
        );
    }
}

#[test]
fn literals_of_every_kind() {
    let mut decoder = Decoder::new(220, 1);
    decoder.receive_encoder_stream(B3_WITH_CAPACITY).unwrap();
    let mut name = Vec::new();
    crate::huffman::encode(b"x-huffman", &mut name);
    let section = [
        &b"\x02\x80"[..],
        // Post-base name reference.
        b"\x00\x01a",
        // Literal name, plain and Huffman-encoded, never indexed too.
        b"\x27\x03ab-cde-fgh\x01b",
        b"\x2f",
        &[name.len() as u8 - 7],
        &name,
        b"\x01c",
        b"\x37\x01x-secret\x01d",
        // Static name reference, never indexed.
        b"\x7f\x45\x01e",
    ]
    .concat();
    let mut found = Vec::new();
    let mut sink = |field: DecodedField<'_>| {
        let name = String::from_utf8_lossy(field.name).into_owned();
        found.push((name, field.value[0], field.never_indexed));
        ControlFlow::Continue(())
    };
    decoder
        .decode(&mut Scratch::new(), 0, &section, &mut sink)
        .unwrap();
    let expected = [
        ("custom-key", b'a', false),
        ("ab-cde-fgh", b'b', false),
        ("x-huffman", b'c', false),
        ("x-secret", b'd', true),
        ("authorization", b'e', true),
    ];
    assert_eq!(
        found,
        expected.map(|(name, value, secret)| (name.to_owned(), value, secret))
    );
}

const B3_WITH_CAPACITY: &[u8] = b"\x3f\xbd\x01\x4acustom-key\x0ccustom-value";

#[test]
fn encoder_instructions_that_break_a_rule() {
    for (bytes, expected) in [
        // 221 of 220.
        (&b"\x3f\xbe\x01"[..], QpackError::CapacityTooLarge),
        (
            b"\x3f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            QpackError::EncoderInstructionInvalid,
        ),
        // No capacity was set.
        (b"\xc0\x00", QpackError::EntryTooLarge),
        // 32 and 1 into 32; 32 fit.
        (b"\x3f\x01\x41a\x00", QpackError::EntryTooLarge),
        // A string that cannot fit is not waited for.
        (b"\x3f\x01\xc0\x7f\xff\xff\x01", QpackError::EntryTooLarge),
        // No such entries.
        (b"\x00", QpackError::EncoderIndexOutOfRange),
        (b"\x3f\x21\x80\x00", QpackError::EncoderIndexOutOfRange),
        (b"\x3f\x21\xff\x24\x00", QpackError::EncoderIndexOutOfRange),
        // EOS.
        (
            b"\x3f\xbd\x01\xc0\x84\xff\xff\xff\xff",
            QpackError::EncoderInstructionInvalid,
        ),
    ] {
        for size in 1..=bytes.len() {
            let mut decoder = Decoder::new(220, 0);
            let mut pieces = bytes.chunks(size);
            let result = pieces.try_for_each(|piece| decoder.receive_encoder_stream(piece));
            assert_eq!(result, Err(expected), "{bytes:x?} in pieces of {size}");
        }
    }
}

#[test]
fn sections_that_break_a_rule() {
    for (section, expected) in [
        (&b""[..], QpackError::Truncated),
        (b"\x00", QpackError::Truncated),
        (b"\x00\x00\xff\x24", QpackError::IndexOutOfRange),
        (b"\x00\x00\x5f\x54\x00", QpackError::IndexOutOfRange),
        (b"\x00\x00\x51\x02a", QpackError::Truncated),
        (b"\x00\x00\x21", QpackError::Truncated),
        (
            b"\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            QpackError::IntegerTooLarge,
        ),
        (b"\x00\x00\x51\x84\xff\xff\xff\xff", QpackError::HuffmanEos),
        (
            b"\x00\x00\x51\x82\x1f\xff",
            QpackError::HuffmanPaddingTooLong,
        ),
        (b"\x00\x00\x51\x81\x00", QpackError::HuffmanPaddingNotOnes),
    ] {
        assert_eq!(
            decode(&mut Decoder::new(220, 0), 0, section),
            Err(expected),
            "{section:x?}"
        );
    }
}

#[test]
fn lines_are_bounded() {
    let mut decoder = Decoder::new(0, 0);
    decoder.set_lines_max(2);
    assert!(decode(&mut decoder, 0, b"\x00\x00\xd1\xd1").is_ok());
    assert_eq!(
        decode(&mut decoder, 0, b"\x00\x00\xd1\xd1\xd1"),
        Err(QpackError::TooManyLines)
    );
}

#[test]
fn what_is_encoded_is_decoded() {
    let mut encoder = Encoder::new();
    for status in [
        100, 103, 200, 204, 206, 302, 304, 400, 403, 404, 421, 425, 500, 503, 201, 418, 999,
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let mut section = Vec::new();
        encoder.begin(&mut section);
        encoder.status(status, &mut section);
        let fields = [
            (
                Some(KnownField::ContentType),
                "content-type",
                "text/html; charset=utf-8",
            ),
            (
                Some(KnownField::ContentType),
                "content-type",
                "text/plain; charset=utf-8",
            ),
            (Some(KnownField::Server), "server", "x"),
            (Some(KnownField::Traceparent), "traceparent", "0"),
            (Some(KnownField::SetCookie), "set-cookie", "a=b"),
            (None, "x-unknown-and-long", ""),
            (None, "x", "y"),
        ];
        for (known, name, value) in fields {
            encoder.field(
                known,
                name.as_bytes(),
                value.as_bytes(),
                Sensitivity::Public,
                &mut section,
            );
        }
        let (_, found) = decode(&mut Decoder::new(0, 0), 0, &section).unwrap();
        let mut expected = lines(&[(":status", status.as_str())]);
        expected.extend(
            fields
                .iter()
                .map(|(_, name, value)| ((*name).into(), (*value).into())),
        );
        assert_eq!(found, expected);
    }
}

#[test]
fn the_usual_response_is_short() {
    let mut section = Vec::new();
    let mut encoder = Encoder::new();
    encoder.begin(&mut section);
    encoder.status(StatusCode::OK, &mut section);
    let html = b"text/html; charset=utf-8";
    encoder.field(
        Some(KnownField::ContentType),
        b"content-type",
        html,
        Sensitivity::Public,
        &mut section,
    );
    assert_eq!(section, b"\x00\x00\xd9\xf4");
}

#[test]
fn secrets_are_never_indexed() {
    let mut section = Vec::new();
    let mut encoder = Encoder::new();
    encoder.begin(&mut section);
    encoder.field(
        Some(KnownField::SetCookie),
        b"set-cookie",
        b"a",
        Sensitivity::Public,
        &mut section,
    );
    encoder.field(None, b"x", b"b", Sensitivity::Secret, &mut section);
    let mut secrets = 0;
    let mut sink = |field: DecodedField<'_>| {
        secrets += u32::from(field.never_indexed);
        ControlFlow::Continue(())
    };
    Decoder::new(0, 0)
        .decode(&mut Scratch::new(), 0, &section, &mut sink)
        .unwrap();
    assert_eq!(secrets, 2);
}

#[test]
fn decoder_instructions() {
    for size in 1..4 {
        let mut encoder = Encoder::new();
        for piece in b"\x44\x7f\x80\x01".chunks(size) {
            encoder.receive_decoder_stream(piece).unwrap();
        }
        for (bytes, expected) in [
            (&b"\x84"[..], QpackError::AcknowledgmentUnexpected),
            (b"\x01", QpackError::IncrementInvalid),
            (b"\x00", QpackError::IncrementInvalid),
            (
                b"\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                QpackError::DecoderInstructionInvalid,
            ),
        ] {
            let mut encoder = Encoder::new();
            let mut pieces = bytes.chunks(size);
            let result = pieces.try_for_each(|piece| encoder.receive_decoder_stream(piece));
            assert_eq!(result, Err(expected), "{bytes:x?}");
        }
    }
}
