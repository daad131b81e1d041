use super::*;

#[test]
fn headers_are_read_and_written_alike() {
    let bytes = b"\x01\x02\x03\x06\x01\x80\x00\x00\x05";
    let header = FrameHeader::read(bytes).unwrap();
    assert_eq!(
        header,
        FrameHeader {
            len: 0x01_02_03,
            kind: kind::PING,
            flags: flag::ACK,
            stream: 5,
        },
        "the reserved bit is ignored"
    );
    assert_eq!(&header.to_bytes(), b"\x01\x02\x03\x06\x01\x00\x00\x00\x05");
    assert_eq!(FrameHeader::read(&bytes[..8]), None);
}

#[test]
fn frames_of_ours_are_as_the_rfc_draws_them() {
    let mut out = Vec::new();
    write_rst_stream(3, ErrorCode::CANCEL, &mut out);
    assert_eq!(out, b"\0\0\x04\x03\0\0\0\0\x03\0\0\0\x08");
    out.clear();
    write_window_update(0, 0x0102_0304, &mut out);
    assert_eq!(out, b"\0\0\x04\x08\0\0\0\0\0\x01\x02\x03\x04");
    out.clear();
    write_ping(flag::ACK, *b"12345678", &mut out);
    assert_eq!(out, b"\0\0\x08\x06\x01\0\0\0\0\x31\x32345678");
    out.clear();
    write_goaway(7, ErrorCode::ENHANCE_YOUR_CALM, &mut out);
    assert_eq!(out, b"\0\0\x08\x07\0\0\0\0\0\0\0\0\x07\0\0\0\x0b");
    out.clear();
    write_settings(&[(3, 100), (4, 65_536)], &mut out);
    assert_eq!(
        out,
        b"\0\0\x0c\x04\0\0\0\0\0\0\x03\0\0\0\x64\0\x04\0\x01\0\0"
    );
    out.clear();
    write_settings_ack(&mut out);
    assert_eq!(out, b"\0\0\0\x04\x01\0\0\0\0");
}

#[test]
fn a_long_block_goes_on_in_continuations() {
    let mut out = b"before".to_vec();
    let start = begin_headers(&mut out);
    out.extend_from_slice(b"abcdefgh");
    end_headers(start, 1, true, 3, &mut out);
    assert_eq!(
        out,
        b"before\0\0\x03\x01\x01\0\0\0\x01abc\0\0\x03\x09\0\0\0\0\x01def\0\0\x02\x09\x04\0\0\0\x01gh"
    );
}

#[test]
fn a_block_that_just_fits_is_one_frame() {
    let mut out = Vec::new();
    let start = begin_headers(&mut out);
    out.extend_from_slice(b"abc");
    end_headers(start, 1, false, 3, &mut out);
    assert_eq!(out, b"\0\0\x03\x01\x04\0\0\0\x01abc");
}
