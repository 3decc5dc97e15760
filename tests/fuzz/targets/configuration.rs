//! See `poolguard_tests::fuzz::configuration`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| poolguard_tests::fuzz::configuration::run(data));
