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
//! its save and restore.
//!
//! Why it ends: a piece in memory never returns, cutting makes new pieces only behind the current point, and a
//! piece that must be in a register where it begins can't be evicted there. (Displacement moves such a piece to
//! another register once, for an operand that needs both points of an instruction; that one can't be displaced.)
//! The line is finite.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ssa::IdVec;

use super::hints::{Hint, Hints, Wish};
use super::intervals::{Intervals, Location, Origin, Piece};
use super::liveness::{Range, Use};
use super::occupancy::{Registers, Settled};
use super::program::{Point, Program};
use super::recolor::recolor;
use super::split::{Cut, best_leave, best_reload, reloads_on_back_edges};
use crate::mir::VReg;
use crate::registers::{PReg, RegSet, RegisterInfo};

/// What making a value again costs, of a load from the stack.
const REMATERIALIZE: f32 = 0.15;

/// What saving and restoring a register cost together, of a load: they stand beside those of the return address and
/// of other registers, and machines are faster or smaller there than with loads that are scattered.
const SAVE: f32 = 0.8;

/// What a move between registers costs, of a load from the stack.
const MOVE: f32 = 0.1;

/// What a move that an eviction saves is worth there: little, since which value leaves matters more.
const MOVE_EVICT: f32 = 0.02;

/// What a vote by a web is worth, of a vote by a placed value.
const WEB_VOTE: f32 = 0.5;

/// How much cheaper a later place to leave a register must be to keep it for nothing.
const LATER: f32 = 0.8;

/// Points below which a shorter time in a register makes little difference.
const SOON: f32 = 12.0;

/// How many uses are looked at when a register's worth is estimated.
const USES: usize = 64;

/// The most ranges of a piece that has been cut.
const LONG: usize = 64;

/// The most pieces that may leave for another.
const EVICTIONS: usize = 8;

/// Where everything is.
#[derive(Debug)]
pub struct Placement {
    /// Pieces with their locations, none open.
    pub intervals: Intervals,
    /// When which register is taken.
    pub registers: Settled,
    /// Callee-saved registers in use.
    pub used: RegSet,
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
        save_cost: SAVE * program.blocks[program.order[0]].freq,
        now: Point::early(0),
        intervals,
        queue,
    };
    while let Some(Reverse((from, piece))) = scan.queue.pop() {
        scan.registers.advance(from);
        scan.now = from;
        scan.place(piece);
    }
    let Scan { mut intervals, hints, saved, .. } = scan;
    let all: RegSet = info.order.iter().flatten().copied().collect();
    let usable = all.difference(info.callee_saved.difference(saved));
    recolor(program, info, &hints, &mut intervals, usable);
    let registers = Settled::new(&program.reservations, &intervals);
    Placement { intervals, registers, used: saved }
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
    save_cost: f32,
    /// Where the piece being placed begins; new pieces begin behind it.
    now: Point,
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

    // ---- Uses ----

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

    // ---- Choosing a register ----

    /// Votes of related values for registers.
    fn votes(&self, piece: Piece) -> PerReg<f32> {
        let mut votes = [0.0; 64];
        let data = self.intervals.get(piece);
        for hint in self.hints.of(data.vreg, data.from, data.to.prev()) {
            match hint.wish {
                Wish::Reg(reg) => votes[reg.index()] += hint.weight,
                Wish::Value(other, at) => match self.intervals.location_at(other, at) {
                    Some(Location::Reg(reg)) => votes[reg.index()] += hint.weight,
                    Some(Location::Open) => {
                        if let Some(reg) = self.hints.wanted(other) {
                            votes[reg.index()] += hint.weight * WEB_VOTE;
                        }
                    }
                    _ => {}
                },
            }
        }
        self.vote_for_own(piece, &mut votes);
        votes
    }

    /// Votes for where the value is before the piece begins.
    fn vote_for_own(&self, piece: Piece, votes: &mut PerReg<f32>) {
        let data = self.intervals.get(piece);
        if !self.intervals.is_split(data.vreg) {
            return;
        }
        let block = self.program.block_at(data.from);
        let place = &self.program.blocks[block];
        let mut vote = |at: Point, weight: f32| {
            if let Some(Location::Reg(reg)) = self.intervals.location_at(data.vreg, at) {
                votes[reg.index()] += weight;
            }
        };
        if data.from != place.from {
            vote(data.from.prev(), place.freq);
            return;
        }
        for &pred in place.preds.iter().filter(|&&pred| self.program.blocks[pred].last() < data.from) {
            vote(self.program.blocks[pred].last(), self.program.edge_freq(pred, block));
        }
    }

    /// A register that is free for the whole piece.
    fn whole_register(
        &self,
        piece: Piece,
        order: &[PReg],
        until: &PerReg<Point>,
        votes: &PerReg<f32>,
    ) -> Option<PReg> {
        let (mut best, mut best_unsaved) = (None, None);
        for &reg in order.iter().filter(|reg| until[reg.index()] == Point::MAX) {
            let best = if self.is_unsaved(reg) { &mut best_unsaved } else { &mut best };
            if best.is_none_or(|old: PReg| votes[reg.index()] > votes[old.index()]) {
                *best = Some(reg);
            }
        }
        best.or_else(|| {
            let reg = best_unsaved?;
            let saved = order.iter().filter(|reg| !self.is_unsaved(**reg));
            let otherwise = saved.map(|reg| until[reg.index()]).max();
            (self.cost_in_memory(piece, otherwise) > self.save_cost).then_some(reg)
        })
    }

    /// A register that is free beyond the first use, for as many uses as possible.
    fn part_register(
        &self,
        piece: Piece,
        order: &[PReg],
        until: &PerReg<Point>,
        votes: &PerReg<f32>,
    ) -> Option<PReg> {
        let needed = self.first_need(piece)?;
        let mut best: Option<(usize, f32, Point, PReg)> = None;
        for &reg in order.iter().filter(|reg| !self.is_unsaved(**reg)) {
            let candidate =
                (self.covered(piece, until[reg.index()]), votes[reg.index()], until[reg.index()], reg);
            let better = |old: (usize, f32, Point, PReg)| {
                (candidate.0, candidate.1, candidate.2) > (old.0, old.1, old.2)
            };
            if candidate.0 > needed && best.is_none_or(better) {
                best = Some(candidate);
            }
        }
        best.map(|(.., reg)| reg)
    }

    /// A register that is not free until the first use but until a place where it is cheaper to go to memory than
    /// here, and that place: before a cold path, say.
    fn waiting_register(
        &self,
        piece: Piece,
        order: &[PReg],
        until: &PerReg<Point>,
        votes: &PerReg<f32>,
    ) -> Option<(PReg, Point)> {
        let needed = self.intervals.uses(piece)[self.first_need(piece)?];
        let data = self.intervals.get(piece);
        let usable =
            order.iter().copied().filter(|&reg| !self.is_unsaved(reg) && until[reg.index()] > data.from);
        let by_time = |a: PReg, b: PReg| if until[b.index()] > until[a.index()] { b } else { a };
        let by_votes = |a: PReg, b: PReg| if votes[b.index()] > votes[a.index()] { b } else { a };
        let candidates = [usable.clone().reduce(by_votes)?, usable.reduce(by_time)?];
        let (load, store) = self.unit_costs(data.vreg, data.from);
        let earliest = data.from.next().gap_after();
        let leave = |reg: PReg| {
            let cut = best_leave(self.program, &self.intervals, data.vreg, earliest, until[reg.index()])?;
            let reload = load * self.reload(data.vreg, cut.at, needed).freq;
            Some((store.min(cut.freq) + reload, reg, cut.at))
        };
        let moved = |(later, reg, _): (f32, PReg, Point)| later - MOVE * votes[reg.index()];
        let options = candidates.into_iter().filter_map(leave);
        let (later, reg, at) = options.reduce(|a, b| if moved(b) < moved(a) { b } else { a })?;
        let now = store + load * self.reload(data.vreg, data.from, needed).freq;
        (later < LATER * now).then_some((reg, at))
    }

    // ---- Costs ----

    /// The cost of one load of a value, and of storing it if it isn't yet.
    fn unit_costs(&self, vreg: VReg, at: Point) -> (f32, f32) {
        if self.program.rematerializable[vreg] {
            return (REMATERIALIZE, 0.0);
        }
        let def = self.program.defs[vreg].expect("a live value is defined");
        let def_freq = self.program.freq_at(Point::early(def.number));
        let store = if self.spilled[vreg] { 0.0 } else { def_freq.min(self.program.freq_at(at)) };
        (1.0, store)
    }

    /// The unit for a value that is stored where it comes in and loaded where the function is left: its store and
    /// load stand beside those of saved registers and cost as little.
    fn unit_until(&self, vreg: VReg, a_use: Use) -> f32 {
        let def = self.program.defs[vreg].expect("a live value is defined");
        let place = &self.program.blocks[self.program.block_at(a_use.at)];
        let comes_in = def.fixed.is_some() && self.program.block_at(def.at) == self.program.order[0];
        let goes_out = place.succs.is_empty() && a_use.at.next() == Point::early(place.control());
        if comes_in && goes_out { SAVE / 2.0 } else { 1.0 }
    }

    /// The cost of a piece that has a register until `from` and is in memory wherever registers are clobbered behind.
    fn cost_in_memory(&self, piece: Piece, from: Option<Point>) -> f32 {
        let data = self.intervals.get(piece);
        let from = from.map_or(data.from, |from| from.max(data.from));
        let (load, store) = self.unit_costs(data.vreg, from.min(data.to.prev()));
        let (mut freq, mut unit) = (0.0, 1.0);
        let mut last = None;
        for a_use in self.intervals.uses_from(piece, from).iter().take(USES) {
            let clobbered = |since: Point| {
                let next = self.program.clobbers.partition_point(|&point| point < since);
                self.program.clobbers.get(next).is_some_and(|&point| point < a_use.at)
            };
            if last.is_none_or(clobbered) {
                freq += match last {
                    None => self.reload(data.vreg, from, *a_use).freq,
                    Some(_) => self.program.freq_at(a_use.at),
                };
            }
            if last.is_none() {
                unit = self.unit_until(data.vreg, *a_use);
            }
            last = Some(a_use.at);
        }
        freq += reloads_on_back_edges(self.program, &self.intervals, data.vreg, from, data.to);
        unit * (store + freq * load)
    }

    /// Where a value in memory from `from` on is best reloaded for a use.
    fn reload(&self, vreg: VReg, from: Point, a_use: Use) -> Cut {
        if self.is_def(vreg, a_use) {
            return Cut { at: a_use.at, freq: 0.0 };
        }
        best_reload(self.program, &self.intervals, vreg, from, a_use.at.gap_before())
    }

    /// What it costs to have a piece in memory from `at` until its next use, and how many points that gains.
    fn cost_of_leaving(&self, piece: Piece, at: Point) -> (f32, u32) {
        let data = self.intervals.get(piece);
        let (load, store) = self.unit_costs(data.vreg, at);
        let back = |to: Point| reloads_on_back_edges(self.program, &self.intervals, data.vreg, at, to);
        let mut uses = self.intervals.uses_from(piece, at).iter();
        let mut unit = 1.0;
        let (freq, gained) = match uses.find(|a_use| !self.is_free_in_memory(data.vreg, **a_use)) {
            Some(next) => {
                unit = self.unit_until(data.vreg, *next);
                let reload = self.reload(data.vreg, at, *next);
                (reload.freq + back(reload.at), next.at.distance_from(at))
            }
            None => {
                let goes_on = self.intervals.neighbours(piece).1.is_some_and(|next| {
                    let next = self.intervals.get(next);
                    next.from == data.to && next.location != Location::Memory
                });
                let end = if goes_on { self.program.freq_at(data.to.prev()) } else { 0.0 };
                (end + back(data.to), data.to.distance_from(at))
            }
        };
        let store = if freq > 0.0 { store } else { 0.0 };
        (unit * (store + load * freq), gained)
    }

    /// Whether a use costs nothing more if the value is in memory: it becomes parameters that are in memory, too.
    fn is_free_in_memory(&self, vreg: VReg, a_use: Use) -> bool {
        let hints = self.hints.of(vreg, a_use.at, a_use.at);
        let in_memory = |hint: &Hint| match hint.wish {
            Wish::Value(other, at) => self.intervals.location_at(other, at) == Some(Location::Memory),
            Wish::Reg(_) => false,
        };
        !a_use.must && !hints.is_empty() && hints.iter().all(in_memory)
    }

    // ---- Contention ----

    /// Takes a register from others, or waits in memory, whichever is cheaper.
    fn contend(&mut self, piece: Piece, order: &[PReg], votes: &PerReg<f32>) {
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
                weight += per_point((self.save_cost, distance));
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

    /// The pieces that hold a register while the piece needs it, before `end`, with where they meet it.
    fn holders(&self, piece: Piece, reg: PReg, end: Point) -> Vec<(Point, Piece)> {
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

    /// The cost per point gained of making all pieces leave a register, if they can, less the moves it saves.
    fn eviction_weight(&self, piece: Piece, reg: PReg, end: Point, votes: f32) -> Option<f32> {
        if self.registers[reg].first_reserved(&self.intervals, piece).is_some_and(|reserved| reserved < end) {
            return None;
        }
        let holders = self.holders(piece, reg, end);
        if holders.len() > EVICTIONS {
            return None;
        }
        let mut weight = 0.0;
        for (at, holder) in holders {
            if self.intervals.uses_from(holder, at).first().is_some_and(|next| next.must && next.at == at) {
                return None;
            }
            let (cost, gained) = self.cost_of_leaving(holder, at);
            weight += per_point((cost - MOVE_EVICT * votes, gained));
        }
        Some(weight)
    }

    fn take(&mut self, piece: Piece, reg: PReg, end: Point) {
        for (at, holder) in self.holders(piece, reg, end) {
            self.evict(holder, reg, at);
        }
        self.assign_until(piece, reg, self.free_until(piece, reg));
    }

    /// Makes a piece leave its register at a point or, if it is colder, since its last use.
    fn evict(&mut self, piece: Piece, reg: PReg, at: Point) {
        let data = *self.intervals.get(piece);
        let covered = self.covered(piece, at);
        if data.from == at || self.is_wasted(piece, covered) {
            self.registers[reg].remove_from(&self.intervals, piece, data.from);
            self.spill(piece);
            return;
        }
        let earliest = self.earliest_leave(piece, covered);
        let cut = best_leave(self.program, &self.intervals, data.vreg, earliest, at);
        let at = cut.map_or(at, |cut| cut.at);
        self.registers[reg].remove_from(&self.intervals, piece, at);
        let tail = self.intervals.split(piece, at, Origin::Leave);
        self.spill(tail);
    }

    /// Whether a piece that loses its register behind the first `covered` uses need not have had it.
    fn is_wasted(&self, piece: Piece, covered: usize) -> bool {
        let data = self.intervals.get(piece);
        let is_needed = self.first_need(piece).is_some_and(|needed| needed < covered);
        let can_begin_in_memory =
            self.program.rematerializable[data.vreg] || data.origin == Origin::HoistedReload;
        !is_needed && can_begin_in_memory
    }

    /// The first gap behind the use before index `covered` that the piece can be cut at.
    fn earliest_leave(&self, piece: Piece, covered: usize) -> Point {
        let from = self.intervals.get(piece).from;
        let last = covered.checked_sub(1).map_or(from, |last| self.intervals.uses(piece)[last].at.max(from));
        last.next().gap_after()
    }

    /// Gives a register to an operand that needs both points of an instruction, by moving away one that needs the
    /// early point only and so has more registers to choose from.
    fn displace(&mut self, piece: Piece, order: &[PReg], end: Point) {
        let from = self.intervals.get(piece).from;
        let free_of_weak = |reg: &&PReg| {
            let reserved = self.registers[**reg].first_reserved(&self.intervals, piece);
            let holders = self.holders(piece, **reg, end);
            let weak = |&(at, holder): &(Point, Piece)| {
                at == from && !is_strong(self.intervals.uses_from(holder, at))
            };
            reserved.is_none_or(|reserved| reserved >= end) && holders.len() == 1 && holders.iter().all(weak)
        };
        let vreg = self.intervals.get(piece).vreg;
        let is_strong = is_strong(self.intervals.uses_from(piece, from));
        let Some(&reg) = order.iter().find(free_of_weak).filter(|_| is_strong) else {
            panic!("number {} needs more registers than there are, for {vreg}", from.number());
        };
        let (at, holder) = self.holders(piece, reg, end)[0];
        self.registers[reg].remove_from(&self.intervals, holder, at);
        let moved = if self.intervals.get(holder).from == at {
            holder
        } else {
            self.intervals.split(holder, at, Origin::Reload)
        };
        self.intervals.get_mut(moved).location = Location::Open;
        self.enqueue(moved);
        self.assign_until(piece, reg, self.free_until(piece, reg));
    }

    // ---- Decisions ----

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

/// A cost by the time it gains.
fn per_point((cost, gained): (f32, u32)) -> f32 {
    cost / (SOON + gained as f32)
}

/// Whether the first use is at both points of its instruction.
fn is_strong(uses: &[Use]) -> bool {
    matches!(uses, [first, second, ..] if first.must && second.must && first.at.is_gap() && second.at == first.at.next())
}
