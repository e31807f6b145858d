//! Split positions: the coldest valid position for a reload or spill.
//!
//! A split inside a block costs one move per execution of the block. A split at the start of a block costs a move on
//! each incoming edge where the locations differ, which is often less. For example, a loop header is entered from
//! outside once, and a block after a cold path is entered from memory only through that path. From the block of the
//! conflict we walk backwards in linear order and compute the cost at each block start where the value is live. The
//! length of the walk is bounded.

use super::intervals::{Intervals, Location};
use super::linear::{LinearFunction, Point};
use crate::mir::{Block, VReg};

/// A split position with its cost.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Cut {
    /// A gap or the start of a block.
    pub at: Point,
    /// Executions per call of the moves it causes.
    pub freq: f32,
}

/// Maximum number of block starts considered.
const STEPS: usize = 48;

/// An earlier position must cost less than this fraction of the best one so far: occupying a register longer is not
/// free.
const GAIN: f32 = 0.9;

/// The best position to reload a value that is in memory from `memory_from` on and needed at the gap `needed`.
pub fn best_reload(
    linear: &LinearFunction,
    intervals: &Intervals,
    vreg: VReg,
    memory_from: Point,
    needed: Point,
) -> Cut {
    let in_memory = |block: Block, start: Point| {
        let end = linear.blocks[block].last();
        if end >= start {
            return false;
        }
        end >= memory_from || intervals.location_at(vreg, end) == Some(Location::Memory)
    };
    cheapest(linear, intervals, vreg, memory_from.next(), needed, in_memory)
}

/// The best position to leave a register that is free up to `conflict`, not before the gap `earliest`.
pub fn best_leave(
    linear: &LinearFunction,
    intervals: &Intervals,
    vreg: VReg,
    earliest: Point,
    conflict: Point,
) -> Option<Cut> {
    let latest = conflict.gap_before();
    (earliest <= latest).then(|| {
        let comes_before = |block: Block, start: Point| linear.blocks[block].last() < start;
        cheapest(linear, intervals, vreg, earliest, latest, comes_before)
    })
}

/// Executions per call of the edges that lead from `from..to`, where a value is in memory, back to blocks where it has
/// a register.
pub fn reloads_on_back_edges(
    linear: &LinearFunction,
    intervals: &Intervals,
    vreg: VReg,
    from: Point,
    to: Point,
) -> f32 {
    let first = linear.blocks[linear.block_at(from)].position as usize;
    let mut freq = 0.0;
    for &block in linear.order[first..].iter().take(STEPS) {
        let span = &linear.blocks[block];
        if span.last() >= to {
            break;
        }
        for &succ in span.succs.iter().filter(|_| span.goes_back) {
            let start = linear.blocks[succ].from;
            if start < from
                && intervals.life.is_live_at(vreg, start)
                && linear.defs[vreg].is_none_or(|def| def.at != start)
                && intervals.location_at(vreg, start) != Some(Location::Memory)
            {
                freq += linear.edge_freq(block, succ);
            }
        }
    }
    freq
}

/// The cheapest split position in `earliest..=latest`, the last one among equals. `moves` tells whether an edge from a
/// block to a block start needs a move.
fn cheapest(
    linear: &LinearFunction,
    intervals: &Intervals,
    vreg: VReg,
    earliest: Point,
    latest: Point,
    moves: impl Fn(Block, Point) -> bool,
) -> Cut {
    let block = linear.block_at(latest);
    let mut best = Cut { at: latest, freq: linear.blocks[block].freq };
    let position = linear.blocks[block].position as usize;
    let defined_at = linear.defs[vreg].expect("a live value is defined").at;
    for &block in linear.order[..=position].iter().rev().take(STEPS) {
        let start = linear.blocks[block].from;
        if start < earliest {
            break;
        }
        if start == defined_at || !intervals.life.is_live_at(vreg, start) {
            continue;
        }
        let preds = linear.blocks[block].preds.iter().filter(|&&pred| moves(pred, start));
        let freq: f32 = preds.map(|&pred| linear.edge_freq(pred, block)).sum();
        if freq < best.freq * GAIN || start == best.at {
            best = Cut { at: start, freq };
        }
    }
    best
}
