//! The moves that connect the pieces: at cuts, on edges, around operands in fixed registers, and stores.
//!
//! Moves are collected per gap as a parallel move: all read the locations that hold before the gap. Moves of an
//! edge go to the end of the predecessor if that is its only way out, else to the start of the successor, which
//! then has no other way in, because no edge is critical.

use ssa::IdVec;

use super::intervals::{Intervals, Location};
use super::linear_scan::Placement;
use super::parallel_move::{Move, Place, Spare, Step, sequentialize};
use super::program::{Need, Point, Program};
use super::spill::{Spills, Stores, live_in_blocks};
use crate::mir::{Block, SpillSlot, VReg};
use crate::registers::{PReg, RegClass, RegSet, RegisterInfo};

/// A place for moves, in order of execution within a block.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Gap {
    /// The gap before a number; for a block's head, the start of the block.
    pub at: Point,
    /// For a block's control: whether it is behind it, on its only edge.
    pub on_edge: bool,
}

impl Gap {
    const fn before(at: Point) -> Self {
        Self { at, on_edge: false }
    }
}

/// Finds and orders all moves. The result is sorted by gap. May add spill slots for moves that need them.
pub fn resolve(
    program: &Program,
    info: &RegisterInfo,
    placement: &Placement,
    spills: &mut Spills,
) -> Vec<(Gap, Step)> {
    let mut resolver = Resolver { program, intervals: &placement.intervals, spills, moves: Vec::new() };
    resolver.cuts_and_edges();
    resolver.edge_args();
    resolver.operands();
    resolver.stores();
    let mut moves = resolver.moves;
    moves.sort_by_key(|(gap, _)| *gap);
    order_moves(program, info, placement, spills, &moves)
}

struct Resolver<'a> {
    program: &'a Program,
    intervals: &'a Intervals,
    spills: &'a Spills,
    moves: Vec<(Gap, Move)>,
}

impl Resolver<'_> {
    fn push(&mut self, gap: Gap, vreg: VReg, src: Place, dst: Place) {
        if src != dst {
            self.moves.push((gap, Move { src, dst, class: self.program.classes[vreg] }));
        }
    }

    /// Where a live value is at a point.
    fn place_at(&self, vreg: VReg, point: Point) -> Place {
        match self.intervals.location_at(vreg, point) {
            Some(Location::Reg(reg)) => Place::Reg(reg),
            Some(Location::Memory) if self.program.rematerializable[vreg] => Place::Remat(vreg),
            Some(Location::Memory) => self.slot(vreg),
            Some(Location::Open) | None => unreachable!("{vreg} has no place at {point:?}"),
        }
    }

    fn slot(&self, vreg: VReg) -> Place {
        Place::Slot(self.spills.get(vreg).expect("a value in memory has a slot").slot)
    }

    /// Where a value is before the moves of a gap inside a block.
    fn place_before(&self, vreg: VReg, gap: Point) -> Place {
        let def = self.program.defs[vreg].expect("a value that is read is defined");
        match def.fixed {
            Some(reg) if def.at == gap => Place::Reg(reg),
            _ => self.place_at(vreg, gap.prev()),
        }
    }

    fn edge_gap(&self, pred: Block, block: Block) -> Gap {
        match self.program.blocks[block].preds.len() {
            1 => Gap::before(self.program.blocks[block].from),
            _ => {
                let pred = &self.program.blocks[pred];
                assert_eq!(pred.succs.len(), 1, "no edge is critical");
                Gap { at: Point::early(pred.control()), on_edge: true }
            }
        }
    }

    fn cuts_and_edges(&mut self) {
        for vreg in self.program.defs.ids().filter(|&vreg| self.intervals.is_split(vreg)) {
            for pair in self.intervals.pieces_of(vreg).windows(2) {
                let (a, b) = (self.intervals.get(pair[0]), self.intervals.get(pair[1]));
                let is_load = matches!(b.location, Location::Reg(_));
                if is_load && a.to == b.from && !self.program.is_block_start(b.from) {
                    assert!(b.from.is_gap(), "a value enters a register inside an instruction");
                    self.push(
                        Gap::before(b.from),
                        vreg,
                        self.place_at(vreg, a.to.prev()),
                        self.place_at(vreg, b.from),
                    );
                }
            }
            for block in live_in_blocks(self.program, self.intervals, vreg) {
                self.edges_into(vreg, block);
            }
        }
    }

    fn edges_into(&mut self, vreg: VReg, block: Block) {
        let dst = self.place_at(vreg, self.program.blocks[block].from);
        if !matches!(dst, Place::Reg(_)) {
            return;
        }
        for &pred in &self.program.blocks[block].preds {
            let src = self.place_at(vreg, self.program.blocks[pred].last());
            self.push(self.edge_gap(pred, block), vreg, src, dst);
        }
    }

    fn edge_args(&mut self) {
        for edge in &self.program.edge_args {
            let src = self.place_at(edge.arg, self.program.blocks[edge.pred].last());
            let dst = self.place_at(edge.param, self.program.blocks[edge.block].from);
            self.push(self.edge_gap(edge.pred, edge.block), edge.param, src, dst);
        }
    }

    /// Operands in fixed registers, and tied operands.
    fn operands(&mut self) {
        for n in 0..self.program.numbers() {
            let (before, behind) = (Point::early(n), Point::early(n + 1));
            let slots = self.program.slots(n);
            for slot in slots {
                let vreg = slot.vreg;
                match slot.need {
                    Need::FixedUse { reg, .. } => {
                        self.push(
                            Gap::before(before),
                            vreg,
                            self.place_before(vreg, before),
                            Place::Reg(reg),
                        );
                    }
                    Need::TiedUse(index) => {
                        let dst = self.place_at(slots[index as usize].vreg, before);
                        self.push(Gap::before(before), vreg, self.place_before(vreg, before), dst);
                    }
                    Need::FixedDef { reg, .. } if self.intervals.life.is_live_at(vreg, behind) => {
                        let dst = self.place_at(vreg, behind);
                        if !matches!(dst, Place::Remat(_)) {
                            self.push(Gap::before(behind), vreg, Place::Reg(reg), dst);
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    fn stores(&mut self) {
        for vreg in self.program.defs.ids() {
            let Some(spill) = self.spills.get(vreg) else { continue };
            let dst = Place::Slot(spill.slot);
            match &spill.stores {
                Stores::AtDefinition => self.store_at_definition(vreg, dst),
                Stores::AtCrossings { gaps, edges } => {
                    for &gap in gaps {
                        self.push(Gap::before(gap), vreg, self.place_before(vreg, gap), dst);
                    }
                    for &(pred, block) in edges {
                        let src = self.place_at(vreg, self.program.blocks[pred].last());
                        self.push(self.edge_gap(pred, block), vreg, src, dst);
                    }
                }
            }
        }
    }

    fn store_at_definition(&mut self, vreg: VReg, dst: Place) {
        let def = self.program.defs[vreg].expect("a spilled value is defined");
        if self.intervals.location_at(vreg, def.at) == Some(Location::Memory) {
            return;
        }
        let gap = Point::early(def.number + 1);
        self.push(Gap::before(gap), vreg, self.place_before(vreg, gap), dst);
    }
}

fn order_moves(
    program: &Program,
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
        let around = points_around(program, gap);
        let mut spare = Around { info, placement, moves: &list, around, emergency: &mut emergency };
        steps.extend(sequentialize(&list, &mut spare).into_iter().map(|step| (gap, step)));
    }
    steps
}

/// The points before and behind the moves of a gap.
fn points_around(program: &Program, gap: Gap) -> [Point; 2] {
    let place = &program.blocks[program.block_at(gap.at)];
    if gap.on_edge {
        [place.last(), program.blocks[place.succs[0]].from]
    } else if gap.at == place.from {
        [program.blocks[place.preds[0]].last(), gap.at]
    } else {
        [gap.at.prev(), gap.at]
    }
}

/// Slots for moves that find no register.
struct Emergency<'a> {
    slots: &'a mut IdVec<SpillSlot, RegClass>,
    made: [[Option<SpillSlot>; 2]; 2],
}

/// What is spare around one gap.
struct Around<'a, 'b> {
    info: &'a RegisterInfo,
    placement: &'a Placement,
    moves: &'a [Move],
    around: [Point; 2],
    emergency: &'a mut Emergency<'b>,
}

impl Around<'_, '_> {
    /// The scratch register, if nothing but registers is moved: targets may need it for the addresses of slots and for
    /// making values again.
    fn scratch(&self, class: RegClass) -> Option<PReg> {
        let is_reg = |place: Place| matches!(place, Place::Reg(_));
        let only_registers = self.moves.iter().all(|a_move| is_reg(a_move.src) && is_reg(a_move.dst));
        self.info.scratch.filter(|_| class == RegClass::Int && only_registers)
    }
}

impl Spare for Around<'_, '_> {
    fn free(&mut self, class: RegClass) -> RegSet {
        let is_moved = |reg: PReg| {
            let place = Place::Reg(reg);
            self.moves.iter().any(|a_move| a_move.src == place || a_move.dst == place)
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
