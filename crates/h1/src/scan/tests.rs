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
                assert_eq!(colon(&input, 0), naive(&input, 0, |byte| byte == b':'));
            }
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
        prop_assert_eq!(colon(&input, from), naive(&input, from, |byte| byte == b':'));
    }
}
