//! Block layout: ordering, merging and duplicating blocks.
//!
//! [`order_blocks`] runs before allocation. It puts every block after its dominators, so that live intervals begin at
//! definitions. Blocks that end in a trap go to the end.
//!
//! [`finish`] runs after allocation, when it is known which edges carry moves. It removes empty blocks, merges
//! straight-line sequences, and merges or duplicates block tails. Then it orders the remaining blocks for as few
//! executed jumps as possible, now with loops rotated, and inverts branches so that they fall through.
//!
//! Edges have frequencies ([`EdgeFreqs`]). At the start they follow from the frequencies of blocks, because no edge is
//! critical. They are computed once and kept up to date by every rewrite.

mod chains;
mod duplicate_exits;
mod exchange;
mod merge_tails;
mod settle;
mod simplify;

use ssa::{EntityId, IdVec};

use crate::emit::Encode;
use crate::mir::{Block, Control, Function, Isa, PReg, Register, VReg};

/// Executions per call of the edges of each block: to the only successor or the taken one, and to the other.
/// Edges of a dispatch are not listed.
type EdgeFreqs = IdVec<Block, [f32; 2]>;

/// Orders the blocks before allocation: dominators first, likely successors next to each other, traps last.
pub fn order_blocks<T: Isa>(target: &T, func: &mut Function<T, VReg>) {
    let freqs = edge_freqs(func);
    func.order = chains::order(target, func, &freqs, chains::Goal::DominatorsFirst);
}

/// Determines the final blocks of an allocated function and their order, see the module documentation. Afterwards
/// [`Function::order`] lists only the remaining blocks.
pub fn finish<T: Encode>(target: &T, func: &mut Function<T, PReg>) {
    let mut freqs = edge_freqs(func);
    simplify::simplify(func, &mut freqs);
    merge_tails::merge_tails(func, &mut freqs);
    if !func.optimize_for_size {
        duplicate_exits::duplicate_exits(func, &mut freqs);
        simplify::simplify(func, &mut freqs);
    }
    func.order = chains::order(target, func, &freqs, chains::Goal::Fallthrough);
    duplicate_exits::replace_jumps(target, func, &mut freqs);
    simplify::join_pairs(func, &mut freqs);
    settle::turn_branches(func, &freqs);
}

/// Blocks executed less often than this per call are made small even where a function should be fast.
const RARE: f32 = 1.0 / 32.0;

/// Whether code that is executed `freq` times per call should be small rather than fast.
fn wants_small<T: Isa>(func: &Function<T, PReg>, freq: f32) -> bool {
    func.optimize_for_size || freq < RARE
}

/// The number of edges to each block; every entry of a dispatch counts.
fn predecessor_counts<T: Isa, R: Register>(func: &Function<T, R>) -> IdVec<Block, u32> {
    let mut counts = IdVec::filled(0, func.blocks.len());
    for &block in &func.order {
        for_each_successor(&func.blocks[block].control, |to| counts[to] += 1);
    }
    counts
}

/// Visits the successors, with repetitions.
pub(crate) fn for_each_successor<T: Isa, R: Register>(control: &Control<T, R>, mut f: impl FnMut(Block)) {
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

/// Visits the successors, with repetitions, for updating them.
fn for_each_successor_mut<T: Isa, R: Register>(control: &mut Control<T, R>, mut f: impl FnMut(&mut Block)) {
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
fn edge_freqs<T: Isa, R: Register>(func: &Function<T, R>) -> EdgeFreqs {
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
