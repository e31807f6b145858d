//! Liveness: where each virtual register is needed, as ranges of points and a list of uses.
//!
//! Every register is treated alone: from each of its uses we walk up the predecessors until its definition. The
//! work is the number of (register, block it is live in) pairs, which the result contains anyway, so there are no
//! per-block sets and nothing is quadratic that the answer isn't. The order of blocks is free: a definition may
//! stand behind its uses on the line.

use ssa::{EntityId, IdVec};

use super::program::{Need, Point, Program};
use crate::mir::{Block, VReg};

/// Points where a value is live, half open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// First point.
    pub from: Point,
    /// Behind the last point.
    pub to: Point,
}

/// A point where something happens to a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Use {
    /// The point: of the read or write itself, or the one before the gap (or the edge) that reads it.
    pub at: Point,
    /// Whether the value must be in a register there; else a move reads it, from anywhere.
    pub must: bool,
}

/// The ranges and uses of all registers, each register's in one stretch.
#[derive(Debug)]
pub struct Lifetimes {
    /// Ranges, ascending and not touching within a register.
    pub ranges: Vec<Range>,
    /// Uses and definitions, ascending within a register.
    pub uses: Vec<Use>,
    range_ends: IdVec<VReg, u32>,
    use_ends: IdVec<VReg, u32>,
}

impl Lifetimes {
    /// Computes liveness.
    pub fn new(program: &Program) -> Self {
        let (uses, use_ends) = collect_uses(program);
        let mut this = Self { ranges: Vec::new(), uses, range_ends: IdVec::new(), use_ends };
        let mut walk =
            Walk { segments: Vec::new(), live_out: vec![None; program.blocks.len()], todo: Vec::new() };
        for vreg in program.defs.ids() {
            walk.run(program, vreg, &this.uses[this.use_span(vreg)]);
            walk.merge_into(&mut this.ranges);
            this.range_ends.push(this.ranges.len() as u32);
        }
        this
    }

    /// Where the ranges of a register stand in [`ranges`](Self::ranges).
    pub fn range_span(&self, vreg: VReg) -> std::ops::Range<usize> {
        span(&self.range_ends, vreg)
    }

    /// Where the uses of a register stand in [`uses`](Self::uses).
    pub fn use_span(&self, vreg: VReg) -> std::ops::Range<usize> {
        span(&self.use_ends, vreg)
    }

    /// Whether the register is live at a point.
    pub fn is_live_at(&self, vreg: VReg, point: Point) -> bool {
        let ranges = &self.ranges[self.range_span(vreg)];
        let next = ranges.partition_point(|range| range.to <= point);
        ranges.get(next).is_some_and(|range| range.from <= point)
    }
}

fn span(ends: &IdVec<VReg, u32>, vreg: VReg) -> std::ops::Range<usize> {
    let start = match vreg.index() {
        0 => 0,
        n => ends[VReg::new(n - 1)],
    };
    start as usize..ends[vreg] as usize
}

/// Groups all uses by register: count, then fill.
fn collect_uses(program: &Program) -> (Vec<Use>, IdVec<VReg, u32>) {
    let mut next: IdVec<VReg, u32> = IdVec::filled(0, program.defs.len());
    for_each_use(program, &mut |vreg, _| next[vreg] += 1);
    let mut total = 0;
    for count in next.values_mut() {
        total += std::mem::replace(count, total);
    }
    let mut uses = vec![Use { at: Point::MAX, must: false }; total as usize];
    for_each_use(program, &mut |vreg, a_use| {
        uses[next[vreg] as usize] = a_use;
        next[vreg] += 1;
    });
    let ends = merge_equal_points(&mut uses, next);
    (uses, ends)
}

/// Sorts each register's uses and joins those at one point.
fn merge_equal_points(uses: &mut Vec<Use>, mut ends: IdVec<VReg, u32>) -> IdVec<VReg, u32> {
    let (mut start, mut kept) = (0, 0);
    for end in ends.values_mut() {
        let old_end = *end as usize;
        if !uses[start..old_end].is_sorted_by_key(|a_use| a_use.at) {
            uses[start..old_end].sort_by_key(|a_use| a_use.at);
        }
        let first = kept;
        for i in start..old_end {
            let a_use = uses[i];
            if kept > first && uses[kept - 1].at == a_use.at {
                uses[kept - 1].must |= a_use.must;
            } else {
                uses[kept] = a_use;
                kept += 1;
            }
        }
        start = old_end;
        *end = kept as u32;
    }
    uses.truncate(kept);
    ends
}

fn for_each_use(program: &Program, f: &mut impl FnMut(VReg, Use)) {
    for n in 0..program.numbers() {
        for slot in program.slots(n) {
            let must = |at| Use { at, must: true };
            match slot.need {
                Need::Use => f(slot.vreg, must(Point::early(n))),
                Need::LateUse | Need::EarlyDef | Need::TiedDef(_) => {
                    f(slot.vreg, must(Point::early(n)));
                    f(slot.vreg, must(Point::late(n)));
                }
                Need::Def => {
                    let must = !program.rematerializable[slot.vreg];
                    f(slot.vreg, Use { at: Point::late(n), must });
                }
                Need::FixedUse { .. } | Need::TiedUse(_) => gap_use(program, slot.vreg, Point::early(n), f),
                Need::FixedDef { .. } => {}
            }
        }
    }
    for edge in &program.edge_args {
        f(edge.arg, Use { at: program.blocks[edge.pred].last(), must: false });
    }
}

/// A use by the move in a gap. A value that appears in that very gap goes from register to register and is never live.
fn gap_use(program: &Program, vreg: VReg, gap: Point, f: &mut impl FnMut(VReg, Use)) {
    let def = program.defs[vreg].expect("a value that is used is defined");
    if def.at != gap {
        f(vreg, Use { at: gap.prev(), must: false });
    }
}

/// The walk for one register.
struct Walk {
    segments: Vec<Range>,
    /// The last register found live at the end of each block.
    live_out: Vec<Option<VReg>>,
    todo: Vec<Block>,
}

impl Walk {
    fn run(&mut self, program: &Program, vreg: VReg, uses: &[Use]) {
        let Some(def) = program.defs[vreg] else {
            assert!(uses.is_empty(), "{vreg} is used and not defined");
            return;
        };
        let home = program.block_at(Point::early(def.number));
        let mut i = 0;
        while i < uses.len() {
            let block = program.block_at(uses[i].at);
            let end = program.blocks[block].to;
            let count = uses[i..].partition_point(|a_use| a_use.at < end);
            let to = uses[i + count - 1].at.next();
            i += count;
            if block == home {
                self.segments.push(Range { from: def.at, to });
            } else {
                self.segments.push(Range { from: program.blocks[block].from, to });
                self.todo.extend_from_slice(&program.blocks[block].preds);
            }
            self.walk_up(program, vreg, home, def.at);
        }
    }

    fn walk_up(&mut self, program: &Program, vreg: VReg, home: Block, def: Point) {
        while let Some(block) = self.todo.pop() {
            if self.live_out[block.index()].replace(vreg) == Some(vreg) {
                continue;
            }
            let place = &program.blocks[block];
            if block == home {
                self.segments.push(Range { from: def, to: place.to });
                continue;
            }
            assert!(!place.preds.is_empty(), "{vreg} is used where its definition does not reach");
            self.segments.push(Range { from: place.from, to: place.to });
            self.todo.extend_from_slice(&place.preds);
        }
    }

    /// Appends the union of the segments and forgets them.
    fn merge_into(&mut self, ranges: &mut Vec<Range>) {
        self.segments.sort_unstable_by_key(|range| range.from);
        let first = ranges.len();
        for range in self.segments.drain(..).filter(|range| range.from < range.to) {
            match ranges[first..].last_mut() {
                Some(last) if range.from <= last.to => last.to = last.to.max(range.to),
                _ => ranges.push(range),
            }
        }
    }
}
