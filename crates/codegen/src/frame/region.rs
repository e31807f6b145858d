//! Shrink-wrapping: the part of a function that runs with a stack frame.
//!
//! A function that returns early on some path should not pay for a frame that only its other paths need. The target
//! tells which blocks *need* the frame: those that use a stack slot, make a call, or change a register that must be
//! saved. The prologue is at the start of one block, and every block reachable from there has the frame.
//!
//! The block is found by a walk from the entry. The walk goes from a block to a successor if the block needs no frame,
//! if only this successor leads to blocks that need it, and if the successor has no other predecessor. A block of the
//! walk is a candidate if its region is closed: all edges from outside go to the candidate, and no edge from inside
//! does. The last candidate is chosen; the entry always is one. In `if x == 0 { return 0 } f(x)`, for example, the
//! prologue is in the block with the call.
//!
//! Each step visits all blocks reachable from the candidate, so the length of the walk is limited.

use ssa::IdVec;

use crate::layout::for_each_successor;
use crate::mir::{Block, Control, Function, Isa, PReg};

/// Maximum number of steps of the walk.
const MAX_STEPS: usize = 16;

/// The block with the prologue, and for each block whether it has the frame. A block without the frame may jump to a
/// block with it if that one `is_detachable`: the target then gives the first block a copy of the second.
pub fn frame_region<T: Isa>(
    func: &Function<T, PReg>,
    needs_frame: impl Fn(Block) -> bool,
    is_detachable: impl Fn(Block) -> bool,
) -> (Block, IdVec<Block, bool>) {
    let preds = predecessors(func);
    let wanting = wanting_blocks(func, &preds, &needs_frame);
    let mut block = func.order[0];
    let mut best = (block, reachable(func, block));
    for _ in 0..MAX_STEPS {
        if needs_frame(block) {
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
        if is_closed(func, &preds, block, &region, &is_detachable) {
            best = (block, region);
        }
    }
    best
}

/// The predecessors of each block, each once.
pub fn predecessors<T: Isa>(func: &Function<T, PReg>) -> IdVec<Block, Vec<Block>> {
    let mut preds: IdVec<Block, Vec<Block>> = IdVec::filled(Vec::new(), func.blocks.len());
    for &block in &func.order {
        for_each_successor(&func.blocks[block].control, |to| {
            if preds[to].last() != Some(&block) {
                preds[to].push(block);
            }
        });
    }
    preds
}

/// For each block, whether it or a block reachable from it needs the frame.
fn wanting_blocks<T: Isa>(
    func: &Function<T, PReg>,
    preds: &IdVec<Block, Vec<Block>>,
    needs_frame: &impl Fn(Block) -> bool,
) -> IdVec<Block, bool> {
    let mut stack: Vec<Block> = func.order.iter().copied().filter(|&block| needs_frame(block)).collect();
    let mut wanting = IdVec::filled(false, func.blocks.len());
    while let Some(block) = stack.pop() {
        if !std::mem::replace(&mut wanting[block], true) {
            stack.extend(&preds[block]);
        }
    }
    wanting
}

fn reachable<T: Isa>(func: &Function<T, PReg>, start: Block) -> IdVec<Block, bool> {
    let mut reached = IdVec::filled(false, func.blocks.len());
    let mut stack = vec![start];
    while let Some(block) = stack.pop() {
        if !std::mem::replace(&mut reached[block], true) {
            for_each_successor(&func.blocks[block].control, |to| stack.push(to));
        }
    }
    reached
}

/// Whether all edges into a region go to its start, and all edges to its start come from outside. Jumps to detachable
/// blocks are allowed.
fn is_closed<T: Isa>(
    func: &Function<T, PReg>,
    preds: &IdVec<Block, Vec<Block>>,
    start: Block,
    region: &IdVec<Block, bool>,
    is_detachable: &impl Fn(Block) -> bool,
) -> bool {
    let blocks = func.order.iter().copied().filter(|&block| region[block]);
    let jumps = |pred: Block| matches!(func.blocks[pred].control, Control::Jump(_));
    blocks.flat_map(|block| preds[block].iter().map(move |&pred| (pred, block))).all(|(pred, block)| {
        region[pred] != (block == start)
            || block != start && !region[pred] && jumps(pred) && is_detachable(block)
    })
}
