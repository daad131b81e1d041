//! A connection's bytes, cut in different ways.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ajay_h1::testing::fuzz_head(data));
