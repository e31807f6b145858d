//! Programs of several toolchains, with what an engine made of them (`scripts/programs.sh` builds and records).
//!
//! A program is a folder with a module, or several that must agree, and `cases.json`: inputs and outputs. A module
//! with `refine` is a service, any other is a WASI command.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use pvm_engine::{Engine, Exit, Machine};
use pvm_isa::metadata::ResultConvention;
use pvm_isa::{Container, GpVersion};
use serde_json::Value;
use wasm_pvm::wasi::{Directory, Failure, Node, Wasi};
use wasm_pvm::{Options, PvmOptions};

/// Enough gas for every program.
const GAS: i64 = 1 << 40;
/// The host call `log` of JIP-1.
const LOG: u32 = 100;

/// The variable of the environment that names a folder of programs other than the fixtures.
pub const FOLDER: &str = "PROGRAMS_FOLDER";

/// A module with its inputs and outputs.
pub struct Program {
    /// Its folder and file.
    pub name: String,
    /// The wasm.
    pub wasm: Vec<u8>,
    /// Whether it is a WASI command, and not a service.
    pub is_command: bool,
    /// Whether it imports interfaces of the component model, those of WASI 0.2.
    pub has_interfaces: bool,
    /// Inputs and outputs.
    pub cases: Vec<Case>,
}

/// An input and what an engine made of it.
pub struct Case {
    /// Arguments, environment and directories.
    pub wasi: Wasi,
    /// Standard input, or the argument bytes of a service.
    pub stdin: Vec<u8>,
    /// Standard output, or the result of a service.
    pub stdout: Vec<u8>,
    /// The exit code.
    pub exit: u32,
}

/// The end of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The way it ended.
    pub exit: Exit,
    /// The result.
    pub result: Vec<u8>,
    /// Levels, targets and messages.
    pub log: Vec<(u64, String, String)>,
    /// Gas it took.
    pub gas: i64,
}

/// All programs of the fixtures, or of the folder in the variable `PROGRAMS_FOLDER`, in the order of their names.
pub fn programs() -> Result<Vec<Program>> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/programs");
    let root = std::env::var_os(FOLDER).map_or(fixtures, PathBuf::from);
    let mut programs = Vec::new();
    for folder in sorted(&root)? {
        let text = std::fs::read_to_string(folder.join("cases.json"))?;
        for file in
            sorted(&folder)?.into_iter().filter(|file| file.extension().is_some_and(|it| it == "wasm"))
        {
            let wasm = wasm_pvm::input::to_wasm(&std::fs::read(&file)?)?.into_owned();
            let cases: Vec<Value> = serde_json::from_str(&text)?;
            let interface = crate::interface::interface(&wasm)?;
            programs.push(Program {
                name: file.strip_prefix(&root)?.display().to_string(),
                is_command: !interface.functions.contains_key("refine"),
                has_interfaces: interface.imported_modules.iter().any(|module| module.starts_with("wasi:")),
                cases: cases.iter().map(|case| read_case(case, &folder)).collect::<Result<_>>()?,
                wasm,
            });
        }
    }
    Ok(programs)
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.sort();
    Ok(paths)
}

fn read_case(case: &Value, folder: &Path) -> Result<Case> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let pairs = |key: &str| -> Vec<(String, String)> {
        let object = case[key].as_object().into_iter().flatten();
        object.map(|(name, value)| (name.clone(), text(value))).collect()
    };
    let args = case["args"].as_array().into_iter().flatten().map(text);
    let directories = pairs("dirs")
        .into_iter()
        .map(|(guest, host)| Ok(Directory { guest, entries: entries(&folder.join(host))? }));
    Ok(Case {
        wasi: Wasi {
            args: std::iter::once("program".to_owned()).chain(args).collect(),
            environment: pairs("env"),
            directories: directories.collect::<Result<_>>()?,
            failure: Failure::Panic,
        },
        stdin: text(&case["stdin"]).into_bytes(),
        stdout: case["stdout"].as_str().context("no output is recorded")?.as_bytes().to_vec(),
        exit: case["exit"].as_u64().context("no exit code is recorded")? as u32,
    })
}

fn entries(folder: &Path) -> Result<BTreeMap<String, Node>> {
    let named = |path: PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_folder = path.is_dir();
        let node =
            if is_folder { Node::Directory(entries(&path)?) } else { Node::File(std::fs::read(&path)?) };
        Ok((name, node))
    };
    sorted(folder)?.into_iter().map(named).collect()
}

/// Compiles a program with the arguments, environment and files of a case.
pub fn compile(program: &Program, case: &Case, options: &Options) -> Result<Vec<u8>> {
    let wasi = program.is_command.then(|| case.wasi.clone());
    Ok(wasm_pvm::compile(&program.wasm, &Options { wasi, ..options.clone() })?.bytes)
}

/// Runs the first entry of a program in the JAM format; only `log` is answered, beside the growing of memory.
pub fn run(jam: &[u8], gp: GpVersion, engine: Engine, args: &[u8]) -> Result<Outcome> {
    let Container::Jam { program, .. } = Container::parse_jam(jam)? else { unreachable!("parsed as JAM") };
    let mut machine = Machine::new(&program, gp, engine)?;
    machine.enter_with_args(0, args)?;
    machine.set_gas(GAS);
    let mut log = Vec::new();
    let exit = loop {
        match machine.run()? {
            Exit::HostCall(LOG) => {
                let [level, target, target_len, message, message_len] =
                    [0, 1, 2, 3, 4].map(|n| machine.reg(7 + n));
                let mut text = |at: u64, len: u64| -> Result<String> {
                    if len == 0 {
                        return Ok(String::new());
                    }
                    let bytes = machine.read(u32::try_from(at)?, u32::try_from(len)?);
                    Ok(String::from_utf8(bytes.context("the text of a log line is not readable")?)?)
                };
                log.push((level, text(target, target_len)?, text(message, message_len)?));
                machine.set_reg(7, u64::MAX - 1);
            }
            exit => break exit,
        }
    };
    let result = if exit == Exit::Halt { machine.result(ResultConvention::Length) } else { Vec::new() };
    Ok(Outcome { exit, result, log, gas: GAS - machine.gas() })
}

/// Compiles and runs a case, and checks that it ends as in the engine that recorded it.
pub fn check(program: &Program, case: &Case, options: &Options) -> Result<i64> {
    let gp = options.pvm().map_or(GpVersion::V08, |pvm: &PvmOptions| pvm.gp);
    let jam = compile(program, case, options)?;
    let outcome = run(&jam, gp, Engine::for_version(gp)[0], &case.stdin)?;
    if case.exit != 0 {
        let last = (1, "wasi".to_owned(), format!("exit code {}", case.exit));
        ensure!(outcome.exit == Exit::Panic, "{:?} instead of a panic", outcome.exit);
        ensure!(outcome.log.last() == Some(&last), "the log ends with {:?}", outcome.log.last());
        return Ok(outcome.gas);
    }
    ensure!(outcome.exit == Exit::Halt, "{:?} after {:?}", outcome.exit, outcome.log);
    ensure!(
        outcome.result == case.stdout,
        "the output is\n{}\ninstead of\n{}",
        String::from_utf8_lossy(&outcome.result),
        String::from_utf8_lossy(&case.stdout)
    );
    Ok(outcome.gas)
}
