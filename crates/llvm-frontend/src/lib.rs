//! WebAssembly to `ssa`, by way of LLVM IR and LLVM's optimiser.
//!
//! A module becomes a planned program (crate `wasm-program`). Then its functions are cut into parts, and every part is
//! translated to LLVM IR, optimised, and read back into `ssa` on a thread of its own. The result is plain data.
//!
//! This is the only crate that uses LLVM.

mod llvm;

mod parts;

mod translate;

mod passes;

mod classify;

mod read;

mod prune;

mod place;

pub use llvm::memory::on_exhausted_memory;
pub use wasm_program::counts::Counts;
pub use wasm_program::dwarf::SourceMap;
pub use wasm_program::error::Error;
pub use wasm_program::libcalls::{Candidate, Division, Libcall, Operation, candidates};
pub use wasm_program::module_info::{
    ConstExprOps, ConstOp, DataInfo, ElementInfo, ExportInfo, ExportKind, FuncType, FunctionInfo, GlobalInfo,
    MemoryInfo, ModuleInfo, SegmentMode, TableInfo, ValueType,
};
pub use wasm_program::options::{
    Bounds, ConstValue, Constants, Floats, Locations, OptLevel, Options, ShadowStack,
};
pub use wasm_program::survey::{Demands, ReachedImport};
pub use wasm_program::target::{MemoryOwner, TargetDescription};
pub use wasm_program::{computes_floats, moved_stack};

#[cfg(any(test, feature = "testing"))]
pub use read::testing;

use inkwell::module::Module;
use read::ReadContext;
use wasm_program::{Program, names, with_program};

/// The version of LLVM that is in use: three numbers.
pub fn llvm_version() -> String {
    let (major, minor, patch) = inkwell::support::get_llvm_version();
    format!("{major}.{minor}.{patch}")
}

/// Compiles a wasm binary to an `ssa` module.
///
/// # Errors
/// [`Error`] names the fault in the input, or the part that is not supported with these options.
pub fn compile(wasm: &[u8], options: &Options) -> Result<ssa::Module, Error> {
    compile_checked(wasm, options, Demands::check)
}

/// As [`compile`], after `check` has seen the module's requirements.
///
/// # Errors
/// As for [`compile`], and the errors of `check`. It should refuse at least what [`Demands::check`] refuses.
pub fn compile_checked<E: From<Error>>(
    wasm: &[u8],
    options: &Options,
    check: impl FnOnce(&Demands) -> Result<(), E>,
) -> Result<ssa::Module, E> {
    let (module, _) = compile_parts(wasm, options, check, |_| ())?;
    Ok(module)
}

/// As [`compile_checked`], with the optimised LLVM IR of each part as text.
///
/// # Errors
/// As for [`compile_checked`].
pub fn compile_printed<E: From<Error>>(
    wasm: &[u8],
    options: &Options,
    check: impl FnOnce(&Demands) -> Result<(), E>,
) -> Result<(ssa::Module, Vec<String>), E> {
    compile_parts(wasm, options, check, |module| module.print_to_string().to_string())
}

/// Compiles a wasm binary and looks at the optimised LLVM IR of each part.
fn compile_parts<E: From<Error>, T: Send>(
    wasm: &[u8],
    options: &Options,
    check: impl FnOnce(&Demands) -> Result<(), E>,
    look: impl Fn(&Module<'_>) -> T + Sync,
) -> Result<(ssa::Module, Vec<T>), E> {
    with_program(wasm, options, check, |program| {
        let (names, arguments) = (&program.names, options.host_arguments);
        let (all_traps, is_profiled) = (program.exceptions.traps, options.counts.is_some());
        let context = ReadContext { names, program: &program.module, arguments, all_traps, is_profiled };
        let outputs = parts::for_each(program, |module| {
            let looked = look(module);
            let output = read::read_functions(module, &context);
            output.map(|output| (output, looked)).map_err(|refused| unreadable(&refused, program))
        })?;
        let seen = context.seen();
        let mut module = program.module.clone();
        let mut all_looked = Vec::with_capacity(outputs.len());
        for (output, looked) in outputs {
            output.join(seen, &mut module);
            all_looked.push(looked);
        }
        let module = prune::prune(module);
        let module = match &program.statics {
            Some(plan) => prune::prune(place::place(module, plan, program)?),
            None => module,
        };
        Ok((module, all_looked))
    })
}

/// Compiles a wasm binary to optimised LLVM IR, as text. Parts follow each other. A comment at the start names the
/// range of static data, to which the IR refers by distances from its start.
///
/// # Errors
/// As for [`compile`].
pub fn emit_llvm_ir(wasm: &[u8], options: &Options) -> Result<String, Error> {
    with_program(wasm, options, Demands::check, |program| {
        let texts = parts::for_each(program, |module| Ok(module.print_to_string().to_string()))?;
        let whole = program.statics.as_ref().filter(|plan| plan.relocations.is_none());
        let head = whole.map(|plan| format!("; static data from {} to {}\n", plan.start, plan.end));
        Ok(head.unwrap_or_default() + &texts.join("\n"))
    })
}

/// The error for LLVM IR that has no form in `ssa`.
fn unreadable(refused: &read::Unsupported, program: &Program<'_>) -> Error {
    tracing::info!(symbol = refused.function, instruction = refused.instruction, "not readable");
    let index = names::function_index(&refused.function);
    let known = index.filter(|&index| (index as usize) < program.info.functions.len());
    let function = known.map_or_else(|| refused.function.clone(), |index| program.info.function_name(index));
    let offset = known.map_or(0, |index| program.info.functions[index as usize].body.start);
    let way_out = match program.options.level {
        OptLevel::O0 => "please report it",
        _ => "`-O0` does without; please report it",
    };
    let what = format!("optimisation made {} of it, which has no machine code; {way_out}", refused.what);
    Error::Unsupported { function: Some(function), offset, what }
}
