//! A sequence of operations on a connection.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ajay_h1::testing::fuzz_connection(data));
