//! Clamps: bounds checks by the memory map.
//!
//! A check `address > size - span` that traps, followed by an access at `address + distance`, becomes an access at
//! `clamped + distance`, where `clamped` is the address if the check passes, and else `limit`, far outside of memory. If
//! the access is at the end of the span, `min(address, limit)` will do: an address in between makes the access fault
//! by itself. That is exact under these conditions:
//!
//! - *The access faults if the check fails.* From the end of memory, a page boundary, to `limit + MAX_DISTANCE` nothing
//!   is mapped. Machines check an access as a whole, so no byte of it is read or written.
//! - *It is certain to happen.* Between check and access there are only operations without an effect, other loads (they
//!   are in bounds or fault), and other checks of bounds.
//! - *Nothing changes if the check passes*: `limit` is not below the size of memory.
//!
//! After an access or a check the address is known to be in memory, together with a number of bytes that follow it: a
//! [`Fact`]. Facts make other checks superfluous, also those that LLVM can't remove because it has to consider
//! that the addition of a distance wraps.
//!
//! Where the access may also be to the arguments of an entry, the clamped address is the address if the second check
//! passes ([`super::pointers`] tells where not).
//!
//! Checks whose access is gone, or comes after an effect, keep their branch.

use std::collections::BTreeMap;

use ssa::cfg::{Cfg, Graph};
use ssa::{
    BinaryOp, Block, BlockCall, Cond, DataId, Dominators, Function, IdVec, Inst, InstData, LinearMemory,
    Module, Type, Value,
};

use super::checks::{Check, Literal, failing_blocks, remove_unused_loads, used_values};
use super::linear::Sum;
use crate::memory::ProgramLayout;

/// Distances of accesses from a clamped address are below this.
pub const MAX_DISTANCE: u32 = 1 << 20;
/// A block is executed often if its frequency is this multiple of the entry's.
const HOT: f32 = 2.0;
/// Instructions and blocks after a check in which its access is looked for.
const MAX_SCAN: usize = 200;

/// The memory whose accesses are clamped.
pub struct Limits {
    memory: DataId,
    /// See [`ssa::Module::host_arguments`].
    arguments: Option<DataId>,
    /// The size in bytes if it is constant, else the variable that has it.
    size: Size,
    /// Addresses from here on, and the [`MAX_DISTANCE`] bytes after it, are never mapped.
    limit: u32,
}

#[derive(Clone, Copy)]
enum Size {
    Constant(u32),
    Variable(DataId),
}

impl Limits {
    /// The limits of a memory whose end is always a page boundary and far enough below the stack.
    pub fn of(
        module: &Module,
        memory: DataId,
        linear: &LinearMemory,
        layout: &ProgramLayout,
    ) -> Option<Self> {
        // Other containers have other areas after the heap.
        if *layout != ProgramLayout::SPI || linear.native_stack.is_some() {
            return None;
        }
        let page = u64::from(layout.page);
        let size = match (linear.grows, module.memory_size) {
            (true, variable) => Size::Variable(variable?),
            (false, _) => Size::Constant(u32::try_from(linear.min_bytes).ok()?),
        };
        let most = if linear.grows { linear.max_bytes? } else { linear.min_bytes };
        let is_paged = linear.min_bytes.is_multiple_of(page)
            && (!linear.grows || (1u64 << linear.page_log2).is_multiple_of(page));
        let initial = u64::from(layout.max_area) + u64::from(layout.max_heap_pages) * page;
        let highest_base = u64::from(layout.rw_start(layout.max_area)) + initial;
        let lowest_stack = u64::from(layout.arguments - layout.zone - layout.max_stack());
        let fits = highest_base + most + u64::from(MAX_DISTANCE) + 8 <= lowest_stack;
        (is_paged && fits).then_some(Self {
            memory,
            arguments: module.host_arguments,
            size,
            limit: most as u32,
        })
    }
}

/// Replaces checks in a function; returns whether there were any.
pub fn clamp(func: &mut Function, limits: &Limits) -> bool {
    let fails = failing_blocks(func);
    let (cfg, dominators) = (Cfg::new(func), Dominators::new(func));
    let mut clamper = Clamper {
        func,
        limits,
        cfg,
        dominators,
        fails,
        facts: BTreeMap::new(),
        limit_loads: BTreeMap::new(),
        faulting: Vec::new(),
        replaced: Vec::new(),
        changed: false,
    };
    for block in clamper.func.reverse_postorder() {
        clamper.block(block);
    }
    if !clamper.changed {
        return false;
    }
    clamper.rebase_others();
    clamper.replace_values();
    clamper.keep_unused();
    ssa::canonicalize(func);
    if let Some(arguments) = limits.arguments {
        remove_unused_loads(func, arguments);
    }
    if let Size::Variable(size) = limits.size {
        remove_unused_loads(func, size);
    }
    true
}

/// Knowledge about an address: `value` is the address, and in memory.
#[derive(Clone, Copy)]
struct Fact {
    /// The distance of the address from its root.
    offset: u32,
    value: Value,
    /// The value may be used in place of the address in blocks that this one dominates.
    from: Block,
    /// At the end of this block the fact holds, so it does in blocks that it dominates.
    known: Block,
    /// The number of bytes at the address that are in memory; 0 if the address may be in the arguments.
    extent: u32,
}

/// A comparison that traps if `address > size - span`.
#[derive(Clone, Copy)]
struct Bound {
    address: Value,
    span: u32,
}

/// A load or store in linear memory.
#[derive(Clone, Copy)]
struct Access {
    inst: Inst,
    block: Block,
    at: Sum,
    width: u32,
}

/// The operands of a select by the value of a literal: `holds` if it holds.
fn in_order(literal: Literal, holds: Value, otherwise: Value) -> (Value, Value) {
    if literal.holds_if { (holds, otherwise) } else { (otherwise, holds) }
}

struct Clamper<'a> {
    func: &'a mut Function,
    limits: &'a Limits,
    cfg: Cfg,
    dominators: Dominators,
    fails: IdVec<Block, bool>,
    /// By the roots of their addresses.
    facts: BTreeMap<Value, Vec<Fact>>,
    /// Limits of the arguments that are loaded at the function's entry, by their offset in the variable.
    limit_loads: BTreeMap<i32, Value>,
    /// The accesses that fault where a check failed.
    faulting: Vec<Inst>,
    /// Values to be replaced by others.
    replaced: Vec<(Value, Value)>,
    changed: bool,
}

impl Clamper<'_> {
    /// Replaces the check at the end of a block, if that is exact.
    fn block(&mut self, block: Block) {
        let Some(check) = self.check_at_end(block) else { return };
        if self.cfg.predecessors(check.next).len() != 1 {
            return;
        }
        let Some(bound) = self.bound(&check) else { return };
        let address = Sum::of(self.func, bound.address);
        if self.is_known(address, bound.span, block) {
            return self.pass(block, check.next);
        }
        let fact = match (self.certain_access(check.next, address), check.in_arguments) {
            (Some(access), None) => self.clamp_access(block, &check, &bound, access),
            (Some(access), Some(inside)) => self.clamp_argument_access(block, &check, &bound, access, inside),
            (None, None) => Fact {
                offset: address.offset,
                value: bound.address,
                from: check.next,
                known: check.next,
                extent: bound.span,
            },
            (None, Some(_)) => return,
        };
        self.facts.entry(address.root).or_default().push(fact);
    }

    fn check_at_end(&self, block: Block) -> Option<Check> {
        Check::at_end(self.func, block, &self.fails, self.limits.arguments)
    }

    /// Replaces the check of an access to memory.
    fn clamp_access(&mut self, block: Block, check: &Check, bound: &Bound, access: Access) -> Fact {
        let address = Sum::of(self.func, bound.address);
        let extent = access.at.offset.wrapping_sub(address.offset) + access.width;
        let is_last = extent >= bound.span;
        let (value, offset) = match self.known_below(address, block) {
            Some(fact) if is_last => (fact.value, fact.offset),
            _ => (self.insert_clamp(block, check, bound, is_last), address.offset),
        };
        self.rebase(access.inst, value, access.at.offset.wrapping_sub(offset));
        self.faulting.push(access.inst);
        self.pass(block, check.next);
        let extent = address.offset.wrapping_sub(offset) + extent.max(bound.span);
        Fact { offset, value, from: check.next, known: access.block, extent }
    }

    /// Replaces the check of an access that may be to the arguments: then the address is not clamped.
    fn clamp_argument_access(
        &mut self,
        block: Block,
        check: &Check,
        bound: &Bound,
        access: Access,
        inside: Literal,
    ) -> Fact {
        let address = Sum::of(self.func, bound.address);
        let distance = access.at.offset.wrapping_sub(address.offset);
        let clamped = self.insert_clamp(block, check, bound, distance + access.width >= bound.span);
        self.hoist_limit(block, inside.value);
        let (if_true, if_false) = in_order(inside, bound.address, clamped);
        let select = InstData::Select { ty: Type::I32, cond: inside.value, if_true, if_false };
        let value = self.insert_before_end(block, select);
        self.rebase(access.inst, value, distance);
        self.faulting.push(access.inst);
        self.pass(block, check.next);
        Fact { offset: address.offset, value, from: check.next, known: access.block, extent: 0 }
    }

    /// Moves the load of a limit of the arguments to the function's entry if a block is executed often. The limits don't
    /// change while code of the module runs.
    fn hoist_limit(&mut self, block: Block, comparison: Value) {
        let entry = self.func.entry();
        if self.func.blocks[block].freq <= HOT * self.func.blocks[entry].freq {
            return;
        }
        let Some(def) = self.func.def_inst(comparison) else { return };
        let mut limits = Vec::new();
        self.func.insts[def].for_each_arg(|arg| limits.extend(self.limit(arg)));
        for (value, load, offset) in limits {
            match self.limit_loads.get(&offset) {
                Some(&known) if known != value => self.replaced.push((value, known)),
                Some(_) => {}
                None => {
                    let InstData::Load { .. } = self.func.insts[load] else { continue };
                    let copy = self.func.make_inst(self.func.insts[load].clone(), &[Type::I32]);
                    self.func.blocks[entry].insts.insert(0, copy);
                    let known = self.func.result(copy);
                    self.limit_loads.insert(offset, known);
                    self.replaced.push((value, known));
                }
            }
        }
    }

    /// A value that is a limit of the arguments: the value, its load, and its offset in the variable.
    fn limit(&self, value: Value) -> Option<(Value, Inst, i32)> {
        let load = self.func.def_inst(value)?;
        match &self.func.insts[load] {
            InstData::Load { addr, .. } if addr.base.is_some() && addr.base == self.limits.arguments => {
                Some((value, load, addr.offset))
            }
            _ => None,
        }
    }

    /// Replaces a check by a jump to where it passes.
    fn pass(&mut self, block: Block, next: Block) {
        let last = self.func.terminator(block);
        self.func.insts[last] = InstData::Jump { to: BlockCall { block: next, args: Vec::new() } };
        self.changed = true;
    }

    /// The bound of a check.
    fn bound(&self, check: &Check) -> Option<Bound> {
        let InstData::Icmp { cond, ty: Type::I32, args: [a, b] } =
            self.func.insts[self.func.def_inst(check.outside.value)?]
        else {
            return None;
        };
        let cond = if check.outside.holds_if { cond } else { cond.inverse() };
        let (address, last, is_strict) = match cond {
            Cond::GtU => (a, b, true),
            Cond::GeU => (a, b, false),
            Cond::LtU => (b, a, true),
            Cond::LeU => (b, a, false),
            _ => return None,
        };
        // The smallest address that traps is `size - (span - 1)`.
        let span = self.below_size(last)?.wrapping_add(u32::from(!is_strict));
        (1..=MAX_DISTANCE).contains(&span).then_some(Bound { address, span })
    }

    /// The constant `n` with `value = size - n`.
    fn below_size(&self, value: Value) -> Option<u32> {
        match self.limits.size {
            Size::Constant(size) => Some(size.wrapping_sub(self.func.as_const(value)? as u32)),
            Size::Variable(data) => {
                let sum = Sum::of(self.func, value);
                let load = &self.func.insts[self.func.def_inst(sum.root)?];
                let is_size = matches!(load, InstData::Load { addr, .. }
                    if addr.base == Some(data) && addr.index.is_none() && addr.offset == 0);
                is_size.then_some(sum.offset.wrapping_neg())
            }
        }
    }

    /// The first access through `address` that is certain to be executed once the check has passed, with nothing
    /// happening before.
    fn certain_access(&self, mut block: Block, address: Sum) -> Option<Access> {
        let mut steps = 0;
        loop {
            for &inst in &self.func.blocks[block].insts {
                steps += 1;
                let data = &self.func.insts[inst];
                if let Some(access) = self.access(inst, block)
                    && access.at.minus(address).is_some_and(|distance| distance < MAX_DISTANCE / 2)
                {
                    return Some(access);
                }
                let is_harmless =
                    data.is_pure() || matches!(data, InstData::Load { .. }) || data.is_terminator();
                if !is_harmless || steps > MAX_SCAN {
                    return None;
                }
            }
            block = match &self.func.insts[self.func.terminator(block)] {
                InstData::Jump { to } if to.args.is_empty() => to.block,
                InstData::Branch { .. } => self.check_at_end(block)?.next,
                _ => return None,
            };
            if self.cfg.predecessors(block).len() != 1 {
                return None;
            }
        }
    }

    /// A load or store with a variable address in the memory.
    fn access(&self, inst: Inst, block: Block) -> Option<Access> {
        let (InstData::Load { mem, addr, .. } | InstData::Store { mem, addr, .. }) = &self.func.insts[inst]
        else {
            return None;
        };
        if addr.base != Some(self.limits.memory) {
            return None;
        }
        let index = Sum::of(self.func, addr.index?);
        let at = Sum { offset: index.offset.wrapping_add(addr.offset as u32), ..index };
        Some(Access { inst, block, at, width: mem.bytes() })
    }

    /// The facts about addresses at most [`MAX_DISTANCE`] below an address that hold at the end of a block.
    fn facts_below(&self, address: Sum, block: Block) -> impl Iterator<Item = (u32, &Fact)> {
        let facts = self.facts.get(&address.root).into_iter().flatten().rev();
        facts.filter_map(move |fact| {
            let distance = address.offset.wrapping_sub(fact.offset);
            let holds = distance < MAX_DISTANCE / 2 && self.dominators.dominates(fact.known, block);
            holds.then_some((distance, fact))
        })
    }

    /// Whether so many bytes at an address are known to be in memory at the end of a block.
    fn is_known(&self, address: Sum, span: u32, block: Block) -> bool {
        self.facts_below(address, block).any(|(distance, fact)| distance + span <= fact.extent)
    }

    /// A fact about an address in memory that is not above this one.
    fn known_below(&self, address: Sum, block: Block) -> Option<Fact> {
        self.facts_below(address, block).find(|(_, fact)| fact.extent > 0).map(|(_, &fact)| fact)
    }

    /// Makes all accesses use clamped addresses where these are known to be in memory.
    fn rebase_others(&mut self) {
        for block in self.func.blocks.ids() {
            if !self.dominators.is_reachable(block) {
                continue;
            }
            for inst in self.func.blocks[block].insts.clone() {
                let Some(access) = self.access(inst, block) else { continue };
                let facts = self.facts.get(&access.at.root).into_iter().flatten().rev();
                let mut near = facts.filter_map(|fact| {
                    let distance = access.at.offset.wrapping_sub(fact.offset);
                    let holds = distance < MAX_DISTANCE && self.dominators.dominates(fact.from, block);
                    holds.then_some((fact.value, distance))
                });
                if let Some((value, distance)) = near.next() {
                    self.rebase(inst, value, distance);
                }
            }
        }
    }

    /// Makes sure that faulting loads are executed though their results are not used.
    fn keep_unused(&mut self) {
        let used = used_values(self.func);
        for &inst in &self.faulting {
            let is_unused = self.func.results[inst].iter().all(|&result| !used[result]);
            if let InstData::Load { flags, .. } = &mut self.func.insts[inst] {
                flags.volatile |= is_unused;
            }
        }
    }

    fn replace_values(&mut self) {
        let replaced: BTreeMap<Value, Value> = self.replaced.iter().copied().collect();
        if replaced.is_empty() {
            return;
        }
        for inst in self.func.insts.values_mut() {
            inst.map_args(|arg| replaced.get(&arg).copied().unwrap_or(arg));
        }
    }

    /// Appends the clamp of an address to a block, before its terminator. If the access is the last of the span, a
    /// minimum suffices.
    fn insert_clamp(&mut self, block: Block, check: &Check, bound: &Bound, is_last: bool) -> Value {
        let limit = InstData::Const { ty: Type::I32, bits: i64::from(self.limits.limit as i32) };
        let (address, beyond) = (bound.address, self.insert_before_end(block, limit));
        let clamp = if is_last {
            InstData::Binary { op: BinaryOp::MinU, ty: Type::I32, args: [address, beyond] }
        } else {
            let (if_true, if_false) = in_order(check.outside, beyond, address);
            InstData::Select { ty: Type::I32, cond: check.outside.value, if_true, if_false }
        };
        self.insert_before_end(block, clamp)
    }

    /// Inserts an instruction with an `i32` result before the terminator of a block.
    fn insert_before_end(&mut self, block: Block, data: InstData) -> Value {
        let inst = self.func.make_inst(data, &[Type::I32]);
        let insts = &mut self.func.blocks[block].insts;
        insts.insert(insts.len() - 1, inst);
        self.func.result(inst)
    }

    /// Makes an access use `value + distance`.
    fn rebase(&mut self, inst: Inst, value: Value, distance: u32) {
        if let InstData::Load { addr, .. } | InstData::Store { addr, .. } = &mut self.func.insts[inst] {
            (addr.index, addr.offset) = (Some(value), distance as i32);
        }
    }
}
