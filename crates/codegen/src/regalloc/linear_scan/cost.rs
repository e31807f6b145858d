//! The cost of having a value in memory. The unit is one execution of a load from the stack, per call.

use super::Scan;
use crate::mir::{SAVE, VReg};
use crate::regalloc::hints::{Hint, Wish};
use crate::regalloc::intervals::{Location, Piece};
use crate::regalloc::linear::Point;
use crate::regalloc::liveness::Use;
use crate::regalloc::split::{Cut, best_reload, reloads_on_back_edges};

/// Cost of a move between registers, in loads from the stack.
pub(super) const MOVE: f32 = 0.1;

/// Points added to every distance, so that differences between short distances have little weight.
pub(super) const SOON: f32 = 12.0;

/// Maximum number of uses considered in the cost of a piece.
pub(super) const USES: usize = 64;

impl Scan<'_> {
    /// The cost of one load of a value, and of its store if it isn't stored yet.
    pub(super) fn unit_costs(&self, vreg: VReg, at: Point) -> (f32, f32) {
        if self.linear.rematerializable[vreg] {
            return (self.linear.rematerialize[vreg], 0.0);
        }
        let def = self.linear.defs[vreg].expect("a live value is defined");
        let def_freq = self.linear.freq_at(Point::early(def.number));
        let store = if self.spilled[vreg] { 0.0 } else { def_freq.min(self.linear.freq_at(at)) };
        (1.0, store)
    }

    /// Cost factor of spilling a value until a use. It is low for a value that arrives in a fixed register at the
    /// entry and is needed at an exit, such as the return address. Its store and load are adjacent to those of saved
    /// registers and as cheap.
    pub(super) fn unit_until(&self, vreg: VReg, a_use: Use) -> f32 {
        let def = self.linear.defs[vreg].expect("a live value is defined");
        let comes_in = def.fixed.is_some() && self.linear.block_at(def.at) == self.linear.order[0];
        let span = &self.linear.blocks[self.linear.block_at(a_use.at)];
        let goes_out = span.succs.is_empty() && self.is_read_by_control(a_use);
        if comes_in && goes_out { SAVE / 2.0 } else { 1.0 }
    }

    /// Whether the control of a block reads the value, from its register or through the gap before.
    pub(super) fn is_read_by_control(&self, a_use: Use) -> bool {
        let control = Point::early(self.linear.blocks[self.linear.block_at(a_use.at)].control());
        a_use.at == control || a_use.at.next() == control
    }

    /// The cost of waiting for a load if the value is loaded at `cut` and the control of the same block reads it.
    pub(super) fn wait(&self, vreg: VReg, cut: Cut, a_use: Use) -> f32 {
        let block = self.linear.block_at(a_use.at);
        let waits = self.is_read_by_control(a_use)
            && cut.at > self.linear.blocks[block].from
            && !self.linear.rematerializable[vreg];
        if waits { self.linear.costs.control_wait * cut.freq } else { 0.0 }
    }

    /// The cost of a piece that has a register until `from` and later is in memory wherever registers are clobbered.
    pub(super) fn cost_in_memory(&self, piece: Piece, from: Option<Point>) -> f32 {
        let data = self.intervals.get(piece);
        let from = from.map_or(data.from, |from| from.max(data.from));
        let (load, store) = self.unit_costs(data.vreg, from.min(data.to.prev()));
        let (mut freq, mut wait, mut unit) = (0.0, 0.0, 1.0);
        let mut last = None;
        for a_use in self.intervals.uses_from(piece, from).iter().take(USES) {
            let clobbered = |since: Point| {
                let next = self.linear.clobbers.partition_point(|&point| point < since);
                self.linear.clobbers.get(next).is_some_and(|&point| point < a_use.at)
            };
            if last.is_none() {
                let cut = self.reload(data.vreg, from, *a_use);
                freq += cut.freq;
                wait += self.wait(data.vreg, cut, *a_use);
                unit = self.unit_until(data.vreg, *a_use);
            } else if last.is_some_and(clobbered) {
                freq += self.linear.freq_at(a_use.at);
            }
            last = Some(a_use.at);
        }
        freq += reloads_on_back_edges(self.linear, &self.intervals, data.vreg, from, data.to);
        unit * (store + freq * load) + wait
    }

    /// The best position to reload a value for a use, if it is in memory from `from` on.
    pub(super) fn reload(&self, vreg: VReg, from: Point, a_use: Use) -> Cut {
        if self.is_def(vreg, a_use) {
            return Cut { at: a_use.at, freq: 0.0 };
        }
        best_reload(self.linear, &self.intervals, vreg, from, a_use.at.gap_before())
    }

    /// The cost of having a piece in memory from `at` until its next use, and the number of points gained.
    pub(super) fn cost_of_leaving(&self, piece: Piece, at: Point) -> (f32, u32) {
        let data = self.intervals.get(piece);
        let (load, store) = self.unit_costs(data.vreg, at);
        let back = |to: Point| reloads_on_back_edges(self.linear, &self.intervals, data.vreg, at, to);
        let mut uses = self.intervals.uses_from(piece, at).iter();
        let (mut unit, mut wait) = (1.0, 0.0);
        let (freq, gained) = match uses.find(|a_use| !self.is_free_in_memory(data.vreg, **a_use)) {
            Some(next) => {
                let reload = self.reload(data.vreg, at, *next);
                unit = self.unit_until(data.vreg, *next);
                wait = self.wait(data.vreg, reload, *next);
                (reload.freq + back(reload.at), next.at.distance_from(at))
            }
            None => {
                let goes_on = self.intervals.neighbours(piece).1.is_some_and(|next| {
                    let next = self.intervals.get(next);
                    next.from == data.to && next.location != Location::Memory
                });
                let end = if goes_on { self.linear.freq_at(data.to.prev()) } else { 0.0 };
                (end + back(data.to), data.to.distance_from(at))
            }
        };
        let store = if freq > 0.0 { store } else { 0.0 };
        (unit * (store + load * freq) + wait, gained)
    }

    /// Whether a use is free if the value is in memory, because it is only passed to parameters that are in memory.
    pub(super) fn is_free_in_memory(&self, vreg: VReg, a_use: Use) -> bool {
        let hints = self.hints.of(vreg, a_use.at, a_use.at);
        let in_memory = |hint: &Hint| match hint.wish {
            Wish::Value(other, at) => self.intervals.location_at(other, at) == Some(Location::Memory),
            Wish::Reg(_) => false,
        };
        !a_use.must && !hints.is_empty() && hints.iter().all(in_memory)
    }
}

/// Cost per point gained.
pub(super) fn per_point((cost, gained): (f32, u32)) -> f32 {
    cost / (SOON + gained as f32)
}
