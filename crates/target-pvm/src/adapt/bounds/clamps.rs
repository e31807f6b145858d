//! Clamps: bounds checks by the memory map.
//!
//! A check of the bytes from `address` to `address + span`, together with an access at `address + distance`, becomes an
//! access at `clamped + distance`, where `clamped` is `min(address, limit)` and `limit` the largest size that memory can
//! have. That is exact under these conditions:
//!
//! - *The access faults if the check fails*: it ends where the checked bytes end, or later. From the end of memory, a page
//!   boundary, to `limit + UNMAPPED` nothing is mapped, and distances are smaller than that. Machines check an access as a
//!   whole, so no byte of it is read or written.
//! - *It is certain to be executed*, and between check and access nothing happens that can be seen from outside after a
//!   trap: there are loads, stores, operations without an effect, other checks, and branches to other traps.
//!
//! A check without such an access gets one: a load of the last byte that is checked. LLVM may have moved an access before its
//! check. A load does no harm there, and becomes the access of the check if that is certain to follow. A store that no
//! check precedes gets a clamp of its own, so that it changes nothing but linear memory: the check will trap later, and
//! until then the program is as it was.
//!
//! After a check or a clamped access the bytes around the address are known to be in memory ([`super::facts`]). That makes
//! other checks superfluous, and lets accesses share a clamp: above an address in memory, nothing wraps.
//!
//! Where a load may be from the arguments of an entry, the clamped address is the address itself if it is in the arguments.

use std::collections::BTreeMap;

use ssa::{
    Addr, BinaryOp, Block, CheckedAccess, Cond, DataId, Dominators, FuncId, Function, IdVec, Inst, InstData,
    LinearMemory, MemFlags, MemType, Module, Type, Value,
};

use super::ahead::{Ahead, as_check, failing_blocks};
use super::facts::{Fact, Facts};
use super::linear::Sum;
use super::ranges::Ranges;
use crate::memory::ProgramLayout;

/// How far below the address of a check that of a later one may be, to be clamped in place of it.
const MAX_BELOW: u32 = 4096;
/// A block is executed often if its frequency is this multiple of the entry's.
const HOT: f32 = 2.0;

/// The memory whose accesses are clamped.
pub struct Limits {
    check: FuncId,
    memory: DataId,
    /// See [`ssa::Module::host_arguments`].
    arguments: Option<DataId>,
    /// Address of the arguments.
    arguments_start: u32,
    /// The smallest size in bytes.
    min_bytes: u32,
    /// Addresses from here on, and the [`ProgramLayout::UNMAPPED`] bytes after it, are never mapped.
    limit: u32,
    /// The functions that write to memory at their first argument.
    writers: Vec<FuncId>,
}

impl Limits {
    /// The limits of a memory whose accesses are marked.
    pub fn of(
        module: &Module,
        check: FuncId,
        memory: DataId,
        linear: &LinearMemory,
        layout: &ProgramLayout,
    ) -> Self {
        let most = if linear.grows { linear.max_bytes.expect("it is limited") } else { linear.min_bytes };
        let is_caught = layout.most_caught_bytes().is_some_and(|bytes| most <= bytes);
        assert!(is_caught && linear.native_stack.is_none(), "such accesses are not marked");
        let is_writer = |&id: &FuncId| {
            ["__wasm_memcpy", "__wasm_memmove", "__wasm_memset"].contains(&module.decls[id].name.as_str())
        };
        Self {
            check,
            memory,
            arguments: module.host_arguments,
            arguments_start: layout.arguments,
            min_bytes: linear.min_bytes as u32,
            limit: most as u32,
            writers: module.decls.ids().filter(is_writer).collect(),
        }
    }
}

/// Replaces the checks in a function. `may_be_argument` tells which values may be pointers to arguments.
pub fn clamp(func: &mut Function, limits: &Limits, may_be_argument: &dyn Fn(Value) -> bool) {
    let order = func.reverse_postorder();
    let (dominators, fails) = (Dominators::new(func), failing_blocks(func));
    let mut clamper = Clamper {
        ranges: Ranges::of(func, &order),
        walked: IdVec::filled(false, func.blocks.len()),
        func,
        limits,
        may_be_argument,
        dominators,
        fails,
        facts: Facts::default(),
        clamps: BTreeMap::new(),
        argument_limits: BTreeMap::new(),
        faulting: Vec::new(),
    };
    order.into_iter().for_each(|block| clamper.block(block));
    let faulting = clamper.faulting;
    for inst in faulting {
        if let InstData::Load { flags, .. } = &mut func.insts[inst] {
            flags.volatile = true;
        }
    }
    ssa::canonicalize(func);
    release_used(func, limits.memory);
}

/// Leaves only those loads volatile that would be removed otherwise, because their results are not used.
fn release_used(func: &mut Function, memory: DataId) {
    let mut used = IdVec::filled(false, func.values.len());
    for &inst in func.blocks.values().flat_map(|block| &block.insts) {
        func.insts[inst].for_each_arg(|arg| used[arg] = true);
    }
    for (data, results) in func.insts.values_mut().zip(func.results.values()) {
        if let InstData::Load { addr, flags, .. } = data
            && addr.base == Some(memory)
        {
            flags.volatile &= !used[results[0]];
        }
    }
}

/// A load or store in linear memory.
#[derive(Clone, Copy)]
struct Access {
    at: Sum,
    width: u32,
    is_store: bool,
}

/// A check that is to be replaced.
#[derive(Clone, Copy)]
struct Check {
    address: Value,
    at: Sum,
    access: CheckedAccess,
    /// Whether the access may be to the arguments.
    or_arguments: bool,
}

/// A position in a function: before the instructions `rest` of a block.
#[derive(Clone, Copy)]
struct Position<'a> {
    block: Block,
    rest: &'a [Inst],
}

struct Clamper<'a> {
    func: &'a mut Function,
    limits: &'a Limits,
    may_be_argument: &'a dyn Fn(Value) -> bool,
    dominators: Dominators,
    ranges: Ranges,
    fails: IdVec<Block, bool>,
    walked: IdVec<Block, bool>,
    facts: Facts,
    /// The addresses that clamped values stand for.
    clamps: BTreeMap<Value, Sum>,
    /// Limits of the arguments that are loaded at the function's entry, by their offset in the variable.
    argument_limits: BTreeMap<i32, Value>,
    /// The accesses that fault where a check failed.
    faulting: Vec<Inst>,
}

impl Clamper<'_> {
    fn block(&mut self, block: Block) {
        let insts = std::mem::take(&mut self.func.blocks[block].insts);
        self.walked[block] = true;
        for (n, &inst) in insts.iter().enumerate() {
            let at = Position { block, rest: &insts[n + 1..] };
            self.func.source.follow(inst);
            if let Some(check) = self.as_check(inst) {
                self.replace(check, at);
                continue;
            }
            if let Some(access) = self.access(inst) {
                self.clamp_access(inst, access, at);
            } else {
                self.clamp_writer(inst, block);
            }
            self.func.blocks[block].insts.push(inst);
        }
        self.func.source.follow_none();
    }

    fn sum(&self, value: Value) -> Sum {
        let mut sum = Sum::of(self.func, value);
        while let Some(clamped) = self.clamps.get(&sum.root) {
            let offset = clamped.offset.wrapping_add(sum.offset);
            let next = Sum::of(self.func, clamped.root);
            sum = Sum { root: next.root, offset: offset.wrapping_add(next.offset) };
        }
        sum
    }

    fn as_check(&self, inst: Inst) -> Option<Check> {
        let (address, access) = as_check(self.func, inst, self.limits.check)?;
        let or_arguments = access.reads_arguments && (self.may_be_argument)(address);
        Some(Check { address, at: self.sum(address), access, or_arguments })
    }

    /// A load or store with a variable address in the memory.
    fn access(&self, inst: Inst) -> Option<Access> {
        let data = &self.func.insts[inst];
        let (InstData::Load { mem, addr, .. } | InstData::Store { mem, addr, .. }) = data else {
            return None;
        };
        if addr.base != Some(self.limits.memory) {
            return None;
        }
        let index = self.sum(addr.index?);
        let at = Sum { offset: index.offset.wrapping_add(addr.offset as u32), ..index };
        Some(Access { at, width: mem.bytes(), is_store: matches!(data, InstData::Store { .. }) })
    }

    /// Replaces a check.
    fn replace(&mut self, check: Check, here: Position<'_>) {
        let span = check.access.span();
        if self.most(check.address, here.block) + u64::from(span) <= self.limits.min_bytes.into()
            || self.facts.are_known(check.at, span, check.or_arguments, here.block, &self.dominators)
        {
            return;
        }
        let end = self.access_ahead(&check, here);
        let base = self.base(&check, here);
        let distance = check.at.offset.wrapping_sub(base.offset);
        let end = match end {
            Some((inst, end)) => {
                let width = self.access(inst).map_or(0, |access| access.width);
                self.rebase(inst, base.value, distance + end - width);
                self.faulting.push(inst);
                end
            }
            None => {
                self.probe(base.value, distance + span - 1, here.block);
                span
            }
        };
        let extent = distance + end;
        let fact = Fact { extent: if check.or_arguments { 0 } else { extent }, readable: extent, ..base };
        self.facts.record(check.at.root, fact);
    }

    /// An access that faults if a check fails and is certain to follow; and how far after the checked address it ends.
    fn access_ahead(&self, check: &Check, here: Position<'_>) -> Option<(Inst, u32)> {
        let ahead = Ahead { fails: &self.fails, check: self.limits.check, walked: &self.walked };
        ahead.find(self.func, here.block, here.rest, |inst, block| {
            let access = self.access(inst)?;
            let distance = access.at.minus(check.at)?;
            let end = distance.checked_add(access.width)?;
            let fits = distance < CheckedAccess::OFFSETS && end >= check.access.span();
            (fits && self.dominators.dominates(here.block, block)).then_some((inst, end))
        })
    }

    /// A fact about the checked address or one below it, whose value is clamped.
    fn base(&mut self, check: &Check, here: Position<'_>) -> Fact {
        let root = check.at.root;
        if check.or_arguments {
            let value = self.clamp_argument(check, here.block);
            self.clamps.insert(value, check.at);
            return Fact { offset: check.at.offset, value, block: here.block, extent: 0, readable: 0 };
        }
        if let Some(fact) = self.facts.in_memory(check.at, here.block, &self.dominators) {
            return Fact { block: here.block, ..fact };
        }
        let below = self.lowest_ahead(check, here);
        let offset = check.at.offset.wrapping_sub(below);
        let address = match below {
            0 => check.address,
            _ => {
                let by = self.constant(offset, here.block);
                self.append(
                    here.block,
                    InstData::Binary { op: BinaryOp::Add, ty: Type::I32, args: [root, by] },
                )
            }
        };
        let value = self.clamped(address, here.block);
        self.clamps.insert(value, Sum { root, offset });
        Fact { offset, value, block: here.block, extent: 0, readable: 0 }
    }

    /// How far below a checked address is the lowest that is certain to be checked, too.
    fn lowest_ahead(&self, check: &Check, here: Position<'_>) -> u32 {
        let mut lowest = 0;
        let ahead = Ahead { fails: &self.fails, check: self.limits.check, walked: &self.walked };
        let _ = ahead.find(self.func, here.block, here.rest, |inst, _| {
            let other = self.as_check(inst).filter(|other| !other.or_arguments)?;
            let below = check.at.minus(other.at).filter(|&below| below <= MAX_BELOW);
            lowest = lowest.max(below.unwrap_or(0));
            None::<()>
        });
        lowest
    }

    /// Gives an access a clamped address, if it needs one.
    fn clamp_access(&mut self, inst: Inst, access: Access, here: Position<'_>) {
        let Some(index) = self.index(inst) else { return };
        let root = access.at.root;
        if let Some((distance, fact)) = self.facts.nearest(access.at, here.block, &self.dominators) {
            if !self.clamps.contains_key(&Sum::of(self.func, index).root) {
                self.rebase(inst, fact.value, distance);
            }
            let extent = distance + access.width;
            if fact.extent > 0 && extent > fact.extent {
                let fact = Fact { block: here.block, extent, readable: fact.readable.max(extent), ..fact };
                self.facts.record(root, fact);
            }
            return;
        }
        if let Some(check) = self.check_ahead(&access, here) {
            // The address of the check may be computed later.
            let check = Check { address: self.plus(root, check.at.offset, here.block), ..check };
            let base = self.base(&check, here);
            let distance = access.at.offset.wrapping_sub(base.offset);
            self.rebase(inst, base.value, distance);
            self.faulting.push(inst);
            let extent = distance + access.width;
            let fact = Fact { extent: if check.or_arguments { 0 } else { extent }, readable: extent, ..base };
            return self.facts.record(root, fact);
        }
        if access.is_store && !self.is_caught(inst, access.width, here.block) {
            let offset = self.offset(inst);
            let address = self.plus(index, offset, here.block);
            let value = self.clamped(address, here.block);
            self.clamps.insert(value, access.at);
            self.rebase(inst, value, 0);
            let (offset, extent) = (access.at.offset, access.width);
            self.facts.record(root, Fact { offset, value, block: here.block, extent, readable: extent });
        }
    }

    /// A check that is certain to follow an access and fails only if the access, through the checked address, faults.
    fn check_ahead(&self, access: &Access, here: Position<'_>) -> Option<Check> {
        let ahead = Ahead { fails: &self.fails, check: self.limits.check, walked: &self.walked };
        ahead.find(self.func, here.block, here.rest, |inst, _| {
            let check = self.as_check(inst)?;
            let distance = access.at.minus(check.at)?;
            let fits = distance < CheckedAccess::OFFSETS && distance + access.width >= check.access.span();
            (fits && !(check.or_arguments && access.is_store)).then_some(check)
        })
    }

    /// Clamps the address that a function of the runtime writes to. LLVM makes such calls from loops, whose checks come
    /// later.
    fn clamp_writer(&mut self, inst: Inst, block: Block) {
        let InstData::Call { func, args } = &self.func.insts[inst] else { return };
        if !self.limits.writers.contains(func) {
            return;
        }
        let to = args[0];
        let Some(InstData::Binary { op: BinaryOp::Add, args: [index, base], .. }) =
            self.func.def_inst(to).map(|def| self.func.insts[def].clone())
        else {
            return;
        };
        let Some(InstData::DataAddr { data, offset }) =
            self.func.def_inst(base).map(|def| self.func.insts[def].clone())
        else {
            return;
        };
        if data != self.limits.memory {
            return;
        }
        let sum = self.sum(index);
        let to = Sum { offset: sum.offset.wrapping_add(offset as u32), ..sum };
        let is_constant = self.func.as_const(index).is_some();
        if is_constant || self.facts.are_known(to, 1, false, block, &self.dominators) {
            return;
        }
        let address = self.plus(index, offset as u32, block);
        let clamped = self.clamped(address, block);
        let start = self.append(block, InstData::DataAddr { data, offset: 0 });
        let sum = InstData::Binary { op: BinaryOp::Add, ty: Type::I32, args: [clamped, start] };
        let to = self.append(block, sum);
        if let InstData::Call { args, .. } = &mut self.func.insts[inst] {
            args[0] = to;
        }
    }

    /// The largest value that an address can have at the end of a block.
    fn most(&self, address: Value, block: Block) -> u64 {
        self.ranges.most(self.func, &self.dominators, address, block)
    }

    /// Whether an access is in memory or faults whatever its index is.
    fn is_caught(&self, inst: Inst, width: u32, block: Block) -> bool {
        let Some(index) = self.index(inst) else { return false };
        let end = self.most(index, block) + u64::from(self.offset(inst)) + u64::from(width);
        end <= u64::from(self.limits.limit) + u64::from(ProgramLayout::UNMAPPED)
    }

    fn index(&self, inst: Inst) -> Option<Value> {
        match &self.func.insts[inst] {
            InstData::Load { addr, .. } | InstData::Store { addr, .. } => addr.index,
            _ => None,
        }
    }

    fn offset(&self, inst: Inst) -> u32 {
        match &self.func.insts[inst] {
            InstData::Load { addr, .. } | InstData::Store { addr, .. } => addr.offset as u32,
            _ => 0,
        }
    }

    /// `min(address, limit)`.
    fn clamped(&mut self, address: Value, block: Block) -> Value {
        let limit = self.constant(self.limits.limit, block);
        let args = [address, limit];
        self.append(block, InstData::Binary { op: BinaryOp::MinU, ty: Type::I32, args })
    }

    /// The address of an access if it is in the arguments, else clamped.
    fn clamp_argument(&mut self, check: &Check, block: Block) -> Value {
        let clamped = self.clamped(check.address, block);
        let CheckedAccess { offset, width, .. } = check.access;
        let start = (offset).wrapping_sub(self.limits.arguments_start);
        let mut inside = self.is_argument(check.address, start, width.min(8), block);
        if width > 8 {
            let last = self.is_argument(check.address, start.wrapping_add(width - 8), 8, block);
            let both = InstData::Binary { op: BinaryOp::And, ty: Type::I32, args: [inside, last] };
            inside = self.append(block, both);
        }
        let (if_true, if_false) = (check.address, clamped);
        self.append(block, InstData::Select { ty: Type::I32, cond: inside, if_true, if_false })
    }

    /// Whether so many bytes at an address are in the arguments. `start` is a distance minus the start of the arguments.
    fn is_argument(&mut self, address: Value, start: u32, width: u32, block: Block) -> Value {
        let data = self.limits.memory;
        let start = self.append(block, InstData::DataAddr { data, offset: start as i32 });
        let args = [address, start];
        let distance = self.append(block, InstData::Binary { op: BinaryOp::Add, ty: Type::I32, args });
        let limit = self.argument_limit(4 * width.trailing_zeros() as i32, block);
        self.append(block, InstData::Icmp { cond: Cond::LtU, ty: Type::I32, args: [distance, limit] })
    }

    /// The limit at an offset in the variable. It is loaded at the function's entry if a block is executed often: limits
    /// don't change while code of the module runs.
    fn argument_limit(&mut self, offset: i32, block: Block) -> Value {
        if let Some(&value) = self.argument_limits.get(&offset) {
            return value;
        }
        let addr = Addr { base: self.limits.arguments, index: None, offset };
        let flags = MemFlags { volatile: false, align_log2: 2 };
        let load = InstData::Load { mem: MemType::S32, ty: Type::I32, addr, flags };
        let entry = self.func.entry();
        if block == entry || self.func.blocks[block].freq <= HOT * self.func.blocks[entry].freq {
            return self.append(block, load);
        }
        let inst = self.func.make_inst(load, &[Type::I32]);
        self.func.blocks[entry].insts.insert(0, inst);
        let value = self.func.result(inst);
        self.argument_limits.insert(offset, value);
        value
    }

    /// Loads the byte at `value + distance`, which faults if it is outside.
    fn probe(&mut self, value: Value, distance: u32, block: Block) {
        let addr = Addr { base: Some(self.limits.memory), index: Some(value), offset: distance as i32 };
        let flags = MemFlags { volatile: true, align_log2: 0 };
        self.append(block, InstData::Load { mem: MemType::U8, ty: Type::I32, addr, flags });
    }

    fn constant(&mut self, bits: u32, block: Block) -> Value {
        self.append(block, InstData::Const { ty: Type::I32, bits: i64::from(bits as i32) })
    }

    fn plus(&mut self, value: Value, offset: u32, block: Block) -> Value {
        if offset == 0 {
            return value;
        }
        let by = self.constant(offset, block);
        self.append(block, InstData::Binary { op: BinaryOp::Add, ty: Type::I32, args: [value, by] })
    }

    /// Appends an instruction with an `i32` result to the walked part of a block.
    fn append(&mut self, block: Block, data: InstData) -> Value {
        self.func.append_value(block, data, Type::I32)
    }

    /// Makes an access use `value + distance`.
    fn rebase(&mut self, inst: Inst, value: Value, distance: u32) {
        if let InstData::Load { addr, .. } | InstData::Store { addr, .. } = &mut self.func.insts[inst] {
            (addr.index, addr.offset) = (Some(value), distance as i32);
        }
    }
}
