//! The [`Isa`] trait: the instruction set of a machine, for register allocation and layout.

use std::fmt;
use std::hash::Hash;

use super::{Effects, Operand, PReg, RegSet, Register, RegisterInfo, StackSlot};

/// The instruction set of a target machine, with its registers and costs.
pub trait Isa: Sync + Sized + fmt::Debug + 'static {
    /// A machine instruction. Its register fields hold virtual registers before allocation, physical ones afterwards.
    /// Equal instructions have equal effects, so layout may merge them.
    type Inst<R: Register>: Clone + Eq + Hash + fmt::Debug + fmt::Display + Send + Sync;

    /// The registers.
    fn registers(&self) -> &RegisterInfo;

    /// Whether the result of every stage is checked. Builds with assertions always check.
    fn is_checked(&self) -> bool {
        cfg!(debug_assertions)
    }

    /// Costs for a function that should be small if `for_size`, and that makes calls if `has_calls`.
    fn costs(&self, for_size: bool, has_calls: bool) -> Costs;

    /// Calls `f` for every register field with its description, in a fixed order, and rebuilds the instruction with
    /// the registers that `f` returns. This is the only description of operands: liveness, allocation, checker and
    /// rewrite use it.
    fn map_operands<R: Register, S: Register>(
        inst: &Self::Inst<R>,
        f: &mut dyn FnMut(R, Operand) -> S,
    ) -> Self::Inst<S>;

    /// Registers the instruction clobbers, beyond its definitions.
    fn clobbers<R: Register>(inst: &Self::Inst<R>) -> RegSet;

    /// Adds the effects on physical registers that neither operands nor clobbers describe, and the access to a spill
    /// slot. Only [`Effects::of`] calls this.
    fn add_effects(_inst: &Self::Inst<PReg>, _effects: &mut Effects) {}

    /// Destination and source, if the instruction is a plain register copy.
    fn as_copy<R: Register>(inst: &Self::Inst<R>) -> Option<(R, R)>;

    /// Whether the instruction only defines its one operand and reads neither registers nor memory, so that it can be
    /// repeated anywhere. Instructions from [`materialize`](crate::Select::materialize) are rematerialisable in any
    /// case.
    fn is_rematerializable<R: Register>(_inst: &Self::Inst<R>) -> bool {
        false
    }

    /// Whether a rematerialisable instruction costs [`Costs::rematerialize_long`].
    fn is_long<R: Register>(_inst: &Self::Inst<R>) -> bool {
        false
    }

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
}

/// Costs that guide register allocation and layout. The unit is one load from the stack, except where stated.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Costs {
    /// Extra cost of a taken conditional branch over one that falls through, in executed jumps.
    pub taken_branch: f32,
    /// Extra cost of a reload whose value the branch or return of the same block reads. Control must wait for the load.
    pub control_wait: f32,
    /// Minimum number of program points (two per instruction) over which the allocator spreads the cost of saving one
    /// more callee-saved register. It divides the cost by this number or by the distance to the value's next use,
    /// whichever is greater, and compares the result with the cost of an eviction. A higher number favours the
    /// register, which later values can use as well.
    pub save_span: u32,
    /// Cost of the save/restore pair of the first callee-saved register that a function saves.
    pub first_save: f32,
    /// Cost of the save/restore pair of each further one.
    pub further_save: f32,
    /// Cost of rematerialising a value.
    pub rematerialize: f32,
    /// Cost of rematerialising a value by a [long](Isa::is_long) instruction.
    pub rematerialize_long: f32,
}

impl Costs {
    /// Costs of a simple machine: taken branches are free, and constants cheap.
    pub const SIMPLE: Self = Self {
        taken_branch: 0.0,
        control_wait: 0.0,
        save_span: 0,
        first_save: SAVE,
        further_save: SAVE,
        rematerialize: 0.15,
        rematerialize_long: 0.15,
    };
}

/// Cost of one save/restore pair of a callee-saved register, in loads from the stack. Below 2.0 because saves and
/// restores of several registers are adjacent, which machines encode or execute more cheaply than scattered spill
/// code.
pub const SAVE: f32 = 0.8;
