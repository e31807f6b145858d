//! Simplifying the control-flow graph after allocation.
//!
//! Four rewrites, each linear, are repeated until none applies:
//!
//! * Jump threading: an edge to an empty block that only jumps is redirected to the target of the jump. A branch whose
//!   two successors then are the same, or have equal contents, becomes a jump.
//! * Merging traps: of the blocks that consist of the same trap, one stays.
//! * Sinking: if all predecessors of a block jump to it, the last instructions they have in common move to its start.
//! * Merging blocks: a block whose only predecessor jumps to it is appended to that predecessor.
//!
//! Termination: each application removes an instruction, an edge or a block, or moves an edge off a block for good.
//! Blocks are visited after their successors, so a cascade of rewrites usually takes one round.

use std::collections::HashMap;

use ssa::IdVec;

use super::chains::reverse_postorder;
use super::{EdgeFreqs, entry, for_each_successor_mut, predecessor_counts};
use crate::mir::{Block, Control, Function, Insts, Isa, PReg, Succ};

/// Applies the rewrites and drops unreachable blocks. The order afterwards is a reverse postorder.
pub(super) fn simplify<T: Isa>(func: &mut Function<T, PReg>, freqs: &mut EdgeFreqs) {
    let mut changed = true;
    while changed {
        func.order = reverse_postorder(func, freqs);
        changed = share_traps(func);
        changed |= thread_edges(func, freqs);
        func.order = reverse_postorder(func, freqs);
        changed |= sink_common_ends(func);
        changed |= join_pairs(func, freqs);
    }
}

/// Makes `block` jump to `to`.
pub(super) fn set_jump<T: Isa>(func: &mut Function<T, PReg>, freqs: &mut EdgeFreqs, block: Block, to: Block) {
    func.blocks[block].control = Control::Jump(Succ { block: to, args: Vec::new() });
    freqs[block] = [func.blocks[block].freq, 0.0];
}

/// Whether two blocks have the same instructions and the same jump or exit.
fn same_contents<T: Isa>(func: &Function<T, PReg>, a: Block, b: Block) -> bool {
    let (a, b) = (&func.blocks[a], &func.blocks[b]);
    let same_control = match (&a.control, &b.control) {
        (Control::Jump(a), Control::Jump(b)) => a.block == b.block,
        (Control::Exit(a), Control::Exit(b)) => a == b,
        _ => false,
    };
    same_control && a.insts == b.insts
}

fn thread_edges<T: Isa>(func: &mut Function<T, PReg>, freqs: &mut EdgeFreqs) -> bool {
    let mut changed = false;
    let mut goes_to: IdVec<Block, Block> = func.blocks.ids().collect();
    for block in func.order.clone().into_iter().rev() {
        for_each_successor_mut(&mut func.blocks[block].control, |to| {
            changed |= goes_to[*to] != *to;
            *to = goes_to[*to];
        });
        if let Control::Branch { taken, other, .. } = &func.blocks[block].control {
            let (taken, other) = (taken.block, other.block);
            if taken == other || same_contents(func, taken, other) {
                if taken != other {
                    // Another way leads into its loop.
                    func.blocks[taken].bound = None;
                }
                set_jump(func, freqs, block, taken);
                changed = true;
            }
        }
        let data = &func.blocks[block];
        if let Control::Jump(to) = &data.control
            && data.insts.is_empty()
            && to.block != block
        {
            goes_to[block] = to.block;
        }
    }
    changed
}

fn share_traps<T: Isa>(func: &mut Function<T, PReg>) -> bool {
    let mut first = HashMap::new();
    let mut same: IdVec<Block, Block> = func.blocks.ids().collect();
    for &block in &func.order {
        let data = &func.blocks[block];
        if let Control::Exit(inst) = &data.control
            && data.insts.is_empty()
            && T::is_trap(inst)
        {
            same[block] = *first.entry(inst).or_insert(block);
        }
    }
    let mut changed = false;
    for &block in &func.order {
        for_each_successor_mut(&mut func.blocks[block].control, |to| {
            changed |= same[*to] != *to;
            *to = same[*to];
        });
    }
    changed
}

fn sink_common_ends<T: Isa>(func: &mut Function<T, PReg>) -> bool {
    let counts = predecessor_counts(func);
    let mut jumping: IdVec<Block, Vec<Block>> = IdVec::filled(Vec::new(), func.blocks.len());
    for &block in &func.order {
        if let Control::Jump(to) = &func.blocks[block].control {
            jumping[to.block].push(block);
        }
    }
    let mut changed = false;
    for block in func.order.clone().into_iter().rev() {
        if jumping[block].len() > 1 && jumping[block].len() == counts[block] as usize {
            changed |= sink_into(func, &jumping[block], block);
        }
    }
    changed
}

/// Moves the common last instructions of the blocks `from` to the start of `block`.
fn sink_into<T: Isa>(func: &mut Function<T, PReg>, from: &[Block], block: Block) -> bool {
    let ends = from.iter().map(|&from| &func.blocks[from].insts[..]);
    let common = ends.reduce(common_end).map_or(0, <[_]>::len);
    if common == 0 {
        return false;
    }
    let mut sunk = Insts::new();
    for &from in from {
        let insts = &mut func.blocks[from].insts;
        sunk = insts.split_off(insts.len() - common);
    }
    let rest = std::mem::replace(&mut func.blocks[block].insts, sunk);
    func.blocks[block].insts.append(rest);
    true
}

/// The longest common suffix.
fn common_end<'a, I: PartialEq>(a: &'a [I], b: &[I]) -> &'a [I] {
    let len = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    &a[a.len() - len..]
}

/// Merges blocks that form a straight line; the others keep their order.
pub(super) fn join_pairs<T: Isa>(func: &mut Function<T, PReg>, freqs: &mut EdgeFreqs) -> bool {
    let counts = predecessor_counts(func);
    let mut joined = IdVec::filled(false, func.blocks.len());
    let mut changed = false;
    for block in func.order.clone() {
        while !joined[block] {
            let Control::Jump(to) = &func.blocks[block].control else { break };
            let to = to.block;
            if counts[to] != 1 || to == block || to == entry() {
                break;
            }
            append(func, freqs, block, to);
            joined[to] = true;
            changed = true;
        }
    }
    func.order.retain(|&block| !joined[block]);
    changed
}

/// Moves the contents of `next` to the end of `block`, which jumps to it.
fn append<T: Isa>(func: &mut Function<T, PReg>, freqs: &mut EdgeFreqs, block: Block, next: Block) {
    let nothing = Control::Jump(Succ { block: next, args: Vec::new() });
    let insts = std::mem::take(&mut func.blocks[next].insts);
    let control_loc = func.blocks[next].control_loc;
    let control = std::mem::replace(&mut func.blocks[next].control, nothing);
    let data = &mut func.blocks[block];
    data.insts.append(insts);
    data.control = control;
    data.control_loc = control_loc;
    freqs[block] = freqs[next];
}
