//! Sinking copies and spills from a branching block into the one successor that needs them.
//!
//! Allocation spills a value where it is defined, often the function's parameters and its return address, and copies
//! parameters to registers that survive calls. If only one successor of a branch reads the copy or the slot, the other
//! should not pay. An instruction sinks if its operands and results are untouched between it and the end of the block.
//! Each step goes from a block to a successor without other predecessors, so one pass in layout order is enough.

use codegen::{
    Block, Control, Effects, Function, Insts, Live, Liveness, PReg, RegSet, SlotAccess, predecessors,
};

use crate::isa::{Inst, Pvm};

/// Sinks copies and spills in all blocks.
pub fn sink(func: &mut Function<Pvm, PReg>) {
    let preds = predecessors(func);
    let mut live = Liveness::of(func, RegSet::EMPTY).at_start;
    for n in 0..func.order.len() {
        let block = func.order[n];
        let Control::Branch { taken, other, .. } = &func.blocks[block].control else { continue };
        let targets = [taken.block, other.block];
        if targets[0] == targets[1] {
            continue;
        }
        let mut ways = targets.map(|to| Way {
            to,
            live: std::mem::take(&mut live[to]),
            is_private: preds[to].len() == 1,
        });
        let found = sinkable(func, block, &mut ways);
        ways.into_iter().for_each(|way| live[way.to] = way.live);
        for (inst, to) in found {
            remove_last(&mut func.blocks[block].insts, &inst);
            func.blocks[to].insts.insert(0, inst);
        }
    }
}

/// A successor of a branch.
struct Way {
    to: Block,
    /// Registers and slots live at its start, after what has sunk there.
    live: Live,
    /// Whether it has no other predecessor.
    is_private: bool,
}

/// The instructions that may sink, last first, each with the successor that reads its result. A successor also reads what
/// an instruction that sinks there reads.
fn sinkable(func: &Function<Pvm, PReg>, block: Block, ways: &mut [Way; 2]) -> Vec<(Inst<PReg>, Block)> {
    let data = &func.blocks[block];
    let (mut read, mut written) = (RegSet::EMPTY, RegSet::EMPTY);
    let mut slots = Vec::new();
    let note = |inst: &Inst<PReg>, read: &mut RegSet, written: &mut RegSet| {
        let effects = Effects::of::<Pvm>(inst);
        *read = read.union(effects.reads);
        *written = written.union(effects.writes);
    };
    data.control.inst().into_iter().for_each(|inst| note(inst, &mut read, &mut written));
    let mut found = Vec::new();
    for inst in data.insts.iter().rev() {
        let effects = Effects::of::<Pvm>(inst);
        let wanted_by = wanting(inst, &effects, ways).filter(|&n| ways[n].is_private);
        let is_free = effects.reads.intersection(written).is_empty()
            && effects.writes.intersection(written.union(read)).is_empty()
            && effects.slot.is_none_or(|access| !slots.contains(&access.slot));
        match wanted_by.filter(|_| is_free) {
            Some(n) => {
                ways[n].live.step_back(&effects);
                found.push((inst.clone(), ways[n].to));
            }
            None => {
                note(inst, &mut read, &mut written);
                slots.extend(effects.slot.map(|access| access.slot));
            }
        }
    }
    found
}

/// The successor that reads the result of a copy or spill, if exactly one does.
fn wanting(inst: &Inst<PReg>, effects: &Effects, ways: &[Way; 2]) -> Option<usize> {
    let wants = |live: &Live| match (inst.as_copy(), effects.slot) {
        (Some(_), _) => Some(!effects.writes.intersection(live.regs).is_empty()),
        (None, Some(SlotAccess { slot, is_store: true })) => Some(live.has_slot(slot)),
        _ => None,
    };
    match [wants(&ways[0].live)?, wants(&ways[1].live)?] {
        [true, false] => Some(0),
        [false, true] => Some(1),
        _ => None,
    }
}

/// Removes the last instruction equal to `inst`.
fn remove_last(insts: &mut Insts<Inst<PReg>>, inst: &Inst<PReg>) {
    let at = insts.iter().rposition(|other| other == inst).expect("it was found there");
    insts.remove(at);
}
