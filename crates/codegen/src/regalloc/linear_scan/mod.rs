//! Linear scan: assigning each piece of each live interval a register or memory.
//!
//! Pieces are placed in order of their first point:
//!
//! 1. If a register is free for the whole piece, the piece gets it; among several, the one with most votes from hints.
//! 2. Else the piece gets a register that is free beyond at least its first use. It is split before that register's
//!    next occupant, and the rest goes back to the queue.
//! 3. Else it contends. Either the pieces that occupy some register before its first use are evicted, or the piece
//!    itself stays in memory until then, whichever is cheaper.
//!
//! An evicted value is in memory until it is reloaded, in the coldest position before its next use, as a new piece in
//! the queue.
//!
//! Costs are executions of memory operations, by block frequency. The first use of a callee-saved register costs its
//! save and restore. When all pieces are placed, recoloring assigns some to other registers to save moves.
//!
//! Termination: a piece in memory is never placed again. Splitting makes new pieces only after the current point. A
//! piece that must be in a register at its start can't be evicted there. (Displacement moves such pieces to other
//! registers, for an operand that needs both points of an instruction. Each displacement places one such operand, and
//! those are never displaced.) The number of points is finite.

mod choose;
mod contend;
mod cost;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ssa::IdVec;

use super::hints::Hints;
use super::intervals::{Intervals, Location, Origin, Piece};
use super::linear::{LinearFunction, Point};
use super::liveness::Use;
use super::occupancy::{Registers, Settled};
use super::recolor::recolor;
use super::split::best_leave;
use crate::mir::{PReg, RegSet, RegisterInfo, VReg};

/// Maximum number of ranges of a piece made by a split.
const LONG: usize = 64;

/// The result of the scan.
#[derive(Debug)]
pub struct Placement {
    /// Pieces with their locations; none is open.
    pub intervals: Intervals,
    /// Occupancy of the physical registers.
    pub registers: Settled,
    /// Callee-saved registers in use.
    pub used: RegSet,
    /// Number of assignments of pieces to registers, and of their ranges: a measure of work for tests.
    #[cfg(test)]
    pub work: usize,
}

/// Places every piece.
pub fn scan(linear: &LinearFunction, info: &RegisterInfo) -> Placement {
    let intervals = Intervals::new(linear);
    let queue = intervals.ids().map(|piece| Reverse((intervals.get(piece).from, piece))).collect();
    let mut scan = Scan {
        linear,
        info,
        registers: Registers::new(&linear.reservations),
        hints: Hints::new(linear),
        spilled: IdVec::filled(false, linear.defs.len()),
        saved: RegSet::EMPTY,
        entry_freq: linear.blocks[linear.order[0]].freq,
        now: Point::early(0),
        #[cfg(test)]
        work: 0,
        intervals,
        queue,
    };
    while let Some(Reverse((from, piece))) = scan.queue.pop() {
        scan.registers.advance(from);
        scan.now = from;
        scan.place(piece);
    }
    #[cfg(test)]
    let work = scan.work;
    let Scan { mut intervals, hints, saved, .. } = scan;
    let all: RegSet = info.order.iter().flatten().copied().collect();
    let usable = all.difference(info.callee_saved.difference(saved));
    recolor(linear, info, &hints, &mut intervals, usable);
    let registers = Settled::new(&linear.reservations, &intervals);
    Placement {
        intervals,
        registers,
        used: saved,
        #[cfg(test)]
        work,
    }
}

struct Scan<'a> {
    linear: &'a LinearFunction,
    info: &'a RegisterInfo,
    intervals: Intervals,
    registers: Registers,
    hints: Hints,
    queue: BinaryHeap<Reverse<(Point, Piece)>>,
    /// Whether a value has a piece in memory.
    spilled: IdVec<VReg, bool>,
    /// Callee-saved registers in use.
    saved: RegSet,
    entry_freq: f32,
    /// Start of the piece being placed; new pieces start after it.
    now: Point,
    #[cfg(test)]
    work: usize,
}

/// A value per physical register.
type PerReg<V> = [V; 64];

impl<'a> Scan<'a> {
    fn place(&mut self, piece: Piece) {
        let order = self.order(piece);
        let mut until = [Point::MAX; 64];
        for &reg in order {
            until[reg.index()] = self.free_until(piece, reg);
        }
        let votes = self.votes(piece);
        if self.is_dead_remat(piece) || self.continues_in_memory(piece) {
            self.spill(piece);
        } else if let Some(reg) = self.whole_register(piece, order, &until, &votes) {
            self.assign(piece, reg);
        } else if let Some(reg) = self.part_register(piece, order, &until, &votes) {
            self.assign_until(piece, reg, until[reg.index()]);
        } else if let Some((reg, leave)) = self.waiting_register(piece, order, &until, &votes) {
            let tail = self.intervals.split(piece, leave, Origin::Leave);
            self.assign(piece, reg);
            self.enqueue(tail);
        } else {
            self.contend(piece, order, &votes);
        }
    }

    fn order(&self, piece: Piece) -> &'a [PReg] {
        self.info.allocatable(self.linear.classes[self.intervals.get(piece).vreg])
    }

    /// The first point at which the piece can't have the register, or [`Point::MAX`].
    fn free_until(&self, piece: Piece, reg: PReg) -> Point {
        let register = &self.registers[reg];
        let reserved = register.first_reserved(&self.intervals, piece);
        let placed = register.first_placed(&self.intervals, piece);
        reserved.unwrap_or(Point::MAX).min(placed.unwrap_or(Point::MAX))
    }

    /// Whether the first use of the register costs its save and restore.
    fn is_unsaved(&self, reg: PReg) -> bool {
        self.info.callee_saved.contains(reg) && !self.saved.contains(reg)
    }

    /// The cost of being the first user of a callee-saved register.
    fn save_cost(&self) -> f32 {
        let costs = &self.linear.costs;
        self.entry_freq * if self.saved.is_empty() { costs.first_save } else { costs.further_save }
    }

    /// Index of the first use that needs a register. The definition of a rematerialisable value doesn't.
    fn first_need(&self, piece: Piece) -> Option<usize> {
        let data = self.intervals.get(piece);
        let uses = self.intervals.uses(piece);
        let skip = uses.first().is_some_and(|first| !first.must && self.is_def(data.vreg, *first));
        (usize::from(skip) < uses.len()).then_some(usize::from(skip))
    }

    fn is_def(&self, vreg: VReg, a_use: Use) -> bool {
        self.linear.defs[vreg].is_some_and(|def| def.at == a_use.at)
    }

    fn is_dead_remat(&self, piece: Piece) -> bool {
        let vreg = self.intervals.get(piece).vreg;
        self.linear.rematerializable[vreg]
            && !self.intervals.is_split(vreg)
            && self.first_need(piece).is_none()
    }

    /// Whether the previous piece is in memory and was split only because of its length.
    fn continues_in_memory(&self, piece: Piece) -> bool {
        let is_memory = |before: Piece| self.intervals.get(before).location == Location::Memory;
        let data = self.intervals.get(piece);
        let must =
            self.intervals.uses(piece).first().is_some_and(|first| first.must && first.at == data.from);
        data.origin == Origin::Continuation
            && !must
            && self.intervals.neighbours(piece).0.is_some_and(is_memory)
    }

    /// The number of uses of the piece before `until`. A use at both points of an instruction counts only if both are.
    fn covered(&self, piece: Piece, until: Point) -> usize {
        let uses = self.intervals.uses(piece);
        let count = uses.partition_point(|a_use| a_use.at < until);
        let is_cut = count > 0 && is_strong(&uses[count - 1..]);
        count - usize::from(is_cut)
    }

    /// Queues a new piece. Long pieces are split first, since placing a piece takes time proportional to its length
    /// and it may be evicted repeatedly.
    fn enqueue(&mut self, piece: Piece) {
        if let Some(at) = self.intervals.nth_range(piece, LONG) {
            let tail = self.intervals.split(piece, at, Origin::Continuation);
            self.enqueue(tail);
        }
        self.queue.push(Reverse((self.intervals.get(piece).from, piece)));
    }

    fn assign(&mut self, piece: Piece, reg: PReg) {
        let data = self.intervals.get_mut(piece);
        data.location = Location::Reg(reg);
        let (vreg, from) = (data.vreg, data.from);
        if self.info.callee_saved.contains(reg) {
            self.saved.insert(reg);
        }
        #[cfg(test)]
        {
            self.work += 1 + self.intervals.ranges(piece).count();
        }
        self.registers[reg].insert(&self.intervals, piece);
        self.hints.note(vreg, reg, self.linear.freq_at(from));
    }

    /// Assigns a register that is free until a point, and splits the piece before that point.
    fn assign_until(&mut self, piece: Piece, reg: PReg, until: Point) {
        if until == Point::MAX {
            self.assign(piece, reg);
            return;
        }
        let vreg = self.intervals.get(piece).vreg;
        let covered = self.covered(piece, until);
        let leave = |covered: usize| {
            let earliest = self.earliest_leave(piece, covered);
            best_leave(self.linear, &self.intervals, vreg, earliest, until)
        };
        let first = self.first_need(piece).map_or(0, |needed| needed + 1);
        let cut = leave(covered).or_else(|| if covered > first { leave(covered - 1) } else { None });
        match cut {
            Some(cut) => {
                let tail = self.intervals.split(piece, cut.at, Origin::Leave);
                self.assign(piece, reg);
                self.enqueue(tail);
            }
            // The last use is at the early point, and the register is occupied at the late point.
            None => {
                let tail = self.intervals.split(piece, until, Origin::Leave);
                self.assign(piece, reg);
                self.spill(tail);
            }
        }
    }

    /// Puts a piece in memory, and splits it where it must be reloaded.
    fn spill(&mut self, piece: Piece) {
        let data = *self.intervals.get(piece);
        self.intervals.get_mut(piece).location = Location::Memory;
        self.spilled[data.vreg] = true;
        let uses = self.intervals.uses_from(piece, data.from);
        let was_hoisted = data.origin == Origin::HoistedReload;
        let reload = uses.iter().find_map(|a_use| self.worthy_reload(piece, was_hoisted, *a_use));
        if let Some((cut, hoisted)) = reload {
            let origin = if hoisted { Origin::HoistedReload } else { Origin::Reload };
            let tail = self.intervals.split(piece, cut, origin);
            self.enqueue(tail);
        }
    }

    /// The position of a reload for a use, if the use is worth a register; and whether it is earlier than needed.
    fn worthy_reload(&self, piece: Piece, was_hoisted: bool, a_use: Use) -> Option<(Point, bool)> {
        let data = self.intervals.get(piece);
        let needed = if self.is_def(data.vreg, a_use) { a_use.at } else { a_use.at.gap_before() };
        if was_hoisted {
            return a_use.must.then_some((needed, false));
        }
        if !a_use.must && (self.is_def(data.vreg, a_use) || self.is_free_in_memory(data.vreg, a_use)) {
            return None;
        }
        let cut = self.reload(data.vreg, data.from.max(self.now), a_use);
        let colder = cut.freq < 0.5 * self.linear.freq_at(a_use.at);
        (a_use.must || (colder && self.linear.is_block_start(cut.at))).then_some((cut.at, cut.at < needed))
    }
}

/// Whether the first use needs a register at both points of its instruction.
fn is_strong(uses: &[Use]) -> bool {
    matches!(uses, [first, second, ..] if first.must && second.must && first.at.is_gap() && second.at == first.at.next())
}
