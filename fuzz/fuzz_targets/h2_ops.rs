//! Frames of a client and commands of a caller in any order.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ajay_h2::testing::fuzz_ops(data));
