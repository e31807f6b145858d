//! C++ exceptions on PVM at every level, for both versions, and their cost where nothing is thrown.

use testkit::exceptions::{BINARIES, check};
use testkit::program::Pvm;
use wasm_pvm::{GpVersion, OptLevel, Options, PvmBounds, PvmOptions};

#[test]
fn cpp_exceptions_are_right_everywhere() {
    for binary in BINARIES {
        for level in [OptLevel::O0, OptLevel::O2, OptLevel::Os, OptLevel::Oz] {
            for (gp, bounds) in [(GpVersion::V08, PvmBounds::Guard), (GpVersion::V072, PvmBounds::Strict)] {
                let pvm = PvmOptions { gp, bounds, ..PvmOptions::default() };
                let options = Options { level, threads: 1, ..Options::new(pvm) };
                check(binary, 1000, &Pvm { options })
                    .unwrap_or_else(|error| panic!("-{level:?} {gp}: {error:#}"));
            }
        }
    }
}
