//! Liveness: the live ranges and the uses of each virtual register.
//!
//! Each register is handled separately: from each of its uses we walk up the predecessors until its definition. The
//! work is proportional to the number of (register, block it is live in) pairs, which is the size of the result. So
//! there are no live-in and live-out sets per block. Blocks may be in any order: a definition may come after its uses
//! in the linear order.

use ssa::{EntityId, IdVec};

use super::linear::{LinearFunction, Need, Point};
use crate::mir::{Block, VReg};

/// A half-open range of points in which a value is live.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// First point.
    pub from: Point,
    /// End (exclusive).
    pub to: Point,
}

/// A use or definition of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Use {
    /// The point of the read or write itself, or the point before the gap (or edge) whose moves read it.
    pub at: Point,
    /// Whether the value must be in a register there. If not, a move reads it, from a register or from memory.
    pub must: bool,
}

/// The ranges and uses of all registers, contiguous for each register.
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
    pub fn new(linear: &LinearFunction) -> Self {
        let (uses, use_ends) = collect_uses(linear);
        let mut this = Self { ranges: Vec::new(), uses, range_ends: IdVec::new(), use_ends };
        let mut walk =
            Walk { segments: Vec::new(), live_out: vec![None; linear.blocks.len()], todo: Vec::new() };
        for vreg in linear.defs.ids() {
            walk.run(linear, vreg, &this.uses[this.use_span(vreg)]);
            walk.merge_into(&mut this.ranges);
            this.range_ends.push(this.ranges.len() as u32);
        }
        this
    }

    /// The part of [`ranges`](Self::ranges) for a register.
    pub fn range_span(&self, vreg: VReg) -> std::ops::Range<usize> {
        span(&self.range_ends, vreg)
    }

    /// The part of [`uses`](Self::uses) for a register.
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

/// Groups all uses by register, with a counting sort.
fn collect_uses(linear: &LinearFunction) -> (Vec<Use>, IdVec<VReg, u32>) {
    let mut next: IdVec<VReg, u32> = IdVec::filled(0, linear.defs.len());
    for_each_use(linear, &mut |vreg, _| next[vreg] += 1);
    let mut total = 0;
    for count in next.values_mut() {
        total += std::mem::replace(count, total);
    }
    let mut uses = vec![Use { at: Point::MAX, must: false }; total as usize];
    for_each_use(linear, &mut |vreg, a_use| {
        uses[next[vreg] as usize] = a_use;
        next[vreg] += 1;
    });
    let ends = merge_equal_points(&mut uses, next);
    (uses, ends)
}

/// Sorts each register's uses and merges those at one point.
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

fn for_each_use(linear: &LinearFunction, f: &mut impl FnMut(VReg, Use)) {
    for n in 0..linear.numbers() {
        for operand in linear.operands(n) {
            let must = |at| Use { at, must: true };
            match operand.need {
                Need::Use => f(operand.vreg, must(Point::early(n))),
                Need::LateUse | Need::EarlyDef | Need::TiedDef(_) => {
                    f(operand.vreg, must(Point::early(n)));
                    f(operand.vreg, must(Point::late(n)));
                }
                Need::Def => {
                    let must = !linear.rematerializable[operand.vreg];
                    f(operand.vreg, Use { at: Point::late(n), must });
                }
                Need::FixedUse { .. } | Need::TiedUse(_) => gap_use(linear, operand.vreg, Point::early(n), f),
                Need::FixedDef { .. } => {}
            }
        }
    }
    for edge in &linear.edge_args {
        f(edge.arg, Use { at: linear.blocks[edge.pred].last(), must: false });
    }
}

/// A use by a move in a gap. A value that is also defined in this gap (by a fixed definition) is moved from register
/// to register and never live.
fn gap_use(linear: &LinearFunction, vreg: VReg, gap: Point, f: &mut impl FnMut(VReg, Use)) {
    let def = linear.defs[vreg].expect("a value that is used is defined");
    if def.at != gap {
        f(vreg, Use { at: gap.prev(), must: false });
    }
}

/// State of the walk for one register.
struct Walk {
    segments: Vec<Range>,
    /// The last register found live-out of each block.
    live_out: Vec<Option<VReg>>,
    todo: Vec<Block>,
}

impl Walk {
    fn run(&mut self, linear: &LinearFunction, vreg: VReg, uses: &[Use]) {
        let Some(def) = linear.defs[vreg] else {
            assert!(uses.is_empty(), "{vreg} is used and not defined");
            return;
        };
        let home = linear.block_at(Point::early(def.number));
        let mut i = 0;
        while i < uses.len() {
            let block = linear.block_at(uses[i].at);
            let end = linear.blocks[block].to;
            let count = uses[i..].partition_point(|a_use| a_use.at < end);
            let to = uses[i + count - 1].at.next();
            i += count;
            if block == home {
                self.segments.push(Range { from: def.at, to });
            } else {
                self.segments.push(Range { from: linear.blocks[block].from, to });
                self.todo.extend_from_slice(&linear.blocks[block].preds);
            }
            self.walk_up(linear, vreg, home, def.at);
        }
    }

    fn walk_up(&mut self, linear: &LinearFunction, vreg: VReg, home: Block, def: Point) {
        while let Some(block) = self.todo.pop() {
            if self.live_out[block.index()].replace(vreg) == Some(vreg) {
                continue;
            }
            let span = &linear.blocks[block];
            if block == home {
                self.segments.push(Range { from: def, to: span.to });
                continue;
            }
            assert!(!span.preds.is_empty(), "{vreg} is used where its definition does not reach");
            self.segments.push(Range { from: span.from, to: span.to });
            self.todo.extend_from_slice(&span.preds);
        }
    }

    /// Appends the union of the segments to `ranges` and clears them.
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
