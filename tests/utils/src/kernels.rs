//! The kernel corpus: small programs with known output, compiled, run and measured.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use pvm_engine::{Engine, EntryPoint, Exit, Machine, RunOptions, Session, Status};
use pvm_isa::metadata::ResultConvention;
use pvm_isa::{Container, GpVersion};
use wasm_pvm::OptLevel;
use wasm_pvm::counts::{MEMORY, Profile};

/// Enough gas for every kernel.
const GAS: i64 = 1 << 40;

/// A program of the corpus: one wasm file, its arguments and its output.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Name of the kernel.
    pub name: String,
    /// The variant of the wasm: `O2`, `Os`, `O2-wide`, `micro`, `simd` or `scalar`.
    pub variant: String,
    /// The wasm.
    pub wasm: Vec<u8>,
    /// Argument bytes.
    pub args: Vec<u8>,
    /// Output of the host build.
    pub expected: Vec<u8>,
}

/// Measurements of a compiled kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Measure {
    /// Bytes of code.
    pub code_bytes: usize,
    /// Instructions in the code.
    pub instructions: usize,
    /// Bytes of the whole program with metadata.
    pub jam_bytes: usize,
    /// Gas of the run.
    pub gas: i64,
}

/// The folder of a corpus: `kernels`, `float-kernels`, `float-micro` or `simd-kernels`.
pub fn folder(corpus: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(corpus)
}

/// Every integer kernel in every variant, in the order of the file names.
pub fn all() -> Result<Vec<Kernel>> {
    read("kernels", &["O2", "O2-wide", "Os"])
}

/// Every float kernel in every variant, in the order of the file names.
pub fn floats() -> Result<Vec<Kernel>> {
    read("float-kernels", &["O2", "Os"])
}

/// Every kernel for vectors, with them and without, in the order of the file names.
pub fn vectors() -> Result<Vec<Kernel>> {
    read("simd-kernels", &["simd", "scalar"])
}

/// One float operation over 1,000 pairs of operands per program, and the same loops without one (`empty`).
pub fn float_operations() -> Result<Vec<Kernel>> {
    let folder = folder("float-micro");
    let text = std::fs::read_to_string(folder.join("expected.json"))?;
    let expected: BTreeMap<String, BTreeMap<String, String>> = serde_json::from_str(&text)?;
    let operation = |(name, facts): (String, BTreeMap<String, String>)| {
        let field = |key: &str| facts.get(key).with_context(|| format!("{name} has no {key}"));
        let file = folder.join("wasm").join(field("op")?).with_extension("wasm");
        Ok(Kernel {
            variant: "micro".to_owned(),
            wasm: std::fs::read(file)?,
            args: from_hex(field("args")?)?,
            expected: from_hex(field("result")?)?,
            name,
        })
    };
    expected.into_iter().map(operation).collect()
}

fn read(corpus: &str, variants: &[&str]) -> Result<Vec<Kernel>> {
    let folder = folder(corpus);
    let text = std::fs::read_to_string(folder.join("expected.json"))?;
    let expected: BTreeMap<String, BTreeMap<String, String>> = serde_json::from_str(&text)?;
    let mut kernels = Vec::new();
    for &variant in variants {
        let mut files: Vec<PathBuf> = std::fs::read_dir(folder.join("wasm").join(variant))?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<_>>()?;
        files.sort();
        for file in files {
            let name = file.file_stem().context("a file name")?.to_string_lossy().into_owned();
            let facts = expected.get(&name).with_context(|| format!("no expected output of {name}"))?;
            let field = |key: &str| from_hex(facts.get(key).map_or("", String::as_str));
            kernels.push(Kernel {
                variant: variant.to_owned(),
                wasm: std::fs::read(&file)?,
                args: field("args")?,
                expected: field("result")?,
                name,
            });
        }
    }
    Ok(kernels)
}

/// Kernels with branches that no heuristic knows, and arguments to train them with: others than those that are measured.
pub const TRAINING: [(&str, &[u8]); 5] = [
    ("gcd", &[17, 0, 0, 0]),
    ("interp", &[55]),
    ("nqueens", &[6]),
    ("quicksort", &[7, 0, 0, 0]),
    ("vtable", &[0xe8, 3, 0, 0]),
];

/// A profile of a run of a kernel with the given arguments.
pub fn profile(kernel: &Kernel, args: &[u8]) -> Result<Profile> {
    let (output, counters) = wasm_pvm::compile_counting(&kernel.wasm, &wasm_pvm::Options::default())?;
    let mut session = Session::load(&output.bytes, &RunOptions::default())?;
    let outcome = session.enter(&EntryPoint::First, args)?;
    ensure!(outcome.status == Status::Halt, "{}: {:?} instead of a halt", kernel.name, outcome.status);
    let memory = session.exported_memory(MEMORY, counters.bytes());
    Ok(counters.read(&memory.context("the counters have no address")?))
}

/// Gas of the kernels of [`TRAINING`] at a level, in one variant: name, without and with a profile.
pub fn trained(variant: &str, level: OptLevel) -> Result<Vec<(String, i64, i64)>> {
    let gp = GpVersion::V08;
    let mut rows = Vec::new();
    for kernel in all()?.into_iter().filter(|kernel| kernel.variant == variant) {
        let training = TRAINING.iter().find(|(name, _)| *name == kernel.name);
        let Some((_, args)) = training else { continue };
        let options = wasm_pvm::Options { level, ..wasm_pvm::Options::default() };
        let with = wasm_pvm::Options { profile: Some(profile(&kernel, args)?), ..options.clone() };
        let gas =
            |options| Ok::<_, anyhow::Error>(measure(&kernel, options, gp, Engine::for_version(gp)[0])?.gas);
        rows.push((kernel.name.clone(), gas(&options)?, gas(&with)?));
    }
    Ok(rows)
}

/// Compiles a kernel, runs it, checks its output and measures it.
pub fn measure(
    kernel: &Kernel,
    options: &wasm_pvm::Options,
    gp: GpVersion,
    engine: Engine,
) -> Result<Measure> {
    let jam = wasm_pvm::compile(&kernel.wasm, options)?.bytes;
    let Container::Jam { program, .. } = Container::parse_jam(&jam)? else { unreachable!("parsed as JAM") };
    let mut machine = Machine::new(&program, gp, engine)?;
    machine.enter_with_args(0, &kernel.args)?;
    machine.set_gas(GAS);
    let exit = machine.run()?;
    ensure!(exit == Exit::Halt, "{}: {exit:?} instead of a halt", kernel.name);
    let output = machine.result(ResultConvention::Length);
    ensure!(output == kernel.expected, "{}: wrong output {}", kernel.name, to_hex(&output));
    Ok(Measure {
        code_bytes: program.blob.code.len(),
        instructions: program.blob.instructions(gp).count(),
        jam_bytes: jam.len(),
        gas: GAS - machine.gas(),
    })
}

/// Bytes from hexadecimal digits.
pub fn from_hex(digits: &str) -> Result<Vec<u8>> {
    ensure!(digits.len().is_multiple_of(2), "an odd number of hexadecimal digits");
    (0..digits.len()).step_by(2).map(|at| Ok(u8::from_str_radix(&digits[at..at + 2], 16)?)).collect()
}

/// Hexadecimal digits of bytes.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
