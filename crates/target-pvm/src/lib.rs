//! The PVM target: from an [`ssa::Module`] to a program.
//!
//! ```text
//! SSA to SSA:   adapt ─ with memory, which assigns the addresses of data
//! functions:    lower ─ optimize ─ frame ─ peephole ─ emit, driven by codegen ─► Fragments
//! program:      share ─ join ─ link ─► code and jump table, together with initial memory ─► Program
//! ```
//!
//! | folder or file | contents |
//! |---|---|
//! | `adapt` | the passes from SSA to SSA that depend on the machine and its hosts: initial data, entries, imports |
//! | `memory` | the plan that assigns the addresses of data, and the initial contents of memory |
//! | `isa` | [`Pvm`], which describes the machine to the code generator: instructions, registers, calling convention |
//! | `lower` | selection of instructions |
//! | `optimize` | passes over allocated functions, before they have a frame |
//! | `frame` | stack frames, prologues and epilogues |
//! | `peephole` | improvements of final instructions |
//! | `emit` | bytes and fixups |
//! | `share` | code that functions have in common, where a program should be small |
//! | `join` | the code of all functions as one fragment |
//! | `link` | the jump table, and the addresses of all code |
//! | `stack` | the deepest stack of each entry |
//! | `program` | the result, with names for tools |
//! | `analysis` | facts about instructions over registers that several stages use |
//!
//! `target.rs` lists the passes over functions.

pub mod memory;

mod adapt;
mod analysis;
mod emit;
mod frame;
mod isa;
mod join;
mod link;
mod lower;
mod optimize;
mod peephole;
mod program;
mod share;
mod stack;
mod target;

use std::collections::BTreeMap;

use pvm_isa::GpVersion;
use pvm_isa::metadata::ResultConvention;
use ssa::{FuncId, FuncKind, Module};

pub use adapt::entries::{Entry, EntryMode};
pub use adapt::imports::{ImportAction, ImportError, ImportMap, ImportMapError};
pub use adapt::{entries, imports};
pub use isa::Pvm;
pub use memory::{Images, MemoryError, MemoryOptions, MemoryPlan, ProgramLayout};
pub use program::Program;
pub use stack::{EntryStack, Stacks};

use adapt::{Adapted, adapt};
use join::Sharing;

/// The optimisation goal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Goal {
    /// Little gas.
    #[default]
    Speed,
    /// Small, without wasting gas.
    Balance,
    /// Small.
    Size,
}

/// Options of the target.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Version of the Gray Paper the program is for.
    pub gp: GpVersion,
    /// The optimisation goal.
    pub goal: Goal,
    /// Which exports can be entered, and how.
    pub entries: EntryMode,
    /// How entry functions return their result.
    pub result: ResultConvention,
    /// Signatures of exports by name, in the letters of the metadata, where SSA types don't tell those of wasm.
    pub signatures: BTreeMap<String, String>,
    /// Whether pointers and lengths of a service's entries may be `i64`, since memory has 64-bit addresses.
    pub wide_pointers: bool,
    /// Actions of imports.
    pub imports: ImportMap,
    /// The version whose numbers of host calls the module and the import map use; `None` is the same as [`Self::gp`].
    pub host_calls: Option<GpVersion>,
    /// Where the container has memory areas and entries.
    pub layout: ProgramLayout,
    /// Memory.
    pub memory: MemoryOptions,
    /// Whether the result of every stage is checked. Builds with assertions always check.
    pub checks: bool,
    /// Worker threads, at least 1. The result does not depend on it.
    pub threads: usize,
}

/// Reasons why a module can't become a program with these options.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// Imported functions without a suitable action.
    #[error(transparent)]
    Imports(#[from] ImportError),
    /// Memory that does not fit the container.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// An instruction or value that the target has no code for.
    #[error(transparent)]
    Unsupported(#[from] codegen::Unsupported),
}

/// Compiles a module.
///
/// # Errors
/// If imports have no action, memory does not fit the container, or a function needs an operation that the target lacks.
pub fn compile(module: Module, options: &Options) -> Result<Program, Error> {
    compile_observed(module, options, &mut |_| ())
}

/// As [`compile`]; calls `observe` with the module before code generation.
///
/// # Errors
/// As for [`compile`].
pub fn compile_observed(
    module: Module,
    options: &Options,
    observe: &mut dyn FnMut(&Module),
) -> Result<Program, Error> {
    let Adapted { module, target, mut entries, imports, ambiguous } = adapt(module, options)?;
    if codegen::Isa::is_checked(&target) {
        ssa::verify_bodies(&module)
            .unwrap_or_else(|error| panic!("an adapted function breaks a rule: {error}"));
    }
    observe(&module);
    let fragments = codegen::compile_functions(&target, &module, options.threads.max(1))?;
    let stacks = stack::stacks(&module, &fragments, &entries, &target, options.memory.keep_exports);
    stack::check_room(&stacks, &target.plan)?;
    let sharing = match options.goal {
        Goal::Size => share::share(options.gp, &fragments),
        Goal::Speed | Goal::Balance => Sharing::default(),
    };
    let joined = join::join(options.gp, &fragments, &sharing);
    drop(fragments);
    let linked = link::link(&module, joined, &mut entries, &target.plan, options.gp);
    let mut images = target.plan.images(&module, |func| linked.references[func])?;
    if options.memory.stack_size.is_none()
        && target.plan.stack_top().is_none()
        && let Some(bytes) = stacks.bound.and_then(|bytes| options.layout.stack_pages(bytes))
    {
        images.stack_size = bytes;
    }
    let program = Program::new(&module, &target.plan, linked, images, entries, imports);
    Ok(Program { ambiguous_host_calls: ambiguous, stacks, ..program })
}

/// The text of all functions after the pass `after` of [`codegen::pass_names`], or after the last one.
///
/// # Errors
/// As for [`compile`].
pub fn print(module: Module, options: &Options, after: Option<&str>) -> Result<String, Error> {
    let Adapted { module, target, .. } = adapt(module, options)?;
    let mut text = String::new();
    for func in module.functions.values().flatten() {
        text.push_str(&codegen::print_function(&target, &module, func, after)?);
        text.push('\n');
    }
    Ok(text)
}

/// The module before code generation, as text.
///
/// # Errors
/// As for [`compile`].
pub fn print_ssa(module: Module, options: &Options) -> Result<String, Error> {
    let mut module = adapt(module, options)?.module;
    // The printer needs bodies for all local functions; those without were unreachable.
    for id in module.functions.ids().collect::<Vec<FuncId>>() {
        if module.functions[id].is_none() && module.decls[id].kind == FuncKind::Local {
            module.decls[id].kind = FuncKind::Intrinsic("unreachable".into());
        }
    }
    Ok(module.to_string())
}
