//! Recoloring: moving pieces to registers that save moves, once everything is placed.
//!
//! The scan chooses a piece's register before it knows those of later pieces, and an eviction may empty a register
//! for a stretch that lies behind it. Afterwards every vote can be counted: for each piece we sum, per register, the
//! frequencies of the moves that would disappear, and take the register with most votes if it is free for the whole
//! piece. Moves only become fewer: a piece moves only if that strictly lowers their cost. A fixed number of rounds
//! lets chains follow.

use super::hints::{Hints, Wish};
use super::intervals::{Intervals, Location, Piece};
use super::occupancy::Registers;
use super::program::{Point, Program};
use crate::mir::VReg;
use crate::registers::{PReg, RegSet, RegisterInfo};

/// How often all pieces are looked at.
const ROUNDS: usize = 2;

/// How many blocks of a piece are searched for edges that leave or enter it.
const BLOCKS: usize = 64;

/// Improves a placement. Registers outside of `usable` are not taken.
pub fn recolor(
    program: &Program,
    info: &RegisterInfo,
    hints: &Hints,
    intervals: &mut Intervals,
    usable: RegSet,
) {
    let mut registers = Registers::new(&program.reservations);
    for piece in intervals.ids() {
        if let Location::Reg(reg) = intervals.get(piece).location {
            registers[reg].insert(intervals, piece);
        }
    }
    for _ in 0..ROUNDS {
        for piece in intervals.ids() {
            let data = intervals.get(piece);
            let Location::Reg(old) = data.location else { continue };
            let votes = votes(program, hints, intervals, piece);
            let order = info.allocatable(program.classes[data.vreg]);
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

/// Executions of the moves that each register would save.
fn votes(program: &Program, hints: &Hints, intervals: &Intervals, piece: Piece) -> [f32; 64] {
    let mut votes = [0.0; 64];
    let data = intervals.get(piece);
    for hint in hints.of(data.vreg, data.from, data.to.prev()) {
        match hint.wish {
            Wish::Reg(reg) => votes[reg.index()] += hint.weight,
            Wish::Value(other, at) => vote(&mut votes, intervals, other, at, hint.weight),
        }
    }
    if intervals.is_split(data.vreg) {
        votes_of_neighbours(program, intervals, piece, &mut votes);
        votes_over_edges(program, intervals, piece, &mut votes);
    }
    votes
}

fn vote(votes: &mut [f32; 64], intervals: &Intervals, vreg: VReg, at: Point, weight: f32) {
    if let Some(Location::Reg(reg)) = intervals.location_at(vreg, at) {
        votes[reg.index()] += weight;
    }
}

/// Votes for the registers of the pieces that meet this one inside a block.
fn votes_of_neighbours(program: &Program, intervals: &Intervals, piece: Piece, votes: &mut [f32; 64]) {
    let data = intervals.get(piece);
    let (before, behind) = intervals.neighbours(piece);
    let meets_before = before.is_some_and(|before| intervals.get(before).to == data.from);
    if meets_before && !program.is_block_start(data.from) {
        vote(votes, intervals, data.vreg, data.from.prev(), program.freq_at(data.from));
    }
    let meets_behind = behind.is_some_and(|behind| intervals.get(behind).from == data.to);
    if meets_behind && !program.is_block_start(data.to) {
        vote(votes, intervals, data.vreg, data.to, program.freq_at(data.to));
    }
}

/// Votes for the registers of the same value at the other end of edges that enter or leave the piece.
fn votes_over_edges(program: &Program, intervals: &Intervals, piece: Piece, votes: &mut [f32; 64]) {
    let data = *intervals.get(piece);
    let is_inside = |point: Point| data.from <= point && point < data.to;
    let defined_at = program.defs[data.vreg].map(|def| def.at);
    for range in intervals.ranges(piece) {
        let first = program.blocks[program.block_at(range.from)].position as usize;
        for &block in program.order[first..].iter().take(BLOCKS) {
            let place = &program.blocks[block];
            if place.from >= range.to {
                break;
            }
            if place.from >= range.from && Some(place.from) != defined_at {
                let outside = place.preds.iter().filter(|&&pred| !is_inside(program.blocks[pred].last()));
                for &pred in outside {
                    let weight = program.edge_freq(pred, block);
                    vote(votes, intervals, data.vreg, program.blocks[pred].last(), weight);
                }
            }
            if place.last() >= range.to {
                break;
            }
            for &succ in place.succs.iter().filter(|&&succ| !is_inside(program.blocks[succ].from)) {
                let start = program.blocks[succ].from;
                if Some(start) != defined_at && intervals.life.is_live_at(data.vreg, start) {
                    vote(votes, intervals, data.vreg, start, program.edge_freq(block, succ));
                }
            }
        }
    }
}
