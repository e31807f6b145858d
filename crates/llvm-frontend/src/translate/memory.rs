//! Linear memory: loads, stores, size and bulk operations.
//!
//! An access is a real LLVM load or store at `base + address + offset`, so that LLVM's memory optimisations apply.
//! The base is a value of the function until the passes have run ([`crate::passes`] explains why), and
//! `@__linear_memory` after that. Alignment hints of wasm are not binding, so accesses have alignment 1,
//! unless an option says that they are true.
//!
//! With [`Bounds::Guard`] the machine's memory map catches accesses outside of memory. With [`Bounds::Strict`] a
//! comparison precedes the access. With `s = offset + width` and memory size `m`, the access is in bounds if and only
//! if `address + s <= m`. When `s` is at most the initial size, and hence at most `m`, that is `address <= m - s`
//! without overflow; otherwise it is computed in 64 bits. Ranges of bulk operations are checked in the same way. With
//! [`Bounds::Guard`] the machine traps at the first byte outside, and pointers to memory that the host mapped
//! elsewhere (arguments, for example) are as good as in a plain access.
//!
//! On the PVM most accesses are *marked* instead: the comparison and its branch would keep LLVM from unrolling loops and
//! from moving loads. A call of an intrinsic with the address ([`ssa::CheckedAccess`]) says that the program traps here
//! unless the access is in bounds. LLVM takes it for an annotation that must stay where it is, as seen from calls, while
//! loads and stores move freely. What makes that sound is that memory is lost with a trap.
//!
//! On the PVM, the arguments of an entry are outside of linear memory, where `pvm = wasm + base` holds as well. So
//! a load traps unless it is in bounds or, by a second comparison, in the arguments. This second comparison is opaque to
//! LLVM, and the backend removes it where an address can't be one of the arguments. Stores have none.
//!
//! Where wasm addresses are machine addresses, a constant address outside of static data is that of a device:
//! such accesses are volatile, so that each is made exactly once, with its width, and in order.
//!
//! Memories other than the first and addresses of 64 bits are always compared, whatever the options say
//! ([`wasm_program::memories`]). Once it is known to be in bounds, an address of 64 bits is truncated, and so is a
//! length.
//!
//! With [`Bounds::Mask`] the sum of address and offset is taken modulo the size of memory. Then the access begins
//! within memory; it may end up to seven bytes after it. Ranges of bulk operations are compared.

use inkwell::types::{BasicTypeEnum, IntType};
use inkwell::values::{BasicValue, BasicValueEnum, FunctionValue, IntValue, PointerValue};
use inkwell::{AddressSpace, IntPredicate};
use ssa::{CheckedAccess, TrapCode};
use wasm_program::module_info::{MAIN_MEMORY, memory_of};
use wasm_program::names;
use wasm_program::options::Bounds;
use wasm_program::program::SizePlan;
use wasmparser::{MemArg, Operator};

use super::Translator;
use super::ir::Space;

/// The extension of a loaded integer to its full width.
#[derive(Clone, Copy)]
enum Extend {
    Zero,
    Sign,
}

/// The kind of an access.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Load,
    Store,
}

/// An access at this offset or more can't be to the arguments: they are at a higher address, so the sum of address and
/// offset would have wrapped, which is out of bounds.
const MAX_ARGUMENT_OFFSET: u64 = 0xf000_0000;

/// Bytes of the longest access of a scalar. The arguments have a limit for each length up to this.
const LONGEST_SCALAR: u64 = 8;

/// The destination of an access.
#[derive(Clone, Copy)]
pub(super) struct Destination<'ctx> {
    pub(super) pointer: PointerValue<'ctx>,
    /// Whether every access is made exactly once: at a fixed address of the machine outside of static data.
    pub(super) is_device: bool,
    /// Alignment in bytes.
    pub(super) align: u32,
}

/// Translates an operator of this family; returns false if it belongs to another.
pub fn translate(t: &mut Translator<'_, '_, '_>, op: &Operator<'_>) -> bool {
    use Operator as Op;
    let (i8, i16, i32, i64) = (t.ir().i8, t.ir().i16, t.ir().i32, t.ir().i64);
    match *op {
        Op::I32Load { memarg } => t.load(memarg, i32.into()),
        Op::I64Load { memarg } => t.load(memarg, i64.into()),
        Op::I32Load8S { memarg } => t.load_narrow(memarg, i8, i32, Extend::Sign),
        Op::I32Load8U { memarg } => t.load_narrow(memarg, i8, i32, Extend::Zero),
        Op::I32Load16S { memarg } => t.load_narrow(memarg, i16, i32, Extend::Sign),
        Op::I32Load16U { memarg } => t.load_narrow(memarg, i16, i32, Extend::Zero),
        Op::I64Load8S { memarg } => t.load_narrow(memarg, i8, i64, Extend::Sign),
        Op::I64Load8U { memarg } => t.load_narrow(memarg, i8, i64, Extend::Zero),
        Op::I64Load16S { memarg } => t.load_narrow(memarg, i16, i64, Extend::Sign),
        Op::I64Load16U { memarg } => t.load_narrow(memarg, i16, i64, Extend::Zero),
        Op::I64Load32S { memarg } => t.load_narrow(memarg, i32, i64, Extend::Sign),
        Op::I64Load32U { memarg } => t.load_narrow(memarg, i32, i64, Extend::Zero),
        Op::I32Store { memarg } | Op::I64Store { memarg } => t.store(memarg),
        Op::I32Store8 { memarg } | Op::I64Store8 { memarg } => t.store_narrow(memarg, i8),
        Op::I32Store16 { memarg } | Op::I64Store16 { memarg } => t.store_narrow(memarg, i16),
        Op::I64Store32 { memarg } => t.store_narrow(memarg, i32),
        Op::MemorySize { mem } => t.memory_size(mem),
        Op::MemoryGrow { mem } => t.memory_grow(mem),
        Op::MemoryCopy { dst_mem, src_mem } => t.memory_copy(dst_mem, src_mem),
        Op::MemoryFill { mem } => t.memory_fill(mem),
        Op::MemoryInit { data_index, mem } => t.memory_init(data_index, mem),
        Op::DataDrop { data_index } => t.data_drop(data_index),
        _ => return false,
    }
    true
}

impl<'ctx> Translator<'_, 'ctx, '_> {
    /// Pops an address and pushes the loaded value.
    pub(super) fn load(&mut self, memarg: MemArg, ty: BasicTypeEnum<'ctx>) {
        let to = self.access(memarg, super::locals::align_of(ty), Access::Load);
        let value = self.load_from(to, ty);
        self.push(value);
    }

    fn load_narrow(&mut self, memarg: MemArg, narrow: IntType<'ctx>, ty: IntType<'ctx>, extend: Extend) {
        let to = self.access(memarg, narrow.get_bit_width() / 8, Access::Load);
        let value = self.load_from(to, narrow.into()).into_int_value();
        let value = match extend {
            Extend::Zero => self.ir().zext(value, ty),
            Extend::Sign => self.ir().sext(value, ty),
        };
        self.push(value);
    }

    /// Pops a value and an address and stores.
    pub(super) fn store(&mut self, memarg: MemArg) {
        let value = self.pop();
        let to = self.access(memarg, super::locals::align_of(value.get_type()), Access::Store);
        self.store_to(to, value);
    }

    fn store_narrow(&mut self, memarg: MemArg, narrow: IntType<'ctx>) {
        let value = self.pop_int();
        let value = self.ir().trunc(value, narrow);
        let to = self.access(memarg, narrow.get_bit_width() / 8, Access::Store);
        self.store_to(to, value.into());
    }

    /// The destinations of an access of `bytes` bytes that is made in words of `size` bytes. It is checked as a whole; an
    /// address that is masked is masked for each word.
    pub(super) fn destinations(
        &mut self,
        memarg: MemArg,
        size: u32,
        bytes: u32,
        access: Access,
    ) -> Vec<Destination<'ctx>> {
        let words = (0..bytes).step_by(size as usize);
        if self.program().memories[memory_of(memarg) as usize].bounds == Bounds::Mask {
            let address = self.pop_int();
            let address = self.narrow_address(address);
            let masked = words.map(|at| {
                let offset = (memarg.offset as u32).wrapping_add(at);
                let pointer = self.masked_pointer(memory_of(memarg), address, offset);
                Destination { pointer, is_device: false, align: self.alignment(memarg).min(size) }
            });
            return masked.collect();
        }
        let first = self.access(memarg, bytes, access);
        let first = Destination { align: first.align.min(size), ..first };
        let after = |at| match at {
            0 => first,
            _ => Destination { pointer: self.ir().offset_bytes(first.pointer, self.ir().c32(at)), ..first },
        };
        words.map(after).collect()
    }

    pub(super) fn load_from(
        &mut self,
        to: Destination<'ctx>,
        ty: BasicTypeEnum<'ctx>,
    ) -> BasicValueEnum<'ctx> {
        let value = self.ir().load(Space::Memory, ty, to.pointer, to.align);
        if to.is_device {
            let inst = value.as_instruction_value().expect("a load is an instruction");
            inst.set_volatile(true).expect("loads can be volatile");
        }
        value
    }

    pub(super) fn store_to(&mut self, to: Destination<'ctx>, value: BasicValueEnum<'ctx>) {
        let inst = self.ir().store(Space::Memory, to.pointer, value, to.align);
        if to.is_device {
            inst.set_volatile(true).expect("stores can be volatile");
        }
    }

    /// Pops an address, checks it if its memory asks for it, and returns the destination of `bytes` bytes.
    pub(super) fn access(&mut self, memarg: MemArg, bytes: u32, access: Access) -> Destination<'ctx> {
        let address = self.pop_int();
        self.destination(address, memarg, bytes, access)
    }

    /// The destination of `bytes` bytes at an address, which is checked if its memory asks for it.
    pub(super) fn destination(
        &mut self,
        address: IntValue<'ctx>,
        memarg: MemArg,
        bytes: u32,
        access: Access,
    ) -> Destination<'ctx> {
        let bounds = self.program().memories[memory_of(memarg) as usize].bounds;
        if bounds == Bounds::Strict {
            self.check_access(address, memarg, bytes, access);
        }
        let mut address = self.narrow_address(address);
        if bounds == Bounds::Mask {
            let pointer = self.masked_pointer(memory_of(memarg), address, memarg.offset as u32);
            return Destination { pointer, is_device: false, align: self.alignment(memarg) };
        }
        let is_native = self.program().options.static_data;
        let mut offset = memarg.offset as u32;
        if let Some(constant) = address.get_zero_extended_constant() {
            address = self.word((constant as u32).wrapping_add(offset));
            offset = 0;
        }
        let base = self.memory_pointer(memory_of(memarg), address);
        let pointer = match offset {
            0 => base,
            offset => {
                let offset = self.word(offset);
                self.ir().offset_bytes(base, offset)
            }
        };
        let is_device = is_native && address.is_const();
        Destination { pointer, is_device, align: self.alignment(memarg) }
    }

    /// The alignment in bytes that an access is known to have.
    fn alignment(&self, memarg: MemArg) -> u32 {
        if self.program().options.trusts_alignment { 1 << memarg.align } else { 1 }
    }

    /// The pointer to `address + offset` modulo the size of memory, a power of two.
    fn masked_pointer(&mut self, memory: u32, address: IntValue<'ctx>, offset: u32) -> PointerValue<'ctx> {
        let bytes = self.program().memories[memory as usize].min_bytes;
        let sum = self.ir().add(address, self.ir().c32(offset));
        let masked = self.ir().and(sum, self.ir().c32(bytes.wrapping_sub(1)));
        self.memory_pointer(memory, masked)
    }

    /// The pointer to wasm address `address`, whose upper half is ignored if it has one.
    pub(super) fn memory_pointer(&mut self, memory: u32, address: IntValue<'ctx>) -> PointerValue<'ctx> {
        let (base, address) = (self.memory_base(memory), self.narrow_address(address));
        self.ir().offset_bytes(base, address)
    }

    /// An address, a length or an index as an `i32`, without its upper half if it is an `i64`.
    pub(super) fn narrow_address(&self, value: IntValue<'ctx>) -> IntValue<'ctx> {
        if value.get_type().get_bit_width() == 32 { value } else { self.ir().trunc(value, self.ir().i32) }
    }

    /// An `i32` as an `i64`, zero-extended. An `i64` stays.
    pub(super) fn widen(&self, value: IntValue<'ctx>) -> IntValue<'ctx> {
        if value.get_type().get_bit_width() == 64 { value } else { self.ir().zext(value, self.ir().i64) }
    }

    /// Traps unless `bytes` bytes at `address + offset` are within memory, or are loaded from the arguments.
    fn check_access(&mut self, address: IntValue<'ctx>, memarg: MemArg, bytes: u32, access: Access) {
        let (offset, memory) = (memarg.offset, memory_of(memarg));
        let span = offset.saturating_add(bytes.into());
        if self.mark_access(memory, address, offset, bytes, access) {
            return;
        }
        let outside = self.is_outside(memory, address, span);
        if access == Access::Store || !self.reads_arguments(memory) || offset >= MAX_ARGUMENT_OFFSET {
            return self.trap_if(outside, TrapCode::MemoryOutOfBounds);
        }
        if u64::from(bytes) > LONGEST_SCALAR {
            let start = self.ir().add(address, address.get_type().const_int(offset, false));
            let check = self.env.range_in_arguments_function();
            return self.trap_unless_argument(outside, check, &[start, self.ir().c32(bytes)]);
        }
        let operands = [address, self.word(offset as u32), self.word(bytes.trailing_zeros())];
        let check = self.env.in_arguments_function();
        self.trap_unless_argument(outside, check, &operands);
    }

    /// Leaves the check of a range to the target, if its length is constant; returns whether.
    fn mark_range(
        &mut self,
        memory: u32,
        start: IntValue<'ctx>,
        length: IntValue<'ctx>,
        access: Access,
    ) -> bool {
        let last = length.get_zero_extended_constant().and_then(|length| length.checked_sub(1));
        let Some(last) = last else { return false };
        // Arguments are in one piece, so a range is within them if both ends are.
        let is_both = last > 0 && access == Access::Load;
        self.mark_access(memory, start, last, 1, access)
            && (!is_both || self.mark_access(memory, start, 0, 1, access))
    }

    /// Leaves the check of an access to the target, if its memory and its offset allow that; returns whether.
    fn mark_access(
        &mut self,
        memory: u32,
        address: IntValue<'ctx>,
        offset: u64,
        bytes: u32,
        access: Access,
    ) -> bool {
        let plan = self.program().memories[memory as usize];
        if !plan.is_marked || offset >= CheckedAccess::OFFSETS.into() {
            return false;
        }
        let end = address.get_zero_extended_constant().map(|address| address + offset + u64::from(bytes));
        if end.is_some_and(|end| end <= u64::from(plan.min_bytes)) {
            return true;
        }
        let reads_arguments = access == Access::Load && self.reads_arguments(memory);
        let checked = CheckedAccess { offset: offset as u32, width: bytes, reads_arguments };
        let pointer = self.memory_pointer(memory, address);
        let check = self.env.check_function();
        let none = self.ir().context.ptr_type(AddressSpace::default()).const_null();
        let bits = self.ir().c32(checked.to_bits());
        self.ir().call(check, &[pointer.into(), none.into(), none.into(), bits.into(), none.into()]);
        true
    }

    /// Whether loads from a memory may be from the arguments of an entry.
    fn reads_arguments(&self, memory: u32) -> bool {
        memory == MAIN_MEMORY && self.program().module.host_arguments.is_some()
    }

    /// Traps if `outside` holds and, according to `check`, the operands are not in the arguments.
    fn trap_unless_argument(
        &mut self,
        outside: IntValue<'ctx>,
        check: FunctionValue<'ctx>,
        operands: &[IntValue<'ctx>],
    ) {
        if outside.get_zero_extended_constant() == Some(0) {
            return;
        }
        let narrow: Vec<BasicValueEnum<'ctx>> =
            operands.iter().map(|&value| self.narrow_address(value).into()).collect();
        let mut inside = self.ir().call(check, &narrow).expect("it returns whether").into_int_value();
        for &wide in operands.iter().filter(|value| value.get_type() == self.ir().i64) {
            let fits = self.ir().icmp(IntPredicate::ULE, wide, self.ir().c64(u32::MAX.into()));
            inside = self.ir().and(inside, fits);
        }
        let elsewhere = self.ir().is_zero(inside);
        let fails = self.ir().and(outside, elsewhere);
        self.trap_if(fails, TrapCode::MemoryOutOfBounds);
    }

    /// Whether `address + span` is beyond the end of memory.
    fn is_outside(&mut self, memory: u32, address: IntValue<'ctx>, span: u64) -> IntValue<'ctx> {
        let plan = self.program().memories[memory as usize];
        let bytes = self.memory_bytes(memory);
        if plan.is_64 {
            return self.is_outside_wide(address, span, bytes, plan.min_bytes);
        }
        if span <= u64::from(plan.min_bytes) {
            let last = self.ir().sub(bytes, self.ir().c32(span as u32));
            self.ir().icmp(IntPredicate::UGT, address, last)
        } else {
            let end = self.ir().add(self.ir().zext(address, self.ir().i64), self.ir().c64(span));
            self.ir().icmp(IntPredicate::UGT, end, self.ir().zext(bytes, self.ir().i64))
        }
    }

    /// Whether `address + span` of 64 bits, without wrapping, is beyond `bytes`, which is at least `min_bytes`.
    fn is_outside_wide(
        &mut self,
        address: IntValue<'ctx>,
        span: u64,
        bytes: IntValue<'ctx>,
        min_bytes: u32,
    ) -> IntValue<'ctx> {
        if span > u64::from(u32::MAX) {
            return self.ir().i1.const_all_ones();
        }
        let bytes = self.widen(bytes);
        let last = self.ir().sub(bytes, self.ir().c64(span));
        let outside = self.ir().icmp(IntPredicate::UGT, address, last);
        if span <= u64::from(min_bytes) {
            return outside;
        }
        let none = self.ir().icmp(IntPredicate::ULT, bytes, self.ir().c64(span));
        self.ir().or(none, outside)
    }

    /// Current size of memory in bytes, an `i32`.
    pub(super) fn memory_bytes(&mut self, memory: u32) -> IntValue<'ctx> {
        let plan = self.program().memories[memory as usize];
        if !plan.grows {
            return self.ir().c32(plan.min_bytes);
        }
        let i32 = self.ir().i32.into();
        let pointer = self.env.variable(names::memory_bytes_symbol(memory), i32, 4);
        self.ir().load(Space::Variable, i32, pointer, 4).into_int_value()
    }

    fn memory_size(&mut self, memory: u32) {
        let plan = self.program().memories[memory as usize];
        let bytes = self.memory_bytes(memory);
        let pages = self.ir().lshr(bytes, self.ir().c32(plan.page_log2));
        self.push(if plan.is_64 { self.widen(pages) } else { pages });
    }

    /// `memory.grow` of a memory that can't grow: its size for 0 pages, -1 otherwise.
    fn memory_grow(&mut self, memory: u32) {
        let plan = self.program().memories[memory as usize];
        let pages = self.pop_int();
        let ty = pages.get_type();
        if !plan.grows {
            let none = self.ir().is_zero(pages);
            let size = ty.const_int((plan.min_bytes >> plan.page_log2).into(), false);
            let result = self.ir().select(none, size.into(), ty.const_all_ones().into());
            return self.push(result);
        }
        let i32 = self.ir().i32;
        let pages = self.clamp(pages);
        let function = self.env.helper(&names::memory_grow_symbol(memory), i32.fn_type(&[i32.into()], false));
        let result = self.ir().call(function, &[pages.into()]).expect("it returns the old size");
        let result = self.old_size(result.into_int_value(), plan.is_64);
        self.push(result);
    }

    /// A number as an `i32`: the largest one if it has more than 32 bits. No memory or table has so many pages or
    /// entries.
    pub(super) fn clamp(&mut self, count: IntValue<'ctx>) -> IntValue<'ctx> {
        if count.get_type() == self.ir().i32 {
            return count;
        }
        let most = self.ir().c64(u32::MAX.into());
        let fits = self.ir().icmp(IntPredicate::ULE, count, most);
        let (low, most) = (self.narrow_address(count), self.ir().i32.const_all_ones());
        self.ir().select(fits, low.into(), most.into()).into_int_value()
    }

    /// The result of growing, an `i32`, in the type of addresses: -1 stays -1.
    pub(super) fn old_size(&mut self, old: IntValue<'ctx>, is_64: bool) -> BasicValueEnum<'ctx> {
        if !is_64 {
            return old.into();
        }
        let (wide, failure) = (self.widen(old), self.ir().i64.const_all_ones());
        let failed = self.ir().icmp(IntPredicate::EQ, old, self.ir().i32.const_all_ones());
        self.ir().select(failed, failure.into(), wide.into())
    }

    /// Traps unless `start + length <= size`, all unsigned. `size` is an `i32`.
    pub(super) fn check_range(
        &mut self,
        start: IntValue<'ctx>,
        length: IntValue<'ctx>,
        size: IntValue<'ctx>,
        code: TrapCode,
    ) {
        let outside = self.is_range_outside(start, length, size);
        self.trap_if(outside, code);
    }

    fn is_range_outside(
        &mut self,
        start: IntValue<'ctx>,
        length: IntValue<'ctx>,
        size: IntValue<'ctx>,
    ) -> IntValue<'ctx> {
        let may_wrap = [start, length].iter().any(|value| value.get_type() == self.ir().i64);
        let [start, length, size] = [start, length, size].map(|value| self.widen(value));
        if may_wrap {
            let begins_outside = self.ir().icmp(IntPredicate::UGT, start, size);
            let rest = self.ir().sub(size, start);
            let ends_outside = self.ir().icmp(IntPredicate::UGT, length, rest);
            return self.ir().or(begins_outside, ends_outside);
        }
        let end = self.ir().add(start, length);
        self.ir().icmp(IntPredicate::UGT, end, size)
    }

    /// Traps unless a range is within a memory.
    pub(super) fn check_memory_range(&mut self, memory: u32, start: IntValue<'ctx>, length: IntValue<'ctx>) {
        if self.program().memories[memory as usize].bounds == Bounds::Guard {
            return;
        }
        if self.mark_range(memory, start, length, Access::Store) {
            return;
        }
        let size = self.memory_bytes(memory);
        self.check_range(start, length, size, TrapCode::MemoryOutOfBounds);
    }

    /// Traps unless a range that is only read is within a memory or within the arguments.
    pub(super) fn check_source_range(&mut self, memory: u32, start: IntValue<'ctx>, length: IntValue<'ctx>) {
        let bounds = self.program().memories[memory as usize].bounds;
        if bounds != Bounds::Strict || !self.reads_arguments(memory) {
            return self.check_memory_range(memory, start, length);
        }
        if self.mark_range(memory, start, length, Access::Load) {
            return;
        }
        let size = self.memory_bytes(memory);
        let outside = self.is_range_outside(start, length, size);
        let check = self.env.range_in_arguments_function();
        self.trap_unless_argument(outside, check, &[start, length]);
    }

    fn memory_copy(&mut self, to_memory: u32, from_memory: u32) {
        let (length, from, to) = (self.pop_int(), self.pop_int(), self.pop_int());
        self.check_memory_range(to_memory, to, length);
        self.check_source_range(from_memory, from, length);
        let (to, from) = (self.memory_pointer(to_memory, to), self.memory_pointer(from_memory, from));
        let length = self.narrow_address(length);
        self.ir().builder.build_memmove(to, 1, from, 1, length).expect("alignments are powers of two");
    }

    fn memory_fill(&mut self, memory: u32) {
        let (length, value, to) = (self.pop_int(), self.pop_int(), self.pop_int());
        self.check_memory_range(memory, to, length);
        self.set_bytes(memory, to, value, length);
    }

    /// Fills a range of memory with the low byte of `value`, without a check.
    pub(super) fn set_bytes(
        &mut self,
        memory: u32,
        to: IntValue<'ctx>,
        value: IntValue<'ctx>,
        length: IntValue<'ctx>,
    ) {
        let byte = self.ir().trunc(value, self.ir().i8);
        let (to, length) = (self.memory_pointer(memory, to), self.narrow_address(length));
        self.ir().builder.build_memset(to, 1, byte, length).expect("the alignment is a power of two");
    }

    fn memory_init(&mut self, segment: u32, memory: u32) {
        let (length, from, to) = (self.pop_int(), self.pop_int(), self.pop_int());
        self.check_memory_range(memory, to, length);
        let plan = self.program().data_sizes[segment as usize];
        let size = self.size(plan, names::segment_size_symbol(segment));
        self.check_range(from, length, size, TrapCode::MemoryOutOfBounds);
        if plan == SizePlan::Fixed(0) {
            return;
        }
        let bytes = self.program().info.data[segment as usize].bytes.len() as u32;
        let ty = self.ir().i8.array_type(bytes).into();
        let source = self.env.constant(names::segment_symbol(segment), ty, 1);
        let source = self.ir().offset_bytes(source, from);
        let to = self.memory_pointer(memory, to);
        self.ir().builder.build_memcpy(to, 1, source, 1, length).expect("alignments are powers of two");
    }

    fn data_drop(&mut self, segment: u32) {
        let plan = self.program().data_sizes[segment as usize];
        self.clear_size(
            plan,
            self.program().facts.data_used[segment as usize],
            names::segment_size_symbol(segment),
        );
    }

    /// A planned size as an `i32`.
    pub(super) fn size(&mut self, plan: SizePlan, symbol: String) -> IntValue<'ctx> {
        match plan {
            SizePlan::Fixed(size) => self.ir().c32(size),
            SizePlan::Variable => {
                let i32 = self.ir().i32.into();
                let pointer = self.env.variable(symbol, i32, 4);
                self.ir().load(Space::Variable, i32, pointer, 4).into_int_value()
            }
        }
    }

    /// Drops a segment: its size becomes 0. A segment that is never copied has no size variable.
    pub(super) fn clear_size(&mut self, plan: SizePlan, used: bool, symbol: String) {
        if plan == SizePlan::Variable && used {
            let zero: BasicValueEnum<'ctx> = self.ir().c32(0).into();
            let pointer = self.env.variable(symbol, zero.get_type(), 4);
            self.ir().store(Space::Variable, pointer, zero, 4);
        }
    }
}
