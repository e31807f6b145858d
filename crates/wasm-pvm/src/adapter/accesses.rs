//! The memories, tables and functions that a function's code accesses.
//!
//! The encoder asks for the new index of every entity that an instruction names, so this works for all instructions.

use std::collections::BTreeSet;

use wasm_encoder::reencode::{Error, Reencode};
use wasmparser::{FunctionBody, Operator};

use super::AdapterError;
use super::module::LinkedModule;

/// An entity that code accesses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Accesses {
    /// A memory.
    Memory,
    /// A table, or any entity through a reference.
    Table,
    /// The function with this index: it is called, or a reference to it is made.
    Func(u32),
    /// A reference to this function is made.
    Reference(u32),
}

/// The accesses of a function.
pub fn accesses(
    module: &LinkedModule<'_>,
    body: &FunctionBody<'_>,
) -> Result<BTreeSet<Accesses>, AdapterError> {
    let mut probe = Probe::default();
    let malformed = |error: wasmparser::Error| AdapterError::malformed(&module.name, &error);
    for operator in body.get_operators_reader().map_err(malformed)? {
        let operator = operator.map_err(malformed)?;
        match operator {
            Operator::RefFunc { function_index } => {
                probe.0.insert(Accesses::Reference(function_index));
            }
            Operator::CallRef { .. } | Operator::ReturnCallRef { .. } => {
                probe.0.insert(Accesses::Table);
            }
            _ => {}
        }
        probe.instruction(operator).map_err(|error| AdapterError::encoding(&module.name, error))?;
    }
    Ok(probe.0)
}

#[derive(Default)]
struct Probe(BTreeSet<Accesses>);

impl Reencode for Probe {
    type Error = AdapterError;

    fn function_index(&mut self, index: u32) -> Result<u32, Error<AdapterError>> {
        self.0.insert(Accesses::Func(index));
        Ok(index)
    }

    fn memory_index(&mut self, index: u32) -> Result<u32, Error<AdapterError>> {
        self.0.insert(Accesses::Memory);
        Ok(index)
    }

    fn table_index(&mut self, index: u32) -> Result<u32, Error<AdapterError>> {
        self.0.insert(Accesses::Table);
        Ok(index)
    }
}
