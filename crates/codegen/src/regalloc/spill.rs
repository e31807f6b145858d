//! Spill slots and the placement of spill stores.
//!
//! A value has one definition, so a slot that was written once stays valid. It must be written before every reload.
//! There are two ways: one store after the definition, or a store at each *crossing*, where the value goes from a
//! register to memory. Crossings on rarely executed paths are cheaper than a store that every call executes. A
//! crossing that another one dominates needs no store. We compare the cost of both by frequency.
//!
//! Values whose intervals don't overlap can share a slot. A block parameter and its argument share one if possible,
//! which saves the move on the edge.

use std::collections::BTreeMap;

use ssa::{Dominators, EntityId, IdVec};

use super::intervals::{Intervals, Location};
use super::linear::{LinearFunction, Point};
use super::linear_scan::Placement;
use crate::mir::{Block, RegClass, SpillSlot, VReg};

/// The positions of the stores of a spilled value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stores {
    /// After its definition. A value that is in memory from the start (a parameter or a fixed definition) needs no
    /// further store. The move from its argument or fixed register writes the slot.
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
    /// Finds the values that need a slot, and assigns slots and stores.
    pub fn new(linear: &LinearFunction, placement: &Placement) -> Self {
        let intervals = &placement.intervals;
        let in_memory = |vreg: &VReg| {
            !linear.rematerializable[*vreg]
                && intervals
                    .pieces_of(*vreg)
                    .iter()
                    .any(|&piece| intervals.get(piece).location == Location::Memory)
        };
        let spilled: Vec<VReg> = linear.defs.ids().filter(in_memory).collect();
        let mut this = Self {
            index: IdVec::filled(None, linear.defs.len()),
            spills: Vec::with_capacity(spilled.len()),
            slots: IdVec::new(),
        };
        if spilled.is_empty() {
            return this;
        }
        let dominators = Dominators::of_graph(linear, linear.order[0]);
        for &vreg in &spilled {
            this.index[vreg] = Some(this.spills.len() as u32);
            let stores = plan_stores(linear, intervals, &dominators, vreg);
            this.spills.push(Spill { slot: SpillSlot::new(0), stores });
        }
        this.choose_slots(linear, intervals, spilled);
        this
    }

    /// The spill of a value, if it has one.
    pub fn get(&self, vreg: VReg) -> Option<&Spill> {
        self.index[vreg].map(|index| &self.spills[index as usize])
    }

    fn choose_slots(&mut self, linear: &LinearFunction, intervals: &Intervals, mut spilled: Vec<VReg>) {
        let relatives = relatives(linear, self);
        spilled.sort_by_key(|&vreg| intervals.life.ranges[intervals.life.range_span(vreg).start].from);
        let mut taken: Vec<SlotLife> = Vec::new();
        let mut chosen: IdVec<VReg, Option<SpillSlot>> = IdVec::filled(None, linear.defs.len());
        for vreg in spilled {
            let class = linear.classes[vreg];
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

/// Maximum number of slots tried before a new one is made.
const SLOTS_TRIED: usize = 64;

/// For each spilled value, the spilled parameters and arguments it is connected with by edges.
fn relatives(linear: &LinearFunction, spills: &Spills) -> BTreeMap<VReg, Vec<VReg>> {
    let mut relatives: BTreeMap<VReg, Vec<VReg>> = BTreeMap::new();
    for edge in &linear.edge_args {
        if spills.get(edge.param).is_some() && spills.get(edge.arg).is_some() {
            relatives.entry(edge.param).or_default().push(edge.arg);
            relatives.entry(edge.arg).or_default().push(edge.param);
        }
    }
    relatives
}

/// The ranges in which a slot is in use, by first point.
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

/// The blocks that a value is live into, other than the block whose parameter it is.
pub fn live_in_blocks<'a>(
    linear: &'a LinearFunction,
    intervals: &'a Intervals,
    vreg: VReg,
) -> impl Iterator<Item = Block> + 'a {
    let defined_at = linear.defs[vreg].map(|def| def.at);
    intervals.life.ranges[intervals.life.range_span(vreg)].iter().flat_map(move |range| {
        let first = linear.blocks[linear.block_at(range.from)].position as usize;
        linear.order[first..]
            .iter()
            .copied()
            .take_while(|&block| linear.blocks[block].from < range.to)
            .filter(move |&block| {
                let from = linear.blocks[block].from;
                from >= range.from && Some(from) != defined_at
            })
    })
}

/// A position at which a value goes from a register to memory.
#[derive(Clone, Copy)]
enum Crossing {
    Gap(Point),
    Edge(Block, Block),
}

fn plan_stores(
    linear: &LinearFunction,
    intervals: &Intervals,
    dominators: &Dominators<Block>,
    vreg: VReg,
) -> Stores {
    let def = linear.defs[vreg].expect("a spilled value is defined");
    if intervals.location_at(vreg, def.at) == Some(Location::Memory) {
        return Stores::AtDefinition;
    }
    let mut crossings = crossings(linear, intervals, vreg);
    if crossings.len() <= PRUNED {
        drop_dominated(linear, dominators, &mut crossings);
    }
    let freq = |crossing: &Crossing| match *crossing {
        Crossing::Gap(at) => linear.freq_at(at),
        Crossing::Edge(pred, block) => linear.edge_freq(pred, block),
    };
    let cost: f32 = crossings.iter().map(freq).sum();
    if cost >= linear.freq_at(Point::early(def.number)) {
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

/// Maximum number of crossings that are compared with each other.
const PRUNED: usize = 32;

fn crossings(linear: &LinearFunction, intervals: &Intervals, vreg: VReg) -> Vec<Crossing> {
    let mut crossings = Vec::new();
    for pair in intervals.pieces_of(vreg).windows(2) {
        let (a, b) = (intervals.get(pair[0]), intervals.get(pair[1]));
        let gap = b.from.gap_before();
        let is_stored = a.from == gap
            && intervals.life.is_live_at(vreg, gap.prev())
            && intervals.location_at(vreg, gap.prev()) == Some(Location::Memory);
        let meets = a.to == b.from && !linear.is_block_start(b.from) && !is_stored;
        if meets && matches!(a.location, Location::Reg(_)) && b.location == Location::Memory {
            crossings.push(Crossing::Gap(gap));
        }
    }
    for block in live_in_blocks(linear, intervals, vreg) {
        if intervals.location_at(vreg, linear.blocks[block].from) != Some(Location::Memory) {
            continue;
        }
        for &pred in &linear.blocks[block].preds {
            let end = linear.blocks[pred].last();
            if matches!(intervals.location_at(vreg, end), Some(Location::Reg(_))) {
                crossings.push(Crossing::Edge(pred, block));
            }
        }
    }
    crossings
}

/// Removes the crossings that another crossing dominates.
fn drop_dominated(linear: &LinearFunction, dominators: &Dominators<Block>, crossings: &mut Vec<Crossing>) {
    let dominates = |a: Crossing, b: Crossing| match (a, b) {
        (Crossing::Gap(a), Crossing::Gap(b)) if linear.block_at(a) == linear.block_at(b) => a < b,
        _ => {
            let (a, b) = (end_block(linear, a), start_block(linear, b));
            a.is_some_and(|a| a != b && dominators.dominates(a, b))
        }
    };
    let all = crossings.clone();
    crossings.retain(|&b| !all.iter().any(|&a| dominates(a, b)));
}

/// A block whose end can be reached only through the crossing.
fn end_block(linear: &LinearFunction, crossing: Crossing) -> Option<Block> {
    match crossing {
        Crossing::Gap(at) => Some(linear.block_at(at)),
        Crossing::Edge(pred, block) => {
            if linear.blocks[block].preds.len() == 1 {
                Some(block)
            } else {
                (linear.blocks[pred].succs.len() == 1).then_some(pred)
            }
        }
    }
}

/// A block such that every block that strictly dominates it also dominates the crossing.
fn start_block(linear: &LinearFunction, crossing: Crossing) -> Block {
    match crossing {
        Crossing::Gap(at) => linear.block_at(at),
        Crossing::Edge(pred, _) => pred,
    }
}
