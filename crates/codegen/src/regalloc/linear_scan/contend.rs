//! Contention: no register is free until a piece's first use, so some value has to be in memory.
//!
//! The values with the lowest cost per point gained are evicted: Belady's rule, weighted by frequency.

use super::{PerReg, Scan, cost::per_point, is_strong};
use crate::mir::PReg;
use crate::regalloc::intervals::{Location, Origin, Piece};
use crate::regalloc::linear::Point;
use crate::regalloc::liveness::Range;
use crate::regalloc::split::best_leave;

/// Weight, in loads from the stack, of a move that an eviction saves. Small, since the choice of the evicted value
/// matters more.
const MOVE_EVICT: f32 = 0.02;

/// Maximum number of pieces evicted for one piece.
const EVICTIONS: usize = 8;

impl Scan<'_> {
    /// Evicts other pieces from a register, or puts the piece in memory, whichever is cheaper.
    pub(super) fn contend(&mut self, piece: Piece, order: &[PReg], votes: &PerReg<f32>) {
        let Some(needed) = self.first_need(piece) else {
            self.spill(piece);
            return;
        };
        let from = self.intervals.get(piece).from;
        let uses = self.intervals.uses(piece);
        let first = uses[needed];
        let end = first.at.next().max(if is_strong(&uses[needed..]) { first.at.next().next() } else { from });
        let must = first.must && first.at == from;
        let own = per_point(self.cost_of_leaving(piece, from));
        let mut best = (if must { f32::INFINITY } else { own }, None);
        let distance = first.at.distance_from(from);
        for &reg in order {
            let Some(mut weight) = self.eviction_weight(piece, reg, end, votes[reg.index()]) else {
                continue;
            };
            if self.is_unsaved(reg) {
                weight += per_point((self.save_cost(), distance.max(self.linear.costs.save_span)));
            }
            if weight < best.0 {
                best = (weight, Some(reg));
            }
        }
        match best.1 {
            Some(reg) => self.take(piece, reg, end),
            None if must => self.displace(piece, order, end),
            None => self.spill(piece),
        }
    }

    /// The pieces that occupy a register in the part of `piece` before `end`, with their first conflicting point.
    pub(super) fn holders(&self, piece: Piece, reg: PReg, end: Point) -> Vec<(Point, Piece)> {
        let mut holders: Vec<(Point, Piece)> = Vec::new();
        for range in self.intervals.ranges(piece).take_while(|range| range.from < end) {
            let range = Range { from: range.from, to: range.to.min(end) };
            for (at, holder) in self.registers[reg].meeting(range) {
                if holders.iter().all(|&(_, other)| other != holder) {
                    holders.push((at, holder));
                }
                if holders.len() > EVICTIONS {
                    return holders;
                }
            }
        }
        holders
    }

    /// The cost per point gained of evicting all pieces from a register, less the moves that saves. `None` if they
    /// can't be evicted.
    pub(super) fn eviction_weight(&self, piece: Piece, reg: PReg, end: Point, votes: f32) -> Option<f32> {
        if self.registers[reg].first_reserved(&self.intervals, piece).is_some_and(|reserved| reserved < end) {
            return None;
        }
        let holders = self.holders(piece, reg, end);
        if holders.len() > EVICTIONS {
            return None;
        }
        let mut weight = 0.0;
        for (at, holder) in holders {
            if self.must_be_at(holder, at) {
                return None;
            }
            let (cost, gained) = self.cost_of_leaving(holder, at);
            weight += per_point((cost - MOVE_EVICT * votes, gained));
        }
        Some(weight)
    }

    pub(super) fn take(&mut self, piece: Piece, reg: PReg, end: Point) {
        for (at, holder) in self.holders(piece, reg, end) {
            self.evict(holder, reg, at);
        }
        self.assign_until(piece, reg, self.free_until(piece, reg));
    }

    /// Evicts a piece from its register at a point or, if that is colder, somewhere after its last use before the
    /// point.
    pub(super) fn evict(&mut self, piece: Piece, reg: PReg, at: Point) {
        let data = *self.intervals.get(piece);
        let covered = self.covered(piece, at);
        if data.from == at || self.is_wasted(piece, covered) {
            self.registers[reg].remove_from(&self.intervals, piece, data.from);
            self.spill(piece);
            return;
        }
        let earliest = self.earliest_leave(piece, covered);
        let cut = best_leave(self.linear, &self.intervals, data.vreg, earliest, at);
        let at = cut.map_or(at, |cut| cut.at);
        self.registers[reg].remove_from(&self.intervals, piece, at);
        let tail = self.intervals.split(piece, at, Origin::Leave);
        self.spill(tail);
    }

    /// Whether a piece that loses its register after the first `covered` uses never needed it.
    pub(super) fn is_wasted(&self, piece: Piece, covered: usize) -> bool {
        let data = self.intervals.get(piece);
        let is_needed = self.first_need(piece).is_some_and(|needed| needed < covered);
        let can_begin_in_memory =
            self.linear.rematerializable[data.vreg] || data.origin == Origin::HoistedReload;
        !is_needed && can_begin_in_memory
    }

    /// The first gap after the first `covered` uses at which the piece can be split.
    pub(super) fn earliest_leave(&self, piece: Piece, covered: usize) -> Point {
        let from = self.intervals.get(piece).from;
        let last = covered.checked_sub(1).map_or(from, |last| self.intervals.uses(piece)[last].at.max(from));
        last.next().gap_after()
    }

    /// Assigns a register to an operand that needs both points of an instruction. It displaces operands that need only
    /// one of the points, since those have more registers to choose from.
    ///
    /// Such a register exists. For each operand at both points the instruction leaves a register that is unreserved at
    /// both points, and each other operand occupies at most one of these. At the early point the displaced operand is
    /// one that is read, at the late point one that is written.
    pub(super) fn displace(&mut self, piece: Piece, order: &[PReg], end: Point) {
        let data = *self.intervals.get(piece);
        let is_strong_from = |piece: Piece, at: Point| is_strong(self.intervals.uses_from(piece, at));
        let can_be_had = |reg: &&PReg| {
            let reserved = self.registers[**reg].first_reserved(&self.intervals, piece);
            let holders = self.holders(piece, **reg, end);
            reserved.is_none_or(|reserved| reserved >= end)
                && holders.iter().all(|&(at, holder)| !is_strong_from(holder, at))
        };
        let reg = order.iter().find(can_be_had).filter(|_| is_strong_from(piece, data.from));
        let Some(&reg) = reg else {
            panic!(
                "instruction number {} needs more registers than the target has, for {}",
                data.from.number(),
                data.vreg
            );
        };
        for (at, holder) in self.holders(piece, reg, end) {
            if self.must_be_at(holder, at) {
                self.requeue(holder, reg, at);
            } else {
                self.evict(holder, reg, at);
            }
        }
        self.assign_until(piece, reg, self.free_until(piece, reg));
    }

    /// Whether a piece has a use at this point that needs a register.
    fn must_be_at(&self, piece: Piece, at: Point) -> bool {
        self.intervals.uses_from(piece, at).first().is_some_and(|next| next.must && next.at == at)
    }

    /// Takes the register from a piece from a point on, and queues that part again: it must be in another register.
    fn requeue(&mut self, piece: Piece, reg: PReg, at: Point) {
        self.registers[reg].remove_from(&self.intervals, piece, at);
        let moved = if self.intervals.get(piece).from == at {
            piece
        } else {
            self.intervals.split(piece, at, Origin::Reload)
        };
        self.intervals.get_mut(moved).location = Location::Open;
        self.enqueue(moved);
    }
}
