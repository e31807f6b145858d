//! The dominator tree.
//!
//! Lengauer and Tarjan's algorithm with path compression ("simple" linking), O(m log n). The iterative algorithm of
//! Cooper, Harvey and Kennedy is shorter. But it is quadratic on a chain of branches to one shared trap block, and
//! wasm code is full of those. The algorithm works on any [`Graph`] of blocks, so it also serves machine functions.
//!
//! Blocks are handled by their depth-first number; a dominator has a smaller number than the blocks it dominates. The
//! tree is numbered so that every subtree is an interval, and [`Dominators::dominates`] is a comparison.

use crate::cfg::{Cfg, Graph};
use crate::{Block, EntityId, Function, IdVec};

/// The dominator tree of the blocks that are reachable from the entry.
#[derive(Clone, Debug)]
pub struct Dominators<N: EntityId = Block> {
    idom: IdVec<N, Option<N>>,
    /// First number and size of the block's subtree; the size is 0 for unreachable blocks.
    span: IdVec<N, (u32, u32)>,
}

impl Dominators {
    /// The dominator tree of a function.
    pub fn new(func: &Function) -> Self {
        Self::of_graph(&Cfg::new(func), func.entry())
    }
}

impl<N: EntityId> Dominators<N> {
    /// The dominator tree of a graph.
    pub fn of_graph(graph: &impl Graph<Node = N>, entry: N) -> Self {
        let tree = SpanningTree::new(graph, entry);
        let idom_number = immediate_dominators(graph, &tree);
        let spans = subtree_spans(&idom_number);
        let mut idom = IdVec::filled(None, graph.len());
        let mut span = IdVec::filled((0, 0), graph.len());
        for (number, &block) in tree.order.iter().enumerate() {
            span[block] = spans[number];
            if number > 0 {
                idom[block] = Some(tree.order[idom_number[number] as usize]);
            }
        }
        Self { idom, span }
    }

    /// The immediate dominator; `None` for the entry and unreachable blocks.
    pub fn idom(&self, block: N) -> Option<N> {
        self.idom[block]
    }

    /// Whether `block` is reachable from the entry.
    pub fn is_reachable(&self, block: N) -> bool {
        self.span[block].1 != 0
    }

    /// Whether every path from the entry to `b` visits `a`. Both are reachable.
    pub fn dominates(&self, a: N, b: N) -> bool {
        let ((first, size), (number, _)) = (self.span[a], self.span[b]);
        number.wrapping_sub(first) < size
    }
}

/// The first number and the size of each node's subtree, in a preorder of the tree. The root must be 0, and nodes must
/// have greater numbers than their parents.
pub(crate) fn subtree_spans(parent: &[u32]) -> Vec<(u32, u32)> {
    let mut spans = vec![(0, 1u32); parent.len()];
    for node in (1..parent.len()).rev() {
        spans[parent[node] as usize].1 += spans[node].1;
    }
    let mut next = vec![1u32; parent.len()];
    for node in 1..parent.len() {
        let slot = &mut next[parent[node] as usize];
        spans[node].0 = *slot;
        *slot += spans[node].1;
        next[node] = spans[node].0 + 1;
    }
    spans
}

/// A depth-first spanning tree; nodes are preorder numbers.
struct SpanningTree<N> {
    order: Vec<N>,
    number: IdVec<N, Option<u32>>,
    parent: Vec<u32>,
}

impl<N: EntityId> SpanningTree<N> {
    fn new(graph: &impl Graph<Node = N>, entry: N) -> Self {
        let mut tree =
            Self { order: Vec::new(), number: IdVec::filled(None, graph.len()), parent: Vec::new() };
        tree.visit(entry, 0);
        let mut stack = vec![(entry, 0)];
        while let Some((block, next)) = stack.last_mut() {
            let (block, position) = (*block, *next);
            *next += 1;
            match graph.successors(block).get(position) {
                Some(&succ) if tree.number[succ].is_none() => {
                    tree.visit(succ, tree.number[block].expect("on the stack"));
                    stack.push((succ, 0));
                }
                Some(_) => {}
                None => {
                    stack.pop();
                }
            }
        }
        tree
    }

    fn visit(&mut self, block: N, parent: u32) {
        self.number[block] = Some(self.order.len() as u32);
        self.order.push(block);
        self.parent.push(parent);
    }
}

const NONE: u32 = u32::MAX;

/// The immediate dominator of each node but 0.
fn immediate_dominators<G: Graph>(graph: &G, tree: &SpanningTree<G::Node>) -> Vec<u32> {
    let len = tree.order.len();
    let mut semi: Vec<u32> = (0..len as u32).collect();
    let mut idom = vec![0u32; len];
    let mut forest = LinkForest { ancestor: vec![NONE; len], label: semi.clone(), path: Vec::new() };
    // Nodes by semidominator, as linked lists.
    let mut bucket_head = vec![NONE; len];
    let mut bucket_next = vec![NONE; len];
    for w in (1..len).rev() {
        for &pred in graph.predecessors(tree.order[w]) {
            let Some(v) = tree.number[pred] else { continue };
            let u = forest.eval(v, &semi);
            semi[w] = semi[w].min(semi[u as usize]);
        }
        let parent = tree.parent[w];
        bucket_next[w] = std::mem::replace(&mut bucket_head[semi[w] as usize], w as u32);
        forest.ancestor[w] = parent;
        let mut v = std::mem::replace(&mut bucket_head[parent as usize], NONE);
        while v != NONE {
            let u = forest.eval(v, &semi);
            idom[v as usize] = if semi[u as usize] < semi[v as usize] { u } else { parent };
            v = bucket_next[v as usize];
        }
    }
    for w in 1..len {
        if idom[w] != semi[w] {
            idom[w] = idom[idom[w] as usize];
        }
    }
    idom
}

/// Finished nodes linked to their parents, with shortcuts.
struct LinkForest {
    ancestor: Vec<u32>,
    /// The node of least semidominator between a node (included) and its `ancestor` (excluded).
    label: Vec<u32>,
    path: Vec<u32>,
}

impl LinkForest {
    /// The node of least semidominator on the path from `v` up to, but not including, the root of its tree.
    fn eval(&mut self, v: u32, semi: &[u32]) -> u32 {
        if self.ancestor[v as usize] == NONE {
            return v;
        }
        let mut node = v;
        while self.ancestor[self.ancestor[node as usize] as usize] != NONE {
            self.path.push(node);
            node = self.ancestor[node as usize];
        }
        while let Some(node) = self.path.pop() {
            let above = self.ancestor[node as usize] as usize;
            let (candidate, own) = (self.label[above], self.label[node as usize]);
            if semi[candidate as usize] < semi[own as usize] {
                self.label[node as usize] = candidate;
            }
            self.ancestor[node as usize] = self.ancestor[above];
        }
        self.label[v as usize]
    }
}
