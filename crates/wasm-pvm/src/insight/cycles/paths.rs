//! The longest path through a function.
//!
//! Loops are collapsed from the inside to the outside: what is left of a region is acyclic, and its blocks in reverse
//! postorder are in topological order.

use std::collections::BTreeSet;

use ssa::cfg::{Cfg, Graph as _};
use ssa::loops::{Loop, LoopForest};
use ssa::{Block, EntityId as _, IdVec};

use super::graph::{Callee, Function};
use super::{All, FunctionCycles, LoopCycles, Reason, State};

/// The most cycles of something.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Cost {
    worst: Result<u64, Reason>,
    /// With one round of each loop.
    straight: u64,
}

impl Cost {
    const fn of(cycles: u64) -> Self {
        Self { worst: Ok(cycles), straight: cycles }
    }

    fn plus(&self, other: &Self) -> Self {
        let worst = match (&self.worst, &other.worst) {
            (Ok(a), Ok(b)) => Ok(a.saturating_add(*b)),
            (Err(reason), _) | (_, Err(reason)) => Err(reason.clone()),
        };
        Self { worst, straight: self.straight.saturating_add(other.straight) }
    }

    fn raise(&mut self, other: &Self) {
        match (&mut self.worst, &other.worst) {
            (Ok(most), Ok(cycles)) => *most = (*most).max(*cycles),
            (worst @ Ok(_), Err(reason)) => *worst = Err(reason.clone()),
            (Err(_), _) => {}
        }
        self.straight = self.straight.max(other.straight);
    }

    fn times(&self, rounds: u32) -> Self {
        let worst = self.worst.clone().map(|cycles| cycles.saturating_mul(rounds.into()));
        Self { worst, straight: self.straight }
    }
}

/// The cycles of a function whose callees are known, unless they are open.
pub fn solve(all: &All<'_>, index: usize) -> FunctionCycles {
    let function = &all.functions[index];
    let edges: Vec<(Block, Block)> = function.edges.iter().map(|&(from, to, _)| (from, to)).collect();
    let cfg = Cfg::of_edges(function.nodes.len(), &edges);
    let mut imports = BTreeSet::new();
    let blocks = (0..function.nodes.len()).map(|n| block_cost(all, index, n, &mut imports)).collect();
    let empty = FunctionCycles {
        name: function.name.clone(),
        worst: Ok(0),
        straight: 0,
        loops: Vec::new(),
        imports: BTreeSet::new(),
    };
    if function.nodes.is_empty() {
        return empty;
    }
    let entry = Block::new(0);
    let forest = LoopForest::new(&cfg, entry);
    let mut order = IdVec::filled(None, cfg.len());
    let rpo = cfg.reverse_postorder(entry);
    rpo.iter().enumerate().for_each(|(n, &block)| order[block] = Some(n));
    let costs = forest.loops.ids().map(|_| Cost::of(0)).collect();
    let (leaving, exits) = edges_of(function, &forest);
    let mut paths = Paths { function, forest, rpo, order, leaving, exits, blocks, loops: costs };
    let loops = paths.collapse(all);
    let mut whole = paths.longest(None);
    // Then the order of blocks is not that of all paths.
    let irreducible = paths.forest.loops.values().find(|data| data.irreducible);
    if let Some(data) = irreducible {
        whole.worst = Err(Reason::Irreducible(function.nodes[data.header.index()].start - function.start));
    }
    FunctionCycles { worst: whole.worst, straight: whole.straight, loops, imports, ..empty }
}

/// The cycles of a block with its calls.
fn block_cost(all: &All<'_>, index: usize, number: usize, imports: &mut BTreeSet<String>) -> Cost {
    let function = &all.functions[index];
    let node = &function.nodes[number];
    let waits = Err(Reason::Waits(node.start - function.start));
    let mut cost = Cost { worst: node.cycles.map_or(waits, Ok), straight: node.cycles.unwrap_or_default() };
    for call in &node.calls {
        let callee = match call {
            Callee::Function(callee) => of_function(all, *callee, imports),
            Callee::Address => by_address(all, index, imports),
            Callee::Import(name) => {
                imports.insert(name.clone());
                Cost::of(0)
            }
        };
        cost = cost.plus(&callee);
    }
    cost
}

/// The cycles of a called function.
fn of_function(all: &All<'_>, callee: usize, imports: &mut BTreeSet<String>) -> Cost {
    match &all.found[callee] {
        State::Known(known) => {
            imports.extend(known.imports.iter().cloned());
            let worst = known.worst.clone().map_err(|_| Reason::Callee(known.name.clone()));
            Cost { worst, straight: known.straight }
        }
        State::Open | State::Unknown => Cost { worst: Err(Reason::Recursion), straight: 0 },
    }
}

/// The cycles of a call by an address: those of the most expensive function that it may reach.
fn by_address(all: &All<'_>, index: usize, imports: &mut BTreeSet<String>) -> Cost {
    let known = all.indirect[index].as_ref().filter(|callees| !callees.is_empty());
    let Some(callees) = known else { return Cost { worst: Err(Reason::Address), straight: 0 } };
    let mut cost = Cost::of(0);
    for &callee in callees {
        cost.raise(&of_function(all, callee, imports));
    }
    cost
}

/// The edges that leave each block with their cycles, and those that leave each loop.
type Edges = (IdVec<Block, Vec<(Block, u64)>>, IdVec<Loop, Vec<Block>>);

fn edges_of(function: &Function, forest: &LoopForest) -> Edges {
    let mut leaving = IdVec::filled(Vec::new(), function.nodes.len());
    let mut exits = IdVec::filled(Vec::new(), forest.loops.len());
    for &(from, to, cycles) in &function.edges {
        leaving[from].push((to, cycles));
        let mut at = forest.innermost(from);
        while let Some(id) = at.filter(|&id| !forest.contains(id, to)) {
            exits[id].push(to);
            at = forest.loops[id].parent;
        }
    }
    (leaving, exits)
}

struct Paths<'a> {
    function: &'a Function,
    forest: LoopForest,
    rpo: Vec<Block>,
    /// The position in reverse postorder; `None` if it can't be reached.
    order: IdVec<Block, Option<usize>>,
    /// The edges that leave each block, with their cycles.
    leaving: IdVec<Block, Vec<(Block, u64)>>,
    /// The blocks outside that edges of each loop lead to.
    exits: IdVec<Loop, Vec<Block>>,
    blocks: Vec<Cost>,
    /// What a loop costs each time that it is entered.
    loops: IdVec<Loop, Cost>,
}

impl Paths<'_> {
    /// Computes the cost of all loops, inner ones first. Returns them, outer ones first.
    fn collapse(&mut self, all: &All<'_>) -> Vec<LoopCycles> {
        let ids: Vec<Loop> = self.forest.loops.ids().collect();
        let mut found = Vec::new();
        for id in ids.into_iter().rev() {
            let data = self.forest.loops[id];
            let start = self.function.nodes[data.header.index()].start;
            let offset = start - self.function.start;
            let round = self.longest(Some(id));
            let rounds = all.bounds.get(&start).copied().filter(|_| !data.irreducible);
            self.loops[id] = match rounds {
                _ if data.irreducible => Cost { worst: Err(Reason::Irreducible(offset)), ..round.clone() },
                Some(rounds) => round.times(rounds),
                None => Cost { worst: Err(Reason::Loop(offset)), ..round.clone() },
            };
            let cycles = round.worst.clone().unwrap_or(round.straight);
            found.push(LoopCycles { offset, rounds, cycles });
        }
        found.reverse();
        found
    }

    /// The longest path through a round of a loop, or through the function. Loops inside count as one block.
    fn longest(&self, region: Option<Loop>) -> Cost {
        let size = self.rpo.len();
        let mut reached: Vec<Option<Cost>> = vec![None; size];
        let entry = region.map_or(Block::new(0), |id| self.forest.loops[id].header);
        let mut longest = Cost::of(0);
        let Some(first) = self.place(entry, region) else { return longest };
        reached[first] = Some(Cost::of(0));
        for n in first..size {
            let block = self.rpo[n];
            // A loop is at the place of its header.
            if self.place(block, region) != Some(n) {
                continue;
            }
            let Some(before) = reached[n].clone() else { continue };
            let (cost, edges) = self.part(block, region);
            let after = before.plus(&cost);
            longest.raise(&after);
            for (to, cycles) in edges {
                let along = after.plus(&Cost::of(cycles));
                longest.raise(&along);
                if let Some(to) = to.and_then(|to| self.place(to, region)).filter(|&to| to > n) {
                    reached[to].get_or_insert_with(|| Cost::of(0)).raise(&along);
                }
            }
        }
        longest
    }

    /// The place in the order of the part of a region that a block is in: its own, or that of the header of the outermost
    /// loop around it in the region. `None` if it isn't in the region.
    fn place(&self, block: Block, region: Option<Loop>) -> Option<usize> {
        let part = self.inner(block, region)?;
        self.order[part.map_or(block, |id| self.forest.loops[id].header)]
    }

    /// The outermost loop around a block inside of a region, if there is one. `None` if the block isn't in the region.
    fn inner(&self, block: Block, region: Option<Loop>) -> Option<Option<Loop>> {
        let mut at = self.forest.innermost(block);
        let mut outermost = None;
        while at != region {
            outermost = at;
            at = self.forest.loops[at?].parent;
        }
        Some(outermost)
    }

    /// The cost of a part of a region, and the edges that leave it with their cycles.
    fn part(&self, block: Block, region: Option<Loop>) -> (Cost, Vec<(Option<Block>, u64)>) {
        match self.inner(block, region).flatten() {
            // The round of the loop contains the cycles of the edges that leave it.
            Some(id) => (self.loops[id].clone(), self.exits[id].iter().map(|&to| (Some(to), 0)).collect()),
            None => {
                let out = self.leaving[block].iter().map(|&(to, cycles)| (Some(to), cycles));
                let end = self.function.nodes[block.index()].leaving;
                (self.blocks[block.index()].clone(), out.chain([(None, end)]).collect())
            }
        }
    }
}
