//! A connection's bytes, cut in different ways.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ajay_h2::testing::fuzz_frames(data));
