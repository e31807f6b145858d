//! Merging a block with its only successor if it is that block's only predecessor.

use super::replace::Replacements;
use crate::cfg::{Cfg, Graph};
use crate::{Block, BlockCall, Function, InstData};

/// Appends to every block its only successor if that has no other predecessor. The merged blocks become unreachable
/// and hold only a trap, which keeps them valid.
///
/// A block is visited before the one it absorbs (it dominates it). So every chain is collected at its head and every
/// instruction moves once.
pub fn merge_blocks(func: &mut Function) {
    let cfg = Cfg::new(func);
    let mut replacements = Replacements::new(func);
    for head in cfg.reverse_postorder(func.entry()) {
        while let Some(BlockCall { block: next, args }) = sole_successor(func, &cfg, head) {
            let params = std::mem::take(&mut func.blocks[next].params);
            params.into_iter().zip(args).for_each(|(param, arg)| replacements.insert(param, arg));
            let insts = std::mem::take(&mut func.blocks[next].insts);
            func.blocks[head].insts.pop();
            func.blocks[head].insts.extend(insts);
        }
    }
    for block in func.blocks.ids().filter(|&block| func.blocks[block].insts.is_empty()).collect::<Vec<_>>() {
        func.append(block, InstData::Trap { code: crate::TrapCode::Unreachable }, &[]);
    }
    replacements.apply(func);
}

/// The jump to the block that `head` can absorb.
fn sole_successor(func: &Function, cfg: &Cfg, head: Block) -> Option<BlockCall> {
    let last = *func.blocks[head].insts.last()?;
    match &func.insts[last] {
        InstData::Jump { to }
            if to.block != head && to.block != func.entry() && cfg.predecessors(to.block).len() == 1 =>
        {
            Some(to.clone())
        }
        _ => None,
    }
}
