//! A wasm module as a planned program: everything that is decided before code is translated.
//!
//! A module is validated and its declarations are collected ([`ModuleInfo`]). Facts about the whole module are
//! gathered, its compiler helpers, its C stack and its static data are recognised, and every entity gets an id and a
//! symbol. The result is a [`Program`], plain data that all parts of translation share.
//!
//! This crate knows nothing of LLVM, so it builds and is tested without it.

pub mod error;
pub mod options;
pub mod target;

mod collection;
pub mod module_info;
mod refused;

pub mod atomics;
pub mod counts;
pub mod dwarf;
pub mod exceptions;
pub mod facts;
pub mod floats;
pub mod libcalls;
pub mod relocations;
pub mod shadow_stack;
pub mod statics;
pub mod survey;

pub mod lowering;
pub mod memories;
pub mod names;
pub mod program;
pub mod types;
pub mod vectors;

pub use error::Error;
pub use module_info::ModuleInfo;
pub use options::Options;
pub use program::{Analyses, Program};
pub use survey::Demands;

use exceptions::ExceptionPlan;
use facts::Facts;

/// Plans the program of a wasm binary, after `check` has seen the module's requirements, and hands it to `then`.
///
/// # Errors
/// [`Error`] names the fault in the input, or the part that is not supported with these options; and the errors of
/// `check` and `then`. `check` should refuse at least what [`Demands::check`] refuses.
pub fn with_program<T, E: From<Error>>(
    wasm: &[u8],
    options: &Options,
    check: impl FnOnce(&Demands) -> Result<(), E>,
    then: impl FnOnce(&Program<'_>) -> Result<T, Error>,
) -> Result<T, E> {
    let info = ModuleInfo::parse(wasm)?;
    memories::check(&info, options)?;
    check(&survey::survey(&info, wasm, options)?)?;
    let facts = Facts::collect(&info, wasm)?;
    let exceptions = ExceptionPlan::new(&info, wasm, options)?;
    let libcalls = libcalls::recognise(&info, wasm);
    let stack = shadow_stack::plan(&info, &libcalls, wasm, options)?;
    let statics = statics::plan(&info, wasm, options, stack.as_ref())?;
    let analyses = Analyses { exceptions: &exceptions, libcalls, stack, statics };
    Ok(then(&Program::new(wasm, &info, &facts, options, analyses)?)?)
}

/// Whether reachable code of a wasm binary computes with floats.
///
/// # Errors
/// [`Error`] names the fault in the input.
pub fn computes_floats(wasm: &[u8], options: &Options) -> Result<bool, Error> {
    survey::computes_floats(&ModuleInfo::parse(wasm)?, wasm, options)
}

/// The addresses of the C stack of a wasm binary, if it is moved to the machine's stack with these options. What is there
/// in linear memory means nothing then.
///
/// # Errors
/// [`Error`] names the fault in the input.
pub fn moved_stack(wasm: &[u8], options: &Options) -> Result<Option<std::ops::Range<u32>>, Error> {
    let info = ModuleInfo::parse(wasm)?;
    let plan = shadow_stack::plan(&info, &libcalls::recognise(&info, wasm), wasm, options)?;
    Ok(plan.map(|plan| plan.floor..plan.initial))
}
