//! Feeds `entra_mirror_fuzz::config::run`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| entra_mirror_fuzz::config::run(data));
