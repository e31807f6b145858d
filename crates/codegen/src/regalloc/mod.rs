//! Register allocation: linear scan over live intervals with holes, on SSA.
//!
//! ```text
//! mir<VReg> ─ program (points, needs) ─ liveness ─ intervals ─ linear_scan (hints, occupancy, split)
//!           ─ spill (slots, stores) ─ resolve (parallel_move) ─ checker ─ rewrite ─► mir<PReg>
//! ```
//!
//! Blocks stand on a line in layout order. The scan gives pieces of intervals registers or memory; the moves that
//! connect them are found afterwards, all by one resolver, so that no decision of the scan can break the program
//! and every decision only costs. What is decided is written down as an [`Allocation`], which the checker verifies
//! against the function and nothing else.

mod checker;
mod dominators;
mod hints;
mod intervals;
mod linear_scan;
mod liveness;
mod occupancy;
mod parallel_move;
mod program;
mod recolor;
mod resolve;
mod rewrite;
mod spill;
mod split;
#[cfg(test)]
mod tests;

use std::fmt::Write;

use crate::mir::{Function, VReg};
use crate::registers::PReg;
use crate::target::Target;

use linear_scan::Placement;
use program::Program;
use rewrite::Allocation;
use spill::Spills;

/// Replaces virtual by physical registers; see [`Function`] for what is true before and after. Panics if an
/// instruction needs more registers than there are.
pub fn allocate<T: Target>(target: &T, func: Function<T, VReg>) -> Function<T, PReg> {
    let program = Program::new(target, &func);
    let allocation = decide(target, &program);
    if cfg!(debug_assertions)
        && let Err(error) = checker::check(target, &func, &program, &allocation)
    {
        let decisions = describe(&program, &linear_scan::scan(&program, target.registers()), &allocation);
        panic!(
            "wrong allocation: {error}
{func}
{decisions}"
        );
    }
    rewrite::rewrite(target, &program, func, allocation)
}

fn decide<T: Target>(target: &T, program: &Program) -> Allocation {
    let info = target.registers();
    let placement = linear_scan::scan(program, info);
    let mut spills = Spills::new(program, &placement);
    let moves = resolve::resolve(program, info, &placement, &mut spills);
    let (operands, dropped) = rewrite::assign_operands(program, &placement.intervals);
    Allocation { operands, moves, dropped, slots: spills.slots }
}

/// Pieces and moves, for messages.
fn describe(program: &Program, placement: &Placement, allocation: &Allocation) -> String {
    let mut text = String::new();
    let intervals = &placement.intervals;
    for piece in program.defs.ids().flat_map(|vreg| intervals.pieces_of(vreg)) {
        let data = intervals.get(*piece);
        let ranges: Vec<_> = intervals.ranges(*piece).map(|range| (range.from, range.to)).collect();
        let _ = writeln!(text, "{} {:?} {ranges:?}", data.vreg, data.location);
    }
    for (gap, step) in &allocation.moves {
        let _ = writeln!(text, "{gap:?} {step:?}");
    }
    text
}
