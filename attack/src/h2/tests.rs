use super::*;

#[test]
fn frames_on_the_wire() {
    assert_eq!(settings(&[]), [0, 0, 0, 4, 0, 0, 0, 0, 0]);
    assert_eq!(
        settings(&[(setting::INITIAL_WINDOW_SIZE, 65_536)]),
        [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0]
    );
    assert_eq!(
        rst_stream(5, code::CANCEL),
        [0, 0, 4, 3, 0, 0, 0, 0, 5, 0, 0, 0, 8]
    );
    assert_eq!(
        window_update(256, 1),
        [0, 0, 4, 8, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    );
    assert_eq!(priority(3, 1), [0, 0, 5, 2, 0, 0, 0, 0, 3, 0, 0, 0, 1, 15]);
    assert_eq!(
        data(flag::END_STREAM, 1, b"x"),
        [0, 0, 1, 0, 1, 0, 0, 0, 1, b'x']
    );
    assert_eq!(ping(flag::ACK), *b"\0\0\x08\x06\x01\0\0\0\0attacker");
}

/// HEADERS alone ends the stream, the last fragment ends the block.
#[test]
fn long_field_blocks_go_on_in_continuations() {
    let block = vec![7; 2 * PAYLOAD_BYTES_MAX + 1];
    let mut scanner = Scanner::default();
    let mut seen = Vec::new();
    scanner.scan(&headers(flag::END_STREAM, 9, &block), |frame| {
        seen.push((frame.kind, frame.flags, frame.stream));
    });
    assert_eq!(
        seen,
        [
            (kind::HEADERS, flag::END_STREAM, 9),
            (kind::CONTINUATION, 0, 9),
            (kind::CONTINUATION, flag::END_HEADERS, 9),
        ]
    );
    let whole = flag::END_STREAM | flag::END_HEADERS;
    for block in [&block[..PAYLOAD_BYTES_MAX], b""] {
        let one = headers(flag::END_STREAM, 9, block);
        assert_eq!(one, frame(kind::HEADERS, whole, 9, block));
    }
}

#[test]
fn padding_and_priority_are_no_content() {
    let padded = [2, b'a', b'b', 0, 0];
    assert_eq!(
        content_of(kind::DATA, flag::PADDED, &padded),
        Some(&b"ab"[..])
    );
    assert_eq!(content_of(kind::DATA, 0, b"ab"), Some(&b"ab"[..]));
    assert_eq!(
        content_of(
            kind::HEADERS,
            flag::PADDED | flag::PRIORITY,
            &[1, 0, 0, 0, 0, 9, 0x88, 0]
        ),
        Some(&[0x88][..])
    );
    // DATA has no priority.
    assert_eq!(
        content_of(kind::DATA, flag::PRIORITY, b"ab"),
        Some(&b"ab"[..])
    );
    assert_eq!(content_of(kind::DATA, flag::PADDED, &[3, 0, 0]), None);
    assert_eq!(content_of(kind::DATA, flag::PADDED, &[]), None);
    assert_eq!(content_of(kind::HEADERS, flag::PRIORITY, &[0; 4]), None);
}

#[test]
fn numbers_and_names() {
    let payload = [0x80, 0, 0, 1, 0x80, 0, 0, 2];
    assert_eq!(number_at(&payload, 0), Some(1));
    assert_eq!(whole_number_at(&payload, 4), Some(0x8000_0002));
    assert_eq!(number_at(&payload, 5), None);
    assert_eq!(number_at(&payload, 50), None);
    assert_eq!(code_name(0xb), "ENHANCE_YOUR_CALM");
    assert_eq!(code_name(0xd), "HTTP_1_1_REQUIRED");
    assert_eq!(code_name(0xe), "unknown code");
    assert_eq!(code_name(u32::MAX), "unknown code");
}
