use std::ops::ControlFlow;

use super::*;
use crate::{
    qpack::Encoder,
    testing::{Line, decode_section},
};

const CAPACITY: u32 = 4096;

/// A decoder whose table has room for 128 entries, with these instructions received.
fn prepared(instructions: &[u8]) -> Decoder {
    let mut decoder = Decoder::new(CAPACITY, 2);
    decoder.receive_encoder_stream(b"\x3f\xe1\x1f").unwrap();
    decoder.receive_encoder_stream(instructions).unwrap();
    decoder
}

fn section(decoder: &mut Decoder, section: &[u8]) -> Result<Option<Vec<Line>>, QpackError> {
    decode_section(decoder, &mut Scratch::new(), 0, section)
}

fn said(decoder: &mut Decoder) -> Vec<u8> {
    let mut out = Vec::new();
    decoder.write_decoder_stream(&mut out);
    out
}

/// `name: value` with one letter each, `count` times, the value counted up from `a`.
fn inserts(count: u8) -> Vec<u8> {
    (0..count)
        .flat_map(|at| [0x41, b'n', 0x01, b'a' + at % 26])
        .collect()
}

fn values(lines: Vec<Line>) -> Vec<u8> {
    lines.iter().map(|line| line.value[0]).collect()
}

#[test]
fn one_section_for_each_rule() {
    use QpackError as E;
    let too_large = b"\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
    for (bytes, error) in [
        (&b""[..], E::SectionTruncated),
        (b"\x00", E::SectionTruncated),
        (b"\xff", E::SectionTruncated),
        (b"\x00\x00\x23ab", E::SectionTruncated),
        (b"\x00\x00\x51\x02a", E::SectionTruncated),
        (too_large, E::SectionIntegerTooLarge),
        (b"\x00\x00\x51\x84\xff\xff\xff\xff", E::SectionHuffmanEos),
        (b"\x00\x00\x51\x82\x1f\xff", E::SectionHuffmanPaddingTooLong),
        (b"\x00\x00\x51\x81\x18", E::SectionHuffmanPaddingNotOnes),
        // 257 is beyond twice the number of entries plus one.
        (b"\xff\x02\x00", E::InsertCountInvalid),
        // 255 - 1 is more than could have been inserted, and there is nothing to subtract from.
        (b"\xff\x00\x00", E::InsertCountInvalid),
        (b"\x00\x80", E::BaseNegative),
        (b"\x03\x82", E::BaseNegative),
        (b"\x00\x00\xff\x24", E::StaticIndexOutOfRange),
        (b"\x00\x00\x5f\x54\x00", E::StaticIndexOutOfRange),
        (b"\x00\x00\x80", E::RelativeIndexOutOfRange),
        (b"\x03\x00\x82", E::RelativeIndexOutOfRange),
        (b"\x03\x00\x42\x00", E::RelativeIndexOutOfRange),
        // The third entry is there; but the section says that it needs two.
        (b"\x03\x00\x10", E::EntryNotCovered),
        (b"\x03\x00\x00\x00", E::EntryNotCovered),
        (b"\x03\x01\x80", E::EntryNotCovered),
        (b"\x00\x03\x80", E::EntryNotCovered),
        (b"\x00\x00\x10", E::EntryNotCovered),
    ] {
        let mut decoder = prepared(&inserts(3));
        assert_eq!(section(&mut decoder, bytes), Err(error), "{bytes:?}");
    }
}

#[test]
fn one_instruction_for_each_rule() {
    use QpackError as E;
    let too_large = b"\x1f\xff\xff\xff\xff\xff\xff\xff\xff\xff";
    for (bytes, error) in [
        (&too_large[..], E::InstructionIntegerTooLarge),
        (b"\xc0\x84\xff\xff\xff\xff", E::InstructionHuffmanEos),
        (b"\xc0\x82\x1f\xff", E::InstructionHuffmanPaddingTooLong),
        (b"\xc0\x81\x18", E::InstructionHuffmanPaddingNotOnes),
        (b"\x61\x18\x00", E::InstructionHuffmanPaddingNotOnes),
        (b"\x3f\xe2\x1f", E::CapacityTooLarge),
        (b"\x3f\xe1\xff\xff\xff\xff\x0f", E::CapacityTooLarge),
        (b"\xff\x24\x00", E::InsertStaticIndexOutOfRange),
        (b"\x83\x00", E::InsertEntryMissing),
        (b"\x03", E::InsertEntryMissing),
        (b"\xc0\x7f\xe2\x1e", E::EntryTooLarge),
        // It fits no more after the capacity is smaller.
        (b"\x3f\x02\xc0\x01a", E::EntryTooLarge),
        (b"\x3f\x02\xc2\x00", E::EntryTooLarge),
    ] {
        let mut decoder = prepared(&inserts(3));
        assert_eq!(
            decoder.receive_encoder_stream(bytes),
            Err(error),
            "{bytes:?}"
        );
        let mut decoder = prepared(&inserts(3));
        let bytewise = bytes
            .chunks(1)
            .try_for_each(|byte| decoder.receive_encoder_stream(byte));
        assert_eq!(bytewise, Err(error));
    }
}

#[test]
fn every_error_has_the_code_of_its_stream() {
    for (error, code) in [
        (QpackError::BlockedStreamsTooMany, 0x200),
        (QpackError::EntryEvicted, 0x200),
        (QpackError::EntryTooLarge, 0x201),
        (QpackError::IncrementZero, 0x202),
        (QpackError::TooManyLines, 0x107),
    ] {
        assert_eq!(error.code(), code);
    }
}

#[test]
fn all_representations_of_dynamic_entries() {
    // Base 2 of 4: relative 0 and 1 are entries 1 and 0, post-Base 0 and 1 are entries 2 and 3.
    let mut decoder = prepared(&inserts(4));
    let lines = section(&mut decoder, b"\x05\x81\x80\x81\x10\x11").unwrap();
    assert_eq!(values(lines.unwrap()), b"bacd");
    let lines = section(
        &mut decoder,
        b"\x05\x81\x40\x01v\x60\x01v\x00\x01v\x08\x01v\x20\x01v\x30\x01v",
    );
    let never: Vec<bool> = lines
        .unwrap()
        .unwrap()
        .iter()
        .map(|line| line.never_indexed)
        .collect();
    assert_eq!(never, [false, true, false, true, false, true]);
    assert_eq!(said(&mut decoder), b"\x80\x80");
}

#[test]
fn the_largest_indices_are_out_of_range() {
    // 2^62 - 1 as Delta Base, and as post-Base index.
    let max = b"\xff\xff\xff\xff\xff\xff\xff\x3f";
    let mut decoder = prepared(&inserts(1));
    let delta = [b"\x02\x7f\x80", &max[..], b"\x80"].concat();
    assert_eq!(
        section(&mut decoder, &delta),
        Err(QpackError::EntryNotCovered)
    );
    let post_base = [b"\x02\x7f\x80", &max[..], b"\x1f\xf0", max].concat();
    assert_eq!(
        section(&mut decoder, &post_base),
        Err(QpackError::EntryNotCovered)
    );
    let negative = [b"\x02\xff\x80", &max[..]].concat();
    assert_eq!(
        section(&mut decoder, &negative),
        Err(QpackError::BaseNegative)
    );
}

#[test]
fn required_insert_counts_wrap() {
    // The table of 100 bytes has 3 entries at most, so counts are sent modulo 6.
    let mut decoder = Decoder::new(100, 1);
    decoder.receive_encoder_stream(b"\x3f\x45").unwrap();
    for inserted in 0_u64..40 {
        for required in 1..=inserted + 3 {
            let encoded = (required % 6 + 1) as u8;
            let decoded = decoder.required_insert_count(u64::from(encoded));
            if required + 3 > inserted {
                assert_eq!(decoded, Ok(required), "{inserted} {required}");
            }
        }
        for encoded in 1..=6 {
            // What is decoded lies within the table's reach, or nothing is.
            match decoder.required_insert_count(encoded) {
                Ok(count) => {
                    assert_eq!(count % 6 + 1, encoded);
                    assert!(0 < count && count <= inserted + 3 && inserted < count + 3 + 1);
                }
                Err(error) => {
                    assert_eq!(error, QpackError::InsertCountInvalid);
                    assert!(inserted < 3);
                }
            }
        }
        assert_eq!(
            decoder.required_insert_count(7),
            Err(QpackError::InsertCountInvalid)
        );
        decoder.receive_encoder_stream(&inserts(1)).unwrap();
    }
}

#[test]
fn a_table_of_no_entry_has_no_insert_count() {
    for bytes_max in [0, 31] {
        let mut decoder = Decoder::new(bytes_max, 10);
        let result = section(&mut decoder, b"\x01\x00");
        assert_eq!(result, Err(QpackError::InsertCountInvalid));
        assert_eq!(
            decoder.receive_encoder_stream(b"\xc0\x00"),
            Err(QpackError::EntryTooLarge)
        );
    }
    // Setting the capacity to 0 is no error where nothing else can be set.
    let mut decoder = Decoder::new(0, 0);
    assert_eq!(decoder.receive_encoder_stream(b"\x20"), Ok(()));
    decoder.cancel(4);
    assert!(!decoder.has_pending() && said(&mut decoder).is_empty());
}

#[test]
fn a_required_insert_count_larger_than_needed_is_accepted() {
    let mut decoder = prepared(&inserts(3));
    assert_eq!(
        section(&mut decoder, b"\x04\x00\xd1")
            .unwrap()
            .unwrap()
            .len(),
        1
    );
    // It is acknowledged all the same, and no insertion remains to be told of.
    assert_eq!(said(&mut decoder), b"\x80");
}

#[test]
fn entries_are_evicted_in_their_order() {
    let mut decoder = Decoder::new(100, 0);
    // 68 bytes are two entries of 34.
    decoder.receive_encoder_stream(b"\x3f\x25").unwrap();
    decoder.receive_encoder_stream(&inserts(3)).unwrap();
    assert_eq!(decoder.table().len(), 2);
    assert_eq!(
        section(&mut decoder, b"\x04\x00\x82"),
        Err(QpackError::EntryEvicted)
    );
    assert_eq!(
        values(section(&mut decoder, b"\x04\x00\x80\x81").unwrap().unwrap()),
        b"cb"
    );
    // A smaller capacity evicts too.
    decoder.receive_encoder_stream(b"\x3f\x03").unwrap();
    assert_eq!(
        section(&mut decoder, b"\x04\x00\x81"),
        Err(QpackError::EntryEvicted)
    );
    assert_eq!(
        values(section(&mut decoder, b"\x04\x00\x80").unwrap().unwrap()),
        b"c"
    );
    decoder.receive_encoder_stream(b"\x20").unwrap();
    assert_eq!(
        section(&mut decoder, b"\x04\x00\x80"),
        Err(QpackError::EntryEvicted)
    );
    assert_eq!(decoder.insert_count(), 3);
}

#[test]
fn an_entry_may_be_copied_that_its_copy_evicts() {
    let long_name = [b"\x5f\x01", &[b'n'; 32][..], b"\x01a"].concat();
    // An entry of 65 bytes in a table of 66: duplicated; then its name with another value.
    let mut decoder = Decoder::new(100, 0);
    decoder.receive_encoder_stream(b"\x3f\x23").unwrap();
    decoder.receive_encoder_stream(&long_name).unwrap();
    for (instruction, value) in [
        (&b"\x00"[..], &b"a"[..]),
        (b"\x80\x02bc", b"bc"),
        (b"\x80\x81\x1f", b"a"),
    ] {
        decoder.receive_encoder_stream(instruction).unwrap();
        assert_eq!(decoder.table().len(), 1);
        let entry = decoder.table().get(0).unwrap();
        assert_eq!((entry.name, entry.value), (&[b'n'; 32][..], value));
        assert!(entry.is_name_valid && entry.is_value_valid);
    }
    // Too large by one byte.
    assert_eq!(
        decoder.receive_encoder_stream(b"\x80\x03bcd"),
        Err(QpackError::EntryTooLarge)
    );
}

#[test]
fn names_without_an_id_are_taken_from_the_static_table() {
    let mut decoder = prepared(b"\xff\x18\x01v\xff\x1c\x01w");
    let lines = section(&mut decoder, b"\x03\x00\x80\x81\xff\x1c")
        .unwrap()
        .unwrap();
    let expected = [
        Line::new("purpose", "w"),
        Line::new("expect-ct", "v"),
        Line::new("purpose", "prefetch"),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn what_was_found_out_about_a_string_is_remembered() {
    let mut decoder = prepared(b"\x41N\x01\n\x41n\x01v\x00\x81\x01v");
    // The checks are in the function.
    let lines = section(&mut decoder, b"\x05\x00\x80\x81\x82\x83")
        .unwrap()
        .unwrap();
    assert_eq!(lines.len(), 4);
}

#[test]
fn blocked_streams_are_counted_until_their_insertions_come() {
    let mut decoder = prepared(b"");
    let mut scratch = Scratch::new();
    let mut decode = |decoder: &mut Decoder, stream, section: &[u8]| {
        decode_section(decoder, &mut scratch, stream, section)
    };
    assert_eq!(decode(&mut decoder, 0, b"\x02\x00\x80"), Ok(None));
    assert_eq!(decode(&mut decoder, 4, b"\x03\x00\x80"), Ok(None));
    // The same stream once more is not another one.
    assert_eq!(decode(&mut decoder, 4, b"\x03\x00\x80"), Ok(None));
    assert_eq!(decoder.blocked_streams(), 2);
    // The first one can go on, whether or not it has been decoded again.
    decoder.receive_encoder_stream(&inserts(1)).unwrap();
    assert!(decoder.is_ready(1) && !decoder.is_ready(2));
    assert_eq!(decoder.blocked_streams(), 1);
    assert_eq!(decode(&mut decoder, 8, b"\x04\x00\x80"), Ok(None));
    decoder.cancel(8);
    assert_eq!(decode(&mut decoder, 12, b"\x04\x00\x80"), Ok(None));
    // What needs nothing that is missing is decoded.
    assert!(decode(&mut decoder, 16, b"\x00\x00\xd1").unwrap().is_some());
    assert_eq!(
        decode(&mut decoder, 20, b"\x04\x00\x80"),
        Err(QpackError::BlockedStreamsTooMany)
    );
}

#[test]
fn no_stream_may_be_blocked_unless_settings_allow_it() {
    let mut decoder = Decoder::new(100, 0);
    let result = section(&mut decoder, b"\x02\x00\x80");
    assert_eq!(result, Err(QpackError::BlockedStreamsTooMany));
}

#[test]
fn insertions_are_told_once_and_sections_before_them() {
    let mut decoder = prepared(&inserts(2));
    assert_eq!(said(&mut decoder), b"\x02");
    assert_eq!(said(&mut decoder), b"");
    decoder.receive_encoder_stream(&inserts(3)).unwrap();
    // The acknowledgment tells of four insertions; one is left.
    assert!(section(&mut decoder, b"\x05\x00\x80").unwrap().is_some());
    assert_eq!(said(&mut decoder), b"\x80\x01");
    // One that needs fewer than were told of tells of none.
    assert!(section(&mut decoder, b"\x02\x00\x80").unwrap().is_some());
    assert!(section(&mut decoder, b"\x00\x00\xd1").unwrap().is_some());
    assert_eq!(said(&mut decoder), b"\x80");
    decoder.cancel(1000);
    assert_eq!(said(&mut decoder), b"\x7f\xa9\x07");
}

#[test]
fn a_peer_that_never_reads_acknowledgments_is_stopped() {
    let mut decoder = prepared(&inserts(1));
    let result = (0..100_000).try_for_each(|_| section(&mut decoder, b"\x02\x00\x80").map(|_| ()));
    assert_eq!(result, Err(QpackError::DecoderStreamStalled));
    assert!(decoder.capacity_bytes() < 64 * 1024);

    let mut decoder = prepared(&inserts(1));
    (0..100_000).for_each(|stream| decoder.cancel(stream));
    assert!(decoder.capacity_bytes() < 64 * 1024);
    let result = section(&mut decoder, b"\x02\x00\x80");
    assert_eq!(result, Err(QpackError::DecoderStreamStalled));
}

#[test]
fn a_sink_that_has_enough_is_left_alone_and_errors_are_found() {
    let mut decoder = Decoder::new(0, 0);
    let mut decode = |section: &[u8]| {
        let mut count = 0;
        let result = decoder.decode(&mut Scratch::new(), 0, section, &mut |_: DecodedField<
            '_,
        >| {
            count += 1;
            ControlFlow::Break(())
        });
        (result, count)
    };
    assert_eq!(decode(b"\x00\x00\xd1\xd1"), (Ok(Decoded::Done), 1));
    let error = Err(QpackError::RelativeIndexOutOfRange);
    assert_eq!(decode(b"\x00\x00\xd1\xd1\x80"), (error, 1));
}

#[test]
fn the_number_of_lines_can_be_bounded() {
    let mut decoder = Decoder::new(0, 0);
    decoder.set_lines_max(2);
    assert_eq!(
        section(&mut decoder, b"\x00\x00\xd1\xd1")
            .unwrap()
            .unwrap()
            .len(),
        2
    );
    let result = section(&mut decoder, b"\x00\x00\xd1\xd1\xd1");
    assert_eq!(result, Err(QpackError::TooManyLines));
}

#[test]
fn a_table_is_never_larger_than_it_can_tell() {
    let mut decoder = Decoder::new(u32::MAX, 0);
    assert_eq!(decoder.table_bytes_max(), 65_535);
    assert_eq!(decoder.receive_encoder_stream(b"\x3f\xe0\xff\x03"), Ok(()));
    assert_eq!(
        decoder.receive_encoder_stream(b"\x3f\xe1\xff\x03"),
        Err(QpackError::CapacityTooLarge)
    );
}

#[test]
fn every_first_byte_alone() {
    for first in 0..=255 {
        let _ = section(&mut prepared(&inserts(3)), &[4, 0, first]);
        let _ = prepared(&inserts(3)).receive_encoder_stream(&[first]);
        let _ = Encoder::new().receive_decoder_stream(&[first]);
    }
}
