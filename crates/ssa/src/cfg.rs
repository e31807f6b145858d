//! The control-flow graph of a function as two flat adjacency lists, and a trait for any such graph.
//!
//! A terminator lists only its successors, and collecting them allocates. Analyses need both directions, without
//! allocation. A [`Cfg`] is a snapshot: later changes of the function don't show in it. Blocks without a terminator
//! (in a function under construction, or a broken one) have no successors here.

use crate::{Block, EntityId, Function, IdVec};

/// A control-flow graph.
pub trait Graph {
    /// A node, which is a block of code.
    type Node: EntityId;

    /// The number of nodes, which are numbered from 0.
    fn len(&self) -> usize;

    /// Successors, perhaps with repetitions.
    fn successors(&self, node: Self::Node) -> &[Self::Node];

    /// Predecessors, perhaps with repetitions.
    fn predecessors(&self, node: Self::Node) -> &[Self::Node];

    /// Whether there are no nodes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Nodes reachable from `entry` in reverse postorder; successors are visited in order.
    fn reverse_postorder(&self, entry: Self::Node) -> Vec<Self::Node> {
        let mut seen = IdVec::<Self::Node, bool>::filled(false, self.len());
        let mut order = Vec::with_capacity(self.len());
        let mut stack = vec![(entry, 0)];
        seen[entry] = true;
        while let Some((node, next)) = stack.last_mut() {
            let (node, position) = (*node, *next);
            *next += 1;
            match self.successors(node).get(position) {
                Some(&succ) if !std::mem::replace(&mut seen[succ], true) => stack.push((succ, 0)),
                Some(_) => {}
                None => {
                    order.push(node);
                    stack.pop();
                }
            }
        }
        order.reverse();
        order
    }
}

/// Successors and predecessors of every block.
#[derive(Clone, Debug)]
pub struct Cfg {
    successors: Adjacency,
    predecessors: Adjacency,
}

impl Cfg {
    /// The graph of `func` as it is now. Panics if an edge leads to a block that doesn't exist.
    pub fn new(func: &Function) -> Self {
        let mut edges = Vec::new();
        for (block, data) in func.blocks.iter() {
            let Some(&last) = data.insts.last() else { continue };
            edges.extend(func.insts[last].successors().into_iter().map(|to| (block, to.block)));
        }
        Self::of_edges(func.blocks.len(), &edges)
    }

    /// A graph of so many blocks, for code that is no [`Function`]. Panics if an edge leads to a block that doesn't exist.
    pub fn of_edges(blocks: usize, edges: &[(Block, Block)]) -> Self {
        let reversed = edges.iter().map(|&(from, to)| (to, from));
        let predecessors = Adjacency::new(blocks, reversed);
        Self { successors: Adjacency::new(blocks, edges.iter().copied()), predecessors }
    }
}

impl Graph for Cfg {
    type Node = Block;

    fn len(&self) -> usize {
        self.successors.starts.len() - 1
    }

    /// In terminator order.
    fn successors(&self, block: Block) -> &[Block] {
        self.successors.of(block)
    }

    /// In block order, one entry per edge.
    fn predecessors(&self, block: Block) -> &[Block] {
        self.predecessors.of(block)
    }
}

#[derive(Clone, Debug)]
struct Adjacency {
    starts: Vec<u32>,
    targets: Vec<Block>,
}

impl Adjacency {
    /// Groups `edges` by their first end, keeping their order.
    fn new(len: usize, edges: impl Iterator<Item = (Block, Block)> + Clone) -> Self {
        let mut starts = vec![0u32; len + 1];
        for (from, _) in edges.clone() {
            starts[from.index() + 1] += 1;
        }
        for n in 0..len {
            starts[n + 1] += starts[n];
        }
        let mut next = starts.clone();
        let mut targets = vec![Block::new(0); starts[len] as usize];
        for (from, to) in edges {
            targets[next[from.index()] as usize] = to;
            next[from.index()] += 1;
        }
        Self { starts, targets }
    }

    fn of(&self, block: Block) -> &[Block] {
        let n = block.index();
        &self.targets[self.starts[n] as usize..self.starts[n + 1] as usize]
    }
}
