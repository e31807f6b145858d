//! The loop nesting forest.
//!
//! Havlak's loop forest, with Ramalingam's correction. After one depth-first search, headers are processed from the
//! last visited to the first. Each header collects its body backwards from its back edges; inner loops are already
//! collapsed into their headers. Collapsing uses union-find, so the whole is almost linear in the number of edges.
//!
//! Irreducible graphs need no special case. A cycle belongs to the loop whose header the search visited first. An edge
//! that enters the cycle elsewhere is deferred to the lowest common ancestor of its ends in the search tree. No loop
//! processed earlier can contain both ends. From then on it is an edge between the representatives of its ends. Such
//! loops are marked [`LoopData::irreducible`].
//!
//! Every cycle of the graph is in a loop. A loop body without the edges to its header, and with inner loops collapsed,
//! is acyclic.

use crate::cfg::{Cfg, Graph};
use crate::dominators::subtree_spans;
use crate::{Block, EntityId, IdVec, entity_id};

entity_id! {
    /// A loop of a [`LoopForest`].
    Loop = "loop";
}

/// A loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LoopData {
    /// The block that a depth-first search visits first; the only entry of the loop unless it is `irreducible`.
    pub header: Block,
    /// The innermost loop around it.
    pub parent: Option<Loop>,
    /// 1 for an outermost loop.
    pub depth: u32,
    /// Whether an edge from outside leads to a block other than the header.
    pub irreducible: bool,
}

/// All loops of a function. Parents have smaller ids than their children.
#[derive(Clone, Debug)]
pub struct LoopForest {
    /// The loops.
    pub loops: IdVec<Loop, LoopData>,
    innermost: IdVec<Block, Option<Loop>>,
    /// First number and size of each loop's subtree.
    spans: Vec<(u32, u32)>,
}

impl LoopForest {
    /// The loops of a graph.
    pub fn new(cfg: &Cfg, entry: Block) -> Self {
        let search = Search::new(cfg, entry);
        let nest = Nest::new(&search);
        Self::number(&search, &nest, cfg.len())
    }

    /// The innermost loop that contains `block`; a header is in its own loop.
    pub fn innermost(&self, block: Block) -> Option<Loop> {
        self.innermost[block]
    }

    /// How many loops contain `block`.
    pub fn depth(&self, block: Block) -> u32 {
        self.innermost[block].map_or(0, |l| self.loops[l].depth)
    }

    /// Whether `block` is in `outer`.
    pub fn contains(&self, outer: Loop, block: Block) -> bool {
        let Some(inner) = self.innermost[block] else { return false };
        // Node 0 of the numbered tree represents the whole function.
        let ((first, size), (number, _)) = (self.spans[outer.index() + 1], self.spans[inner.index() + 1]);
        number.wrapping_sub(first) < size
    }

    /// Makes ids from headers in depth-first order, so that parents come first.
    fn number(search: &Search, nest: &Nest, blocks: usize) -> Self {
        let mut loops = IdVec::<Loop, LoopData>::new();
        let mut loop_of_header = vec![None; search.order.len()];
        let mut innermost = IdVec::filled(None, blocks);
        let mut parents = vec![0];
        for node in 0..search.order.len() {
            let parent: Option<Loop> = nest.header[node].and_then(|header| loop_of_header[header as usize]);
            let mut own = parent;
            if nest.is_header[node] {
                let depth = parent.map_or(1, |p| loops[p].depth + 1);
                let header = search.order[node];
                own =
                    Some(loops.push(LoopData { header, parent, depth, irreducible: nest.irreducible[node] }));
                parents.push(parent.map_or(0, |p| p.index() as u32 + 1));
                loop_of_header[node] = own;
            }
            innermost[search.order[node]] = own;
        }
        Self { loops, innermost, spans: subtree_spans(&parents) }
    }
}

/// A depth-first search; nodes are preorder numbers.
struct Search {
    order: Vec<Block>,
    parent: Vec<u32>,
    /// Sources of the edges from a node's descendants or itself to it.
    back: Vec<Vec<u32>>,
    /// Other non-tree edges, at the lowest common ancestor of their ends.
    other: Vec<Vec<(u32, u32)>>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    New,
    Open(u32),
    Done(u32),
}

impl Search {
    fn new(cfg: &Cfg, entry: Block) -> Self {
        let mut search =
            Self { order: vec![entry], parent: vec![0], back: vec![vec![]], other: vec![vec![]] };
        let mut state = IdVec::<Block, State>::filled(State::New, cfg.len());
        // Finished nodes are merged into their parents: the representative is the deepest open ancestor.
        let mut open = UnionFind::default();
        open.push();
        state[entry] = State::Open(0);
        let mut stack = vec![(0u32, 0usize)];
        while let Some((node, next)) = stack.last_mut() {
            let (node, position) = (*node, *next);
            *next += 1;
            let block = search.order[node as usize];
            let Some(&succ) = cfg.successors(block).get(position) else {
                state[block] = State::Done(node);
                open.union(node, search.parent[node as usize]);
                stack.pop();
                continue;
            };
            match state[succ] {
                State::New => {
                    let number = search.visit(succ, node);
                    open.push();
                    state[succ] = State::Open(number);
                    stack.push((number, 0));
                }
                State::Open(target) => search.back[target as usize].push(node),
                State::Done(target) => search.other[open.find(target) as usize].push((node, target)),
            }
        }
        search
    }

    fn visit(&mut self, block: Block, parent: u32) -> u32 {
        let number = self.order.len() as u32;
        self.order.push(block);
        self.parent.push(parent);
        self.back.push(Vec::new());
        self.other.push(Vec::new());
        number
    }
}

/// Which loop each node is in, by header.
struct Nest {
    /// The header of the innermost loop around a node; for a header, around its loop.
    header: Vec<Option<u32>>,
    is_header: Vec<bool>,
    irreducible: Vec<bool>,
}

impl Nest {
    fn new(search: &Search) -> Self {
        let len = search.order.len();
        let mut nest =
            Self { header: vec![None; len], is_header: vec![false; len], irreducible: vec![false; len] };
        let mut collapsed = UnionFind::default();
        (0..len).for_each(|_| collapsed.push());
        let mut preds: Vec<Vec<u32>> = search.parent.iter().map(|&parent| vec![parent]).collect();
        preds[0].clear();
        for header in (0..len as u32).rev() {
            for &(from, to) in &search.other[header as usize] {
                let target = collapsed.find(to);
                preds[target as usize].push(from);
                nest.mark_entrance(to, target);
            }
            nest.collect(search, header, &preds, &mut collapsed);
        }
        nest
    }

    /// Marks the loops that an edge to `node` enters from outside, up to the loop of `outermost`, as irreducible.
    fn mark_entrance(&mut self, node: u32, outermost: u32) {
        let mut inside = node;
        while inside != outermost {
            inside = self.header[inside as usize].expect("collapsed nodes have a header");
            self.irreducible[inside as usize] = true;
        }
    }

    /// Finds the loop of `header`, if it is one, and collapses it.
    fn collect(&mut self, search: &Search, header: u32, preds: &[Vec<u32>], collapsed: &mut UnionFind) {
        let back = &search.back[header as usize];
        self.is_header[header as usize] = !back.is_empty();
        let mut body = Vec::new();
        let mut add = |node: u32, collapsed: &mut UnionFind, body: &mut Vec<u32>| {
            let node = collapsed.find(node);
            if node != header && self.header[node as usize].is_none() {
                self.header[node as usize] = Some(header);
                body.push(node);
            }
        };
        back.iter().for_each(|&node| add(node, collapsed, &mut body));
        let mut next = 0;
        while let Some(&node) = body.get(next) {
            next += 1;
            preds[node as usize].iter().for_each(|&pred| add(pred, collapsed, &mut body));
        }
        for node in body {
            collapsed.union(node, header);
        }
    }
}

/// Disjoint sets with a chosen representative: path halving only, O(log n) amortised.
#[derive(Default)]
struct UnionFind {
    parent: Vec<u32>,
}

impl UnionFind {
    fn push(&mut self) {
        self.parent.push(self.parent.len() as u32);
    }

    fn find(&mut self, mut node: u32) -> u32 {
        while self.parent[node as usize] != node {
            let above = self.parent[self.parent[node as usize] as usize];
            self.parent[node as usize] = above;
            node = above;
        }
        node
    }

    /// Merges the set of `node`, a representative, into that of `into`.
    fn union(&mut self, node: u32, into: u32) {
        self.parent[node as usize] = into;
    }
}
