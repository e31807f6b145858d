//! The relocatable ELF object.
//!
//! Every function is a section `.text.<name>`, and every data object one of `.rodata`, `.data` or `.bss`, so that a
//! linker can drop unused ones. Exports are global under their wasm names, the function that must be called first as
//! `__wasm_start`, linear memory as `__linear_memory`. Everything else is local. Imports are undefined under their
//! field names; no other symbol is undefined, except functions of the run-time ABI and a trap handler. An export of an
//! import is a jump to it.
//!
//! Additional sections that are not loaded contain facts for `info` (see [`notes`]) and for debuggers (see [`debug`]).
//!
//! Mapping symbols distinguish code (`$t`) from data (`$d`), function symbols have bit 0 set, relocations have their
//! addends in the code (`REL`), and build attributes describe the core. Symbols and sections are in the order of the
//! module, so the same input gives the same bytes.

mod attributes;
pub(crate) mod data;
mod debug;
mod frames;
mod headers;
pub(crate) mod names;
mod notes;
mod variables;
mod writer;

use std::collections::BTreeMap;
use std::ops::Range;

use codegen::{CodeLocations, Fragment};
use ssa::{FuncId, IdVec, Module};

use crate::adapt::initial::Start;
use crate::emit::fixup::Fixup;
use crate::isa::Thumb;

pub use names::NameError;
pub use notes::{BODIES, FIRST_CALL, LOOPS, MEMORY_BYTES, REFERENCES, SETTINGS, STACK_SIZES};

/// The surroundings of linear memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MemoryShape {
    /// Exactly its size.
    #[default]
    Plain,
    /// With space after it for an access that begins at its last byte.
    Slack,
    /// One region of the memory protection unit.
    Region,
}

/// Options of the object that don't change code.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ObjectOptions {
    /// Bytes of linear memory; `None` for the size that the module declares.
    pub memory_bytes: Option<u64>,
    /// The surroundings of linear memory.
    pub memory_shape: MemoryShape,
    /// Prefix of the symbols of imports.
    pub import_prefix: String,
    /// Symbols of imports and exports that differ from their wasm names, by wasm name.
    pub renames: BTreeMap<String, String>,
    /// Names of functions and the bytes of their bodies in the module, to record in the object.
    pub functions: Vec<(String, Range<usize>)>,
    /// Whether the object gets debug information.
    pub debug: bool,
    /// Further settings to record in the object: names, which contain no white space, and values.
    pub settings: Vec<(String, String)>,
}

/// A function in the object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FunctionInfo {
    /// Its first symbol.
    pub symbol: String,
    /// Its name in the module.
    pub name: String,
    /// Bytes of code with its literals.
    pub size: u32,
    /// Bytes of stack of its own frame at most, without its callees.
    pub stack_bytes: u32,
}

/// Bytes per kind of section.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sizes {
    /// Code with its literals.
    pub text: u64,
    /// Read-only data.
    pub rodata: u64,
    /// Initialised data.
    pub data: u64,
    /// Zeros.
    pub bss: u64,
    /// Debug information, which is not loaded.
    pub debug: u64,
}

/// A function that must be called before all others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FirstCall {
    /// Its symbol.
    pub symbol: String,
    /// Bytes of initial data that it copies, including addresses and counts of the runs.
    pub copied_bytes: u64,
    /// Whether it is, or calls, the module's start function.
    pub starts: bool,
}

/// An object with facts about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Object {
    /// The ELF file.
    pub bytes: Vec<u8>,
    /// Its functions in order.
    pub functions: Vec<FunctionInfo>,
    /// Its undefined symbols in order.
    pub imports: Vec<String>,
    /// Sizes of its sections, without padding between them.
    pub sizes: Sizes,
    /// The function that must be called before all others, if there is one.
    pub first_call: Option<FirstCall>,
    /// Where the code comes from, if the module's instructions carry byte offsets. Positions count the bytes of all
    /// functions in order.
    pub locations: Option<CodeLocations>,
}

/// Writes the object of a compiled module.
///
/// # Errors
/// If the names of imports and exports can't all be symbols.
pub fn link(
    module: &Module,
    target: &Thumb,
    fragments: &IdVec<FuncId, Option<Fragment<Fixup>>>,
    start: Start,
    options: &ObjectOptions,
) -> Result<Object, NameError> {
    let names = names::Names::new(module, target.linear_memory, options, target.trap_handler)?;
    let Start { copied_bytes, starts } = start;
    let first_call = names.start.clone().map(|symbol| FirstCall { symbol, copied_bytes, starts });
    Ok(writer::Writer::new(module, target, names, first_call, options).write(fragments))
}
