//! Where the frame exists: which block begins with the prologue.
//!
//! A function that returns early on some path should not pay for a frame that only the rest of it needs. A target says
//! which blocks *need* the frame: they use a stack slot, call, or change a register that must be saved. The prologue
//! goes to the block we reach from the entry by following, as long as the block itself needs nothing, the only
//! successor from which a needing block can be reached, provided that it has no other way in. From there on everything
//! reachable has the frame; nothing may enter that region from outside of it except by its start, and it must not come
//! back to the start. The last block on the walk that satisfies this is the place; the entry always does.
//!
//! Each step looks at the rest of the function, so the walk is limited to a few.

use ssa::IdVec;

use crate::layout::for_each_successor;
use crate::mir::{Block, Control, Function, Isa, PReg};

/// Longest walk.
const MAX_STEPS: usize = 16;

/// The block with the prologue, and for each block whether it has the frame. Blocks without it may jump to blocks that
/// have it and `is_detachable`: the target gives them copies of those.
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

/// For each block whether it or something reachable from it needs the frame.
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

/// Whether a region is entered by its start only, and the start from outside only. What is detachable may be jumped to.
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
