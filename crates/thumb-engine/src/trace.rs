//! A record of every instruction of a run, by call path.
//!
//! A `bl` or `blx` that leads to the start of a function is a call, and an indirect jump to its return address with the same
//! stack pointer ends it. Any other jump to another function is a tail call. (On v6-M, a `bl` inside of a function is a
//! long jump.) A call that the host answers has no instructions and is not on a path.
//!
//! Memory is bounded by the number of different call paths.

use std::collections::{BTreeMap, HashMap};

use call_paths::{CallPaths, Functions, PathId};
use thumb_isa::{Flow, Inst, Reg};

use crate::blocks::{instructions, target};
use crate::cpu::Cpu;
use crate::image::{Image, Kind as SymbolKind};

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

/// The place where a call continues: return address and stack pointer.
type Place = (u32, u32);

/// A record of every instruction. The host of a run calls [`Trace::step`].
pub struct Trace {
    /// The address of the code.
    start: u32,
    kinds: Vec<Kind>,
    /// By half-words of code.
    functions: Functions,
    paths: CallPaths<Place>,
    counts: HashMap<(Option<PathId>, u32), u64>,
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
        let mut functions = Functions::new(halves);
        // Several symbols of one function: the first counts.
        for symbol in image.symbols().iter().filter(|symbol| symbol.kind == SymbolKind::Function) {
            functions.add(half(symbol.address)..half(symbol.address + symbol.size), symbol.address);
        }
        Self { start, kinds, functions, paths: CallPaths::default(), counts: HashMap::new(), last: None }
    }

    /// A call of the program begins.
    pub fn enter(&mut self) {
        self.last = None;
        self.paths.begin();
    }

    /// The machine is before an instruction.
    pub fn step(&mut self, cpu: &Cpu) {
        let (at, sp) = (cpu.pc(), cpu.get(Reg::SP));
        match self.last {
            Some(last) => self.follow(last, at, sp),
            None => self.paths.enter(self.function(at)),
        }
        self.last = Some(at);
        *self.counts.entry((self.paths.current(), at)).or_default() += 1;
    }

    /// Follows the transfer from the instruction at `last` to that at `at`.
    fn follow(&mut self, last: u32, at: u32, sp: u32) {
        let kind = self.kinds.get(self.half(last)).copied().unwrap_or(Kind::Plain);
        match kind {
            Kind::Plain => {}
            Kind::Call(bytes) if last.wrapping_add(bytes) == at => {}
            Kind::Call(bytes) if self.is_entry(last, at) => {
                self.paths.call(last, self.function(at), (last + bytes, sp));
            }
            Kind::Return if self.paths.is_return((at, sp)) => {}
            Kind::Return | Kind::Jump if self.function(at) != self.function(last) => {
                self.paths.tail_call(self.function(at));
            }
            _ => {}
        }
    }

    /// Whether a jump leads to another function, or to the start of the same one.
    fn is_entry(&self, from: u32, to: u32) -> bool {
        let (from, to_function) = (self.function(from), self.function(to));
        from != to_function || to_function == Some(to)
    }

    const fn half(&self, address: u32) -> usize {
        (address.wrapping_sub(self.start) / 2) as usize
    }

    /// The start of the function at an address.
    fn function(&self, at: u32) -> Option<u32> {
        self.functions.at(self.half(at))
    }

    fn calls(&self, path: Option<PathId>) -> Vec<u32> {
        let calls = path.map_or_else(Vec::new, |path| self.paths.calls(path));
        calls.into_iter().filter_map(|call| call.at).collect()
    }

    /// All executions, in order of paths and addresses.
    pub fn samples(&self) -> Vec<Sample> {
        let mut keys: Vec<_> = self.counts.keys().copied().collect();
        keys.sort_unstable();
        keys.into_iter()
            .map(|key| Sample { calls: self.calls(key.0), address: key.1, count: self.counts[&key] })
            .collect()
    }

    /// Number of calls of each function, by its start. A tail call is one, too.
    pub const fn calls_of_functions(&self) -> &BTreeMap<u32, u64> {
        self.paths.entered()
    }

    /// The address of the last instruction.
    pub const fn last(&self) -> Option<u32> {
        self.last
    }

    /// The addresses of the calls that are active, outermost first.
    pub fn active(&self) -> Vec<u32> {
        self.calls(self.paths.current())
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
