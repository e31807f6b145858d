//! The pipeline from input bytes to output bytes.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use llvm_frontend::ReachedImport;
use pvm_isa::metadata::{Export, Extension, FunctionName, Metadata, Package};
use pvm_isa::{Container, SpiProgram};
use target_pvm::imports::{ImportUse, check};
use target_pvm::{Images, Program};
use target_thumb::FirstCall;

use crate::error::Error;
use crate::options::{Format, OptLevel, Options, OptionsError, PvmOptions, Target, ThumbOptions};
use crate::report::{Details, PvmReport, Report, Sizes, ThumbReport};
use crate::{adapter, input};

/// Stack of the thread that compiles: parsers and LLVM's passes recurse over nested input.
const STACK_BYTES: usize = 1 << 30;

/// A compiled program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Output {
    /// The file: a PVM program in the form of [`PvmOptions::format`], or an ELF object.
    pub bytes: Vec<u8>,
    /// Measurements and facts about it.
    pub report: Report,
}

/// A stage whose text can be printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// LLVM IR after the passes.
    LlvmIr,
    /// SSA at the start of code generation.
    Ssa,
    /// Machine instructions over virtual registers.
    Mir,
    /// For the PVM, final machine instructions before linking; for Cortex-M, the whole object as assembly that LLVM's
    /// assembler turns into the same object.
    Asm,
    /// The C header of a Cortex-M object.
    Header,
}

/// Compiles a module: WebAssembly, its text format or a compressed Substrate runtime.
///
/// # Errors
/// [`Error`] names the fault in the input, or the part that is not supported with these options.
pub fn compile(input: &[u8], options: &Options) -> Result<Output, Error> {
    options.check()?;
    on_large_stack(|| {
        let mut clock = Clock::default();
        let wasm = clock.time("read", || linked_wasm(input, options))?;
        let module = clock.time("frontend", || frontend(&wasm, options))?;
        let (bytes, details) = match &options.target {
            Target::Pvm(pvm) => compile_pvm(module, options, pvm, &mut clock)?,
            Target::Thumb(thumb) => compile_thumb(module, options, thumb, &mut clock)?,
        };
        let report = Report { wasm_bytes: wasm.len(), phases: clock.phases, details };
        Ok(Output { bytes, report })
    })
}

/// The module in SSA. First all requirements that can't be met are collected into one error.
fn frontend(wasm: &[u8], options: &Options) -> Result<ssa::Module, Error> {
    llvm_frontend::compile_checked(wasm, &options.frontend(), |demands| {
        let mut errors: Vec<Error> = demands.refused.iter().cloned().map(Error::from).collect();
        if let Target::Pvm(pvm) = &options.target {
            let uses: Vec<ImportUse<'_>> = demands.imports.iter().map(import_use).collect();
            errors
                .extend(check(&uses, &pvm.imports).err().map(|error| target_pvm::Error::from(error).into()));
        }
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(Error::Several(errors)),
        }
    })
}

fn import_use(import: &ReachedImport) -> ImportUse<'_> {
    let user = import.user.as_ref().map(|(name, offset)| (name.as_str(), *offset));
    ImportUse { import: &import.import, arity: import.arity, user }
}

fn compile_pvm(
    module: ssa::Module,
    options: &Options,
    pvm: &PvmOptions,
    clock: &mut Clock,
) -> Result<(Vec<u8>, Details), Error> {
    let program = clock.time("codegen", || target_pvm::compile(module, &pvm.backend(options)))?;
    let standard = standard_program(&program);
    let (bytes, metadata_bytes) =
        clock.time("write", || container(&program, standard.clone(), options.level, pvm));
    let sizes = Sizes::of(&standard, pvm.gp, bytes.len(), metadata_bytes);
    Ok((bytes, Details::Pvm(pvm_report(program, sizes))))
}

fn compile_thumb(
    module: ssa::Module,
    options: &Options,
    thumb: &ThumbOptions,
    clock: &mut Clock,
) -> Result<(Vec<u8>, Details), Error> {
    let object = clock.time("codegen", || target_thumb::compile(module, &thumb.backend(options)))?;
    let target_thumb::Object { bytes, functions, imports, sizes, first_call } = object;
    if let Some(FirstCall { symbol, copied_bytes, starts }) = &first_call {
        let why = match (copied_bytes, starts) {
            (0, _) => "runs the start function".to_owned(),
            (bytes, false) => format!("copies {bytes} bytes of initial data"),
            (bytes, true) => format!("copies {bytes} bytes of initial data and runs the start function"),
        };
        tracing::warn!("the firmware must call `{symbol}` before any other function of the module: it {why}");
    }
    let report = ThumbReport { total: bytes.len(), sizes, functions, imports, first_call };
    Ok((bytes, Details::Thumb(report)))
}

/// Compiles up to a stage and returns its text.
///
/// # Errors
/// As for [`compile`].
pub fn emit(input: &[u8], options: &Options, stage: Stage) -> Result<String, Error> {
    options.check()?;
    if stage == Stage::Header && options.thumb().is_none() {
        return Err(OptionsError::new("only Cortex-M objects have a C header".to_owned()).into());
    }
    on_large_stack(|| {
        let wasm = linked_wasm(input, options)?;
        if stage == Stage::LlvmIr {
            return Ok(llvm_frontend::emit_llvm_ir(&wasm, &options.frontend())?);
        }
        let module = frontend(&wasm, options)?;
        let after = (stage == Stage::Mir).then_some(codegen::MIR);
        Ok(match (&options.target, stage) {
            (Target::Pvm(pvm), Stage::Ssa) => target_pvm::print_ssa(module, &pvm.backend(options))?,
            (Target::Pvm(pvm), _) => target_pvm::print(module, &pvm.backend(options), after)?,
            (Target::Thumb(thumb), Stage::Ssa) => target_thumb::print_ssa(module, &thumb.backend(options))?,
            (Target::Thumb(thumb), Stage::Header) => target_thumb::header(module, &thumb.backend(options))?,
            (Target::Thumb(thumb), Stage::Mir) => {
                target_thumb::print(module, &thumb.backend(options), after)?
            }
            (Target::Thumb(thumb), _) => {
                let object = target_thumb::compile(module, &thumb.backend(options))?;
                target_thumb::file::assembly(&object.bytes)?
            }
        })
    })
}

/// Runs `work` on a thread with a large stack and propagates its panics.
fn on_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work);
        let result = thread.expect("the system starts a thread").join();
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The wasm binary of the input with all adapters linked in.
fn linked_wasm<'a>(bytes: &'a [u8], options: &Options) -> Result<Cow<'a, [u8]>, Error> {
    let wasm = input::to_wasm(bytes)?;
    if options.adapters.is_empty() {
        return Ok(wasm);
    }
    let read = |(index, adapter)| input::to_wasm(adapter).map_err(|error| Error::Adapter { index, error });
    let adapters: Vec<_> = (1..)
        .zip(&options.adapters)
        .map(|(index, adapter)| read((index, adapter.as_slice())))
        .collect::<Result<_, _>>()?;
    adapter::link(&wasm, &adapters).map(Cow::Owned).map_err(Error::Linking)
}

/// The program with its memory in the areas of a standard program.
fn standard_program(program: &Program) -> SpiProgram {
    let Images { ro, rw, heap_pages, stack_size } = &program.images;
    SpiProgram {
        ro_data: ro.clone(),
        rw_data: rw.clone(),
        heap_pages: u16::try_from(*heap_pages).expect("the layout limits the heap"),
        stack_size: *stack_size,
        blob: program.blob.clone(),
    }
}

/// The output file and the number of its bytes that are metadata.
fn container(
    program: &Program,
    standard: SpiProgram,
    level: OptLevel,
    options: &PvmOptions,
) -> (Vec<u8>, usize) {
    let (container, metadata_bytes) = match options.format {
        Format::Jam => {
            let metadata = metadata(program, level, options).to_bytes();
            let len = metadata.len();
            (Container::Jam { metadata, program: standard }, len)
        }
        Format::Spi => (Container::Spi(standard), 0),
        Format::Raw => {
            let lost = standard.ro_data.len() + standard.rw_data.len();
            if lost > 0 {
                tracing::warn!(bytes = lost, "the raw form has no place for initial memory");
            }
            (Container::Raw(standard.blob), 0)
        }
    };
    (container.to_bytes().expect("the memory plan keeps the container's limits"), metadata_bytes)
}

fn metadata(program: &Program, level: OptLevel, options: &PvmOptions) -> Metadata {
    let exports = program.entries.iter().filter(|entry| entry.target.is_some()).map(|entry| Export {
        name: entry.name.clone(),
        pc: entry.pc,
        signature: entry.signature.clone(),
    });
    let package = Package { name: options.package.clone(), ..Package::default() };
    Metadata {
        package: Some(package),
        extension: Some(Extension {
            producer: concat!("wasm-pvm ", env!("CARGO_PKG_VERSION")).to_owned(),
            gp: options.gp,
            result: options.result,
            linear_memory: program.linear_base,
            exports: exports.collect(),
            imports: program.imports.clone(),
            functions: if options.keeps_names(level) { real_names(program) } else { Vec::new() },
        }),
    }
}

/// Names of functions that have one; the frontend calls the others `func[index]`.
fn real_names(program: &Program) -> Vec<FunctionName> {
    program.functions.iter().filter(|function| !function.name.starts_with("func[")).cloned().collect()
}

fn pvm_report(program: Program, sizes: Sizes) -> PvmReport {
    PvmReport {
        sizes,
        entries: program.entries,
        imports: program.imports,
        functions: program.functions,
        data: program.data,
        data_exports: program.data_exports,
        linear_base: program.linear_base.unwrap_or(0),
        references: program.references,
    }
}

/// Measures phases and logs them.
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
