//! Sizes for Cortex-M0+: our code in comparison with LLVM's, on the same IR.
//!
//! The core has no division, no products of 64 bits and no counts of bits, and both compilers call helpers for them.
//! Ours are in the object, LLVM's in the library of the C compiler or in the IR. Their bytes are columns of their own.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use wasm_pvm::{Cpu, OptLevel};

use super::{Module, Setting, compile, is_helper, kernel_modules, llvm, mean, ratio, sizes, total};

const SETTING: Setting = Setting { cpu: Cpu::M0Plus, level: OptLevel::Oz };

/// Bytes of a module's code.
struct Row {
    name: String,
    /// Ours, and LLVM's.
    code: [u64; 2],
    /// Helpers of ours, and of LLVM's if the library is here.
    helpers: [Option<u64>; 2],
}

/// Prints the sizes of all modules and kernels.
pub fn run(modules: &[Module], folder: &Path, verbose: bool) -> Result<()> {
    println!("\n## Cortex-M0+, -Oz, bytes of code\n");
    println!("| module | ours | LLVM -Oz, same IR | / | our helpers | LLVM's helpers |");
    println!("|---|--:|--:|--:|--:|--:|");
    let kernels = kernel_modules("Os")?;
    for (group, modules) in [("modules", modules), ("kernels", &kernels)] {
        let rows: Vec<Row> = modules.iter().map(|module| row(module, folder)).collect::<Result<_>>()?;
        if rows.is_empty() {
            continue;
        }
        if verbose {
            rows.iter().for_each(print);
        }
        print(&sum(&format!("total, {group}"), &rows));
        let logs: Vec<f64> = rows.iter().map(|row| (row.code[0] as f64 / row.code[1] as f64).ln()).collect();
        println!("| geometric mean, {group} | | | {:.3} | | |", mean(&logs));
    }
    Ok(())
}

fn print(row: &Row) {
    let Row { name, code: [ours, theirs], helpers } = row;
    let [own, library] = helpers.map(super::cell);
    println!("| {name} | {ours} | {theirs} | {} | {own} | {library} |", ratio(*ours, Some(*theirs)));
}

fn sum(name: &str, rows: &[Row]) -> Row {
    let code = [0, 1].map(|side| rows.iter().map(|row| row.code[side]).sum());
    let helpers = [0, 1].map(|side: usize| rows.iter().map(|row| row.helpers[side]).sum());
    Row { name: name.to_owned(), code, helpers }
}

fn row(module: &Module, folder: &Path) -> Result<Row> {
    let compiled = compile(module, SETTING, folder).with_context(|| module.name.clone())?;
    let sizes = sizes(module, &compiled)?;
    let own = sizes.ours.iter().filter(|(name, _)| is_helper(name)).map(|(_, size)| size).sum();
    Ok(Row {
        name: module.name.clone(),
        code: [&sizes.ours, &sizes.same_ir].map(total),
        helpers: [Some(own), library_bytes(&compiled.theirs, folder)?],
    })
}

/// Bytes of the run-time functions in the IR that LLVM's code calls itself, and of those of the C compiler's library, with the
/// functions that they call there. Functions that fill and copy memory are not in that library.
fn library_bytes(compiled: &llvm::Compiled, folder: &Path) -> Result<Option<u64>> {
    let Some(library) = board::runtime_library(board::Core::M0) else { return Ok(None) };
    let called = undefined(&compiled.object)?;
    let runtime = llvm::symbols(&compiled.runtime)?;
    let own: u64 = called.iter().filter_map(|name| runtime.get(name)).sum();
    let linked = folder.join("library.o");
    let mut linker = Command::new("ld.lld-22");
    linker.arg("-r").args(called.iter().map(|name| format!("--undefined={name}")));
    llvm::run(linker.arg(library).arg("-o").arg(&linked))?;
    Ok(Some(own + text_bytes(&linked)?))
}

/// The functions of libraries that an object calls.
fn undefined(object: &Path) -> Result<BTreeSet<String>> {
    let mut list = Command::new("llvm-nm-22");
    let output = list.args(["--undefined-only", "--just-symbol-name"]).arg(object).output()?;
    ensure!(output.status.success(), "llvm-nm-22: {}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout)?;
    Ok(names.lines().filter(|name| name.starts_with("__")).map(str::to_owned).collect())
}

/// Bytes of the code of an object.
fn text_bytes(object: &Path) -> Result<u64> {
    let output = Command::new("llvm-size-22").args(["--format=sysv", "--radix=10"]).arg(object).output()?;
    ensure!(output.status.success(), "llvm-size-22: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let size = |line: &str| {
        let mut fields = line.split_whitespace();
        let is_code = fields.next()?.starts_with(".text");
        is_code.then(|| fields.next()?.parse::<u64>().ok()).flatten()
    };
    Ok(text.lines().filter_map(size).sum())
}
