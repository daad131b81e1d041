use super::*;

const CAPACITY: usize = 100;

#[test]
fn every_kind_is_measured_and_asks_for_no_more_than_it_needs() {
    for instruction in [
        &b"\x3f\xe1\x1f"[..],
        b"\x05",
        b"\x1f\x00",
        b"\xc0\x03abc",
        b"\xff\x01\x03abc",
        b"\x80\x83abc",
        b"\x41a\x01b",
        b"\x63abc\x83abc",
        b"\x40\x00",
    ] {
        let with_more = [instruction, b"more"].concat();
        let whole = Extent::Whole(instruction.len());
        assert_eq!(measure(&with_more, CAPACITY), Ok(whole));
        for end in 0..instruction.len() {
            match measure(&instruction[..end], CAPACITY) {
                Ok(Extent::AtLeast(len)) => assert!(end < len && len <= instruction.len()),
                other => panic!("{instruction:?} {end}: {other:?}"),
            }
        }
    }
}

#[test]
fn strings_that_cannot_fit_are_refused_by_their_length() {
    let too_large = Err(QpackError::EntryTooLarge);
    // 68 bytes are left beside an entry's overhead.
    assert_eq!(measure(b"\xc0\x44", CAPACITY), Ok(Extent::AtLeast(70)));
    assert_eq!(measure(b"\xc0\x45", CAPACITY), too_large);
    assert_eq!(measure(b"\x42ab\x42", CAPACITY), Ok(Extent::AtLeast(70)));
    assert_eq!(measure(b"\x42ab\x43", CAPACITY), too_large);
    // 68 codes of 30 bits are 255 bytes; with 256 there are 69 codes, or padding of 8 bits.
    assert_eq!(
        measure(b"\xc0\xff\x80\x01", CAPACITY),
        Ok(Extent::AtLeast(259))
    );
    assert_eq!(measure(b"\xc0\xff\x81\x01", CAPACITY), too_large);
    assert_eq!(
        measure(b"\xc0\x7f\xff\xff\xff\xff\xff\xff\xff\xff\x3e", CAPACITY),
        too_large
    );
    // No table, no entry.
    assert_eq!(measure(b"\xc0\x00", 0), too_large);
    assert_eq!(measure(b"\xc0\x00", 31), too_large);
    assert_eq!(measure(b"\xc0\x00", 32), Ok(Extent::Whole(2)));
}
