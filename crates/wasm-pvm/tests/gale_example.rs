//! The example for gale is built and run, by its script and by CMake; the script compares what the firmware prints.

mod support;

use std::path::Path;
use std::process::Command;

use support::{Folder, text};

/// Runs the example with these tools; skips if one is not there.
fn run(test: &str, tools: &[&str], variables: &[(&str, &str)]) {
    let is_missing = |tool: &&&str| Command::new(tool).arg("--version").output().is_err();
    if let Some(missing) = tools.iter().find(is_missing) {
        println!("skipped: {missing} not found");
        return;
    }
    let folder = Folder::new(test);
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/gale");
    let output = Command::new(example.join("run.sh"))
        .env("WASM_PVM", env!("CARGO_BIN_EXE_wasm-pvm"))
        .env("OUT", folder.path("out"))
        .envs(variables.iter().copied())
        .output()
        .expect("the script starts");
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let expected = std::fs::read(example.join("expected.txt")).expect("the example says what is printed");
    assert_eq!(text(&output.stdout), text(&expected));
}

#[test]
fn the_script_builds_and_runs_the_firmware() {
    run("gale-script", &["clang-22", "ld.lld-22", "qemu-system-arm"], &[]);
}

#[test]
fn cmake_builds_the_same() {
    run(
        "gale-cmake",
        &["clang-22", "ld.lld-22", "qemu-system-arm", "cmake", "llvm-ar-22"],
        &[("CMAKE", "1")],
    );
}
