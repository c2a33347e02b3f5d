//! Feeds `entra_mirror_fuzz::retry_after::run`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| entra_mirror_fuzz::retry_after::run(data));
