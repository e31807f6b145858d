//! Side modules on emulated boards, beside a dynamic loader on the reference engine.

use testkit::executor::{CallExit, Executor as _};
use testkit::loader::{self, Loaded};
use testkit::thumb::{Setup, Thumb};
use wasm_pvm::{Cpu, Floats, OptLevel};

#[test]
fn side_modules_run_as_a_loader_runs_them() {
    let setup = Setup::new(Cpu::M3, OptLevel::O2, Floats::Reject);
    if !setup.is_available() || !needs::tools(&loader::TOOLS) {
        return;
    }
    let board = Thumb::new(setup.clone()).unwrap();
    for compiler_level in ["-O0", "-O2"] {
        let wasm = loader::compiled(compiler_level).unwrap();
        for (seed, level) in (0..).zip([OptLevel::O0, OptLevel::O2, OptLevel::Os, OptLevel::Oz]) {
            let board = board.with_setup(Setup { level, ..setup.clone() }.with_memory_of(seed));
            let mut program = board.load(&wasm).unwrap();
            let exit = program.start(&mut |_, _| panic!("no import is called at the start")).unwrap();
            assert_eq!(exit, CallExit::Returned(Vec::new()));
            let mut reference = Loaded::new(&wasm, &["missing"]).unwrap();
            let compared = loader::compare(&mut *program, &mut reference);
            compared.unwrap_or_else(|error| panic!("{compiler_level} -{level:?}: {error:#}"));
            drop(program);
            board.clear();
        }
    }
}
