//! A block and its only successor, whose only predecessor it is, become one.

use super::replace::Replacements;
use crate::cfg::Cfg;
use crate::{Block, BlockCall, Function, InstData};

/// Appends to every block the blocks it inevitably goes on to and that nothing else goes to. The merged blocks
/// are left empty of instructions and unreachable except for being kept valid by a trap.
///
/// A block is visited before the one it absorbs (it dominates it), so every chain is collected at its head and
/// every instruction moves once.
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

/// The block that `head` can absorb, as it is called.
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
