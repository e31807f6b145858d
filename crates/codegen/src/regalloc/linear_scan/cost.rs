//! What it costs to have a value in memory: loads and stores by frequency, in executions of one load.

use super::Scan;
use crate::mir::VReg;
use crate::regalloc::hints::{Hint, Wish};
use crate::regalloc::intervals::{Location, Piece};
use crate::regalloc::liveness::Use;
use crate::regalloc::program::Point;
use crate::regalloc::split::{Cut, best_reload, reloads_on_back_edges};
use crate::target::SAVE;

/// What a move between registers costs, of a load from the stack.
pub(super) const MOVE: f32 = 0.1;

/// Points below which a shorter time in a register makes little difference.
pub(super) const SOON: f32 = 12.0;

/// How many uses are looked at when a register's worth is estimated.
pub(super) const USES: usize = 64;

impl Scan<'_> {
    /// The cost of one load of a value, and of storing it if it isn't yet.
    pub(super) fn unit_costs(&self, vreg: VReg, at: Point) -> (f32, f32) {
        if self.program.rematerializable[vreg] {
            return (self.program.rematerialize[vreg], 0.0);
        }
        let def = self.program.defs[vreg].expect("a live value is defined");
        let def_freq = self.program.freq_at(Point::early(def.number));
        let store = if self.spilled[vreg] { 0.0 } else { def_freq.min(self.program.freq_at(at)) };
        (1.0, store)
    }

    /// The unit for a value that is stored where it comes in and loaded where the function is left: its store and
    /// load stand beside those of saved registers and cost as little.
    pub(super) fn unit_until(&self, vreg: VReg, a_use: Use) -> f32 {
        let def = self.program.defs[vreg].expect("a live value is defined");
        let comes_in = def.fixed.is_some() && self.program.block_at(def.at) == self.program.order[0];
        let place = &self.program.blocks[self.program.block_at(a_use.at)];
        let goes_out = place.succs.is_empty() && self.is_read_by_control(a_use);
        if comes_in && goes_out { SAVE / 2.0 } else { 1.0 }
    }

    /// Whether the control of a block reads the value, from its register or through the gap before.
    pub(super) fn is_read_by_control(&self, a_use: Use) -> bool {
        let control = Point::early(self.program.blocks[self.program.block_at(a_use.at)].control());
        a_use.at == control || a_use.at.next() == control
    }

    /// What waiting for a load costs if the value is loaded at `cut` and the control of the same block reads it.
    pub(super) fn wait(&self, vreg: VReg, cut: Cut, a_use: Use) -> f32 {
        let block = self.program.block_at(a_use.at);
        let waits = self.is_read_by_control(a_use)
            && cut.at > self.program.blocks[block].from
            && !self.program.rematerializable[vreg];
        if waits { self.program.control_wait * cut.freq } else { 0.0 }
    }

    /// The cost of a piece that has a register until `from` and is in memory wherever registers are clobbered behind.
    pub(super) fn cost_in_memory(&self, piece: Piece, from: Option<Point>) -> f32 {
        let data = self.intervals.get(piece);
        let from = from.map_or(data.from, |from| from.max(data.from));
        let (load, store) = self.unit_costs(data.vreg, from.min(data.to.prev()));
        let (mut freq, mut wait, mut unit) = (0.0, 0.0, 1.0);
        let mut last = None;
        for a_use in self.intervals.uses_from(piece, from).iter().take(USES) {
            let clobbered = |since: Point| {
                let next = self.program.clobbers.partition_point(|&point| point < since);
                self.program.clobbers.get(next).is_some_and(|&point| point < a_use.at)
            };
            if last.is_none() {
                let cut = self.reload(data.vreg, from, *a_use);
                freq += cut.freq;
                wait += self.wait(data.vreg, cut, *a_use);
                unit = self.unit_until(data.vreg, *a_use);
            } else if last.is_some_and(clobbered) {
                freq += self.program.freq_at(a_use.at);
            }
            last = Some(a_use.at);
        }
        freq += reloads_on_back_edges(self.program, &self.intervals, data.vreg, from, data.to);
        unit * (store + freq * load) + wait
    }

    /// Where a value in memory from `from` on is best reloaded for a use.
    pub(super) fn reload(&self, vreg: VReg, from: Point, a_use: Use) -> Cut {
        if self.is_def(vreg, a_use) {
            return Cut { at: a_use.at, freq: 0.0 };
        }
        best_reload(self.program, &self.intervals, vreg, from, a_use.at.gap_before())
    }

    /// What it costs to have a piece in memory from `at` until its next use, and how many points that gains.
    pub(super) fn cost_of_leaving(&self, piece: Piece, at: Point) -> (f32, u32) {
        let data = self.intervals.get(piece);
        let (load, store) = self.unit_costs(data.vreg, at);
        let back = |to: Point| reloads_on_back_edges(self.program, &self.intervals, data.vreg, at, to);
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
                let end = if goes_on { self.program.freq_at(data.to.prev()) } else { 0.0 };
                (end + back(data.to), data.to.distance_from(at))
            }
        };
        let store = if freq > 0.0 { store } else { 0.0 };
        (unit * (store + load * freq) + wait, gained)
    }

    /// Whether a use costs nothing more if the value is in memory: it becomes parameters that are in memory, too.
    pub(super) fn is_free_in_memory(&self, vreg: VReg, a_use: Use) -> bool {
        let hints = self.hints.of(vreg, a_use.at, a_use.at);
        let in_memory = |hint: &Hint| match hint.wish {
            Wish::Value(other, at) => self.intervals.location_at(other, at) == Some(Location::Memory),
            Wish::Reg(_) => false,
        };
        !a_use.must && !hints.is_empty() && hints.iter().all(in_memory)
    }
}

/// A cost by the time it gains.
pub(super) fn per_point((cost, gained): (f32, u32)) -> f32 {
    cost / (SOON + gained as f32)
}
