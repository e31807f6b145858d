//! The example for gale is built and run, by its script and by CMake; the script compares the firmware's output.

mod support;

use std::path::Path;
use std::process::Command;

use support::{Folder, text};

/// Runs the example with the tools it needs; skips if one is not there. With a folder, in which CMake finds how.
fn run(test: &str, cmake: Option<&str>) {
    let mut tools = vec!["clang-22", "ld.lld-22", "qemu-system-arm"];
    tools.extend(cmake.iter().flat_map(|_| ["cmake", "llvm-ar-22"]));
    if !needs::tools(&tools) {
        return;
    }
    let folder = Folder::new(test);
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let example = own.join("../../examples/gale");
    let mut command = Command::new(example.join("run.sh"));
    command.env("WASM_PVM", env!("CARGO_BIN_EXE_wasm-pvm")).env("OUT", folder.path("out"));
    if let Some(cmake) = cmake {
        command.env("CMAKE", own.join(cmake));
    }
    let output = command.output().expect("the script starts");
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let expected = std::fs::read(example.join("expected.txt")).expect("the example says what is printed");
    assert_eq!(text(&output.stdout), text(&expected));
}

#[test]
fn the_script_builds_and_runs_the_firmware() {
    run("gale-script", None);
}

#[test]
fn cmake_builds_the_same() {
    run("gale-cmake", Some("../../examples/gale"));
}

#[test]
fn the_zephyr_module_builds_the_same() {
    run("gale-zephyr", Some("tests/zephyr"));
}
