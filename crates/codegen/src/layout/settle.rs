//! Inverting branches: the last step of layout, when the order is final.
//!
//! A branch whose taken successor is next is inverted, so that it falls through. Where neither successor is next, a
//! jump follows the branch; it goes to the less frequent successor.

use super::EdgeFreqs;
use crate::mir::{Block, Control, Function, Isa, PReg};

/// Inverts branches where that saves a jump or makes it less frequent.
pub(super) fn turn_branches<T: Isa>(func: &mut Function<T, PReg>, freqs: &EdgeFreqs) {
    for position in 0..func.order.len() {
        let block = func.order[position];
        turn_branch(func, freqs, block, func.order.get(position + 1).copied());
    }
}

fn turn_branch<T: Isa>(func: &mut Function<T, PReg>, freqs: &EdgeFreqs, block: Block, next: Option<Block>) {
    let Control::Branch { inst, taken, other } = &mut func.blocks[block].control else { return };
    let jump_is_frequent = next != Some(other.block) && freqs[block][1] > freqs[block][0];
    if next == Some(taken.block) || jump_is_frequent {
        *inst = T::invert(inst);
        std::mem::swap(taken, other);
    }
}
