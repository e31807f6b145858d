//! The size of basic blocks.
//!
//! Hosts of contracts refuse programs with a block of more than a certain number of instructions
//! ([`ProgramLayout::max_block`](crate::memory::ProgramLayout::max_block)). Code without branches that is longer is cut by
//! `fallthrough`, which ends a block and does nothing else. The count goes on from one block of the function to the next
//! unless a branch or an exit is between them: a jump to the next block is no instruction.

use codegen::{Control, Function, PReg};
use pvm_isa::Opcode;

use crate::analysis::effects::ends_block;
use crate::isa::{Inst, Pvm};

/// Instructions that the emitter may add to a block: a jump or a branch, and the `fallthrough` itself.
const MARGIN: usize = 4;

/// Cuts blocks of more than `max` instructions.
pub fn cut(func: &mut Function<Pvm, PReg>, max: usize) {
    let max = max - MARGIN;
    let mut count = 0;
    for block in func.order.clone() {
        let insts = &mut func.blocks[block].insts;
        let mut at = 0;
        while at < insts.len() {
            if count == max {
                insts.insert(at, Inst::Plain { op: Opcode::Fallthrough });
                (at, count) = (at + 1, 0);
            }
            count = if ends_block(&insts[at]) { 0 } else { count + 1 };
            at += 1;
        }
        if !matches!(func.blocks[block].control, Control::Jump(_)) {
            count = 0;
        }
    }
}
