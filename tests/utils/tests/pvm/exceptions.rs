//! C++ exceptions on PVM at every level, for both versions, and their cost where nothing is thrown.

use pvm_engine::{Engine, Exit, Machine};
use pvm_isa::Container;
use testkit::exceptions::{BINARIES, check, file};
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

/// Calls of the loops whose cost is measured.
const CALLS: usize = 1000;

/// A call that may throw takes two more instructions: a branch after it, and one more result. In GP 0.7.2 gas counts
/// instructions.
#[test]
fn calls_that_throw_nothing_cost_two_instructions() {
    let gp = GpVersion::V072;
    let wasm = std::fs::read(file("cost.wasm")).unwrap();
    for level in [OptLevel::O2, OptLevel::Os, OptLevel::Oz] {
        let options = Options { level, ..Options::new(PvmOptions { gp, ..PvmOptions::default() }) };
        let jam = wasm_pvm::compile(&wasm, &options).unwrap().bytes;
        let Container::Jam { program, .. } = Container::parse_jam(&jam).unwrap() else {
            panic!("no JAM blob")
        };
        // The entries are at 0 and 5: first the loop with exceptions.
        let gas = [0, 5].map(|entry| {
            let mut machine = Machine::new(&program, gp, Engine::for_version(gp)[0]).unwrap();
            machine.enter_with_args(entry, &[0; CALLS]).unwrap();
            machine.set_gas(1 << 40);
            assert_eq!(machine.run().unwrap(), Exit::Halt);
            (1 << 40) - machine.gas()
        });
        let per_call = (gas[0] - gas[1]) as f64 / CALLS as f64;
        assert!((1.0..2.2).contains(&per_call), "-{level:?}: {per_call} instructions, {gas:?}");
    }
}
