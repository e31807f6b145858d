//! The specification suite at every level on the PVM, against the record of passing assertions.

use testkit::program::Pvm;
use testkit::spec::{check, imported_globals};
use wasm_pvm::{Floats, OptLevel, Options, PvmBounds, PvmOptions};

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

fn check_level(level: OptLevel) {
    let options = Options {
        level,
        floats: Some(Floats::Soft),
        imported_globals: imported_globals(),
        threads: 1,
        ..Options::new(PvmOptions { bounds: PvmBounds::Strict, ..PvmOptions::default() })
    };
    check(&format!("-{level:?}"), "spec-record", |_| true, &|| Box::new(Pvm { options: options.clone() }));
}
