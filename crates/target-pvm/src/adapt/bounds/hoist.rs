//! Addresses that are proven to be in memory before a loop.
//!
//! An access in a loop at a bounded distance from a value needs no clamp if the value is known to be in memory. Often the
//! first turn tells: it is certain to check that address itself. Then the check is made before the loop, where nothing
//! but the jump into it follows, so the program traps as it would in the first turn.

use std::collections::BTreeMap;

use ssa::{Block, BlockCall, CheckedAccess, Dominators, Function, IdVec, Inst, InstData, Value, ValueDef};

use super::clamps::{Check, Clamper, Place};
use super::facts::Fact;
use super::intervals::bases;
use super::linear::{Root, Sum};

/// The checks of addresses near a value that make it worthwhile to prove that value.
const MIN_CHECKS: u32 = 2;
/// The same in functions that are to be small.
const MIN_CHECKS_FOR_SIZE: u32 = 6;

/// The blocks of all instructions.
pub fn homes(func: &Function) -> IdVec<Inst, Block> {
    let mut homes = IdVec::filled(func.entry(), func.insts.len());
    for (block, data) in func.blocks.iter() {
        data.insts.iter().for_each(|&inst| homes[inst] = block);
    }
    homes
}

impl Clamper<'_> {
    /// The number of checks of addresses near values.
    pub(super) fn count_bases(&self) -> BTreeMap<Value, u32> {
        let mut counts = BTreeMap::new();
        for (block, data) in self.func.blocks.iter() {
            for &inst in &data.insts {
                let Some(check) = self.as_check(inst).filter(|check| !check.or_arguments) else { continue };
                for near in bases(&self.shape(), check.at, block) {
                    near.base.into_iter().for_each(|base| *counts.entry(base).or_default() += 1);
                }
            }
        }
        counts
    }

    /// Proves addresses that are certain to be checked first in the loop that a block jumps into.
    pub(super) fn prove_before_loop(&mut self, jump: Inst, block: Block) {
        let InstData::Jump { to } = self.func.insts[jump].clone() else { return };
        let is_latch = |&from: &Block| self.dominators.dominates(to.block, from);
        let mut preds = ssa::cfg::Graph::predecessors(self.ranges.cfg(), to.block).iter();
        if self.walked[to.block] || !preds.any(is_latch) {
            return;
        }
        let mut checks = Vec::new();
        let insts = &self.func.blocks[to.block].insts;
        let _ = self.ahead().find(self.func, to.block, insts, |inst, at| {
            if self.dominators.dominates(to.block, at) {
                checks.extend(self.as_check(inst).filter(|check| !check.or_arguments));
            }
            None::<()>
        });
        for check in checks {
            let Some((base, distance)) = self.first_turn(&check, &to, block) else { continue };
            let at = Sum { root: Root::Value(base), offset: distance };
            let span = check.access.span();
            if self.place(check.at, span, to.block) != Place::Anywhere || !self.is_near(&check, at, &to) {
                continue;
            }
            let address = self.address(at, base, block);
            let value = self.clamped(address, block);
            self.sums.clamp(value, at);
            self.probe(value, span - 1, block);
            let fact =
                Fact { offset: distance, value, block, extent: span, readable: span, first: 0, proof: None };
            self.facts.record(at.root, fact);
        }
    }

    /// The address of a check in the first turn of a loop as the sum of a value that is known before it and a constant.
    fn first_turn(&self, check: &Check, to: &BlockCall, block: Block) -> Option<(Value, u32)> {
        let (mut base, mut distance) = (None, check.at.offset);
        for (value, factor) in self.sums.terms(check.at.root) {
            let first = match self.func.values[value].def {
                ValueDef::Param(of, n) if of == to.block => self.sums.get(to.args[n as usize]),
                _ => Sum { root: Root::Value(value), offset: 0 },
            };
            distance = distance.wrapping_add(first.offset.wrapping_mul(factor));
            match first.root {
                Root::Value(value) if factor == 1 && base.is_none() => base = Some(value),
                root if self.sums.terms(root).is_empty() => {}
                _ => return None,
            }
        }
        let base = base.filter(|&base| is_known_in(self.func, &self.dominators, &self.homes, base, block))?;
        Some((base, distance))
    }

    /// Whether the address of a check is always a bounded distance above another.
    fn is_near(&self, check: &Check, at: Sum, to: &BlockCall) -> bool {
        let offset = i64::from(at.offset as i32);
        let is_above = bases(&self.shape(), check.at, to.block).iter().any(|near| {
            let is_base = near.base.is_some_and(|base| at.root == Root::Value(base));
            is_base && near.low >= offset && near.high - offset < i64::from(CheckedAccess::OFFSETS)
        });
        let Root::Value(base) = at.root else { return false };
        let least = if self.func.optimize_for_size { MIN_CHECKS_FOR_SIZE } else { MIN_CHECKS };
        is_above && self.near_checks.get(&base).is_some_and(|&checks| checks >= least)
    }
}

/// Whether a value is defined at the end of a block.
fn is_known_in(
    func: &Function,
    dominators: &Dominators,
    homes: &IdVec<Inst, Block>,
    value: Value,
    block: Block,
) -> bool {
    let home = match func.values[value].def {
        ValueDef::Param(of, _) => of,
        ValueDef::Result(inst, _) => homes.get(inst).copied().unwrap_or(block),
    };
    dominators.dominates(home, block)
}
