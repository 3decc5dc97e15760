//! See `poolguard_tests::fuzz::decision`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| poolguard_tests::fuzz::decision::run(data));
