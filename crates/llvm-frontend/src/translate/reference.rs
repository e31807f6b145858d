//! References: null, and calls of functions by reference.
//!
//! Null is 0, and so is the first part of a null reference of several parts. Validation knows the function type of a
//! reference, so a call only has to find out whether it is null.

use inkwell::values::{BasicValueEnum, IntValue};
use ssa::TrapCode;
use wasm_program::error::Error;
use wasm_program::module_info::{ValueType, value_type};
use wasmparser::{HeapType, Operator, RefType, ValType};

use super::Translator;

/// Translates an operator of this family; returns false if it belongs to another.
pub fn translate(t: &mut Translator<'_, '_, '_>, op: &Operator<'_>) -> Result<bool, Error> {
    match *op {
        Operator::RefNull { hty } => t.null(hty),
        Operator::RefIsNull => {
            let reference = t.stack.pop();
            let null = t.is_null(&reference);
            t.push_bool(null);
        }
        Operator::RefAsNonNull => {
            let reference = t.stack.pop();
            let null = t.is_null(&reference);
            t.trap_if(null, TrapCode::NullReference);
            t.stack.push(reference);
        }
        Operator::BrOnNull { relative_depth } => t.branch_on_null(relative_depth)?,
        Operator::BrOnNonNull { relative_depth } => t.branch_on_non_null(relative_depth)?,
        Operator::CallRef { type_index } => {
            let callee = t.referenced_function();
            t.call_address(type_index, callee)?;
        }
        Operator::ReturnCallRef { type_index } => {
            let callee = t.referenced_function();
            t.return_call_address(type_index, callee)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

impl<'ctx> Translator<'_, 'ctx, '_> {
    fn null(&mut self, heap: HeapType) {
        let ty = RefType::new(true, heap).map(ValType::Ref);
        match ty.map(value_type) {
            Some(ValueType::ExnRef) => self.push_null_exception(),
            _ => self.push(self.ir().c64(0)),
        }
    }

    fn is_null(&self, reference: &[BasicValueEnum<'ctx>]) -> IntValue<'ctx> {
        self.ir().is_zero(reference[0].into_int_value())
    }

    /// Branches without the reference if it is null.
    fn branch_on_null(&mut self, depth: u32) -> Result<(), Error> {
        let reference = self.stack.pop();
        let null = self.is_null(&reference);
        let target = self.pass_values(depth)?;
        let next = self.ir().new_block();
        self.ir().branch(null, target, next);
        self.ir().at_end(next);
        self.stack.push(reference);
        Ok(())
    }

    /// Branches with the reference unless it is null.
    fn branch_on_non_null(&mut self, depth: u32) -> Result<(), Error> {
        let null = self.is_null(self.stack.top(1));
        let target = self.pass_values(depth)?;
        let next = self.ir().new_block();
        self.ir().branch(null, next, target);
        self.ir().at_end(next);
        self.stack.pop();
        Ok(())
    }

    /// Pops a reference to a function; returns its code address.
    fn referenced_function(&mut self) -> inkwell::values::PointerValue<'ctx> {
        let reference = self.pop_int();
        let null = self.ir().is_zero(reference);
        self.trap_if(null, TrapCode::NullReference);
        self.code_address(reference)
    }
}
