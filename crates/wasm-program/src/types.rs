//! The representation of wasm types in `ssa`.

use ssa::Type;

use crate::module_info::{FuncType, ValueType};
use crate::options::{Floats, Options};

/// The representation of a value: its *parts*, one SSA value each. This is the only place that decides it.
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
    }
}

/// The parts of values, one after the other.
pub fn lower_types(types: &[ValueType], options: &Options) -> Vec<Type> {
    types.iter().flat_map(|&ty| lower_type(ty, options)).copied().collect()
}

/// The signature of a function type.
pub fn lower_signature(ty: &FuncType, options: &Options) -> ssa::Signature {
    ssa::Signature { params: lower_types(&ty.params, options), results: lower_types(&ty.results, options) }
}
