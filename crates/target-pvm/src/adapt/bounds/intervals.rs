//! Addresses as values plus bounded distances.
//!
//! An element of an array is at its start plus a bounded distance, and the start is often known to be in memory. Here an
//! address is, modulo 2^32, `base + x` with `low <= x <= high`, for one of a few bases, or just `x`. The bounds come from
//! known bits and comparisons ([`Ranges`]), from both arms of a selection, and from loops.
//!
//! A parameter of a loop's header that grows by a constant `step` is its first value plus at most `turns * step`. `turns`
//! bounds how often the loop goes back to the header. It comes from a comparison of such a parameter, or of a sum of it and
//! a constant, that is made before each return. If the loop goes on as long as the compared value `t` is not `end`, the
//! value is `end` after `(end - t) / step` turns, provided that this is a whole number. If it goes on below `end`, the
//! value grows without wrapping up to that point.
//!
//! Termination: every question has a fixed number of steps.

use ssa::cfg::{Cfg, Graph};
use ssa::{Block, BlockCall, Cond, Dominators, Function, InstData, Type, Value, ValueDef};

use super::linear::{Root, Sum, Sums};
use super::ranges::Ranges;

/// Steps of a question.
const FUEL: u32 = 60;
/// Operations from a value to those it comes from.
const DEPTH: u32 = 5;
/// Bases of an address: a pointer that is advanced, its first value, and so on.
const MAX_BASES: usize = 4;
/// Dominators of a loop's last block whose branches are looked at.
const MAX_CONDITIONS: usize = 8;
/// Larger distances are unknown.
const MOST: i64 = 1 << 26;

/// A number from `low` to `high`, plus a value if there is one, modulo 2^32.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Near {
    pub base: Option<Value>,
    pub low: i64,
    pub high: i64,
}

/// A function as it was when facts about it were collected.
pub struct Shape<'a> {
    pub func: &'a Function,
    pub cfg: &'a Cfg,
    pub dominators: &'a Dominators,
    pub ranges: &'a Ranges,
    pub sums: &'a Sums,
}

/// The bases of an address, as it is seen from a block, each with the distance from it.
pub fn bases(shape: &Shape<'_>, address: Sum, block: Block) -> Vec<Near> {
    Question { shape, block, fuel: FUEL }.bases(address)
}

/// A parameter of a loop's header.
struct Induction {
    first: Value,
    /// What is added to it in each turn.
    step: i32,
}

/// The edges to a loop's header.
struct Edges<'a> {
    entering: Vec<&'a BlockCall>,
    returning: &'a BlockCall,
    /// The block that goes back.
    latch: Block,
}

struct Question<'a> {
    shape: &'a Shape<'a>,
    block: Block,
    fuel: u32,
}

impl Question<'_> {
    fn bases(&mut self, address: Sum) -> Vec<Near> {
        let mut found = Vec::new();
        let mut at = address;
        let (mut low, mut high) = (0, 0);
        while found.len() < MAX_BASES {
            let Some(near) = self.nearest(at) else { break };
            (low, high) = (low + near.low, high + near.high);
            found.push(Near { base: near.base, low, high });
            let Some(base) = near.base else { break };
            let Some((first, by)) = self.induction(base) else { break };
            (low, high) = (low + by.0, high + by.1);
            at = self.shape.sums.get(first);
        }
        found
    }

    /// A sum as its only unbounded value plus a distance.
    fn nearest(&mut self, sum: Sum) -> Option<Near> {
        let offset = i64::from(sum.offset as i32);
        let mut near = Near { base: None, low: offset, high: offset };
        for (value, factor) in self.shape.sums.terms(sum.root) {
            match self.bounds(value, DEPTH) {
                Some(bounds) => {
                    let (low, high) = scaled(bounds, factor)?;
                    (near.low, near.high) = (near.low + low, near.high + high);
                }
                None if factor == 1 && near.base.is_none() => near.base = Some(value),
                None => return None,
            }
        }
        Some(near)
    }

    /// The bounds of a value, modulo 2^32.
    fn bounds(&mut self, value: Value, depth: u32) -> Option<(i64, i64)> {
        if depth == 0 || self.fuel == 0 || self.shape.func.values.get(value)?.ty != Type::I32 {
            return None;
        }
        self.fuel -= 1;
        let Shape { func, ranges, dominators, .. } = *self.shape;
        if let Some(bits) = func.as_const(value) {
            return Some((i64::from(bits as i32), i64::from(bits as i32)));
        }
        let most = ranges.most(func, dominators, value, self.block) as i64;
        if most < MOST {
            return Some((0, most));
        }
        if let Some((first, (low, high))) = self.induction(value) {
            let first = self.sum_bounds(first, depth - 1)?;
            return Some((first.0 + low, first.1 + high));
        }
        let InstData::Select { if_true, if_false, .. } = func.insts[func.def_inst(value)?] else {
            return None;
        };
        let (a, b) = (self.sum_bounds(if_true, depth - 1)?, self.sum_bounds(if_false, depth - 1)?);
        Some((a.0.min(b.0), a.1.max(b.1)))
    }

    /// The bounds of a value that may be a sum.
    fn sum_bounds(&mut self, value: Value, depth: u32) -> Option<(i64, i64)> {
        let sum = self.shape.sums.get(value);
        let offset = i64::from(sum.offset as i32);
        let mut bounds = (offset, offset);
        for (value, factor) in self.shape.sums.terms(sum.root) {
            let (low, high) = scaled(self.bounds(value, depth)?, factor)?;
            bounds = (bounds.0 + low, bounds.1 + high);
        }
        Some(bounds)
    }

    /// The first value of a loop's parameter, and the bounds of its distance from that.
    fn induction(&mut self, value: Value) -> Option<(Value, (i64, i64))> {
        let ValueDef::Param(header, n) = self.shape.func.values.get(value)?.def else { return None };
        let edges = self.edges(header)?;
        let Induction { first, step } = self.induction_of(header, n as usize, &edges)?;
        let turns = self.turns(header, &edges)?;
        let last = i64::from(step).checked_mul(turns).filter(|last| last.abs() < MOST)?;
        Some((first, (last.min(0), last.max(0))))
    }

    /// The edges into a loop and the one back to its header, if there is only one.
    fn edges(&self, header: Block) -> Option<Edges<'_>> {
        let Shape { cfg, dominators, .. } = *self.shape;
        let (mut entering, mut returning) = (Vec::new(), None);
        for &from in cfg.predecessors(header) {
            for edge in self.terminator(from).successors().into_iter().filter(|edge| edge.block == header) {
                if !dominators.dominates(header, from) {
                    entering.push(edge);
                } else if returning.replace((edge, from)).is_some() {
                    return None;
                }
            }
        }
        let (returning, latch) = returning?;
        Some(Edges { entering, returning, latch })
    }

    fn terminator(&self, block: Block) -> &InstData {
        &self.shape.func.insts[self.shape.ranges.terminator(block)]
    }

    fn induction_of(&self, header: Block, n: usize, edges: &Edges<'_>) -> Option<Induction> {
        let Shape { func, sums, .. } = *self.shape;
        let param = func.blocks[header].params[n];
        let next = sums.get(edges.returning.args[n]);
        let step = next.offset as i32;
        let (first, others) = edges.entering.split_first()?;
        let first = first.args[n];
        let is_same = others.iter().all(|edge| sums.get(edge.args[n]) == sums.get(first));
        let is_stepped = next.root == Root::Value(param) && step != 0 && step != i32::MIN;
        (is_same && is_stepped).then_some(Induction { first, step })
    }

    /// The most turns of a loop after the first.
    fn turns(&self, header: Block, edges: &Edges<'_>) -> Option<i64> {
        let Shape { func, cfg, dominators, .. } = *self.shape;
        let mut block = edges.latch;
        for _ in 0..MAX_CONDITIONS {
            if block == header {
                break;
            }
            let dominator = dominators.idom(block)?;
            if let InstData::Branch { cond, if_true, if_false } = self.terminator(dominator)
                && cfg.predecessors(block) == [dominator]
                && if_true.block != if_false.block
                && let Some(inst) = func.def_inst(*cond)
                && let InstData::Icmp { cond, ty: Type::I32, args: [tested, end] } = func.insts[inst]
            {
                let cond = if if_true.block == block { cond } else { cond.inverse() };
                let turns = self.turns_while(header, edges, cond, tested, end);
                if turns.is_some() {
                    return turns;
                }
            }
            block = dominator;
        }
        None
    }

    /// The most turns if each needs a condition to hold.
    fn turns_while(
        &self,
        header: Block,
        edges: &Edges<'_>,
        cond: Cond,
        tested: Value,
        end: Value,
    ) -> Option<i64> {
        let Shape { func, sums, .. } = *self.shape;
        let tested = sums.get(tested);
        let Root::Value(param) = tested.root else { return None };
        let ValueDef::Param(of, n) = func.values[param].def else { return None };
        if of != header {
            return None;
        }
        let Induction { first, step } = self.induction_of(header, n as usize, edges)?;
        let size = step.unsigned_abs();
        let end = func.as_const(end)? as u32;
        let start = sums.get(first);
        let is_number = sums.terms(start.root).is_empty();
        let first = is_number.then(|| start.offset.wrapping_add(tested.offset));
        match cond {
            Cond::Ne => {
                let first = first?;
                let way = if step > 0 { end.wrapping_sub(first) } else { first.wrapping_sub(end) };
                way.is_multiple_of(size).then_some(i64::from(way / size))
            }
            Cond::LtU | Cond::LeU if step > 0 => {
                let last = if cond == Cond::LeU { end } else { end.checked_sub(1)? };
                last.checked_add(size)?;
                let way = last.checked_sub(first.unwrap_or(0));
                Some(way.map_or(0, |way| i64::from(way / size) + 1))
            }
            Cond::LtS | Cond::LeS if step > 0 => {
                let last = if cond == Cond::LeS { end as i32 } else { (end as i32).checked_sub(1)? };
                last.checked_add(step)?;
                let way = i64::from(last) - i64::from(first? as i32);
                Some(if way < 0 { 0 } else { way / i64::from(size) + 1 })
            }
            _ => None,
        }
    }
}

/// The bounds of a multiple, if they are known.
fn scaled((low, high): (i64, i64), factor: u32) -> Option<(i64, i64)> {
    let factor = i64::from(factor as i32);
    let (a, b) = (low.checked_mul(factor)?, high.checked_mul(factor)?);
    (a.abs() < MOST && b.abs() < MOST).then_some((a.min(b), a.max(b)))
}
