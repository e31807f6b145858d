//! Where the frame exists: which block begins with the prologue.
//!
//! Blocks *need* the frame if they use a stack slot, call, or change a register that must be saved. The prologue goes
//! to the block we reach from the entry by following, as long as the block itself needs nothing, the only successor
//! from which a needing block can be reached, provided that it has no other way in. From there on everything reachable
//! has the frame; nothing may enter that region from outside of it except by its start, and it must not come back to
//! the start. The last block on the walk that satisfies this is the place; the entry always does.
//!
//! Each step looks at the rest of the function, so the walk is limited to a few.

use codegen::{Block, Function, PReg, StackSlot};
use ssa::IdVec;

use crate::inst::{Callee, Inst, Mem};
use crate::peephole::effects::{Effects, predecessors};
use crate::target::{CALLEE_SAVED, Pvm};

/// Longest walk.
const MAX_STEPS: usize = 16;

/// The block with the prologue, and for each block whether it has the frame.
pub fn choose(func: &Function<Pvm, PReg>) -> (Block, IdVec<Block, bool>) {
    let preds = predecessors(func);
    let wanting = wanting_blocks(func, &preds);
    let mut block = func.order[0];
    let mut best = (block, reachable(func, block));
    for _ in 0..MAX_STEPS {
        if needs_frame(func, block) {
            break;
        }
        let mut onward = func.blocks[block].control.successors();
        onward.sort();
        onward.dedup();
        onward.retain(|&to| wanting[to]);
        let [next] = onward[..] else { break };
        if preds[next].len() != 1 {
            break;
        }
        block = next;
        let region = reachable(func, block);
        if is_closed(func, &preds, block, &region) {
            best = (block, region);
        }
    }
    best
}

fn needs_frame(func: &Function<Pvm, PReg>, block: Block) -> bool {
    let data = &func.blocks[block];
    data.insts.iter().chain(data.control.inst()).any(|inst| {
        let uses_slot = match inst {
            Inst::SlotAddr { .. } => true,
            Inst::Call(call) => !matches!(call.callee, Callee::Host(_)),
            _ => matches!(inst.mem(), Some(Mem::Slot(slot)) if !matches!(slot, StackSlot::Incoming(_))),
        };
        uses_slot || !Effects::of(inst).writes.intersection(CALLEE_SAVED).is_empty()
    })
}

/// For each block whether it or something reachable from it needs the frame.
fn wanting_blocks(func: &Function<Pvm, PReg>, preds: &IdVec<Block, Vec<Block>>) -> IdVec<Block, bool> {
    let mut stack: Vec<Block> =
        func.order.iter().copied().filter(|&block| needs_frame(func, block)).collect();
    let mut wanting = IdVec::filled(false, func.blocks.len());
    while let Some(block) = stack.pop() {
        if !std::mem::replace(&mut wanting[block], true) {
            stack.extend(&preds[block]);
        }
    }
    wanting
}

fn reachable(func: &Function<Pvm, PReg>, start: Block) -> IdVec<Block, bool> {
    let mut reached = IdVec::filled(false, func.blocks.len());
    let mut stack = vec![start];
    while let Some(block) = stack.pop() {
        if !std::mem::replace(&mut reached[block], true) {
            stack.extend(func.blocks[block].control.successors());
        }
    }
    reached
}

/// Whether a region is entered by its start only, and the start from outside only.
fn is_closed(
    func: &Function<Pvm, PReg>,
    preds: &IdVec<Block, Vec<Block>>,
    start: Block,
    region: &IdVec<Block, bool>,
) -> bool {
    let blocks = func.order.iter().copied().filter(|&block| region[block]);
    blocks
        .flat_map(|block| preds[block].iter().map(move |&pred| (pred, block)))
        .all(|(pred, block)| region[pred] != (block == start))
}
