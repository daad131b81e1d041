//! Any bytes as encoder stream, field sections and cancellations.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ajay_fields::testing::fuzz_qpack_decode(data));
