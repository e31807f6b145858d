//! The pipeline from input bytes to output bytes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use llvm_frontend::{Demands, ModuleInfo};
use ssa::Import;
use target_pvm::MemoryError;
use wasmparser::{Parser, Payload, TypeRef};

use crate::backend::{Backend, Translated};
use crate::clock::Clock;
use crate::counts::{self, Counters, ProfileError};
use crate::error::Error;
use crate::exports::exports;
#[cfg(feature = "insight")]
use crate::insight::explore::{Exploration, Machine, SsaText, Stages};
use crate::options::{
    ConstValue, MetadataContents, Names, Options, OptionsError, Profile, PvmOptions, ShadowStack, Target,
};
#[cfg(feature = "insight")]
use crate::report::Details;
use crate::report::Report;
use crate::wasi::Host;
use crate::{adapter, globals, host_heap, input, side_module, text};

/// Stack of the thread that compiles: parsers and LLVM's passes recurse over nested input.
const STACK_BYTES: usize = 1 << 30;

/// A compiled program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Output {
    /// The file: a PVM program in the form of [`PvmOptions::format`](crate::PvmOptions::format), or an ELF object.
    pub bytes: Vec<u8>,
    /// Measurements and facts about it.
    pub report: Report,
}

/// A stage whose text can be printed, in the order of the pipeline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage<'a> {
    /// The function with this name or index, in the text format of WebAssembly.
    Function(&'a str),
    /// LLVM IR after LLVM's passes.
    LlvmIr,
    /// SSA after the frontend. It can be parsed and interpreted.
    Ssa,
    /// SSA after the target's own passes, at the start of code generation.
    Prepared,
    /// Machine instructions over virtual registers.
    Mir,
    /// Machine instructions after the pass with this name, one of [`pass_names`].
    After(&'a str),
    /// For the PVM, final machine instructions before linking; for Cortex-M, the whole object as assembly that LLVM's
    /// assembler turns into the same object.
    Asm,
    /// The C header of a Cortex-M object.
    Header,
}

/// Names of the passes of code generation over each function, in order.
pub fn pass_names(options: &Options) -> Vec<&'static str> {
    options.backend().pass_names()
}

/// Compiles a module: WebAssembly, its text format or a compressed Substrate runtime.
///
/// # Errors
/// [`Error`] names the fault in the input, or the part that is not supported with these options.
pub fn compile(input: &[u8], options: &Options) -> Result<Output, Error> {
    options.check()?;
    let mut clock = Clock::default();
    on_large_stack(|| {
        let linked = clock.time("read", || linked_wasm(input, options))?;
        compile_linked(&linked, options, clock)
    })
}

/// Compiles a module with counters, for the PVM.
///
/// Run it like any program. Then the memory that it exports as [`counts::MEMORY`] has the counts, which
/// [`Counters::read`] turns into a profile.
///
/// # Errors
/// As for [`compile`], and if the module can't get counters or the target is not the PVM.
pub fn compile_counting(input: &[u8], options: &Options) -> Result<(Output, Counters), Error> {
    let Target::Pvm(pvm) = &options.target else {
        return Err(OptionsError::new("counters are counted on the PVM".to_owned()).into());
    };
    // The address of the counters is in the metadata.
    let pvm = PvmOptions { names: Names::Keep, metadata: MetadataContents::Exports, ..pvm.clone() };
    let options = Options { target: pvm.into(), profile: None, ..options.clone() };
    options.check()?;
    let mut clock = Clock::default();
    on_large_stack(|| {
        let mut linked = clock.time("read", || linked_wasm(input, &options))?;
        let (wasm, counters) = counts::instrument(&linked.wasm)?;
        linked.wasm = Cow::Owned(wasm);
        Ok((compile_linked(&linked, &options, clock)?, counters))
    })
}

/// The wasm binary of an input with everything linked in, and options with which it is compiled as the input is with the
/// given ones.
///
/// # Errors
/// As for [`compile`].
#[cfg(feature = "verify")]
pub fn linked(input: &[u8], options: &Options) -> Result<(Vec<u8>, Options), Error> {
    options.check()?;
    on_large_stack(|| {
        let Linked { wasm, globals } = linked_wasm(input, options)?;
        let (wasm, imported_globals) = (wasm.into_owned(), globals.clone());
        let floats = Linked { wasm: Cow::Borrowed(&wasm), globals }.with_floats(options)?.floats;
        let own = Options { imported_globals, adapters: Vec::new(), wasi: None, floats, ..options.clone() };
        Ok((wasm, own))
    })
}

/// The wasm binary of an input with everything linked in: error messages have its offsets. `None` if it can't be linked.
pub fn linked_module(input: &[u8], options: &Options) -> Option<Vec<u8>> {
    let linked = on_large_stack(|| Ok(linked_wasm(input, options)?.wasm.into_owned()));
    linked.ok()
}

fn compile_linked(linked: &Linked<'_>, options: &Options, mut clock: Clock) -> Result<Output, Error> {
    let options = &*linked.with_floats(options)?;
    let wasm = &*linked.wasm;
    let (bytes, details) = with_stack_that_fits(options, |options| {
        let backend = options.backend();
        let translated = clock.time("frontend", || frontend(linked, options, &*backend, Purpose::Output))?.0;
        if backend.limits_memory() {
            warn_of_empty_memory(wasm, &translated.module);
        }
        backend.compile(translated, &mut clock, &mut |_| ())
    })?;
    let report = Report { wasm_bytes: wasm.len(), phases: clock.phases, details };
    Ok(Output { bytes, report })
}

/// Does `work` with these options. If the machine's stack was to be in linear memory and can't, which is known late,
/// `work` is done again with the C stack as the module has it.
fn with_stack_that_fits<T>(
    options: &Options,
    mut work: impl FnMut(&Options) -> Result<T, Error>,
) -> Result<T, Error> {
    match work(options) {
        Err(Error::Pvm(target_pvm::Error::Memory(MemoryError::StackInMemory(reason))))
            if options.shadow_stack == ShadowStack::Auto =>
        {
            tracing::info!(reason, "the shadow stack stays in linear memory");
            work(&Options { shadow_stack: ShadowStack::Strict, ..options.clone() })
        }
        result => result,
    }
}

/// Compiles a module and keeps the code of every stage, linked by byte offsets in the module.
///
/// # Errors
/// As for [`compile`].
#[cfg(feature = "insight")]
pub fn explore(input: &[u8], options: &Options) -> Result<(Output, Exploration), Error> {
    let options = &options.with_map();
    options.check()?;
    on_large_stack(|| {
        let mut clock = Clock::default();
        let linked = clock.time("read", || linked_wasm(input, options))?;
        let options = &*linked.with_floats(options)?;
        let ((bytes, details), ir, ssa) = with_stack_that_fits(options, |options| {
            let backend = options.backend();
            let (translated, ir) =
                clock.time("frontend", || frontend(&linked, options, &*backend, Purpose::Page))?;
            let mut ssa = SsaText::default();
            let observe = &mut |module: &ssa::Module| ssa = SsaText::of(module);
            Ok((backend.compile(translated, &mut clock, observe)?, ir, ssa))
        })?;
        let machine = match &options.target {
            Target::Pvm(pvm) => Machine::Pvm(pvm.gp),
            Target::Thumb(_) => Machine::Thumb,
        };
        let map = match &details {
            Details::Pvm(report) => report.map.clone(),
            Details::Thumb(report) => report.map.clone(),
        };
        let map = map.expect("the options ask for a map");
        let stages = Stages { wasm: &linked.wasm, ir: &ir, ssa, map: &map, machine, program: &bytes };
        let exploration = Exploration::new(stages);
        let report = Report { wasm_bytes: linked.wasm.len(), phases: clock.phases, details };
        Ok((Output { bytes, report }, exploration))
    })
}

/// Compiles up to a stage and returns its text.
///
/// # Errors
/// As for [`compile`], and if the target has no such stage.
pub fn emit(input: &[u8], options: &Options, stage: Stage<'_>) -> Result<String, Error> {
    options.check()?;
    check_stage(stage, &*options.backend())?;
    on_large_stack(|| {
        progress::phase("read");
        let linked = linked_wasm(input, options)?;
        if let Stage::Function(function) = stage {
            return text::function(&linked.wasm, function);
        }
        let options = &*linked.with_floats(options)?;
        with_stack_that_fits(options, |options| emit_linked(&linked, options, stage))
    })
}

/// The text of a stage after linking.
fn emit_linked(linked: &Linked<'_>, options: &Options, stage: Stage<'_>) -> Result<String, Error> {
    let backend = options.backend();
    progress::phase("frontend");
    if stage == Stage::LlvmIr {
        return Ok(llvm_frontend::emit_llvm_ir(&linked.wasm, &linked.frontend(options)?)?);
    }
    let (translated, _) = frontend(linked, options, &*backend, Purpose::Text)?;
    progress::phase("codegen");
    match stage {
        Stage::Function(_) | Stage::LlvmIr | Stage::Ssa => Ok(translated.module.to_string()),
        Stage::Prepared => backend.prepared(translated),
        Stage::Mir => backend.after(translated, codegen::MIR),
        Stage::After(pass) => backend.after(translated, pass),
        Stage::Asm => backend.assembly(translated),
        Stage::Header => backend.header(translated),
    }
}

/// Checks that the target has a stage.
fn check_stage(stage: Stage<'_>, backend: &dyn Backend) -> Result<(), OptionsError> {
    match stage {
        Stage::Header if !backend.has_header() => {
            Err(OptionsError::new("only Cortex-M objects have a C header".to_owned()))
        }
        Stage::After(pass) if !backend.pass_names().contains(&pass) => {
            let names = backend.pass_names().join(", ");
            Err(OptionsError::new(format!("there is no pass `{pass}`; those of this target are {names}")))
        }
        _ => Ok(()),
    }
}

/// What a module is translated for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// The output file.
    Output,
    /// The output file, and a page that also has the LLVM IR.
    Page,
    /// The text of a stage, in which every name can stand.
    Text,
}

/// The module in SSA, with the LLVM IR of its parts for a page. First all requirements that can't be met are collected
/// into one error.
fn frontend<'a>(
    linked: &'a Linked<'_>,
    options: &Options,
    backend: &dyn Backend,
    purpose: Purpose,
) -> Result<(Translated<'a>, Vec<String>), Error> {
    let wasm = &*linked.wasm;
    let check = |demands: &Demands| {
        let mut errors: Vec<Error> = demands.refused.iter().cloned().map(Error::from).collect();
        errors.extend(backend.unmet(demands));
        if purpose != Purpose::Text {
            errors.extend(backend.unmet_names(demands));
        }
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(Error::Several(errors)),
        }
    };
    let frontend = linked.frontend(options)?;
    let (module, ir) = match purpose == Purpose::Page {
        true => llvm_frontend::compile_printed(wasm, &frontend, check)?,
        false => (llvm_frontend::compile_checked(wasm, &frontend, check)?, Vec::new()),
    };
    if options.checks
        && let Err(error) = ssa::verify(&module)
    {
        panic!("the frontend made SSA that breaks its rules: {error}");
    }
    let exports = exports(wasm).expect("the frontend has read the module");
    let bodies = if backend.records_bodies() { bodies(wasm)? } else { Vec::new() };
    Ok((Translated { module, exports, wasm, bodies }, ir))
}

/// The bytes of each function's body, by name.
fn bodies(wasm: &[u8]) -> Result<Vec<(String, Range<usize>)>, Error> {
    let info = ModuleInfo::parse(wasm)?;
    let own = (0u32..).zip(&info.functions).skip(info.imported_functions());
    Ok(own.map(|(index, function)| (info.function_name(index), function.body.clone())).collect())
}

/// Warns of a memory without a byte that is imported: the size of such a declaration is often meant to be chosen by the
/// host.
fn warn_of_empty_memory(wasm: &[u8], module: &ssa::Module) {
    let Some((_, memory)) = module.memory().filter(|(_, memory)| memory.min_bytes == 0) else { return };
    let imports = Parser::new(0).parse_all(wasm).filter_map(|payload| match payload {
        Ok(Payload::ImportSection(imports)) => Some(imports),
        _ => None,
    });
    let is_memory = |import: &wasmparser::Import<'_>| matches!(import.ty, TypeRef::Memory(_));
    if imports.flat_map(|imports| imports.into_imports().flatten()).any(|import| is_memory(&import)) {
        let until = if memory.grows { " until the program grows it" } else { "" };
        tracing::warn!(
            code = "W0107",
            "the imported memory has no bytes, so every access traps{until}; --memory-bytes sets its size"
        );
    }
}

/// Runs `work` on a thread with a large stack and propagates its panics.
fn on_large_stack<T: Send>(work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work);
        let thread =
            thread.map_err(|error| Error::Stack { bytes: STACK_BYTES, reason: error.to_string() })?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The wasm binary of the input with all adapters linked in.
struct Linked<'a> {
    wasm: Cow<'a, [u8]>,
    /// Values of imported globals.
    globals: BTreeMap<Import, ConstValue>,
}

impl Linked<'_> {
    /// The options with a treatment of float operators, if its default depends on the module.
    fn with_floats<'o>(&self, options: &'o Options) -> Result<Cow<'o, Options>, Error> {
        if !options.floats_depend_on_module() {
            return Ok(Cow::Borrowed(options));
        }
        let computes = llvm_frontend::computes_floats(&self.wasm, &self.frontend(options)?)?;
        let floats = Some(options.backend().default_floats(computes));
        Ok(Cow::Owned(Options { floats, ..options.clone() }))
    }

    /// The options of the frontend for this module.
    fn frontend(&self, options: &Options) -> Result<llvm_frontend::Options, ProfileError> {
        let profile = options.profile.as_ref();
        let counts = profile.map(|profile| profile.counts_of(&self.wasm)).transpose()?;
        Ok(llvm_frontend::Options { imported_globals: self.globals.clone(), counts, ..options.frontend() })
    }
}

fn linked_wasm<'a>(bytes: &'a [u8], options: &Options) -> Result<Linked<'a>, Error> {
    let mut wasm = input::to_wasm(bytes)?;
    let given = globals::by_full_name(options);
    let mut placed = BTreeMap::new();
    if let Some(place) = side_module::place(&wasm, &given).map_err(Error::SideModule)? {
        wasm = Cow::Owned(place.wasm);
        placed = place.globals;
    }
    let of_profile = options.pvm().and_then(|pvm| pvm.profile).and_then(Profile::adapter);
    let of_profile = of_profile.filter(|_| imports_allocator(&wasm));
    if !options.adapters.is_empty() || of_profile.is_some() {
        let read =
            |(index, adapter)| input::to_wasm(adapter).map_err(|error| Error::Adapter { index, error });
        let given = options.adapters.iter().map(Vec::as_slice);
        let adapters: Vec<_> =
            (1..).zip(given.chain(of_profile.map(str::as_bytes))).map(read).collect::<Result<_, _>>()?;
        wasm = Cow::Owned(adapter::link(&wasm, &adapters).map_err(Error::Linking)?);
    }
    if let Some(wasi) = &options.wasi {
        wasm = Cow::Owned(wasi.link(&wasm, Host::of(&options.target))?);
    }
    let globals = globals::values(&wasm, &given, &placed, options.imports());
    // A malformed module is refused later.
    if options.pvm().is_some_and(PvmOptions::checks_arguments)
        && let Ok(Some(copying)) = host_heap::copy_arguments(&wasm)
    {
        wasm = Cow::Owned(copying);
    }
    Ok(Linked { wasm, globals })
}

/// Whether a module imports the functions that an adapter of a profile is for. Malformed modules are refused later.
fn imports_allocator(wasm: &[u8]) -> bool {
    let imports = Parser::new(0).parse_all(wasm).filter_map(|payload| match payload {
        Ok(Payload::ImportSection(section)) => Some(section),
        _ => None,
    });
    imports
        .flat_map(|section| section.into_imports().filter_map(Result::ok))
        .any(|import| import.name.starts_with("ext_allocator_"))
}
