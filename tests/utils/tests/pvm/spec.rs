//! The specification suite at every level on the PVM, against the record of passing assertions.

use testkit::program::Pvm;
use testkit::spec::{check, imported_globals};
use wasm_pvm::{Floats, GpVersion, OptLevel, Options, PvmBounds, PvmOptions};

#[test]
fn everything_holds_at_o0() {
    check_level(OptLevel::O0);
}

#[test]
fn everything_holds_at_o2() {
    check_level(OptLevel::O2);
}

#[test]
fn everything_holds_at_oz() {
    check_level(OptLevel::Oz);
}

#[test]
fn everything_holds_in_the_next_format() {
    check_options(OptLevel::Oz, GpVersion::Next);
}

fn check_level(level: OptLevel) {
    check_options(level, GpVersion::V08);
}

fn check_options(level: OptLevel, gp: GpVersion) {
    let options = Options {
        level,
        floats: Some(Floats::Soft),
        imported_globals: imported_globals(),
        threads: 1,
        ..Options::new(PvmOptions { gp, bounds: PvmBounds::Strict, ..PvmOptions::default() })
    };
    check(&format!("-{level:?} {gp}"), "spec-record", |_| true, &|| {
        Box::new(Pvm { options: options.clone() })
    });
}
