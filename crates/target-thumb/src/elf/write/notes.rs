//! Notes: facts about the object, in sections that are not loaded.
//!
//! | section | contents |
//! |---|---|
//! | `.stack_sizes` | one section per function, linked to its code, in LLVM's format: the function's address, and the size of its own frame in bytes as ULEB128 |
//! | `.wasm_pvm` | lines `name value`: the compiler's settings |
//! | `.wasm_pvm.functions` | lines `start end name`: offsets of the functions' bodies in the module, if traps call a handler |
//! | `.wasm_pvm.references` | pairs of words: a function's address, and `2 × type` if the function calls code addresses of that type, `2 × type + 1` if its own address is taken and it has that type |
//! | `.wasm_pvm.loops` | pairs of words: the address of a loop's first instruction, and the most executions of it each time that the loop is entered |
//!
//! Together with the relocations of the code, which give direct calls, the references are the call graph. All sections but
//! the first kind are marked to be excluded from the linked file. Those of the first kind have a format that other tools
//! read, and linkers drop those of dropped functions.

use std::collections::BTreeSet;
use std::ops::Range;

use object::write::SymbolId;
use ssa::{DataId, EntityId as _, FuncId, IdVec, InstData, Module, SigId};

use super::data::MemoryLayout;
use super::{FirstCall, ObjectOptions};
use crate::isa::{MemoryMode, Thumb};

/// Name of the sections with stack sizes.
pub const STACK_SIZES: &str = ".stack_sizes";
/// Name of the section with settings.
pub const SETTINGS: &str = ".wasm_pvm";
/// Name of the section with references to code.
pub const REFERENCES: &str = ".wasm_pvm.references";
/// Name of the section with the bodies of functions in the module.
pub const BODIES: &str = ".wasm_pvm.functions";
/// Name of the section with bounds of loops.
pub const LOOPS: &str = ".wasm_pvm.loops";
/// Name of the setting with the symbol of the function that must be called first.
pub const FIRST_CALL: &str = "first-call";
/// Name of the setting with the bytes of linear memory that the embedder provides.
pub const MEMORY_BYTES: &str = "memory-bytes";
/// Bytes of a reference, and of a bound.
pub const PAIR_BYTES: u64 = 8;

/// The contents of a section of [`STACK_SIZES`], whose first word is to be the function's address.
pub fn stack_size(mut bytes: u32) -> Vec<u8> {
    let mut section = vec![0; 4];
    while bytes >= 0x80 {
        section.push(bytes as u8 | 0x80);
        bytes >>= 7;
    }
    section.push(bytes as u8);
    section
}

/// The contents of the section [`SETTINGS`].
pub fn settings(
    module: &Module,
    target: &Thumb,
    first_call: Option<&FirstCall>,
    options: &ObjectOptions,
) -> String {
    let memory = match target.memory {
        MemoryMode::Native => "native",
        MemoryMode::Symbol => "symbol",
        MemoryMode::Register => "register",
    };
    let mut text =
        format!("producer wasm-pvm {}\ncore {}\nmemory {memory}\n", env!("CARGO_PKG_VERSION"), target.cpu);
    if let (MemoryMode::Register, Some((_, memory))) = (target.memory, module.memory()) {
        let (bytes, _) = MemoryLayout::new(options, target.cpu).place(memory.min_bytes);
        text += &format!("{MEMORY_BYTES} {bytes}\n");
    }
    for (name, value) in &options.settings {
        text += &format!("{name} {value}\n");
    }
    if let Some(FirstCall { symbol, .. }) = first_call {
        text += &format!("{FIRST_CALL} {symbol}\n");
    }
    text
}

/// The contents of the section [`BODIES`].
pub fn bodies(options: &ObjectOptions) -> String {
    let line = |(name, body): &(String, Range<usize>)| format!("{} {} {name}\n", body.start, body.end);
    options.functions.iter().map(line).collect()
}

/// A use of code addresses by a function.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reference {
    /// It calls addresses of this type.
    Calls(SigId),
    /// Its own address is taken, and it has this type.
    IsTaken(SigId),
}

/// All references of functions and data that are in the object, by function.
pub fn references(
    module: &Module,
    functions: &IdVec<FuncId, Option<SymbolId>>,
    data: &IdVec<DataId, Option<SymbolId>>,
) -> BTreeSet<(FuncId, Reference)> {
    let mut found = BTreeSet::new();
    let taken = |func: FuncId| (func, Reference::IsTaken(module.decls[func].sig));
    for (id, func) in module.functions.iter() {
        let insts = func.iter().flat_map(|func| {
            func.blocks.values().flat_map(|block| &block.insts).map(|&inst| &func.insts[inst])
        });
        found.extend(insts.filter_map(|inst| match inst {
            InstData::CallIndirect { sig, .. } | InstData::TailCallIndirect { sig, .. } => {
                Some((id, Reference::Calls(*sig)))
            }
            InstData::FuncRef { func } => Some(taken(*func)),
            _ => None,
        }));
    }
    let in_data = module.data.iter().filter(|(id, _)| data[*id].is_some());
    found.extend(in_data.flat_map(|(_, object)| &object.relocs).map(|reloc| taken(reloc.func)));
    found.retain(|(func, _)| functions[*func].is_some());
    found
}

/// The contents of the section [`REFERENCES`], whose even words are to be the functions' addresses.
pub fn reference_bytes(references: &BTreeSet<(FuncId, Reference)>) -> Vec<u8> {
    let words = references.iter().map(|(_, reference)| match reference {
        Reference::Calls(sig) => 2 * sig.index() as u32,
        Reference::IsTaken(sig) => 2 * sig.index() as u32 + 1,
    });
    words.flat_map(|word| [[0; 4], word.to_le_bytes()].concat()).collect()
}

/// The contents of the section [`LOOPS`]: offsets in functions, whose addresses are to be added, and bounds.
pub fn loop_bytes(bounds: &[(SymbolId, u32, u32)]) -> Vec<u8> {
    bounds.iter().flat_map(|(_, offset, most)| [offset.to_le_bytes(), most.to_le_bytes()].concat()).collect()
}
