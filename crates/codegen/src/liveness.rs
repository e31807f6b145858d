//! Liveness of physical registers and spill slots in allocated functions.
//!
//! Backward iteration over the blocks to the fixpoint. Termination: sets only grow. Spill slots occur until the frame
//! is laid out; afterwards their sets are empty.

use ssa::{EntityId, IdVec};

use crate::mir::{Block, Control, Effects, Function, Isa, PReg, RegSet, SpillSlot};

/// Registers and spill slots.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Live {
    /// Registers.
    pub regs: RegSet,
    /// Spill slots, as bits of words.
    slots: Vec<u64>,
}

impl Live {
    /// Whether a spill slot is in the set.
    pub fn has_slot(&self, slot: SpillSlot) -> bool {
        let n = slot.index();
        self.slots.get(n / 64).is_some_and(|word| word >> (n % 64) & 1 == 1)
    }

    /// Updates the set from after an instruction to before it.
    pub fn step_back(&mut self, effects: &Effects) {
        self.regs = self.regs.difference(effects.writes).union(effects.reads);
        if let Some(access) = effects.slot {
            self.set_slot(access.slot, !access.is_store);
        }
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
}

/// Live registers and spill slots at the boundaries of blocks.
#[derive(Clone, Debug)]
pub struct Liveness {
    /// The live set at the start of each block.
    pub at_start: IdVec<Block, Live>,
    at_exits: RegSet,
}

impl Liveness {
    /// The liveness of an allocated function. `at_exits` are registers that the caller relies on and that exits don't
    /// read.
    pub fn of<T: Isa>(func: &Function<T, PReg>, at_exits: RegSet) -> Self {
        let at_start = IdVec::filled(Live::default(), func.blocks.len());
        let mut liveness = Self { at_start, at_exits };
        while liveness.update(func) {}
        liveness
    }

    /// The live set at the end of a block, before its control.
    pub fn at_end<T: Isa>(&self, func: &Function<T, PReg>, block: Block) -> Live {
        let control = &func.blocks[block].control;
        let mut live = Live::default();
        match control {
            Control::Jump(to) => live.add(&self.at_start[to.block]),
            Control::Branch { taken, other, .. } => {
                live.add(&self.at_start[taken.block]);
                live.add(&self.at_start[other.block]);
            }
            Control::Dispatch { targets, .. } => targets.iter().for_each(|&to| live.add(&self.at_start[to])),
            Control::Exit(_) => live.regs = self.at_exits,
        }
        if let Some(inst) = control.inst() {
            live.step_back(&Effects::of::<T>(inst));
        }
        live
    }

    /// Visits every block once, and returns whether any set has grown.
    fn update<T: Isa>(&mut self, func: &Function<T, PReg>) -> bool {
        let mut changed = false;
        for &block in func.order.iter().rev() {
            let mut live = self.at_end(func, block);
            for inst in func.blocks[block].insts.iter().rev() {
                live.step_back(&Effects::of::<T>(inst));
            }
            if self.at_start[block] != live {
                self.at_start[block] = live;
                changed = true;
            }
        }
        changed
    }
}

/// Checks that no register is read after an instruction has clobbered it.
///
/// # Errors
/// The first such register, as text.
pub fn check_clobbers<T: Isa>(func: &Function<T, PReg>) -> Result<(), String> {
    let liveness = Liveness::of(func, RegSet::EMPTY);
    for &block in &func.order {
        let mut live = liveness.at_end(func, block);
        for inst in func.blocks[block].insts.iter().rev() {
            let lost = T::clobbers(inst).intersection(live.regs);
            if !lost.is_empty() {
                return Err(format!("{lost:?} is read after `{inst:?}` has clobbered it, in {block}"));
            }
            live.step_back(&Effects::of::<T>(inst));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use random::Rng;

    use super::*;
    use crate::regalloc::allocate;
    use crate::toy::{Shape, Toy, random_function};

    #[test]
    fn nothing_is_live_before_an_allocated_function() {
        let toy = Toy::new(5, 1, 2);
        let mut slots = 0;
        for seed in 0..200 {
            let shape = Shape { blocks: 1 + seed as usize % 9, insts: 8, calls: 5 };
            let func = allocate(&toy, random_function(&toy, shape, Rng::new(seed)));
            let liveness = Liveness::of(&func, RegSet::EMPTY);
            let entry = &liveness.at_start[func.order[0]];
            assert!(entry.regs.is_empty(), "seed {seed}: {:?}\n{func}", entry.regs);
            assert!(func.spill_slots.ids().all(|slot| !entry.has_slot(slot)), "seed {seed}\n{func}");
            let starts = func.order.iter().map(|&block| &liveness.at_start[block]);
            slots += starts.filter(|live| func.spill_slots.ids().any(|slot| live.has_slot(slot))).count();
        }
        assert!(slots > 50, "only {slots} blocks start with a value in a slot");
    }

    #[test]
    fn callers_registers_are_live_on_all_ways_to_an_exit() {
        let toy = Toy::new(4, 1, 0);
        let unused = PReg::new(40);
        let mut exits = 0;
        for seed in 0..50 {
            let func = allocate(
                &toy,
                random_function(&toy, Shape { blocks: 5, insts: 4, calls: 0 }, Rng::new(seed)),
            );
            let liveness = Liveness::of(&func, RegSet::of(&[unused]));
            let is_live = |block: Block| liveness.at_start[block].regs.contains(unused);
            for &block in &func.order {
                let control = &func.blocks[block].control;
                let is_exit = matches!(control, Control::Exit(_));
                let goes_on = control.successors().into_iter().any(is_live);
                assert_eq!(is_live(block), is_exit || goes_on, "seed {seed}: {block}\n{func}");
                exits += usize::from(is_exit);
            }
        }
        assert!(exits > 0);
    }
}
