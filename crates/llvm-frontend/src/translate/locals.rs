//! Locals, globals, constants and the operators that only move values.
//!
//! A local is an `alloca` that is made on its first use, so that a function may declare any number of locals at
//! no cost. The entry block holds the `alloca`s and their initial values; it stays open until the
//! body is finished.
//!
//! With a fused shadow stack the stack pointer is a local of every function that uses it. It starts at
//! the top of the function's stack frame, and the function's own arithmetic finds its objects below that.

use std::ops::Range;

use inkwell::basic_block::BasicBlock;
use inkwell::builder::Builder;
use inkwell::types::BasicTypeEnum;
use inkwell::values::{BasicValueEnum, FunctionValue, IntValue, PointerValue};
use ssa::Type;
use wasm_program::error::Error;
use wasm_program::module_info::{ValueType, value_type};
use wasm_program::names;
use wasm_program::options::ConstValue;
use wasm_program::program::GlobalPlan;
use wasm_program::types::layout;
use wasmparser::{FunctionBody, Operator};

use super::Translator;
use super::env::Env;
use super::ir::Space;
use super::simd::{Plan, settled};

/// Alignment of a stack frame: the alignment of the stack pointer in the C ABI.
const FRAME_ALIGN: u32 = 16;

/// The locals of the function under translation.
pub struct Locals<'ctx> {
    /// By local: its first part, and one more entry for the end.
    first_parts: Vec<usize>,
    /// By part.
    types: Vec<Type>,
    /// By part.
    slots: Vec<Option<PointerValue<'ctx>>>,
    stack_pointer: Option<PointerValue<'ctx>>,
    /// The address of each memory, once it is used.
    memory_bases: Vec<Option<PointerValue<'ctx>>>,
    /// By part of a parameter.
    params: Vec<BasicValueEnum<'ctx>>,
    entry: BasicBlock<'ctx>,
    builder: Builder<'ctx>,
}

impl<'ctx> Locals<'ctx> {
    /// Creates the entry block and the first block of the body, and moves there.
    ///
    /// # Errors
    /// None for a validated body.
    pub fn new(
        env: &Env<'ctx, '_>,
        index: u32,
        function: FunctionValue<'ctx>,
        body: &FunctionBody<'_>,
        plan: &Plan,
    ) -> Result<Self, Error> {
        let mut first_parts = vec![0];
        let mut types = Vec::new();
        let mut add = |ty| {
            let local = first_parts.len() as u32 - 1;
            match (ty, plan.local(local)) {
                (ValueType::V128, 64) => types.extend([Type::I64; 2]),
                (ValueType::V128, _) => types.extend([Type::I32; 4]),
                _ => types.extend(env.parts(ty)),
            }
            first_parts.push(types.len());
        };
        env.program.info.type_of(index).params.iter().for_each(|&ty| add(ty));
        for group in body.get_locals_reader()? {
            let (count, ty) = group?;
            (0..count).for_each(|_| add(value_type(ty)));
        }
        let entry = env.ir.context.append_basic_block(function, "entry");
        let start = env.ir.context.append_basic_block(function, "");
        let builder = env.ir.context.create_builder();
        builder.position_at_end(entry);
        env.ir.at_end(start);
        let slots = vec![None; types.len()];
        Ok(Self {
            first_parts,
            types,
            slots,
            stack_pointer: None,
            memory_bases: vec![None; env.program.memories.len()],
            params: function.get_params(),
            entry,
            builder,
        })
    }

    /// Leaves the entry block for the first block of the body.
    pub fn finish(&self) {
        let start = self.entry.get_next_basic_block().expect("the body has a first block");
        self.builder.build_unconditional_branch(start).expect("the entry block is open");
    }

    /// The parts of a local.
    fn parts(&self, local: u32) -> Range<usize> {
        self.first_parts[local as usize]..self.first_parts[local as usize + 1]
    }

    fn slot(&mut self, part: usize, ty: BasicTypeEnum<'ctx>) -> PointerValue<'ctx> {
        if let Some(slot) = self.slots[part] {
            return slot;
        }
        let value = self.params.get(part).copied().unwrap_or_else(|| ty.const_zero());
        let slot = self.new_slot(value);
        self.slots[part] = Some(slot);
        slot
    }

    fn new_slot(&self, value: BasicValueEnum<'ctx>) -> PointerValue<'ctx> {
        let slot = self.builder.build_alloca(value.get_type(), "").expect("the entry block is open");
        self.builder.build_store(slot, value).expect("the entry block is open");
        slot
    }
}

/// Translates an operator of this family; returns false if it belongs to another.
pub fn translate(t: &mut Translator<'_, '_, '_>, op: &Operator<'_>) -> bool {
    match *op {
        Operator::Nop => {}
        Operator::Drop => drop(t.stack.pop()),
        Operator::Select | Operator::TypedSelect { .. } => t.select(),
        Operator::LocalGet { local_index } => t.local_get(local_index),
        Operator::LocalSet { local_index } => {
            let parts = t.stack.pop();
            t.local_set(local_index, &parts);
        }
        Operator::LocalTee { local_index } => {
            let parts = t.stack.top(1).to_vec();
            t.local_set(local_index, &parts);
        }
        Operator::GlobalGet { global_index } => t.global_get(global_index),
        Operator::GlobalSet { global_index } => t.global_set(global_index),
        Operator::I32Const { value } => {
            let value = t.constant(ConstValue::I32(value));
            t.push(value);
        }
        Operator::I64Const { value } => {
            let value = t.constant(ConstValue::I64(value));
            t.push(value);
        }
        _ => return false,
    }
    true
}

impl<'ctx> Translator<'_, 'ctx, '_> {
    fn select(&mut self) {
        let condition = self.pop_condition();
        let (no, yes) = (self.stack.pop(), self.stack.pop());
        let count = if yes.len() == no.len() { yes.len() } else { self.parts_of_vector() };
        let [no, yes] = [no, yes].map(|parts| settled(self.ir(), count, parts));
        let parts: Vec<_> =
            yes.into_iter().zip(no).map(|(yes, no)| self.ir().select(condition, yes, no)).collect();
        self.stack.push(parts);
    }

    fn local_slot(&mut self, part: usize) -> (PointerValue<'ctx>, BasicTypeEnum<'ctx>) {
        let ty = self.env.part_type(self.locals.types[part]);
        (self.locals.slot(part, ty), ty)
    }

    fn local_get(&mut self, index: u32) {
        let mut parts = Vec::new();
        for part in self.locals.parts(index) {
            let (slot, ty) = self.local_slot(part);
            parts.push(self.ir().load(Space::Local, ty, slot, align_of(ty)));
        }
        self.stack.push(parts);
    }

    fn local_set(&mut self, index: u32, parts: &[BasicValueEnum<'ctx>]) {
        let locals = self.locals.parts(index);
        let parts = settled(self.ir(), locals.len(), parts.to_vec());
        for (part, value) in locals.zip(parts) {
            let (slot, ty) = self.local_slot(part);
            self.ir().store(Space::Local, slot, value, align_of(ty));
        }
    }

    fn global_get(&mut self, index: u32) {
        if self.is_fused_stack_pointer(index) {
            let slot = self.stack_pointer_slot();
            let value = self.ir().load(Space::Local, self.ir().i32.into(), slot, 4);
            return self.push(value);
        }
        if let GlobalPlan::Constant(ConstValue::V128(value)) = self.program().globals[index as usize] {
            return self.vector_constant(value);
        }
        if let GlobalPlan::Constant(value) = self.program().globals[index as usize] {
            if self.program().info.globals[index as usize].ty == ValueType::ExnRef {
                return self.push_null_exception();
            }
            let value = self.constant(value);
            return self.push(value);
        }
        let mut parts: Vec<_> = self
            .global_variable(index)
            .into_iter()
            .map(|(pointer, ty)| self.ir().load(Space::Variable, ty, pointer, align_of(ty)))
            .collect();
        if let Some(bottom) = self.static_stack(index) {
            parts[0] = self.ir().add(parts[0].into_int_value(), bottom).into();
        }
        self.stack.push(parts);
    }

    fn global_set(&mut self, index: u32) {
        self.settle(1);
        let mut parts = self.stack.pop();
        if self.is_fused_stack_pointer(index) {
            let slot = self.stack_pointer_slot();
            self.ir().store(Space::Local, slot, parts[0], 4);
            return;
        }
        let variable = self.global_variable(index);
        if let Some(bottom) = self.static_stack(index) {
            parts[0] = self.ir().sub(parts[0].into_int_value(), bottom).into();
        }
        for ((pointer, ty), value) in variable.into_iter().zip(parts) {
            self.ir().store(Space::Variable, pointer, value, align_of(ty));
        }
    }

    /// The parts of a variable: one after the other in memory, each with its type.
    fn global_variable(&mut self, index: u32) -> Vec<(PointerValue<'ctx>, BasicTypeEnum<'ctx>)> {
        let ty = self.program().info.globals[index as usize].ty;
        let types = self.env.part_types(&[ty]);
        let (offsets, _, align) = layout(self.env.parts(ty));
        let whole = self.env.aggregate(&types).expect("a value has a part");
        let start = self.env.variable(names::global_symbol(index), whole, align);
        let part = |(offset, ty)| (self.ir().offset_bytes(start, self.ir().c32(offset)), ty);
        offsets.into_iter().zip(types).map(part).collect()
    }

    fn is_fused_stack_pointer(&self, global: u32) -> bool {
        let stack = self.program().stack.as_ref();
        stack.is_some_and(|stack| stack.global == global && !stack.keeps(self.index))
    }

    /// The stack pointer of this function, made on first use: it starts above the function's frame.
    fn stack_pointer_slot(&mut self) -> PointerValue<'ctx> {
        if let Some(slot) = self.locals.stack_pointer {
            return slot;
        }
        let stack = self.program().stack.as_ref().expect("the shadow stack is fused");
        let size = stack.frame_size(self.index).next_multiple_of(FRAME_ALIGN);
        let (frame, i32) = (self.env.frame_function(), self.ir().i32);
        let (size, align) = (self.ir().c32(size), self.ir().c32(FRAME_ALIGN));
        let builder = &self.locals.builder;
        let call =
            builder.build_call(frame, &[size.into(), align.into()], "").expect("the entry block is open");
        let base = call.try_as_basic_value().basic().map_or(i32.const_zero(), |value| value.into_int_value());
        let top = builder.build_int_add(base, size, "").expect("the entry block is open");
        let slot = self.locals.new_slot(top.into());
        self.locals.stack_pointer = Some(slot);
        slot
    }

    /// The address of a linear memory, obtained in the entry block.
    pub(super) fn memory_base(&mut self, memory: u32) -> PointerValue<'ctx> {
        if let Some(base) = self.locals.memory_bases[memory as usize] {
            return base;
        }
        let function = self.env.memory_base_function(memory);
        let call = self.locals.builder.build_call(function, &[], "memory").expect("the entry block is open");
        let base = call.try_as_basic_value().basic().expect("it returns an address").into_pointer_value();
        self.locals.memory_bases[memory as usize] = Some(base);
        base
    }

    /// A word of the program, the immediate of the current operator. An address of static data becomes a reference; a
    /// possible address becomes a literal.
    pub(super) fn word(&mut self, value: u32) -> IntValue<'ctx> {
        let Some(plan) = &self.program().statics else { return self.ir().c32(value) };
        let (function, operands) = match &plan.relocations {
            Some(relocations) => {
                let Some(object) = relocations.object_at(self.offset) else { return self.ir().c32(value) };
                let offset = value.wrapping_sub(relocations.objects[object].range.start);
                (self.env.static_address_function(), vec![object as u32, offset])
            }
            None if plan.contains(value) => {
                (self.env.literal_function(), vec![value, self.offset as u32, self.index])
            }
            None => return self.ir().c32(value),
        };
        let operands: Vec<_> = operands.into_iter().map(|operand| self.ir().c32(operand).into()).collect();
        self.ir().call(function, &operands).expect("it is a value").into_int_value()
    }

    /// Two words of the program. If a half may be an address of static data, it becomes a literal. Linkers write no
    /// addresses into such constants, so with relocations they are numbers.
    pub(super) fn wide_word(&mut self, value: u64) -> IntValue<'ctx> {
        let halves = [value as u32, (value >> 32) as u32];
        let plan = self.program().statics.as_ref().filter(|plan| plan.relocations.is_none());
        if !plan.is_some_and(|plan| halves.iter().any(|&half| plan.certain <= half && plan.contains(half))) {
            return self.ir().c64(value);
        }
        let function = self.env.wide_literal_function();
        let operands = [halves[0], halves[1], self.offset as u32, self.index];
        let operands = operands.map(|operand| self.ir().c32(operand).into());
        self.ir().call(function, &operands).expect("it is a value").into_int_value()
    }

    /// A lane of a constant vector. If it may be an address of static data, it becomes a literal. Linkers write no
    /// addresses into vectors, so with relocations it is a number.
    pub(super) fn lane_word(&mut self, value: u32) -> IntValue<'ctx> {
        let plan = self.program().statics.as_ref().filter(|plan| plan.relocations.is_none());
        match plan {
            Some(plan) if plan.certain <= value => self.word(value),
            _ => self.ir().c32(value),
        }
    }

    /// The address of the bottom of the stack, if `global` is a stack pointer in static data.
    fn static_stack(&mut self, global: u32) -> Option<IntValue<'ctx>> {
        let stack = self.program().statics.as_ref()?.stack.filter(|stack| stack.global == global)?;
        let ty = self.ir().i8.array_type(stack.size).into();
        let pointer = self.env.variable(names::STATIC_STACK.to_owned(), ty, 16);
        let i32 = self.ir().i32;
        Some(self.ir().builder.build_ptr_to_int(pointer, i32, "").expect("the builder is positioned"))
    }

    /// A constant as an LLVM value.
    pub(super) fn constant(&mut self, value: ConstValue) -> BasicValueEnum<'ctx> {
        match value {
            ConstValue::I32(value) => self.word(value as u32).into(),
            ConstValue::I64(value) => self.wide_word(value as u64).into(),
            ConstValue::F32(bits) => self.float_constant(bits.into(), ValueType::F32),
            ConstValue::F64(bits) => self.float_constant(bits, ValueType::F64),
            ConstValue::V128(_) => unreachable!("a vector has several parts"),
            ConstValue::Null => self.ir().c64(0).into(),
            ConstValue::Func(index) => {
                let function = self.env.ref_function(index);
                self.ir().call(function, &[]).expect("a reference is a value")
            }
        }
    }
}

/// Size and natural alignment in bytes of a part of a wasm value.
pub fn align_of(ty: BasicTypeEnum<'_>) -> u32 {
    match ty {
        BasicTypeEnum::IntType(ty) => ty.get_bit_width() / 8,
        BasicTypeEnum::FloatType(ty) => ty.get_bit_width() / 8,
        other => unreachable!("no part has type {other}"),
    }
}
