//! A sequence of operations on an encoder, and a decoder that follows.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ajay_fields::testing::fuzz_hpack_round_trip(data));
