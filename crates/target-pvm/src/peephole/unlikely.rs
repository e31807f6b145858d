//! Placing `unlikely`.
//!
//! In GP 0.8 a branch costs 20 gas, but 1 if one of its two destinations starts with `unlikely` (or `trap`). The mark
//! itself costs 40 where it is executed, except in a block that takes 40 or more anyway. So marking a block saves in
//! every block that branches to it, and costs whenever the block is entered, from anywhere.
//!
//! Marking is greedy: blocks are visited in descending order of the saving of each mark alone, and each saving is
//! checked again given the marks made so far. This repeats until a round adds no mark. Termination: marks are only
//! added.

use codegen::{Block, Control, Function, PReg};
use pvm_isa::Opcode;
use ssa::IdVec;

use super::segments::{Segment, segments};
use crate::isa::{Inst, Pvm};

/// Gas per call that a mark must save when optimising for size.
const GAIN_FOR_SIZE: f32 = 24.0;

/// Inserts `unlikely` at the start of blocks where it pays.
pub fn mark(func: &mut Function<Pvm, PReg>) {
    let segments = segments(func);
    let min_gain = if func.optimize_for_size { GAIN_FOR_SIZE } else { 0.0 };
    let mut marking = Marking::new(func, &segments, min_gain);
    let mut candidates: Vec<Block> = func.order.clone();
    candidates.retain(|&block| !marking.branches_to[block].is_empty() && !marking.is_cold[block]);
    while !candidates.is_empty() {
        let mut gains: Vec<(f32, Block)> =
            candidates.iter().map(|&block| (marking.gain(block), block)).collect();
        gains.retain(|(gain, _)| *gain > min_gain);
        gains.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let marked: Vec<Block> = gains.into_iter().filter_map(|(_, block)| marking.try_mark(block)).collect();
        if marked.is_empty() {
            break;
        }
        candidates.retain(|&block| !marking.marked[block]);
        for block in marked {
            func.blocks[block].insts.insert(0, Inst::Plain { op: Opcode::Unlikely });
        }
    }
}

struct Marking<'a> {
    segments: &'a [Segment],
    /// The segment that starts with each block.
    start: IdVec<Block, Option<usize>>,
    /// Segments whose branch may lead to each block.
    branches_to: IdVec<Block, Vec<usize>>,
    /// Blocks that start with `trap` or `unlikely`.
    is_cold: IdVec<Block, bool>,
    /// Blocks that have been marked.
    marked: IdVec<Block, bool>,
    min_gain: f32,
}

impl<'a> Marking<'a> {
    fn new(func: &Function<Pvm, PReg>, segments: &'a [Segment], min_gain: f32) -> Self {
        let blocks = func.blocks.len();
        let mut start = IdVec::filled(None, blocks);
        let mut branches_to = IdVec::filled(Vec::new(), blocks);
        for (n, segment) in segments.iter().enumerate() {
            if let Some(block) = segment.block {
                start[block] = Some(n);
            }
            for to in segment.branch.iter().flat_map(|(_, to)| to).flatten() {
                branches_to[*to].push(n);
            }
        }
        let mut is_cold = IdVec::filled(false, blocks);
        for &block in &func.order {
            is_cold[block] = starts_cold(func, block);
        }
        Self { segments, start, branches_to, is_cold, marked: IdVec::filled(false, blocks), min_gain }
    }

    /// Price times frequency of a segment, given the current marks.
    fn price(&self, n: usize) -> f32 {
        let segment = &self.segments[n];
        let is_cheap = segment.branch.iter().flat_map(|(_, to)| to).flatten().any(|&to| self.is_cold[to]);
        let is_marked = segment.block.is_some_and(|block| self.marked[block]);
        segment.cost(is_marked, is_cheap) as f32 * segment.freq
    }

    /// Price of all segments that a mark on `block` affects.
    fn price_around(&self, block: Block) -> f32 {
        let mut affected = self.branches_to[block].clone();
        affected.extend(self.start[block]);
        affected.sort_unstable();
        affected.dedup();
        affected.into_iter().map(|n| self.price(n)).sum()
    }

    /// Saving of a mark on a block.
    fn gain(&mut self, block: Block) -> f32 {
        let before = self.price_around(block);
        self.set(block, true);
        let after = self.price_around(block);
        self.set(block, false);
        before - after
    }

    fn try_mark(&mut self, block: Block) -> Option<Block> {
        let pays = self.gain(block) > self.min_gain;
        self.set(block, pays);
        pays.then_some(block)
    }

    fn set(&mut self, block: Block, to: bool) {
        self.marked[block] = to;
        self.is_cold[block] = to;
    }
}

fn starts_cold(func: &Function<Pvm, PReg>, block: Block) -> bool {
    let cold = |inst: &Inst<PReg>| matches!(inst, Inst::Plain { op: Opcode::Trap | Opcode::Unlikely });
    let data = &func.blocks[block];
    match (data.insts.first(), &data.control) {
        (Some(first), _) => cold(first),
        (None, Control::Exit(inst)) => cold(inst),
        (None, _) => false,
    }
}
