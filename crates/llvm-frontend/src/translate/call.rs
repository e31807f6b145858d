//! Direct, indirect and tail calls.
//!
//! A function reference holds the signature's number in its upper half, so one comparison rejects null and
//! wrongly typed entries alike, and the code address in its lower half.

use inkwell::AddressSpace;
use inkwell::IntPredicate;
use inkwell::values::{
    BasicMetadataValueEnum, BasicValueEnum, CallSiteValue, FunctionValue, IntValue, PointerValue,
};
use ssa::{EntityId, TrapCode};
use wasm_program::error::Error;
use wasm_program::module_info::FuncType;
use wasmparser::Operator;

use super::Translator;
use crate::llvm::TailCallKind;

/// Translates an operator of this family; returns false if it belongs to another.
pub fn translate(t: &mut Translator<'_, '_, '_>, op: &Operator<'_>) -> Result<bool, Error> {
    match *op {
        Operator::Call { function_index } => t.call_direct(function_index)?,
        Operator::CallIndirect { type_index, table_index } => t.call_indirect(type_index, table_index)?,
        Operator::ReturnCall { function_index } => t.return_call(function_index)?,
        Operator::ReturnCallIndirect { type_index, table_index } => {
            t.return_call_indirect(type_index, table_index)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

impl<'ctx, 'p> Translator<'_, 'ctx, 'p> {
    fn call_direct(&mut self, index: u32) -> Result<(), Error> {
        let ty = self.program().info.type_of(index);
        let args = self.arguments(ty)?;
        if let Some(libcall) = self.program().libcalls[index as usize] {
            self.call_helper(index, libcall, &args);
            return Ok(());
        }
        let callee = self.env.function(index);
        let call = self.build_call(callee, &args);
        let throws = self.program().exceptions.throwing[index as usize];
        self.push_results(call, ty, throws)
    }

    fn call_indirect(&mut self, type_index: u32, table: u32) -> Result<(), Error> {
        let callee = self.indirect_callee(type_index, table);
        self.call_address(type_index, callee)
    }

    /// Calls a function of a type at a code address.
    pub(super) fn call_address(&mut self, type_index: u32, callee: PointerValue<'ctx>) -> Result<(), Error> {
        let ty = &self.program().info.types[type_index as usize];
        let args = self.arguments(ty)?;
        let call = self.build_indirect_call(callee, type_index, &args);
        let throws = self.program().exceptions.is_throwing_type(self.program().info, type_index);
        self.push_results(call, ty, throws)
    }

    fn return_call(&mut self, index: u32) -> Result<(), Error> {
        let exceptions = &self.program().exceptions;
        let (ty, throwing) = (self.program().info.type_of(index), &exceptions.throwing);
        let args = self.arguments(ty)?;
        let callee = self.env.function(index);
        let call = self.build_call(callee, &args);
        if throwing[index as usize] == throwing[self.index as usize] {
            self.finish_tail_call(call);
            return Ok(());
        }
        // The callee is an import, which can't return an exception.
        self.push_results(call, ty, false)?;
        let results = self.stack.top(ty.results.len()).to_vec();
        self.emit_return(&results);
        self.reachable = false;
        Ok(())
    }

    fn return_call_indirect(&mut self, type_index: u32, table: u32) -> Result<(), Error> {
        let callee = self.indirect_callee(type_index, table);
        self.return_call_address(type_index, callee)
    }

    /// Replaces the function by one of a type at a code address.
    pub(super) fn return_call_address(
        &mut self,
        type_index: u32,
        callee: PointerValue<'ctx>,
    ) -> Result<(), Error> {
        let args = self.arguments(&self.program().info.types[type_index as usize])?;
        let call = self.build_indirect_call(callee, type_index, &args);
        self.finish_tail_call(call);
        Ok(())
    }

    /// Pops the arguments of a call; returns their parts.
    fn arguments(&mut self, ty: &FuncType) -> Result<Vec<BasicValueEnum<'ctx>>, Error> {
        self.spend(ty.params.len() + ty.results.len())?;
        self.settle(ty.params.len());
        let height = self.stack.len() - ty.params.len();
        Ok(self.stack.split_off(height).into_parts())
    }

    pub(super) fn build_call(
        &self,
        callee: FunctionValue<'ctx>,
        args: &[BasicValueEnum<'ctx>],
    ) -> CallSiteValue<'ctx> {
        let args: Vec<BasicMetadataValueEnum<'ctx>> = args.iter().map(|&arg| arg.into()).collect();
        let call = self.ir().builder.build_call(callee, &args, "").expect("the builder is positioned");
        call.set_call_convention(self.env.call_convention());
        call
    }

    fn build_indirect_call(
        &self,
        callee: PointerValue<'ctx>,
        type_index: u32,
        args: &[BasicValueEnum<'ctx>],
    ) -> CallSiteValue<'ctx> {
        let args: Vec<BasicMetadataValueEnum<'ctx>> = args.iter().map(|&arg| arg.into()).collect();
        let info = self.program().info;
        let throws = self.program().exceptions.is_throwing_type(info, type_index);
        let ty = self.env.function_type(&info.types[type_index as usize], throws);
        let call = self.ir().builder.build_indirect_call(ty, callee, &args, "");
        let call = call.expect("the builder is positioned");
        call.set_call_convention(self.env.call_convention());
        call
    }

    /// Pushes the results of a call. If it throws, the exception goes to its handler.
    fn push_results(&mut self, call: CallSiteValue<'ctx>, ty: &FuncType, throws: bool) -> Result<(), Error> {
        let Some(value) = call.try_as_basic_value().basic() else { return Ok(()) };
        let results = self.env.part_types(&ty.results).len();
        let thrown = if throws { self.program().exceptions.parts.len() } else { 0 };
        let mut parts = match results + thrown {
            1 => vec![value],
            count => self.fields(value, count),
        };
        let exception = parts.split_off(results);
        if throws {
            self.raise_if_thrown(&exception)?;
        }
        self.push_all(&ty.results, parts);
        Ok(())
    }

    /// The first fields of a struct.
    pub(super) fn fields(&self, value: BasicValueEnum<'ctx>, count: usize) -> Vec<BasicValueEnum<'ctx>> {
        let field = |field| {
            let value = self.ir().builder.build_extract_value(value.into_struct_value(), field, "");
            value.expect("the struct has this field")
        };
        (0..count as u32).map(field).collect()
    }

    /// Makes the call replace the current function.
    fn finish_tail_call(&mut self, call: CallSiteValue<'ctx>) {
        call.set_tail_call_kind(TailCallKind::LLVMTailCallKindMustTail);
        let value = call.try_as_basic_value().basic();
        let result = value.as_ref().map(|value| value as &dyn inkwell::values::BasicValue<'ctx>);
        self.ir().builder.build_return(result).expect("the builder is positioned");
        self.reachable = false;
    }

    /// Pops a table index; returns the code address of the function there, which has the given type.
    fn indirect_callee(&mut self, type_index: u32, table: u32) -> PointerValue<'ctx> {
        let index = self.pop_int();
        let reference = self.checked_entry(table, index);
        let i64 = self.ir().i64;
        let signature = self.ir().lshr(reference, self.ir().c64(32));
        let expected = self.program().signatures[type_index as usize].index() as u64 + 1;
        let wrong = self.ir().icmp(IntPredicate::NE, signature, i64.const_int(expected, false));
        self.trap_if(wrong, TrapCode::BadSignature);
        self.code_address(reference)
    }

    /// The code address in a reference to a function.
    pub(super) fn code_address(&self, reference: IntValue<'ctx>) -> PointerValue<'ctx> {
        let address = self.ir().trunc(reference, self.ir().i32);
        let ptr = self.ir().context.ptr_type(AddressSpace::default());
        self.ir().builder.build_int_to_ptr(address, ptr, "").expect("the builder is positioned")
    }
}
