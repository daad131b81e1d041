use super::*;

fn plan(place: Place) -> Plan {
    let mut plan = Plan::new("127.0.0.1:443".parse().unwrap());
    plan.place = place;
    plan
}

#[test]
fn requests_carry_their_number() {
    let target = request(&plan(Place::Target), 42);
    let expected = b"\x01\x20\0\0\xd1\xd7\x50\x09localhost\x51\x0f/n/000000000042";
    assert_eq!(target, expected);
    let field = request(&plan(Place::Field), 42);
    assert!(field.ends_with(b"\x51\x01/\x26number\x0c000000000042"));
    let content = request(&plan(Place::Content), 42);
    assert!(content.ends_with(b"\x51\x01/\x00\x0c000000000042"));
    assert_eq!(content[4], 0xd4);
}

#[test]
fn long_targets_have_long_lengths() {
    let mut long = plan(Place::Field);
    long.path = format!("/{}", "x".repeat(300));
    let bytes = request(&long, 1);
    // 301 is 127 and 174.
    let at = bytes.iter().position(|byte| *byte == 0x51).unwrap();
    assert_eq!(bytes[at + 1..at + 5], [127, 174, 1, b'/']);
}

#[test]
fn responses_are_read() {
    let ok = b"\x01\x03\0\0\xd9\x00\x02he\x21\x01x\x00\x03llo\x01\x02\0\0";
    assert_eq!(read(ok), Some((200, b"hello".to_vec())));
    let after_interim = b"\x01\x04\0\0\xff\0\x01\x03\0\0\xdb";
    assert_eq!(read(after_interim), Some((404, Vec::new())));
    assert_eq!(read(b"\x01\x04\0\0\xff\x08"), Some((500, Vec::new())));
    assert_eq!(
        read(b"\x01\x08\0\0\x5f\x09\x03431"),
        Some((431, Vec::new()))
    );
}

#[test]
fn what_is_no_response_is_none() {
    for bytes in [
        &b""[..],
        b"\x01",
        b"\x01\x05\0\0\xd9",
        b"\x00\x01x",
        b"\x01\x02\0\0",
    ] {
        assert_eq!(read(bytes), None, "{bytes:?}");
    }
}
