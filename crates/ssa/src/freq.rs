//! Static block frequencies.
//!
//! Block layout and spill placement need to know which blocks run more often. Without a profile we estimate a
//! probability for every edge, with heuristics after Ball and Larus, and solve the resulting flow equations:
//! - an edge to a block that inevitably ends in a trap is taken once in [`COLD_RATIO`];
//! - so is an edge to a block that inevitably ends in a tail call of a function known to be cold;
//! - so is an edge to a block that looks again before it traps, which nothing does but go on or trap;
//! - an edge that leaves the innermost loop is taken once in [`MAX_TRIPS`];
//! - values are rarely equal, and rarely negative or zero when compared with zero;
//! - otherwise all edges of a terminator are equally likely.
//!
//! Where a profile has counted the edges of a terminator ([`BlockData::weight`](crate::BlockData)), the probabilities are
//! those, and a loop in such a function may have any trip count.
//!
//! The flow is solved from the innermost loops outwards, as LLVM does. A loop body, with inner loops collapsed and
//! back edges cut, is acyclic. So one walk in reverse postorder distributes a mass of 1 from its header. The mass that
//! returns to the header gives the trip count (at most [`MAX_TRIPS`]). The mass that leaves gives the out edges of the
//! collapsed loop in its parent loop. Then frequencies are multiplied from the outermost loops inwards, up to
//! [`MAX_FREQ`].
//!
//! Every edge is visited once per loop it leaves, which is linear except for pathological nests.
//!
//! Irreducible loops are treated the same way: all mass that enters one counts as entering at its header. That is
//! inaccurate for single blocks but right for the loop as a whole.

use crate::cfg::{Cfg, Graph};
use crate::loops::{Loop, LoopForest};
use crate::{Block, Cond, FuncId, Function, IdVec, Inst, InstData};

/// Factor by which an edge into a trap is rarer than its siblings.
pub const COLD_RATIO: f64 = 4096.0;
/// Estimated trip count of a loop with one exit; upper limit for any loop.
pub const MAX_TRIPS: f64 = 32.0;
/// Upper limit of a block's frequency, in executions per call.
pub const MAX_FREQ: f64 = 1_048_576.0;
/// Lower limit of a reachable block's frequency, in executions per call.
pub const MIN_FREQ: f64 = 1e-9;
/// Probability that two values are equal.
const EQUAL: f64 = 0.375;

/// Sets the frequency of every block; unreachable blocks get 0.
pub fn estimate_frequencies(func: &mut Function) {
    estimate_frequencies_with(func, &|_| false);
}

/// As [`estimate_frequencies`]; an edge to a block that ends in a tail call of a function for which `is_cold` holds is
/// as rare as one to a trap.
pub fn estimate_frequencies_with(func: &mut Function, is_cold: &dyn Fn(FuncId) -> bool) {
    let cfg = Cfg::new(func);
    let forest = LoopForest::new(&cfg, func.entry());
    let probabilities = edge_probabilities(func, &cfg, &forest, is_cold);
    let order = cfg.reverse_postorder(func.entry());
    let is_profiled = func.blocks.values().any(|block| block.weight.is_some());
    let max_trips = if is_profiled { MAX_FREQ } else { MAX_TRIPS };
    let flow = Flow::solve(&cfg, &forest, &probabilities, &order, max_trips);
    func.blocks.values_mut().for_each(|block| (block.freq, block.weight) = (0.0, None));
    for block in order {
        let around = forest.innermost(block).map_or(1.0, |l| flow.factor[l]);
        func.blocks[block].freq = (flow.mass[block] * around).max(MIN_FREQ) as f32;
    }
}

/// Blocks from which every path ends in a trap or in a tail call of a cold function. A block that can reach a cycle is
/// not among them.
fn cold_blocks(func: &Function, cfg: &Cfg, is_cold: &dyn Fn(FuncId) -> bool) -> IdVec<Block, bool> {
    let ends_cold = |block| match func.blocks[block].insts.last().map(|&last| &func.insts[last]) {
        Some(InstData::Trap { .. }) => true,
        Some(InstData::TailCall { func, .. }) => is_cold(*func),
        _ => false,
    };
    let mut cold: IdVec<Block, bool> = func.blocks.ids().map(ends_cold).collect();
    let mut warm_edges: IdVec<Block, usize> = func.blocks.ids().map(|b| cfg.successors(b).len()).collect();
    let mut worklist: Vec<Block> = func.blocks.ids().filter(|&b| cold[b]).collect();
    while let Some(block) = worklist.pop() {
        for &pred in cfg.predecessors(block) {
            warm_edges[pred] -= 1;
            if warm_edges[pred] == 0 {
                cold[pred] = true;
                worklist.push(pred);
            }
        }
    }
    cold
}

/// The probability of each edge of each block, in the order of its successors.
fn edge_probabilities(
    func: &Function,
    cfg: &Cfg,
    forest: &LoopForest,
    is_cold: &dyn Fn(FuncId) -> bool,
) -> IdVec<Block, Vec<f64>> {
    let cold = cold_blocks(func, cfg, is_cold);
    let of_block = |block: Block| {
        let succs = cfg.successors(block);
        if let Some(counted) = counted_probabilities(func, succs, &cold) {
            return counted;
        }
        let mut weights = vec![1.0; succs.len()];
        if let [taken, other] = &mut weights[..] {
            let probability = taken_probability(func, block);
            (*taken, *other) = (probability, 1.0 - probability);
        }
        scale_down(&mut weights, COLD_RATIO, |n| cold[succs[n]] || looks_again(func, cfg, &cold, succs[n]));
        if let Some(inner) = forest.innermost(block) {
            scale_down(&mut weights, MAX_TRIPS - 1.0, |n| !forest.contains(inner, succs[n]));
        }
        let sum: f64 = weights.iter().sum();
        weights.into_iter().map(|weight| weight / sum).collect()
    };
    func.blocks.ids().map(of_block).collect()
}

/// The probabilities of edges that a profile has counted. An edge that was never taken still could be; one to a trap has
/// no count.
fn counted_probabilities(func: &Function, succs: &[Block], cold: &IdVec<Block, bool>) -> Option<Vec<f64>> {
    let weight = |&to: &Block| func.blocks[to].weight.or(cold[to].then_some(0.0));
    let weights: Vec<f64> = succs.iter().map(weight).collect::<Option<_>>()?;
    let sum: f64 = weights.iter().sum();
    (succs.len() > 1 && sum > 0.0).then(|| {
        let least = 1.0 / MAX_FREQ;
        weights.iter().map(|weight| (weight / sum).clamp(least, 1.0 - least)).collect()
    })
}

/// Whether a block only decides whether to trap or to go on where its predecessor would have gone without it: a check
/// with an exception, `if (failed) { if (!excepted) trap; }`.
fn looks_again(func: &Function, cfg: &Cfg, cold: &IdVec<Block, bool>, block: Block) -> bool {
    let ([before], [a, b]) = (cfg.predecessors(block), cfg.successors(block)) else { return false };
    let on = match (cold[*a], cold[*b]) {
        (true, false) => *b,
        (false, true) => *a,
        _ => return false,
    };
    // Edges are split where they would be critical.
    let through = |block: Block| match (&func.blocks[block].insts[..], cfg.successors(block)) {
        ([_], [next]) => *next,
        _ => block,
    };
    let others = cfg.successors(*before).iter().filter(|&&other| other != block);
    let is_plain = |&inst: &Inst| {
        func.insts[inst].is_pure()
            || matches!(func.insts[inst], InstData::Load { .. } | InstData::Branch { .. })
    };
    others.count() == 1
        && cfg.successors(*before).iter().any(|&other| other != block && through(other) == through(on))
        && func.blocks[block].insts.iter().all(is_plain)
}

/// Divides the weights that `is_rare` by `ratio`, if there are others.
fn scale_down(weights: &mut [f64], ratio: f64, is_rare: impl Fn(usize) -> bool) {
    let rare = (0..weights.len()).filter(|&n| is_rare(n)).count();
    if rare < weights.len() {
        for (n, weight) in weights.iter_mut().enumerate() {
            if is_rare(n) {
                *weight /= ratio;
            }
        }
    }
}

/// The probability that a two-way branch at the end of `block` finds its condition true.
fn taken_probability(func: &Function, block: Block) -> f64 {
    let InstData::Branch { cond, .. } = func.insts[func.terminator(block)] else { return 0.5 };
    let Some(&InstData::Icmp { cond, args, .. }) = func.def_inst(cond).map(|inst| &func.insts[inst]) else {
        return 0.5;
    };
    match (cond, func.as_const(args[1])) {
        (Cond::Eq, _) => EQUAL,
        (Cond::Ne, _) => 1.0 - EQUAL,
        (Cond::LtS | Cond::LeS, Some(0)) => EQUAL,
        (Cond::GtS | Cond::GeS, Some(0)) => 1.0 - EQUAL,
        _ => 0.5,
    }
}

/// The solution of the flow: execution counts of blocks and loops, relative to their loop or call.
struct Flow {
    /// Executions of a block per iteration of its innermost loop (or per call).
    mass: IdVec<Block, f64>,
    /// Entries of a loop per iteration of the loop around it (or per call).
    entries: IdVec<Loop, f64>,
    /// Iterations of a loop per entry.
    trips: IdVec<Loop, f64>,
    /// Targets of a collapsed loop's out edges, with probabilities.
    exits: IdVec<Loop, Vec<(Block, f64)>>,
    /// Iterations of a loop per call.
    factor: IdVec<Loop, f64>,
}

/// A node of a loop body.
#[derive(Clone, Copy)]
enum Unit {
    Block(Block),
    Inner(Loop),
}

impl Flow {
    fn solve(
        cfg: &Cfg,
        forest: &LoopForest,
        probabilities: &IdVec<Block, Vec<f64>>,
        order: &[Block],
        max_trips: f64,
    ) -> Self {
        let loops = forest.loops.len();
        let mut flow = Self {
            mass: IdVec::filled(0.0, cfg.len()),
            entries: IdVec::filled(0.0, loops),
            trips: IdVec::filled(1.0, loops),
            exits: IdVec::filled(Vec::new(), loops),
            factor: IdVec::filled(1.0, loops),
        };
        let (bodies, top) = bodies(forest, order);
        let mut exits = ExitSums { sum: IdVec::filled(0.0, cfg.len()), targets: Vec::new() };
        for inner in forest.loops.ids().rev() {
            flow.mass[forest.loops[inner].header] = 1.0;
            let back = flow.distribute(cfg, forest, probabilities, Some(inner), &bodies[inner], &mut exits);
            flow.trips[inner] = (1.0 / (1.0 - back).max(1.0 / max_trips)).min(max_trips);
            flow.exits[inner] = exits.take_normalised();
        }
        match top.first() {
            Some(&Unit::Block(entry)) => flow.mass[entry] = 1.0,
            Some(&Unit::Inner(outer)) => flow.entries[outer] = 1.0,
            None => {}
        }
        flow.distribute(cfg, forest, probabilities, None, &top, &mut exits);
        for (id, data) in forest.loops.iter() {
            let around = data.parent.map_or(1.0, |parent| flow.factor[parent]);
            flow.factor[id] = (around * flow.entries[id] * flow.trips[id]).min(MAX_FREQ);
        }
        flow
    }

    /// Passes mass along the edges of one loop body in order; returns the mass that reaches the header again.
    fn distribute(
        &mut self,
        cfg: &Cfg,
        forest: &LoopForest,
        probabilities: &IdVec<Block, Vec<f64>>,
        around: Option<Loop>,
        body: &[Unit],
        exits: &mut ExitSums,
    ) -> f64 {
        let header = around.map(|l| forest.loops[l].header);
        let mut back = 0.0;
        let mut pass = |flow: &mut Self, to: Block, mass: f64| {
            if Some(to) == header {
                back += mass;
            } else if around.is_some_and(|l| !forest.contains(l, to)) {
                exits.add(to, mass);
            } else {
                match unit_of(forest, around, to) {
                    Unit::Block(block) => flow.mass[block] += mass,
                    Unit::Inner(inner) => flow.entries[inner] += mass,
                }
            }
        };
        for &unit in body {
            match unit {
                Unit::Block(block) => {
                    let mass = self.mass[block];
                    let edges = cfg.successors(block).iter().zip(&probabilities[block]);
                    edges.for_each(|(&to, probability)| pass(self, to, mass * probability));
                }
                Unit::Inner(inner) => {
                    let mass = self.entries[inner];
                    let edges = std::mem::take(&mut self.exits[inner]);
                    edges.iter().for_each(|&(to, probability)| pass(self, to, mass * probability));
                }
            }
        }
        back
    }
}

/// The units of every loop body and of the function, each in reverse postorder.
fn bodies(forest: &LoopForest, order: &[Block]) -> (IdVec<Loop, Vec<Unit>>, Vec<Unit>) {
    let mut bodies = IdVec::<Loop, Vec<Unit>>::filled(Vec::new(), forest.loops.len());
    let mut top = Vec::new();
    for &block in order {
        let Some(inner) = forest.innermost(block) else {
            top.push(Unit::Block(block));
            continue;
        };
        let data = forest.loops[inner];
        if data.header == block {
            data.parent.map_or(&mut top, |parent| &mut bodies[parent]).push(Unit::Inner(inner));
        }
        bodies[inner].push(Unit::Block(block));
    }
    (bodies, top)
}

/// The unit of the body of `around` that contains `block`.
fn unit_of(forest: &LoopForest, around: Option<Loop>, block: Block) -> Unit {
    let mut inner = forest.innermost(block);
    if inner == around {
        return Unit::Block(block);
    }
    loop {
        let child = inner.expect("the block is in the body");
        inner = forest.loops[child].parent;
        if inner == around {
            return Unit::Inner(child);
        }
    }
}

/// Mass that leaves a loop, summed per target.
struct ExitSums {
    sum: IdVec<Block, f64>,
    targets: Vec<Block>,
}

impl ExitSums {
    fn add(&mut self, to: Block, mass: f64) {
        // Masses may underflow to zero; a target listed twice is then listed with nothing to add.
        if self.sum[to] == 0.0 {
            self.targets.push(to);
        }
        self.sum[to] += mass;
    }

    /// Empties the sums; the result adds up to 1 unless nothing leaves.
    fn take_normalised(&mut self) -> Vec<(Block, f64)> {
        let targets = std::mem::take(&mut self.targets);
        let total: f64 = targets.iter().map(|&to| self.sum[to]).sum();
        let mut take =
            |to: Block| (to, std::mem::replace(&mut self.sum[to], 0.0) / total.max(f64::MIN_POSITIVE));
        targets.into_iter().map(&mut take).collect()
    }
}
