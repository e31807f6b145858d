//! The program that `run` runs: a file that is one, or the output of compiling a module.

use std::path::Path;
use std::str;

use anyhow::{Context, Result, bail};
use pvm_isa::Container;
use wasm_pvm::counts::Counters;
use wasm_pvm::insight::CodeMap;
use wasm_pvm::run::HostCallId;
use wasm_pvm::wasi::{self, Imports};
use wasm_pvm::{EntryMode, Format, Options, OptionsError, Output, PvmOptions, input};

use super::streams::{RESERVE, Streams};
use crate::cli::args::RunArgs;
use crate::cli::explained::Explained;
use crate::cli::{bar, compile, files, object};

/// A program to run.
pub struct Program {
    /// The file.
    pub bytes: Vec<u8>,
    /// The first wasm address with memory, if the program was compiled here.
    pub first_address: Option<u32>,
    /// The standard streams, if it is a WASI command that was compiled here.
    pub streams: Option<Streams>,
    /// The meaning of its counters, if it counts.
    pub counters: Option<Counters>,
    /// The map of its code, if there is one.
    pub map: Option<CodeMap>,
}

/// Reads the program, and compiles it if it is a module.
pub fn load(args: &RunArgs) -> Result<Program> {
    if let Some(option) = args.thumb.first() {
        bail!(OptionsError::new(format!("{option} is an option of Cortex-M, and the target is pvm")));
    }
    let file = files::read(&args.program)?;
    let name = || files::display(&args.program);
    let bytes = input::unpacked(&file).with_context(name)?.into_owned();
    if object::is_elf(&bytes) {
        bail!(
            "{}: is a Cortex-M object, which has no types of functions; its module runs with --target, and `info` describes it",
            name()
        );
    }
    if is_module(&bytes) {
        return compile_module(&bytes, args).with_context(name);
    }
    if let Some(option) = args.module.first().or_else(|| args.pvm.first_of_compiling()) {
        let message = format!("{option} is an option of compiling, and {} is a compiled program", name());
        bail!(OptionsError::new(message));
    }
    if let Some(option) = args.streams.first() {
        let message = format!("{option} is for WASI modules, and {} is a compiled program", name());
        bail!(OptionsError::new(message));
    }
    if args.profile_out.is_some() {
        let message = format!("--profile-out is for modules, and {} is a compiled program", name());
        bail!(OptionsError::new(message));
    }
    let map = read_map(&args.program, args.map.as_deref(), &bytes)?;
    Ok(Program { bytes, first_address: None, streams: None, counters: None, map })
}

/// The map of a compiled program: the given one, or that beside it. One that belongs to another program is refused if it
/// was given, and ignored with a warning otherwise.
pub fn read_map(program: &Path, given: Option<&Path>, bytes: &[u8]) -> Result<Option<CodeMap>> {
    read_map_of(program, given, || {
        let container = Container::parse(bytes).with_context(|| files::display(program))?;
        Ok(container.blob().code.clone())
    })
}

/// As [`read_map`], for a program with this code.
pub fn read_map_of(
    program: &Path,
    given: Option<&Path>,
    code: impl FnOnce() -> Result<Vec<u8>>,
) -> Result<Option<CodeMap>> {
    let beside = files::with_map_extension(program);
    let path = match given {
        Some(path) => path,
        None if !files::is_standard(program) && beside.is_file() => &beside,
        None => return Ok(None),
    };
    let name = || files::display(path);
    let text =
        String::from_utf8(files::read(path)?).ok().with_context(|| format!("{}: is not text", name()))?;
    let map = CodeMap::parse(&text).with_context(name)?;
    if map.is_of(&code()?) {
        return Ok(Some(map));
    }
    if given.is_some() {
        bail!("{}: is the map of another program", name());
    }
    tracing::warn!(code = "W0114", "{} is the map of another program and is ignored", name());
    Ok(None)
}

/// Whether the bytes are WebAssembly in some form.
fn is_module(bytes: &[u8]) -> bool {
    let is_text = |text: &str| text.trim_start().starts_with(['(', ';']) && !text.contains('\0');
    bytes.starts_with(&input::WASM_MAGIC) || str::from_utf8(bytes).is_ok_and(is_text)
}

fn compile_module(bytes: &[u8], args: &RunArgs) -> Result<Program> {
    compile::provoke(&args.module);
    let file = bytes;
    let bytes = &*input::to_wasm(file)?;
    let options = options(args, wasi::imports(bytes))?;
    if args.map.is_some() {
        let message = "--map is for compiled programs; that of a module is made with it".to_owned();
        bail!(OptionsError::new(message));
    }
    let (output, counters) = match args.profile_out {
        Some(_) => {
            let (output, counters) = wasm_pvm::compile_counting(bytes, &options)?;
            (output, Some(counters))
        }
        None => {
            let output = bar::shown(|| wasm_pvm::compile(bytes, &options));
            (output.map_err(|error| Explained::new(error, file, &options))?, None)
        }
    };
    compile::warn_of_unused_lines(bytes, &options)?;
    Ok(Program { counters, ..compiled(output, &options, bytes, args) })
}

/// The program that a module was compiled to, with these options.
pub fn compiled(output: Output, options: &Options, wasm: &[u8], args: &RunArgs) -> Program {
    let first_address = output.report.pvm().map(|report| report.linear_first);
    let map = output.report.pvm().and_then(|report| report.map.clone());
    let is_service = args.module.wasi.wasi || options.wasi.is_none() || !args.invocations.0.is_empty();
    let streams = if is_service { None } else { Streams::of(wasi::imports(wasm)) };
    Program { bytes: output.bytes, first_address, streams, counters: None, map }
}

/// The options of compiling. They are those of `compile`, except that every export can be invoked, and that imports
/// with an answer are host calls. A module that imports functions of WASI gets them.
pub fn options(args: &RunArgs, imports: Imports) -> Result<Options> {
    let mut target: PvmOptions = compile::pvm_options(&args.program, &args.module, &args.pvm)?;
    if !(target.format == Format::Jam || target.format.is_polkavm()) {
        bail!(OptionsError::new(
            "--format of a module that is run is jam, polkavm or corevm, which have its description"
                .to_owned()
        ));
    }
    target.map = args.profile_out.is_none();
    if !args.invocations.0.is_empty() && args.pvm.entries.is_none() && !target.format.is_polkavm() {
        target.entries = EntryMode::Raw;
    }
    if !target.format.is_polkavm() {
        let names = args.answers.iter().filter_map(|answer| match &answer.call {
            HostCallId::Name(name) => Some(name.as_str()),
            HostCallId::Number(_) => None,
        });
        target.imports.number(names);
    }
    let name = compile::package(&args.program);
    let wasi = match args.module.wasi.read(&name)? {
        None if imports.any => Some(args.streams.wasi(&name)?),
        wasi => {
            if let Some(option) = args.streams.first() {
                let message =
                    format!("{option} is for modules that import functions of WASI, without --wasi");
                bail!(OptionsError::new(message));
            }
            wasi
        }
    };
    if imports.is_command && args.module.memory_reserve.is_none() {
        target.memory_reserve = RESERVE;
    }
    compile::options_with(target.into(), &args.module, wasi)
}
