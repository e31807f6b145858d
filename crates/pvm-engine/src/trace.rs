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
//! Memory is bounded by the number of different call paths.

use std::collections::{BTreeMap, HashMap};

pub use call_paths::Call;
use call_paths::{CallPaths, Functions, PathId};
use pvm_isa::spi::{MAX_AREA_LEN, STACK_END};
use pvm_isa::{Flow, GpVersion, Opcode, ProgramBlob, Reg};

/// Positions that are kept of the last instructions.
const RECENT: usize = 256;

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

/// A record of every instruction.
pub struct Trace {
    kinds: Vec<Kind>,
    /// By bytes of code.
    functions: Functions,
    /// A call continues at a position.
    paths: CallPaths<u32>,
    gas: HashMap<(Option<PathId>, u32), (u64, u64)>,
    /// Path and position of the last instruction, and the gas before it.
    last: Option<(Option<PathId>, u32, i64)>,
    recent: Vec<u32>,
    steps: usize,
    registers: [u64; Reg::COUNT],
    /// The lowest and the highest stack pointer of the stack in use.
    stack: [u64; 2],
    /// The largest distance between the two.
    deepest: u64,
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
        let mut functions = Functions::new(program.code.len());
        let ends = starts.iter().skip(1).copied().chain([program.code.len() as u32]);
        for (&start, end) in starts.iter().zip(ends) {
            functions.add(start as usize..end as usize, start);
        }
        Self {
            kinds,
            functions,
            paths: CallPaths::default(),
            gas: HashMap::new(),
            last: None,
            recent: vec![0; RECENT],
            steps: 0,
            registers: [0; Reg::COUNT],
            stack: [u64::from(STACK_END); 2],
            deepest: 0,
        }
    }

    /// A run begins.
    pub(crate) fn enter(&mut self) {
        self.last = None;
        self.paths.begin();
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
            None => self.paths.enter(self.function(pc)),
        }
        self.last = Some((self.paths.current(), pc, gas));
        self.recent[self.steps % RECENT] = pc;
        self.steps += 1;
        self.note_stack(register(Reg::SP.index().into()));
        (0..).zip(&mut self.registers).for_each(|(number, value)| *value = register(number));
    }

    /// Takes a stack pointer into account. One that is far from those before is of another stack: an entry may choose its
    /// own.
    fn note_stack(&mut self, pointer: u64) {
        let [lowest, highest] = self.stack;
        self.stack = match pointer.abs_diff(lowest) > u64::from(MAX_AREA_LEN) {
            true => [pointer; 2],
            false => [lowest.min(pointer), highest.max(pointer)],
        };
        self.deepest = self.deepest.max(self.stack[1] - self.stack[0]);
    }

    fn charge(&mut self, path: Option<PathId>, pc: u32, gas: i64) {
        if gas > 0 {
            let sum = self.gas.entry((path, pc)).or_default();
            sum.0 += 1;
            sum.1 += gas as u64;
        }
    }

    /// Follows the transfer from the instruction at `last` to that at `pc`.
    fn follow(&mut self, last: u32, pc: u32) {
        match self.kinds.get(last as usize) {
            Some(&Kind::Call(len)) => self.paths.call(last, self.function(pc), last + len),
            Some(Kind::Indirect) if self.paths.is_return(pc) => {}
            Some(Kind::Indirect | Kind::Jump) if self.function(pc) != self.function(last) => {
                self.paths.tail_call(self.function(pc));
            }
            _ => {}
        }
    }

    /// The start of the function at `pc`.
    fn function(&self, pc: u32) -> Option<u32> {
        self.functions.at(pc as usize)
    }

    /// All gas that was charged, in order of paths and positions.
    pub fn samples(&self) -> Vec<Sample> {
        let mut keys: Vec<_> = self.gas.keys().copied().collect();
        keys.sort_unstable();
        let sample = |key: (Option<PathId>, u32)| {
            let (count, gas) = self.gas[&key];
            let path = key.0.map_or_else(Vec::new, |path| self.paths.calls(path));
            Sample { path, pc: key.1, count, gas }
        };
        keys.into_iter().map(sample).collect()
    }

    /// Number of calls of each function, by its start. A tail call is one, too.
    pub const fn calls_of_functions(&self) -> &BTreeMap<u32, u64> {
        self.paths.entered()
    }

    /// The calls that were active before the last instruction, outermost first.
    pub fn active(&self) -> Vec<Call> {
        self.paths.active()
    }

    /// Positions of the last instructions, the very last one first.
    pub fn recent(&self) -> impl Iterator<Item = u32> {
        let count = self.steps.min(RECENT);
        (1..=count).map(|back| self.recent[(self.steps - back) % RECENT])
    }

    /// The deepest stack of all runs, in bytes.
    pub fn stack_bytes(&self) -> u64 {
        self.deepest
    }

    /// The registers before the last instruction.
    pub const fn registers(&self) -> &[u64; Reg::COUNT] {
        &self.registers
    }
}
