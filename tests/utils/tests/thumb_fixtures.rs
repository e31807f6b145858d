//! Scripts of `tests/fixtures/thumb` on emulated boards: shapes that compilers for these cores got wrong before. A test
//! is a file in that folder; files with `float` in their names need floats.

use std::path::Path;

use testkit::engine::Engine;
use testkit::program::Pvm;
use testkit::spec::run_text;
use testkit::thumb::{Setup, Thumb};
use wasm_pvm::{Cpu, Floats, OptLevel, Options, PvmBounds, PvmOptions};

const LEVELS: [OptLevel; 4] = [OptLevel::O0, OptLevel::O2, OptLevel::Os, OptLevel::Oz];

/// Scripts with their names, sorted.
fn scripts() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/thumb");
    let mut scripts = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        scripts.push((name, std::fs::read_to_string(path).unwrap()));
    }
    scripts.sort();
    assert!(!scripts.is_empty());
    scripts
}

fn check(context: &str, executor: &dyn testkit::executor::Executor) {
    let (mut passed, mut failed) = (0, Vec::new());
    for (name, text) in scripts() {
        if name.contains("float") && !executor.has_floats() {
            continue;
        }
        let tally = run_text(&name, &text, executor);
        assert!(tally.skipped.is_empty(), "{name}: nothing is skipped");
        passed += tally.passed;
        failed.extend(tally.failed);
    }
    println!("{context}: {passed} passed");
    assert!(failed.is_empty(), "{context}:\n{}", failed.join("\n"));
}

fn on_board(cpu: Cpu, floats: Floats) {
    let setup = Setup::new(cpu, OptLevel::O2, floats);
    if !setup.is_available() {
        return;
    }
    let board = Thumb::new(setup.clone()).unwrap();
    for level in LEVELS {
        check(&format!("{cpu} -{level:?}"), &board.with_setup(Setup { level, ..setup.clone() }));
    }
}

#[test]
fn without_floats() {
    on_board(Cpu::M3, Floats::Reject);
    on_board(Cpu::M33, Floats::Reject);
}

#[test]
fn with_double_precision() {
    on_board(Cpu::M7DP, Floats::Hard);
}

#[test]
fn with_single_precision_and_library() {
    on_board(Cpu::M4F, Floats::Soft);
}

/// The scripts themselves are right.
#[test]
fn on_the_reference_engine() {
    check("reference", &Engine);
}

/// The other target agrees with them.
#[test]
fn on_the_pvm() {
    let options = Options {
        threads: 1,
        ..Options::new(PvmOptions { bounds: PvmBounds::Strict, ..PvmOptions::default() })
    };
    check("PVM", &Pvm { options });
}
