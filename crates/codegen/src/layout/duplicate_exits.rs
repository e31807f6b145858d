//! Duplicating exits: a jump to a small block that leaves the function becomes a copy of that block.
//!
//! In functions that should be fast, the pass runs before blocks are ordered, because the copies make longer straight
//! lines. In all functions it runs again afterwards, where a copy can replace a jump that the order requires.

use ssa::IdVec;

use super::{EdgeFreqs, entry, for_each_successor, wants_small};
use crate::emit::{CodeBuffer, Encode};
use crate::mir::{Block, Control, Function, Isa, PReg};

/// Maximum number of instructions of a block that is copied to save a jump to it.
const COPIED_INSTS: usize = 4;

/// Replaces jumps to small exit blocks by copies of them, for speed.
pub(super) fn duplicate_exits<T: Isa>(func: &mut Function<T, PReg>, freqs: &mut EdgeFreqs) {
    for block in func.order.clone() {
        if let Control::Jump(to) = &func.blocks[block].control
            && has_few_instructions(func, to.block)
            && !wants_small(func, func.blocks[block].freq)
        {
            copy_exit(func, freqs, to.block, block);
        }
    }
}

/// Replaces the jumps that the order requires by copies of small exit blocks, where that is no worse.
pub(super) fn replace_jumps<T: Encode>(target: &T, func: &mut Function<T, PReg>, freqs: &mut EdgeFreqs) {
    let order = std::mem::take(&mut func.order);
    for (n, &block) in order.iter().enumerate() {
        let next = order.get(n + 1).copied();
        func.order.push(block);
        let worth_copying = |to: Block, freq: f32| {
            let rule = if wants_small(func, freq) { is_no_larger_than_jump } else { is_quick };
            next != Some(to) && rule(target, func, to)
        };
        match &func.blocks[block].control {
            Control::Jump(to) if worth_copying(to.block, freqs[block][0]) => {
                let to = to.block;
                copy_exit(func, freqs, to, block);
            }
            Control::Branch { taken, other, .. } if ![taken.block, other.block].map(Some).contains(&next) => {
                // The branch can be inverted, so a copy of either successor can replace the jump.
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
fn copy_exit<T: Isa>(func: &mut Function<T, PReg>, freqs: &mut EdgeFreqs, exit: Block, block: Block) {
    let copy = func.blocks[exit].clone();
    let data = &mut func.blocks[block];
    data.insts.append(copy.insts);
    data.control = copy.control;
    data.control_loc = copy.control_loc;
    freqs[block] = [0.0; 2];
}

/// Appends a copy of `exit` to the order, and redirects the branch of `block` to `exit` to the copy.
fn insert_exit<T: Isa>(func: &mut Function<T, PReg>, freqs: &mut EdgeFreqs, exit: Block, block: Block) {
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

/// Whether a block leaves the function after at most [`COPIED_INSTS`] instructions.
fn has_few_instructions<T: Isa>(func: &Function<T, PReg>, block: Block) -> bool {
    let data = &func.blocks[block];
    matches!(data.control, Control::Exit(_)) && data.insts.len() <= COPIED_INSTS
}

fn is_quick<T: Isa>(_: &T, func: &Function<T, PReg>, block: Block) -> bool {
    has_few_instructions(func, block)
}

/// Whether a block leaves the function in no more bytes than the shortest jump to it.
fn is_no_larger_than_jump<T: Encode>(target: &T, func: &Function<T, PReg>, block: Block) -> bool {
    let data = &func.blocks[block];
    let Control::Exit(exit) = &data.control else { return false };
    let mut jump = CodeBuffer::new(func.blocks.len());
    target.encode_jump(block, &mut jump);
    let mut copy = CodeBuffer::new(func.blocks.len());
    target.encode(exit, &mut copy);
    data.insts.is_empty() && copy.size_bounds().1 <= jump.size_bounds().0
}

fn drop_unreachable<T: Isa>(func: &mut Function<T, PReg>) {
    let mut reached: IdVec<Block, bool> = IdVec::filled(false, func.blocks.len());
    let mut work = vec![entry()];
    while let Some(block) = work.pop() {
        if !std::mem::replace(&mut reached[block], true) {
            for_each_successor(&func.blocks[block].control, |to| work.push(to));
        }
    }
    func.order.retain(|&block| reached[block]);
}
