use super::*;
use crate::{
    qpack::{Decoder, Scratch},
    testing::{Line, decode_section},
};

fn encoded(write: impl FnOnce(&mut Encoder, &mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut Encoder::new(), &mut out);
    out
}

fn field(known: KnownField, value: &str) -> Vec<u8> {
    let name = known.as_str().as_bytes();
    let value = value.as_bytes();
    encoded(|encoder, out| encoder.field(Some(known), name, value, Sensitivity::Public, out))
}

#[test]
fn a_section_begins_with_no_insertions() {
    assert_eq!(encoded(Encoder::begin), [0, 0]);
}

#[test]
fn statuses_come_back() {
    for code in 100..600 {
        let status = StatusCode::from_u16(code).unwrap();
        let section = encoded(|encoder, out| {
            encoder.begin(out);
            encoder.status(status, out);
        });
        let lines = decode_section(&mut Decoder::new(0, 0), &mut Scratch::new(), 0, &section);
        let expected = Line::new(":status", status.as_str());
        assert_eq!(lines.unwrap().unwrap(), [expected]);
    }
    let status = |status| encoded(|encoder, out| encoder.status(status, out));
    assert_eq!(status(StatusCode::OK), [0xd9]);
    assert_eq!(status(StatusCode::NO_CONTENT), [0xff, 1]);
    assert_eq!(status(StatusCode::IM_A_TEAPOT), b"\x5f\x09\x03418");
}

#[test]
fn lines_of_the_static_table_are_used_whole() {
    assert_eq!(
        field(KnownField::ContentType, "text/html; charset=utf-8"),
        [0xf4]
    );
    assert_eq!(
        field(KnownField::AccessControlAllowHeaders, "*"),
        [0xff, 75 - 63]
    );
    assert_eq!(field(KnownField::Vary, "origin"), [0xfc]);
    assert_eq!(field(KnownField::ContentType, "a"), b"\x5f\x1d\x01a");
    assert_eq!(field(KnownField::Date, "now"), b"\x56\x03now");
}

#[test]
fn other_names_are_literals() {
    let literal = |sensitivity| {
        encoded(|encoder, out| encoder.field(None, b"x-own-field", b"1", sensitivity, out))
    };
    assert_eq!(literal(Sensitivity::Public), b"\x27\x04x-own-field\x011");
    assert_eq!(literal(Sensitivity::Secret), b"\x37\x04x-own-field\x011");
}

#[test]
fn secrets_are_never_indexed() {
    assert_eq!(field(KnownField::SetCookie, ""), b"\x7e\x00");
    let secret = encoded(|encoder, out| {
        encoder.field(
            Some(KnownField::Age),
            b"age",
            b"0",
            Sensitivity::Secret,
            out,
        );
    });
    assert_eq!(secret, b"\x72\x010");
}

#[test]
fn one_instruction_of_the_decoder_stream_for_each_rule() {
    for (bytes, result) in [
        (&b"\x40\x7f\x00\x7f\xff\x7f"[..], Ok(())),
        (b"\x80", Err(QpackError::SectionNotOutstanding)),
        (b"\xff\xff\x01", Err(QpackError::SectionNotOutstanding)),
        (b"\x00", Err(QpackError::IncrementZero)),
        (b"\x01", Err(QpackError::IncrementTooLarge)),
        (b"\x3f\x00", Err(QpackError::IncrementTooLarge)),
        (
            b"\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00",
            Err(QpackError::AcknowledgmentIntegerTooLarge),
        ),
        (
            b"\x7f\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
            Err(QpackError::AcknowledgmentIntegerTooLarge),
        ),
        (b"\x7f\xc0\xff\xff\xff\xff\xff\xff\xff\x3f\x40", Ok(())),
    ] {
        assert_eq!(Encoder::new().receive_decoder_stream(bytes), result);
        let mut bytewise = Encoder::new();
        let bytewise = bytes
            .chunks(1)
            .try_for_each(|byte| bytewise.receive_decoder_stream(byte));
        assert_eq!(bytewise, result, "{bytes:?}");
    }
}
