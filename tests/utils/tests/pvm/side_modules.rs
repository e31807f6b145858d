//! Side modules have the place that the documentation promises, and are loaded as a dynamic loader would.

use testkit::executor::{CallExit, Executor as _};
use testkit::loader::{self, Loaded};
use testkit::program::Pvm;
use wasm_pvm::{GpVersion, OptLevel, Options, PvmBounds, PvmOptions};

#[test]
fn side_modules_run_as_a_loader_runs_them() {
    if !needs::tools(&loader::TOOLS) {
        return;
    }
    for compiler_level in ["-O0", "-O2"] {
        let wasm = loader::compiled(compiler_level).unwrap();
        for level in [OptLevel::O0, OptLevel::O2, OptLevel::Os, OptLevel::Oz] {
            for (gp, bounds) in [
                (GpVersion::V08, PvmBounds::Guard),
                (GpVersion::V08, PvmBounds::Strict),
                (GpVersion::V072, PvmBounds::Guard),
            ] {
                let pvm = PvmOptions { gp, bounds, ..PvmOptions::default() };
                let options = Options { level, threads: 1, ..Options::new(pvm) };
                let mut program = Pvm { options }.load(&wasm).unwrap();
                let exit = program.start(&mut |_, _| panic!("no import is called at the start")).unwrap();
                assert_eq!(exit, CallExit::Returned(Vec::new()));
                let mut reference = Loaded::new(&wasm, &["missing"]).unwrap();
                let compared = loader::compare(&mut *program, &mut reference);
                compared
                    .unwrap_or_else(|error| panic!("{compiler_level} -{level:?} {gp} {bounds:?}: {error:#}"));
            }
        }
    }
}
