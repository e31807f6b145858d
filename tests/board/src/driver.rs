//! Building the program that runs on a board: the driver with the run-time library of floats.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::{Core, Places};

/// What building and emulating need.
const TOOLS: [&str; 3] = ["qemu-system-arm", "clang-22", "ld.lld-22"];
/// The run-time ABI's functions for floats.
pub const FLOAT_FUNCTIONS: [&str; 42] = [
    "fadd", "fsub", "fmul", "fdiv", "fcmpeq", "fcmplt", "fcmple", "fcmpge", "fcmpgt", "fcmpun", "dadd",
    "dsub", "dmul", "ddiv", "dcmpeq", "dcmplt", "dcmple", "dcmpge", "dcmpgt", "dcmpun", "f2d", "d2f", "f2iz",
    "f2uiz", "f2lz", "f2ulz", "d2iz", "d2uiz", "d2lz", "d2ulz", "i2f", "ui2f", "l2f", "ul2f", "i2d", "ui2d",
    "l2d", "ul2d", "ldivmod", "uldivmod", "lmul", "llsl",
];
/// Bytes of stack for programs.
pub const STACK_BYTES: u32 = 0x4_0000;
/// Bytes of the driver's data and stack.
pub const DRIVER_BYTES: u32 = 0x1_0000;
/// Where the driver's code is, from the beginning of code.
pub const DRIVER_CODE: u32 = 0x3f_0000;

/// The tools that are not there.
pub fn missing_tools() -> Vec<&'static str> {
    let is_missing = |tool: &&str| {
        Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err()
    };
    TOOLS.into_iter().filter(is_missing).collect()
}

/// Runs a tool to its end.
///
/// # Errors
/// If it can't be started or fails; then with what it said.
pub fn run_tool(tool: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(tool).args(args).output().with_context(|| format!("{tool} is not there"))?;
    if !output.status.success() {
        bail!("{tool} {} fails: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The C compiler's run-time library for a core, which has the arithmetic of floats; `None` if there is no such compiler.
pub fn runtime_library(core: Core) -> Option<String> {
    let args: Vec<&str> = core.flags().iter().copied().chain(["-print-libgcc-file-name"]).collect();
    run_tool("arm-none-eabi-gcc", &args).ok().filter(|path| Path::new(path).exists())
}

/// Builds the driver for a core in a folder.
pub fn build(core: Core, folder: &Path) -> Result<PathBuf> {
    let library = runtime_library(core);
    let mut objects = Vec::new();
    for (name, text) in
        [("driver.c", include_str!("driver/driver.c")), ("start.s", include_str!("driver/start.s"))]
    {
        let source = folder.join(name);
        std::fs::write(&source, text)?;
        let object = source.with_extension("o");
        let mut args = vec![core.triple(), "-O1", "-ffreestanding", "-fno-unwind-tables", "-c"];
        args.extend(core.flags());
        if library.is_some() && name.ends_with('c') {
            args.push("-DSOFT_FLOATS");
        }
        if core.has_floats() && name.ends_with('s') {
            args.push("-Wa,-defsym,FLOATS=1");
        }
        args.extend([utf8(&source)?, "-o", utf8(&object)?]);
        run_tool("clang-22", &args)?;
        objects.push(object);
    }
    let script = folder.join("link.ld");
    std::fs::write(&script, link_script(core.places()))?;
    let image = folder.join("driver.elf");
    let mut args = vec!["-T", utf8(&script)?, "-o", utf8(&image)?];
    for object in &objects {
        args.push(utf8(object)?);
    }
    let kept: Vec<String> =
        FLOAT_FUNCTIONS.iter().map(|name| format!("--undefined=__aeabi_{name}")).collect();
    if let Some(library) = &library {
        args.extend(kept.iter().map(String::as_str));
        args.push(library);
    }
    run_tool("ld.lld-22", &args)?;
    ensure!(image.exists(), "the linker makes an image");
    Ok(image)
}

fn utf8(path: &Path) -> Result<&str> {
    path.to_str().context("a path that isn't UTF-8")
}

fn link_script(Places { code, stack, .. }: Places) -> String {
    let data = stack + STACK_BYTES;
    let mut text = String::from("ENTRY(reset)\n");
    for (symbol, address) in
        [("program_stack", stack), ("program_stack_top", data), ("main_stack_top", data + DRIVER_BYTES)]
    {
        writeln!(text, "{symbol} = {address:#x};").expect("writing to a string");
    }
    let text_at = code + DRIVER_CODE;
    write!(
        text,
        "SECTIONS {{\n  . = {code:#x};\n  .vectors : {{ *(.vectors) }}\n  . = {text_at:#x};\n  \
         .text : {{ *(.text*) *(.rodata*) }}\n  . = {data:#x};\n  .data : {{ *(.data* .bss* COMMON) }}\n  \
         /DISCARD/ : {{ *(.note*) *(.comment) *(.ARM.exidx*) *(.ARM.extab*) }}\n}}\n"
    )
    .expect("writing to a string");
    text
}
