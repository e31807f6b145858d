//! A record of every instruction of a run: gas by call path, and the state at the end.
//!
//! The engine stops before each instruction and charges gas after that: for a whole block at its first instruction in GP
//! 0.8, for each instruction in 0.7.2. So the gas that disappears from one stop to the next is that of the instruction
//! between them, together with the price of its host call. Nothing is estimated, and the sum is the gas of the run.
//!
//! Calls are followed by the calling convention of our programs: an instruction that loads a return address and jumps is a
//! call, and an indirect jump to the return address of the innermost call ends it. Any other jump to another function is a
//! tail call. Programs of other compilers keep this convention, too.
//!
//! Memory is bounded by the number of different call paths. Paths deeper than [`MAX_DEPTH`] count to their ancestor at
//! that depth.

use std::collections::{BTreeMap, HashMap};

use pvm_isa::spi::STACK_END;
use pvm_isa::{Flow, GpVersion, Opcode, ProgramBlob, Reg};

/// Maximum depth of a call path.
const MAX_DEPTH: usize = 1000;
/// Positions that are kept of the last instructions.
const RECENT: usize = 256;
/// No function.
const NONE: u32 = u32::MAX;

/// The transfer of control that an instruction makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// None, or inside of a function.
    Plain,
    /// A jump that may leave the function.
    Jump,
    /// A jump to an address in a register: also a return.
    Indirect,
    /// It loads a return address and jumps. The next instruction is this many bytes later.
    Call(u32),
}

/// An active call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Call {
    /// The position of the calling instruction; `None` for the entry.
    pub at: Option<u32>,
    /// The start of the function that is called, if it is known.
    pub function: Option<u32>,
}

/// The gas of one instruction on one call path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sample {
    /// The calls that led to it, outermost first.
    pub path: Vec<Call>,
    /// Its position.
    pub pc: u32,
    /// Number of times that it was charged.
    pub count: u64,
    /// The gas.
    pub gas: u64,
}

/// A call path: a call, and the path that it was made on.
struct Path {
    parent: Option<u32>,
    call: Call,
    depth: usize,
}

/// An active call and the place where it will continue.
struct Frame {
    path: u32,
    return_pc: u32,
}

/// A record of every instruction.
pub struct Trace {
    kinds: Vec<Kind>,
    /// Index of the function of each byte of code.
    functions: Vec<u32>,
    starts: Vec<u32>,
    paths: Vec<Path>,
    known: HashMap<(Option<u32>, Call), u32>,
    stack: Vec<Frame>,
    gas: HashMap<(u32, u32), (u64, u64)>,
    /// Number of calls by the start of the function.
    entered: BTreeMap<u32, u64>,
    /// Path and position of the last instruction, and the gas before it.
    last: Option<(u32, u32, i64)>,
    recent: Vec<u32>,
    steps: usize,
    registers: [u64; Reg::COUNT],
    /// The lowest stack pointer.
    lowest: u64,
}

impl Trace {
    /// An empty record of a program with functions at these ascending positions.
    pub fn new(program: &ProgramBlob, gp: GpVersion, starts: &[u32]) -> Self {
        let mut kinds = vec![Kind::Plain; program.code.len()];
        for (pc, inst) in program.instructions(gp) {
            kinds[pc as usize] = match inst.inst.op() {
                Opcode::LoadImmJump | Opcode::LoadImmJumpInd => Kind::Call(inst.len),
                op if op.flow() == Flow::Indirect => Kind::Indirect,
                op if op.is_terminator() => Kind::Jump,
                _ => Kind::Plain,
            };
        }
        let mut functions = vec![NONE; program.code.len()];
        let ends = starts.iter().skip(1).map(|&end| end as usize).chain([functions.len()]);
        for ((index, &start), end) in (0..).zip(starts).zip(ends) {
            if let Some(bytes) = functions.get_mut(start as usize..end) {
                bytes.fill(index);
            }
        }
        Self {
            kinds,
            functions,
            starts: starts.to_vec(),
            paths: Vec::new(),
            known: HashMap::new(),
            stack: Vec::new(),
            gas: HashMap::new(),
            entered: BTreeMap::new(),
            last: None,
            recent: vec![0; RECENT],
            steps: 0,
            registers: [0; Reg::COUNT],
            lowest: u64::from(STACK_END),
        }
    }

    /// A run begins.
    pub(crate) fn enter(&mut self) {
        self.last = None;
        self.stack.clear();
        self.steps = 0;
    }

    /// A run has stopped and has this much gas left.
    pub(crate) fn end(&mut self, gas: i64) {
        if let Some((path, pc, before)) = self.last.take() {
            self.charge(path, pc, before - gas);
        }
    }

    /// The engine is before the instruction at `pc`.
    pub(crate) fn step(&mut self, pc: u32, gas: i64, register: &dyn Fn(usize) -> u64) {
        match self.last.take() {
            Some((path, last, before)) => {
                self.charge(path, last, before - gas);
                self.follow(last, pc);
            }
            None => {
                let call = Call { at: None, function: self.function(pc) };
                let path = self.path(None, call);
                self.stack.push(Frame { path, return_pc: NONE });
            }
        }
        let path = self.stack.last().map_or(0, |frame| frame.path);
        self.last = Some((path, pc, gas));
        self.recent[self.steps % RECENT] = pc;
        self.steps += 1;
        self.lowest = self.lowest.min(register(Reg::SP.index().into()));
        (0..).zip(&mut self.registers).for_each(|(number, value)| *value = register(number));
    }

    fn charge(&mut self, path: u32, pc: u32, gas: i64) {
        if gas > 0 {
            let sum = self.gas.entry((path, pc)).or_default();
            sum.0 += 1;
            sum.1 += gas as u64;
        }
    }

    /// Follows the transfer from the instruction at `last` to that at `pc`.
    fn follow(&mut self, last: u32, pc: u32) {
        match self.kinds.get(last as usize) {
            Some(&Kind::Call(len)) => {
                let call = Call { at: Some(last), function: self.function(pc) };
                let parent = self.stack.last().map(|frame| frame.path);
                let path = self.path(parent, call);
                self.stack.push(Frame { path, return_pc: last + len });
            }
            Some(Kind::Indirect) if self.stack.last().is_some_and(|frame| frame.return_pc == pc) => {
                self.stack.pop();
            }
            Some(Kind::Indirect | Kind::Jump) if self.function(pc) != self.function(last) => {
                self.tail_call(pc)
            }
            _ => {}
        }
    }

    /// The active call continues in the function at `pc`.
    fn tail_call(&mut self, pc: u32) {
        let Some(frame) = self.stack.last() else { return };
        let (parent, at) = {
            let path = &self.paths[frame.path as usize];
            (path.parent, path.call.at)
        };
        let path = self.path(parent, Call { at, function: self.function(pc) });
        if let Some(frame) = self.stack.last_mut() {
            frame.path = path;
        }
    }

    /// The start of the function at `pc`.
    fn function(&self, pc: u32) -> Option<u32> {
        let index = self.functions.get(pc as usize).copied().filter(|&index| index != NONE)?;
        Some(self.starts[index as usize])
    }

    /// The number of a call on a path.
    fn path(&mut self, parent: Option<u32>, call: Call) -> u32 {
        if let Some(function) = call.function {
            *self.entered.entry(function).or_default() += 1;
        }
        let depth = parent.map_or(0, |parent| self.paths[parent as usize].depth + 1);
        if let Some(parent) = parent.filter(|_| depth > MAX_DEPTH) {
            return parent;
        }
        let paths = &mut self.paths;
        *self.known.entry((parent, call)).or_insert_with(|| {
            paths.push(Path { parent, call, depth });
            paths.len() as u32 - 1
        })
    }

    fn calls(&self, path: u32) -> Vec<Call> {
        let mut calls = Vec::new();
        let mut next = Some(path);
        while let Some(path) = next {
            let path = &self.paths[path as usize];
            calls.push(path.call);
            next = path.parent;
        }
        calls.reverse();
        calls
    }

    /// All gas that was charged, in order of paths and positions.
    pub fn samples(&self) -> Vec<Sample> {
        let mut keys: Vec<(u32, u32)> = self.gas.keys().copied().collect();
        keys.sort_unstable();
        let sample = |key: (u32, u32)| {
            let (count, gas) = self.gas[&key];
            Sample { path: self.calls(key.0), pc: key.1, count, gas }
        };
        keys.into_iter().map(sample).collect()
    }

    /// Number of calls of each function, by its start. A tail call is one, too.
    pub const fn calls_of_functions(&self) -> &BTreeMap<u32, u64> {
        &self.entered
    }

    /// The calls that were active before the last instruction, outermost first.
    pub fn active(&self) -> Vec<Call> {
        self.stack.last().map_or_else(Vec::new, |frame| self.calls(frame.path))
    }

    /// Positions of the last instructions, the very last one first.
    pub fn recent(&self) -> impl Iterator<Item = u32> {
        let count = self.steps.min(RECENT);
        (1..=count).map(|back| self.recent[(self.steps - back) % RECENT])
    }

    /// The deepest stack of all runs, in bytes.
    pub fn stack_bytes(&self) -> u64 {
        u64::from(STACK_END) - self.lowest
    }

    /// The registers before the last instruction.
    pub const fn registers(&self) -> &[u64; Reg::COUNT] {
        &self.registers
    }
}
