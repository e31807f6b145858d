//! A machine without registers, for tests of layout; the result of a run is a trace of steps.
//!
//! Steps are hashed into a state, and the state decides every branch and dispatch. Two functions are equivalent if
//! they have the same traces from many initial states. So layout may move, merge and duplicate blocks, but no step may
//! be lost, repeated or reordered. Code runs in both forms, as blocks and as bytes. As on PVM, a jump may only go to a
//! position after a terminator, so labels that control falls into must be marked.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fmt;
use std::marker::PhantomData;

use codegen::layout;
use codegen::{
    Block, BlockData, CodeBuffer, Control, Costs, Encode, Fixup, Fragment, Function, Isa, Operand, PReg,
    Placement, Reference, RegSet, Register, RegisterInfo, StackSlot, Succ, relax,
};
pub use random::Rng;
use ssa::{EntityId, IdVec};

/// The machine.
#[derive(Debug)]
pub struct Machine {
    registers: RegisterInfo,
}

impl Machine {
    pub fn new() -> Self {
        let registers = RegisterInfo {
            order: [Vec::new(), Vec::new()],
            callee_saved: RegSet::EMPTY,
            spill_bytes: [8; 2],
            scratch: None,
        };
        Self { registers }
    }
}

/// An instruction.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Inst {
    /// Appends a step to the trace.
    Step(u8),
    /// Taken if the state's bit equals `when`.
    Branch { bit: u8, when: bool },
    /// Goes to the target that the state selects.
    Dispatch,
    /// Ends the run.
    Return(u8),
    /// Ends the run.
    Trap,
}

impl fmt::Display for Inst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

const STEP: u8 = 1;
const RETURN: u8 = 2;
const TRAP: u8 = 3;
const MARK: u8 = 4;
const DISPATCH: u8 = 5;
const JUMP: u8 = 0x10;
const BRANCH: u8 = 0x20;
const BRANCH_NOT: u8 = 0x40;

/// A jump or branch: opcode plus form, for branches the bit, and 1, 2 or 4 bytes of offset from its first byte.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transfer(pub Vec<u8>);

impl Fixup for Transfer {
    fn forms(&self) -> u8 {
        3
    }

    fn len(&self, form: u8, _from: i64) -> u32 {
        self.0.len() as u32 + (1 << form)
    }

    fn reaches(&self, form: u8, from: i64, to: i64) -> bool {
        match form {
            0 => (-12..=12).contains(&(to - from)),
            1 => (-40..=40).contains(&(to - from)),
            _ => true,
        }
    }

    fn encode(&self, form: u8, from: i64, to: i64, out: &mut Vec<u8>) {
        out.push(self.0[0] + form);
        out.extend(&self.0[1..]);
        out.extend(&(to - from).to_le_bytes()[..1 << form]);
    }
}

impl Isa for Machine {
    type Inst<R: Register> = Inst;

    fn registers(&self) -> &RegisterInfo {
        &self.registers
    }

    fn costs(&self, _: bool, _: bool) -> Costs {
        Costs::SIMPLE
    }

    fn map_operands<R: Register, S: Register>(inst: &Inst, _: &mut dyn FnMut(R, Operand) -> S) -> Inst {
        inst.clone()
    }

    fn clobbers<R: Register>(_: &Inst) -> RegSet {
        RegSet::EMPTY
    }

    fn as_copy<R: Register>(_: &Inst) -> Option<(R, R)> {
        None
    }

    fn copy(_: PReg, _: PReg) -> Inst {
        unreachable!("the machine has no registers")
    }

    fn spill(_: StackSlot, _: PReg) -> Inst {
        unreachable!("the machine has no registers")
    }

    fn reload(_: PReg, _: StackSlot) -> Inst {
        unreachable!("the machine has no registers")
    }

    fn invert<R: Register>(inst: &Inst) -> Inst {
        match inst {
            Inst::Branch { bit, when } => Inst::Branch { bit: *bit, when: !when },
            _ => panic!("{inst} is no branch"),
        }
    }

    fn is_trap<R: Register>(inst: &Inst) -> bool {
        *inst == Inst::Trap
    }
}

impl Encode for Machine {
    type Fixup = Transfer;

    fn encode(&self, inst: &Inst, buf: &mut CodeBuffer<Transfer>) {
        buf.instruction(|out| match *inst {
            Inst::Step(tag) => out.extend([STEP, tag]),
            Inst::Return(tag) => out.extend([RETURN, tag]),
            Inst::Trap => out.push(TRAP),
            Inst::Branch { .. } | Inst::Dispatch => panic!("{inst} is encoded with its targets"),
        });
    }

    fn encode_branch(&self, inst: &Inst, to: Block, buf: &mut CodeBuffer<Transfer>) {
        let Inst::Branch { bit, when } = *inst else { panic!("{inst} is no branch") };
        let opcode = if when { BRANCH } else { BRANCH_NOT };
        let label = CodeBuffer::<Transfer>::block_label(to);
        buf.fixup(Transfer(vec![opcode, bit]), Reference::Label(label));
    }

    fn encode_jump(&self, to: Block, buf: &mut CodeBuffer<Transfer>) {
        let label = CodeBuffer::<Transfer>::block_label(to);
        buf.fixup(Transfer(vec![JUMP]), Reference::Label(label));
    }

    fn encode_dispatch(&self, _: &Inst, targets: &[Block], buf: &mut CodeBuffer<Transfer>) {
        let table = buf.table(targets.iter().map(|&to| CodeBuffer::<Transfer>::block_label(to)));
        buf.instruction(|out| out.extend([DISPATCH, table as u8]));
    }

    fn begin_block(&self, falls_in: bool, is_target: bool, buf: &mut CodeBuffer<Transfer>) {
        if falls_in && is_target {
            buf.instruction(|out| out.push(MARK));
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Return(u8),
    Trap,
    /// Loops without a step.
    Hangs,
    /// Reached the maximum number of steps.
    Continues,
}

/// A run in progress.
struct Run {
    state: u64,
    trace: Vec<u8>,
    idle: usize,
}

const MAX_STEPS: usize = 120;
const MAX_IDLE: usize = 400;

impl Run {
    fn new(seed: u64) -> Self {
        Self { state: seed, trace: Vec::new(), idle: 0 }
    }

    fn step(&mut self, tag: u8) {
        self.trace.push(tag);
        self.idle = 0;
        self.state = mix(self.state ^ u64::from(tag));
    }

    fn bit(&self, bit: u8) -> bool {
        mix(self.state).rotate_right(u32::from(bit)) & 1 == 1
    }

    fn index(&self, len: usize) -> usize {
        (mix(self.state) >> 32) as usize % len
    }

    /// Counts a control instruction; returns how the run ended, if it is over.
    fn tick(&mut self) -> Option<End> {
        self.idle += 1;
        if self.trace.len() >= MAX_STEPS {
            self.trace.truncate(MAX_STEPS);
            return Some(End::Continues);
        }
        (self.idle > MAX_IDLE).then_some(End::Hangs)
    }

    fn finish(mut self, end: End) -> (Vec<u8>, End) {
        // Traces are compared only up to the maximum number of steps.
        if self.trace.len() >= MAX_STEPS {
            self.trace.truncate(MAX_STEPS);
            return (self.trace, End::Continues);
        }
        (self.trace, end)
    }
}

fn mix(x: u64) -> u64 {
    let x = (x ^ x >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ x >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^ x >> 32
}

/// Runs a function block by block.
pub fn run_blocks<R: Register>(func: &Function<Machine, R>, seed: u64) -> (Vec<u8>, End) {
    let mut run = Run::new(seed);
    let mut block = Block::new(0);
    loop {
        assert!(func.order.contains(&block), "{block} is run and not in the order");
        let data = &func.blocks[block];
        for inst in &data.insts {
            let Inst::Step(tag) = inst else { panic!("{inst} in the middle of a block") };
            run.step(*tag);
        }
        if let Some(end) = run.tick() {
            return run.finish(end);
        }
        block =
            match &data.control {
                Control::Jump(to) => to.block,
                Control::Branch { inst: Inst::Branch { bit, when }, taken, other } => {
                    if run.bit(*bit) == *when { taken.block } else { other.block }
                }
                Control::Dispatch { inst: Inst::Dispatch, targets } => targets[run.index(targets.len())],
                Control::Exit(Inst::Return(tag)) => return run.finish(End::Return(*tag)),
                Control::Exit(Inst::Trap) => return run.finish(End::Trap),
                control => panic!("{control:?}"),
            };
    }
}

/// Runs the code of a function.
pub fn run_bytes(fragment: &Fragment<Transfer>, seed: u64) -> (Vec<u8>, End) {
    let fragments = std::slice::from_ref(fragment);
    let placement = Placement { start: 0, align: 1, blocks: None };
    let code = relax(fragments, placement, &|_| unreachable!());
    let (bytes, starts) = code.flatten(fragments, placement, &|_| unreachable!());
    let enterable = block_starts(&bytes, &starts);
    let mut run = Run::new(seed);
    let mut pc = 0usize;
    loop {
        assert!(starts[pc], "no instruction starts at {pc}");
        let form = bytes[pc] & 0xf;
        let opcode = bytes[pc] & 0xf0;
        let mut goto = None;
        match bytes[pc] {
            STEP => run.step(bytes[pc + 1]),
            RETURN => return run.finish(End::Return(bytes[pc + 1])),
            TRAP => return run.finish(End::Trap),
            MARK => {}
            DISPATCH => {
                let table = &fragment.tables[bytes[pc + 1] as usize];
                let label = table[run.index(table.len())];
                goto = Some(code.address(0, fragment.labels[label]) as usize);
            }
            _ if opcode == JUMP => {
                let to = destination(&bytes, pc, 1, form);
                assert_ne!(to, pc + 1 + (1 << form), "a jump to the next block");
                goto = Some(to);
            }
            _ if run.bit(bytes[pc + 1]) == (opcode == BRANCH) => {
                goto = Some(destination(&bytes, pc, 2, form))
            }
            _ => {}
        }
        if bytes[pc] > RETURN
            && let Some(end) = run.tick()
        {
            return run.finish(end);
        }
        pc = goto.unwrap_or_else(|| pc + 1 + starts[pc + 1..].iter().take_while(|&&start| !start).count());
        assert!(goto.is_none() || enterable[pc], "{pc} is a jump target but not after a terminator");
    }
}

fn destination(bytes: &[u8], pc: usize, head: usize, form: u8) -> usize {
    let mut offset = 0i64;
    for &byte in bytes[pc + head..pc + head + (1 << form)].iter().rev() {
        offset = offset << 8 | i64::from(byte);
    }
    let shift = 64 - (8 << form);
    (pc as i64 + (offset << shift >> shift)) as usize
}

/// The positions that a jump may go to.
fn block_starts(bytes: &[u8], starts: &[bool]) -> Vec<bool> {
    let mut enterable = vec![false; bytes.len()];
    let mut after_terminator = true;
    for pc in (0..bytes.len()).filter(|&pc| starts[pc]) {
        enterable[pc] = after_terminator;
        after_terminator = bytes[pc] != STEP;
    }
    enterable
}

/// A function of the given blocks.
pub fn function<R: Register>(blocks: Vec<BlockData<Machine, R>>) -> Function<Machine, R> {
    Function::new("f".into(), blocks.into_iter().collect())
}

/// A block of steps.
pub fn block<R: Register>(freq: f32, steps: &[u8], control: Control<Machine, R>) -> BlockData<Machine, R> {
    let insts: Vec<_> = steps.iter().map(|&tag| Inst::Step(tag)).collect();
    BlockData { insts: insts.into(), ..BlockData::new(control, freq) }
}

/// A jump to block `to`.
pub fn jump<R: Register>(to: usize) -> Control<Machine, R> {
    Control::Jump(succ(to))
}

/// A branch on a bit of the state.
pub fn branch<R: Register>(bit: u8, taken: usize, other: usize) -> Control<Machine, R> {
    Control::Branch { inst: Inst::Branch { bit, when: true }, taken: succ(taken), other: succ(other) }
}

/// A return.
pub fn ret<R: Register>(tag: u8) -> Control<Machine, R> {
    Control::Exit(Inst::Return(tag))
}

/// A trap.
pub fn trap<R: Register>() -> Control<Machine, R> {
    Control::Exit(Inst::Trap)
}

fn succ<R: Register>(to: usize) -> Succ<R> {
    Succ { block: Block::new(to), args: Vec::new() }
}

/// A random function in which any block may lead to any other. It has few different steps, so many tails are equal.
pub fn random_function<R: Register>(rng: &mut Rng, max_blocks: usize) -> Function<Machine, R> {
    let blocks = 2 + rng.below(max_blocks - 1);
    let target = |rng: &mut Rng| 1 + rng.below(blocks - 1);
    let data = (0..blocks).map(|_| {
        let steps: Vec<u8> = match rng.below(3) {
            0 => Vec::new(),
            _ => (0..rng.below(5)).map(|_| rng.below(3) as u8).collect(),
        };
        let control = match rng.below(12) {
            0..4 => jump(target(rng)),
            4..9 => branch(rng.below(2) as u8, target(rng), target(rng)),
            9 => Control::Dispatch {
                inst: Inst::Dispatch,
                targets: (0..1 + rng.below(4)).map(|_| Block::new(target(rng))).collect(),
            },
            10 => ret(rng.below(2) as u8),
            _ => trap(),
        };
        block([0.0, 1e-6, 0.5, 1.0, 10.0, 80.0][rng.below(6)], &steps, control)
    });
    let mut func = function(data.collect());
    func.optimize_for_size = rng.chance(50);
    func.order = reachable(&func);
    func
}

/// A random function of nested ifs and loops with frequencies that add up and no critical edge.
pub fn structured_function<R: Register>(rng: &mut Rng, statements: usize) -> Function<Machine, R> {
    let mut builder =
        Builder { rng, blocks: vec![block(1.0, &[0], ret(0))], budget: statements, marker: PhantomData };
    let last = builder.statements(0);
    builder.blocks[last].control = ret(7);
    function(builder.blocks)
}

/// Appends statements to a function; each method takes the current block and returns the block in which control
/// continues.
struct Builder<'a, R: Register> {
    rng: &'a mut Rng,
    blocks: Vec<BlockData<Machine, R>>,
    budget: usize,
    marker: PhantomData<R>,
}

impl<R: Register> Builder<'_, R> {
    fn add(&mut self, freq: f32) -> usize {
        let tag = self.blocks.len() as u8;
        self.blocks.push(block(freq, &[tag], ret(0)));
        self.blocks.len() - 1
    }

    fn statements(&mut self, mut at: usize) -> usize {
        loop {
            if self.budget == 0 || self.rng.chance(25) {
                return at;
            }
            self.budget -= 1;
            at = match self.rng.below(5) {
                0 => self.check(at),
                1 => self.if_else(at, true),
                2 => self.if_else(at, false),
                3 => self.while_loop(at),
                _ => self.do_while(at),
            };
        }
    }

    fn probability(&mut self) -> f32 {
        [0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99][self.rng.below(7)]
    }

    /// A branch to a trap.
    fn check(&mut self, at: usize) -> usize {
        let freq = self.blocks[at].freq;
        let (good, bad) = (self.add(freq), self.add(freq * 1e-6));
        self.blocks[bad].control = trap();
        self.blocks[at].control = branch(0, bad, good);
        good
    }

    fn if_else(&mut self, at: usize, has_else: bool) -> usize {
        let freq = self.blocks[at].freq;
        let p = self.probability();
        let (then, els, join) = (self.add(freq * p), self.add(freq * (1.0 - p)), self.add(freq));
        self.blocks[at].control = branch(1, then, els);
        let then_end = self.statements(then);
        let els_end = if has_else { self.statements(els) } else { els };
        if !has_else {
            self.blocks[els].insts.truncate(0);
        }
        self.blocks[then_end].control = jump(join);
        self.blocks[els_end].control = jump(join);
        join
    }

    fn while_loop(&mut self, at: usize) -> usize {
        let freq = self.blocks[at].freq;
        let rounds = [0.5, 2.0, 8.0][self.rng.below(3)];
        let (head, body, exit) = (self.add(freq * (rounds + 1.0)), self.add(freq * rounds), self.add(freq));
        self.blocks[at].control = jump(head);
        self.blocks[head].control = branch(2, body, exit);
        let end = self.statements(body);
        self.blocks[end].control = jump(head);
        exit
    }

    fn do_while(&mut self, at: usize) -> usize {
        let freq = self.blocks[at].freq;
        let rounds = [2.0, 8.0][self.rng.below(2)];
        let head = self.add(freq * rounds);
        self.blocks[at].control = jump(head);
        let end = self.statements(head);
        let (back, exit) = (self.add(freq * (rounds - 1.0)), self.add(freq));
        self.blocks[back].insts.truncate(0);
        self.blocks[back].control = jump(head);
        self.blocks[end].control = branch(3, back, exit);
        exit
    }
}

/// The blocks that the entry reaches, by id.
pub fn reachable<R: Register>(func: &Function<Machine, R>) -> Vec<Block> {
    reachable_without(func, None)
}

/// The blocks that the entry reaches on paths without `avoided`, by id.
pub fn reachable_without<R: Register>(func: &Function<Machine, R>, avoided: Option<Block>) -> Vec<Block> {
    let mut seen = IdVec::<Block, bool>::filled(false, func.blocks.len());
    let mut work = vec![Block::new(0)];
    while let Some(block) = work.pop() {
        if Some(block) != avoided && !std::mem::replace(&mut seen[block], true) {
            work.extend(func.blocks[block].control.successors());
        }
    }
    func.blocks.ids().filter(|&block| seen[block]).collect()
}

/// [`layout::finish`] on this machine.
pub fn finished(func: &Function<Machine, PReg>) -> Function<Machine, PReg> {
    let mut func = func.clone();
    layout::finish(&Machine::new(), &mut func);
    func
}
