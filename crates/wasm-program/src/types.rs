//! The representation of wasm types in `ssa`.

use ssa::{Signature, Type};

use crate::exceptions::ExceptionPlan;
use crate::module_info::{FuncType, ValueType};
use crate::options::{Floats, Options};

/// The representation of all values of a program: their *parts*, one SSA value each. This file is the only place that
/// decides it.
#[derive(Clone, Copy, Debug)]
pub struct Lowering<'a> {
    /// Options of the frontend.
    pub options: &'a Options,
    /// The exceptions of the module.
    pub exceptions: &'a ExceptionPlan,
}

impl<'a> Lowering<'a> {
    /// The parts of a value.
    pub fn parts(self, ty: ValueType) -> &'a [Type] {
        if ty == ValueType::ExnRef { &self.exceptions.parts } else { lower_type(ty, self.options) }
    }

    /// The parts of values, one after the other.
    pub fn all_parts(self, types: &[ValueType]) -> Vec<Type> {
        types.iter().flat_map(|&ty| self.parts(ty)).copied().collect()
    }

    /// The signature of a function type. Functions that may throw return the parts of an exception after their results.
    pub fn signature(self, ty: &FuncType, throws: bool) -> Signature {
        let mut results = self.all_parts(&ty.results);
        if throws {
            results.extend(&self.exceptions.parts);
        }
        Signature { params: self.all_parts(&ty.params), results }
    }
}

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

/// The parts of a value of a type other than `exnref`, whose parts depend on the module.
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
        ValueType::ExnRef => unreachable!("`Lowering` knows the parts of exceptions"),
    }
}

/// The parts of values, one after the other.
pub fn lower_types(types: &[ValueType], options: &Options) -> Vec<Type> {
    types.iter().flat_map(|&ty| lower_type(ty, options)).copied().collect()
}
