//! Liveness of registers and spill slots in final blocks.
//!
//! Backward iteration to the fixpoint. Termination: sets only grow. Spill slots occur until the frame is laid out;
//! afterwards their sets are empty.

use codegen::{Block, Control, Function, PReg, RegSet, SpillSlot, StackSlot};
use ssa::{EntityId, IdVec};

use super::effects::Effects;
use crate::machine::{Inst, Mem, Pvm, SP};

/// Registers and spill slots.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Live {
    /// Registers.
    pub regs: RegSet,
    slots: Vec<u64>,
}

impl Live {
    /// Whether a spill slot is in the set.
    pub fn has_slot(&self, slot: SpillSlot) -> bool {
        let n = slot.index();
        self.slots.get(n / 64).is_some_and(|word| word >> (n % 64) & 1 == 1)
    }

    fn set_slot(&mut self, slot: SpillSlot, to: bool) {
        let n = slot.index();
        if to && self.slots.len() <= n / 64 {
            self.slots.resize(n / 64 + 1, 0);
        }
        if let Some(word) = self.slots.get_mut(n / 64) {
            *word = *word & !(1 << (n % 64)) | u64::from(to) << (n % 64);
        }
    }

    fn add(&mut self, other: &Self) {
        self.regs = self.regs.union(other.regs);
        if self.slots.len() < other.slots.len() {
            self.slots.resize(other.slots.len(), 0);
        }
        self.slots.iter_mut().zip(&other.slots).for_each(|(mine, theirs)| *mine |= theirs);
    }

    /// Updates the set from after an instruction to before it.
    pub fn step_back(&mut self, inst: &Inst<PReg>) {
        let effects = Effects::of(inst);
        self.regs = self.regs.difference(effects.writes).union(effects.reads);
        if let Some((slot, is_load)) = spill_access(inst) {
            self.set_slot(slot, is_load);
        }
    }
}

/// The spill slot an instruction accesses, and whether it loads.
pub fn spill_access(inst: &Inst<PReg>) -> Option<(SpillSlot, bool)> {
    match (inst, inst.mem()?) {
        (Inst::Load { .. }, Mem::Slot(StackSlot::Spill(slot))) => Some((*slot, true)),
        (_, Mem::Slot(StackSlot::Spill(slot))) => Some((*slot, false)),
        _ => None,
    }
}

/// Registers and slots live at the start of each block. `at_exit` are registers that the caller relies on.
pub fn live_in(func: &Function<Pvm, PReg>, at_exit: RegSet) -> IdVec<Block, Live> {
    let mut live_in = IdVec::filled(Live::default(), func.blocks.len());
    loop {
        let mut changed = false;
        for &block in func.order.iter().rev() {
            let mut live = live_out(func, &live_in, at_exit, block);
            func.blocks[block].insts.iter().rev().for_each(|inst| live.step_back(inst));
            if live_in[block] != live {
                live_in[block] = live;
                changed = true;
            }
        }
        if !changed {
            return live_in;
        }
    }
}

/// Registers and slots live before a block's control.
pub fn live_out(
    func: &Function<Pvm, PReg>,
    live_in: &IdVec<Block, Live>,
    at_exit: RegSet,
    block: Block,
) -> Live {
    let control = &func.blocks[block].control;
    let mut live = Live { regs: RegSet::of(&[SP]), slots: Vec::new() };
    match control {
        Control::Jump(to) => live.add(&live_in[to.block]),
        Control::Branch { taken, other, .. } => {
            live.add(&live_in[taken.block]);
            live.add(&live_in[other.block]);
        }
        Control::Dispatch { targets, .. } => targets.iter().for_each(|&to| live.add(&live_in[to])),
        Control::Exit(_) => live.regs = live.regs.union(at_exit),
    }
    control.inst().into_iter().for_each(|inst| live.step_back(inst));
    live
}
