use super::*;
use crate::{
    hpack::Decoder,
    testing::{Line, decode},
};

fn block(encoder: &mut Encoder, add: impl FnOnce(&mut Encoder, &mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    encoder.begin(&mut out);
    add(encoder, &mut out);
    out
}

fn public(encoder: &mut Encoder, field: KnownField, value: &str) -> Vec<u8> {
    block(encoder, |encoder, out| {
        let (name, value) = (field.as_str().as_bytes(), value.as_bytes());
        encoder.field(Some(field), name, value, Sensitivity::Public, out);
    })
}

fn unknown(encoder: &mut Encoder, name: &str, value: &str) -> Vec<u8> {
    block(encoder, |encoder, out| {
        let (name, value) = (name.as_bytes(), value.as_bytes());
        encoder.field(None, name, value, Sensitivity::Public, out);
    })
}

#[test]
fn statuses_of_the_static_table_are_one_byte_and_others_repeat() {
    let mut encoder = Encoder::new();
    let mut decoder = Decoder::new(4096);
    for code in 100..=599_u16 {
        let status = StatusCode::from_u16(code).unwrap();
        let first = block(&mut encoder, |encoder, out| encoder.status(status, out));
        let line = Line::new(":status", code.to_string());
        assert_eq!(decode(&mut decoder, &first), Ok(vec![line.clone()]));
        let is_static = [200, 204, 206, 304, 400, 404, 500].contains(&code);
        assert_eq!(first.len() == 1, is_static, "{code}");
        let again = block(&mut encoder, |encoder, out| encoder.status(status, out));
        assert_eq!(again.len(), 1);
        assert_eq!(decode(&mut decoder, &again), Ok(vec![line]));
    }
}

#[test]
fn what_repeats_is_inserted_at_once() {
    let mut encoder = Encoder::new();
    assert_eq!(
        public(&mut encoder, KnownField::Server, "ajay"),
        b"\x76\x83\x1f\x41\xfa"[..]
    );
    assert_eq!(public(&mut encoder, KnownField::Server, "ajay"), [0xbe]);
    public(&mut encoder, KnownField::ContentType, "text/html");
    assert_eq!(public(&mut encoder, KnownField::Server, "ajay"), [0xbf]);
    assert_eq!(
        public(&mut encoder, KnownField::ContentType, "text/html"),
        [0xbe]
    );
}

#[test]
fn dates_and_unknown_names_are_inserted_with_the_second_of_them() {
    let mut encoder = Encoder::new();
    for date in [
        "Mon, 21 Oct 2013 20:13:21 GMT",
        "Mon, 21 Oct 2013 20:13:22 GMT",
    ] {
        let first = public(&mut encoder, KnownField::Date, date);
        assert_eq!(first, [b"\x0f\x12\x1d", date.as_bytes()].concat());
        let second = public(&mut encoder, KnownField::Date, date);
        assert_eq!(second[..2], [0x61, 0x96]);
        assert_eq!(public(&mut encoder, KnownField::Date, date), [0xbe]);
    }
    assert_eq!(unknown(&mut encoder, "x-own", "1"), b"\x00\x05x-own\x011");
    assert_eq!(unknown(&mut encoder, "x-own", "2"), b"\x00\x05x-own\x012");
    assert_eq!(unknown(&mut encoder, "x-own", "1")[0], 0x40);
    assert_eq!(unknown(&mut encoder, "x-own", "1"), [0xbe]);
    assert_eq!(encoder.table().len(), 3);
}

#[test]
fn what_belongs_to_one_message_is_never_inserted() {
    let mut encoder = Encoder::new();
    for _ in 0..3 {
        assert_eq!(
            public(&mut encoder, KnownField::ContentLength, "13"),
            b"\x0f\x0d\x0213"
        );
        assert_eq!(
            public(&mut encoder, KnownField::XRequestId, "7"),
            b"\x00\x0cx-request-id\x017"
        );
    }
    assert!(encoder.table().is_empty());
}

#[test]
fn secrets_are_never_indexed() {
    let mut encoder = Encoder::new();
    let mut decoder = Decoder::new(4096);
    let secret = |encoder: &mut Encoder, known, name: &str| {
        block(encoder, |encoder, out| {
            encoder.field(known, name.as_bytes(), b"s3cret", Sensitivity::Secret, out);
        })
    };
    for _ in 0..3 {
        for field in KnownField::ALL.iter().filter(|field| field.is_secret()) {
            let line = public(&mut encoder, *field, "id=1");
            assert_eq!(line[0] & 0xf0, 0x10, "{field}");
            assert!(decode(&mut decoder, &line).unwrap()[0].never_indexed);
        }
        for (known, name) in [(Some(KnownField::Server), "server"), (None, "x-key")] {
            let line = secret(&mut encoder, known, name);
            assert_eq!(line[0] & 0xf0, 0x10, "{name}");
            assert!(decode(&mut decoder, &line).unwrap()[0].never_indexed);
        }
    }
    assert!(encoder.table().is_empty());
}

#[test]
fn size_changes_between_blocks_are_told_once() {
    let none = |encoder: &mut Encoder| block(encoder, |_, _| ());
    let mut encoder = Encoder::new();
    assert_eq!(none(&mut encoder), []);
    // As large as it is, or larger: nothing to say.
    encoder.set_table_bytes_max(4096);
    encoder.set_table_bytes_max(1 << 20);
    assert_eq!(none(&mut encoder), []);
    encoder.set_table_bytes_max(100);
    assert_eq!(none(&mut encoder), b"\x3f\x45");
    assert_eq!(none(&mut encoder), []);
    // The smallest in between, then the one it has.
    encoder.set_table_bytes_max(0);
    encoder.set_table_bytes_max(50);
    encoder.set_table_bytes_max(200);
    assert_eq!(none(&mut encoder), b"\x20\x3f\xa9\x01");
    encoder.set_table_bytes_max(300);
    encoder.set_table_bytes_max(250);
    assert_eq!(none(&mut encoder), b"\x3f\xdb\x01");
    assert_eq!(none(&mut encoder), []);
}

#[test]
fn a_smaller_table_forgets() {
    let mut encoder = Encoder::new();
    let mut decoder = Decoder::new(4096);
    for bytes_max in [4096, 0, 4096, 64, 200] {
        encoder.set_table_bytes_max(bytes_max);
        for value in ["one", "two", "one", "three", "one"] {
            let block = public(&mut encoder, KnownField::Vary, value);
            assert_eq!(
                decode(&mut decoder, &block),
                Ok(vec![Line::new("vary", value)])
            );
        }
    }
}

#[test]
fn a_line_of_more_than_half_the_table_stays_outside() {
    let mut encoder = Encoder::new();
    public(&mut encoder, KnownField::Server, "ajay");
    let large = "x".repeat(2048 - 32 - 4);
    assert_eq!(
        public(&mut encoder, KnownField::Vary, &format!("{large}x"))[0],
        0x0f
    );
    assert_eq!(public(&mut encoder, KnownField::Vary, &large)[0], 0x40 | 59);
    assert_eq!(encoder.table().len(), 2);
}

#[test]
fn without_a_table_blocks_are_always_the_same() {
    let mut encoder = Encoder::without_table();
    let first = public(&mut encoder, KnownField::Server, "ajay");
    assert_eq!(first, b"\x0f\x27\x04ajay");
    encoder.set_table_bytes_max(0);
    assert_eq!(
        public(&mut encoder, KnownField::Server, "ajay"),
        [b"\x20", first.as_slice()].concat()
    );
    assert_eq!(public(&mut encoder, KnownField::Server, "ajay"), first);
    let teapot = block(&mut encoder, |encoder, out| {
        encoder.status(StatusCode::IM_A_TEAPOT, out);
    });
    assert_eq!(teapot, b"\x08\x03418");
    assert!(encoder.table().is_empty());
}

#[test]
fn the_version_changes_with_the_table() {
    let mut encoder = Encoder::new();
    let start = encoder.table_version();
    public(&mut encoder, KnownField::Server, "ajay");
    let inserted = encoder.table_version();
    assert_ne!(start, inserted);
    public(&mut encoder, KnownField::Server, "ajay");
    public(&mut encoder, KnownField::ContentLength, "1");
    public(&mut encoder, KnownField::SetCookie, "a=b");
    assert_eq!(encoder.table_version(), inserted);
    encoder.set_table_bytes_max(0);
    assert_ne!(encoder.table_version(), inserted);
}

#[test]
fn lines_of_the_static_table_are_used_whole() {
    let mut encoder = Encoder::new();
    let gzip = public(&mut encoder, KnownField::AcceptEncoding, "gzip, deflate");
    assert_eq!(gzip, [0x90]);
    assert!(encoder.table().is_empty());
}
