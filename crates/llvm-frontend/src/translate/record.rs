//! Exceptions inside of exceptions.
//!
//! A tag may have references to exceptions among its values. Such an exception may have another one in it, to any depth,
//! so its parts can't all be slots of the outer one. When it is thrown, its parts become a *record* in memory, and the
//! slot of the outer exception has the offset of the record.
//!
//! Records are made one after the other, up to a maximum number, beyond which a `throw` traps. A function that returns
//! ordinarily frees all records that were made since it was entered, unless something may refer to them: its own results,
//! or a variable of the module. A function that throws, or that another replaces by a tail call, frees none.

use inkwell::IntPredicate;
use inkwell::types::BasicTypeEnum;
use inkwell::values::{BasicValueEnum, IntValue, PointerValue};
use ssa::TrapCode;
use wasm_program::module_info::ValueType;
use wasm_program::names;
use wasm_program::types::layout;

use super::Translator;
use super::ir::Space;
use super::operands::Operands;

impl<'ctx> Translator<'_, 'ctx, '_> {
    /// The parts of values that are thrown.
    pub(super) fn thrown_values(
        &mut self,
        params: &[ValueType],
        operands: &Operands<BasicValueEnum<'ctx>>,
    ) -> Vec<BasicValueEnum<'ctx>> {
        let mut values = Vec::new();
        for (ty, parts) in params.iter().zip(operands.top_values(params.len())) {
            if *ty == ValueType::ExnRef {
                values.push(self.new_record(parts).into());
            } else {
                values.extend(parts);
            }
        }
        values
    }

    /// Makes a record of the parts of an exception; returns its offset.
    fn new_record(&mut self, exception: &[BasicValueEnum<'ctx>]) -> IntValue<'ctx> {
        let room = self.ir().c32(self.program().record_room());
        let bytes = self.ir().c32(self.program().exceptions.record_bytes());
        let offset = self.records_used();
        let full = self.ir().icmp(IntPredicate::UGE, offset, room);
        self.trap_if(full, TrapCode::Exception);
        let end = self.ir().add(offset, bytes);
        self.set_records_used(end);
        for ((pointer, ty), &part) in self.record_parts(offset).into_iter().zip(exception) {
            self.ir().store(Space::Variable, pointer, part, super::locals::align_of(ty));
        }
        offset
    }

    /// The parts of the exception in a record.
    pub(super) fn recorded(&mut self, offset: IntValue<'ctx>) -> Vec<BasicValueEnum<'ctx>> {
        let parts = self.record_parts(offset);
        let load = |(at, ty)| self.ir().load(Space::Variable, ty, at, super::locals::align_of(ty));
        parts.into_iter().map(load).collect()
    }

    /// The addresses and types of the parts of a record.
    fn record_parts(&mut self, offset: IntValue<'ctx>) -> Vec<(PointerValue<'ctx>, BasicTypeEnum<'ctx>)> {
        let ty = self.ir().i64.array_type(self.program().record_room() / 8).into();
        let records = self.env.variable(names::EXCEPTION_RECORDS.to_owned(), ty, 8);
        let record = self.ir().offset_bytes(records, offset);
        let (offsets, ..) = layout(&self.program().exceptions.parts);
        let part = |(offset, ty)| (self.ir().offset_bytes(record, self.ir().c32(offset)), ty);
        offsets.into_iter().zip(self.env.exception_types()).map(part).collect()
    }

    /// The variable with the number of bytes in use.
    fn records_used_variable(&mut self) -> PointerValue<'ctx> {
        let i32 = self.ir().i32.into();
        self.env.variable(names::EXCEPTION_RECORDS_USED.to_owned(), i32, 4)
    }

    fn records_used(&mut self) -> IntValue<'ctx> {
        let variable = self.records_used_variable();
        self.ir().load(Space::Variable, self.ir().i32.into(), variable, 4).into_int_value()
    }

    fn set_records_used(&mut self, bytes: IntValue<'ctx>) {
        let variable = self.records_used_variable();
        self.ir().store(Space::Variable, variable, bytes.into(), 4);
    }

    /// At the start of a function that frees records: the bytes in use.
    pub(super) fn open_records(&mut self) {
        let frees = self.program().exceptions.frees_records
            && !self.program().info.type_of(self.index).has_exception_results();
        self.records_at_entry = frees.then(|| self.records_used());
    }

    /// At an ordinary return.
    pub(super) fn free_records(&mut self) {
        if let Some(bytes) = self.records_at_entry {
            self.set_records_used(bytes);
        }
    }
}
