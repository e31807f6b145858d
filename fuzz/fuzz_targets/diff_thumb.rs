//! Gives the target `diff-thumb` of testkit to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| testkit::targets::run("diff-thumb", input));
