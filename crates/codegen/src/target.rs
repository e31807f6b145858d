//! The [`Target`] trait: the description of a machine that the shared code generator works with.

use std::fmt;
use std::hash::Hash;

use crate::abi::CallLayout;
use crate::buffer::{CodeBuffer, Fixup};
use crate::frame::StackSlot;
use crate::lower::{Lower, Remat, Unsupported};
use crate::mir::{Block, Function, VReg};
use crate::registers::{Operand, PReg, RegSet, Register, RegisterInfo};

/// Cost of one save/restore pair of a callee-saved register, in loads from the stack. Below 2.0 because saves and
/// restores of several registers are adjacent, which machines encode or execute more cheaply than scattered spill
/// code.
pub const SAVE: f32 = 0.8;

/// The position in layout of an instruction that is encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// The block it belongs to.
    pub block: Block,
    /// The block that follows in layout, if any.
    pub next: Option<Block>,
}

/// A target machine, as shared code sees it.
pub trait Target: Sync + Sized + fmt::Debug + 'static {
    /// A machine instruction. Its register fields hold virtual registers before allocation, physical ones afterwards.
    /// Equal instructions have equal effects, so layout may merge them.
    type Inst<R: Register>: Clone + Eq + Hash + fmt::Debug + fmt::Display + Send + Sync;
    /// An instruction whose encoding depends on the distance to its target.
    type Fixup: Fixup;
    /// Results of the target's own analysis of an SSA function. Made by [`analyze`](Self::analyze) before selection;
    /// selection may update them.
    type Facts;

    /// Extra cost of a taken conditional branch over one that falls through, in executed jumps.
    const TAKEN_COST: f32 = 0.0;

    /// Extra cost, in loads from the stack, of a reload whose value the branch or return of the same block reads.
    /// Control must wait for the load.
    const CONTROL_WAIT: f32 = 0.0;

    /// Minimum number of program points (two per instruction) over which the allocator spreads the cost of saving one
    /// more callee-saved register. It divides the cost by this number or by the distance to the value's next use,
    /// whichever is greater, and compares the result with the cost of an eviction. A higher number favours the
    /// register, which later values can use as well.
    const SAVE_SPAN: u32 = 0;

    /// Cost of rematerialising a value by repeating this instruction, in loads from the stack.
    fn rematerialize_cost(&self, _inst: &Self::Inst<VReg>, _for_size: bool) -> f32 {
        0.15
    }

    /// Cost of the save/restore pair of a callee-saved register, in loads from the stack. The first number is for the
    /// first register that a function saves, the second for each further one.
    fn save_costs(&self, _func: &Function<Self, VReg>) -> [f32; 2] {
        [SAVE; 2]
    }

    /// The target's registers.
    fn registers(&self) -> &RegisterInfo;

    /// The register classes of the machine words of a value: `[class]` or `[low, high]`.
    fn value_classes(&self, ty: ssa::Type) -> &'static [crate::RegClass];

    /// The locations of arguments and results under the standard calling convention.
    fn call_layout(&self, sig: &ssa::Signature) -> CallLayout;

    /// Calls `f` for every register field with its description, in a fixed order, and rebuilds the instruction with
    /// the registers that `f` returns. This is the only description of operands: liveness, allocation, checker and
    /// rewrite use it.
    fn map_operands<R: Register, S: Register>(
        inst: &Self::Inst<R>,
        f: &mut dyn FnMut(R, Operand) -> S,
    ) -> Self::Inst<S>;

    /// Registers the instruction clobbers, beyond its definitions.
    fn clobbers<R: Register>(&self, inst: &Self::Inst<R>) -> RegSet;

    /// Destination and source, if the instruction is a plain register copy.
    fn as_copy<R: Register>(inst: &Self::Inst<R>) -> Option<(R, R)>;

    /// Whether the instruction only defines its one operand and reads neither registers nor memory, so that it can be
    /// repeated anywhere. Instructions from [`materialize`](Self::materialize) are rematerialisable in any case.
    fn is_rematerializable<R: Register>(_inst: &Self::Inst<R>) -> bool {
        false
    }

    /// Analyses an SSA function before selection; the result is available as [`Lower::facts`].
    fn analyze(&self, module: &ssa::Module, func: &ssa::Function) -> Self::Facts;

    /// Selects instructions for one SSA instruction that is not a terminator.
    fn lower(&self, cx: &mut Lower<'_, Self>, inst: ssa::Inst) -> Result<(), Unsupported>;

    /// Selects instructions for a terminator and sets the block's control with one of the `Lower::set_*` calls.
    fn lower_terminator(&self, cx: &mut Lower<'_, Self>, inst: ssa::Inst) -> Result<(), Unsupported>;

    /// Selects the instruction at the start of the entry block that defines the function's parameters.
    fn lower_params(&self, cx: &mut Lower<'_, Self>) -> Result<(), Unsupported>;

    /// The instruction that defines machine word `word` of a rematerialisable value; it reads no register.
    fn materialize(&self, module: &ssa::Module, what: Remat, word: usize, dst: VReg) -> Self::Inst<VReg>;

    /// A register copy.
    fn copy(dst: PReg, src: PReg) -> Self::Inst<PReg>;

    /// A store to a spill slot.
    fn spill(slot: StackSlot, src: PReg) -> Self::Inst<PReg>;

    /// A load from a spill slot.
    fn reload(dst: PReg, slot: StackSlot) -> Self::Inst<PReg>;

    /// The conditional branch with the opposite condition.
    fn invert<R: Register>(inst: &Self::Inst<R>) -> Self::Inst<R>;

    /// Whether the instruction traps. Blocks that end in it are cold, and layout may merge equal ones.
    fn is_trap<R: Register>(inst: &Self::Inst<R>) -> bool;

    /// Inserts prologue and epilogues, and resolves every [`StackSlot`] in the instructions.
    fn frame(&self, func: &mut Function<Self, PReg>);

    /// Optimises the final instructions. Block order and control flow are final: it may change instructions, not
    /// edges.
    fn peephole(&self, func: &mut Function<Self, PReg>);

    /// Appends the bytes of an instruction; also called for the instruction of a `Control::Exit`.
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

    /// Appends a jump through a table.
    fn encode_dispatch(
        &self,
        inst: &Self::Inst<PReg>,
        targets: &[Block],
        at: Position,
        buf: &mut CodeBuffer<Self::Fixup>,
    );

    /// Called before the instructions of each block, for targets that must mark labels. `falls_in`: the previous block
    /// ends without a transfer of control. `is_target`: code refers to the block's label.
    fn begin_block(&self, at: Position, falls_in: bool, is_target: bool, buf: &mut CodeBuffer<Self::Fixup>);
}
