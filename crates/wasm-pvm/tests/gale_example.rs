//! The examples for Cortex-M are built and run. That for gale is built by its script and by CMake; the script compares the
//! firmware's output.

mod support;

use std::path::Path;
use std::process::{Command, Stdio};

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

/// Whether the standard library for these boards is installed, which not every installation of Rust can add.
fn has_rust_target(target: &str) -> bool {
    let output = Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output();
    output.is_ok_and(|output| output.status.success() && Path::new(text(&output.stdout).trim_end()).is_dir())
}

#[test]
fn a_firmware_in_rust_links_the_object() {
    const TARGET: &str = "thumbv7m-none-eabi";
    if !needs::tools(&["qemu-system-arm"]) || !needs::optional(TARGET, || has_rust_target(TARGET)) {
        return;
    }
    let folder = Folder::new("gale-rust");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/gale");
    let mut cargo = Command::new("cargo");
    cargo.args(["run", "--quiet", "--release", "--locked", "--offline"]).current_dir(example.join("rust"));
    cargo.env("WASM_PVM", env!("CARGO_BIN_EXE_wasm-pvm")).env("CARGO_TARGET_DIR", folder.path("target"));
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "RUSTC_WRAPPER"] {
        cargo.env_remove(variable);
    }
    let output = cargo.stdin(Stdio::null()).output().expect("cargo starts");
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let expected = std::fs::read(example.join("expected.txt")).expect("the example says what is printed");
    assert_eq!(text(&output.stdout), text(&expected));
    assert_eq!(text(&output.stderr), "", "no warnings");
}

/// The output of the example of faults, with a module whose traps have an effect.
fn faults(folder: &Folder, example: &Path, trap: &str, define: &str) -> String {
    let tool = |name: &str, args: &[&str]| {
        let output = Command::new(name).args(args).current_dir(folder.path("")).output().expect("it starts");
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    let source = |name: &str| example.join(name).to_str().expect("a path").to_owned();
    let options = ["--target", "thumbv7m", "-Oz", "--memory", "symbol", "-o", "checks.o", "--trap", trap];
    folder.succeed(&[&["compile", &source("checks.wat")], &options[..]].concat());
    let target = ["--target=thumbv7m-none-eabi", "-mcpu=cortex-m3", "-Os", "-ffreestanding", define];
    tool("clang-22", &[&target[..], &["-c", &source("faults.c"), "-o", "faults.o"]].concat());
    let script = source("../gale/firmware/link.ld");
    tool(
        "ld.lld-22",
        &["-T", &script, "--gc-sections", "faults.o", "checks.o", "-e", "reset", "-o", "firmware.elf"],
    );
    let board = ["-M", "mps2-an385", "-display", "none", "-monitor", "none", "-serial", "none"];
    let output = ["-chardev", "stdio,id=out", "-semihosting-config", "enable=on,target=native,chardev=out"];
    tool("qemu-system-arm", &[&board[..], &output[..], &["-kernel", "firmware.elf"]].concat())
}

/// The address of a function of the firmware.
fn address(folder: &Folder, name: &str) -> u32 {
    use object::{Object as _, ObjectSymbol as _};
    let bytes = std::fs::read(folder.path("firmware.elf")).expect("linked");
    let file = object::File::parse(&*bytes).expect("an ELF file");
    let symbol = file.symbols().find(|symbol| symbol.name() == Ok(name)).expect("it is there");
    symbol.address() as u32 & !1
}

#[test]
fn the_example_of_faults_reports_traps() {
    if !needs::tools(&["clang-22", "ld.lld-22", "qemu-system-arm"]) {
        return;
    }
    let folder = Folder::new("faults");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/faults");
    let wasm = wat::parse_file(example.join("checks.wat")).expect("a module");
    for (define, function, number, opcode, reason) in
        [("-DDIVIDE", "divide", 2, 0x6d, "division by zero"), ("-DSTOP", "stop", 0, 0x00, "unreachable")]
    {
        // `unreachable` is at the end of its function and of the module.
        let operator = wasm.windows(2).rposition(|bytes| bytes == [opcode, 0x0b]).expect("it is there");
        let output = faults(&folder, &example, "handler=wasm_trap", define);
        assert_eq!(output, format!("trap {number:#010x} {operator:#010x}\n"));
        let words: Vec<&str> = output.split_whitespace().skip(1).collect();
        let explained = folder.succeed(&[&["explain-trap", "checks.o"], &words[..]].concat());
        assert_eq!(
            explained,
            format!("{reason}, at offset {operator:#x} of the module, in function `{function}`\n")
        );

        let output = faults(&folder, &example, "udf", define);
        let (trap, at) = output.trim_end().split_once(" at ").expect("an address");
        assert_eq!(trap, format!("udf {number:#010x}"));
        let at = u32::from_str_radix(&at[2..], 16).expect("a number") - address(&folder, function);
        let place = format!("{function}+{at:#x}");
        assert_eq!(
            folder.succeed(&["explain-trap", "checks.o", "--at", &place]),
            format!("{reason}, at {place}\n")
        );
    }
    folder.fail(&["explain-trap", "checks.o", "99"], b"", 1);
    folder.fail(&["explain-trap", "checks.o", "--at", "stop+2000"], b"", 1);
    folder.fail(&["explain-trap", "firmware.elf", "0"], b"", 1);
}

#[test]
fn the_wrapper_takes_the_options_of_synth() {
    if !needs::tools(&["bash"]) {
        return;
    }
    let folder = Folder::new("gale-synth");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/gale");
    let module = example.join("kernel/sem.wat");
    let module = module.to_str().expect("a path");
    let synth = |args: &[&str], flags: &str| {
        let mut command = Command::new(example.join("synth"));
        command.env("WASM_PVM", env!("CARGO_BIN_EXE_wasm-pvm")).env("WASM_PVM_FLAGS", flags);
        command.args(args).current_dir(folder.path("")).output().expect("the wrapper starts")
    };
    let bytes = |name: &str| std::fs::read(folder.path(name)).expect("written");
    // The command lines of gale's builds.
    let gale =
        ["compile", module, "--target", "cortex-m4f", "--all-exports", "--relocatable", "--no-optimize"];
    let native = ["--native-pointer-abi", "--shadow-stack-size=512", "-o", "own.o"];
    for (args, flags, same) in [
        (
            &[&gale[..], &["-o", "own.o"]].concat(),
            "",
            &["--target", "thumbv7em", "--cpu", "cortex-m4f", "-Oz"][..],
        ),
        (&[&gale[..], &native].concat(), "-O2", &["--target", "thumbv7em", "--cpu", "cortex-m4f", "-O2"]),
        (
            &vec!["compile", module, "--target=cortex-m3", "--safety-bounds", "software", "-o", "own.o"],
            "",
            &["--target", "thumbv7m", "-Oz", "--memory", "register", "--bounds", "check"],
        ),
    ] {
        let output = synth(args, flags);
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        folder.succeed(&[&["compile", module, "-o", "same.o"], same].concat());
        assert!(bytes("own.o") == bytes("same.o"), "{args:?}");
    }
    for args in [
        &["compile", module, "--cortex-m"][..],
        &["compile", module, "--target", "rv32imac"],
        &["compile", module, "--volatile-segment", "0x100:16"],
        &["compile", module, "--native-pointer-abi", "--safety-bounds", "mask"],
        &["compile", module, "--target"],
        &["verify", module],
    ] {
        let output = synth(args, "");
        assert!(output.status.code() == Some(2) && !output.stderr.is_empty(), "{args:?}: {output:?}");
    }
}
