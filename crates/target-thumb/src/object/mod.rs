//! The relocatable ELF object.
//!
//! Every function is a section `.text.<name>`, every data object one of `.rodata`, `.data` or `.bss`, so that a linker
//! can drop what nobody uses. Exports are global under their wasm names, what must be called first as `__wasm_start`,
//! linear memory as `__linear_memory`; everything else is local. Imports are undefined under their field names, and
//! nothing else is undefined. An export of an import is a jump to it.
//!
//! Sections that are not loaded tell `info` what the code doesn't: see [`notes`]; and debuggers: see [`debug`].
//!
//! Mapping symbols tell code (`$t`) from data (`$d`), function symbols have bit 0 set, relocations keep their addends
//! in the code (`REL`), and build attributes say which core the code is for. Symbols and sections stand in the order of
//! the module, so the same input gives the same bytes.

mod attributes;
pub(crate) mod data;
mod debug;
pub(crate) mod names;
mod notes;
mod write;

use std::collections::BTreeMap;

use codegen::Fragment;
use ssa::{FuncId, IdVec, Module};

use crate::fixup::Fixup;
use crate::initial::Start;
use crate::target::Thumb;

pub use names::NameError;
pub use notes::{FIRST_CALL, REFERENCES, SETTINGS, STACK_SIZES};

/// How linear memory is laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MemoryShape {
    /// As large as it is.
    #[default]
    Plain,
    /// With room behind it for an access that begins at its last byte.
    Slack,
    /// As one region of the memory protection unit.
    Region,
}

/// What steers the object beside the code.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ObjectOptions {
    /// Bytes of linear memory; `None` for what the module declares.
    pub memory_bytes: Option<u64>,
    /// How linear memory is laid out.
    pub memory_shape: MemoryShape,
    /// Put in front of every import's symbol.
    pub import_prefix: String,
    /// Symbols of imports and exports by wasm name, where they are not the name itself.
    pub renames: BTreeMap<String, String>,
    /// What else the object is to say about how it was made: names and values without white space in the names.
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
    /// Most bytes of stack it takes itself, without what it calls.
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
    /// Bytes of initial data that it copies, with where they go.
    pub copied_bytes: u64,
    /// Whether it is, or calls, the module's start function.
    pub starts: bool,
}

/// An object with what is known about it.
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
    /// What must be called before all others, if anything.
    pub first_call: Option<FirstCall>,
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
    let names = names::Names::new(module, options, target.trap_handler)?;
    let Start { copied_bytes, starts } = start;
    let first_call = names.start.clone().map(|symbol| FirstCall { symbol, copied_bytes, starts });
    Ok(write::Writer::new(module, target, names, first_call, options).write(fragments))
}
