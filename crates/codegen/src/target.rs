//! What a target tells the shared code generator.

use std::fmt;
use std::hash::Hash;

use crate::abi::CallLayout;
use crate::buffer::{CodeBuffer, Fixup};
use crate::frame::StackSlot;
use crate::lower::{Lower, Remat, Unsupported};
use crate::mir::{Block, Function, VReg};
use crate::registers::{Operand, PReg, RegSet, Register, RegisterInfo};

/// What saving and restoring a register cost together, of a load from the stack: they stand beside those of the return
/// address and of other registers, and machines are faster or smaller there than with loads that are scattered.
pub const SAVE: f32 = 0.8;

/// Where an instruction stands when it is encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// The block it belongs to.
    pub block: Block,
    /// The block that follows in layout, if any.
    pub next: Option<Block>,
}

/// A machine. Everything shared code asks of it.
pub trait Target: Sync + Sized + fmt::Debug + 'static {
    /// A machine instruction; its register slots hold virtual registers before allocation, physical after. Equal
    /// instructions do the same, so that layout may share them.
    type Inst<R: Register>: Clone + Eq + Hash + fmt::Debug + fmt::Display + Send + Sync;
    /// A place in the code whose bytes depend on the distance to its target.
    type Fixup: Fixup;
    /// What the target finds out about a function before it selects instructions, and notes while it does.
    type Facts;

    /// What a taken conditional branch costs more than one that falls through, in jumps.
    const TAKEN_COST: f32 = 0.0;

    /// What a load from the stack costs more if a block's branch or return waits for its value, in loads.
    const CONTROL_WAIT: f32 = 0.0;

    /// How far a register that must be saved first is taken to be wanted, in points of the line, at least: others will
    /// use it, too.
    const SAVE_SPAN: u32 = 0;

    /// What making an operand-free value again by this instruction costs, in loads from the stack.
    fn rematerialize_cost(&self, _inst: &Self::Inst<VReg>, _for_size: bool) -> f32 {
        0.15
    }

    /// What saving and restoring a callee-saved register cost together, in loads from the stack: the first register
    /// that a function saves, and each further one.
    fn save_costs(&self, _func: &Function<Self, VReg>) -> [f32; 2] {
        [SAVE; 2]
    }

    /// The registers.
    fn registers(&self) -> &RegisterInfo;

    /// How many machine words a value takes, and in which class: `[class]` or `[low, high]`.
    fn value_classes(&self, ty: ssa::Type) -> &'static [crate::RegClass];

    /// Where a call with this signature passes things under the standard convention.
    fn call_layout(&self, sig: &ssa::Signature) -> CallLayout;

    /// Visits every register slot with its description, in a fixed order, and rebuilds the instruction with what
    /// `f` returns. The only description of operands: liveness, allocation, checker and rewrite use it.
    fn map_operands<R: Register, S: Register>(
        inst: &Self::Inst<R>,
        f: &mut dyn FnMut(R, Operand) -> S,
    ) -> Self::Inst<S>;

    /// Registers the instruction changes beyond its definitions.
    fn clobbers<R: Register>(&self, inst: &Self::Inst<R>) -> RegSet;

    /// Destination and source, if the instruction is a plain register copy.
    fn as_copy<R: Register>(inst: &Self::Inst<R>) -> Option<(R, R)>;

    /// Whether the instruction does nothing but define its only operand, from no register and no memory, so that it
    /// can be repeated anywhere. What [`materialize`](Self::materialize) makes is known to be so.
    fn is_rematerializable<R: Register>(_inst: &Self::Inst<R>) -> bool {
        false
    }

    /// Looks at a whole function before selection; the result is [`Lower::facts`].
    fn analyze(&self, module: &ssa::Module, func: &ssa::Function) -> Self::Facts;

    /// Selects instructions for one SSA instruction that is not a terminator.
    fn lower(&self, cx: &mut Lower<'_, Self>, inst: ssa::Inst) -> Result<(), Unsupported>;

    /// Selects instructions for a terminator and sets the block's control with one of the `Lower::set_*` calls.
    fn lower_terminator(&self, cx: &mut Lower<'_, Self>, inst: ssa::Inst) -> Result<(), Unsupported>;

    /// Selects the instruction that defines the function's parameters, at the start of the entry block.
    fn lower_params(&self, cx: &mut Lower<'_, Self>) -> Result<(), Unsupported>;

    /// The instruction that makes machine word `word` of an operand-free value; it reads no register.
    fn materialize(&self, module: &ssa::Module, what: Remat, word: usize, dst: VReg) -> Self::Inst<VReg>;

    /// A register copy.
    fn copy(dst: PReg, src: PReg) -> Self::Inst<PReg>;

    /// A store to a spill slot.
    fn spill(slot: StackSlot, src: PReg) -> Self::Inst<PReg>;

    /// A load from a spill slot.
    fn reload(dst: PReg, slot: StackSlot) -> Self::Inst<PReg>;

    /// The conditional branch with the opposite condition.
    fn invert<R: Register>(inst: &Self::Inst<R>) -> Self::Inst<R>;

    /// Whether control that reaches the instruction ends in a trap: such blocks are cold, and a target may share them.
    fn is_trap<R: Register>(inst: &Self::Inst<R>) -> bool;

    /// Inserts prologue and epilogues, and resolves every [`StackSlot`] in the instructions.
    fn frame(&self, func: &mut Function<Self, PReg>);

    /// Improves the final instructions. Order and control are final; it may change instructions, not edges.
    fn peephole(&self, func: &mut Function<Self, PReg>);

    /// Appends the bytes of an instruction. `Control::Exit` instructions come here, too.
    fn encode(&self, inst: &Self::Inst<PReg>, at: Position, buf: &mut CodeBuffer<Self::Fixup>);

    /// Appends a conditional branch to `to`.
    fn encode_branch(
        &self,
        inst: &Self::Inst<PReg>,
        to: Block,
        at: Position,
        buf: &mut CodeBuffer<Self::Fixup>,
    );

    /// Appends a jump to `to`, which is not next.
    fn encode_jump(&self, to: Block, at: Position, buf: &mut CodeBuffer<Self::Fixup>);

    /// Appends a table dispatch.
    fn encode_dispatch(
        &self,
        inst: &Self::Inst<PReg>,
        targets: &[Block],
        at: Position,
        buf: &mut CodeBuffer<Self::Fixup>,
    );

    /// Called before the instructions of each block, for targets whose labels need marks (`falls_in` says that the
    /// block before ends without a transfer).
    fn begin_block(&self, at: Position, falls_in: bool, is_target: bool, buf: &mut CodeBuffer<Self::Fixup>);
}
