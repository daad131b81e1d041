//! Field blocks of any bytes, with sinks that take all lines or a few.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ajay_fields::testing::fuzz_hpack_decode(data));
