//! Recoloring: assigning pieces to registers that save moves, once all pieces are placed.
//!
//! The scan chooses a piece's register before those of later pieces. And an eviction may free a register for a range
//! that the scan has already passed. Afterwards all votes are known. For each piece we sum, per register, the
//! frequencies of the moves that would become unnecessary. The piece gets the register with most votes if that is free
//! for the whole piece. A piece changes its register only if that strictly lowers the cost of moves. The rounds are
//! fixed in number; a second one lets related pieces follow.

use super::hints::{Hints, Wish};
use super::intervals::{Intervals, Location, Piece};
use super::linear::{LinearFunction, Point};
use super::occupancy::Registers;
use crate::mir::{PReg, RegSet, RegisterInfo, VReg};

/// Number of passes over all pieces.
const ROUNDS: usize = 2;

/// Maximum number of blocks per range that are searched for edges that leave or enter the piece.
const BLOCKS: usize = 64;

/// Recolors the pieces of a placement, using only registers in `usable`.
pub fn recolor(
    linear: &LinearFunction,
    info: &RegisterInfo,
    hints: &Hints,
    intervals: &mut Intervals,
    usable: RegSet,
) {
    let mut registers = Registers::new(&linear.reservations);
    for piece in intervals.ids() {
        if let Location::Reg(reg) = intervals.get(piece).location {
            registers[reg].insert(intervals, piece);
        }
    }
    for _ in 0..ROUNDS {
        for piece in intervals.ids() {
            let data = intervals.get(piece);
            let Location::Reg(old) = data.location else { continue };
            let votes = votes(linear, hints, intervals, piece);
            let order = info.allocatable(linear.classes[data.vreg]);
            let Some(new) =
                best(&votes, order, old, usable, |reg| is_free(&registers, intervals, piece, reg))
            else {
                continue;
            };
            let from = data.from;
            registers[old].remove_from(intervals, piece, from);
            intervals.get_mut(piece).location = Location::Reg(new);
            registers[new].insert(intervals, piece);
        }
    }
}

fn is_free(registers: &Registers, intervals: &Intervals, piece: Piece, reg: PReg) -> bool {
    registers[reg].first_reserved(intervals, piece).is_none()
        && registers[reg].first_placed(intervals, piece).is_none()
}

/// The free register with most votes, if it has more than the old one.
fn best(
    votes: &[f32; 64],
    order: &[PReg],
    old: PReg,
    usable: RegSet,
    is_free: impl Fn(PReg) -> bool,
) -> Option<PReg> {
    let votes_of = |reg: PReg| votes[reg.index()];
    let mut best = old;
    for &reg in order.iter().filter(|reg| usable.contains(**reg)) {
        if votes_of(reg) > votes_of(best) && is_free(reg) {
            best = reg;
        }
    }
    (best != old).then_some(best)
}

/// Executions per call of the moves that each register would save.
fn votes(linear: &LinearFunction, hints: &Hints, intervals: &Intervals, piece: Piece) -> [f32; 64] {
    let mut votes = [0.0; 64];
    let data = intervals.get(piece);
    for hint in hints.of(data.vreg, data.from, data.to.prev()) {
        match hint.wish {
            Wish::Reg(reg) => votes[reg.index()] += hint.weight,
            Wish::Value(other, at) => vote(&mut votes, intervals, other, at, hint.weight),
        }
    }
    if intervals.is_split(data.vreg) {
        votes_of_neighbours(linear, intervals, piece, &mut votes);
        votes_over_edges(linear, intervals, piece, &mut votes);
    }
    votes
}

fn vote(votes: &mut [f32; 64], intervals: &Intervals, vreg: VReg, at: Point, weight: f32) {
    if let Some(Location::Reg(reg)) = intervals.location_at(vreg, at) {
        votes[reg.index()] += weight;
    }
}

/// Votes for the registers of the adjacent pieces of the same value, where the split is inside a block.
fn votes_of_neighbours(linear: &LinearFunction, intervals: &Intervals, piece: Piece, votes: &mut [f32; 64]) {
    let data = intervals.get(piece);
    let (before, after) = intervals.neighbours(piece);
    let meets_before = before.is_some_and(|before| intervals.get(before).to == data.from);
    if meets_before && !linear.is_block_start(data.from) {
        vote(votes, intervals, data.vreg, data.from.prev(), linear.freq_at(data.from));
    }
    let meets_after = after.is_some_and(|after| intervals.get(after).from == data.to);
    if meets_after && !linear.is_block_start(data.to) {
        vote(votes, intervals, data.vreg, data.to, linear.freq_at(data.to));
    }
}

/// Votes for the registers of the same value at the other end of edges that enter or leave the piece.
fn votes_over_edges(linear: &LinearFunction, intervals: &Intervals, piece: Piece, votes: &mut [f32; 64]) {
    let data = *intervals.get(piece);
    let is_inside = |point: Point| data.from <= point && point < data.to;
    let defined_at = linear.defs[data.vreg].map(|def| def.at);
    for range in intervals.ranges(piece) {
        let first = linear.blocks[linear.block_at(range.from)].position as usize;
        for &block in linear.order[first..].iter().take(BLOCKS) {
            let span = &linear.blocks[block];
            if span.from >= range.to {
                break;
            }
            if span.from >= range.from && Some(span.from) != defined_at {
                let outside = span.preds.iter().filter(|&&pred| !is_inside(linear.blocks[pred].last()));
                for &pred in outside {
                    let weight = linear.edge_freq(pred, block);
                    vote(votes, intervals, data.vreg, linear.blocks[pred].last(), weight);
                }
            }
            if span.last() >= range.to {
                break;
            }
            for &succ in span.succs.iter().filter(|&&succ| !is_inside(linear.blocks[succ].from)) {
                let start = linear.blocks[succ].from;
                if Some(start) != defined_at && intervals.life.is_live_at(data.vreg, start) {
                    vote(votes, intervals, data.vreg, start, linear.edge_freq(block, succ));
                }
            }
        }
    }
}
