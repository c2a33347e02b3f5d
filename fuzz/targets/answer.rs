//! Feeds `entra_mirror_fuzz::answer::run`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| entra_mirror_fuzz::answer::run(data));
