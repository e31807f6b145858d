//! A program: functions, signatures, data objects, imports and exports.
//!
//! Everything with an address is a [`DataObject`]: linear memory, wasm globals, tables, passive segments and the
//! constant arrays that LLVM creates. The target assigns the addresses; code refers to objects by [`DataId`].

use crate::entity::IdVec;
use crate::function::Function;
use crate::ids::{DataId, FuncId, SigId};
use crate::ops::Type;
use crate::source::Sources;

/// Parameter and result types.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Signature {
    /// Parameters.
    pub params: Vec<Type>,
    /// Results; more than one is a wasm multi-value function.
    pub results: Vec<Type>,
}

/// Where a function's code comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FuncKind {
    /// It has a body in [`Module::functions`].
    Local,
    /// The wasm module imports it.
    Import(Import),
    /// The target knows it by this name, for example `__pvm_sbrk`.
    Intrinsic(String),
}

/// A function's interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FuncDecl {
    /// Used in messages and listings; unique.
    pub name: String,
    /// Its signature.
    pub sig: SigId,
    /// Where its code comes from.
    pub kind: FuncKind,
}

/// A two-level import name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Import {
    /// First level, for example `env`.
    pub module: String,
    /// Second level.
    pub field: String,
}

/// The item that an export refers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExportItem {
    /// A function.
    Func(FuncId),
    /// A global, table or linear memory.
    Data(DataId),
}

/// An export.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Export {
    /// The wasm export name.
    pub name: String,
    /// The exported item.
    pub item: ExportItem,
}

/// An active data segment of linear memory, its offset known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Wasm address of the first byte.
    pub offset: u32,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// The shape of the linear memory. Later segments overwrite earlier ones.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LinearMemory {
    /// Initial size in bytes.
    pub min_bytes: u64,
    /// Largest size in bytes it may grow to, if the module limits it.
    pub max_bytes: Option<u64>,
    /// log2 of the page size: 16, or 0 with custom page sizes.
    pub page_log2: u32,
    /// Initial contents.
    pub segments: Vec<Segment>,
    /// Whether the code may grow it.
    pub grows: bool,
    /// Initial `__stack_pointer`, if the shadow stack is fused with the machine stack. Then the bytes below it (down
    /// to the first data) need no memory of their own, and code may use [`crate::InstData::FrameAddr`].
    pub native_stack: Option<u32>,
    /// Whether some functions keep their part of the shadow stack in memory, so that its bytes are needed all the same.
    pub keeps_stack: bool,
}

/// The kind of a data object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DataKind {
    /// The linear memory that grows and has the C stack. At most one per module.
    Memory(LinearMemory),
    /// A further linear memory: so many bytes at a fixed place, of which the code may use only the first ones.
    FixedMemory,
    /// A mutable wasm global, or other mutable state (memory size, dropped-segment flags).
    Variable,
    /// A table: 8-byte function or external references.
    Table,
    /// Never written.
    Constant,
}

/// An 8-byte function reference inside a data object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Relocation {
    /// Byte offset in the object.
    pub offset: u32,
    /// The function whose reference (as [`crate::InstData::FuncRef`]) is stored there.
    pub func: FuncId,
}

/// A 4-byte address inside a data object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoredAddress {
    /// Byte offset in the object.
    pub offset: u32,
    /// The object whose address is stored there.
    pub data: DataId,
    /// A constant added to that address.
    pub addend: i32,
}

/// Something with an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DataObject {
    /// Used in messages and listings; unique.
    pub name: String,
    /// Its kind.
    pub kind: DataKind,
    /// Bytes (for linear memory 0: see [`LinearMemory`]).
    pub size: u32,
    /// Alignment, a power of two.
    pub align: u32,
    /// Initial bytes; zeros follow up to `size`.
    pub init: Vec<u8>,
    /// Function references in it; they overwrite `init`.
    pub relocs: Vec<Relocation>,
    /// Addresses in it; they overwrite `init`.
    pub addresses: Vec<StoredAddress>,
}

impl DataObject {
    /// An object without references.
    pub fn new(name: impl Into<String>, kind: DataKind, size: u32, align: u32, init: Vec<u8>) -> Self {
        Self { name: name.into(), kind, size, align, init, relocs: Vec::new(), addresses: Vec::new() }
    }

    /// A constant without references.
    pub fn constant(name: impl Into<String>, align: u32, init: Vec<u8>) -> Self {
        Self::new(name, DataKind::Constant, init.len() as u32, align, init)
    }

    /// A variable of `size` bytes that is zero at first, aligned to its size, which is a power of two.
    pub fn variable(name: impl Into<String>, size: u32) -> Self {
        Self { kind: DataKind::Variable, size, ..Self::constant(name, size, Vec::new()) }
    }
}

/// A program.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Module {
    /// All signatures.
    pub signatures: IdVec<SigId, Signature>,
    /// All functions.
    pub decls: IdVec<FuncId, FuncDecl>,
    /// Bodies, for exactly the [`FuncKind::Local`] functions.
    pub functions: IdVec<FuncId, Option<Function>>,
    /// Everything with an address.
    pub data: IdVec<DataId, DataObject>,
    /// Exports, in wasm order.
    pub exports: Vec<Export>,
    /// The function to run before any export.
    pub start: Option<FuncId>,
    /// A variable of four `i32`s that entries set, in programs that check accesses: for accesses of 1, 2, 4 and 8 bytes
    /// the number of addresses in the argument bytes at which they are allowed, `length - width + 1` or 0.
    pub host_arguments: Option<DataId>,
    /// The variable with the current size of linear memory in bytes, if code may grow it.
    pub memory_size: Option<DataId>,
    /// The tables for the source locations of function bodies, if they have any.
    pub sources: Option<Box<Sources>>,
}

impl Module {
    /// The first id with the shape `sig`; added if there is none.
    pub fn intern_signature(&mut self, sig: Signature) -> SigId {
        let known = self.signatures.iter().find(|(_, known)| **known == sig).map(|(id, _)| id);
        known.unwrap_or_else(|| self.signatures.push(sig))
    }

    /// The `number`-th signature with this shape, counted from 0.
    pub(crate) fn numbered_signature(&self, shape: &Signature, number: usize) -> Option<SigId> {
        self.signatures.iter().filter(|(_, sig)| *sig == shape).map(|(id, _)| id).nth(number)
    }

    /// The position of `sig` among the signatures with its shape, counted from 0.
    pub(crate) fn signature_number(&self, sig: SigId) -> usize {
        let shape = &self.signatures[sig];
        self.signatures.iter().take_while(|(id, _)| *id != sig).filter(|(_, other)| *other == shape).count()
    }

    /// Declares a function without a body. A name in use is made longer.
    pub fn declare(&mut self, name: impl Into<String>, sig: Signature, kind: FuncKind) -> FuncId {
        let sig = self.intern_signature(sig);
        let name = self.free_name(name);
        self.functions.push(None);
        self.decls.push(FuncDecl { name, sig, kind })
    }

    /// The name, made longer while a function has it.
    pub fn free_name(&self, name: impl Into<String>) -> String {
        let mut name = name.into();
        while self.decls.values().any(|decl| decl.name == name) {
            name.push('_');
        }
        name
    }

    /// Makes exports of the function `from` refer to `to`.
    pub fn redirect_exports(&mut self, from: FuncId, to: FuncId) {
        for export in self.exports.iter_mut().filter(|export| export.item == ExportItem::Func(from)) {
            export.item = ExportItem::Func(to);
        }
    }

    /// The linear memories.
    pub fn memories(&self) -> impl Iterator<Item = (DataId, &LinearMemory)> {
        self.data.iter().filter_map(|(id, object)| match &object.kind {
            DataKind::Memory(memory) => Some((id, memory)),
            _ => None,
        })
    }

    /// The first linear memory, if the module has one.
    pub fn memory(&self) -> Option<(DataId, &LinearMemory)> {
        self.memories().next()
    }

    /// The signature of a function.
    pub fn signature_of(&self, func: FuncId) -> &Signature {
        &self.signatures[self.decls[func].sig]
    }
}
