//! Ends of blocks: sharing them for size, duplicating them for speed.
//!
//! Sharing (cross-jumping): blocks with the same control and the same last instructions can run into one copy of
//! them. Among blocks of one control we sort by the instructions read backwards, so that those with long common ends
//! are neighbours, and join neighbours by falling length of what they share. A joined pair stands for its common
//! end from then on; a later, shorter join splits that again. This finds for every set of blocks the longest end
//! they share, at the price of a sort.
//!
//! Sharing lets more blocks be equal further up, so it is repeated until nothing changes, a limited number of times.
//! The entry is never what others jump to.
//!
//! Duplicating: a jump to a small block that leaves the function becomes a copy of it. For speed that is done before
//! blocks are ordered, because the copies are longer straight lines. In any case it is done again afterwards, where
//! a copy stands in for a jump that the order has left over.
//!
//! In a function that is to be fast, what is rarely executed is made small nevertheless.

use std::cmp::Reverse;
use std::collections::HashMap;

use ssa::IdVec;

use super::simplify::{set_jump, simplify};
use super::{EdgeFreqs, entry, for_each_successor};
use crate::buffer::CodeBuffer;
use crate::mir::{Block, BlockData, Control, Function, Succ};
use crate::registers::PReg;
use crate::target::{Position, Target};

/// Most instructions of a block that is worth a copy of it in place of a jump to it.
const COPIED_INSTS: usize = 4;

/// What is executed less often per call is made small, not fast.
const RARE: f32 = 1.0 / 32.0;

/// How often sharing looks again, at most.
const SHARING_ROUNDS: u32 = 12;

/// Whether code that is executed `freq` times per call should be small rather than fast.
fn wants_small<T: Target>(func: &Function<T, PReg>, freq: f32) -> bool {
    func.optimize_for_size || freq < RARE
}

/// Lets blocks share their common ends; only rare blocks where speed is wanted.
pub(super) fn share<T: Target>(func: &mut Function<T, PReg>, freqs: &mut EdgeFreqs) {
    for _ in 0..SHARING_ROUNDS {
        let mut changed = false;
        for mut group in same_controls(func) {
            let traps = matches!(&func.blocks[group[0]].control, Control::Exit(inst) if T::is_trap(inst));
            group.retain(|&block| traps || wants_small(func, func.blocks[block].freq));
            changed |= share_in_group(func, freqs, &group);
        }
        if !changed {
            break;
        }
        simplify(func, freqs);
    }
}

/// Blocks grouped by control, without groups of one.
fn same_controls<T: Target>(func: &Function<T, PReg>) -> Vec<Vec<Block>> {
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

fn share_in_group<T: Target>(func: &mut Function<T, PReg>, freqs: &mut EdgeFreqs, group: &[Block]) -> bool {
    let (mut tails, common) = sorted_by_ends(func, group);
    // Neighbours by falling length of their common end; a cluster is a range whose tail is kept at both of its ends.
    let mut joins: Vec<usize> = (0..common.len()).filter(|&left| common[left] > 0).collect();
    joins.sort_by_key(|&left| (Reverse(common[left]), left));
    let mut other_end: Vec<usize> = (0..tails.len()).collect();
    let mut changed = false;
    for left in joins {
        if let Some(tail) = join_ends(func, freqs, [tails[left], tails[left + 1]], common[left]) {
            let (first, last) = (other_end[left], other_end[left + 1]);
            (other_end[first], other_end[last]) = (last, first);
            (tails[first], tails[last]) = (tail, tail);
            changed = true;
        }
    }
    changed
}

/// The blocks of a group sorted by their instructions read backwards, and how many last instructions each has in
/// common with the next.
fn sorted_by_ends<T: Target>(func: &Function<T, PReg>, group: &[Block]) -> (Vec<Block>, Vec<usize>) {
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

/// Lets two blocks with the same control run into one copy of their last `len` instructions. Returns the block that
/// holds it, or nothing if that is not worth while.
fn join_ends<T: Target>(
    func: &mut Function<T, PReg>,
    freqs: &mut EdgeFreqs,
    pair: [Block; 2],
    len: usize,
) -> Option<Block> {
    let whole = pair.into_iter().find(|&block| func.blocks[block].insts.len() == len && block != entry());
    let tail = match whole {
        Some(block) => block,
        None => split_end(func, freqs, pair[0], len),
    };
    for block in pair.into_iter().filter(|&block| block != tail) {
        if whole.is_none() && block == pair[0] {
            continue;
        }
        let data = &mut func.blocks[block];
        data.insts.truncate(data.insts.len() - len);
        let freq = data.freq;
        func.blocks[tail].freq += freq;
        let [taken, other] = freqs[block];
        freqs[tail][0] += taken;
        freqs[tail][1] += other;
        set_jump(func, freqs, block, tail);
    }
    Some(tail)
}

/// Moves the last `len` instructions of `block`, and its control, to a new block that it jumps to.
fn split_end<T: Target>(
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
    func.blocks.push(BlockData { params: Vec::new(), insts, control, control_loc, freq });
    freqs.push(freqs[block]);
    freqs[block] = [freq, 0.0];
    tail
}

/// Replaces jumps to small blocks that leave the function by copies of the blocks, for speed.
pub(super) fn duplicate_exits<T: Target>(func: &mut Function<T, PReg>, freqs: &mut EdgeFreqs) {
    for block in func.order.clone() {
        if let Control::Jump(to) = &func.blocks[block].control
            && has_few_instructions(func, to.block)
            && !wants_small(func, func.blocks[block].freq)
        {
            copy_exit(func, freqs, to.block, block);
        }
    }
}

/// Puts copies of small blocks that leave the function in place of jumps that the order left over.
pub(super) fn replace_jumps_to_exits<T: Target>(
    target: &T,
    func: &mut Function<T, PReg>,
    freqs: &mut EdgeFreqs,
) {
    let order = std::mem::take(&mut func.order);
    for (n, &block) in order.iter().enumerate() {
        let at = Position { block, next: order.get(n + 1).copied() };
        func.order.push(block);
        let worth_copying = |to: Block, freq: f32| {
            let rule = if wants_small(func, freq) { is_no_larger_than_jump } else { is_quick };
            at.next != Some(to) && rule(target, func, to, at)
        };
        match &func.blocks[block].control {
            Control::Jump(to) if worth_copying(to.block, freqs[block][0]) => {
                let to = to.block;
                copy_exit(func, freqs, to, block);
            }
            Control::Branch { taken, other, .. }
                if ![taken.block, other.block].map(Some).contains(&at.next) =>
            {
                // The branch can be turned, so a copy of either can stand in for the jump.
                let [to_taken, to_other] = freqs[block];
                let ways = [(other.block, to_other), (taken.block, to_taken)];
                if let Some((to, _)) = ways.into_iter().find(|&(to, freq)| worth_copying(to, freq)) {
                    insert_exit(func, freqs, to, block);
                }
            }
            _ => {}
        }
    }
    drop_unreachable(func);
}

/// Appends a copy of `exit` to `block`, which jumps to it.
fn copy_exit<T: Target>(func: &mut Function<T, PReg>, freqs: &mut EdgeFreqs, exit: Block, block: Block) {
    let copy = func.blocks[exit].clone();
    let data = &mut func.blocks[block];
    data.insts.append(copy.insts);
    data.control = copy.control;
    data.control_loc = copy.control_loc;
    freqs[block] = [0.0; 2];
}

/// Makes a copy of `exit` the last block, for the edge from `block`, which branches to it.
fn insert_exit<T: Target>(func: &mut Function<T, PReg>, freqs: &mut EdgeFreqs, exit: Block, block: Block) {
    let mut data = func.blocks[exit].clone();
    let copy = func.blocks.next_id();
    let Control::Branch { taken, other, .. } = &mut func.blocks[block].control else { return };
    let (way, index) = if other.block == exit { (other, 1) } else { (taken, 0) };
    way.block = copy;
    data.freq = freqs[block][index];
    func.blocks.push(data);
    freqs.push([0.0; 2]);
    func.order.push(copy);
}

/// Whether a block leaves the function after few instructions.
fn has_few_instructions<T: Target>(func: &Function<T, PReg>, block: Block) -> bool {
    let data = &func.blocks[block];
    matches!(data.control, Control::Exit(_)) && data.insts.len() <= COPIED_INSTS
}

fn is_quick<T: Target>(_: &T, func: &Function<T, PReg>, block: Block, _: Position) -> bool {
    has_few_instructions(func, block)
}

/// Whether a block leaves the function in no more bytes than the shortest jump to it.
fn is_no_larger_than_jump<T: Target>(
    target: &T,
    func: &Function<T, PReg>,
    block: Block,
    at: Position,
) -> bool {
    let data = &func.blocks[block];
    let Control::Exit(exit) = &data.control else { return false };
    let mut jump = CodeBuffer::new(func.blocks.len());
    target.encode_jump(block, at, &mut jump);
    let mut copy = CodeBuffer::new(func.blocks.len());
    target.encode(exit, at, &mut copy);
    data.insts.is_empty() && copy.size_bounds().1 <= jump.size_bounds().0
}

fn drop_unreachable<T: Target>(func: &mut Function<T, PReg>) {
    let mut reached: IdVec<Block, bool> = IdVec::filled(false, func.blocks.len());
    let mut work = vec![entry()];
    while let Some(block) = work.pop() {
        if !std::mem::replace(&mut reached[block], true) {
            for_each_successor(&func.blocks[block].control, |to| work.push(to));
        }
    }
    func.order.retain(|&block| reached[block]);
}
