//! The dominator tree of a machine function's blocks.
//!
//! The iterative algorithm of Cooper, Harvey and Kennedy over reverse postorder; dominance is then a comparison of
//! intervals in a preorder of the tree. Termination: immediate dominators only move up. The time is quadratic in the
//! worst case.

use ssa::{EntityId, IdVec};

use super::linear::LinearFunction;
use crate::mir::Block;

/// The dominance relation.
#[derive(Debug)]
pub struct Dominators {
    /// First and last preorder number of each block's subtree.
    span: IdVec<Block, (u32, u32)>,
}

impl Dominators {
    /// Computes the tree.
    pub fn new(linear: &LinearFunction) -> Self {
        let postorder = postorder(linear);
        let mut rank: IdVec<Block, u32> = IdVec::filled(u32::MAX, linear.blocks.len());
        for (i, &block) in postorder.iter().enumerate() {
            rank[block] = i as u32;
        }
        let idoms = immediate(linear, &postorder, &rank);
        Self { span: spans(&postorder, &idoms) }
    }

    /// Whether `a` strictly dominates `b`.
    pub fn dominates(&self, a: Block, b: Block) -> bool {
        let (first, last) = self.span[a];
        a != b && first <= self.span[b].0 && self.span[b].0 <= last
    }
}

fn postorder(linear: &LinearFunction) -> Vec<Block> {
    let entry = linear.order[0];
    let mut seen = IdVec::filled(false, linear.blocks.len());
    let mut order = Vec::with_capacity(linear.blocks.len());
    let mut stack = vec![(entry, 0)];
    seen[entry] = true;
    while let Some((block, next)) = stack.last_mut() {
        let Some(&succ) = linear.blocks[*block].succs.get(*next) else {
            order.push(*block);
            stack.pop();
            continue;
        };
        *next += 1;
        if !std::mem::replace(&mut seen[succ], true) {
            stack.push((succ, 0));
        }
    }
    order
}

/// Ranks in postorder of the immediate dominators, by rank.
fn immediate(linear: &LinearFunction, postorder: &[Block], rank: &IdVec<Block, u32>) -> Vec<u32> {
    const UNKNOWN: u32 = u32::MAX;
    let entry = postorder.len() - 1;
    let mut idoms = vec![UNKNOWN; postorder.len()];
    idoms[entry] = entry as u32;
    let mut changed = true;
    while std::mem::take(&mut changed) {
        for i in (0..entry).rev() {
            let known =
                |pred: &Block| Some(rank[*pred]).filter(|&r| r != UNKNOWN && idoms[r as usize] != UNKNOWN);
            let preds = linear.blocks[postorder[i]].preds.iter().filter_map(known);
            let idom =
                preds.reduce(|a, b| meet(&idoms, a, b)).expect("a reachable block has a known predecessor");
            changed |= std::mem::replace(&mut idoms[i], idom) != idom;
        }
    }
    idoms
}

fn meet(idoms: &[u32], mut a: u32, mut b: u32) -> u32 {
    while a != b {
        if a < b {
            a = idoms[a as usize];
        } else {
            b = idoms[b as usize];
        }
    }
    a
}

/// Preorder spans: subtree sizes bottom-up, then first numbers top-down.
fn spans(postorder: &[Block], idoms: &[u32]) -> IdVec<Block, (u32, u32)> {
    let entry = postorder.len() - 1;
    let mut size = vec![1; postorder.len()];
    for i in 0..entry {
        size[idoms[i] as usize] += size[i];
    }
    let mut first = vec![0; postorder.len()];
    let mut next_child = vec![1; postorder.len()];
    for i in (0..entry).rev() {
        let parent = idoms[i] as usize;
        first[i] = first[parent] + next_child[parent];
        next_child[parent] += size[i];
    }
    let blocks = postorder.iter().map(|block| block.index() + 1).max().unwrap_or(0);
    let mut span = IdVec::filled((0, 0), blocks);
    for (i, &block) in postorder.iter().enumerate() {
        span[block] = (first[i], first[i] + size[i] - 1);
    }
    span
}
