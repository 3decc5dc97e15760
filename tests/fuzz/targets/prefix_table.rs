//! See `poolguard_tests::fuzz::prefix_table`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| poolguard_tests::fuzz::prefix_table::run(data));
