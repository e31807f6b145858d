//! The pipeline from input bytes to output bytes.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use pvm_isa::metadata::{Export, Extension, FunctionName, Metadata, Package};
use pvm_isa::{Container, SpiProgram};
use target_pvm::Program;
use target_pvm::entries::ENTRY_BYTES;

use crate::error::Error;
use crate::options::{Format, Options};
use crate::report::{Report, Sizes};
use crate::{adapter, input};

/// Stack of the thread that compiles: parsers and LLVM's passes recurse over nested input.
const STACK_BYTES: usize = 1 << 30;

/// A compiled program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Output {
    /// The file, in the form of [`Options::format`].
    pub bytes: Vec<u8>,
    /// What is known about it.
    pub report: Report,
}

/// A stage whose text can be looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// LLVM IR after the passes.
    LlvmIr,
    /// SSA as it goes into code generation.
    Ssa,
    /// Machine instructions over virtual registers.
    Mir,
    /// Final machine instructions, before linking.
    Asm,
}

/// Compiles a module: WebAssembly, its text format or a compressed Substrate runtime.
///
/// # Errors
/// [`Error`] says what is wrong with the input or what of it is not supported with these options.
pub fn compile(input: &[u8], options: &Options) -> Result<Output, Error> {
    on_large_stack(|| {
        let mut clock = Clock::default();
        let wasm = clock.time("read", || linked_wasm(input, options))?;
        let module = clock.time("frontend", || llvm_frontend::compile(&wasm, &options.frontend()))?;
        let program = clock.time("codegen", || target_pvm::compile(module, &options.pvm()))?;
        let (bytes, metadata_bytes) = clock.time("write", || container(&program, options));
        let sizes = Sizes::of(&program.spi, options.gp, bytes.len(), metadata_bytes);
        let report = report(program, wasm.len(), sizes, clock.phases);
        Ok(Output { bytes, report })
    })
}

/// Compiles up to a stage and gives its text.
///
/// # Errors
/// As for [`compile`].
pub fn emit(input: &[u8], options: &Options, stage: Stage) -> Result<String, Error> {
    on_large_stack(|| {
        let wasm = linked_wasm(input, options)?;
        if stage == Stage::LlvmIr {
            return Ok(llvm_frontend::emit_llvm_ir(&wasm, &options.frontend())?);
        }
        let module = llvm_frontend::compile(&wasm, &options.frontend())?;
        let target = options.pvm();
        Ok(match stage {
            Stage::LlvmIr => unreachable!("returned above"),
            Stage::Ssa => target_pvm::print_ssa(module, &target)?,
            Stage::Mir => target_pvm::print(module, &target, codegen::Stage::Mir)?,
            Stage::Asm => target_pvm::print(module, &target, codegen::Stage::Asm)?,
        })
    })
}

/// Runs `work` on a thread with a large stack; panics go on here.
fn on_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work);
        let result = thread.expect("the system starts a thread").join();
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The wasm binary of the input with all adapters linked in.
fn linked_wasm<'a>(bytes: &'a [u8], options: &Options) -> Result<Cow<'a, [u8]>, Error> {
    let mut wasm = input::to_wasm(bytes)?;
    for (index, adapter) in (1..).zip(&options.adapters) {
        let adapter =
            input::to_wasm(adapter).map_err(|error| Error::Adapter { index, error: error.into() })?;
        let merged = adapter::merge(&wasm, &adapter).map_err(|error| Error::Adapter { index, error })?;
        wasm = Cow::Owned(merged);
    }
    Ok(wasm)
}

/// The output file and how much of it is metadata.
fn container(program: &Program, options: &Options) -> (Vec<u8>, usize) {
    let spi: SpiProgram = program.spi.clone();
    let (container, metadata_bytes) = match options.format {
        Format::Jam => {
            let metadata = metadata(program, options).to_bytes();
            let len = metadata.len();
            (Container::Jam { metadata, program: spi }, len)
        }
        Format::Spi => (Container::Spi(spi), 0),
        Format::Raw => (Container::Raw(spi.blob), 0),
    };
    (container.to_bytes().expect("the memory plan keeps the container's limits"), metadata_bytes)
}

fn metadata(program: &Program, options: &Options) -> Metadata {
    let entries = (0..).step_by(ENTRY_BYTES as usize).zip(&program.entries);
    let exports = entries.filter(|(_, entry)| entry.target.is_some());
    let exports = exports.map(|(pc, entry)| Export {
        name: entry.name.clone(),
        pc,
        signature: entry.signature.clone(),
    });
    let package = Package { name: options.package.clone(), ..Package::default() };
    Metadata {
        package: Some(package),
        extension: Some(Extension {
            producer: concat!("wasm-pvm ", env!("CARGO_PKG_VERSION")).to_owned(),
            gp: options.gp,
            result: options.result,
            linear_memory: program.has_memory.then_some(program.linear_base),
            exports: exports.collect(),
            imports: program.imports.clone(),
            functions: if options.keeps_names() { real_names(program) } else { Vec::new() },
        }),
    }
}

/// Names of functions that have one; the frontend calls the others `func[index]`.
fn real_names(program: &Program) -> Vec<FunctionName> {
    program.functions.iter().filter(|function| !function.name.starts_with("func[")).cloned().collect()
}

fn report(
    program: Program,
    wasm_bytes: usize,
    sizes: Sizes,
    phases: Vec<(&'static str, Duration)>,
) -> Report {
    Report {
        wasm_bytes,
        sizes,
        phases,
        entries: program.entries,
        imports: program.imports,
        functions: program.functions,
        data: program.data,
        data_exports: program.data_exports,
        linear_base: program.linear_base,
        references: program.references,
    }
}

/// Measures phases and tells the log about them.
#[derive(Default)]
struct Clock {
    phases: Vec<(&'static str, Duration)>,
}

impl Clock {
    fn time<T>(&mut self, phase: &'static str, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        let took = start.elapsed();
        tracing::info!(phase, seconds = took.as_secs_f64(), "finished");
        self.phases.push((phase, took));
        result
    }
}
