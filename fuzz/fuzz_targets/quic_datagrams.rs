//! Datagrams of no connection.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ajay_engine::testing::fuzz_datagrams(data));
