//! Numerical kernels: our code of the wasm in comparison with clang's native code of the same C.
//!
//! Executed instructions of each kernel, on the integer core and on the one with a floating-point unit, without and with
//! bounds checks. The native build's checksums are the expected ones.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use board::{Call, Core, Ending, Words};
use testkit::polybench::{self, Program, SEED};
use wasm_pvm::{Cpu, InitialData, MemoryMode, OptLevel, Options, ThumbBounds, ThumbOptions};

use super::count::Counter;
use super::{llvm, mean};

/// Time limit of a kernel in hundredths of a second.
const TICKS: u32 = 3000;
const BOUNDS: [ThumbBounds; 2] = [ThumbBounds::None, ThumbBounds::Check];

/// Prints executed instructions of all kernels.
pub fn run(folder: &Path) -> Result<()> {
    if !needs::missing(&board::TOOLS).is_empty() {
        return Ok(());
    }
    for program in polybench::programs()? {
        let (cpu, core) = if program.numbers == "int" { (Cpu::M3, Core::M3) } else { (Cpu::M4F, Core::M4F) };
        println!("\n## PolyBench, {}, {cpu}, -O2, executed instructions\n", program.numbers);
        println!("| kernel | clang -O2, native | ours, no checks | / | ours, checks | / |");
        println!("|---|--:|--:|--:|--:|--:|");
        let native = native(&program, core, folder)?;
        let mut counter = Counter::start(core, folder)?;
        let native = count(&mut counter, &program, &native)?;
        let mut ours = Vec::new();
        for bounds in BOUNDS {
            let object = compile(&program, cpu, bounds)?;
            std::fs::write(folder.join(format!("polybench.{}.{bounds:?}.o", program.numbers)), &object)?;
            ours.push(count(&mut counter, &program, &object)?);
        }
        print(&program, &native, &ours);
    }
    Ok(())
}

fn print(program: &Program, native: &[u64], ours: &[Vec<u64>]) {
    let mut logs = [Vec::new(), Vec::new()];
    for (index, (name, native)) in program.sums.keys().zip(native).enumerate() {
        let cells = ours.iter().zip(&mut logs).map(|(counts, logs)| {
            let ratio = counts[index] as f64 / *native as f64;
            logs.push(ratio.ln());
            format!("{} | {ratio:.3}", counts[index])
        });
        println!("| {name} | {native} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    println!("| geometric mean | | | {:.3} | | {:.3} |", mean(&logs[0]), mean(&logs[1]));
}

fn compile(program: &Program, cpu: Cpu, bounds: ThumbBounds) -> Result<Vec<u8>> {
    let thumb = ThumbOptions {
        memory: MemoryMode::Symbol,
        initial_data: Some(InitialData::Image),
        bounds: Some(bounds),
        ..ThumbOptions::new(cpu)
    };
    let options = Options { level: OptLevel::O2, threads: 1, ..Options::new(thumb) };
    Ok(wasm_pvm::compile(&program.wasm, &options)?.bytes)
}

/// The program's native build.
fn native(program: &Program, core: Core, folder: &Path) -> Result<Vec<u8>> {
    let (source, options) = polybench::source(program.numbers);
    let object: PathBuf = folder.join(format!("polybench.{}.native.o", program.numbers));
    let mut flags =
        vec![core.triple(), "-O2", "-ffreestanding", "-fno-math-errno", "-ffp-contract=off", "-c"];
    flags.extend(core.flags());
    flags.extend(options);
    llvm::tool("clang-22", &flags, &source, &object)?;
    Ok(std::fs::read(object)?)
}

/// Executed instructions of each kernel of an object, whose checksums are compared with the expected ones.
fn count(counter: &mut Counter, program: &Program, object: &[u8]) -> Result<Vec<u64>> {
    let image = counter.image(object)?;
    let mut counts = Vec::new();
    for (name, sum) in &program.sums {
        let mut call = |function: &str, argument: u32| {
            let address = image.address(function).with_context(|| format!("no {function}"))?;
            let words = Words { core: [argument, 0, 0, 0], ..Words::default() };
            let (exit, executed) = counter.run(&Call { ticks: TICKS, ..Call::new(address, words) })?;
            ensure!(exit.ending == Ending::Returned, "{function}: {:?}", exit.ending);
            Ok((exit.words.core[0], executed))
        };
        call(&format!("{name}_set"), SEED)?;
        counts.push(call(name, 0)?.1);
        let (result, _) = call(&format!("{name}_sum"), 0)?;
        ensure!(result == *sum, "{name}: {result} instead of {sum}");
    }
    Ok(counts)
}
