//! Tables and references.
//!
//! A reference is an `i64` and null is 0; one to an exception has several parts, which are all 0 for null. A table is an
//! array of references with room for its maximum number of entries. Its current size is a constant unless the module
//! grows it.

use inkwell::IntPredicate;
use inkwell::types::BasicTypeEnum;
use inkwell::values::{BasicValueEnum, IntValue, PointerValue};
use ssa::TrapCode;
use wasm_program::module_info::ValueType;
use wasm_program::names;
use wasm_program::program::{REFERENCE_BYTES, SizePlan};
use wasm_program::types::layout;
use wasmparser::Operator;

use super::Translator;
use super::ir::Space;

/// The alignment of entries in bytes.
const ENTRY_ALIGN: u32 = REFERENCE_BYTES;

/// Translates an operator of this family; returns false if it belongs to another.
pub fn translate(t: &mut Translator<'_, '_, '_>, op: &Operator<'_>) -> bool {
    match *op {
        Operator::RefFunc { function_index } => {
            let value = t.constant(wasm_program::options::ConstValue::Func(function_index));
            t.push(value);
        }
        Operator::TableGet { table } => {
            let index = t.pop_int();
            let parts = t.checked_parts(table, index);
            t.stack.push(parts);
        }
        Operator::TableSet { table } => t.table_set(table),
        Operator::TableSize { table } => {
            let size = t.table_size(table);
            t.push(if t.program().tables[table as usize].is_64 { t.widen(size) } else { size });
        }
        Operator::TableGrow { table } => t.table_grow(table),
        Operator::TableFill { table } => t.table_fill(table),
        Operator::TableCopy { dst_table, src_table } => t.table_copy(dst_table, src_table),
        Operator::TableInit { elem_index, table } => t.table_init(elem_index, table),
        Operator::ElemDrop { elem_index } => {
            let plan = t.program().element_sizes[elem_index as usize];
            let used = t.program().facts.element_used[elem_index as usize];
            t.clear_size(plan, used, names::element_size_symbol(elem_index));
        }
        _ => return false,
    }
    true
}

impl<'ctx> Translator<'_, 'ctx, '_> {
    fn table_size(&mut self, table: u32) -> IntValue<'ctx> {
        let plan = self.program().tables[table as usize].size;
        self.size(plan, names::table_size_symbol(table))
    }

    fn table_pointer(&mut self, table: u32) -> PointerValue<'ctx> {
        let plan = self.program().tables[table as usize];
        let words = plan.capacity * (plan.entry_bytes / REFERENCE_BYTES);
        let ty = self.ir().i64.array_type(words).into();
        self.env.variable(names::table_symbol(table), ty, ENTRY_ALIGN)
    }

    /// The bytes of a number of entries.
    fn entry_bytes(&self, table: u32, count: IntValue<'ctx>) -> IntValue<'ctx> {
        let bytes = self.program().tables[table as usize].entry_bytes;
        if bytes.is_power_of_two() {
            self.ir().shl(count, self.ir().c32(bytes.trailing_zeros()))
        } else {
            self.ir().mul(count, self.ir().c32(bytes))
        }
    }

    /// The address of an entry that is known to be within the table. An upper half of the index is ignored.
    fn entry_pointer(&mut self, table: u32, index: IntValue<'ctx>) -> PointerValue<'ctx> {
        let (base, index) = (self.table_pointer(table), self.narrow_address(index));
        let offset = self.entry_bytes(table, index);
        self.ir().offset_bytes(base, offset)
    }

    /// The addresses and types of the parts of an entry, with the alignment of each.
    fn entry_parts(
        &self,
        table: u32,
        entry: PointerValue<'ctx>,
    ) -> Vec<(PointerValue<'ctx>, BasicTypeEnum<'ctx>, u32)> {
        let parts = self.env.parts(self.program().info.tables[table as usize].ty);
        let (offsets, ..) = layout(parts);
        let part = |(offset, &ty): (u32, _)| {
            let ty = self.env.part_type(ty);
            let at = if offset == 0 { entry } else { self.ir().offset_bytes(entry, self.ir().c32(offset)) };
            (at, ty, if offset == 0 { ENTRY_ALIGN } else { super::locals::align_of(ty) })
        };
        offsets.into_iter().zip(parts).map(part).collect()
    }

    fn store_entry(&self, table: u32, entry: PointerValue<'ctx>, value: &[BasicValueEnum<'ctx>]) {
        for ((pointer, _, align), &part) in self.entry_parts(table, entry).into_iter().zip(value) {
            self.ir().store(Space::Variable, pointer, part, align);
        }
    }

    fn check_index(&mut self, table: u32, index: IntValue<'ctx>) {
        let mut size = self.table_size(table);
        if index.get_type() != size.get_type() {
            size = self.widen(size);
        }
        let outside = self.ir().icmp(IntPredicate::UGE, index, size);
        self.trap_if(outside, TrapCode::TableOutOfBounds);
    }

    /// The reference of one part at `index`; traps outside of the table.
    pub(super) fn checked_entry(&mut self, table: u32, index: IntValue<'ctx>) -> IntValue<'ctx> {
        self.checked_parts(table, index)[0].into_int_value()
    }

    /// The parts of the reference at `index`; traps outside of the table.
    fn checked_parts(&mut self, table: u32, index: IntValue<'ctx>) -> Vec<BasicValueEnum<'ctx>> {
        self.check_index(table, index);
        let entry = self.entry_pointer(table, index);
        let parts = self.entry_parts(table, entry);
        parts.into_iter().map(|(at, ty, align)| self.ir().load(Space::Variable, ty, at, align)).collect()
    }

    fn table_set(&mut self, table: u32) {
        let (value, index) = (self.stack.pop(), self.pop_int());
        self.check_index(table, index);
        let entry = self.entry_pointer(table, index);
        self.store_entry(table, entry, &value);
    }

    /// Grows within the reserved room; the result is the old size or -1.
    fn table_grow(&mut self, table: u32) {
        let (count, value) = (self.pop_int(), self.stack.pop());
        let count = self.clamp(count);
        let old = self.table_size(table);
        let capacity = self.ir().c32(self.program().tables[table as usize].capacity);
        let room = self.ir().sub(capacity, old);
        let fits = self.ir().icmp(IntPredicate::ULE, count, room);
        let (before, grow, done) = (self.ir().block(), self.ir().new_block(), self.ir().new_block());
        self.ir().branch(fits, grow, done);
        self.ir().at_end(grow);
        if self.program().tables[table as usize].size == SizePlan::Variable {
            let i32 = self.ir().i32.into();
            let size = self.env.variable(names::table_size_symbol(table), i32, 4);
            let new = self.ir().add(old, count);
            self.ir().store(Space::Variable, size, new.into(), 4);
        }
        self.fill_entries(table, old, &value, count);
        let grown = self.ir().block();
        self.ir().jump(done);
        self.ir().at_end(done);
        let result = self.ir().phi(self.ir().i32.into());
        result.add_incoming(&[(&old, grown), (&self.ir().i32.const_all_ones(), before)]);
        let is_64 = self.program().tables[table as usize].is_64;
        let result = self.old_size(result.as_basic_value().into_int_value(), is_64);
        self.push(result);
    }

    fn table_fill(&mut self, table: u32) {
        let (count, value, start) = (self.pop_int(), self.stack.pop(), self.pop_int());
        let size = self.table_size(table);
        self.check_range(start, count, size, TrapCode::TableOutOfBounds);
        let (start, count) = (self.narrow_address(start), self.narrow_address(count));
        self.fill_entries(table, start, &value, count);
    }

    /// A loop that stores `value` into `count` entries from `start`, which are within the table.
    fn fill_entries(
        &mut self,
        table: u32,
        start: IntValue<'ctx>,
        value: &[BasicValueEnum<'ctx>],
        count: IntValue<'ctx>,
    ) {
        let before = self.ir().block();
        let (header, body, done) = (self.ir().new_block(), self.ir().new_block(), self.ir().new_block());
        self.ir().jump(header);
        self.ir().at_end(header);
        let i = self.ir().phi(self.ir().i32.into());
        let index = i.as_basic_value().into_int_value();
        let more = self.ir().icmp(IntPredicate::ULT, index, count);
        self.ir().branch(more, body, done);
        self.ir().at_end(body);
        let entry = self.ir().add(start, index);
        let pointer = self.entry_pointer(table, entry);
        self.store_entry(table, pointer, value);
        let next = self.ir().add(index, self.ir().c32(1));
        self.ir().jump(header);
        i.add_incoming(&[(&self.ir().c32(0), before), (&next, body)]);
        self.ir().at_end(done);
    }

    fn table_copy(&mut self, to_table: u32, from_table: u32) {
        let (count, from, to) = (self.pop_int(), self.pop_int(), self.pop_int());
        let size = self.table_size(to_table);
        self.check_range(to, count, size, TrapCode::TableOutOfBounds);
        let size = self.table_size(from_table);
        self.check_range(from, count, size, TrapCode::TableOutOfBounds);
        let (to, from) = (self.entry_pointer(to_table, to), self.entry_pointer(from_table, from));
        let bytes = self.entry_bytes(to_table, self.narrow_address(count));
        let built = self.ir().builder.build_memmove(to, ENTRY_ALIGN, from, ENTRY_ALIGN, bytes);
        built.expect("alignments are powers of two");
    }

    fn table_init(&mut self, element: u32, table: u32) {
        let (count, from, to) = (self.pop_int(), self.pop_int(), self.pop_int());
        let size = self.table_size(table);
        self.check_range(to, count, size, TrapCode::TableOutOfBounds);
        let plan = self.program().element_sizes[element as usize];
        let size = self.size(plan, names::element_size_symbol(element));
        self.check_range(from, count, size, TrapCode::TableOutOfBounds);
        if plan == SizePlan::Fixed(0) {
            return;
        }
        if self.program().info.tables[table as usize].ty == ValueType::ExnRef {
            // Constant expressions make no exceptions, so all of the segment's references are null.
            let null: Vec<_> = self.env.exception_types().iter().map(|ty| ty.const_zero()).collect();
            let to = self.narrow_address(to);
            return self.fill_entries(table, to, &null, count);
        }
        let entries = self.program().info.elements[element as usize].items.len() as u32;
        let ty = self.ir().i64.array_type(entries).into();
        let source = self.env.constant(names::element_symbol(element), ty, 8);
        let source_offset = self.entry_bytes(table, from);
        let source = self.ir().offset_bytes(source, source_offset);
        let to = self.entry_pointer(table, to);
        let bytes = self.entry_bytes(table, count);
        let built = self.ir().builder.build_memcpy(to, ENTRY_ALIGN, source, ENTRY_ALIGN, bytes);
        built.expect("alignments are powers of two");
    }
}
