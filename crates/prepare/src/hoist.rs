//! Adding what is constant in a loop before the loop.
//!
//! An index into a matrix is the sum of a row, which is constant in the inner loop, and a column. With the address of
//! linear memory these are two additions for each access. If the row and the address of memory are added before the
//! loop, one is left, or none where an access can add two registers.
//!
//! The index of each access is a [`Form`]: terms and a constant. Terms that are defined outside of the innermost loop
//! are added to the base. Accesses whose terms are the same are grouped by constants that instructions have room for,
//! and a group gets its sum right after the term that varies, if it is executed more often than that term. Termination:
//! a bounded number of walks over the function.

use std::collections::BTreeMap;

use ssa::cfg::{Cfg, Graph};
use ssa::loops::{Loop, LoopForest};
use ssa::{BinaryOp, Block, DataId, Function, IdVec, Inst, InstData, MemType, Type, Value};

use crate::sums::{Form, forms};

/// Minimum ratio of executions of a group's accesses to those of its sum.
const LEAST_USE: f32 = 1.5;

/// The largest offset of an access of this type.
pub type Reach<'a> = &'a dyn Fn(MemType) -> u32;

/// Accesses with the same terms in the same loop.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    in_loop: Loop,
    /// The term that varies, and the binary logarithm of its factor.
    varying: (Value, u32),
    /// The terms that don't.
    fixed: Vec<(Value, u32)>,
}

/// An access with the constant of its index.
struct Access {
    inst: Inst,
    block: Block,
    constant: u32,
    reach: u32,
}

/// Replaces the addresses of accesses to `memory` in loops by sums with addresses that are computed before the loop.
pub fn addresses(func: &mut Function, memory: DataId, reach: Reach<'_>) {
    let cfg = Cfg::new(func);
    let forest = LoopForest::new(&cfg, func.entry());
    if forest.loops.is_empty() {
        return;
    }
    let order = func.reverse_postorder();
    let blocks = blocks_of(func, &order);
    let groups = Search { func, forest: &forest, blocks: &blocks, memory, reach }.groups(&order);
    let mut placing = Placing::default();
    for (key, mut accesses) in groups {
        let Some(defined) = blocks[key.varying.0] else { continue };
        let Some(from) = entry(func, &cfg, &forest, key.in_loop) else { continue };
        accesses.sort_by_key(|access| access.constant as i32);
        let mut rest = &accesses[..];
        while let Some(first) = rest.first() {
            let near = |access: &&Access| access.constant.wrapping_sub(first.constant) <= access.reach;
            let count = rest.iter().take_while(near).count();
            placing.group(func, memory, [from, defined], &key, &rest[..count]);
            rest = &rest[count..];
        }
    }
    placing.finish(func);
}

/// The search for accesses.
struct Search<'a> {
    func: &'a Function,
    forest: &'a LoopForest,
    blocks: &'a IdVec<Value, Option<Block>>,
    memory: DataId,
    reach: Reach<'a>,
}

impl Search<'_> {
    fn groups(&self, order: &[Block]) -> BTreeMap<Key, Vec<Access>> {
        let forms = forms(self.func, order);
        let only_addresses = only_addresses(self.func, order);
        let mut groups: BTreeMap<Key, Vec<Access>> = BTreeMap::new();
        for &block in order {
            let Some(in_loop) = self.forest.innermost(block) else { continue };
            for &inst in &self.func.blocks[block].insts {
                let (InstData::Load { mem, addr, .. } | InstData::Store { mem, addr, .. }) =
                    &self.func.insts[inst]
                else {
                    continue;
                };
                let Some(index) =
                    addr.index.filter(|&index| addr.base == Some(self.memory) && only_addresses[index])
                else {
                    continue;
                };
                let Some(key) = self.key(in_loop, &forms[index]) else { continue };
                let constant = forms[index].constant.wrapping_add(addr.offset as u32);
                let access = Access { inst, block, constant, reach: (self.reach)(*mem) };
                groups.entry(key).or_default().push(access);
            }
        }
        groups
    }

    /// The terms of an index, if exactly one of them varies in the loop.
    fn key(&self, in_loop: Loop, form: &Form) -> Option<Key> {
        let is_fixed = |&(value, _): &(Value, u32)| {
            self.blocks[value].is_some_and(|block| !self.forest.contains(in_loop, block))
        };
        let (fixed, varying): (Vec<_>, Vec<_>) = form.terms.iter().copied().partition(is_fixed);
        let [(value, factor)] = varying[..] else { return None };
        let is_simple = |&(_, factor): &(Value, u32)| factor.is_power_of_two();
        let is_known = !fixed.is_empty() && factor.is_power_of_two() && fixed.iter().all(is_simple);
        is_known.then_some(Key { in_loop, varying: (value, factor.ilog2()), fixed })
    }
}

/// The block that jumps into a loop, if there is only one.
fn entry(func: &Function, cfg: &Cfg, forest: &LoopForest, in_loop: Loop) -> Option<Block> {
    let header = forest.loops[in_loop].header;
    if forest.loops[in_loop].irreducible {
        return None;
    }
    let outside = |block: &&Block| !forest.contains(in_loop, **block);
    let mut entries = cfg.predecessors(header).iter().filter(outside);
    let entry = *entries.next()?;
    let is_only = entries.next().is_none();
    (is_only && func.insts[func.terminator(entry)].successors().len() == 1).then_some(entry)
}

/// The block in which each value is defined.
fn blocks_of(func: &Function, order: &[Block]) -> IdVec<Value, Option<Block>> {
    let mut blocks = IdVec::filled(None, func.values.len());
    for &block in order {
        let data = &func.blocks[block];
        data.params.iter().for_each(|&param| blocks[param] = Some(block));
        for &inst in &data.insts {
            func.results[inst].iter().for_each(|&result| blocks[result] = Some(block));
        }
    }
    blocks
}

/// Whether each value is used as the index of accesses only, also after a constant is added. Another use needs the value
/// itself, and a second sum would be one addition more.
fn only_addresses(func: &Function, order: &[Block]) -> IdVec<Value, bool> {
    let mut only = IdVec::filled(true, func.values.len());
    for &block in order.iter().rev() {
        for &inst in func.blocks[block].insts.iter().rev() {
            match func.insts[inst] {
                InstData::Load { .. } => {}
                InstData::Store { value, .. } => only[value] = false,
                InstData::Binary { op: BinaryOp::Add, args: [a, b], .. } if func.as_const(b).is_some() => {
                    only[a] &= only[func.result(inst)];
                }
                ref other => other.for_each_arg(|arg| only[arg] = false),
            }
        }
    }
    only
}

/// New instructions and their places.
#[derive(Default)]
struct Placing {
    before: BTreeMap<Inst, Vec<Inst>>,
    after: BTreeMap<Value, Vec<Inst>>,
    at_end: BTreeMap<Block, Vec<Inst>>,
}

impl Placing {
    /// Gives accesses with near constants one base, and one sum if that is executed less often than they are. The base is
    /// computed in the first block, the varying term in the second.
    fn group(
        &mut self,
        func: &mut Function,
        memory: DataId,
        [from, defined]: [Block; 2],
        key: &Key,
        accesses: &[Access],
    ) {
        let start = accesses[0].constant;
        let used: f32 = accesses.iter().map(|access| func.blocks[access.block].freq).sum();
        if used < LEAST_USE * func.blocks[from].freq {
            return;
        }
        let base = self.base(func, memory, from, key, start);
        let is_shared = accesses.len() > 1 && used >= LEAST_USE * func.blocks[defined].freq;
        let shared = is_shared.then(|| {
            let (insts, sum) = sum(func, base, key.varying);
            self.after.entry(key.varying.0).or_default().extend(insts);
            sum
        });
        for access in accesses {
            let index = shared.unwrap_or_else(|| {
                let (insts, sum) = sum(func, base, key.varying);
                self.before.entry(access.inst).or_default().extend(insts);
                sum
            });
            if let InstData::Load { addr, .. } | InstData::Store { addr, .. } = &mut func.insts[access.inst] {
                let offset = access.constant.wrapping_sub(start) as i32;
                (addr.base, addr.index, addr.offset) = (None, Some(index), offset);
            }
        }
    }

    /// The address of memory plus the fixed terms and a constant, before the loop.
    fn base(&mut self, func: &mut Function, memory: DataId, from: Block, key: &Key, start: u32) -> Value {
        let address = func.make_inst(InstData::DataAddr { data: memory, offset: start as i32 }, &[Type::I32]);
        let mut insts = vec![address];
        let mut base = func.result(address);
        for &(value, factor) in &key.fixed {
            let (added, total) = sum(func, base, (value, factor.ilog2()));
            insts.extend(added);
            base = total;
        }
        self.at_end.entry(from).or_default().extend(insts);
        base
    }

    /// Puts the instructions into their blocks.
    fn finish(mut self, func: &mut Function) {
        for block in func.blocks.ids() {
            let params = func.blocks[block].params.clone();
            let mut insts: Vec<Inst> =
                params.iter().flat_map(|param| self.after.remove(param).unwrap_or_default()).collect();
            let old = std::mem::take(&mut func.blocks[block].insts);
            let last = old.len().saturating_sub(1);
            for (n, inst) in old.into_iter().enumerate() {
                if n == last {
                    insts.extend(self.at_end.remove(&block).unwrap_or_default());
                }
                insts.extend(self.before.remove(&inst).unwrap_or_default());
                insts.push(inst);
                let results = func.results[inst].iter();
                insts.extend(results.flat_map(|result| self.after.remove(result).unwrap_or_default()));
            }
            func.blocks[block].insts = insts;
        }
    }
}

/// `base + (value << shift)`, with the instructions that compute it.
fn sum(func: &mut Function, base: Value, (value, shift): (Value, u32)) -> (Vec<Inst>, Value) {
    let mut insts = Vec::new();
    let mut term = value;
    if shift != 0 {
        let count = func.make_inst(InstData::Const { ty: Type::I32, bits: shift.into() }, &[Type::I32]);
        let args = [value, func.result(count)];
        let shl = func.make_inst(InstData::Binary { op: BinaryOp::Shl, ty: Type::I32, args }, &[Type::I32]);
        insts.extend([count, shl]);
        term = func.result(shl);
    }
    let args = [base, term];
    let add = func.make_inst(InstData::Binary { op: BinaryOp::Add, ty: Type::I32, args }, &[Type::I32]);
    insts.push(add);
    (insts, func.result(add))
}
