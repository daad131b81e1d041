//! A client with a dynamic table, whose streams arrive in any order.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ajay_fields::testing::fuzz_qpack_round_trip(data));
