//! A record of every instruction of a run, by call path.
//!
//! A `bl` or `blx` that leads to the start of a function is a call, and an indirect jump to its return address with the same
//! stack pointer ends it. Any other jump to another function is a tail call. (On v6-M, a `bl` inside of a function is a
//! long jump.) A call that the host answers has no instructions and is not on a path.
//!
//! Memory is bounded by the number of different call paths. Paths deeper than [`MAX_DEPTH`] count to their ancestor at
//! that depth.

use std::collections::{BTreeMap, HashMap};

use thumb_isa::{Flow, Inst, Reg};

use crate::blocks::{instructions, target};
use crate::cpu::Cpu;
use crate::image::{Image, Kind as SymbolKind};

/// Maximum depth of a call path.
const MAX_DEPTH: usize = 1000;
/// No function.
const NONE: u32 = u32::MAX;

/// The transfer of control that an instruction makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// None, or inside of a function.
    Plain,
    /// A jump that may leave the function.
    Jump,
    /// A jump to an address in a register or on the stack, or to the host: also a return.
    Return,
    /// A call. The next instruction is this many bytes later.
    Call(u32),
}

/// An active call: the address of the calling instruction, and the start of the function. `None` if unknown.
type Call = (Option<u32>, Option<u32>);

/// The executions of one instruction on one call path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sample {
    /// The addresses of the calls that led to it, outermost first.
    pub calls: Vec<u32>,
    /// Its address.
    pub address: u32,
    /// Number of executions.
    pub count: u64,
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
    return_address: u32,
    sp: u32,
}

/// A record of every instruction. The host of a run calls [`Trace::step`].
pub struct Trace {
    /// The address of the code.
    start: u32,
    kinds: Vec<Kind>,
    /// Index of the function of each half-word of code.
    functions: Vec<u32>,
    starts: Vec<u32>,
    paths: Vec<Path>,
    known: HashMap<(Option<u32>, Call), u32>,
    stack: Vec<Frame>,
    counts: HashMap<(u32, u32), u64>,
    /// Number of calls by the start of the function.
    entered: BTreeMap<u32, u64>,
    last: Option<u32>,
}

impl Trace {
    /// An empty record of a program.
    pub fn new(image: &Image) -> Self {
        let start = image.start();
        let half = |address: u32| (address.wrapping_sub(start) / 2) as usize;
        let halves = image.code().len().div_ceil(2);
        let mut kinds = vec![Kind::Plain; halves];
        for (at, inst, after) in instructions(image) {
            kinds[half(at)] = kind(&inst, at, after, image);
        }
        let mut functions = vec![NONE; halves];
        let mut starts = Vec::new();
        for symbol in image.symbols().iter().filter(|symbol| symbol.kind == SymbolKind::Function) {
            let range = half(symbol.address)..half(symbol.address + symbol.size);
            // Several symbols of one function: the first counts.
            if let Some(range) = functions.get_mut(range).filter(|range| range.first() == Some(&NONE)) {
                range.fill(starts.len() as u32);
                starts.push(symbol.address);
            }
        }
        let (paths, known, stack) = (Vec::new(), HashMap::new(), Vec::new());
        let (counts, entered) = (HashMap::new(), BTreeMap::new());
        Self { start, kinds, functions, starts, paths, known, stack, counts, entered, last: None }
    }

    /// A call of the program begins.
    pub fn enter(&mut self) {
        self.last = None;
        self.stack.clear();
    }

    /// The machine is before an instruction.
    pub fn step(&mut self, cpu: &Cpu) {
        let (at, sp) = (cpu.pc(), cpu.get(Reg::SP));
        match self.last {
            Some(last) => self.follow(last, at, sp),
            None => {
                let path = self.path(None, (None, self.function(at)));
                self.stack.push(Frame { path, return_address: NONE, sp });
            }
        }
        let path = self.stack.last().map_or(0, |frame| frame.path);
        self.last = Some(at);
        *self.counts.entry((path, at)).or_default() += 1;
    }

    /// Follows the transfer from the instruction at `last` to that at `at`.
    fn follow(&mut self, last: u32, at: u32, sp: u32) {
        let kind = self.kinds.get(self.half(last)).copied().unwrap_or(Kind::Plain);
        match kind {
            Kind::Plain => {}
            Kind::Call(bytes) if last.wrapping_add(bytes) == at => {}
            Kind::Call(bytes) if self.is_entry(last, at) => {
                let parent = self.stack.last().map(|frame| frame.path);
                let path = self.path(parent, (Some(last), self.function(at)));
                self.stack.push(Frame { path, return_address: last + bytes, sp });
            }
            Kind::Return if self.stack.last().is_some_and(|f| (f.return_address, f.sp) == (at, sp)) => {
                self.stack.pop();
            }
            Kind::Return | Kind::Jump if self.function(at) != self.function(last) => self.tail_call(at),
            _ => {}
        }
    }

    /// Whether a jump leads to another function, or to the start of the same one.
    fn is_entry(&self, from: u32, to: u32) -> bool {
        let (from, to_function) = (self.function(from), self.function(to));
        from != to_function || to_function == Some(to)
    }

    /// The active call continues in the function at `at`.
    fn tail_call(&mut self, at: u32) {
        let Some(frame) = self.stack.last() else { return };
        let (parent, call) = {
            let path = &self.paths[frame.path as usize];
            (path.parent, path.call.0)
        };
        let path = self.path(parent, (call, self.function(at)));
        if let Some(frame) = self.stack.last_mut() {
            frame.path = path;
        }
    }

    const fn half(&self, address: u32) -> usize {
        (address.wrapping_sub(self.start) / 2) as usize
    }

    /// The start of the function at an address.
    fn function(&self, at: u32) -> Option<u32> {
        let index = self.functions.get(self.half(at)).copied().filter(|&index| index != NONE)?;
        Some(self.starts[index as usize])
    }

    /// The number of a call on a path.
    fn path(&mut self, parent: Option<u32>, call: Call) -> u32 {
        if let Some(function) = call.1 {
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

    fn calls(&self, path: u32) -> Vec<u32> {
        let mut calls = Vec::new();
        let mut next = Some(path);
        while let Some(path) = next {
            let path = &self.paths[path as usize];
            calls.extend(path.call.0);
            next = path.parent;
        }
        calls.reverse();
        calls
    }

    /// All executions, in order of paths and addresses.
    pub fn samples(&self) -> Vec<Sample> {
        let mut keys: Vec<(u32, u32)> = self.counts.keys().copied().collect();
        keys.sort_unstable();
        let sample =
            |key: (u32, u32)| Sample { calls: self.calls(key.0), address: key.1, count: self.counts[&key] };
        keys.into_iter().map(sample).collect()
    }

    /// Number of calls of each function, by its start. A tail call is one, too.
    pub const fn calls_of_functions(&self) -> &BTreeMap<u32, u64> {
        &self.entered
    }

    /// The address of the last instruction.
    pub const fn last(&self) -> Option<u32> {
        self.last
    }

    /// The addresses of the calls that are active, outermost first.
    pub fn active(&self) -> Vec<u32> {
        self.stack.last().map_or_else(Vec::new, |frame| self.calls(frame.path))
    }
}

fn kind(inst: &Inst, at: u32, after: u32, image: &Image) -> Kind {
    let is_host = || target(inst, at).is_some_and(|target| image.stub(target).is_some());
    match inst.flow() {
        Flow::Next | Flow::Trap => Kind::Plain,
        Flow::Call => Kind::Call(after - at),
        Flow::Indirect if matches!(inst, Inst::TableBranch { .. }) => Kind::Jump,
        Flow::Indirect => Kind::Return,
        Flow::Jump | Flow::Branch if is_host() => Kind::Return,
        Flow::Jump | Flow::Branch => Kind::Jump,
    }
}
