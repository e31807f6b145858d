//! Moving instructions at the beginning of the ways of a branch before it, where code should be small.
//!
//! Edges often load the same constants or make the same copies. An instruction runs in any case if it is the first one of
//! both successors, and these have no other predecessors. It moves if it does not change what the branch reads, and if it
//! changes no register that the function has to save, because early exits may need no frame. Termination: each step leaves
//! one instruction less.
//!
//! A way that only loads a constant, or copies a register, and then jumps, becomes empty if that instruction moves before the
//! branch. Then the branch goes to the target of the jump, and one jump less is needed. This is possible if the other way
//! does not read the register. It pays if no other block ends in the same way, as such blocks can share one copy. Each
//! branch is visited once.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use codegen::{Block, BlockData, Control, Effects, Function, Isa, Liveness, PReg, RegSet};

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

/// Empties ways of branches that have one instruction and a jump.
pub fn empty_ways(target: &Thumb, func: &mut Function<Thumb, PReg>) {
    if !func.optimize_for_size {
        return;
    }
    let preds = predecessor_counts(func);
    let live = Liveness::of(func, RegSet::EMPTY).at_start;
    let saved = target.registers().callee_saved;
    let shared = shared_ends(func);
    for n in 0..func.order.len() {
        let block = func.order[n];
        let Control::Branch { inst: branch, taken, other } = &func.blocks[block].control else { continue };
        let read = Effects::of::<Thumb>(branch).reads.union(saved);
        let ways = [(taken.block, other.block), (other.block, taken.block)];
        let way = ways.into_iter().find(|&(way, opposite)| {
            let fixed = read.union(live[opposite].regs);
            let has_one_pred = preds[way] == 1 && way != func.order[0];
            has_one_pred && !shared.contains(&way) && is_empty_without(&func.blocks[way], fixed)
        });
        if let Some((way, _)) = way {
            let insts = std::mem::take(&mut func.blocks[way].insts);
            func.blocks[block].insts.append(insts);
        }
    }
}

/// The blocks that end in the same instruction and jump as another one.
fn shared_ends(func: &Function<Thumb, PReg>) -> HashSet<Block> {
    let mut first = HashMap::new();
    let mut shared = HashSet::new();
    for &block in &func.order {
        let data = &func.blocks[block];
        if let (Some(inst), Control::Jump(to)) = (data.insts.last(), &data.control) {
            match first.entry((inst, to.block)) {
                Entry::Vacant(entry) => drop(entry.insert(block)),
                Entry::Occupied(entry) => shared.extend([block, *entry.get()]),
            }
        }
    }
    shared
}

/// Whether a block consists of a constant or a copy, which changes none of these registers, and of a jump.
fn is_empty_without(data: &BlockData<Thumb, PReg>, fixed: RegSet) -> bool {
    let [inst] = &data.insts[..] else { return false };
    let is_move = matches!(inst, Inst::Const { .. }) || inst.as_copy().is_some();
    let writes = Effects::of::<Thumb>(inst).writes;
    is_move && matches!(data.control, Control::Jump(_)) && writes.intersection(fixed).is_empty()
}

const fn needs_frame(inst: &Inst<PReg>) -> bool {
    matches!(inst, Inst::Call(_) | Inst::SlotAddr { .. } | Inst::LoadSlot { .. } | Inst::StoreSlot { .. })
}

/// The first instruction of two blocks, if it is the same.
fn common_head(func: &Function<Thumb, PReg>, [one, other]: [Block; 2]) -> Option<Inst<PReg>> {
    let [one, other] = [one, other].map(|block| func.blocks[block].insts.first());
    one.filter(|_| one == other).cloned()
}
