//! The bodies of the fuzz targets: each takes any bytes and panics if a property does not hold.
//!
//! Behind the feature `testing`, which nothing but tests turns on.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::ops::ControlFlow;

use ajay_http::{KnownField, class};

use crate::{
    DynamicTable, KnownName, PseudoField,
    hpack::{DecodedField, Decoder, Encoder, HpackError, Scratch, Sensitivity},
};

mod model;
mod qpack;

pub use model::ModelEncoder;
pub use qpack::{decode_section, fuzz_qpack_decode, fuzz_qpack_round_trip};

/// A field line that was decoded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Line {
    /// The name.
    pub name: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
    /// Whether it is never indexed.
    pub never_indexed: bool,
}

impl Line {
    /// A line that may be indexed.
    pub fn new(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        Self {
            name: name.as_ref().to_vec(),
            value: value.as_ref().to_vec(),
            never_indexed: false,
        }
    }
}

/// Decodes a block, and checks what is said about each line.
///
/// # Errors
/// What the decoder says.
pub fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<Line>, HpackError> {
    let mut lines = Vec::new();
    decoder.decode(block, &mut |field: DecodedField<'_>| {
        check(&field);
        lines.push(Line {
            name: field.name.to_vec(),
            value: field.value.to_vec(),
            never_indexed: field.never_indexed,
        });
        ControlFlow::Continue(())
    })?;
    Ok(lines)
}

fn check(field: &DecodedField<'_>) {
    assert_eq!(field.known, KnownName::from_name(field.name));
    let is_lower = !field.name.iter().any(u8::is_ascii_uppercase);
    assert_eq!(
        field.is_name_valid,
        field.known.is_some() || class::is_token(field.name) && is_lower
    );
    assert_eq!(field.is_value_valid, class::is_field_value(field.value));
}

/// The first byte chooses the table's size and how many lines a sink wants; then blocks, each after
/// a byte with its length.
///
/// Sinks that want fewer lines leave the same table and get the same error; the table keeps within
/// its size and is what a table made of the same entries would be; memory keeps within its bounds.
pub fn fuzz_hpack_decode(data: &[u8]) {
    let Some((&choice, mut rest)) = data.split_first() else {
        return;
    };
    let bytes_max = [0, 64, 200, 4096, 5000, 65_535][usize::from(choice % 6)];
    let wanted = usize::from(choice / 6);
    let [mut patient, mut impatient] = [(); 2].map(|()| Decoder::new(bytes_max));
    let mut scratch = Scratch::new();
    while let Some((&len, after)) = rest.split_first() {
        let (block, after) = after.split_at(usize::from(len).min(after.len()));
        rest = after;
        let all = decode(&mut patient, block);
        let mut some = Vec::new();
        let result = impatient.decode_with(&mut scratch, block, &mut |field: DecodedField<'_>| {
            assert!(some.len() < wanted.max(1), "called after it broke");
            some.push(Line {
                never_indexed: field.never_indexed,
                ..Line::new(field.name, field.value)
            });
            if some.len() >= wanted {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        assert_eq!(all.as_ref().err(), result.as_ref().err());
        compare_tables(patient.table(), impatient.table());
        check_table(patient.table());
        assert!(scratch.capacity_bytes() <= 4096);
        match all {
            Ok(all) => {
                assert_eq!(some, all[..all.len().min(wanted.max(1))]);
                encode_again(&all);
            }
            Err(_) => return,
        }
    }
}

fn check_table(table: &DynamicTable) {
    assert!(table.size() <= table.bytes_max() as usize);
    let entries = (0..table.len()).map(|age| table.get(age).unwrap());
    assert_eq!(
        entries.map(|entry| entry.size()).sum::<usize>(),
        table.size()
    );
    assert!(table.get(table.len()).is_none());
    // The buffer, and eight bytes for every 32; both may be rounded up to a power of two.
    assert!(table.capacity_bytes() <= 2 * table.bytes_max().max(4096) as usize);
}

/// Both have the same entries.
fn compare_tables(one: &DynamicTable, other: &DynamicTable) {
    assert_eq!(one.len(), other.len());
    assert_eq!(one.size(), other.size());
    for age in 0..one.len() {
        let (one, other) = (one.get(age).unwrap(), other.get(age).unwrap());
        assert_eq!((one.known, one.name), (other.known, other.name));
        assert_eq!(one.value, other.value);
    }
}

/// What was decoded can be encoded, and comes back.
fn encode_again(lines: &[Line]) {
    let mut block = Vec::new();
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
    encoder.begin(&mut block);
    for line in lines {
        encode(&mut encoder, line, &mut block);
    }
    let again = decode(&mut decoder, &block).unwrap();
    assert_eq!(again.len(), lines.len());
    for (again, line) in again.iter().zip(lines) {
        assert_eq!((&again.name, &again.value), (&line.name, &line.value));
        assert!(again.never_indexed || !line.never_indexed);
    }
}

/// Encodes a line with whatever name.
pub fn encode(encoder: &mut Encoder, line: &Line, out: &mut Vec<u8>) {
    let known = match KnownName::from_name(&line.name) {
        Some(KnownName::Pseudo(field)) if !line.never_indexed => {
            return encoder.pseudo(field, &line.value, out);
        }
        Some(KnownName::Field(field)) => Some(field),
        _ => None,
    };
    let sensitivity = if line.never_indexed {
        Sensitivity::Secret
    } else {
        Sensitivity::Public
    };
    encoder.field(known, &line.name, &line.value, sensitivity, out);
}

/// A sequence of operations: the peer's SETTINGS, field lines, ends of blocks.
///
/// What the encoder says, the decoder understands; both tables are equal after each block; and
/// without a table, blocks do not depend on what came before.
pub fn fuzz_hpack_round_trip(data: &[u8]) {
    let mut operations = data.iter().copied();
    let mut encoder = Encoder::new();
    let mut decoder = Decoder::new(4096);
    let mut stateless = Encoder::without_table();
    let mut lines = Vec::new();
    while let Some(operation) = operations.next() {
        match operation % 16 {
            0 => {
                let bytes_max = u32::from(operations.next().unwrap_or(0)) * 20;
                encoder.set_table_bytes_max(bytes_max);
                stateless.set_table_bytes_max(bytes_max);
            }
            1..=3 => round_trip(&mut encoder, &mut decoder, &mut stateless, &mut lines),
            _ => lines.push(line(operation, &mut operations)),
        }
    }
    round_trip(&mut encoder, &mut decoder, &mut stateless, &mut lines);
}

fn line(operation: u8, operations: &mut impl Iterator<Item = u8>) -> Line {
    let mut byte = || operations.next().unwrap_or(0);
    let name = match operation % 4 {
        0 => PseudoField::ALL[usize::from(byte()) % PseudoField::ALL.len()].as_str(),
        1 | 2 => KnownField::ALL[usize::from(byte()) % KnownField::ALL.len()].as_str(),
        _ => ["x-own", "x-other", "x", "", "X-Upper", ":unknown"][usize::from(byte()) % 6],
    };
    let len = usize::from(byte());
    let value = match operation / 16 % 4 {
        // Few different values, so that lines repeat.
        0 | 1 => vec![b'0' + byte() % 4; len % 8],
        // Some that fill a table.
        2 => vec![byte(); len * 16],
        _ => (0..len % 32).map(|_| byte()).collect(),
    };
    Line {
        never_indexed: operation >= 0xe0,
        ..Line::new(name, value)
    }
}

fn round_trip(
    encoder: &mut Encoder,
    decoder: &mut Decoder,
    stateless: &mut Encoder,
    lines: &mut Vec<Line>,
) {
    let mut block = Vec::new();
    encoder.begin(&mut block);
    for line in lines.iter() {
        let version = encoder.table_version();
        let before = block.len();
        encode(encoder, line, &mut block);
        if encoder.table_version() == version && !line.never_indexed && before < block.len() {
            // Bytes that changed no table.
            assert_ne!(block[before] & 0xc0, 0x40);
        }
    }
    let decoded = decode(decoder, &block).unwrap();
    assert_eq!(decoded.len(), lines.len());
    for (decoded, line) in decoded.iter().zip(lines.iter()) {
        assert_eq!((&decoded.name, &decoded.value), (&line.name, &line.value));
        let is_secret = KnownField::from_name(&line.name).is_some_and(KnownField::is_secret)
            && line.name != b"";
        assert_eq!(decoded.never_indexed, line.never_indexed || is_secret);
    }
    compare_tables(encoder.table(), decoder.table());
    check_table(encoder.table());

    let (mut one, mut other) = (Vec::new(), Vec::new());
    stateless.begin(&mut Vec::new());
    let mut fresh = Encoder::without_table();
    for line in lines.iter() {
        encode(stateless, line, &mut one);
        encode(&mut fresh, line, &mut other);
    }
    assert_eq!(one, other);
    assert!(stateless.table().is_empty());
    lines.clear();
}
