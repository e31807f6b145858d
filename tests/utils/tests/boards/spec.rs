//! The specification suite on emulated boards, against the records of passing assertions: all files on cores without and
//! with floats in hardware; all without vectors also at every level; floats and vectors also in double precision, by the
//! run-time library, and by our own functions.

use testkit::spec::{check, imported_globals};
use testkit::thumb::{Setup, Thumb};
use wasm_pvm::{Cpu, Floats, OptLevel};

#[test]
fn scalars_at_o0() {
    scalars(Cpu::M3, OptLevel::O0);
}

#[test]
fn scalars_at_o2() {
    scalars(Cpu::M3, OptLevel::O2);
}

#[test]
fn scalars_at_oz() {
    scalars(Cpu::M3, OptLevel::Oz);
}

/// The same without the main extension.
#[test]
fn scalars_by_short_instructions() {
    scalars(Cpu::M0Plus, OptLevel::Oz);
}

/// The same with single precision in hardware, by hand: one level of it is in the test below.
#[test]
#[ignore = "minutes"]
fn scalars_beside_single_precision_at_o0() {
    scalars(Cpu::M4F, OptLevel::O0);
}

#[test]
#[ignore = "minutes"]
fn scalars_beside_single_precision_at_o2() {
    scalars(Cpu::M4F, OptLevel::O2);
}

#[test]
fn everything_beside_single_precision_at_oz() {
    check_setup("spec-record-m4f-soft", |_| true, Setup::new(Cpu::M4F, OptLevel::Oz, Floats::Soft));
}

#[test]
fn floats_in_double_precision_hardware() {
    check_setup("spec-record-m7dp", has_floats, Setup::new(Cpu::M7DP, OptLevel::O2, Floats::Hard));
}

#[test]
fn floats_in_single_precision_hardware() {
    check_setup("spec-record-m4f", is_single, Setup::new(Cpu::M4F, OptLevel::O2, Floats::Hard));
}

/// Double precision on v8.1-M.
#[test]
fn doubles_in_newer_hardware() {
    check_setup("spec-record-m55dp", is_double, Setup::new(Cpu::M55DP, OptLevel::Oz, Floats::Hard));
}

#[test]
fn vectors_by_the_run_time_library() {
    check_setup("spec-record-m3-vectors", has_vectors, Setup::new(Cpu::M3, OptLevel::O2, Floats::Soft));
}

/// Files with vectors. They take longer than all others together, so they are run at one level of each core.
fn has_vectors(file: &str) -> bool {
    file.contains("simd")
}

#[test]
fn floats_by_our_own_functions() {
    let setup = Setup::new(Cpu::M3, OptLevel::Oz, Floats::Soft).with_own_float_helpers();
    check_setup("spec-record-m3-soft", has_floats, setup);
}

/// Files in which float operators are executed.
fn has_floats(file: &str) -> bool {
    const FILES: [&str; 20] = [
        "block.",
        "call.",
        "call_indirect.",
        "const.",
        "conversions.",
        "f32",
        "f64",
        "float_",
        "func.",
        "if.",
        "labels.",
        "left-to-right.",
        "local_get.",
        "local_set.",
        "local_tee.",
        "loop.",
        "memory.",
        "memory_redundancy.",
        "select.",
        "return_call",
    ];
    let name = file.rsplit('/').next().unwrap_or(file);
    has_vectors(file) || FILES.iter().any(|prefix| name.starts_with(prefix))
}

/// Files with single precision alone.
fn is_single(file: &str) -> bool {
    file.contains("/f32")
}

/// Files with double precision.
fn is_double(file: &str) -> bool {
    file.contains("/f64")
}

fn scalars(cpu: Cpu, level: OptLevel) {
    check_setup("spec-record-m3", |file| !has_vectors(file), Setup::new(cpu, level, Floats::Soft));
}

fn check_setup(record: &str, is_wanted: fn(&str) -> bool, setup: Setup) {
    if !setup.is_available() {
        return;
    }
    let setup = Setup { imported_globals: imported_globals(), ..setup };
    check(&format!("{} -{:?}", setup.cpu, setup.level), record, is_wanted, &|| {
        Box::new(Thumb::new(setup.clone()).expect("a board"))
    });
}
