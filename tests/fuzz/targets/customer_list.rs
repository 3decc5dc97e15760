//! See `poolguard_tests::fuzz::customer_list`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| poolguard_tests::fuzz::customer_list::run(data));
