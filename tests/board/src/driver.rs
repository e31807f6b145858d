//! Building the driver, the program that runs on a board, with a run-time library for floats.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::{Core, MemoryMap};

/// The tools for building the driver and for emulation.
pub const TOOLS: [&str; 3] = ["qemu-system-arm", "clang-22", "ld.lld-22"];
/// The functions of the run-time ABI for floats and 64-bit integers, without the prefix `__aeabi_`.
pub const FLOAT_FUNCTIONS: [&str; 42] = [
    "fadd", "fsub", "fmul", "fdiv", "fcmpeq", "fcmplt", "fcmple", "fcmpge", "fcmpgt", "fcmpun", "dadd",
    "dsub", "dmul", "ddiv", "dcmpeq", "dcmplt", "dcmple", "dcmpge", "dcmpgt", "dcmpun", "f2d", "d2f", "f2iz",
    "f2uiz", "f2lz", "f2ulz", "d2iz", "d2uiz", "d2lz", "d2ulz", "i2f", "ui2f", "l2f", "ul2f", "i2d", "ui2d",
    "l2d", "ul2d", "ldivmod", "uldivmod", "lmul", "llsl",
];
/// Size of the programs' stack in bytes.
pub const STACK_BYTES: u32 = 0x4_0000;
/// Size of the driver's data and stack in bytes.
pub const DRIVER_BYTES: u32 = 0x1_0000;

/// Runs a tool to its end.
///
/// # Errors
/// If it can't be started or fails; the error contains its output.
pub fn run_tool(tool: &str, args: &[&str]) -> Result<String> {
    let output =
        Command::new(tool).args(args).output().with_context(|| format!("{tool} can't be started"))?;
    if !output.status.success() {
        bail!("{tool} {} failed: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The run-time library of the C compiler for a core, which implements float arithmetic; `None` if the compiler isn't
/// installed.
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
        let emulated = core.emulated();
        let mut args = vec![emulated.triple(), "-O1", "-ffreestanding", "-fno-unwind-tables", "-c"];
        args.extend(emulated.flags());
        if library.is_some() && name.ends_with('c') {
            args.push("-DSOFT_FLOATS");
        }
        if core.has_floats() && name.ends_with('s') {
            args.push("-Wa,-defsym,FLOATS=1");
        }
        if core != emulated && name.ends_with('s') {
            args.push("-Wa,-defsym,ALIGNED=1");
        }
        args.extend([utf8(&source)?, "-o", utf8(&object)?]);
        run_tool("clang-22", &args)?;
        objects.push(object);
    }
    let script = folder.join("link.ld");
    std::fs::write(&script, link_script(core.memory_map()))?;
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
    ensure!(image.exists(), "the linker produced no image");
    Ok(image)
}

fn utf8(path: &Path) -> Result<&str> {
    path.to_str().context("the path is not valid UTF-8")
}

fn link_script(MemoryMap { code, driver, stack, .. }: MemoryMap) -> String {
    let data = stack + STACK_BYTES;
    let mut text = String::from("ENTRY(reset)\n");
    for (symbol, address) in
        [("program_stack", stack), ("program_stack_top", data), ("main_stack_top", data + DRIVER_BYTES)]
    {
        writeln!(text, "{symbol} = {address:#x};").expect("writing to a string");
    }
    write!(
        text,
        "SECTIONS {{\n  . = {code:#x};\n  .vectors : {{ *(.vectors) }}\n  . = {driver:#x};\n  \
         .text : {{ *(.text*) *(.rodata*) }}\n  . = {data:#x};\n  .data : {{ *(.data* .bss* COMMON) }}\n  \
         /DISCARD/ : {{ *(.note*) *(.comment) *(.ARM.exidx*) *(.ARM.extab*) }}\n}}\n"
    )
    .expect("writing to a string");
    text
}
