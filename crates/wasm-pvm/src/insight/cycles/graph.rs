//! The control flow of the functions of an object, with the cycles of blocks and edges.

use std::collections::{BTreeMap, BTreeSet};

use ssa::{Block, EntityId as _};
use thumb_engine::{Image, Kind, Placed, blocks, instructions, table_targets, target};
use thumb_isa::{Flow, Inst, Reg};

use super::timing::Timing;

/// A call that a block makes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Callee {
    /// The function with this index.
    Function(usize),
    /// A function that isn't in the object.
    Import(String),
    /// A function whose address is a value.
    Address,
}

/// A basic block.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// The address of its first instruction.
    pub start: u32,
    /// Cycles without callees. `None` if it waits for an event.
    pub cycles: Option<u64>,
    /// Its calls, with those that take its place.
    pub calls: Vec<Callee>,
    /// Cycles of the most expensive way to leave the function from here.
    pub leaving: u64,
}

/// A function.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its symbol.
    pub name: String,
    /// Its address.
    pub start: u32,
    /// Its blocks; the first is the entry.
    pub nodes: Vec<Node>,
    /// Edges with the cycles that they cost.
    pub edges: Vec<(Block, Block, u64)>,
}

/// Reads the functions of an object, by ascending addresses.
pub struct Reader<'a> {
    image: &'a Image,
    timing: &'a Timing,
    /// The index of the function at an address.
    pub functions: BTreeMap<u32, usize>,
    cuts: BTreeSet<u32>,
    code: Vec<Placed>,
    /// The addresses of instructions in IT blocks, which may do nothing.
    predicated: BTreeSet<u32>,
}

impl<'a> Reader<'a> {
    /// A reader of a linked object.
    pub fn new(image: &'a Image, timing: &'a Timing) -> Self {
        let starts: BTreeSet<u32> = symbols(image).map(|symbol| symbol.address).collect();
        let functions = starts.into_iter().zip(0..).collect();
        let cuts = blocks(image).into_iter().flat_map(|block| [block.start, block.end]).collect();
        let code = instructions(image);
        let predicated = predicated(&code);
        Self { image, timing, functions, cuts, code, predicated }
    }

    /// All functions.
    pub fn read(&self) -> Vec<Function> {
        self.functions.keys().map(|&start| self.function(start)).collect()
    }

    fn function(&self, start: u32) -> Function {
        let of_start = || symbols(self.image).filter(|symbol| symbol.address == start);
        let symbol = of_start().find(|symbol| symbol.is_global).or_else(|| of_start().next());
        let symbol = symbol.expect("functions are at symbols");
        let end = start + symbol.size;
        let first = self.code.partition_point(|&(at, ..)| at < start);
        let code: Vec<&Placed> = self.code[first..].iter().take_while(|&&(at, ..)| at < end).collect();
        let mut parts: Vec<&[&Placed]> = Vec::new();
        let mut from = 0;
        for (n, (_, inst, after)) in code.iter().enumerate() {
            let is_far = inst.flow() == Flow::Call
                && n + 1 < code.len()
                && self.is_inside(inst, code[n].0, start, end);
            if is_far || n + 1 == code.len() || self.cuts.contains(after) {
                parts.push(&code[from..=n]);
                from = n + 1;
            }
        }
        let numbers: BTreeMap<u32, Block> =
            parts.iter().enumerate().map(|(n, part)| (part[0].0, Block::new(n))).collect();
        let mut function =
            Function { name: symbol.name.clone(), start, nodes: Vec::new(), edges: Vec::new() };
        for part in parts {
            self.block(part, (start, end), &numbers, &mut function);
        }
        function
    }

    /// Whether a call is a long jump inside of a function, as on v6-M.
    fn is_inside(&self, inst: &Inst, at: u32, start: u32, end: u32) -> bool {
        target(inst, at).is_some_and(|to| start < to && to < end)
    }

    fn block(
        &self,
        part: &[&Placed],
        (start, end): (u32, u32),
        numbers: &BTreeMap<u32, Block>,
        function: &mut Function,
    ) {
        let number = Block::new(function.nodes.len());
        let &&(last_at, last, after) = part.last().expect("blocks have instructions");
        let own: Option<u64> = part.iter().map(|(_, inst, _)| self.timing.cycles(inst)).sum();
        let mut node = Node {
            start: part[0].0,
            cycles: own.map(|cycles| cycles + self.timing.fetch(after - part[0].0)),
            ..Node::default()
        };
        let mut edge = |to: u32, cycles: u64| {
            if let Some(&to) = numbers.get(&to) {
                function.edges.push((number, to, cycles));
            }
        };
        for &&(at, inst, _) in part {
            if inst.flow() == Flow::Call && !self.is_inside(&inst, at, start, end) {
                node.calls.push(self.callee(target(&inst, at)));
                node.cycles = node.cycles.map(|cycles| cycles + self.timing.transfer(&inst));
            }
        }
        if self.predicated.contains(&last_at) && !matches!(last.flow(), Flow::Next | Flow::Call) {
            edge(after, 0);
        }
        let taken = self.timing.transfer(&last);
        let goal = target(&last, last_at);
        let is_inside = goal.is_some_and(|to| (start..end).contains(&to));
        match last.flow() {
            Flow::Next => edge(after, 0),
            Flow::Call if self.is_inside(&last, last_at, start, end) => edge(goal.unwrap_or(after), taken),
            Flow::Call => edge(after, 0),
            Flow::Trap => {}
            Flow::Jump | Flow::Branch => {
                if last.flow() == Flow::Branch {
                    edge(after, 0);
                }
                match goal.filter(|_| is_inside) {
                    Some(goal) => edge(goal, taken),
                    None => {
                        node.calls.push(self.callee(goal));
                        node.leaving = taken;
                    }
                }
            }
            Flow::Indirect => {
                table_targets(self.image, &last, after).into_iter().for_each(|to| edge(to, taken));
                node.leaving = taken;
                if matches!(last, Inst::BranchReg { rm, .. } if rm != Reg::LR) {
                    node.calls.push(Callee::Address);
                }
            }
        }
        function.nodes.push(node);
    }

    fn callee(&self, address: Option<u32>) -> Callee {
        let Some(address) = address else { return Callee::Address };
        match self.functions.get(&address) {
            Some(&index) => Callee::Function(index),
            None => {
                let name = self.image.stub(address).map(|index| self.image.undefined()[index].clone());
                Callee::Import(name.unwrap_or_else(|| format!("{address:#x}")))
            }
        }
    }
}

fn symbols(image: &Image) -> impl Iterator<Item = &thumb_engine::Symbol> {
    image.symbols().iter().filter(|symbol| symbol.kind == Kind::Function)
}

fn predicated(code: &[Placed]) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    let mut left = 0;
    for (at, inst, _) in code {
        if left > 0 {
            found.insert(*at);
            left -= 1;
        }
        if let Inst::It { mask, .. } = inst {
            left = mask.len();
        }
    }
    found
}
