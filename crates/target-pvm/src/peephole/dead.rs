//! Removing instructions whose results nobody reads.
//!
//! Register liveness over the final blocks, by iteration to the fixpoint, then one backward sweep per block; removing
//! an instruction can make others dead in other blocks, so both repeat until nothing is removed.

use codegen::{Block, Function, PReg, RegSet};
use ssa::IdVec;

use super::effects::{Effects, is_pure};
use crate::inst::{Inst, Mem, SP};
use crate::target::Pvm;

/// Removes dead instructions.
pub fn remove(func: &mut Function<Pvm, PReg>) {
    loop {
        let live_in = liveness(func);
        let mut removed = false;
        for n in 0..func.order.len() {
            let block = func.order[n];
            let mut live = live_out(func, &live_in, block);
            let insts = &mut func.blocks[block].insts;
            let mut kept: Vec<Inst<PReg>> = Vec::with_capacity(insts.len());
            for inst in std::mem::take(insts).into_iter().rev() {
                let effects = Effects::of(&inst);
                if effects.writes.intersection(live).is_empty() && is_removable(&inst) {
                    removed = true;
                    continue;
                }
                live = live.difference(effects.writes).union(effects.reads);
                kept.push(inst);
            }
            kept.reverse();
            *insts = kept;
        }
        if !removed {
            return;
        }
    }
}

/// Whether an instruction without readers may go. Loads of the program may be wanted for their trap; those of the
/// frame never trap.
fn is_removable(inst: &Inst<PReg>) -> bool {
    is_pure(inst) || matches!(inst, Inst::Load { mem: Mem::Reg(SP, _), .. })
}

/// Registers that are live at the start of each block.
fn liveness(func: &Function<Pvm, PReg>) -> IdVec<Block, RegSet> {
    let mut live_in = IdVec::filled(RegSet::EMPTY, func.blocks.len());
    loop {
        let mut changed = false;
        for &block in func.order.iter().rev() {
            let mut live = live_out(func, &live_in, block);
            for inst in func.blocks[block].insts.iter().rev() {
                let effects = Effects::of(inst);
                live = live.difference(effects.writes).union(effects.reads);
            }
            changed |= live_in[block] != live;
            live_in[block] = live;
        }
        if !changed {
            return live_in;
        }
    }
}

/// Registers that are live before a block's control.
fn live_out(func: &Function<Pvm, PReg>, live_in: &IdVec<Block, RegSet>, block: Block) -> RegSet {
    let control = &func.blocks[block].control;
    let after = control.successors().into_iter().fold(RegSet::of(&[SP]), |live, to| live.union(live_in[to]));
    control.inst().map_or(after, |inst| {
        let effects = Effects::of(inst);
        after.difference(effects.writes).union(effects.reads)
    })
}
