//! Upper bounds of addresses.
//!
//! Indices of static arrays are often known to be small: by the bits that a value can have ([`known_bits`]), by the operations
//! that it comes from, and by comparisons on the way to a block. A parameter of a block is at most what its arguments are;
//! where one depends on the parameter itself, a comparison has to bound it. Termination: every question has a fixed number
//! of steps.

use ssa::cfg::{Cfg, Graph};
use ssa::known_bits::{KnownBits, known_bits};
use ssa::{BinaryOp, Block, Cond, Dominators, Function, IdVec, Inst, InstData, Type, Value, ValueDef};

/// Steps of a question.
const FUEL: u32 = 120;
/// Dominators of a block whose branches are looked at.
const MAX_CONDITIONS: usize = 12;
/// Operations from a value to those it comes from.
const DEPTH: u32 = 8;
/// No bound.
const ANY: u64 = u32::MAX as u64;

/// See the module documentation. It is about the function as it was when this was made.
pub struct Ranges {
    bits: IdVec<Value, KnownBits>,
    cfg: Cfg,
    terminators: IdVec<Block, Inst>,
}

impl Ranges {
    pub fn of(func: &Function, order: &[Block]) -> Self {
        let terminators = func.blocks.ids().map(|block| func.terminator(block)).collect();
        Self { bits: known_bits(func, order), cfg: Cfg::new(func), terminators }
    }

    /// The terminator that a block had.
    pub fn terminator(&self, block: Block) -> Inst {
        self.terminators[block]
    }

    /// The graph of the blocks.
    pub fn cfg(&self) -> &Cfg {
        &self.cfg
    }

    /// The most that an `i32` can be, unsigned, at the end of a block.
    pub fn most(&self, func: &Function, dominators: &Dominators, value: Value, block: Block) -> u64 {
        Question { ranges: self, func, dominators, fuel: FUEL, open: Vec::new() }.most(value, block, DEPTH)
    }

    fn by_bits(&self, func: &Function, value: Value) -> u64 {
        match func.as_const(value) {
            Some(bits) => u64::from(bits as u32),
            None => self.bits.get(value).map_or(ANY, |known| (1 << known.unsigned.min(32)) - 1),
        }
    }
}

struct Question<'a> {
    ranges: &'a Ranges,
    func: &'a Function,
    dominators: &'a Dominators,
    fuel: u32,
    /// The block parameters that are being bounded.
    open: Vec<Value>,
}

impl Question<'_> {
    fn most(&mut self, value: Value, block: Block, depth: u32) -> u64 {
        let known = self.ranges.by_bits(self.func, value);
        if depth == 0 || self.fuel == 0 || self.func.as_const(value).is_some() {
            return known;
        }
        self.fuel -= 1;
        let known = known.min(self.by_conditions(value, block, depth - 1));
        known.min(self.by_definition(value, block, depth - 1))
    }

    fn by_definition(&mut self, value: Value, block: Block, depth: u32) -> u64 {
        let inst = match self.func.values[value].def {
            ValueDef::Param(of, n) => return self.by_arguments(value, of, n as usize, depth),
            ValueDef::Result(inst, _) => inst,
        };
        let InstData::Binary { op, ty: Type::I32, args: [a, b] } = self.func.insts[inst] else { return ANY };
        if op == BinaryOp::MinU {
            return self.most(a, block, depth).min(self.most(b, block, depth));
        }
        let Some(by) = self.func.as_const(b).map(|bits| u64::from(bits as u32)) else { return ANY };
        let operand = self.most(a, block, depth);
        let most = match op {
            BinaryOp::Add | BinaryOp::Or => operand + by,
            BinaryOp::Mul => operand * by,
            BinaryOp::Shl if by < 32 => operand << by,
            BinaryOp::ShrU if by < 32 => operand >> by,
            _ => ANY,
        };
        // A larger one may have wrapped.
        if most > ANY { ANY } else { most }
    }

    fn by_arguments(&mut self, value: Value, of: Block, n: usize, depth: u32) -> u64 {
        if of == self.func.entry() || self.open.contains(&value) {
            return ANY;
        }
        self.open.push(value);
        let mut most = 0;
        for &pred in self.ranges.cfg.predecessors(of) {
            for to in self.func.insts[self.ranges.terminators[pred]].successors() {
                if to.block == of && most < ANY {
                    most = most.max(self.most(to.args[n], pred, depth));
                }
            }
        }
        self.open.pop();
        most
    }

    /// The bound by the branches that lead to a block.
    fn by_conditions(&mut self, value: Value, mut block: Block, depth: u32) -> u64 {
        let mut most = ANY;
        for _ in 0..MAX_CONDITIONS {
            let Some(dominator) = self.dominators.idom(block) else { break };
            if let InstData::Branch { cond, if_true, if_false } =
                &self.func.insts[self.ranges.terminators[dominator]]
                && self.ranges.cfg.predecessors(block) == [dominator]
                && if_true.block != if_false.block
            {
                most = most.min(self.by_condition(value, *cond, if_true.block == block, dominator, depth));
            }
            block = dominator;
        }
        most
    }

    /// The bound by a condition that holds or not at the end of a block.
    fn by_condition(&mut self, value: Value, cond: Value, holds: bool, block: Block, depth: u32) -> u64 {
        if self.fuel == 0 {
            return ANY;
        }
        let Some(inst) = self.func.def_inst(cond) else { return ANY };
        match self.func.insts[inst] {
            InstData::Icmp { cond, ty: Type::I32, args: [a, b] } => {
                let cond = if holds { cond } else { cond.inverse() };
                let (other, is_less) = match cond {
                    Cond::LtU if a == value => (b, true),
                    Cond::LeU | Cond::Eq if a == value => (b, false),
                    Cond::GtU if b == value => (a, true),
                    Cond::GeU if b == value => (a, false),
                    _ => return ANY,
                };
                self.fuel -= 1;
                self.most(other, block, depth).saturating_sub(is_less.into())
            }
            InstData::Binary { op, ty: Type::I32, args: [a, b] }
                if op == (if holds { BinaryOp::And } else { BinaryOp::Or }) =>
            {
                self.fuel -= 1;
                let first = self.by_condition(value, a, holds, block, depth);
                first.min(self.by_condition(value, b, holds, block, depth))
            }
            _ => ANY,
        }
    }
}
