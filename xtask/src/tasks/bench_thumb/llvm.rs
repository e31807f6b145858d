//! Compilation with LLVM's back end, from the same IR that our back end gets.
//!
//! Where linear memory is at address 0, its symbol becomes the null pointer, and functions are marked so that null is
//! a valid address. The IR has already gone through our pass pipeline. LLVM's standard pipeline of the level runs on
//! it as well, so that LLVM can use all its optimisations.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use llvm_frontend::ModuleInfo;
use wasm_pvm::{Cpu, MemoryMode};

use super::data::{STATICS, Statics};
use super::{Module, Setting, Sizes};

/// A module compiled by LLVM.
pub struct Compiled {
    /// The object with its functions.
    pub object: PathBuf,
    /// The object with the run-time functions that they call.
    pub runtime: PathBuf,
    /// The static data they refer to.
    pub statics: Option<Statics>,
}

/// Compiles `ir` with LLVM's pipeline and back end; objects and intermediate files are written to `folder`.
pub fn compile(module: &Module, ir: &str, setting: Setting, folder: &Path) -> Result<Compiled> {
    let object = folder.join(setting.file(module, "llvm.o"));
    let source = object.with_extension("ll");
    let info = ModuleInfo::parse(&module.wasm)?;
    let statics = static_data(ir).map(|range| Statics::new(&module.wasm, &info, range));
    std::fs::write(&source, prepared(&module.name, ir, module.memory)?)?;
    let optimised = object.with_extension("bc");
    let (_, roots) = super::symbols(&info);
    let roots = format!("-internalize-public-api-list={}", roots.join(","));
    let pipeline = format!("-passes=internalize,globaldce,default<{:?}>", setting.level);
    let [triple, cpu] = core(setting.cpu);
    tool("opt-22", &[triple, cpu, &roots, &pipeline], &source, &optimised)?;
    tool("llc-22", &["-O2", triple, cpu, "-filetype=obj"], &optimised, &object)?;
    Ok(Compiled { object, runtime: compile_runtime(ir, setting.cpu, folder)?, statics })
}

/// Compiles the run-time functions in `ir`, together with the functions of the run-time ABI that LLVM calls.
fn compile_runtime(ir: &str, cpu: Cpu, folder: &Path) -> Result<PathBuf> {
    let runtime = ir.split("; ModuleID = ").find(|part| part.starts_with("'runtime'"));
    let runtime = runtime.context("no run-time functions")?.lines().skip(1);
    let mut text: String =
        runtime.map(|line| format!("{}\n", line.replace("@__linear_memory", "null"))).collect();
    for line in LIBRARY.lines().filter(|_| cpu == Cpu::M3) {
        text.push_str(&format!("module asm \"{line}\"\n"));
    }
    let (source, object) = (folder.join("runtime.ll"), folder.join("runtime.o"));
    std::fs::write(&source, text.replace("call void @__wasm_trap", "call void @llvm.trap() ; "))?;
    let [triple, cpu] = core(cpu);
    tool("llc-22", &["-O2", triple, cpu, "-filetype=obj"], &source, &object)?;
    Ok(object)
}

/// The fill and copy functions of the run-time ABI that LLVM calls, implemented by the run-time functions that our
/// code calls.
const LIBRARY: &str = "\
.syntax unified
.globl __aeabi_memclr, __aeabi_memclr4, __aeabi_memclr8, __aeabi_memset, __aeabi_memmove, __aeabi_memcpy
.type __aeabi_memclr, %function
.type __aeabi_memclr4, %function
.type __aeabi_memclr8, %function
.type __aeabi_memset, %function
.type __aeabi_memmove, %function
.type __aeabi_memcpy, %function
.thumb
__aeabi_memclr:
__aeabi_memclr4:
__aeabi_memclr8:
mov r2, r1
movs r1, #0
b.w __wasm_memset
__aeabi_memset:
mov r3, r1
mov r1, r2
mov r2, r3
b.w __wasm_memset
__aeabi_memmove:
b.w __wasm_memmove
__aeabi_memcpy:
b.w __wasm_memcpy";

/// LLVM's options for a core.
const fn core(cpu: Cpu) -> [&'static str; 2] {
    match cpu {
        Cpu::M0Plus => ["-mtriple=thumbv6m-none-eabi", "-mcpu=cortex-m0plus"],
        _ => ["-mtriple=thumbv7m-none-eabi", "-mcpu=cortex-m3"],
    }
}

/// The program's part of the IR without our intrinsic functions, which only our back end implements: a trap becomes
/// `llvm.trap`, a frame becomes an `alloca`.
fn prepared(name: &str, ir: &str, memory: MemoryMode) -> Result<String> {
    let mut parts = ir.split("; ModuleID = ").filter(|part| part.starts_with("'part."));
    let part = parts.next().context("no part with functions")?;
    ensure!(parts.next().is_none(), "{name} was compiled in several parts");
    let is_native = memory == MemoryMode::Native;
    let mut text = String::new();
    for line in part.lines().skip(1).filter(|line| !is_native || !line.starts_with("@__linear_memory =")) {
        let line = line.replace(" tailcc ", " ").replace("musttail call", "tail call");
        let line = if is_native { line.replace("@__linear_memory", "null") } else { line };
        if let Some((before, _)) = line.split_once("call void @__wasm_trap(") {
            text.push_str(&format!("{before}call void @llvm.trap()\n"));
        } else if let Some(frame) = frame(&line, is_native) {
            text.push_str(&frame);
        } else if let Some((result, offset)) = static_address(&line) {
            text.push_str(&format!(
                "{result} = ptrtoint ptr getelementptr (i8, ptr @{STATICS}, i32 {offset}) to i32\n"
            ));
        } else {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text.push_str("declare void @llvm.trap()\n");
    text.push_str(&format!("@{STATICS} = external global [0 x i8]\n"));
    Ok(text)
}

/// The result and the offset of an address of static data, if the line defines one.
fn static_address(line: &str) -> Option<(&str, &str)> {
    let (result, call) = line.split_once(" = ")?;
    let (_, operand) = call.split_once("call i32 @__wasm_static_address(i32 0, i32 ")?;
    Some((result.trim(), operand.split_once(')')?.0))
}

/// The range of wasm addresses of static data.
fn static_data(ir: &str) -> Option<Range<u32>> {
    let (start, end) = ir.lines().next()?.strip_prefix("; static data from ")?.split_once(" to ")?;
    Some(start.parse().ok()?..end.parse().ok()?)
}

/// A frame as an `alloca` with its wasm address, if the line defines one.
fn frame(line: &str, is_native: bool) -> Option<String> {
    let (result, call) = line.split_once(" = ")?;
    let (_, operands) = call.split_once("call i32 @__wasm_frame(")?;
    let (size, align) = operands.split_once(')')?.0.split_once(", i32 ")?;
    let base = "sub i32 %ADDRESS, ptrtoint (ptr @__linear_memory to i32)";
    let address = if is_native { "add i32 %ADDRESS, 0" } else { base };
    let result = result.trim();
    let own = format!("frame.{}", result.trim_start_matches('%'));
    Some(format!(
        "%{own} = alloca i8, {size}, align {align}\n%{own}.address = ptrtoint ptr %{own} to i32\n{result} = {}\n",
        address.replace("ADDRESS", &format!("{own}.address"))
    ))
}

/// Links several objects into one.
pub fn link(objects: &[&PathBuf], output: &Path) -> Result<PathBuf> {
    let mut command = Command::new("ld.lld-22");
    run(command.arg("-r").args(objects).arg("-o").arg(output))?;
    Ok(output.to_owned())
}

/// Runs a tool that produces one file from another.
pub fn tool(tool: &str, flags: &[&str], input: &Path, output: &Path) -> Result<()> {
    run(Command::new(tool).args(flags).arg(input).arg("-o").arg(output))
}

pub fn run(command: &mut Command) -> Result<()> {
    let tool = command.get_program().to_string_lossy().into_owned();
    let result = command.output().with_context(|| format!("{tool} can't be started"))?;
    ensure!(result.status.success(), "{tool}: {}", String::from_utf8_lossy(&result.stderr));
    Ok(())
}

/// Prefix of the names of tables that replace code.
pub const TABLES: &str = "__wasm_classes_";

/// The functions of an object and the tables that replace code, with their sizes in bytes.
pub fn symbols(object: &Path) -> Result<Sizes> {
    let output = Command::new("llvm-nm-22").args(["--print-size", "--defined-only"]).arg(object).output()?;
    ensure!(output.status.success(), "llvm-nm-22: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let symbol = |line: &str| {
        let mut fields = line.splitn(4, ' ');
        let (_, size, kind, name) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let size = u64::from_str_radix(size, 16).ok()?;
        let is_table = kind == "r" && name.starts_with(TABLES);
        (matches!(kind, "T" | "t" | "W") || is_table).then(|| (name.to_owned(), size))
    };
    Ok(text.lines().filter_map(symbol).collect())
}
