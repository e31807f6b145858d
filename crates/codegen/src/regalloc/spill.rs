//! Spill slots and stores.
//!
//! A value has one definition, so a slot that was written once stays right. There are two ways to have it written
//! wherever memory is read: store once behind the definition, or store where the value crosses from a register to
//! memory. Crossings on rarely executed paths are cheaper than a store that every call pays; a crossing that
//! another one dominates needs no store. We price both by frequency.
//!
//! Slots are shared: values whose intervals don't meet can have the same one. Values that become each other on
//! edges try to share, which saves the move.

use std::collections::BTreeMap;

use ssa::{EntityId, IdVec};

use super::dominators::Dominators;
use super::intervals::{Intervals, Location};
use super::linear_scan::Placement;
use super::program::{Point, Program};
use crate::mir::{Block, SpillSlot, VReg};
use crate::registers::RegClass;

/// Where a spilled value is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stores {
    /// Behind its definition (or by its definition, if it is defined in memory).
    AtDefinition,
    /// In these gaps and on these edges.
    AtCrossings {
        /// Gaps.
        gaps: Vec<Point>,
        /// Edges.
        edges: Vec<(Block, Block)>,
    },
}

/// The slot of a spilled value and its stores.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spill {
    /// The slot.
    pub slot: SpillSlot,
    /// Its stores.
    pub stores: Stores,
}

/// All spills.
#[derive(Debug)]
pub struct Spills {
    /// Index in the list of spills by value.
    index: IdVec<VReg, Option<u32>>,
    spills: Vec<Spill>,
    /// Slots with their classes.
    pub slots: IdVec<SpillSlot, RegClass>,
}

impl Spills {
    /// Finds the values that need a slot, and plans slots and stores.
    pub fn new(program: &Program, placement: &Placement) -> Self {
        let intervals = &placement.intervals;
        let in_memory = |vreg: &VReg| {
            !program.rematerializable[*vreg]
                && intervals
                    .pieces_of(*vreg)
                    .iter()
                    .any(|&piece| intervals.get(piece).location == Location::Memory)
        };
        let spilled: Vec<VReg> = program.defs.ids().filter(in_memory).collect();
        let mut this = Self {
            index: IdVec::filled(None, program.defs.len()),
            spills: Vec::with_capacity(spilled.len()),
            slots: IdVec::new(),
        };
        if spilled.is_empty() {
            return this;
        }
        let dominators = Dominators::new(program);
        for &vreg in &spilled {
            this.index[vreg] = Some(this.spills.len() as u32);
            let stores = plan_stores(program, intervals, &dominators, vreg);
            this.spills.push(Spill { slot: SpillSlot::new(0), stores });
        }
        this.choose_slots(program, intervals, spilled);
        this
    }

    /// The spill of a value, if it has one.
    pub fn get(&self, vreg: VReg) -> Option<&Spill> {
        self.index[vreg].map(|index| &self.spills[index as usize])
    }

    fn choose_slots(&mut self, program: &Program, intervals: &Intervals, mut spilled: Vec<VReg>) {
        let relatives = relatives(program, self);
        spilled.sort_by_key(|&vreg| intervals.life.ranges[intervals.life.range_span(vreg).start].from);
        let mut taken: Vec<SlotLife> = Vec::new();
        let mut chosen: IdVec<VReg, Option<SpillSlot>> = IdVec::filled(None, program.defs.len());
        for vreg in spilled {
            let class = program.classes[vreg];
            let known = relatives.get(&vreg).into_iter().flatten().filter_map(|&other| chosen[other]);
            let newest_first = (0..taken.len()).rev().take(SLOTS_TRIED).map(SpillSlot::new);
            let fits =
                |slot: &SpillSlot| self.slots[*slot] == class && taken[slot.index()].is_free(intervals, vreg);
            let slot = known.chain(newest_first).find(fits).unwrap_or_else(|| {
                taken.push(SlotLife::default());
                self.slots.push(class)
            });
            taken[slot.index()].insert(intervals, vreg);
            chosen[vreg] = Some(slot);
            let index = self.index[vreg].expect("the value is spilled");
            self.spills[index as usize].slot = slot;
        }
    }
}

/// How many slots are tried before there is a new one.
const SLOTS_TRIED: usize = 64;

/// Spilled values that become each other on edges.
fn relatives(program: &Program, spills: &Spills) -> BTreeMap<VReg, Vec<VReg>> {
    let mut relatives: BTreeMap<VReg, Vec<VReg>> = BTreeMap::new();
    for edge in &program.edge_args {
        if spills.get(edge.param).is_some() && spills.get(edge.arg).is_some() {
            relatives.entry(edge.param).or_default().push(edge.arg);
            relatives.entry(edge.arg).or_default().push(edge.param);
        }
    }
    relatives
}

/// When a slot is in use: ranges by first point.
#[derive(Debug, Default)]
struct SlotLife(BTreeMap<Point, Point>);

impl SlotLife {
    fn is_free(&self, intervals: &Intervals, vreg: VReg) -> bool {
        intervals.life.ranges[intervals.life.range_span(vreg)].iter().all(|range| {
            let before = self.0.range(..range.to).next_back();
            before.is_none_or(|(_, &to)| to <= range.from)
        })
    }

    fn insert(&mut self, intervals: &Intervals, vreg: VReg) {
        for range in &intervals.life.ranges[intervals.life.range_span(vreg)] {
            self.0.insert(range.from, range.to);
        }
    }
}

/// The blocks a value is live in at the start of, other than as their parameter.
pub fn live_in_blocks<'a>(
    program: &'a Program,
    intervals: &'a Intervals,
    vreg: VReg,
) -> impl Iterator<Item = Block> + 'a {
    let defined_at = program.defs[vreg].map(|def| def.at);
    intervals.life.ranges[intervals.life.range_span(vreg)].iter().flat_map(move |range| {
        let first = program.blocks[program.block_at(range.from)].position as usize;
        program.order[first..]
            .iter()
            .copied()
            .take_while(|&block| program.blocks[block].from < range.to)
            .filter(move |&block| {
                let from = program.blocks[block].from;
                from >= range.from && Some(from) != defined_at
            })
    })
}

/// A place where a value crosses from a register to memory.
#[derive(Clone, Copy)]
enum Crossing {
    Gap(Point),
    Edge(Block, Block),
}

fn plan_stores(program: &Program, intervals: &Intervals, dominators: &Dominators, vreg: VReg) -> Stores {
    let def = program.defs[vreg].expect("a spilled value is defined");
    if intervals.location_at(vreg, def.at) == Some(Location::Memory) {
        return Stores::AtDefinition;
    }
    let mut crossings = crossings(program, intervals, vreg);
    if crossings.len() <= PRUNED {
        drop_dominated(program, dominators, &mut crossings);
    }
    let freq = |crossing: &Crossing| match *crossing {
        Crossing::Gap(at) => program.freq_at(at),
        Crossing::Edge(pred, block) => program.edge_freq(pred, block),
    };
    let cost: f32 = crossings.iter().map(freq).sum();
    if cost >= program.freq_at(Point::early(def.number)) {
        return Stores::AtDefinition;
    }
    let (mut gaps, mut edges) = (Vec::new(), Vec::new());
    for crossing in crossings {
        match crossing {
            Crossing::Gap(at) => gaps.push(at),
            Crossing::Edge(pred, block) => edges.push((pred, block)),
        }
    }
    Stores::AtCrossings { gaps, edges }
}

/// How many crossings are compared with each other.
const PRUNED: usize = 32;

fn crossings(program: &Program, intervals: &Intervals, vreg: VReg) -> Vec<Crossing> {
    let mut crossings = Vec::new();
    for pair in intervals.pieces_of(vreg).windows(2) {
        let (a, b) = (intervals.get(pair[0]), intervals.get(pair[1]));
        let gap = b.from.gap_before();
        let is_stored = a.from == gap
            && intervals.life.is_live_at(vreg, gap.prev())
            && intervals.location_at(vreg, gap.prev()) == Some(Location::Memory);
        let meets = a.to == b.from && !program.is_block_start(b.from) && !is_stored;
        if meets && matches!(a.location, Location::Reg(_)) && b.location == Location::Memory {
            crossings.push(Crossing::Gap(gap));
        }
    }
    for block in live_in_blocks(program, intervals, vreg) {
        if intervals.location_at(vreg, program.blocks[block].from) != Some(Location::Memory) {
            continue;
        }
        for &pred in &program.blocks[block].preds {
            let end = program.blocks[pred].last();
            if matches!(intervals.location_at(vreg, end), Some(Location::Reg(_))) {
                crossings.push(Crossing::Edge(pred, block));
            }
        }
    }
    crossings
}

/// Removes the crossings that another crossing dominates.
fn drop_dominated(program: &Program, dominators: &Dominators, crossings: &mut Vec<Crossing>) {
    let dominates = |a: Crossing, b: Crossing| match (a, b) {
        (Crossing::Gap(a), Crossing::Gap(b)) if program.block_at(a) == program.block_at(b) => a < b,
        _ => {
            let (a, b) = (end_block(program, a), start_block(program, b));
            a.is_some_and(|a| dominators.dominates(a, b))
        }
    };
    let all = crossings.clone();
    crossings.retain(|&b| !all.iter().any(|&a| dominates(a, b)));
}

/// A block whose end is reached only through the crossing.
fn end_block(program: &Program, crossing: Crossing) -> Option<Block> {
    match crossing {
        Crossing::Gap(at) => Some(program.block_at(at)),
        Crossing::Edge(pred, block) => {
            if program.blocks[block].preds.len() == 1 {
                Some(block)
            } else {
                (program.blocks[pred].succs.len() == 1).then_some(pred)
            }
        }
    }
}

/// A block such that whatever dominates it without being it dominates the crossing.
fn start_block(program: &Program, crossing: Crossing) -> Block {
    match crossing {
        Crossing::Gap(at) => program.block_at(at),
        Crossing::Edge(pred, _) => pred,
    }
}
