//! The representation of wasm types in `ssa`.

use ssa::Type;

use crate::module_info::ValueType;
use crate::options::{Floats, Options};

/// Offsets in bytes of the parts of a variable, and its size and alignment.
pub fn layout(parts: &[Type]) -> (Vec<u32>, u32, u32) {
    let mut end = 0;
    let mut align = 1;
    let mut offsets = Vec::new();
    for part in parts {
        let size = match part {
            Type::I32 | Type::F32 => 4,
            Type::I64 | Type::F64 => 8,
        };
        let start = u32::next_multiple_of(end, size);
        offsets.push(start);
        end = start + size;
        align = align.max(size);
    }
    (offsets, end.next_multiple_of(align), align)
}

/// The representation of a value of a type other than `exnref`, whose parts depend on the module: its *parts*, one SSA
/// value each.
///
/// References are opaque 64-bit integers, and floats are integers of their width unless the target computes with them. A
/// vector is its words of the target's width, the lowest lane first.
pub fn lower_type(ty: ValueType, options: &Options) -> &'static [Type] {
    let native = options.floats == Floats::Native;
    match ty {
        ValueType::F32 if native => &[Type::F32],
        ValueType::F64 if native => &[Type::F64],
        ValueType::I32 | ValueType::F32 => &[Type::I32],
        ValueType::I64 | ValueType::F64 | ValueType::FuncRef | ValueType::ExternRef => &[Type::I64],
        ValueType::V128 if options.target.vector_word == Type::I64 => &[Type::I64; 2],
        ValueType::V128 => &[Type::I32; 4],
        ValueType::ExnRef => unreachable!("`lowering` knows the parts of exceptions"),
    }
}

/// The parts of values, one after the other.
pub fn lower_types(types: &[ValueType], options: &Options) -> Vec<Type> {
    types.iter().flat_map(|&ty| lower_type(ty, options)).copied().collect()
}
