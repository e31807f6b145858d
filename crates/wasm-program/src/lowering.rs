//! The representation of values and signatures of a program in `ssa`: types of one part for all modules, and exceptions,
//! whose parts depend on the module's tags.

use ssa::{Signature, Type};

use crate::exceptions::ExceptionPlan;
use crate::module_info::{FuncType, ValueType};
use crate::options::Options;
use crate::types::lower_type;

/// The representation of all values of a program.
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
