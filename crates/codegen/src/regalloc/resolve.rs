//! Resolution: inserting the moves at splits, on edges and around operands in fixed registers, and the stores.
//!
//! The moves of a gap are one parallel move: all read the locations from before the gap. Moves on an edge go to the
//! start of the successor if it has no other predecessor. Otherwise they go to the end of the predecessor, which then
//! has no other successor, because no edge is critical.

use ssa::IdVec;

use super::intervals::{Intervals, Location};
use super::linear::{LinearFunction, Need, Point};
use super::linear_scan::Placement;
use super::parallel_move::{Move, Spare, Step, Storage, sequentialize};
use super::spill::{Spills, Stores, live_in_blocks};
use crate::mir::{Block, PReg, RegClass, RegSet, RegisterInfo, SpillSlot, VReg};

/// A position at which moves are inserted, ordered by execution within a block.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Gap {
    /// The gap before a number; for a block's head, the start of the block.
    pub at: Point,
    /// For a block's control: whether the moves are after it, on its only edge.
    pub on_edge: bool,
}

impl Gap {
    const fn before(at: Point) -> Self {
        Self { at, on_edge: false }
    }
}

/// Finds and orders all moves. The result is sorted by gap. May add spill slots for moves that need them.
pub fn resolve(
    linear: &LinearFunction,
    info: &RegisterInfo,
    placement: &Placement,
    spills: &mut Spills,
) -> Vec<(Gap, Step)> {
    let mut resolver = Resolver { linear, intervals: &placement.intervals, spills, moves: Vec::new() };
    resolver.cuts_and_edges();
    resolver.edge_args();
    resolver.operands();
    resolver.stores();
    let mut moves = resolver.moves;
    moves.sort_by_key(|(gap, _)| *gap);
    order_moves(linear, info, placement, spills, &moves)
}

struct Resolver<'a> {
    linear: &'a LinearFunction,
    intervals: &'a Intervals,
    spills: &'a Spills,
    moves: Vec<(Gap, Move)>,
}

impl Resolver<'_> {
    fn push(&mut self, gap: Gap, vreg: VReg, src: Storage, dst: Storage) {
        if src != dst {
            self.moves.push((gap, Move { src, dst, class: self.linear.classes[vreg] }));
        }
    }

    /// The location of a live value at a point.
    fn storage_at(&self, vreg: VReg, point: Point) -> Storage {
        match self.intervals.location_at(vreg, point) {
            Some(Location::Reg(reg)) => Storage::Reg(reg),
            Some(Location::Memory) if self.linear.rematerializable[vreg] => Storage::Remat(vreg),
            Some(Location::Memory) => self.slot(vreg),
            Some(Location::Open) | None => unreachable!("{vreg} has no location at {point:?}"),
        }
    }

    fn slot(&self, vreg: VReg) -> Storage {
        Storage::Slot(self.spills.get(vreg).expect("a value in memory has a slot").slot)
    }

    /// The location of a value before the moves of a gap inside a block.
    fn storage_before(&self, vreg: VReg, gap: Point) -> Storage {
        let def = self.linear.defs[vreg].expect("a value that is read is defined");
        match def.fixed {
            Some(reg) if def.at == gap => Storage::Reg(reg),
            _ => self.storage_at(vreg, gap.prev()),
        }
    }

    fn edge_gap(&self, pred: Block, block: Block) -> Gap {
        match self.linear.blocks[block].preds.len() {
            1 => Gap::before(self.linear.blocks[block].from),
            _ => {
                let pred = &self.linear.blocks[pred];
                assert_eq!(pred.succs.len(), 1, "no edge is critical");
                Gap { at: Point::early(pred.control()), on_edge: true }
            }
        }
    }

    fn cuts_and_edges(&mut self) {
        for vreg in self.linear.defs.ids().filter(|&vreg| self.intervals.is_split(vreg)) {
            for pair in self.intervals.pieces_of(vreg).windows(2) {
                let (a, b) = (self.intervals.get(pair[0]), self.intervals.get(pair[1]));
                let is_load = matches!(b.location, Location::Reg(_));
                if is_load && a.to == b.from && !self.linear.is_block_start(b.from) {
                    assert!(b.from.is_gap(), "a value enters a register inside an instruction");
                    self.push(
                        Gap::before(b.from),
                        vreg,
                        self.storage_at(vreg, a.to.prev()),
                        self.storage_at(vreg, b.from),
                    );
                }
            }
            for block in live_in_blocks(self.linear, self.intervals, vreg) {
                self.edges_into(vreg, block);
            }
        }
    }

    fn edges_into(&mut self, vreg: VReg, block: Block) {
        let dst = self.storage_at(vreg, self.linear.blocks[block].from);
        if !matches!(dst, Storage::Reg(_)) {
            return;
        }
        for &pred in &self.linear.blocks[block].preds {
            let src = self.storage_at(vreg, self.linear.blocks[pred].last());
            self.push(self.edge_gap(pred, block), vreg, src, dst);
        }
    }

    fn edge_args(&mut self) {
        for edge in &self.linear.edge_args {
            let src = self.storage_at(edge.arg, self.linear.blocks[edge.pred].last());
            let dst = self.storage_at(edge.param, self.linear.blocks[edge.block].from);
            self.push(self.edge_gap(edge.pred, edge.block), edge.param, src, dst);
        }
    }

    /// Moves for operands in fixed registers and for tied operands.
    fn operands(&mut self) {
        for n in 0..self.linear.numbers() {
            let (before, after) = (Point::early(n), Point::early(n + 1));
            let operands = self.linear.operands(n);
            for operand in operands {
                let vreg = operand.vreg;
                match operand.need {
                    Need::FixedUse { reg, .. } => {
                        self.push(
                            Gap::before(before),
                            vreg,
                            self.storage_before(vreg, before),
                            Storage::Reg(reg),
                        );
                    }
                    Need::TiedUse(index) => {
                        let dst = self.storage_at(operands[index as usize].vreg, before);
                        self.push(Gap::before(before), vreg, self.storage_before(vreg, before), dst);
                    }
                    Need::FixedDef { reg, .. } if self.intervals.life.is_live_at(vreg, after) => {
                        let dst = self.storage_at(vreg, after);
                        if !matches!(dst, Storage::Remat(_)) {
                            self.push(Gap::before(after), vreg, Storage::Reg(reg), dst);
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    fn stores(&mut self) {
        for vreg in self.linear.defs.ids() {
            let Some(spill) = self.spills.get(vreg) else { continue };
            let dst = Storage::Slot(spill.slot);
            match &spill.stores {
                Stores::AtDefinition => self.store_at_definition(vreg, dst),
                Stores::AtCrossings { gaps, edges } => {
                    for &gap in gaps {
                        self.push(Gap::before(gap), vreg, self.storage_before(vreg, gap), dst);
                    }
                    for &(pred, block) in edges {
                        let src = self.storage_at(vreg, self.linear.blocks[pred].last());
                        self.push(self.edge_gap(pred, block), vreg, src, dst);
                    }
                }
            }
        }
    }

    fn store_at_definition(&mut self, vreg: VReg, dst: Storage) {
        let def = self.linear.defs[vreg].expect("a spilled value is defined");
        if self.intervals.location_at(vreg, def.at) == Some(Location::Memory) {
            return;
        }
        let gap = Point::early(def.number + 1);
        self.push(Gap::before(gap), vreg, self.storage_before(vreg, gap), dst);
    }
}

fn order_moves(
    linear: &LinearFunction,
    info: &RegisterInfo,
    placement: &Placement,
    spills: &mut Spills,
    moves: &[(Gap, Move)],
) -> Vec<(Gap, Step)> {
    let mut steps = Vec::with_capacity(moves.len());
    let mut emergency = Emergency { slots: &mut spills.slots, made: [[None; 2]; 2] };
    for batch in moves.chunk_by(|a, b| a.0 == b.0) {
        let gap = batch[0].0;
        let list: Vec<Move> = batch.iter().map(|(_, a_move)| *a_move).collect();
        let around = points_around(linear, gap);
        let mut spare = Around { info, placement, moves: &list, around, emergency: &mut emergency };
        steps.extend(sequentialize(&list, &mut spare).into_iter().map(|step| (gap, step)));
    }
    steps
}

/// The points before and after the moves of a gap.
fn points_around(linear: &LinearFunction, gap: Gap) -> [Point; 2] {
    let span = &linear.blocks[linear.block_at(gap.at)];
    if gap.on_edge {
        [span.last(), linear.blocks[span.succs[0]].from]
    } else if gap.at == span.from {
        [linear.blocks[span.preds[0]].last(), gap.at]
    } else {
        [gap.at.prev(), gap.at]
    }
}

/// Slots for moves that need a temporary but find no free register.
struct Emergency<'a> {
    slots: &'a mut IdVec<SpillSlot, RegClass>,
    made: [[Option<SpillSlot>; 2]; 2],
}

/// The free registers and slots around one gap.
struct Around<'a, 'b> {
    info: &'a RegisterInfo,
    placement: &'a Placement,
    moves: &'a [Move],
    around: [Point; 2],
    emergency: &'a mut Emergency<'b>,
}

impl Around<'_, '_> {
    /// The scratch register, if all moves are between registers: targets may need it for the addresses of slots and
    /// for rematerialising values.
    fn scratch(&self, class: RegClass) -> Option<PReg> {
        let is_reg = |storage: Storage| matches!(storage, Storage::Reg(_));
        let only_registers = self.moves.iter().all(|a_move| is_reg(a_move.src) && is_reg(a_move.dst));
        self.info.scratch.filter(|_| class == RegClass::Int && only_registers)
    }
}

impl Spare for Around<'_, '_> {
    fn free(&mut self, class: RegClass) -> RegSet {
        let is_moved = |reg: PReg| {
            let storage = Storage::Reg(reg);
            self.moves.iter().any(|a_move| a_move.src == storage || a_move.dst == storage)
        };
        let order = self.info.allocatable(class).iter().copied();
        let free = |reg: PReg| self.placement.registers.is_free_at(reg, self.around);
        let allowed = |reg: PReg| self.placement.used.contains(reg) || !self.info.callee_saved.contains(reg);
        let free = order.filter(|&reg| allowed(reg) && free(reg) && !is_moved(reg));
        free.chain(self.scratch(class).filter(|&reg| !is_moved(reg))).collect()
    }

    fn any(&mut self, class: RegClass) -> PReg {
        self.info.allocatable(class)[0]
    }

    fn slot(&mut self, class: RegClass, n: usize) -> SpillSlot {
        let slots = &mut *self.emergency.slots;
        *self.emergency.made[class as usize][n].get_or_insert_with(|| slots.push(class))
    }
}
