//! Sizes of single modules, ours beside LLVM's on the same IR, per function.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use wasm_pvm::{Cpu, MemoryMode, OptLevel};

use super::{Measured, Module, Setting, measure, ratio, total};

/// Prints a row per module with native memory at `-Oz`, and with `verbose` one per function, those with the most
/// bytes above LLVM's first.
pub fn sizes(files: &[PathBuf], folder: &Path, verbose: bool) -> Result<()> {
    println!("| module | ours | LLVM -Oz, same IR | / |\n|---|--:|--:|--:|");
    let mut sums = [0, 0];
    let mut functions = Vec::new();
    for path in files {
        let name = path.file_stem().context("a file name")?.to_string_lossy().into_owned();
        let wasm = std::fs::read(path).with_context(|| path.display().to_string())?;
        let module = Module { name, wasm, memory: MemoryMode::Native };
        let sizes = match measure(&module, Setting { cpu: Cpu::M3, level: OptLevel::Oz }, folder) {
            Ok(sizes) => sizes,
            Err(error) => {
                println!("| {} | {error:#} | | |", module.name);
                continue;
            }
        };
        let [ours, theirs] = [&sizes.ours, &sizes.same_ir].map(total);
        println!("| {} | {ours} | {theirs} | {} |", module.name, ratio(ours, Some(theirs)));
        sums = [sums[0] + ours, sums[1] + theirs];
        functions.extend(compared(&module.name, &sizes));
    }
    println!("| total | {} | {} | {} |", sums[0], sums[1], ratio(sums[0], Some(sums[1])));
    if verbose {
        print_functions(functions);
    }
    Ok(())
}

/// The name of each function that both objects have, and its sizes.
fn compared(module: &str, sizes: &Measured) -> Vec<(String, u64, u64)> {
    let both = |(name, &ours): (&String, &u64)| {
        Some((format!("{module} | {name}"), ours, *sizes.same_ir.get(name)?))
    };
    sizes.ours.iter().filter_map(both).collect()
}

fn print_functions(mut functions: Vec<(String, u64, u64)>) {
    println!("\n| module | function | ours | LLVM -Oz, same IR | / |\n|---|---|--:|--:|--:|");
    functions.sort_by_key(|&(_, ours, theirs)| theirs as i64 - ours as i64);
    for (name, ours, theirs) in functions {
        println!("| {name} | {ours} | {theirs} | {} |", ratio(ours, Some(theirs)));
    }
}
