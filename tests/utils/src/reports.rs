//! Small programs, one per kind of bug, in `tests/fixtures/reports`: each with the result of independent engines, to be
//! run under every option that must not change it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use pvm_engine::{Engine, Exit, Machine};
use pvm_isa::metadata::ResultConvention;
use pvm_isa::{Container, GpVersion};
use wasm_pvm::{Floats, ImportMap, OptLevel, Options, PvmBounds, PvmOptions, ShadowStack};

use crate::kernels::{from_hex, to_hex};

/// Enough gas for every program.
const GAS: i64 = 1 << 32;

/// The expected behaviour of a program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Halt with this result.
    Result(Vec<u8>),
    /// Panic.
    Trap,
}

/// A program of the folder.
#[derive(Clone, Debug)]
pub struct Report {
    /// Name of the file.
    pub file: String,
    /// Its expected behaviour.
    pub ending: Ending,
    /// Command-line options it needs.
    pub arguments: Vec<String>,
    /// Maximum bytes of code, for programs that test size.
    pub code_bytes: Option<usize>,
}

/// The folder of the programs.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/reports")
}

/// The lines of `expected.txt`: file, result in hexadecimal, options (`-` for none).
///
/// # Errors
/// If the file is missing or a line doesn't follow this format.
pub fn listed() -> Result<Vec<Report>> {
    let text = std::fs::read_to_string(folder().join("expected.txt"))?;
    text.lines().map(|line| report(line).with_context(|| format!("expected.txt: {line}"))).collect()
}

fn report(line: &str) -> Result<Report> {
    let mut words = line.split_whitespace();
    let file = words.next().context("no file")?.to_owned();
    let ending = Ending::Result(from_hex(words.next().context("no result")?)?);
    let arguments = words.filter(|&word| word != "-").map(str::to_owned).collect();
    Ok(Report { file, ending, arguments, code_bytes: None })
}

/// Programs that are not in `expected.txt`, because they test more than the result.
pub fn unlisted() -> Vec<Report> {
    let program = |file: &str, ending, arguments: &[&str], code_bytes| Report {
        file: file.to_owned(),
        ending,
        arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
        code_bytes,
    };
    let pieces: Vec<u8> = (0..2400).map(|at| if at % 40 < 4 { (at % 40 + 1) as u8 } else { 0 }).collect();
    vec![
        program("distant-segments-many-loops.wat", Ending::Result(pieces), &[], Some(800)),
        program("float-moves-rejected.wat", Ending::Result(Vec::new()), &["--floats=reject"], None),
        program("import-seven-args.wat", Ending::Trap, &["--imports=trap"], None),
        program("result-globals.wat", Ending::Result(b"hello".to_vec()), &[], None),
    ]
}

/// Every combination of options that must not change the behaviour of a program.
pub fn combinations() -> Vec<Options> {
    let mut combinations = Vec::new();
    for level in [OptLevel::O0, OptLevel::O2, OptLevel::Os, OptLevel::Oz] {
        for bounds in [PvmBounds::Guard, PvmBounds::Strict] {
            for shadow_stack in [ShadowStack::Auto, ShadowStack::Strict] {
                for gp in [GpVersion::V072, GpVersion::V08] {
                    let pvm = PvmOptions { gp, bounds, ..PvmOptions::default() };
                    let options = Options::new(pvm);
                    combinations.push(Options { level, shadow_stack, threads: 1, ..options });
                }
            }
        }
    }
    combinations
}

impl Report {
    /// The options under which its behaviour differs, with the difference.
    ///
    /// # Errors
    /// If files are missing or don't follow their format.
    pub fn failures(&self) -> Result<Vec<String>> {
        let wasm = read(&self.file)?;
        let mut failures = Vec::new();
        for options in combinations() {
            if let Err(error) = self.run(&wasm, self.with_arguments(options.clone())?) {
                let pvm = options.pvm().context("options of the PVM")?;
                failures.push(format!(
                    "{} -{:?} {:?} {:?} {}: {error:#}",
                    self.file, options.level, pvm.bounds, options.shadow_stack, pvm.gp
                ));
            }
        }
        Ok(failures)
    }

    /// `options` with the command-line options of the program.
    fn with_arguments(&self, mut options: Options) -> Result<Options> {
        for argument in &self.arguments {
            match argument.split_once('=').context("an option with a value")? {
                ("--adapter", file) => options.adapters.push(read(file)?),
                ("--floats", "reject") => options.floats = Some(Floats::Reject),
                ("--imports", "trap") => {
                    let pvm = options.pvm().context("options of the PVM")?.clone();
                    let imports = ImportMap::parse("* = trap", pvm.gp)?;
                    options.target = PvmOptions { imports, ..pvm }.into();
                }
                _ => bail!("the option {argument} is not known here"),
            }
        }
        Ok(options)
    }

    fn run(&self, wasm: &[u8], options: Options) -> Result<()> {
        let gp = options.pvm().context("options of the PVM")?.gp;
        let jam = wasm_pvm::compile(wasm, &options)?.bytes;
        let Container::Jam { program, .. } = Container::parse_jam(&jam)? else {
            unreachable!("parsed as JAM")
        };
        let len = program.blob.code.len();
        let limit = self.code_bytes.unwrap_or(usize::MAX);
        ensure!(len <= limit, "{len} bytes of code instead of at most {limit}");
        let mut machine = Machine::new(&program, gp, Engine::for_version(gp)[0])?;
        machine.enter_with_args(0, &[])?;
        machine.set_gas(GAS);
        match (machine.run()?, &self.ending) {
            (Exit::Halt, Ending::Result(expected)) => {
                let result = machine.result(ResultConvention::Length);
                ensure!(result == *expected, "{} instead of {}", to_hex(&result), to_hex(expected));
            }
            (Exit::Panic, Ending::Trap) => {}
            (exit, expected) => bail!("{exit:?} instead of {expected:?}"),
        }
        Ok(())
    }
}

/// Programs for Cortex-M, by name.
///
/// # Errors
/// If the folder can't be read.
pub fn cortex_m() -> Result<Vec<(String, Vec<u8>)>> {
    let mut programs = Vec::new();
    for entry in std::fs::read_dir(folder().join("cortex-m"))? {
        let path = entry?.path();
        let name = path.file_name().context("a file name")?.to_string_lossy().into_owned();
        programs.push((name, wat::parse_bytes(&std::fs::read(path)?)?.into_owned()));
    }
    programs.sort();
    Ok(programs)
}

/// A file of the folder.
///
/// # Errors
/// If it can't be read.
pub fn read(file: &str) -> Result<Vec<u8>> {
    std::fs::read(folder().join(file)).with_context(|| format!("tests/fixtures/reports/{file}"))
}
