//! Register allocation: linear scan over live intervals with holes, on SSA.
//!
//! ```text
//! mir<VReg> ─ linear (points, needs) ─ liveness ─ intervals ─ linear_scan (hints, occupancy, split)
//!           ─ spill (slots, stores) ─ resolve (parallel_move) ─ checker ─ rewrite ─► mir<PReg>
//! ```
//!
//! Blocks are linearised in layout order. The scan splits intervals into pieces and assigns each piece a register or
//! memory. Afterwards one resolver inserts all moves between the pieces. So a decision of the scan affects only cost,
//! never correctness. The result is an [`Allocation`], which the checker verifies against the function, independently
//! of the scan.

mod checker;
mod hints;
mod intervals;
mod linear;
mod linear_scan;
mod liveness;
mod occupancy;
mod parallel_move;
mod recolor;
mod resolve;
mod rewrite;
mod spill;
mod split;
#[cfg(test)]
mod tests;

use std::fmt::Write;

use crate::mir::{Function, Isa, PReg, VReg};

use linear::LinearFunction;
use linear_scan::Placement;
use rewrite::Allocation;
use spill::Spills;

/// Replaces virtual by physical registers; see `mir` for the invariants before and after. Panics if an
/// instruction needs more registers than the target has.
pub fn allocate<T: Isa>(target: &T, func: Function<T, VReg>) -> Function<T, PReg> {
    let linear = LinearFunction::new(target, &func);
    let allocation = decide(target, &linear);
    if target.is_checked()
        && let Err(error) = checker::check(target, &func, &linear, &allocation)
    {
        let decisions = describe(&linear, &linear_scan::scan(&linear, target.registers()), &allocation);
        panic!(
            "the register allocation is wrong: {error}
{func}
{decisions}"
        );
    }
    rewrite::rewrite(&linear, func, allocation)
}

fn decide<T: Isa>(target: &T, linear: &LinearFunction) -> Allocation {
    let info = target.registers();
    let placement = linear_scan::scan(linear, info);
    let mut spills = Spills::new(linear, &placement);
    let moves = resolve::resolve(linear, info, &placement, &mut spills);
    let (operands, dropped) = rewrite::assign_operands(linear, &placement.intervals);
    Allocation { operands, moves, dropped, slots: spills.slots }
}

/// Pieces and moves as text, for panic messages.
fn describe(linear: &LinearFunction, placement: &Placement, allocation: &Allocation) -> String {
    let mut text = String::new();
    let intervals = &placement.intervals;
    for piece in linear.defs.ids().flat_map(|vreg| intervals.pieces_of(vreg)) {
        let data = intervals.get(*piece);
        let ranges: Vec<_> = intervals.ranges(*piece).map(|range| (range.from, range.to)).collect();
        let _ = writeln!(text, "{} {:?} {ranges:?}", data.vreg, data.location);
    }
    for (gap, step) in &allocation.moves {
        let _ = writeln!(text, "{gap:?} {step:?}");
    }
    text
}
