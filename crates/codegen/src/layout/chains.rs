//! Ordering blocks in chains of fallthroughs.
//!
//! Each edge has a gain: the cost saved per call if its target directly follows its source. Edges are processed by
//! descending gain. An edge from the end of one chain to the start of another joins the two (Pettis and Hansen's
//! bottom-up positioning). [`exchange`](super::exchange) then corrects bad greedy choices by exchanging a few edges at
//! a time. Loops are rotated without special treatment. One edge of a cycle must stay outside the chains. The cheapest
//! is an edge from a block that can also leave the loop, if there is one.
//!
//! The gain counts executed jumps. A block with one successor saves its jump. A branch saves its jump if either
//! successor is next, so the gain is the frequency of the rarer edge, on which the jump would be. On some machines
//! falling through is also cheaper than branching ([`Costs::taken_branch`](crate::Costs::taken_branch)). Where code
//! should be small, all jumps weigh the same, and frequency only breaks ties.
//!
//! The chains are then put in reverse postorder of their earliest blocks; chains that always trap go to the end. The
//! depth-first search visits frequent successors last, so a loop's body comes before the code after the loop.
//!
//! Before allocation only edges that go forward in reverse postorder join chains. Then dominators come first: a
//! dominator of a block is its predecessor in the chain, or dominates this predecessor, and so on to the chain's start.
//! A dominator of the start is earlier in reverse postorder, as are the starts of the earlier chains.
//!
//! Work is `n log n` for the sorting.

use ssa::IdVec;

use super::{EdgeFreqs, entry, exchange, for_each_successor};
use crate::mir::{Block, Control, Function, Isa, Register};

/// The purpose of an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Goal {
    /// For allocation: dominators come first.
    DominatorsFirst,
    /// For the final code: fewest executed jumps, or fewest jumps in functions that should be small.
    Fallthrough,
}

/// Extra gain of a branch's edge per execution, in jumps: prefers the more frequent edge among equals.
const TIE_BREAK: f32 = 0.01;

/// Orders the blocks that the entry reaches.
pub(super) fn order<T: Isa, R: Register>(
    target: &T,
    func: &Function<T, R>,
    freqs: &EdgeFreqs,
    goal: Goal,
) -> Vec<Block> {
    let rpo = reverse_postorder(func, freqs);
    let mut number = IdVec::filled(u32::MAX, func.blocks.len());
    for (n, &block) in (0..).zip(&rpo) {
        number[block] = n;
    }
    let taken_branch = target.costs(func.optimize_for_size, func.has_calls).taken_branch;
    let mut edges = edges(func, freqs, &rpo, taken_branch);
    edges.retain(|edge| match goal {
        Goal::DominatorsFirst => number[edge.from] < number[edge.to],
        Goal::Fallthrough => edge.from != edge.to && edge.to != entry(),
    });
    if func.optimize_for_size && goal == Goal::Fallthrough {
        edges.iter_mut().for_each(|edge| edge.gain = edge.gain_in_size());
    }
    edges.sort_by(|a, b| b.gain.total_cmp(&a.gain).then_with(|| number[a.from].cmp(&number[b.from])));
    let mut chains = Chains::greedy(func.blocks.len(), &edges);
    if goal == Goal::Fallthrough {
        exchange::improve(&mut chains, &edges);
    }
    concatenate(func, &chains, &rpo)
}

/// Blocks in reverse postorder from the entry; the more frequent successor of a branch comes first where possible.
pub(super) fn reverse_postorder<T: Isa, R: Register>(func: &Function<T, R>, freqs: &EdgeFreqs) -> Vec<Block> {
    let visit_order = |block: Block| {
        let mut succs = func.blocks[block].control.successors();
        if matches!(func.blocks[block].control, Control::Branch { .. }) && freqs[block][0] > freqs[block][1] {
            succs.reverse();
        }
        succs
    };
    let mut seen = IdVec::filled(false, func.blocks.len());
    let mut order = Vec::with_capacity(func.order.len());
    let mut stack = vec![(entry(), visit_order(entry()).into_iter())];
    seen[entry()] = true;
    while let Some((block, succs)) = stack.last_mut() {
        match succs.next() {
            Some(succ) if !seen[succ] => {
                seen[succ] = true;
                stack.push((succ, visit_order(succ).into_iter()));
            }
            Some(_) => {}
            None => {
                order.push(*block);
                stack.pop();
            }
        }
    }
    order.reverse();
    order
}

/// An edge that could become a fallthrough.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) from: Block,
    pub(super) to: Block,
    pub(super) gain: f32,
    is_branch: bool,
}

impl Edge {
    /// The gain where every jump costs the same and its frequency only breaks ties. Blocks with one successor are
    /// preferred to branches, which can fall through to either successor.
    fn gain_in_size(&self) -> f32 {
        let choice = if self.is_branch { 0.0 } else { 0.01 };
        1.0 + choice + 0.1 * self.gain / (1.0 + self.gain)
    }
}

/// The edges with their gains; `taken_branch` is the cost of [`Costs::taken_branch`](crate::Costs::taken_branch).
fn edges<T: Isa, R: Register>(
    func: &Function<T, R>,
    freqs: &EdgeFreqs,
    rpo: &[Block],
    taken_branch: f32,
) -> Vec<Edge> {
    let mut edges = Vec::with_capacity(2 * rpo.len());
    for &from in rpo {
        match &func.blocks[from].control {
            Control::Jump(to) => {
                edges.push(Edge { from, to: to.block, is_branch: false, gain: freqs[from][0] });
            }
            Control::Branch { taken, other, .. } => {
                let jump = freqs[from][0].min(freqs[from][1]);
                for (to, freq) in [taken, other].into_iter().zip(freqs[from]) {
                    let gain = jump + (taken_branch + TIE_BREAK) * freq;
                    edges.push(Edge { from, to: to.block, is_branch: true, gain });
                }
            }
            Control::Dispatch { .. } | Control::Exit(_) => {}
        }
    }
    edges
}

/// Disjoint paths of blocks.
#[derive(Debug)]
pub(super) struct Chains {
    /// The edge to the next block in the chain.
    pub(super) next: IdVec<Block, Option<Edge>>,
    /// The edge from the previous block in the chain.
    pub(super) prev: IdVec<Block, Option<Edge>>,
}

impl Chains {
    /// Takes each edge that joins two chains, in the order given.
    fn greedy(blocks: usize, edges: &[Edge]) -> Self {
        let mut chains = Self { next: IdVec::filled(None, blocks), prev: IdVec::filled(None, blocks) };
        let mut parent: IdVec<Block, Block> = chains.next.ids().collect();
        for &edge in edges {
            if chains.next[edge.from].is_none() && chains.prev[edge.to].is_none() {
                let from = representative(&mut parent, edge.from);
                let to = representative(&mut parent, edge.to);
                if from != to {
                    parent[to] = from;
                    chains.join(edge);
                }
            }
        }
        chains
    }

    /// Makes the target of an edge the next block after its source.
    pub(super) fn join(&mut self, edge: Edge) {
        self.next[edge.from] = Some(edge);
        self.prev[edge.to] = Some(edge);
    }

    /// Undoes [`join`](Self::join).
    pub(super) fn part(&mut self, edge: Edge) {
        self.next[edge.from] = None;
        self.prev[edge.to] = None;
    }

    /// The first block of every block's chain.
    fn starts(&self) -> IdVec<Block, Block> {
        let mut starts: IdVec<Block, Block> = self.next.ids().collect();
        for start in self.prev.ids().filter(|&block| self.prev[block].is_none()) {
            for block in self.from(start) {
                starts[block] = start;
            }
        }
        starts
    }

    /// The blocks from `start` to the end of its chain.
    pub(super) fn from(&self, start: Block) -> impl Iterator<Item = Block> {
        std::iter::successors(Some(start), |&block| self.next[block].map(|edge| edge.to))
    }
}

/// The representative of a block's chain in a forest, whose paths it halves.
fn representative(parent: &mut IdVec<Block, Block>, mut block: Block) -> Block {
    while parent[block] != block {
        parent[block] = parent[parent[block]];
        block = parent[block];
    }
    block
}

fn concatenate<T: Isa, R: Register>(func: &Function<T, R>, chains: &Chains, rpo: &[Block]) -> Vec<Block> {
    let traps = surely_trapping(func, rpo);
    let starts = chains.starts();
    let mut placed = IdVec::filled(false, func.blocks.len());
    let mut order = Vec::with_capacity(rpo.len());
    for trapping in [false, true] {
        for &block in rpo {
            let start = starts[block];
            if !placed[start] && traps[start] == trapping {
                placed[start] = true;
                order.extend(chains.from(start));
            }
        }
    }
    order
}

/// Blocks from which all paths end in a trap. (Blocks that can reach a loop don't count.) All successors of such a
/// block are such blocks, so a chain that starts with one contains no others.
fn surely_trapping<T: Isa, R: Register>(func: &Function<T, R>, rpo: &[Block]) -> IdVec<Block, bool> {
    let mut traps = IdVec::filled(false, func.blocks.len());
    for &block in rpo.iter().rev() {
        let control = &func.blocks[block].control;
        traps[block] = match control {
            Control::Exit(inst) => T::is_trap(inst),
            _ => {
                let mut all = true;
                for_each_successor(control, |to| all &= traps[to]);
                all
            }
        };
    }
    traps
}
