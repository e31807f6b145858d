//! Where the costs of a run go: by function, line and block of code, and by stacks of calls.
//!
//! The costs are gas on the PVM, and executed instructions on Cortex-M ([`super::cortex_m`]). A trace has the gas of every block on every call path. Within a block an instruction has the gas by which it makes the
//! block more expensive ([`pvm_isa::gas::instruction_costs`]), so costs of lines add up to those of blocks. Inlined
//! functions count as functions: the map leads from an instruction to its function and to the calls that were inlined.
//! Nothing is sampled, and every sum is the cost of the run.

use std::collections::{BTreeMap, BTreeSet};

use pvm_engine::{Sample, Trace};
use pvm_isa::{GpVersion, ProgramBlob, gas};

use super::demangled;
use super::map::{CodeMap, Frame};

/// The costs of a function, alone and with the functions that it calls.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FunctionCost {
    /// Its name.
    pub name: String,
    /// The cost of its own instructions.
    pub own: u64,
    /// The cost while it was active.
    pub total: u64,
    /// Number of calls; `None` if all of them were inlined.
    pub calls: Option<u64>,
}

/// The cost of a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LineCost {
    /// The file.
    pub file: String,
    /// The line.
    pub line: u32,
    /// The cost of its instructions.
    pub cost: u64,
}

/// The cost of a block of the machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlockCost {
    /// Its position.
    pub pc: u32,
    /// The function that it is in.
    pub function: String,
    /// Number of executions.
    pub count: u64,
    /// Its cost in all.
    pub cost: u64,
}

/// A function in a stack of calls.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct StackFrame {
    /// The function's name.
    pub name: String,
    /// The file of its code, if it is known.
    pub file: Option<String>,
}

/// The costs of a run. All lists have the most expensive first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Profile {
    /// The unit of all costs: `gas` or `instructions`.
    pub unit: &'static str,
    /// The cost of the run.
    pub total: u64,
    /// By function.
    pub functions: Vec<FunctionCost>,
    /// By line of the source.
    pub lines: Vec<LineCost>,
    /// By block of the machine.
    pub blocks: Vec<BlockCost>,
    /// The functions that occur in stacks.
    pub frames: Vec<StackFrame>,
    /// Stacks with their costs, in order: indices of functions, outermost first.
    pub stacks: BTreeMap<Vec<u32>, u64>,
}

/// Places that code comes from.
pub trait Places {
    /// The name of the machine's function at a position.
    fn function_at(&self, pc: u32) -> &str;

    /// The functions at a position: the innermost inlined one first, that of the machine last.
    fn frames(&self, pc: u32) -> Vec<Frame>;
}

impl Places for CodeMap {
    fn function_at(&self, pc: u32) -> &str {
        Self::function_at(self, pc)
    }

    fn frames(&self, pc: u32) -> Vec<Frame> {
        Self::frames(self, pc)
    }
}

/// Sums while a trace is read.
pub(crate) struct Sums<'a> {
    places: &'a dyn Places,
    ids: BTreeMap<String, u32>,
    frames: Vec<StackFrame>,
    stacks: BTreeMap<Vec<u32>, u64>,
    lines: BTreeMap<(String, u32), u64>,
    /// Functions at a position, outermost first.
    at: BTreeMap<u32, Vec<u32>>,
}

impl Profile {
    /// The costs of a traced run.
    pub fn new(map: &CodeMap, blob: &ProgramBlob, gp: GpVersion, trace: &Trace) -> Self {
        let mut sums = Sums::new(map);
        let starts: BTreeSet<u32> = pvm_isa::validate::block_starts(gp, blob).into_iter().collect();
        let mut blocks: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
        let mut costs = Costs::new();
        let mut total = 0;
        for sample in trace.samples() {
            total += sample.gas;
            let block = starts.range(..=sample.pc).next_back().copied().unwrap_or(0);
            let sum = blocks.entry(block).or_default();
            sum.0 += if block == sample.pc { sample.count } else { 0 };
            sum.1 += sample.gas;
            let callers: Vec<u32> =
                sample.path.iter().filter_map(|call| call.at).flat_map(|at| sums.functions_at(at)).collect();
            let costs = costs.entry(sample.pc).or_insert_with(|| gas::instruction_costs(gp, blob, sample.pc));
            spread(&sample, costs).for_each(|(pc, gas)| sums.add(&callers, pc, gas));
        }
        sums.profile("gas", total, &blocks, trace.calls_of_functions())
    }
}

/// The gas of the instructions of a block, by the position from which it is executed.
pub type Costs = BTreeMap<u32, Vec<(u32, u32)>>;

/// The gas of a sample by instruction, where `costs` is the gas of those from the sample's on.
pub fn spread<'a>(sample: &Sample, costs: &'a [(u32, u32)]) -> impl Iterator<Item = (u32, u64)> + use<'a> {
    let of_block: u64 = costs.iter().map(|&(_, cost)| u64::from(cost)).sum();
    let (pc, gas, count) = (sample.pc, sample.gas, sample.count);
    let is_block = gas == of_block * count;
    let of_block = costs.iter().filter(move |_| is_block);
    // Otherwise it is the gas of one instruction, or of a host call.
    let single = (!is_block).then_some((pc, gas));
    of_block.map(move |&(pc, cost)| (pc, u64::from(cost) * count)).chain(single)
}

impl<'a> Sums<'a> {
    pub(crate) fn new(places: &'a dyn Places) -> Self {
        let (ids, frames, stacks) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        Self { places, ids, frames, stacks, lines: BTreeMap::new(), at: BTreeMap::new() }
    }

    /// The functions at a position, outermost first.
    pub(crate) fn functions_at(&mut self, pc: u32) -> Vec<u32> {
        if let Some(known) = self.at.get(&pc) {
            return known.clone();
        }
        let frames = self.places.frames(pc);
        let ids: Vec<u32> = frames.iter().rev().map(|frame| self.id(frame)).collect();
        self.at.insert(pc, ids.clone());
        ids
    }

    fn id(&mut self, frame: &Frame) -> u32 {
        let file = frame.source.as_ref().map(|(file, ..)| file.clone());
        let id = *self.ids.entry(frame.function.clone()).or_insert_with_key(|name| {
            self.frames.push(StackFrame { name: demangled(name), file: None });
            self.frames.len() as u32 - 1
        });
        let known = &mut self.frames[id as usize].file;
        *known = known.take().or(file);
        id
    }

    pub(crate) fn add(&mut self, callers: &[u32], pc: u32, cost: u64) {
        if cost == 0 {
            return;
        }
        let mut stack = callers.to_vec();
        stack.extend(self.functions_at(pc));
        *self.stacks.entry(stack).or_default() += cost;
        let line = self.places.frames(pc).into_iter().find_map(|frame| frame.source);
        if let Some((file, line, _)) = line {
            *self.lines.entry((file, line)).or_default() += cost;
        }
    }

    /// The profile, given executions and cost of blocks by position, and calls of functions by their start.
    pub(crate) fn profile(
        self,
        unit: &'static str,
        total: u64,
        blocks: &BTreeMap<u32, (u64, u64)>,
        calls_of_functions: &BTreeMap<u32, u64>,
    ) -> Profile {
        let mut functions = self.functions();
        for (&start, &calls) in calls_of_functions {
            if let Some(&id) = self.ids.get(self.places.function_at(start)) {
                *functions[id as usize].calls.get_or_insert(0) += calls;
            }
        }
        functions.sort_by_key(|function| (std::cmp::Reverse(function.own), function.name.clone()));
        let line = |((file, line), cost)| LineCost { file, line, cost };
        let mut lines: Vec<LineCost> = self.lines.into_iter().map(line).collect();
        lines.sort_by_key(|line| std::cmp::Reverse(line.cost));
        let block = |(&pc, &(count, cost)): (&u32, &(u64, u64))| BlockCost {
            pc,
            function: demangled(self.places.function_at(pc)),
            count,
            cost,
        };
        let mut blocks: Vec<BlockCost> = blocks.iter().map(block).collect();
        blocks.sort_by_key(|block| std::cmp::Reverse(block.cost));
        Profile { unit, total, functions, lines, blocks, frames: self.frames, stacks: self.stacks }
    }

    /// The costs of all functions by their number, without the numbers of calls.
    fn functions(&self) -> Vec<FunctionCost> {
        let named = |frame: &StackFrame| FunctionCost { name: frame.name.clone(), ..FunctionCost::default() };
        let mut functions: Vec<FunctionCost> = self.frames.iter().map(named).collect();
        for (stack, cost) in &self.stacks {
            if let Some(&own) = stack.last() {
                functions[own as usize].own += cost;
            }
            let active: BTreeSet<u32> = stack.iter().copied().collect();
            active.into_iter().for_each(|function| functions[function as usize].total += cost);
        }
        functions
    }
}
