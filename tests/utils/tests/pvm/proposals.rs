//! Scripts of `tests/fixtures/proposals`: shapes of newer WebAssembly that other compilers got wrong before.

use testkit::judge::{SecondJudge, is_available};
use testkit::program::Pvm;
use testkit::scripts::check;
use wasm_pvm::{GpVersion, OptLevel, Options, PvmBounds, PvmOptions};

/// The expectations of the scripts are right. `wasmtime` lacks the exceptions of compilers before WebAssembly 3.0; node,
/// which judged that script, lacks others.
#[test]
fn the_second_judge_agrees_with_the_scripts() {
    if is_available() {
        check("proposals", Some("legacy"), "wasmtime", &SecondJudge::new().unwrap());
    }
}

#[test]
fn scripts_hold_at_all_levels() {
    for (level, gp) in [
        (OptLevel::O0, GpVersion::V08),
        (OptLevel::O2, GpVersion::V072),
        (OptLevel::O2, GpVersion::V08),
        (OptLevel::Oz, GpVersion::V08),
    ] {
        let target = PvmOptions { gp, bounds: PvmBounds::Strict, ..PvmOptions::default() };
        let options = Options { level, threads: 1, ..Options::new(target) };
        check("proposals", None, &format!("-{level:?} {gp}"), &Pvm { options });
    }
}

/// The default treatment of accesses outside of memory is as exact, but for the first memory with 32-bit addresses.
#[test]
fn scripts_hold_with_guards() {
    for level in [OptLevel::O2, OptLevel::Oz] {
        let options = Options { level, threads: 1, ..Options::new(PvmOptions::default()) };
        check("proposals", Some("constants"), &format!("-{level:?} with guards"), &Pvm { options });
    }
}
