use proptest::prelude::*;

use super::*;

/// The specification of `from_name`.
fn naive(name: &[u8]) -> Option<KnownField> {
    VARIANTS
        .iter()
        .copied()
        .find(|field| field.as_str().as_bytes().eq_ignore_ascii_case(name))
}

#[test]
fn every_name_is_found_in_any_case() {
    for (id, &field) in VARIANTS.iter().enumerate() {
        assert_eq!(usize::from(field.id()), id);
        assert_eq!(KnownField::from_id(field.id()), Some(field));
        let name = field.as_h1_str();
        assert_eq!(name.to_ascii_lowercase(), field.as_str());
        assert!(crate::class::is_token(name.as_bytes()));
        for text in [
            name.to_owned(),
            name.to_ascii_lowercase(),
            name.to_ascii_uppercase(),
        ] {
            assert_eq!(
                KnownField::from_name(text.as_bytes()),
                Some(field),
                "{text}"
            );
        }
    }
    assert_eq!(KnownField::from_id(VARIANTS.len() as u8), None);
}

#[test]
fn names_that_differ_in_one_byte_are_unknown() {
    for field in VARIANTS {
        for index in 0..field.as_str().len() {
            let mut name = field.as_str().as_bytes().to_vec();
            for byte in 0..=255 {
                name[index] = byte;
                assert_eq!(KnownField::from_name(&name), naive(&name), "{name:?}");
            }
        }
    }
}

#[test]
fn lengths_from_none_to_too_long_are_unknown() {
    for length in 0..100 {
        assert_eq!(KnownField::from_name(&vec![b'a'; length]), None);
    }
    for field in VARIANTS {
        let name = field.as_str().as_bytes();
        for padded in [
            [name, b"x"].concat(),
            [b"x", name].concat(),
            [name, b"\0"].concat(),
        ] {
            assert_eq!(KnownField::from_name(&padded), naive(&padded));
        }
        assert_eq!(KnownField::from_name(&name[1..]), naive(&name[1..]));
        assert_eq!(
            KnownField::from_name(&name[..name.len() - 1]),
            naive(&name[..name.len() - 1])
        );
    }
}

proptest! {
    #[test]
    fn agrees_with_the_naive_search(name in proptest::collection::vec(any::<u8>(), 0..40)) {
        prop_assert_eq!(KnownField::from_name(&name), naive(&name));
    }
}

#[test]
#[ignore = "a tool: prints a MULTIPLIER after the list of names has changed"]
fn find_a_multiplier() {
    let mixed: Vec<u64> = VARIANTS
        .iter()
        .map(|&field| {
            let key = key_of(field);
            (key.first | CASE)
                .wrapping_add((key.last | CASE).rotate_left(29))
                .wrapping_add(u64::from(key.len))
        })
        .collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    loop {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let multiplier = state | 1;
        let mut seen = [false; SLOTS];
        let perfect = mixed.iter().all(|mixed| {
            let slot = (mixed.wrapping_mul(multiplier) >> (u64::BITS - SLOT_BITS)) as usize;
            !std::mem::replace(&mut seen[slot], true)
        });
        if perfect {
            eprintln!("{multiplier:#018x}");
            return;
        }
    }
}
