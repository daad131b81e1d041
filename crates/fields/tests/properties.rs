//! Properties that hold for any input: round trips over many blocks, equal tables on both sides, no
//! panics.

use ajay_fields::{
    hpack::{Decoder, Encoder},
    huffman,
    testing::{
        decode, encode, fuzz_hpack_decode, fuzz_hpack_round_trip, fuzz_qpack_decode,
        fuzz_qpack_round_trip,
    },
};
use lines::{Operation, operation};
use proptest::{collection::vec, prelude::*};

mod lines;

/// The bytes of a block, each representation with whatever numbers and strings.
fn wild_block() -> impl Strategy<Value = Vec<u8>> {
    let representation = (any::<u8>(), vec(any::<u8>(), 0..12), any::<bool>()).prop_map(
        |(first, text, is_huffman)| {
            let mut out = vec![first];
            for text in [&text[..text.len() / 2], &text[text.len() / 2..]] {
                let mut encoded = Vec::new();
                if is_huffman {
                    huffman::encode(text, &mut encoded);
                } else {
                    encoded.extend_from_slice(text);
                }
                out.push(u8::from(is_huffman) << 7 | encoded.len() as u8);
                out.extend(encoded);
            }
            out
        },
    );
    vec(representation, 0..8).prop_map(|all| all.concat())
}

/// What may be a section, or instructions that begin with a capacity.
fn qpack_piece() -> impl Strategy<Value = Vec<u8>> {
    let start = prop_oneof![
        Just(vec![0, 0]),
        Just(vec![0x3f, 0x21]),
        (0..8_u8, any::<u8>()).prop_map(|(count, base)| vec![count, (base % 4) | (base & 0x80)]),
        Just(vec![]),
    ];
    (start, wild_block()).prop_map(|(start, rest)| [start, rest].concat())
}

proptest! {
    #[test]
    fn what_is_encoded_comes_back_with_equal_tables(operations in vec(operation(), 1..24)) {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
        let mut last = Vec::new();
        for operation in operations {
            match operation {
                Operation::TableSize(bytes_max) => {
                    encoder.set_table_bytes_max(bytes_max);
                    continue;
                }
                Operation::Block(lines) => last = lines,
                Operation::Again => {}
            }
            let mut block = Vec::new();
            encoder.begin(&mut block);
            for line in &last {
                encode(&mut encoder, line, &mut block);
            }
            let decoded = decode(&mut decoder, &block).expect("our own block");
            prop_assert_eq!(decoded.len(), last.len());
            for (decoded, line) in decoded.iter().zip(&last) {
                prop_assert_eq!((&decoded.name, &decoded.value), (&line.name, &line.value));
                prop_assert!(decoded.never_indexed || !line.never_indexed);
            }
            let (ours, theirs) = (encoder.table(), decoder.table());
            prop_assert_eq!((ours.len(), ours.size()), (theirs.len(), theirs.size()));
            for age in 0..ours.len() {
                let (ours, theirs) = (ours.get(age).unwrap(), theirs.get(age).unwrap());
                prop_assert_eq!((ours.name, ours.value), (theirs.name, theirs.value));
            }
        }
    }

    #[test]
    fn huffman_comes_back(text in vec(any::<u8>(), 0..300), before in vec(any::<u8>(), 0..20)) {
        let mut encoded = Vec::new();
        huffman::encode(&text, &mut encoded);
        prop_assert_eq!(encoded.len(), huffman::encoded_len(&text));
        let mut out = before.clone();
        let decoded = huffman::decode(&encoded, &mut out, before.len()).expect("our own string");
        prop_assert_eq!(&out[..before.len()], &before);
        prop_assert_eq!(&out[before.len()..decoded.end], text);
    }

    #[test]
    fn huffman_of_any_bytes_is_refused_or_encodes_to_the_same(input in vec(any::<u8>(), 0..60)) {
        let mut out = Vec::new();
        if let Ok(decoded) = huffman::decode(&input, &mut out, 0) {
            let mut again = Vec::new();
            huffman::encode(&out[..decoded.end], &mut again);
            prop_assert_eq!(again, input);
        }
    }

    #[test]
    fn blocks_of_any_bytes(choice in any::<u8>(), blocks in vec(wild_block(), 1..8)) {
        let mut data = vec![choice];
        for block in blocks {
            let block = &block[..block.len().min(255)];
            data.push(block.len() as u8);
            data.extend_from_slice(block);
        }
        fuzz_hpack_decode(&data);
    }

    #[test]
    fn operations_in_any_order(operations in vec(any::<u8>(), 0..400)) {
        fuzz_hpack_round_trip(&operations);
    }
    #[test]
    fn qpack_of_any_bytes(choice in any::<u8>(), pieces in vec((any::<u8>(), qpack_piece()), 1..16)) {
        let mut data = vec![choice];
        for (kind, piece) in pieces {
            let piece = &piece[..piece.len().min(255)];
            data.extend([kind, piece.len() as u8]);
            data.extend_from_slice(piece);
        }
        fuzz_qpack_decode(&data);
    }

    #[test]
    fn qpack_in_any_order(operations in vec(any::<u8>(), 0..600)) {
        fuzz_qpack_round_trip(&operations);
    }
}
