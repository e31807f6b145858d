//! The literal pool: words after the code that instructions load.
//!
//! A load of a literal takes two bytes, and the word four, which several loads share; `movw` and `movt` take eight. So
//! code optimised for size prefers the pool. The pool is after the last block, which all loads of a small function can
//! reach; larger functions have no pool.
//!
//! Where code should be small, a literal that is loaded once and is little above another one becomes the other and an
//! addition, which takes two bytes.

use codegen::{Block, BlockData, Control, Function, PReg};
use ssa::EntityId as _;
use thumb_isa::Opcode;

use super::narrow::{live_at_end, live_before};
use super::tables::most_bytes;
use crate::isa::Thumb;
use crate::isa::inst::{Inst, Literal, Machine};

/// The largest number that an addition of two bytes adds to its register.
const NEAR: u32 = 255;

/// Maximum size of code in bytes for which all loads reach the pool, with a margin for the pool itself.
const REACH: u32 = 3500;

/// The literals of a function, which are placed after its code.
#[derive(Debug)]
pub struct Pool {
    /// The id of the pool's block, if it has any words.
    block: Block,
    words: Vec<Literal>,
    is_wanted: bool,
    is_in_reach: bool,
}

impl Pool {
    /// An empty pool for a function whose composite instructions are not expanded yet.
    pub fn new(func: &Function<Thumb, PReg>) -> Self {
        let is_in_reach = most_bytes(func) < REACH;
        Self {
            block: Block::new(func.blocks.len()),
            words: Vec::new(),
            is_wanted: func.optimize_for_size && is_in_reach,
            is_in_reach,
        }
    }

    /// Whether the pool is preferred to moves of constants.
    pub const fn is_wanted(&self) -> bool {
        self.is_wanted
    }

    /// Whether all code reaches the pool.
    pub const fn is_in_reach(&self) -> bool {
        self.is_in_reach
    }

    /// The words by their numbers in instructions.
    pub fn words(&self) -> &[Literal] {
        &self.words
    }

    /// The instruction that loads a literal.
    pub fn load(&mut self, dst: PReg, literal: Literal) -> Inst<PReg> {
        let known = self.words.iter().position(|&word| word == literal);
        let index = known.unwrap_or_else(|| {
            self.words.push(literal);
            self.words.len() - 1
        });
        Inst::LoadLiteral { dst, pool: self.block, index: index as u32, literal }
    }

    /// Computes literals that are loaded once from others, where the flags are dead.
    pub fn share(&mut self, func: &mut Function<Thumb, PReg>) {
        if !func.optimize_for_size {
            return;
        }
        let mut loads = vec![0_u32; self.words.len()];
        for inst in func.order.iter().flat_map(|&block| func.blocks[block].insts.iter()) {
            if let Inst::LoadLiteral { index, .. } = inst {
                loads[*index as usize] += 1;
            }
        }
        let mut bases = self.bases(&loads);
        for n in 0..func.order.len() {
            let data = &mut func.blocks[func.order[n]];
            let mut live = live_at_end(&data.control);
            for at in (0..data.insts.len()).rev() {
                let load = data.insts[at].clone();
                if let Inst::LoadLiteral { dst, pool, index, .. } = load
                    && live.is_empty()
                    && dst.number() < 8
                    && let Some((base, distance)) = bases[index as usize].take()
                {
                    let literal = self.words[base];
                    data.insts[at] = Inst::LoadLiteral { dst, pool, index: base as u32, literal };
                    let sum = Machine::alu_imm(Opcode::AddImm, false, dst, dst, distance);
                    data.insts.insert(at + 1, Inst::Plain(sum));
                }
                live = live_before(&data.insts[at], live);
            }
        }
        self.drop_unused(func);
    }

    /// For each literal that is loaded once, the nearest literal below it that stays, and the distance.
    fn bases(&self, loads: &[u32]) -> Vec<Option<(usize, u32)>> {
        let mut order: Vec<usize> = (0..self.words.len()).collect();
        order.sort_by_key(|&n| (self.words[n], n));
        let mut bases = vec![None; self.words.len()];
        let mut base: Option<usize> = None;
        for n in order {
            let distance = base.and_then(|base| distance(self.words[base], self.words[n]));
            match (base, distance.filter(|&distance| distance <= NEAR)) {
                (Some(base), Some(distance)) if loads[n] == 1 => bases[n] = Some((base, distance)),
                _ => base = Some(n),
            }
        }
        bases
    }

    /// Removes the words that no instruction loads.
    fn drop_unused(&mut self, func: &mut Function<Thumb, PReg>) {
        let mut numbers: Vec<Option<u32>> = vec![None; self.words.len()];
        let mut words = Vec::new();
        for &block in &func.order {
            for inst in &mut func.blocks[block].insts {
                if let Inst::LoadLiteral { index, .. } = inst {
                    let number = numbers[*index as usize].get_or_insert_with(|| {
                        words.push(self.words[*index as usize]);
                        words.len() as u32 - 1
                    });
                    *index = *number;
                }
            }
        }
        self.words = words;
    }

    /// Appends the pool to the function.
    pub fn place(self, func: &mut Function<Thumb, PReg>) {
        if self.words.is_empty() {
            return;
        }
        let control = Control::Exit(Inst::Pool { words: self.words });
        // Passes may have added blocks, so their ids are taken, but they come before it in the code.
        let block = func.blocks.push(BlockData::new(control, 0.0));
        if block != self.block {
            rename(func, self.block, block);
        }
        func.order.push(block);
    }
}

/// How much a literal is above another one of the same kind.
fn distance(below: Literal, above: Literal) -> Option<u32> {
    match (below, above) {
        (Literal::Word(below), Literal::Word(above)) => Some(above.wrapping_sub(below)),
        (Literal::Address(symbol, below), Literal::Address(other, above)) if symbol == other => {
            Some(above.wrapping_sub(below) as u32)
        }
        _ => None,
    }
}

fn rename(func: &mut Function<Thumb, PReg>, from: Block, to: Block) {
    for data in func.blocks.values_mut() {
        for inst in &mut data.insts {
            if let Inst::LoadLiteral { pool, .. } = inst
                && *pool == from
            {
                *pool = to;
            }
        }
    }
}
