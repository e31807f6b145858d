//! Linear scan: giving each piece of each live interval a register or memory.
//!
//! Pieces are placed in order of their first point. A piece takes a register that is free for all of it if there is
//! one, the one with most votes from hints. Else it takes a register that is free beyond at least its first use, and
//! is cut before that register's next owner; the rest queues again. Else it contends: either the pieces that hold
//! some register until its first use leave it, or, if that is dearer, the piece itself waits in memory until its
//! first use. A piece that leaves is in memory until it is reloaded, in the coldest place before its next use, as a
//! new piece in the queue.
//!
//! Costs are executions of memory operations, by block frequency. The first use of a callee-saved register costs
//! its save and restore. When all pieces are placed, some move to other registers to save moves.
//!
//! Why it ends: a piece in memory never returns, cutting makes new pieces only behind the current point, and a
//! piece that must be in a register where it begins can't be evicted there. (Displacement moves such pieces to
//! other registers, for an operand that needs both points of an instruction. Each displacement places one such
//! operand, and those are never displaced.) The line is finite.

mod choose;
mod contend;
mod cost;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ssa::IdVec;

use super::hints::Hints;
use super::intervals::{Intervals, Location, Origin, Piece};
use super::liveness::Use;
use super::occupancy::{Registers, Settled};
use super::program::{Point, Program};
use super::recolor::recolor;
use super::split::best_leave;
use crate::mir::VReg;
use crate::registers::{PReg, RegSet, RegisterInfo};

/// The most ranges of a piece that has been cut.
const LONG: usize = 64;

/// Where everything is.
#[derive(Debug)]
pub struct Placement {
    /// Pieces with their locations, none open.
    pub intervals: Intervals,
    /// When which register is taken.
    pub registers: Settled,
    /// Callee-saved registers in use.
    pub used: RegSet,
    /// Pieces given a register, and ranges entered for them, counted each time.
    #[cfg(test)]
    pub work: usize,
}

/// Places every piece.
pub fn scan(program: &Program, info: &RegisterInfo) -> Placement {
    let intervals = Intervals::new(program);
    let queue = intervals.ids().map(|piece| Reverse((intervals.get(piece).from, piece))).collect();
    let mut scan = Scan {
        program,
        info,
        registers: Registers::new(&program.reservations),
        hints: Hints::new(program),
        spilled: IdVec::filled(false, program.defs.len()),
        saved: RegSet::EMPTY,
        entry_freq: program.blocks[program.order[0]].freq,
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
    recolor(program, info, &hints, &mut intervals, usable);
    let registers = Settled::new(&program.reservations, &intervals);
    Placement {
        intervals,
        registers,
        used: saved,
        #[cfg(test)]
        work,
    }
}

struct Scan<'a> {
    program: &'a Program,
    info: &'a RegisterInfo,
    intervals: Intervals,
    registers: Registers,
    hints: Hints,
    queue: BinaryHeap<Reverse<(Point, Piece)>>,
    /// Which values have a piece in memory.
    spilled: IdVec<VReg, bool>,
    /// Callee-saved registers in use.
    saved: RegSet,
    entry_freq: f32,
    /// Where the piece being placed begins; new pieces begin behind it.
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
        self.info.allocatable(self.program.classes[self.intervals.get(piece).vreg])
    }

    /// The first point where the piece can't have the register, or [`Point::MAX`].
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

    /// What it costs to be the first user of a callee-saved register.
    fn save_cost(&self) -> f32 {
        let [first, further] = self.program.save_costs;
        self.entry_freq * if self.saved.is_empty() { first } else { further }
    }

    /// The first use that wants the register. Defining a value that can be made again doesn't.
    fn first_need(&self, piece: Piece) -> Option<usize> {
        let data = self.intervals.get(piece);
        let uses = self.intervals.uses(piece);
        let skip = uses.first().is_some_and(|first| !first.must && self.is_def(data.vreg, *first));
        (usize::from(skip) < uses.len()).then_some(usize::from(skip))
    }

    fn is_def(&self, vreg: VReg, a_use: Use) -> bool {
        self.program.defs[vreg].is_some_and(|def| def.at == a_use.at)
    }

    fn is_dead_remat(&self, piece: Piece) -> bool {
        let vreg = self.intervals.get(piece).vreg;
        self.program.rematerializable[vreg]
            && !self.intervals.is_split(vreg)
            && self.first_need(piece).is_none()
    }

    /// Whether the piece before is in memory and nothing but its length ended it.
    fn continues_in_memory(&self, piece: Piece) -> bool {
        let is_memory = |before: Piece| self.intervals.get(before).location == Location::Memory;
        let data = self.intervals.get(piece);
        let must =
            self.intervals.uses(piece).first().is_some_and(|first| first.must && first.at == data.from);
        data.origin == Origin::Continuation
            && !must
            && self.intervals.neighbours(piece).0.is_some_and(is_memory)
    }

    /// How many uses of the piece lie before `until`; a use at both points of an instruction counts as a whole.
    fn covered(&self, piece: Piece, until: Point) -> usize {
        let uses = self.intervals.uses(piece);
        let count = uses.partition_point(|a_use| a_use.at < until);
        let is_cut = count > 0 && is_strong(&uses[count - 1..]);
        count - usize::from(is_cut)
    }

    /// Queues a new piece. Long ones are cut, since placing a piece takes time by its length and it may have to
    /// leave again and again.
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
        self.hints.note(vreg, reg, self.program.freq_at(from));
    }

    /// Gives a register that is free until a point, and cuts the piece before it.
    fn assign_until(&mut self, piece: Piece, reg: PReg, until: Point) {
        if until == Point::MAX {
            self.assign(piece, reg);
            return;
        }
        let vreg = self.intervals.get(piece).vreg;
        let covered = self.covered(piece, until);
        let leave = |covered: usize| {
            let earliest = self.earliest_leave(piece, covered);
            best_leave(self.program, &self.intervals, vreg, earliest, until)
        };
        let first = self.first_need(piece).map_or(0, |needed| needed + 1);
        let cut = leave(covered).or_else(|| if covered > first { leave(covered - 1) } else { None });
        match cut {
            Some(cut) => {
                let tail = self.intervals.split(piece, cut.at, Origin::Leave);
                self.assign(piece, reg);
                self.enqueue(tail);
            }
            // The last use is at the early point and the register is taken at the late one.
            None => {
                let tail = self.intervals.split(piece, until, Origin::Leave);
                self.assign(piece, reg);
                self.spill(tail);
            }
        }
    }

    /// Puts a piece into memory, and cuts it where it is to be reloaded.
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

    /// Where to reload for a use, if it is worth a register; and whether that is earlier than needed.
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
        let colder = cut.freq < 0.5 * self.program.freq_at(a_use.at);
        (a_use.must || (colder && self.program.is_block_start(cut.at))).then_some((cut.at, cut.at < needed))
    }
}

/// Whether the first use is at both points of its instruction.
fn is_strong(uses: &[Use]) -> bool {
    matches!(uses, [first, second, ..] if first.must && second.must && first.at.is_gap() && second.at == first.at.next())
}
