#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| antiphon_fuzz::schema(input));
