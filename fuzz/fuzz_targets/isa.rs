//! Gives the target `isa` of testkit to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| testkit::targets::run("isa", input));
