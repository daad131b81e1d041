//! A request's stream, cut in different ways.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ajay_h3::testing::fuzz_frames(data));
