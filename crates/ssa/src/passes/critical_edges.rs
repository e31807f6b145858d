//! Splitting critical edges.
//!
//! Code on an edge (moves to block parameters, reloads) is placed at the end of its source if that has one successor.
//! Otherwise it is placed at the start of its target if that has one predecessor. If neither holds, the edge is
//! critical and gets its own block.
//!
//! Edges of one switch with the same target and arguments share that block: it still has one predecessor, and no
//! parameters.

use std::collections::BTreeMap;

use crate::cfg::{Cfg, Graph};
use crate::{Block, BlockCall, Function, InstData, Value};

/// Puts an empty block on every critical edge, with its share of the source's frequency.
pub fn split_critical_edges(func: &mut Function) {
    let cfg = Cfg::new(func);
    for block in 0..cfg.len() {
        let block = crate::EntityId::new(block);
        if cfg.successors(block).len() > 1 {
            split_edges_of(func, &cfg, block);
        }
    }
}

fn split_edges_of(func: &mut Function, cfg: &Cfg, block: Block) {
    let last = func.terminator(block);
    let mut terminator = func.insts[last].clone();
    let share = func.blocks[block].freq / cfg.successors(block).len() as f32;
    let mut splits = BTreeMap::<(Block, Vec<Value>), Block>::new();
    for to in terminator.successors_mut() {
        if !joins(func, cfg, to.block) {
            continue;
        }
        let key = (to.block, std::mem::take(&mut to.args));
        to.block = match splits.get(&key) {
            Some(&split) => {
                func.blocks[split].freq += share;
                split
            }
            None => {
                let split = func.add_block();
                func.blocks[split].freq = share;
                let onward = BlockCall { block: key.0, args: key.1.clone() };
                func.append(split, InstData::Jump { to: onward }, &[]);
                splits.insert(key, split);
                split
            }
        };
    }
    for ((target, _), split) in splits {
        func.blocks[split].freq = func.blocks[split].freq.min(func.blocks[target].freq);
    }
    func.insts[last] = terminator;
}

/// Whether edges to `block` from a block with several successors are critical.
fn joins(func: &Function, cfg: &Cfg, block: Block) -> bool {
    let preds = cfg.predecessors(block);
    preds.len() > 1
        && (!func.blocks[block].params.is_empty() || preds.windows(2).any(|pair| pair[0] != pair[1]))
}
