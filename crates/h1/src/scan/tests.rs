use proptest::prelude::*;

use super::*;

fn naive(input: &[u8], from: usize, stops: impl Fn(u8) -> bool) -> usize {
    let rest = input.get(from..).unwrap_or_default();
    rest.iter()
        .position(|&byte| stops(byte))
        .map_or(input.len(), |found| from + found)
}

fn colon(input: &[u8], from: usize) -> usize {
    from + find_colon(input, &input[from..])
}

fn value_end(input: &[u8], from: usize) -> usize {
    from + find_value_end(input, &input[from..])
}

fn control(input: &[u8], from: usize) -> usize {
    from + find_control(input, &input[from..])
}

fn ends_value(byte: u8) -> bool {
    (byte < 32 && byte != 9) || byte == 127
}

#[test]
fn every_byte_is_classified_at_every_place() {
    for byte in 0..=255 {
        for place in 0..40 {
            for filler in [b'a', 0x80, 0xff, b' ', 0x7e, b'\t', 0x7f] {
                let mut input = [filler; 40];
                input[place] = byte;
                assert_eq!(value_end(&input, 0), naive(&input, 0, ends_value));
                assert_eq!(
                    control(&input, 0),
                    naive(&input, 0, |b| b.is_ascii_control())
                );
                assert_eq!(colon(&input, 0), naive(&input, 0, |byte| byte == b':'));
            }
        }
    }
}

#[test]
fn names_come_with_the_words_at_their_ends() {
    let padded = |bytes: &[u8]| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(word)
    };
    for len in 0..40 {
        // What follows a name may look like anything, also like the borrow of a mask: `:;`.
        for after in [
            &b":"[..],
            b":;",
            b"::::::::",
            b": value\r\n",
            b":\x3b\x3b\xba\xff",
        ] {
            let text: Vec<u8> = (0..len).map(|at| b';' + at % 64).collect();
            let input = [&text[..], after].concat();
            let found = find_name(&input).map(|name| (name.len, name.first, name.last));
            let (first, last) = match text.len() {
                ..8 => (padded(&text), padded(&text)),
                all => (padded(&text[..8]), padded(&text[all - 8..])),
            };
            let whole = input.len() >= (text.len() / 8 + 1) * 8;
            let expected = whole.then_some((text.len(), first, last));
            assert_eq!(found, expected, "{}", input.escape_ascii());
            assert!(find_name(&text).is_none());
        }
    }
}

proptest! {
    #[test]
    fn agrees_with_the_naive_scan(
        input in proptest::collection::vec(prop_oneof![any::<u8>(), Just(9), Just(10), Just(58)], 0..70),
        from in 0usize..70,
    ) {
        let from = from.min(input.len());
        prop_assert_eq!(value_end(&input, from), naive(&input, from, ends_value));
        prop_assert_eq!(control(&input, from), naive(&input, from, |b| b.is_ascii_control()));
        prop_assert_eq!(colon(&input, from), naive(&input, from, |byte| byte == b':'));
    }
}
