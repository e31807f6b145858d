//! The specification suite on emulated boards, against the records of what passes: all integer assertions at every
//! level, and single precision in hardware.

use testkit::spec::{check, imported_globals};
use testkit::thumb::{Setup, Thumb};
use wasm_pvm::{Cpu, Floats, OptLevel};

#[test]
fn integers_at_o0() {
    integers(OptLevel::O0);
}

#[test]
fn integers_at_o2() {
    integers(OptLevel::O2);
}

#[test]
fn integers_at_oz() {
    integers(OptLevel::Oz);
}

#[test]
fn floats_in_single_precision_hardware() {
    check_setup("spec-record-m4f", is_single, Setup::new(Cpu::M4F, OptLevel::O2, Floats::Hard));
}

/// Files with single precision alone.
fn is_single(file: &str) -> bool {
    file.contains("/f32")
}

fn integers(level: OptLevel) {
    check_setup("spec-record-m3", |_| true, Setup::new(Cpu::M3, level, Floats::Trap));
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
