//! C++ exceptions on emulated boards.

use testkit::exceptions::{BINARIES, check};
use testkit::thumb::{Setup, Thumb};
use wasm_pvm::{Cpu, Floats, OptLevel};

#[test]
fn cpp_exceptions() {
    for (binary, cpu) in BINARIES.into_iter().zip([Cpu::M3, Cpu::M33, Cpu::M33, Cpu::M3]) {
        for level in [OptLevel::O0, OptLevel::O2, OptLevel::Os, OptLevel::Oz] {
            let setup = Setup::new(cpu, level, Floats::Trap);
            if !setup.is_available() {
                return;
            }
            let board = Thumb::new(setup).unwrap();
            check(binary, 100, &board).unwrap_or_else(|error| panic!("-{level:?}: {error:#}"));
        }
    }
}
