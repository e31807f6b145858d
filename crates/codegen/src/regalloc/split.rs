//! Where to cut an interval: reloads and spills in the coldest place that serves.
//!
//! A cut inside a block costs one move per execution of the block. A cut at the start of a block costs a move on
//! each edge where the locations differ, which is often less: the header of a loop is entered from outside once,
//! and the block behind a cold path is entered from memory only through that path. We walk from the block of the
//! conflict up the line and price the block starts where the value is live. The walk is bounded.

use super::intervals::{Intervals, Location};
use super::program::{Point, Program};
use crate::mir::{Block, VReg};

/// A place to cut, and what it costs in moves per call of the function.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Cut {
    /// A gap or the start of a block.
    pub at: Point,
    /// Executions of the moves it causes.
    pub freq: f32,
}

/// How many block starts are priced.
const STEPS: usize = 48;

/// How much colder an earlier place must be: a longer stay in a register is not free.
const GAIN: f32 = 0.9;

/// Where to reload a value that is in memory from `memory_from` on and needed at the gap `needed`.
pub fn best_reload(
    program: &Program,
    intervals: &Intervals,
    vreg: VReg,
    memory_from: Point,
    needed: Point,
) -> Cut {
    let in_memory = |block: Block, start: Point| {
        let end = program.blocks[block].last();
        if end >= start {
            return false;
        }
        end >= memory_from || intervals.location_at(vreg, end) == Some(Location::Memory)
    };
    cheapest(program, intervals, vreg, memory_from.next(), needed, in_memory)
}

/// Where to leave a register that is free up to `conflict`, not before the gap `earliest`.
pub fn best_leave(
    program: &Program,
    intervals: &Intervals,
    vreg: VReg,
    earliest: Point,
    conflict: Point,
) -> Option<Cut> {
    let latest = conflict.gap_before();
    (earliest <= latest).then(|| {
        let comes_before = |block: Block, start: Point| program.blocks[block].last() < start;
        cheapest(program, intervals, vreg, earliest, latest, comes_before)
    })
}

/// Executions of the edges that lead from `from..to`, where a value is in memory, back to where it has a register.
pub fn reloads_on_back_edges(
    program: &Program,
    intervals: &Intervals,
    vreg: VReg,
    from: Point,
    to: Point,
) -> f32 {
    let first = program.blocks[program.block_at(from)].position as usize;
    let mut freq = 0.0;
    for &block in program.order[first..].iter().take(STEPS) {
        let place = &program.blocks[block];
        if place.last() >= to {
            break;
        }
        for &succ in place.succs.iter().filter(|_| place.goes_back) {
            let start = program.blocks[succ].from;
            if start < from
                && intervals.life.is_live_at(vreg, start)
                && program.defs[vreg].is_none_or(|def| def.at != start)
                && intervals.location_at(vreg, start) != Some(Location::Memory)
            {
                freq += program.edge_freq(block, succ);
            }
        }
    }
    freq
}

/// The cheapest cut in `earliest..=latest`, the last of equals; an edge into a block start costs if `moves` says so.
fn cheapest(
    program: &Program,
    intervals: &Intervals,
    vreg: VReg,
    earliest: Point,
    latest: Point,
    moves: impl Fn(Block, Point) -> bool,
) -> Cut {
    let block = program.block_at(latest);
    let mut best = Cut { at: latest, freq: program.blocks[block].freq };
    let position = program.blocks[block].position as usize;
    let defined_at = program.defs[vreg].expect("a live value is defined").at;
    for &block in program.order[..=position].iter().rev().take(STEPS) {
        let start = program.blocks[block].from;
        if start < earliest {
            break;
        }
        if start == defined_at || !intervals.life.is_live_at(vreg, start) {
            continue;
        }
        let preds = program.blocks[block].preds.iter().filter(|&&pred| moves(pred, start));
        let freq: f32 = preds.map(|&pred| program.edge_freq(pred, block)).sum();
        if freq < best.freq * GAIN || start == best.at {
            best = Cut { at: start, freq };
        }
    }
    best
}
