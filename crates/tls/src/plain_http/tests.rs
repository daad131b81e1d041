use super::*;

#[test]
fn requests_are_recognised_from_their_first_byte() {
    for request in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\n",
        b"VERSION-CONTROL /x HTTP/1.1\r\n",
        b"get / http/1.0",
    ] {
        for end in 1..=request.len() {
            assert!(looks_like_http(&request[..end]), "{:?}", &request[..end]);
        }
    }
}

#[test]
fn nothing_else_is() {
    for other in [
        &b""[..],
        b"\x16\x03\x01\x02\x00\x01",
        b"\x80\x2e\x01\x00\x02",
        b" GET /",
        b"\r\nGET /",
        b"SSH\x00",
        b"PROXY\r\n",
        b"\x00",
        b"\xff",
    ] {
        assert!(!looks_like_http(other), "{other:?}");
    }
    // No content type of TLS, nor SSLv2's length byte, is a letter.
    assert!(
        (20..=24)
            .chain([0x80])
            .all(|first: u8| !looks_like_http(&[first]))
    );
}
