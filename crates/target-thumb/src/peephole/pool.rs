//! The literal pool: words after the code that instructions load.
//!
//! A load of a literal takes two bytes, and the word four, which several loads share; `movw` and `movt` take eight. So
//! code optimised for size prefers the pool. The pool is after the last block, which all loads of a small function can
//! reach; larger functions have no pool.

use codegen::{Block, BlockData, Control, Function, PReg};
use ssa::EntityId as _;

use super::tables::most_bytes;
use crate::isa::Thumb;
use crate::isa::inst::{Inst, Literal};

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
