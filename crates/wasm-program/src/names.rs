//! The names by which translated LLVM IR refers to entities of the [`ssa::Module`].
//!
//! LLVM IR names entities by strings and `ssa` by dense ids. The driver numbers every function and data object of the
//! program once, before any part is translated, and records here the id of each symbol. The translator and the reader
//! take symbols from this file only. Two other places spell symbols as text: the LLVM IR of the crate `runtime`, and
//! `place` in `llvm-frontend` for the objects that it cuts static data into.
//!
//! Invariant: the table is complete before the first part is read and never changes afterwards, so parts on
//! different threads agree on every id. The table is only used for look-up; its iteration order has no effect.

use std::collections::HashMap;

pub use runtime::llvm::{DIVTI3, MEMCMP, MEMCPY, MEMMOVE, MEMSET, MODTI3, UDIVTI3, UMODTI3};
use ssa::{DataId, EntityId, FuncId, SigId, Signature};

/// The symbol of [`crate::module_info::MAIN_MEMORY`].
pub const LINEAR_MEMORY: &str = "__linear_memory";
const MEMORY_BASE: &str = "__wasm_memory_base";
const MEMORY_BYTES: &str = "__memory_bytes";
const MEMORY_GROW: &str = "__wasm_memory_grow";
/// `void (i32 code)`: stops the program with an [`ssa::TrapCode`], numbered in declaration order.
pub const TRAP: &str = "__wasm_trap";
/// `i32 (i32 size, i32 align)`: wasm address of a fresh stack object; both operands are constants.
pub const FRAME: &str = "__wasm_frame";
/// `i32 (i32 value, i32 offset, i32 function)`: a constant that may be an address of static data; all operands are
/// constants. All such calls are resolved before LLVM optimises.
pub const LITERAL: &str = "__wasm_literal";
/// `i64 (i32 low, i32 high, i32 offset, i32 function)`: as [`LITERAL`], for a constant of 64 bits.
pub const LITERAL_WIDE: &str = "__wasm_literal_wide";
/// `i32 (i32 object, i32 offset)`: the address of a byte of static data; the operands are constants. The object is one
/// of [`static_symbol`].
pub const STATIC_ADDRESS: &str = "__wasm_static_address";
/// Symbol of static data until it is cut into objects.
pub const STATICS: &str = "__wasm_statics";
/// Prefix of the symbols of objects of static data.
const STATICS_PREFIX: &str = "__wasm_statics.";
/// Symbol of a stack in static data.
pub const STATIC_STACK: &str = "__wasm_stack";
/// `i1 (i32 address, i32 offset, i32 log2)`: whether `1 << log2` bytes at a wasm address plus an offset lie in the
/// arguments of the entry. Offset and width are constants.
pub const IN_ARGUMENTS: &str = "__wasm_in_arguments";
/// `i1 (i32 address, i32 length)`: whether so many bytes from a wasm address lie in the arguments of the entry.
pub const RANGE_IN_ARGUMENTS: &str = "__wasm_range_in_arguments";
/// Symbol of [`ssa::Module::host_arguments`].
pub const ARGUMENT_LIMITS: &str = "__argument_limits";

/// The symbol of the linear memory with this wasm index: `external global [0 x i8]`.
pub fn memory_symbol(index: u32) -> String {
    of_memory(LINEAR_MEMORY, index)
}

/// The symbol of `ptr ()`: the address of a linear memory while LLVM's passes run. `llvm-frontend` replaces the calls
/// at the end.
pub fn memory_base_symbol(index: u32) -> String {
    of_memory(MEMORY_BASE, index)
}

/// The wasm index of the memory in a symbol of [`memory_base_symbol`].
pub fn memory_of_base(symbol: &str) -> Option<u32> {
    match symbol.strip_prefix(MEMORY_BASE)? {
        "" => Some(0),
        rest => rest.strip_prefix('.')?.parse().ok(),
    }
}

/// The symbol of the current size of a linear memory in bytes: `external global i32`.
pub fn memory_bytes_symbol(index: u32) -> String {
    of_memory(MEMORY_BYTES, index)
}

/// The symbol of `i32 (i32 pages)`: grows a linear memory; the old size in pages or -1.
pub fn memory_grow_symbol(index: u32) -> String {
    of_memory(MEMORY_GROW, index)
}

/// Symbols of the first memory have no number.
fn of_memory(symbol: &str, index: u32) -> String {
    match index {
        0 => symbol.to_owned(),
        _ => format!("{symbol}.{index}"),
    }
}

/// The symbol of the function with this wasm index, defined or imported.
pub fn function_symbol(index: u32) -> String {
    format!("f.{index}")
}

/// The wasm index in a symbol of [`function_symbol`], also if LLVM split the function and appended to the symbol.
pub fn function_index(symbol: &str) -> Option<u32> {
    symbol.strip_prefix("f.")?.split('.').next()?.parse().ok()
}

/// The symbol of the function that the outside calls in place of a function that may throw.
pub fn entry_symbol(index: u32) -> String {
    format!("f.{index}.entry")
}

/// The symbol of the function that references to an import refer to.
pub fn thunk_symbol(index: u32) -> String {
    format!("f.{index}.reference")
}

/// The symbol of the `i64 ()` that represents `ref.func index`.
pub fn ref_func_symbol(index: u32) -> String {
    format!("__wasm_ref_func.{index}")
}

/// The symbol of an object of static data. With relocations objects are numbered; without them all are number 0.
pub fn static_symbol(object: u32) -> String {
    format!("{STATICS_PREFIX}{object}")
}

/// The number of the object in a symbol of [`static_symbol`].
pub fn static_object(symbol: &str) -> Option<usize> {
    symbol.strip_prefix(STATICS_PREFIX)?.parse().ok()
}

/// The symbol of the mutable global with this wasm index.
pub fn global_symbol(index: u32) -> String {
    format!("global.{index}")
}

/// The symbol of the table with this wasm index: `[N x i64]`.
pub fn table_symbol(index: u32) -> String {
    format!("table.{index}")
}

/// The symbol of the current size of a growable table: `i32`.
pub fn table_size_symbol(index: u32) -> String {
    format!("table.{index}.size")
}

/// The symbol of the records of exceptions inside of others: an array of bytes.
pub const EXCEPTION_RECORDS: &str = "exceptions";

/// The symbol of the number of bytes of these records that are in use: `i32`.
pub const EXCEPTION_RECORDS_USED: &str = "exceptions.used";

/// The symbol of the bytes of a passive data segment.
pub fn segment_symbol(index: u32) -> String {
    format!("segment.{index}")
}

/// The symbol of the size of a data segment, 0 once dropped: `i32`.
pub fn segment_size_symbol(index: u32) -> String {
    format!("segment.{index}.size")
}

/// The symbol of the references of a passive element segment: `[N x i64]`.
pub fn element_symbol(index: u32) -> String {
    format!("element.{index}")
}

/// The symbol of the size of an element segment in entries, 0 once dropped: `i32`.
pub fn element_size_symbol(index: u32) -> String {
    format!("element.{index}.size")
}

/// The line of a debug location that represents the id of a source location or function; 0 for none.
pub fn debug_line<T: EntityId>(id: Option<T>) -> u32 {
    id.map_or(0, |id| id.index() as u32 + 1)
}

/// The id that a line of [`debug_line`] represents.
pub fn debug_id<T: EntityId>(line: u32) -> Option<T> {
    line.checked_sub(1).map(|index| T::new(index as usize))
}

/// The meaning of a called LLVM function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Callee {
    /// A function of the program: local, imported, of the runtime or an intrinsic of the target.
    Function(FuncId),
    /// [`ssa::InstData::FuncRef`] of a function.
    FuncRef(FuncId),
    /// [`ssa::InstData::Trap`].
    Trap,
    /// [`ssa::InstData::FrameAddr`] of a new frame slot.
    Frame,
    /// [`ssa::InstData::DataAddr`] of static data.
    StaticAddress,
    /// A comparison with the arguments of the entry.
    InArguments,
    /// The same, for a range of variable length.
    RangeInArguments,
}

/// The look-up table from symbols to ids.
#[derive(Debug, Default)]
pub struct Names {
    callees: HashMap<String, Callee>,
    data: HashMap<String, DataId>,
    signatures: HashMap<Signature, SigId>,
}

impl Names {
    /// A table with only the calls that represent `ssa` instructions.
    pub fn new() -> Self {
        let callees = [
            (TRAP, Callee::Trap),
            (FRAME, Callee::Frame),
            (STATIC_ADDRESS, Callee::StaticAddress),
            (IN_ARGUMENTS, Callee::InArguments),
            (RANGE_IN_ARGUMENTS, Callee::RangeInArguments),
        ];
        Self {
            callees: callees.into_iter().map(|(name, callee)| (name.to_owned(), callee)).collect(),
            ..Self::default()
        }
    }

    /// Records a function under a symbol.
    pub fn add_callee(&mut self, symbol: impl Into<String>, callee: Callee) {
        self.callees.insert(symbol.into(), callee);
    }

    /// Records a data object under a symbol.
    pub fn add_data(&mut self, symbol: impl Into<String>, data: DataId) {
        self.data.insert(symbol.into(), data);
    }

    /// Records a signature. Of several ids with the same shape, look-up finds the first.
    pub fn add_signature(&mut self, signature: Signature, id: SigId) {
        self.signatures.entry(signature).or_insert(id);
    }

    /// The meaning of a call of `symbol`; `None` for LLVM's own intrinsics.
    pub fn callee(&self, symbol: &str) -> Option<Callee> {
        self.callees.get(symbol).copied()
    }

    /// The function of the program named `symbol`.
    pub fn function(&self, symbol: &str) -> Option<FuncId> {
        match self.callee(symbol) {
            Some(Callee::Function(id)) => Some(id),
            _ => None,
        }
    }

    /// The data object named `symbol`; `None` for constant arrays that LLVM made.
    pub fn data(&self, symbol: &str) -> Option<DataId> {
        self.data.get(symbol).copied()
    }

    /// The id of a signature. Every signature of the program is recorded, so also those of indirect calls.
    pub fn signature(&self, signature: &Signature) -> Option<SigId> {
        self.signatures.get(signature).copied()
    }
}
