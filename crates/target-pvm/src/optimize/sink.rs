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

#[cfg(test)]
mod tests {
    use codegen::{BlockData, Succ};
    use pvm_isa::Opcode;
    use random::Rng;
    use ssa::{EntityId as _, IdVec};

    use super::*;

    const REGISTERS: [u8; 6] = [0, 2, 3, 4, 5, 6];

    fn copies(rng: &mut Rng, count: usize) -> Vec<Inst<PReg>> {
        let mut register = || PReg::new(rng.pick(&REGISTERS));
        (0..count).map(|_| Inst::copy(register(), register())).collect()
    }

    /// Copies, then a branch to two blocks with a few copies, which return some registers.
    fn random_function(rng: &mut Rng) -> Function<Pvm, PReg> {
        let [left, right] = [1, 2].map(Block::new);
        let to = |block| Succ { block, args: Vec::new() };
        let inst = Inst::BranchImm { op: Opcode::BranchEqImm, src: PReg::new(7), imm: 0 };
        let branch = Control::Branch { inst, taken: to(left), other: to(right) };
        let mut blocks = IdVec::new();
        blocks.push(BlockData { insts: copies(rng, 5).into(), ..BlockData::new(branch, 1.0) });
        for count in [rng.pick(&[0, 1, 2]), rng.pick(&[0, 1, 2])] {
            let mut used = || PReg::new(rng.pick(&REGISTERS));
            let uses = vec![(used(), PReg::new(7)), (used(), PReg::new(8))];
            let exit = Control::Exit(Inst::Return { uses });
            blocks.push(BlockData { insts: copies(rng, count).into(), ..BlockData::new(exit, 0.5) });
        }
        Function::new("f".to_owned(), blocks)
    }

    /// What the returned registers contained at the start, on the way through a block.
    fn returned(func: &Function<Pvm, PReg>, way: Block) -> Vec<usize> {
        let mut contents: Vec<usize> = (0..16).collect();
        let insts = [func.order[0], way].map(|block| &func.blocks[block].insts);
        for inst in insts.into_iter().flatten() {
            let (dst, src) = inst.as_copy().expect("there are only copies");
            contents[dst.index()] = contents[src.index()];
        }
        let Control::Exit(Inst::Return { uses }) = &func.blocks[way].control else { panic!("it returns") };
        uses.iter().map(|(reg, _)| contents[reg.index()]).collect()
    }

    #[test]
    fn both_ways_return_the_same_as_before() {
        let mut sunk = 0;
        for seed in 0..3000 {
            let before = random_function(&mut Rng::new(seed));
            let mut after = before.clone();
            sink(&mut after);
            for &way in &before.order[1..] {
                assert_eq!(returned(&after, way), returned(&before, way), "seed {seed}\n{before}\n{after}");
            }
            sunk += before.blocks[before.order[0]].insts.len() - after.blocks[before.order[0]].insts.len();
        }
        assert!(sunk > 1000, "only {sunk} copies sank");
    }
}
