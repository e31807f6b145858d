//! Early exits: paths that leave the function early should need no frame.
//!
//! Allocation copies parameters at the entry to registers that survive calls, so even an early exit would have to save
//! those registers. Three changes avoid that. A branch reads the parameter itself instead of its copy. A copy sinks to
//! the successor that needs it. An early exit gets its own copy of the block with the return.
//!
//! A copy sinks if exactly one successor of the block reads its destination, that successor has no other predecessor,
//! and no later instruction of the block touches its registers. Only blocks at the beginning of the function, before
//! paths join, are visited, and a limited number of them.

use codegen::{Block, Control, Effects, Function, Live, Liveness, PReg, RegSet, StackSlot};
use ssa::IdVec;

use crate::isa::Thumb;
use crate::isa::inst::Inst;

/// Maximum number of blocks from which copies sink.
const MAX_BLOCKS: usize = 16;

/// Maximum number of instructions of a returning block that is duplicated.
const MAX_EXIT_INSTS: usize = 2;

/// Sinks copies at the function's beginning below its branches.
pub fn sink_copies(func: &mut Function<Thumb, PReg>) {
    let preds = predecessor_counts(func);
    let mut live = Liveness::of(func, RegSet::EMPTY).at_start;
    let mut beginning = vec![func.order[0]];
    let mut next = 0;
    while let Some(&block) = beginning.get(next).filter(|_| next < MAX_BLOCKS) {
        next += 1;
        read_sources(func, block);
        let Control::Branch { taken, other, .. } = &func.blocks[block].control else { continue };
        let ways = [taken.block, other.block];
        for (at, to) in sinkable(func, block, ways, &preds, &mut live) {
            let inst = func.blocks[block].insts.remove(at);
            func.blocks[to].insts.insert(0, inst);
        }
        beginning.extend(ways.into_iter().filter(|&to| preds[to] == 1));
    }
}

/// For each block the number of edges to it.
pub fn predecessor_counts(func: &Function<Thumb, PReg>) -> IdVec<Block, u32> {
    let mut counts = IdVec::filled(0, func.blocks.len());
    for &block in &func.order {
        func.blocks[block].control.successors().into_iter().for_each(|to| counts[to] += 1);
    }
    counts
}

/// Makes a block's branch read the sources of the block's copies, where they still hold the value.
fn read_sources(func: &mut Function<Thumb, PReg>, block: Block) {
    let data = &mut func.blocks[block];
    let mut copies: Vec<(PReg, PReg)> = Vec::new();
    for inst in &data.insts {
        let writes = Effects::of::<Thumb>(inst).writes;
        copies.retain(|&(dst, src)| !writes.contains(dst) && !writes.contains(src));
        copies.extend(inst.as_copy().filter(|(dst, src)| dst != src));
    }
    if let Control::Branch { inst: inst @ Inst::Branch(_), .. } = &mut data.control {
        let source = |reg: PReg| copies.iter().find(|(dst, _)| *dst == reg).map_or(reg, |&(_, src)| src);
        *inst = inst.map_operands(&mut |reg, _| source(reg));
    }
}

/// The copies of a block that may sink, last first, each with the successor it goes to. Sources of these copies become
/// live there.
fn sinkable(
    func: &Function<Thumb, PReg>,
    block: Block,
    ways: [Block; 2],
    preds: &IdVec<Block, u32>,
    live: &mut IdVec<Block, Live>,
) -> Vec<(usize, Block)> {
    let data = &func.blocks[block];
    let Some(control) = data.control.inst() else { return Vec::new() };
    let mut behind = Effects::of::<Thumb>(control);
    let mut found = Vec::new();
    for (at, inst) in data.insts.iter().enumerate().rev() {
        let effects = Effects::of::<Thumb>(inst);
        let wanted = ways.map(|to| !effects.writes.intersection(live[to].regs).is_empty());
        let wanting = match (inst.as_copy(), wanted) {
            (Some(_), [true, false]) => Some(ways[0]),
            (Some(_), [false, true]) => Some(ways[1]),
            _ => None,
        };
        let is_free = effects.reads.intersection(behind.writes).is_empty()
            && effects.writes.intersection(behind.writes.union(behind.reads)).is_empty();
        match wanting.filter(|&to| is_free && preds[to] == 1) {
            Some(to) => {
                live[to].step_back(&effects);
                found.push((at, to));
            }
            None => {
                behind.reads = behind.reads.union(effects.reads);
                behind.writes = behind.writes.union(effects.writes);
            }
        }
    }
    found
}

/// For each block, whether it returns after so few instructions that blocks may get a copy of it. When optimising for
/// size it must be empty. The blocks that jump to it must then differ, because equal ones would otherwise be merged.
pub fn short_ends(func: &Function<Thumb, PReg>) -> IdVec<Block, bool> {
    let mut jumping: IdVec<Block, Vec<Block>> = IdVec::filled(Vec::new(), func.blocks.len());
    for &block in &func.order {
        if let Control::Jump(to) = &func.blocks[block].control
            && jumping[to.block].len() < MAX_BLOCKS
        {
            jumping[to.block].push(block);
        }
    }
    let is_short = |block: Block| {
        let data = &func.blocks[block];
        let jumping = &jumping[block];
        let is_alone = |&one: &Block| {
            let insts = &func.blocks[one].insts;
            !insts.is_empty()
                && jumping.iter().all(|&other| one == other || *insts != func.blocks[other].insts)
        };
        let suits = match func.optimize_for_size {
            true => data.insts.is_empty() && jumping.len() < MAX_BLOCKS && jumping.iter().all(is_alone),
            false => data.insts.len() <= MAX_EXIT_INSTS,
        };
        suits && matches!(data.control, Control::Exit(Inst::Return { .. }))
    };
    func.blocks.ids().map(is_short).collect()
}

/// Gives blocks without the frame their own copy of a returning block that has the frame, if they jump to it.
pub fn detach_ends(
    func: &mut Function<Thumb, PReg>,
    framed: &IdVec<Block, bool>,
    short_ends: &IdVec<Block, bool>,
) {
    for n in 0..func.order.len() {
        let block = func.order[n];
        let Control::Jump(to) = &func.blocks[block].control else { continue };
        let end = to.block;
        if framed[block] || !framed[end] || !short_ends[end] {
            continue;
        }
        let copy = func.blocks[end].clone();
        let data = &mut func.blocks[block];
        data.insts.append(copy.insts);
        (data.control, data.control_loc) = (copy.control, copy.control_loc);
    }
}

/// Whether a block needs the frame, given the callee-saved registers `saved` that the function changes.
pub fn needs_frame(func: &Function<Thumb, PReg>, saved: RegSet, block: Block) -> bool {
    let data = &func.blocks[block];
    data.insts.iter().chain(data.control.inst()).any(|inst| {
        let is_call_or_slot = match inst {
            Inst::Call(_) | Inst::SlotAddr { .. } => true,
            Inst::LoadSlot { slot, .. } | Inst::StoreSlot { slot, .. } => {
                !matches!(slot, StackSlot::Incoming(_))
            }
            _ => false,
        };
        is_call_or_slot || !Effects::of::<Thumb>(inst).writes.intersection(saved).is_empty()
    })
}
