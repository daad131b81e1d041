//! A session and a real client, whose records are delivered, cut, changed, dropped and exchanged.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ajay_tls::testing::fuzz_session_pair(data));
