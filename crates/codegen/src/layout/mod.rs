//! Block layout: which block stands where, and which blocks exist at all.
//!
//! [`order_blocks`] runs before allocation. It keeps the values' sense of direction: a block comes after the blocks
//! that dominate it, so that live intervals begin at definitions. Blocks that end in a trap go to the end.
//!
//! [`finish`] runs after allocation, when it is known which edges carry moves. It removes empty blocks, joins
//! straight lines, shares or duplicates ends of blocks, orders what is left for as few executed jumps as possible,
//! now with loops rotated, and turns branches so that they fall through.
//!
//! Edges have frequencies ([`EdgeFreqs`]). Before blocks are joined and edges are threaded they follow from the
//! frequencies of blocks, because no edge is critical; so they are taken once, at the start, and kept up to date.

mod chains;
mod exchange;
mod settle;
mod simplify;
mod tails;

use ssa::{EntityId, IdVec};

use crate::mir::{Block, Control, Function, VReg};
use crate::registers::{PReg, Register};
use crate::target::Target;

/// Executions per call of the edges of each block: to the only successor or the taken one, and to the other.
/// Edges of a dispatch are not listed.
type EdgeFreqs = IdVec<Block, [f32; 2]>;

/// Orders the blocks before allocation: dominators first, likely successors next to each other, traps last.
pub fn order_blocks<T: Target>(func: &mut Function<T, VReg>) {
    let freqs = edge_freqs(func);
    func.order = chains::order(func, &freqs, chains::Goal::DominatorsFirst);
}

/// Settles the blocks of an allocated function: see the module's comment. Afterwards [`Function::order`] lists only
/// the blocks that are left.
pub fn finish<T: Target>(target: &T, func: &mut Function<T, PReg>) {
    let mut freqs = edge_freqs(func);
    simplify::simplify(func, &mut freqs);
    tails::share(func, &mut freqs);
    if !func.optimize_for_size {
        tails::duplicate_exits(func, &mut freqs);
        simplify::simplify(func, &mut freqs);
    }
    func.order = chains::order(func, &freqs, chains::Goal::Fallthrough);
    tails::replace_jumps_to_exits(target, func, &mut freqs);
    simplify::join_pairs(func, &mut freqs);
    settle::turn_branches(func, &freqs);
}

/// How many edges lead to each block, those of a dispatch counted each.
fn predecessor_counts<T: Target, R: Register>(func: &Function<T, R>) -> IdVec<Block, u32> {
    let mut counts = IdVec::filled(0, func.blocks.len());
    for &block in &func.order {
        for_each_successor(&func.blocks[block].control, |to| counts[to] += 1);
    }
    counts
}

/// Visits the successors, with repetitions.
pub(crate) fn for_each_successor<T: Target, R: Register>(control: &Control<T, R>, mut f: impl FnMut(Block)) {
    match control {
        Control::Jump(to) => f(to.block),
        Control::Branch { taken, other, .. } => {
            f(taken.block);
            f(other.block);
        }
        Control::Dispatch { targets, .. } => targets.iter().copied().for_each(f),
        Control::Exit(_) => {}
    }
}

/// Visits the successors, with repetitions, for changing them.
fn for_each_successor_mut<T: Target, R: Register>(
    control: &mut Control<T, R>,
    mut f: impl FnMut(&mut Block),
) {
    match control {
        Control::Jump(to) => f(&mut to.block),
        Control::Branch { taken, other, .. } => {
            f(&mut taken.block);
            f(&mut other.block);
        }
        Control::Dispatch { targets, .. } => targets.iter_mut().for_each(f),
        Control::Exit(_) => {}
    }
}

/// Edge frequencies from block frequencies: exact where the successors of a branch have no other predecessor, in
/// proportion to the successors' frequencies otherwise.
fn edge_freqs<T: Target, R: Register>(func: &Function<T, R>) -> EdgeFreqs {
    let counts = predecessor_counts(func);
    let of_block = |id: Block| {
        let data = &func.blocks[id];
        match &data.control {
            Control::Jump(_) => [data.freq, 0.0],
            Control::Branch { taken, other, .. } => {
                let freqs = [taken, other].map(|to| func.blocks[to.block].freq);
                match [taken, other].map(|to| counts[to.block] == 1) {
                    [true, true] => freqs,
                    [true, false] => [freqs[0], (data.freq - freqs[0]).max(0.0)],
                    [false, true] => [(data.freq - freqs[1]).max(0.0), freqs[1]],
                    [false, false] => {
                        let sum = freqs[0] + freqs[1];
                        if sum > 0.0 { freqs.map(|freq| data.freq * freq / sum) } else { [0.0; 2] }
                    }
                }
            }
            Control::Dispatch { .. } | Control::Exit(_) => [0.0; 2],
        }
    };
    func.blocks.ids().map(of_block).collect()
}

/// The entry block.
fn entry() -> Block {
    Block::new(0)
}
