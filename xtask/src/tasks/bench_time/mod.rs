//! Times beside `wasmtime` in the same run: CPU time of compilation, and execution of kernels by the wall clock.
//!
//! Times depend on the machine, so only ratios are printed besides our own seconds, and nothing fails.

mod peer;

use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use pvm_engine::{Backend, Engine, Exit, Machine};
use pvm_isa::metadata::ResultConvention;
use pvm_isa::{Container, GpVersion};
use testkit::kernels::{self, Kernel};
use testkit::runtimes;
use wasm_pvm::{OptLevel, Options};

use peer::Peer;

/// Seconds that a measured run takes at least.
const RUN: f64 = 0.005;
/// Runs of which the fastest counts.
const RUNS: usize = 7;
const LEVELS: [&str; 5] = ["-O0", "-O1", "-O2", "-Os", "-Oz"];

/// Measures everything.
pub fn run(folder: &Path) -> Result<()> {
    let mut peer = Peer::new()?;
    execution(&mut peer)?;
    compilation(&mut peer, folder)
}

/// CPU time of compilation of the runtimes, by one thread, over that of Cranelift.
fn compilation(peer: &mut Peer, folder: &Path) -> Result<()> {
    let files = runtimes::files(folder)?;
    println!("\n## CPU time of compilation / Cranelift's\n");
    println!("| runtime | Cranelift, seconds | {} |", LEVELS.join(" | "));
    println!("|---|--:|{}", "--:|".repeat(LEVELS.len()));
    let tool = std::env::current_exe()?.with_file_name("wasm-pvm");
    ensure!(tool.exists(), "{}: build it with `cargo build --release`", tool.display());
    let tool = tool.to_str().context("a path in Unicode")?;
    for (name, path) in files {
        let mut wasm = tempfile::Builder::new().suffix(".wasm").tempfile()?;
        wasm.write_all(&runtimes::decompress(&std::fs::read(&path)?)?)?;
        let theirs = peer.compile(wasm.path())?;
        let file = wasm.path().to_str().context("a path in Unicode")?;
        let mut cells = vec![format!("{theirs:.2}")];
        for level in LEVELS {
            let output = tempfile::NamedTempFile::new()?;
            let output = output.path().to_str().context("a path in Unicode")?;
            let options = ["--floats", "trap", "--imports", "auto", "--threads", "1", level];
            let ours = peer.command(&[&[tool, "compile", file, "-o", output], &options[..]].concat())?;
            cells.push(format!("{:.2}", ours / theirs));
        }
        println!("| {name} | {} |", cells.join(" | "));
    }
    Ok(())
}

/// Time of kernels compiled at -O2 and recompiled by `polkavm`, over that of Cranelift's code for the same wasm.
fn execution(peer: &mut Peer) -> Result<()> {
    println!("\n## Time of kernels on polkavm's recompiler / Cranelift's code\n");
    println!("| kernel | microseconds | / Cranelift with fuel | / Cranelift |");
    println!("|---|--:|--:|--:|");
    let (mut logs, mut count) = ([0.0; 2], 0);
    for kernel in kernels::all()?.iter().filter(|kernel| kernel.variant == "O2") {
        let row = times(peer, kernel).with_context(|| kernel.name.clone())?;
        let ratios = [row[0] / row[1], row[0] / row[2]];
        println!("| {} | {:.2} | {:.3} | {:.3} |", kernel.name, row[0] * 1e6, ratios[0], ratios[1]);
        logs = [0, 1].map(|n| logs[n] + ratios[n].ln());
        count += 1;
    }
    let [with, without] = logs.map(|log| (log / f64::from(count)).exp());
    println!("| geometric mean | | {with:.3} | {without:.3} |");
    Ok(())
}

/// Seconds per execution of a kernel: ours, Cranelift's with fuel, and without.
fn times(peer: &mut Peer, kernel: &Kernel) -> Result<[f64; 3]> {
    let wasm = repeating(&kernel.wasm)?;
    let ours = fastest(kernel, &mut recompiled(&wasm)?)?;
    let mut file = tempfile::Builder::new().suffix(".wasm").tempfile()?;
    file.write_all(&wasm)?;
    let mut theirs = |fuel| -> Result<f64> {
        peer.load(file.path(), fuel)?;
        fastest(kernel, &mut |args| peer.run(args))
    };
    Ok([ours, theirs(true)?, theirs(false)?])
}

/// Seconds and result of a run with the given arguments.
type Runner<'a> = dyn FnMut(&[u8]) -> Result<(f64, Vec<u8>)> + 'a;

/// Seconds per execution of a kernel, executed as many times as fill a run; the result must be right.
fn fastest(kernel: &Kernel, run: &mut Runner<'_>) -> Result<f64> {
    let mut times = 1u32;
    let mut timed = |times: u32| -> Result<f64> {
        let args = [&times.to_le_bytes(), &kernel.args[..]].concat();
        let (seconds, result) = run(&args)?;
        ensure!(result == kernel.expected, "a wrong result");
        Ok(seconds)
    };
    while timed(times)? < RUN {
        times *= 2;
    }
    let seconds = (0..RUNS).map(|_| timed(times)).collect::<Result<Vec<_>>>()?;
    Ok(seconds.into_iter().fold(f64::INFINITY, f64::min) / f64::from(times))
}

/// Runs of a module as a service on the recompiler.
fn recompiled(wasm: &[u8]) -> Result<impl FnMut(&[u8]) -> Result<(f64, Vec<u8>)> + use<>> {
    let jam = wasm_pvm::compile(wasm, &Options { level: OptLevel::O2, ..Options::default() })?.bytes;
    let Container::Jam { program, .. } = Container::parse_jam(&jam)? else { unreachable!("parsed as JAM") };
    let mut machine = Machine::new(&program, GpVersion::V08, Engine::Polkavm037(Backend::Compiler))?;
    Ok(move |args: &[u8]| {
        machine.enter_with_args(0, args)?;
        machine.set_gas(i64::MAX);
        let start = Instant::now();
        let exit = machine.run()?;
        let seconds = start.elapsed().as_secs_f64();
        ensure!(exit == Exit::Halt, "{exit:?} instead of a halt");
        Ok((seconds, machine.result(ResultConvention::Length)))
    })
}

/// A kernel whose arguments begin with a number of executions.
fn repeating(wasm: &[u8]) -> Result<Vec<u8>> {
    let text = wasmprinter::print_bytes(wasm)?;
    let export = text.find("(export \"main\" (func ").context("no export main")?;
    let target = text[export..].find("(func ").map(|at| export + at + 6).context("a function")?;
    let end = text[target..].find("))").map(|at| target + at).context("the end of an export")?;
    let (start, function, rest) = (&text[..export], &text[target..end], &text[end + 2..]);
    let main = format!(
        "(func (export \"main\") (param i32 i32) (result i64) (local $times i32) (local $result i64)
          (local.set $times (i32.load align=1 (local.get 0)))
          (loop $again
            (local.set $result
              (call {function} (i32.add (local.get 0) (i32.const 4)) (i32.sub (local.get 1) (i32.const 4))))
            (br_if $again (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))
          (local.get $result))"
    );
    // Functions are numbered in their order, so the new one is the last.
    let rest = rest.trim_end().strip_suffix(')').context("the end of the module")?;
    Ok(wat::parse_str(format!("{start}{rest}{main})"))?)
}
