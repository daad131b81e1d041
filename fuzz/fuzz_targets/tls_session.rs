//! A client's bytes, cut in different ways.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ajay_tls::testing::fuzz_session(data));
