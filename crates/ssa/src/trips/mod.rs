//! Bounds of loops: how often a header is executed each time that its loop is entered.
//!
//! A bound comes from a test that every round passes and that leaves the loop. The test must depend on nothing but the
//! header's parameters, constants, and one value from outside as a limit. Two ways lead to a bound:
//!
//! - [`simulate`] knows the parameters when the loop is entered, and executes the test and its parameters round by round
//!   until it leaves;
//! - [`shrink`] knows only how wide the parameter is, and that each round makes it smaller by a shift, by clearing the lowest
//!   bit, or by one.
//!
//! Anything else is no bound. The work is limited per function.

mod shrink;
mod simulate;

use crate::cfg::{Cfg, Graph};
use crate::known_bits::{KnownBits, known_bits};
use crate::loops::{Loop, LoopForest};
use crate::{Block, Dominators, Function, IdVec, Inst, InstData, Value, ValueDef};

/// Instructions that are executed to find the bounds of one function, at most.
const MOST_WORK: u32 = 1 << 17;

/// The bound of each loop header: the most executions each time that its loop is entered. `None` for other blocks, and for
/// loops without a known bound.
pub fn loop_bounds(func: &Function) -> IdVec<Block, Option<u32>> {
    let mut bounds = IdVec::filled(None, func.blocks.len());
    let cfg = Cfg::new(func);
    let forest = LoopForest::new(&cfg, func.entry());
    if forest.loops.ids().next().is_none() {
        return bounds;
    }
    let known = known_bits(func, &func.reverse_postorder());
    let mut homes = IdVec::filled(None, func.insts.len());
    for (block, data) in func.blocks.iter() {
        data.insts.iter().for_each(|&inst| homes[inst] = Some(block));
    }
    let dominators = Dominators::of_graph(&cfg, func.entry());
    let mut work = MOST_WORK;
    for (id, data) in forest.loops.iter().filter(|(_, data)| !data.irreducible) {
        let body =
            Body::new(Facts { func, forest: &forest, known: &known, homes: &homes }, &cfg, id, data.header);
        let tests = exit_tests(&body, &cfg, &dominators);
        bounds[data.header] = tests.iter().filter_map(|test| body.bound(test, &mut work)).min();
    }
    bounds
}

/// What is known about the function.
#[derive(Clone, Copy)]
struct Facts<'a> {
    func: &'a Function,
    forest: &'a LoopForest,
    known: &'a IdVec<Value, KnownBits>,
    /// The block of each instruction.
    homes: &'a IdVec<Inst, Option<Block>>,
}

/// A loop.
struct Body<'a> {
    facts: Facts<'a>,
    id: Loop,
    header: Block,
    /// The arguments for the header's parameters, of each edge that enters the loop, and of each edge back.
    entries: Vec<&'a [Value]>,
    backs: Vec<&'a [Value]>,
    latches: Vec<Block>,
}

/// A test that leaves the loop if the condition has this value.
#[derive(Clone, Copy)]
struct Test {
    cond: Value,
    leaves: bool,
}

impl<'a> Body<'a> {
    fn new(facts: Facts<'a>, cfg: &Cfg, id: Loop, header: Block) -> Self {
        let Facts { func, forest, .. } = facts;
        let (latches, outside): (Vec<Block>, Vec<Block>) =
            cfg.predecessors(header).iter().partition(|&&pred| forest.contains(id, pred));
        let args = |from: &Block| {
            let edges = func.insts[func.terminator(*from)].successors();
            edges.into_iter().filter(|to| to.block == header).map(|to| &to.args[..]).collect::<Vec<_>>()
        };
        let entries = outside.iter().flat_map(args).collect();
        let backs = latches.iter().flat_map(args).collect();
        Self { facts, id, header, entries, backs, latches }
    }

    fn bound(&self, test: &Test, work: &mut u32) -> Option<u32> {
        simulate::bound(self, test, work).or_else(|| shrink::bound(self, test))
    }

    fn contains(&self, block: Block) -> bool {
        self.facts.forest.contains(self.id, block)
    }

    /// The index of a parameter of the header.
    fn parameter(&self, value: Value) -> Option<usize> {
        match self.facts.func.values[value].def {
            ValueDef::Param(block, n) if block == self.header => Some(n as usize),
            _ => None,
        }
    }

    /// The next value of a parameter, if all edges back agree.
    fn next(&self, parameter: usize) -> Option<Value> {
        let next = self.backs.first()?[parameter];
        self.backs.iter().all(|args| args[parameter] == next).then_some(next)
    }

    /// Whether a value is from outside of the loop, so that all rounds see the same.
    fn is_outside(&self, value: Value) -> bool {
        let home = match self.facts.func.values[value].def {
            ValueDef::Param(block, _) => Some(block),
            ValueDef::Result(inst, _) => self.facts.homes[inst],
        };
        home.is_some_and(|block| !self.contains(block))
    }

    fn blocks(&self) -> impl Iterator<Item = Block> {
        self.facts.func.blocks.ids().filter(|&block| self.contains(block))
    }

    /// The instruction that defines a value.
    fn def(&self, value: Value) -> Option<&'a InstData> {
        let func = self.facts.func;
        func.def_inst(value).map(|inst| &func.insts[inst])
    }
}

/// The tests that each round passes: those in blocks that dominate all edges back.
fn exit_tests(body: &Body, cfg: &Cfg, dominators: &Dominators<Block>) -> Vec<Test> {
    let passed = body.blocks().filter(|&block| {
        cfg.successors(block).len() == 2 && body.latches.iter().all(|&to| dominators.dominates(block, to))
    });
    let test = |block: Block| match &body.facts.func.insts[body.facts.func.terminator(block)] {
        InstData::Branch { cond, if_true, if_false } => {
            match (body.contains(if_true.block), body.contains(if_false.block)) {
                (false, true) => Some(Test { cond: *cond, leaves: true }),
                (true, false) => Some(Test { cond: *cond, leaves: false }),
                _ => None,
            }
        }
        _ => None,
    };
    passed.filter_map(test).collect()
}
