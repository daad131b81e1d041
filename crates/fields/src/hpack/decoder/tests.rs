use std::ops::ControlFlow;

use super::*;
use crate::testing::{Line, decode};

fn fresh(block: &[u8]) -> Result<Vec<Line>, HpackError> {
    decode(&mut Decoder::new(TABLE_BYTES_INITIAL), block)
}

#[test]
fn one_block_for_each_rule() {
    let long = [&[0x00][..], &[0x7f, 0xff, 0xff, 0xff, 0xff], b"a"].concat();
    for (block, error) in [
        (&b"\x80"[..], HpackError::IndexZero),
        (b"\xbe", HpackError::IndexOutOfRange),
        (b"\x82\xff\x00", HpackError::IndexOutOfRange),
        (b"\x7e\x01a", HpackError::IndexOutOfRange),
        (b"\x0f\x80\x01\x01a", HpackError::IndexOutOfRange),
        (
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
            HpackError::IntegerTooLarge,
        ),
        (
            b"\x00\x7f\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00",
            HpackError::IntegerTooLarge,
        ),
        (b"\x82\x40", HpackError::Truncated),
        (b"\x44\x03/a", HpackError::Truncated),
        (&long, HpackError::Truncated),
        (b"\x44\x84\xff\xff\xff\xff", HpackError::HuffmanEos),
        (b"\x44\x82\x1f\xff", HpackError::HuffmanPaddingTooLong),
        (b"\x44\x81\x18", HpackError::HuffmanPaddingNotOnes),
        (b"\x3f\xe2\x1f\x82", HpackError::SizeUpdateTooLarge),
        (b"\x82\x20", HpackError::SizeUpdateAfterField),
        (b"\x20\x3f\xe1\x1f\x20", HpackError::SizeUpdatesTooMany),
    ] {
        assert_eq!(fresh(block), Err(error), "{block:x?}");
    }
}

#[test]
fn the_number_of_lines_can_be_bounded() {
    let block = [&b"\x3f\x09"[..], &[0x82; 4], b"\x40\x01a\x01b"].concat();
    for (lines_max, expected) in [(5, None), (4, Some(HpackError::TooManyLines))] {
        let mut decoder = Decoder::new(TABLE_BYTES_INITIAL);
        decoder.set_lines_max(lines_max);
        // Each block has as many.
        for _ in 0..2 {
            let decoded = decode(&mut decoder, &block);
            assert_eq!(decoded.as_ref().err(), expected.as_ref());
            if expected.is_some() {
                break;
            }
            assert_eq!(decoded.map(|lines| lines.len()), Ok(5));
        }
    }
}

#[test]
fn every_first_byte_alone() {
    for first in 0..=255_u8 {
        let expected = match first {
            0x80 => Err(HpackError::IndexZero),
            0x81..=0xbd => Ok(1),
            0xbe..=0xfe => Err(HpackError::IndexOutOfRange),
            0x20..=0x3e => Ok(0),
            _ if first & 0xc0 == 0x40 && (0x3e..0x3f).contains(&(first & 0x3f)) => {
                Err(HpackError::IndexOutOfRange)
            }
            _ => Err(HpackError::Truncated),
        };
        assert_eq!(
            fresh(&[first]).map(|lines| lines.len()),
            expected,
            "{first:#x}"
        );
    }
}

#[test]
fn an_entry_larger_than_the_table_empties_it() {
    let mut decoder = Decoder::new(4096);
    decode(&mut decoder, b"\x3f\x21\x40\x01a\x01b").unwrap();
    assert_eq!((decoder.table().len(), decoder.table().size()), (1, 34));
    let large = [&b"\x40\x01a\x20"[..], &[b'x'; 32]].concat();
    assert_eq!(decode(&mut decoder, &large).unwrap().len(), 1);
    assert_eq!((decoder.table().len(), decoder.table().size()), (0, 0));
}

#[test]
fn a_name_may_be_taken_from_an_entry_that_its_insertion_evicts() {
    let mut decoder = Decoder::new(4096);
    // 64 bytes: one entry.
    decode(&mut decoder, b"\x3f\x21\x40\x05x-own\x05value").unwrap();
    let lines = decode(&mut decoder, b"\x7e\x05other").unwrap();
    assert_eq!(lines, [Line::new("x-own", "other")]);
    let entry = decoder.table().get(0).unwrap();
    assert_eq!((entry.name, entry.value), (&b"x-own"[..], &b"other"[..]));
    assert_eq!(decoder.table().len(), 1);
    // The same with a value that goes to the same scratch buffer.
    let lines = decode(&mut decoder, b"\x7e\x84\x1c\x64\x2c\x7f").unwrap();
    assert_eq!(lines[0].name, b"x-own");
    assert_eq!(decoder.table().get(0).unwrap().value, lines[0].value);
}

#[test]
fn size_updates_within_what_settings_allow() {
    let mut decoder = Decoder::new(100);
    // Until it knows our SETTINGS, the peer may use the initial size.
    assert_eq!(decode(&mut decoder, b"\x3f\xe1\x1f"), Ok(vec![]));
    decoder.settings_acknowledged();
    let mut late = Decoder::new(100);
    late.settings_acknowledged();
    assert_eq!(
        decode(&mut late, b"\x82"),
        Err(HpackError::SizeUpdateMissing)
    );
    assert_eq!(
        decode(&mut late, b"\x3f\xe1\x1f\x82"),
        Err(HpackError::SizeUpdateTooLarge)
    );
    // Down to nothing, and up to what is allowed.
    assert_eq!(decode(&mut decoder, b"\x20\x3f\x45\x82").unwrap().len(), 1);
    assert_eq!(decoder.table().bytes_max(), 100);
    assert_eq!(
        decode(&mut decoder, b"\x3f\x46\x82"),
        Err(HpackError::SizeUpdateTooLarge)
    );
    assert_eq!(Decoder::new(1 << 20).table_bytes_max(), 65_535);
}

#[test]
fn more_than_the_initial_size_can_be_used_at_once() {
    let mut decoder = Decoder::new(8192);
    assert_eq!(decode(&mut decoder, b"\x3f\xe1\x3f"), Ok(vec![]));
    assert_eq!(decoder.table().bytes_max(), 8192);
    decoder.settings_acknowledged();
    assert_eq!(decode(&mut decoder, b"\x82").unwrap().len(), 1);
}

#[test]
fn a_sink_that_has_enough_is_left_alone_and_the_table_goes_on() {
    let mut decoder = Decoder::new(4096);
    let mut count = 0;
    let block = b"\x82\x40\x01a\x01b\x40\x01c\x01d\x84";
    decoder
        .decode(block, &mut |_: DecodedField<'_>| {
            count += 1;
            ControlFlow::Break(())
        })
        .unwrap();
    assert_eq!((count, decoder.table().len()), (1, 2));
    assert_eq!(
        decode(&mut decoder, b"\xbe").unwrap(),
        [Line::new("c", "d")]
    );
    // Errors after that are errors.
    let result = decoder.decode(b"\x82\x80", &mut |_: DecodedField<'_>| {
        ControlFlow::Break(())
    });
    assert_eq!(result, Err(HpackError::IndexZero));
}

#[test]
fn what_was_found_out_about_a_string_is_remembered() {
    let mut decoder = Decoder::new(4096);
    let blocks: [&[u8]; 2] = [
        b"\x40\x03X-A\x01b\x40\x03x-a\x03b\nc\x40\x03x a\x01b\x40\x03x-b\x02\xff\t\x5f\x02\x0d\x0d\x50\x84\x4d\x83\x21\x7f",
        b"\xbe\xbf\xc0\xc1\xc2\xc3",
    ];
    // `decode` compares with what the bytes say.
    let [first, mut second] = blocks.map(|block| decode(&mut decoder, block).unwrap());
    second.reverse();
    assert_eq!(first, second);
}

#[test]
fn the_size_counts_the_overhead() {
    let mut size = 0;
    Decoder::new(4096)
        .decode(b"\x82\x40\x01a\x01b", &mut |field: DecodedField<'_>| {
            size += field.size();
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(size, 7 + 3 + 32 + 2 + 32);
}
