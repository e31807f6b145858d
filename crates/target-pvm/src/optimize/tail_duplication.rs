//! Tail duplication: replacing a jump to a short block by a copy of the block.
//!
//! In GP 0.8 a jump costs 15 gas. A block cut in two costs the sum of two maxima, because loads in the two halves don't
//! overlap. After allocation, blocks are connected by registers only, so a copy is as good as the original. Candidates
//! are taken hottest first. A copy is made if the gas it saves according to the simulator, times its frequency, is
//! worth its bytes, within a budget of bytes per function.
//!
//! Short blocks that return are copied into every common path: a path needs no frame only if it shares no block with
//! one that does.

use codegen::{Block, Control, Function, PReg, predecessors};
use pvm_isa::{GpVersion, Inst as Machine, asm};

use crate::analysis::effects::ends_block;
use crate::analysis::price::price;
use crate::isa::{Inst, Mem, Pvm, SP};

/// Maximum number of instructions in a block that is duplicated.
const MAX_INSTS: usize = 14;
/// Maximum number of instructions in a returning block that is duplicated whatever it saves.
const MAX_EXIT_INSTS: usize = 6;
/// Minimum number of executions per call for which a path is common.
const COMMON: f32 = 0.05;
/// Bytes by which a function may grow, in addition to a quarter of its size.
const ALLOWANCE: usize = 96;
/// Gas per call of the function that each added byte must save.
const GAS_PER_BYTE: f32 = 2.0;

/// Duplicates blocks into those that jump to them.
pub fn duplicate(gp: GpVersion, func: &mut Function<Pvm, PReg>) {
    let size: usize = func.order.iter().map(|&block| bytes(gp, func, block)).sum();
    let mut budget = ALLOWANCE + size / 4;
    let mut candidates: Vec<Block> = func.order.clone();
    let mut preds = predecessors(func);
    let freq = |func: &Function<Pvm, PReg>, block: Block| func.blocks[block].freq;
    candidates.sort_by(|&a, &b| freq(func, b).total_cmp(&freq(func, a)).then(a.cmp(&b)));
    for block in candidates {
        let Control::Jump(to) = &func.blocks[block].control else { continue };
        let target = to.block;
        if target == block || func.blocks[target].insts.len() > MAX_INSTS {
            continue;
        }
        let cost = bytes(gp, func, target);
        let is_exit = is_short_exit(func, target) && func.blocks[block].freq >= COMMON;
        if cost <= budget
            && (is_exit || gp.has_block_prices() && pays(func, &preds[target], block, target, cost))
        {
            budget -= cost;
            append_copy(func, block, target);
            preds[target].retain(|&pred| pred != block);
            let mut onward = func.blocks[block].control.successors();
            onward.sort();
            onward.dedup();
            onward.into_iter().for_each(|to| preds[to].push(block));
        }
    }
    remove_unreachable(func);
}

fn append_copy(func: &mut Function<Pvm, PReg>, block: Block, target: Block) {
    let copy = func.blocks[target].clone();
    let data = &mut func.blocks[block];
    data.insts.append(copy.insts);
    (data.control, data.control_loc) = (copy.control, copy.control_loc);
    let freq = data.freq;
    func.blocks[target].freq = (copy.freq - freq).max(0.0);
}

fn is_short_exit(func: &Function<Pvm, PReg>, block: Block) -> bool {
    let data = &func.blocks[block];
    data.insts.len() <= MAX_EXIT_INSTS && matches!(data.control, Control::Exit(Inst::Return { .. }))
}

/// Whether a copy of `target` at the end of `block` saves enough.
fn pays(func: &Function<Pvm, PReg>, preds: &[Block], block: Block, target: Block, bytes: usize) -> bool {
    let (data, next) = (&func.blocks[block], &func.blocks[target]);
    // Edges to an empty block will be redirected to its successor.
    if preds.len() < 2 || data.insts.is_empty() || matches!(next.control, Control::Jump(_)) {
        return false;
    }
    // The most frequent of the blocks that jump here will fall through instead.
    let jumps = |pred: Block| {
        let data = &func.blocks[pred];
        matches!(data.control, Control::Jump(_)) && !data.insts.is_empty()
    };
    let falls = preds.iter().all(|&pred| !jumps(pred) || func.blocks[pred].freq <= data.freq);
    let end = if falls { asm::fallthrough() } else { asm::jump(0) };
    let cut = data.insts.iter().rposition(ends_block).map_or(0, |n| n + 1);
    let before: Vec<Machine> = data.insts[cut..].iter().filter_map(machine).collect();
    let first_end = next.insts.iter().position(ends_block);
    let head = &next.insts[..first_end.map_or(next.insts.len(), |n| n + 1)];
    let control = next.control.inst().filter(|_| first_end.is_none());
    let after: Vec<Machine> = head.iter().chain(control).filter_map(machine).collect();
    let apart = price(before.iter().chain([&end])) + price(after.iter());
    let together = price(before.iter().chain(&after));
    apart.saturating_sub(together) as f32 * data.freq >= GAS_PER_BYTE * bytes as f32
}

/// The machine instruction for prices: slots still have no place, so their displacements are arbitrary.
fn machine(inst: &Inst<PReg>) -> Option<Machine> {
    let mut inst = inst.clone();
    if let Inst::SlotAddr { dst, .. } = inst {
        inst = Inst::copy(dst, SP);
    } else if let Some(mem @ Mem::Slot(_)) = inst.mem_mut() {
        *mem = Mem::Reg(SP, 1);
    }
    inst.machine()
}

/// Approximate size of a block in bytes.
fn bytes(gp: GpVersion, func: &Function<Pvm, PReg>, block: Block) -> usize {
    let data = &func.blocks[block];
    let insts = data.insts.iter().chain(data.control.inst()).filter_map(machine);
    insts.map(|inst| inst.encoded_len(gp)).sum()
}

/// Removes blocks without predecessors from the order.
fn remove_unreachable(func: &mut Function<Pvm, PReg>) {
    let mut reached = ssa::IdVec::filled(false, func.blocks.len());
    let mut stack = vec![func.order[0]];
    while let Some(block) = stack.pop() {
        if !std::mem::replace(&mut reached[block], true) {
            stack.extend(func.blocks[block].control.successors());
        }
    }
    func.order.retain(|&block| reached[block]);
}
