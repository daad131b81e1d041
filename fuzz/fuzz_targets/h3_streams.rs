//! Several streams in any order, with ends, resets and a dynamic table.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ajay_h3::testing::fuzz_streams(data));
