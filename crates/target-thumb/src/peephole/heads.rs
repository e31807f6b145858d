//! Moving equal instructions at the beginning of both ways of a branch in front of it, where code should be small.
//!
//! Edges often load the same constants or make the same copies. An instruction runs in any case if it is the first one of
//! both successors, and these have no other predecessors. It moves if it does not change what the branch reads, and if it
//! changes no register that the function has to save, because early exits may need no frame. Termination: each step leaves
//! one instruction less.

use codegen::{Block, Control, Effects, Function, Isa, PReg};

use crate::frame::early::predecessor_counts;
use crate::isa::Thumb;
use crate::isa::inst::Inst;

/// Moves the equal first instructions of branches' successors.
pub fn hoist(target: &Thumb, func: &mut Function<Thumb, PReg>) {
    if !func.optimize_for_size {
        return;
    }
    let preds = predecessor_counts(func);
    let saved = target.registers().callee_saved;
    for n in 0..func.order.len() {
        let block = func.order[n];
        let Control::Branch { inst: branch, taken, other } = &func.blocks[block].control else { continue };
        let ways = [taken.block, other.block];
        if ways[0] == ways[1] || ways.iter().any(|&way| preds[way] != 1 || way == func.order[0]) {
            continue;
        }
        let read = Effects::of::<Thumb>(branch).reads;
        while let Some(inst) = common_head(func, ways) {
            let writes = Effects::of::<Thumb>(&inst).writes;
            if needs_frame(&inst) || !writes.intersection(read.union(saved)).is_empty() {
                break;
            }
            let loc = func.blocks[ways[0]].insts.loc(0);
            ways.iter().for_each(|&way| drop(func.blocks[way].insts.remove(0)));
            func.blocks[block].insts.push(inst, loc);
        }
    }
}

const fn needs_frame(inst: &Inst<PReg>) -> bool {
    matches!(inst, Inst::Call(_) | Inst::SlotAddr { .. } | Inst::LoadSlot { .. } | Inst::StoreSlot { .. })
}

/// The first instruction of two blocks, if it is the same.
fn common_head(func: &Function<Thumb, PReg>, [one, other]: [Block; 2]) -> Option<Inst<PReg>> {
    let [one, other] = [one, other].map(|block| func.blocks[block].insts.first());
    one.filter(|_| one == other).cloned()
}
