use super::*;

#[test]
fn a_preface_is_seen_in_pieces() {
    let wire = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04";
    for end in 0..wire.len() {
        let expected = if end < 24 {
            Preface::Partial
        } else {
            Preface::Yes
        };
        assert_eq!(Preface::find(&wire[..end]), expected, "{end}");
    }
}

#[test]
fn one_wrong_byte_is_another_protocol() {
    for at in 0..24 {
        let mut wire = *CLIENT_PREFACE;
        wire[at] ^= 0x20;
        assert_eq!(Preface::find(&wire), Preface::No);
        assert_eq!(Preface::find(&wire[..=at]), Preface::No, "at {at}");
    }
    assert_eq!(Preface::find(b"GET / HTTP/1.1\r\n"), Preface::No);
    assert_eq!(Preface::find(b"PUT"), Preface::No);
}
