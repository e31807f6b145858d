//! Local search: improving chains by exchanging a few edges at a time.
//!
//! The edges that become fallthroughs form a path cover, and we want the one with the greatest gain. A greedy choice
//! fails where one edge excludes two that together gain more. An example is the back edge of a loop against the edges
//! into and out of the loop.
//!
//! For each edge that was not taken we try an exchange: take it and drop the edges that conflict with it. If it closes
//! a cycle, also drop the edge of the cycle with the least loss. Then let the freed chain ends join other chains. The
//! exchange is kept if the total gain increases.
//!
//! The number of passes is fixed. Cycles are found by walking along a chain. Walks have a bounded length, so the work
//! is linear in the number of edges; an exchange that would need a longer walk is given up.

use ssa::IdVec;

use super::chains::{Chains, Edge};
use crate::mir::Block;

/// Maximum number of passes over the edges.
const PASSES: u32 = 2;

/// Maximum length of a walk along a chain, in blocks.
const WALK: usize = 200;

/// Minimum gain of an exchange; less is a rounding error.
const LEAST_GAIN: f32 = 1e-5;

/// Maximum number of edges considered at a freed chain end.
const PARTNERS: usize = 16;

/// Exchanges edges of `chains` for others of `edges`, which are sorted by descending gain.
pub(super) fn improve(chains: &mut Chains, edges: &[Edge]) {
    let ends = Ends::new(edges, chains.next.len());
    for _ in 0..PASSES {
        let mut improved = false;
        for &edge in edges {
            let is_taken = chains.next[edge.from].is_some_and(|taken| taken.to == edge.to);
            if !is_taken {
                improved |= Trial::new(chains).exchange(&ends, edge);
            }
        }
        if !improved {
            return;
        }
    }
}

/// The edges by source and by target, each by descending gain.
struct Ends {
    outgoing: IdVec<Block, Vec<Edge>>,
    incoming: IdVec<Block, Vec<Edge>>,
}

impl Ends {
    fn new(edges: &[Edge], blocks: usize) -> Self {
        let nothing = IdVec::filled(Vec::new(), blocks);
        let mut ends = Self { outgoing: nothing.clone(), incoming: nothing };
        for &edge in edges {
            ends.outgoing[edge.from].push(edge);
            ends.incoming[edge.to].push(edge);
        }
        ends
    }

    /// Edges from `from` to starts of chains.
    fn from<'a>(&'a self, chains: &'a Chains, from: Block) -> impl Iterator<Item = Edge> {
        let edges = self.outgoing[from].iter().take(PARTNERS).copied();
        edges.filter(|edge| chains.prev[edge.to].is_none())
    }

    /// Edges from ends of chains to `to`.
    fn to<'a>(&'a self, chains: &'a Chains, to: Block) -> impl Iterator<Item = Edge> {
        let edges = self.incoming[to].iter().take(PARTNERS).copied();
        edges.filter(|edge| chains.next[edge.from].is_none())
    }
}

/// A tentative exchange: the edges dropped and taken, and the gain so far.
struct Trial<'a> {
    chains: &'a mut Chains,
    dropped: Vec<Edge>,
    taken: Vec<Edge>,
    gain: f32,
}

impl<'a> Trial<'a> {
    const fn new(chains: &'a mut Chains) -> Self {
        Self { chains, dropped: Vec::new(), taken: Vec::new(), gain: 0.0 }
    }

    /// Tries the exchange for `edge`. Returns whether it gained; if not, the chains are unchanged.
    fn exchange(mut self, ends: &Ends, edge: Edge) -> bool {
        let in_the_way = [self.chains.next[edge.from], self.chains.prev[edge.to]];
        in_the_way.into_iter().flatten().for_each(|other| self.drop_edge(other));
        match self.last(edge.to) {
            Some(last) if last == edge.from => self.open_cycle(ends, edge.to),
            Some(_) => {}
            None => return self.give_up(),
        }
        self.take_edge(edge);
        for n in 0..self.dropped.len() {
            let Edge { from, to, .. } = self.dropped[n];
            if self.chains.next[from].is_none() {
                self.take_first(ends.from(self.chains, from).collect());
            }
            if self.chains.prev[to].is_none() {
                self.take_first(ends.to(self.chains, to).collect());
            }
        }
        if self.gain > LEAST_GAIN { true } else { self.give_up() }
    }

    /// Undoes the exchange; returns false.
    fn give_up(self) -> bool {
        for edge in self.taken {
            self.chains.part(edge);
        }
        for edge in self.dropped {
            self.chains.join(edge);
        }
        false
    }

    fn drop_edge(&mut self, edge: Edge) {
        self.chains.part(edge);
        self.gain -= edge.gain;
        self.dropped.push(edge);
    }

    fn take_edge(&mut self, edge: Edge) {
        self.chains.join(edge);
        self.gain += edge.gain;
        self.taken.push(edge);
    }

    /// Takes the first edge that closes no cycle.
    fn take_first(&mut self, edges: Vec<Edge>) {
        let fits = |edge: &Edge| self.last(edge.to).is_some_and(|last| last != edge.from);
        if let Some(edge) = edges.into_iter().find(fits) {
            self.take_edge(edge);
        }
    }

    /// Drops the edge with the least loss from the chain that starts with `start` and would become a cycle.
    fn open_cycle(&mut self, ends: &Ends, start: Block) {
        let loss = |edge: &Edge| {
            let other_next = ends.from(self.chains, edge.from).next();
            let other_prev = ends.to(self.chains, edge.to).next();
            let gain = |other: Option<Edge>| other.map_or(0.0, |other| other.gain);
            edge.gain - gain(other_next) - gain(other_prev)
        };
        let cycle = self.chains.from(start).filter_map(|block| self.chains.next[block]);
        let least = cycle.min_by(|a, b| loss(a).total_cmp(&loss(b)));
        self.drop_edge(least.expect("a cycle has an edge besides the one that closes it"));
    }

    /// The last block of the chain that `block` is in, if it is near.
    fn last(&self, block: Block) -> Option<Block> {
        let mut walk = self.chains.from(block).take(WALK);
        walk.find(|&block| self.chains.next[block].is_none())
    }
}
