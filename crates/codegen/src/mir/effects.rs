//! Effects of instructions over physical registers: registers and spill slots that are read and written.

use super::{Isa, PReg, RegSet, SpillSlot};

/// Registers and the spill slot that an instruction reads and writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Effects {
    /// Registers whose old value matters.
    pub reads: RegSet,
    /// Registers that may change.
    pub writes: RegSet,
    /// The access to a spill slot, if there is one.
    pub slot: Option<SlotAccess>,
}

/// An access to a spill slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlotAccess {
    /// The slot.
    pub slot: SpillSlot,
    /// Whether it is written; otherwise it is read.
    pub is_store: bool,
}

impl Effects {
    /// No effects.
    pub const NONE: Self = Self { reads: RegSet::EMPTY, writes: RegSet::EMPTY, slot: None };

    /// The effects of an instruction: its operands and clobbers, and the effects that
    /// [`Isa::add_effects`] adds.
    pub fn of<T: Isa>(inst: &T::Inst<PReg>) -> Self {
        let mut effects = Self { writes: T::clobbers(inst), ..Self::NONE };
        T::map_operands::<PReg, PReg>(inst, &mut |reg, operand| {
            let set = if operand.role.is_def() { &mut effects.writes } else { &mut effects.reads };
            set.insert(reg);
            reg
        });
        T::add_effects(inst, &mut effects);
        effects
    }
}
