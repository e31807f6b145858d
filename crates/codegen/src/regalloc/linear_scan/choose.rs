//! Choosing a register that is free for a piece, or for the first part of it.
//!
//! Related values vote for registers, see [`hints`](super::super::hints). Among registers that are free long enough,
//! the one with most votes is chosen; among equals, the one that the target lists first.

use super::{PerReg, Scan, cost::MOVE};
use crate::mir::PReg;
use crate::regalloc::hints::Wish;
use crate::regalloc::intervals::{Location, Piece};
use crate::regalloc::linear::Point;
use crate::regalloc::split::best_leave;

/// Weight of a web's vote, relative to the vote of a placed value.
const WEB_VOTE: f32 = 0.5;

/// Keeping a register until a later spill position, without a use in between, must cost less than this fraction of
/// spilling now.
const LATER: f32 = 0.8;

impl Scan<'_> {
    /// Votes of related values for registers.
    pub(super) fn votes(&self, piece: Piece) -> PerReg<f32> {
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

    /// Votes for the registers that hold the value directly before the piece.
    pub(super) fn vote_for_own(&self, piece: Piece, votes: &mut PerReg<f32>) {
        let data = self.intervals.get(piece);
        if !self.intervals.is_split(data.vreg) {
            return;
        }
        let block = self.linear.block_at(data.from);
        let span = &self.linear.blocks[block];
        let mut vote = |at: Point, weight: f32| {
            if let Some(Location::Reg(reg)) = self.intervals.location_at(data.vreg, at) {
                votes[reg.index()] += weight;
            }
        };
        if data.from != span.from {
            vote(data.from.prev(), span.freq);
            return;
        }
        for &pred in span.preds.iter().filter(|&&pred| self.linear.blocks[pred].last() < data.from) {
            vote(self.linear.blocks[pred].last(), self.linear.edge_freq(pred, block));
        }
    }

    /// A register that is free for the whole piece.
    pub(super) fn whole_register(
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
            (self.cost_in_memory(piece, otherwise) > self.save_cost()).then_some(reg)
        })
    }

    /// The register that is free beyond the first use and covers the most uses.
    pub(super) fn part_register(
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

    /// A register that is free up to a position at which spilling is cheaper than here, though not up to the first
    /// use; and that position. Example: a position before a cold path.
    pub(super) fn waiting_register(
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
            let cut = best_leave(self.linear, &self.intervals, data.vreg, earliest, until[reg.index()])?;
            let reload = load * self.reload(data.vreg, cut.at, needed).freq;
            Some((store.min(cut.freq) + reload, reg, cut.at))
        };
        let moved = |(later, reg, _): (f32, PReg, Point)| later - MOVE * votes[reg.index()];
        let options = candidates.into_iter().filter_map(leave);
        let (later, reg, at) = options.reduce(|a, b| if moved(b) < moved(a) { b } else { a })?;
        let now = store + load * self.reload(data.vreg, data.from, needed).freq;
        (later < LATER * now).then_some((reg, at))
    }
}
