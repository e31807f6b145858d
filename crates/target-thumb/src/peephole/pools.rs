//! Literal pools for cores whose loads of literals reach 1 KiB forward.
//!
//! Code is walked from its start, with the most bytes that each instruction can have. Words are collected until the first
//! load of one is about to lose reach; then a pool is placed. A pool goes behind a block that doesn't fall through, if
//! there is one in time, else the code jumps over it. Termination: each pool has a word that none before it had to
//! reach.

use codegen::{Block, BlockData, Control, Function, Insts, PReg, Succ};

use crate::isa::Thumb;
use crate::isa::inst::{Inst, LR, Literal, Machine, to_machine};

/// Reach of a load in bytes, less the padding of the pool and the rounding of the program counter.
const REACH: u32 = 1020 - 8;
/// Distance of the first load from which on a pool is placed where it costs no jump.
const EARLY: u32 = 640;
/// Reach of a short jump in bytes.
const SHORT_JUMP: u32 = 2000;

/// Places the words that instructions load. `has_long_jump` says that the core has a long jump that changes no register.
pub fn place(func: &mut Function<Thumb, PReg>, literals: &[Literal], has_long_jump: bool) {
    let mut pools =
        Pools { literals, words: Vec::new(), pool: func.order[0], first: 0, at: 0, order: Vec::new() };
    for block in std::mem::take(&mut func.order) {
        pools.block(func, block);
    }
    pools.flush(func);
    assert!(
        has_long_jump || pools.at < SHORT_JUMP || func.written.contains(LR),
        "{}: a long jump would change the return address",
        func.name
    );
    func.order = pools.order;
}

struct Pools<'a> {
    /// The words by their numbers in instructions.
    literals: &'a [Literal],
    /// The words of the next pool.
    words: Vec<Literal>,
    /// Its block, if there are any.
    pool: Block,
    /// Address of the first load of one of them, at most.
    first: u32,
    /// Address of the next instruction, at most.
    at: u32,
    order: Vec<Block>,
}

impl Pools<'_> {
    /// Appends a block, in pieces with pools between them if it is long.
    fn block(&mut self, func: &mut Function<Thumb, PReg>, mut block: Block) {
        let mut n = 0;
        loop {
            let data = &func.blocks[block];
            if n == data.insts.len() {
                break;
            }
            let bytes = inst_bytes(&data.insts[n]);
            let rest = bytes + if n + 1 == data.insts.len() { most_control_bytes(&data.control) } else { 0 };
            if self.is_late(rest + 4) {
                block = self.split(func, block, n);
                n = 0;
                continue;
            }
            self.load(func, block, n);
            self.at += bytes;
            n += 1;
        }
        let control = most_control_bytes(&func.blocks[block].control);
        if self.is_late(control) {
            block = self.split(func, block, func.blocks[block].insts.len());
        }
        self.at += control;
        self.order.push(block);
        let falls_through =
            !matches!(func.blocks[block].control, Control::Exit(_) | Control::Dispatch { .. });
        if !falls_through && !self.words.is_empty() && self.at - self.first > EARLY {
            self.flush(func);
        }
    }

    /// Whether the pool must be placed before so many bytes of code follow.
    fn is_late(&self, bytes: u32) -> bool {
        // A jump over the pool, the code, another word.
        let end = self.at + 4 + bytes + 4 * (self.words.len() as u32 + 1);
        !self.words.is_empty() && end - self.first > REACH
    }

    /// Notes the load of a word, if the instruction is one; the load refers to the next pool.
    fn load(&mut self, func: &mut Function<Thumb, PReg>, block: Block, n: usize) {
        let Inst::LoadLiteral { index, .. } = func.blocks[block].insts[n] else { return };
        let literal = self.literals[index as usize];
        if self.words.is_empty() {
            let control = Control::Exit(Inst::Pool { words: Vec::new() });
            self.pool = func.blocks.push(BlockData::new(control, 0.0));
            self.first = self.at;
        }
        let known = self.words.iter().position(|&word| word == literal);
        let at = known.unwrap_or_else(|| {
            self.words.push(literal);
            self.words.len() - 1
        });
        if let Inst::LoadLiteral { pool, index, .. } = &mut func.blocks[block].insts[n] {
            (*pool, *index) = (self.pool, at as u32);
        }
    }

    /// Ends a block before its `n`-th instruction with a jump over a pool; returns the block with the rest.
    fn split(&mut self, func: &mut Function<Thumb, PReg>, block: Block, n: usize) -> Block {
        let data = &mut func.blocks[block];
        let insts: Insts<Inst<PReg>> = data.insts.split_off(n);
        let control = std::mem::replace(&mut data.control, Control::Jump(Succ { block, args: Vec::new() }));
        let (freq, control_loc) = (data.freq, data.control_loc);
        let rest = func.blocks.push(BlockData { insts, control_loc, ..BlockData::new(control, freq) });
        func.blocks[block].control = Control::Jump(Succ { block: rest, args: Vec::new() });
        self.order.push(block);
        self.at += 4;
        self.flush(func);
        rest
    }

    /// Places the collected words.
    fn flush(&mut self, func: &mut Function<Thumb, PReg>) {
        if self.words.is_empty() {
            return;
        }
        let words = std::mem::take(&mut self.words);
        self.at += 4 * words.len() as u32 + 2;
        func.blocks[self.pool].control = Control::Exit(Inst::Pool { words });
        self.order.push(self.pool);
    }
}

/// Bytes of a final instruction.
fn inst_bytes(inst: &Inst<PReg>) -> u32 {
    let machine = |machine: &Machine<PReg>| {
        to_machine(machine).shortest_form(None).map_or(4, |form| form.width().bytes())
    };
    match inst {
        Inst::Plain(inst) => machine(inst),
        Inst::Either { if_true, if_false, .. } => {
            4 + if_true.iter().chain(if_false).map(machine).sum::<u32>()
        }
        Inst::LoadLiteral { .. } => 2,
        _ => 4,
    }
}

/// The most bytes that the end of a block can have.
fn most_control_bytes(control: &Control<Thumb, PReg>) -> u32 {
    match control {
        Control::Jump(_) | Control::Exit(_) => 4,
        // A comparison, a branch over a long jump, and another long jump.
        Control::Branch { .. } => 12,
        Control::Dispatch { targets, .. } => 6 + 4 * targets.len() as u32,
    }
}
