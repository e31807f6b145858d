//! Appending LLVM instructions in short form.
//!
//! inkwell returns a `Result` from every builder call; the only errors are an unpositioned builder and operands
//! of the wrong type, both bugs here. [`Ir`] turns them into panics, and has the types that are used most.

use inkwell::IntPredicate;
use inkwell::basic_block::BasicBlock;
use inkwell::builder::{Builder, BuilderError};
use inkwell::context::Context;
use inkwell::types::{BasicTypeEnum, FloatType, IntType};
use inkwell::values::{
    BasicMetadataValueEnum, BasicValue, BasicValueEnum, FunctionValue, InstructionOpcode, InstructionValue,
    IntValue, MetadataValue, PhiValue, PointerValue,
};

use super::profile;
use crate::llvm;

/// The memory that a load or store accesses. Accesses to different spaces never overlap; type-based alias metadata
/// tells LLVM so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Space {
    /// A local of the function.
    Local,
    /// Linear memory.
    Memory,
    /// A wasm global, a table, or a size variable.
    Variable,
}

/// A builder at a position in a function.
pub struct Ir<'ctx> {
    /// The context of all values and types.
    pub context: &'ctx Context,
    /// inkwell's builder, for instructions that are not wrapped here.
    pub builder: Builder<'ctx>,
    /// `i1`.
    pub i1: IntType<'ctx>,
    /// `i8`.
    pub i8: IntType<'ctx>,
    /// `i16`.
    pub i16: IntType<'ctx>,
    /// `i32`.
    pub i32: IntType<'ctx>,
    /// `i64`.
    pub i64: IntType<'ctx>,
    /// `i128`.
    pub i128: IntType<'ctx>,
    /// `float`.
    pub f32: FloatType<'ctx>,
    /// `double`.
    pub f64: FloatType<'ctx>,
    alias_kind: u32,
    memory_tag: MetadataValue<'ctx>,
    variable_tag: MetadataValue<'ctx>,
    weights_kind: u32,
    rare_branch: MetadataValue<'ctx>,
}

fn built<T>(result: Result<T, BuilderError>) -> T {
    result.expect("the builder is positioned and operand types match")
}

/// Metadata for a branch whose first target is rare.
fn rare_branch(context: &Context) -> MetadataValue<'_> {
    let weight = |weight| context.i32_type().const_int(weight, false).into();
    context.metadata_node(&[context.metadata_string("branch_weights").into(), weight(1), weight(2000)])
}

/// Metadata for accesses to one space.
fn alias_tag<'ctx>(context: &'ctx Context, name: &str) -> MetadataValue<'ctx> {
    let zero = context.i64_type().const_zero();
    let root = context.metadata_node(&[context.metadata_string("wasm").into()]);
    let space = context.metadata_node(&[context.metadata_string(name).into(), root.into(), zero.into()]);
    context.metadata_node(&[space.into(), space.into(), zero.into()])
}

impl<'ctx> Ir<'ctx> {
    /// An unpositioned builder.
    pub fn new(context: &'ctx Context) -> Self {
        Self {
            context,
            builder: context.create_builder(),
            i1: context.bool_type(),
            i8: context.i8_type(),
            i16: context.i16_type(),
            i32: context.i32_type(),
            i64: context.i64_type(),
            i128: context.i128_type(),
            f32: context.f32_type(),
            f64: context.f64_type(),
            alias_kind: context.get_kind_id("tbaa"),
            memory_tag: alias_tag(context, "memory"),
            variable_tag: alias_tag(context, "variable"),
            weights_kind: context.get_kind_id("prof"),
            rare_branch: rare_branch(context),
        }
    }

    /// The block that instructions go to.
    pub fn block(&self) -> BasicBlock<'ctx> {
        self.builder.get_insert_block().expect("the builder is positioned")
    }

    /// The function that instructions go to.
    pub fn function(&self) -> FunctionValue<'ctx> {
        self.block().get_parent().expect("blocks of functions have a parent")
    }

    /// A new block at the end of the current function.
    pub fn new_block(&self) -> BasicBlock<'ctx> {
        self.context.append_basic_block(self.function(), "")
    }

    /// Moves to the end of `block`.
    pub fn at_end(&self, block: BasicBlock<'ctx>) {
        self.builder.position_at_end(block);
    }

    /// An `i32` constant.
    pub fn c32(&self, value: u32) -> IntValue<'ctx> {
        self.i32.const_int(value.into(), false)
    }

    /// An `i64` constant.
    pub fn c64(&self, value: u64) -> IntValue<'ctx> {
        self.i64.const_int(value, false)
    }

    /// A two-operand integer instruction.
    pub fn binary(&self, op: InstructionOpcode, a: IntValue<'ctx>, b: IntValue<'ctx>) -> IntValue<'ctx> {
        built(self.builder.build_binop(op, a, b, "")).into_int_value()
    }

    /// `a + b`.
    pub fn add(&self, a: IntValue<'ctx>, b: IntValue<'ctx>) -> IntValue<'ctx> {
        built(self.builder.build_int_add(a, b, ""))
    }

    /// `a - b`.
    pub fn sub(&self, a: IntValue<'ctx>, b: IntValue<'ctx>) -> IntValue<'ctx> {
        built(self.builder.build_int_sub(a, b, ""))
    }

    /// `a * b`.
    pub fn mul(&self, a: IntValue<'ctx>, b: IntValue<'ctx>) -> IntValue<'ctx> {
        built(self.builder.build_int_mul(a, b, ""))
    }

    /// `a & b`.
    pub fn and(&self, a: IntValue<'ctx>, b: IntValue<'ctx>) -> IntValue<'ctx> {
        built(self.builder.build_and(a, b, ""))
    }

    /// `a | b`.
    pub fn or(&self, a: IntValue<'ctx>, b: IntValue<'ctx>) -> IntValue<'ctx> {
        built(self.builder.build_or(a, b, ""))
    }

    /// `a ^ b`.
    pub fn xor(&self, a: IntValue<'ctx>, b: IntValue<'ctx>) -> IntValue<'ctx> {
        built(self.builder.build_xor(a, b, ""))
    }

    /// `a << b`.
    pub fn shl(&self, a: IntValue<'ctx>, b: IntValue<'ctx>) -> IntValue<'ctx> {
        built(self.builder.build_left_shift(a, b, ""))
    }

    /// `a >> b`, logical.
    pub fn lshr(&self, a: IntValue<'ctx>, b: IntValue<'ctx>) -> IntValue<'ctx> {
        built(self.builder.build_right_shift(a, b, false, ""))
    }

    /// `a >> b`, arithmetic.
    pub fn ashr(&self, a: IntValue<'ctx>, b: IntValue<'ctx>) -> IntValue<'ctx> {
        built(self.builder.build_right_shift(a, b, true, ""))
    }

    /// Zero-extends.
    pub fn zext(&self, value: IntValue<'ctx>, ty: IntType<'ctx>) -> IntValue<'ctx> {
        built(self.builder.build_int_z_extend(value, ty, ""))
    }

    /// Sign-extends.
    pub fn sext(&self, value: IntValue<'ctx>, ty: IntType<'ctx>) -> IntValue<'ctx> {
        built(self.builder.build_int_s_extend(value, ty, ""))
    }

    /// Truncates.
    pub fn trunc(&self, value: IntValue<'ctx>, ty: IntType<'ctx>) -> IntValue<'ctx> {
        built(self.builder.build_int_truncate(value, ty, ""))
    }

    /// Compares; the result is an `i1`.
    pub fn icmp(&self, predicate: IntPredicate, a: IntValue<'ctx>, b: IntValue<'ctx>) -> IntValue<'ctx> {
        built(self.builder.build_int_compare(predicate, a, b, ""))
    }

    /// `value == 0` as an `i1`.
    pub fn is_zero(&self, value: IntValue<'ctx>) -> IntValue<'ctx> {
        self.icmp(IntPredicate::EQ, value, value.get_type().const_zero())
    }

    /// `value != 0` as an `i1`.
    pub fn is_nonzero(&self, value: IntValue<'ctx>) -> IntValue<'ctx> {
        self.icmp(IntPredicate::NE, value, value.get_type().const_zero())
    }

    /// `value != 0` as an `i1`; of an extended `i1` that is the `i1` itself.
    pub fn truth(&self, value: IntValue<'ctx>) -> IntValue<'ctx> {
        let extended = value.as_instruction().filter(|inst| inst.get_opcode() == InstructionOpcode::ZExt);
        let narrow = extended.and_then(|inst| inst.get_operand(0)).and_then(|operand| operand.value());
        match narrow {
            Some(BasicValueEnum::IntValue(narrow)) if narrow.get_type() == self.i1 => narrow,
            _ => self.is_nonzero(value),
        }
    }

    /// `condition ? a : b`.
    pub fn select(
        &self,
        condition: IntValue<'ctx>,
        a: BasicValueEnum<'ctx>,
        b: BasicValueEnum<'ctx>,
    ) -> BasicValueEnum<'ctx> {
        built(self.builder.build_select(condition, a, b, ""))
    }

    /// `(high << 64) | low`.
    pub fn join128(&self, low: IntValue<'ctx>, high: IntValue<'ctx>) -> IntValue<'ctx> {
        let high = self.shl(self.zext(high, self.i128), self.i128.const_int(64, false));
        self.or(high, self.zext(low, self.i128))
    }

    /// The low and high halves of an `i128`.
    pub fn split128(&self, value: IntValue<'ctx>) -> (IntValue<'ctx>, IntValue<'ctx>) {
        let high = self.lshr(value, self.i128.const_int(64, false));
        (self.trunc(value, self.i64), self.trunc(high, self.i64))
    }

    /// `getelementptr i8`, not `inbounds`.
    pub fn offset_bytes(&self, pointer: PointerValue<'ctx>, index: IntValue<'ctx>) -> PointerValue<'ctx> {
        llvm::offset_bytes(&self.builder, self.i8, pointer, index)
    }

    /// Loads, with the given alignment in bytes.
    pub fn load(
        &self,
        space: Space,
        ty: BasicTypeEnum<'ctx>,
        pointer: PointerValue<'ctx>,
        align: u32,
    ) -> BasicValueEnum<'ctx> {
        let value = built(self.builder.build_load(ty, pointer, ""));
        let inst = value.as_instruction_value().expect("a load is an instruction");
        inst.set_alignment(align).expect("a power of two");
        self.tag(inst, space);
        value
    }

    /// Stores, with the given alignment in bytes.
    pub fn store(
        &self,
        space: Space,
        pointer: PointerValue<'ctx>,
        value: BasicValueEnum<'ctx>,
        align: u32,
    ) -> InstructionValue<'ctx> {
        let inst = built(self.builder.build_store(pointer, value));
        inst.set_alignment(align).expect("a power of two");
        self.tag(inst, space);
        inst
    }

    fn tag(&self, inst: InstructionValue<'ctx>, space: Space) {
        let tag = match space {
            Space::Local => return,
            Space::Memory => self.memory_tag,
            Space::Variable => self.variable_tag,
        };
        inst.set_metadata(tag, self.alias_kind).expect("the tag is a node");
    }

    /// An empty phi in the current block.
    pub fn phi(&self, ty: BasicTypeEnum<'ctx>) -> PhiValue<'ctx> {
        built(self.builder.build_phi(ty, ""))
    }

    /// Appends a jump to `block`.
    pub fn jump(&self, block: BasicBlock<'ctx>) {
        built(self.builder.build_unconditional_branch(block));
    }

    /// Appends a branch to one of two blocks.
    pub fn branch(&self, condition: IntValue<'ctx>, yes: BasicBlock<'ctx>, no: BasicBlock<'ctx>) {
        built(self.builder.build_conditional_branch(condition, yes, no));
    }

    /// Appends a branch to one of two blocks. `ways` is how often the condition was false and true, if that was counted.
    pub fn branch_as_counted(
        &self,
        condition: IntValue<'ctx>,
        yes: BasicBlock<'ctx>,
        no: BasicBlock<'ctx>,
        ways: Option<&[u64]>,
    ) {
        let branch = built(self.builder.build_conditional_branch(condition, yes, no));
        if let Some(&[not_taken, taken]) = ways {
            self.weigh(branch, &[taken, not_taken]);
        }
    }

    /// Appends a switch. `counts` is how often each successor was chosen, the default first; all are 0 if that is unknown.
    pub fn switch(
        &self,
        value: IntValue<'ctx>,
        default: BasicBlock<'ctx>,
        cases: &[(IntValue<'ctx>, BasicBlock<'ctx>)],
        counts: &[u64],
    ) {
        let switch = built(self.builder.build_switch(value, default, cases));
        self.weigh(switch, counts);
    }

    /// Gives a terminator the counts of its successors.
    fn weigh(&self, terminator: InstructionValue<'ctx>, counts: &[u64]) {
        let Some(weights) = profile::weights(counts) else { return };
        let mut operands: Vec<BasicMetadataValueEnum<'ctx>> =
            vec![self.context.metadata_string("branch_weights").into()];
        operands.extend(weights.iter().map(|&weight| BasicMetadataValueEnum::from(self.c32(weight))));
        let node = self.context.metadata_node(&operands);
        terminator.set_metadata(node, self.weights_kind).expect("the metadata is a node");
    }

    /// Appends a branch to one of two blocks, the first of which is rarely the one.
    pub fn branch_rarely(&self, condition: IntValue<'ctx>, yes: BasicBlock<'ctx>, no: BasicBlock<'ctx>) {
        let branch = built(self.builder.build_conditional_branch(condition, yes, no));
        branch.set_metadata(self.rare_branch, self.weights_kind).expect("the metadata is a node");
    }

    /// Calls a function; the result is `None` for `void`.
    pub fn call(
        &self,
        function: FunctionValue<'ctx>,
        args: &[BasicValueEnum<'ctx>],
    ) -> Option<BasicValueEnum<'ctx>> {
        let args: Vec<_> = args.iter().map(|&arg| arg.into()).collect();
        let call = built(self.builder.build_call(function, &args, ""));
        call.set_call_convention(function.get_call_conventions());
        call.try_as_basic_value().basic()
    }
}
