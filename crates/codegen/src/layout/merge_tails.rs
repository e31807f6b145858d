//! Tail merging (cross-jumping): blocks that end alike share one copy of their tail, for size.
//!
//! Blocks with the same control and the same last instructions can jump to one copy of them. Among blocks with one
//! control we sort by the instructions read backwards, so that blocks with long common tails are adjacent. Then we
//! merge adjacent blocks by descending length of their common tail. A merged pair is represented by the block with the
//! common tail; a later merge with a shorter tail splits that block again. This finds the longest common tail of every
//! set of blocks, at the cost of a sort.
//!
//! Merged tails let more blocks end alike, so merging is repeated until nothing changes, at most [`ROUNDS`] times.
//!
//! Where a function should be fast, only traps and rarely executed blocks are merged. Other blocks never jump to the
//! entry.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::simplify::{set_jump, simplify};
use super::{EdgeFreqs, entry, wants_small};
use crate::mir::{Block, BlockData, Control, Function, Isa, PReg, Succ};

/// Maximum number of rounds.
const ROUNDS: u32 = 12;

/// Merges common tails of blocks. In functions that should be fast, only traps and rare blocks are merged.
pub(super) fn merge_tails<T: Isa>(func: &mut Function<T, PReg>, freqs: &mut EdgeFreqs) {
    for _ in 0..ROUNDS {
        let mut changed = false;
        for mut group in same_controls(func) {
            let traps = matches!(&func.blocks[group[0]].control, Control::Exit(inst) if T::is_trap(inst));
            group.retain(|&block| traps || wants_small(func, func.blocks[block].freq));
            changed |= merge_in_group(func, freqs, &group);
        }
        if !changed {
            break;
        }
        simplify(func, freqs);
    }
}

/// Groups of at least two blocks with the same control.
fn same_controls<T: Isa>(func: &Function<T, PReg>) -> Vec<Vec<Block>> {
    let mut index_of = HashMap::new();
    let mut groups: Vec<Vec<Block>> = Vec::new();
    for &block in &func.order {
        let key = match &func.blocks[block].control {
            Control::Jump(to) => (None, Some(to.block), None),
            Control::Branch { inst, taken, other } => (Some(inst), Some(taken.block), Some(other.block)),
            Control::Exit(inst) => (Some(inst), None, None),
            Control::Dispatch { .. } => continue,
        };
        let index = *index_of.entry(key).or_insert(groups.len());
        if index == groups.len() {
            groups.push(Vec::new());
        }
        groups[index].push(block);
    }
    groups.retain(|group| group.len() > 1);
    groups
}

fn merge_in_group<T: Isa>(func: &mut Function<T, PReg>, freqs: &mut EdgeFreqs, group: &[Block]) -> bool {
    let (mut tails, common) = sorted_by_tails(func, group);
    // Adjacent pairs by descending length of their common tail. A merged range has its tail at both of its ends.
    let mut joins: Vec<usize> = (0..common.len()).filter(|&left| common[left] > 0).collect();
    joins.sort_by_key(|&left| (Reverse(common[left]), left));
    let mut other_end: Vec<usize> = (0..tails.len()).collect();
    let mut changed = false;
    for left in joins {
        let tail = merge_pair(func, freqs, [tails[left], tails[left + 1]], common[left]);
        let (first, last) = (other_end[left], other_end[left + 1]);
        (other_end[first], other_end[last]) = (last, first);
        (tails[first], tails[last]) = (tail, tail);
        changed = true;
    }
    changed
}

/// The blocks of a group sorted by their instructions read backwards, and the number of last instructions that each has
/// in common with the next.
fn sorted_by_tails<T: Isa>(func: &Function<T, PReg>, group: &[Block]) -> (Vec<Block>, Vec<usize>) {
    let mut numbers = HashMap::new();
    let mut ends: Vec<(Vec<usize>, Block)> = Vec::with_capacity(group.len());
    for &block in group {
        let backwards = func.blocks[block].insts.iter().rev();
        let end = backwards.map(|inst| {
            let fresh = numbers.len();
            *numbers.entry(inst).or_insert(fresh)
        });
        ends.push((end.collect(), block));
    }
    ends.sort();
    let common_len = |a: &[usize], b: &[usize]| a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let common = ends.windows(2).map(|pair| common_len(&pair[0].0, &pair[1].0)).collect();
    (ends.into_iter().map(|(_, block)| block).collect(), common)
}

/// Lets two blocks with the same control share one copy of their last `len` instructions. Returns the block that holds
/// it.
fn merge_pair<T: Isa>(
    func: &mut Function<T, PReg>,
    freqs: &mut EdgeFreqs,
    pair: [Block; 2],
    len: usize,
) -> Block {
    let whole = pair.into_iter().find(|&block| func.blocks[block].insts.len() == len && block != entry());
    let tail = match whole {
        Some(block) => block,
        None => split_tail(func, freqs, pair[0], len),
    };
    for block in pair.into_iter().filter(|&block| block != tail) {
        if whole.is_none() && block == pair[0] {
            continue;
        }
        let data = &mut func.blocks[block];
        data.insts.truncate(data.insts.len() - len);
        let freq = data.freq;
        func.blocks[tail].freq += freq;
        // Another way leads into its loop.
        func.blocks[tail].bound = None;
        let [taken, other] = freqs[block];
        freqs[tail][0] += taken;
        freqs[tail][1] += other;
        set_jump(func, freqs, block, tail);
    }
    tail
}

/// Moves the last `len` instructions and the control of `block` to a new block that it jumps to.
fn split_tail<T: Isa>(
    func: &mut Function<T, PReg>,
    freqs: &mut EdgeFreqs,
    block: Block,
    len: usize,
) -> Block {
    let tail = func.blocks.next_id();
    let data = &mut func.blocks[block];
    let insts = data.insts.split_off(data.insts.len() - len);
    let jump = Control::Jump(Succ { block: tail, args: Vec::new() });
    let control = std::mem::replace(&mut data.control, jump);
    let (control_loc, freq) = (data.control_loc, data.freq);
    func.blocks.push(BlockData { insts, control_loc, ..BlockData::new(control, freq) });
    freqs.push(freqs[block]);
    freqs[block] = [freq, 0.0];
    tail
}
