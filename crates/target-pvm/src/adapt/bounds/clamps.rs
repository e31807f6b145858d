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
//! A stack object is in memory, too: the machine's stack has taken the place of the C stack there.
//!
//! Where a load may be from the arguments of an entry, the clamped address is the address itself if it is in the arguments.

use std::collections::BTreeMap;

use ssa::{
    Addr, BinaryOp, Block, CheckedAccess, Cond, DataId, Dominators, FuncId, Function, IdVec, Inst, InstData,
    LinearMemory, MemFlags, MemType, Module, Type, UnaryOp, Value,
};

use super::ahead::{Ahead, as_check, failing_blocks};
use super::arguments::certain_bytes;
use super::facts::{Fact, Facts};
use super::hoist::homes;
use super::intervals::{Near, Shape, bases};
use super::linear::{Root, Sum, Sums};
use super::passed::Arguments;
use super::ranges::Ranges;
use crate::memory::ProgramLayout;

/// How far below the address of a check that of a later one may be, to be clamped in place of it.
const MAX_BELOW: u32 = 4096;

/// The memory whose accesses are clamped.
pub struct Limits {
    pub(super) check: FuncId,
    pub(super) memory: DataId,
    /// See [`ssa::Module::host_arguments`].
    pub(super) arguments: Option<DataId>,
    /// Address of the arguments.
    pub(super) arguments_start: u32,
    /// The smallest size in bytes.
    pub(super) min_bytes: u32,
    /// Addresses from here on, and the [`ProgramLayout::UNMAPPED`] bytes after it, are never mapped.
    pub(super) limit: u32,
    /// The functions that write to memory at their first argument.
    pub(super) writers: Vec<FuncId>,
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
        assert!(is_caught, "such accesses are not marked");
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

/// What is known about a function whose accesses have been clamped.
#[derive(Clone, Copy)]
pub struct Clamped {
    /// How many bytes the arguments must have, which the caller makes sure of.
    pub least_arguments: u32,
    /// The lowest address in linear memory that it accesses; 0 if it isn't known.
    pub lowest: u32,
}

/// Replaces the checks in a function. `is_entered` tells whether it gets the address of the arguments as its
/// first parameter in every call, `may_be_argument` which values may be pointers to arguments.
pub fn clamp(
    id: FuncId,
    func: &mut Function,
    limits: &Limits,
    is_entered: bool,
    may_be_argument: &dyn Fn(Value) -> bool,
    arguments: &mut Arguments,
) -> Clamped {
    let known = arguments.known(id).to_vec();
    let order = func.reverse_postorder();
    let (dominators, fails, sums) = (Dominators::new(func), failing_blocks(func), Sums::of(func, &order));
    let homes = homes(func);
    let entered_pointer = func.blocks[func.entry()].params.first().copied().filter(|_| is_entered);
    let mut clamper = Clamper {
        id,
        ranges: Ranges::of(func, &order),
        walked: IdVec::filled(false, func.blocks.len()),
        func,
        limits,
        may_be_argument,
        arguments,
        dominators,
        fails,
        facts: Facts::default(),
        sums,
        entered_pointer,
        argument_length: None,
        faulting: Vec::new(),
        homes,
        near_checks: BTreeMap::new(),
        result: Clamped { least_arguments: 0, lowest: u32::MAX },
    };
    clamper.near_checks = clamper.count_bases();
    let certain = if is_entered { certain_bytes(clamper.func, limits.check, &clamper.sums) } else { None };
    if let Some((bytes, root, fact)) = certain {
        clamper.facts.record(root, fact);
        clamper.result.least_arguments = bytes;
    }
    for block in order {
        clamper.note_params(block, &known);
        clamper.block(block);
    }
    let Clamper { faulting, result, .. } = clamper;
    for inst in faulting {
        if let InstData::Load { flags, .. } = &mut func.insts[inst] {
            flags.volatile = true;
        }
    }
    ssa::canonicalize(func);
    release_used(func, limits.memory);
    result
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
pub(super) struct Access {
    pub(super) at: Sum,
    pub(super) width: u32,
    pub(super) is_store: bool,
}

/// A check that is to be replaced.
#[derive(Clone, Copy)]
pub(super) struct Check {
    pub(super) address: Value,
    pub(super) at: Sum,
    pub(super) access: CheckedAccess,
    /// Whether the access may be to the arguments.
    pub(super) or_arguments: bool,
}

/// Where the bytes of a check may be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Anywhere,
    /// In memory, or where nothing is mapped, with [`CheckedAccess::OFFSETS`] more such bytes after them.
    MemoryOrUnmapped,
    Memory,
}

/// A position in a function: before the instructions `rest` of a block.
#[derive(Clone, Copy)]
pub(super) struct Position<'a> {
    pub(super) block: Block,
    pub(super) rest: &'a [Inst],
}

pub(super) struct Clamper<'a> {
    pub(super) id: FuncId,
    pub(super) func: &'a mut Function,
    pub(super) limits: &'a Limits,
    pub(super) may_be_argument: &'a dyn Fn(Value) -> bool,
    pub(super) arguments: &'a mut Arguments,
    pub(super) dominators: Dominators,
    pub(super) ranges: Ranges,
    pub(super) fails: IdVec<Block, bool>,
    pub(super) walked: IdVec<Block, bool>,
    pub(super) facts: Facts,
    pub(super) sums: Sums,
    /// The value that is the address of the arguments in every call.
    pub(super) entered_pointer: Option<Value>,
    /// The length of the arguments, and the block that loads it.
    pub(super) argument_length: Option<(Value, Block)>,
    /// The accesses that fault where a check failed.
    pub(super) faulting: Vec<Inst>,
    pub(super) homes: IdVec<Inst, Block>,
    /// How many checks are of addresses near a value.
    pub(super) near_checks: BTreeMap<Value, u32>,
    pub(super) result: Clamped,
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
            self.note_lowest(inst, block);
            if let Some(access) = self.access(inst) {
                self.clamp_access(inst, access, at);
            } else {
                self.note_slot(inst, block);
                self.note_call(inst, block);
                self.clamp_writer(inst, block);
                self.fold_comparison(inst, block);
            }
            self.facts.executed(inst);
            self.prove_before_loop(inst, block);
            self.func.blocks[block].insts.push(inst);
        }
        self.func.source.follow_none();
    }

    pub(super) fn as_check(&self, inst: Inst) -> Option<Check> {
        let (address, access) = as_check(self.func, inst, self.limits.check)?;
        let or_arguments = access.reads_arguments && (self.may_be_argument)(address);
        Some(Check { address, at: self.sums.get(address), access, or_arguments })
    }

    /// A load or store with a variable address in the memory.
    pub(super) fn access(&self, inst: Inst) -> Option<Access> {
        let data = &self.func.insts[inst];
        let (InstData::Load { mem, addr, .. } | InstData::Store { mem, addr, .. }) = data else {
            return None;
        };
        if addr.base != Some(self.limits.memory) {
            return None;
        }
        let index = self.sums.get(addr.index?);
        let at = Sum { offset: index.offset.wrapping_add(addr.offset as u32), ..index };
        Some(Access { at, width: mem.bytes(), is_store: matches!(data, InstData::Store { .. }) })
    }

    /// Replaces a check.
    fn replace(&mut self, mut check: Check, here: Position<'_>) {
        check.or_arguments &= !self.is_near_memory(check.at, here);
        let span = check.access.span();
        if self.most(check.address, here.block) + u64::from(span) <= self.limits.min_bytes.into()
            || self.facts.is_known(check.at, check.access, check.or_arguments, here.block, &self.dominators)
        {
            return;
        }
        let place = self.place(check.at, span, here.block);
        if place != Place::Anywhere {
            return self.keep_address(&check, place, here);
        }
        if check.or_arguments {
            return self.replace_argument(&check, here);
        }
        let end = self.access_ahead(&check, here);
        let base = self.base(&check, here);
        let distance = check.at.offset.wrapping_sub(base.offset);
        let proof = end.map(|(inst, _)| inst);
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
        self.facts.record(check.at.root, Fact { extent, readable: extent, proof, ..base });
    }

    pub(super) fn shape(&self) -> Shape<'_> {
        let (func, dominators, ranges, sums) = (&*self.func, &self.dominators, &self.ranges, &self.sums);
        Shape { func, cfg: ranges.cfg(), dominators, ranges, sums }
    }

    /// Shows an address beside each place of which bytes are known to be in memory: how far above the place it is at least
    /// and at most, and the number of these bytes.
    pub(super) fn look_around(&self, at: Sum, block: Block, mut look: impl FnMut(i64, i64, u32)) {
        for Near { base, low, high } in bases(&self.shape(), at, block) {
            match base {
                None => look(low, high, self.limits.min_bytes),
                Some(base) => {
                    for fact in self.facts.around(Root::Value(base), block, &self.dominators) {
                        let offset = i64::from(fact.offset as i32);
                        look(low - offset, high - offset, fact.extent);
                    }
                }
            }
        }
    }

    /// Where so many bytes at an address may be.
    pub(super) fn place(&self, at: Sum, bytes: u32, block: Block) -> Place {
        let mut place = Place::Anywhere;
        // The end of the bytes, with those that are known to be in memory.
        self.look_around(at, block, |low, high, known| {
            if low >= 0 && high + i64::from(bytes) <= i64::from(known) {
                place = Place::Memory;
            } else if low >= 0 && high < i64::from(CheckedAccess::OFFSETS) && place == Place::Anywhere {
                place = Place::MemoryOrUnmapped;
            }
        });
        place
    }

    /// Leaves the address of a check as it is, where an access to it that fails faults.
    fn keep_address(&mut self, check: &Check, place: Place, here: Position<'_>) {
        let (mut extent, mut proof) = (check.access.span(), None);
        if place == Place::MemoryOrUnmapped {
            match self.access_ahead(check, here) {
                Some((inst, end)) => {
                    self.faulting.push(inst);
                    (extent, proof) = (end, Some(inst));
                }
                None => self.probe(check.address, extent - 1, here.block),
            }
        }
        let (offset, value, block) = (check.at.offset, check.address, here.block);
        self.facts
            .record(check.at.root, Fact { offset, value, block, extent, readable: extent, first: 0, proof });
    }

    /// An access that faults if a check fails and is certain to follow; and how far after the checked address it ends.
    fn access_ahead(&self, check: &Check, here: Position<'_>) -> Option<(Inst, u32)> {
        let ahead = self.ahead();
        ahead.find(self.func, here.block, here.rest, |inst, block| {
            let access = self.access(inst)?;
            let distance = access.at.minus(check.at)?;
            let end = distance.checked_add(access.width)?;
            let fits = distance < CheckedAccess::OFFSETS && end >= check.access.span();
            (fits && self.dominators.dominates(here.block, block)).then_some((inst, end))
        })
    }

    pub(super) fn ahead(&self) -> Ahead<'_> {
        Ahead { fails: &self.fails, check: self.limits.check, walked: &self.walked }
    }

    /// A fact about the checked address or one below it, whose value is clamped.
    fn base(&mut self, check: &Check, here: Position<'_>) -> Fact {
        let root = check.at.root;
        if check.or_arguments {
            return self.argument_base(check, here);
        }
        if let Some(fact) = self.facts.in_memory(check.at, here.block, &self.dominators) {
            return Fact { block: here.block, ..fact };
        }
        let below = self.lowest_ahead(check, here);
        let offset = check.at.offset.wrapping_sub(below);
        let address = self.address(Sum { root, offset }, check.address, here.block);
        let value = self.clamped(address, here.block);
        self.sums.clamp(value, Sum { root, offset });
        Fact { offset, value, block: here.block, extent: 0, readable: 0, first: 0, proof: None }
    }

    /// How far below a checked address is the lowest that is certain to be checked, too.
    fn lowest_ahead(&self, check: &Check, here: Position<'_>) -> u32 {
        let mut lowest = 0;
        let ahead = self.ahead();
        let _ = ahead.find(self.func, here.block, here.rest, |inst, _| {
            let other = self.as_check(inst).filter(|other| !other.or_arguments)?;
            let below = check.at.minus(other.at).filter(|&below| below <= MAX_BELOW);
            lowest = lowest.max(below.unwrap_or(0));
            None::<()>
        });
        lowest
    }

    /// A stack object is in memory.
    fn note_slot(&mut self, inst: Inst, block: Block) {
        let InstData::FrameAddr { slot } = self.func.insts[inst] else { return };
        let (value, extent) = (self.func.result(inst), self.func.frame_slots[slot].size);
        let fact = Fact { offset: 0, value, block, extent, readable: extent, first: 0, proof: None };
        self.facts.record(Root::Value(value), fact);
    }

    /// Gives an access a clamped address, if it needs one.
    fn clamp_access(&mut self, inst: Inst, access: Access, here: Position<'_>) {
        let Some(index) = self.index(inst) else { return };
        let root = access.at.root;
        if let Some((distance, fact)) =
            self.facts.nearest(access.at, access.is_store, here.block, &self.dominators)
        {
            if self.sums.is_clamped(fact.value) && !self.sums.is_clamped(index) {
                self.rebase(inst, fact.value, distance);
            }
            let extent = distance + access.width;
            if fact.extent > 0 && extent > fact.extent {
                let readable = fact.readable.max(extent);
                let fact = Fact { block: here.block, extent, readable, proof: None, ..fact };
                self.facts.record(root, fact);
            }
            return;
        }
        if self.sums.is_clamped(index) {
            return;
        }
        if let Some(check) = self.check_ahead(&access, here) {
            // The address of the check may be computed later.
            let check = Check { address: self.address(check.at, index, here.block), ..check };
            let base = self.base(&check, here);
            let distance = access.at.offset.wrapping_sub(base.offset);
            self.rebase(inst, base.value, distance);
            self.faulting.push(inst);
            let extent = distance + access.width;
            let fact = Fact {
                extent: if check.or_arguments { 0 } else { extent },
                readable: extent,
                proof: None,
                ..base
            };
            return self.facts.record(root, fact);
        }
        if access.is_store
            && !self.is_caught(inst, access.width, here.block)
            && self.place(access.at, access.width, here.block) == Place::Anywhere
        {
            let offset = self.offset(inst);
            let address = self.plus(index, offset, here.block);
            let value = self.clamped(address, here.block);
            self.sums.clamp(value, access.at);
            self.rebase(inst, value, 0);
            let (offset, extent) = (access.at.offset, access.width);
            let block = here.block;
            self.facts
                .record(root, Fact { offset, value, block, extent, readable: extent, first: 0, proof: None });
        }
    }

    /// A check that is certain to follow an access and fails only if the access, through the checked address, faults.
    fn check_ahead(&self, access: &Access, here: Position<'_>) -> Option<Check> {
        let ahead = self.ahead();
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
        let sum = self.sums.get(index);
        let to = Sum { offset: sum.offset.wrapping_add(offset as u32), ..sum };
        let byte = CheckedAccess { offset: 0, width: 1, reads_arguments: false };
        let is_constant = self.func.as_const(index).is_some();
        if is_constant || self.facts.is_known(to, byte, false, block, &self.dominators) {
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

    /// Folds the comparison of a range with the size of memory if all of it is known to be in memory.
    fn fold_comparison(&mut self, inst: Inst, block: Block) {
        let InstData::Icmp { cond: Cond::GtU, ty: Type::I64, args: [end, size] } = self.func.insts[inst]
        else {
            return;
        };
        let def = |value: Value| self.func.def_inst(value).map(|inst| &self.func.insts[inst]);
        let Some(&InstData::Binary { op: BinaryOp::Add, args: [start, length], .. }) = def(end) else {
            return;
        };
        let Some(&InstData::Unary { op: UnaryOp::Zext, arg: start, .. }) = def(start) else { return };
        let Some(&InstData::Unary { op: UnaryOp::Zext | UnaryOp::Sext, arg: length, .. }) = def(length)
        else {
            return;
        };
        let is_most = self.func.as_const(size).is_some_and(|size| size >= i64::from(self.limits.limit));
        let is_narrow = [start, length].iter().all(|&value| self.func.values[value].ty == Type::I32);
        let most = self.most(length, block);
        if is_most
            && is_narrow
            && most < u64::from(CheckedAccess::OFFSETS)
            && self.place(self.sums.get(start), most as u32, block) == Place::Memory
        {
            self.func.insts[inst] = InstData::Const { ty: Type::I32, bits: 0 };
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
    pub(super) fn clamped(&mut self, address: Value, block: Block) -> Value {
        self.result.lowest = 0;
        let limit = self.constant(self.limits.limit, block);
        let args = [address, limit];
        self.append(block, InstData::Binary { op: BinaryOp::MinU, ty: Type::I32, args })
    }

    /// Loads the byte at `value + distance`, which faults if it is outside.
    pub(super) fn probe(&mut self, value: Value, distance: u32, block: Block) {
        self.result.lowest = 0;
        let addr = Addr { base: Some(self.limits.memory), index: Some(value), offset: distance as i32 };
        let flags = MemFlags { volatile: true, align_log2: 0 };
        self.append(block, InstData::Load { mem: MemType::U8, ty: Type::I32, addr, flags });
    }

    pub(super) fn constant(&mut self, bits: u32, block: Block) -> Value {
        self.append(block, InstData::Const { ty: Type::I32, bits: i64::from(bits as i32) })
    }

    /// The address `at`, by a value with the same root.
    pub(super) fn address(&mut self, at: Sum, by: Value, block: Block) -> Value {
        match at.root {
            _ if self.sums.get(by) == at => by,
            Root::Value(value) => self.plus(value, at.offset, block),
            Root::Terms(_) => self.plus(by, at.offset.wrapping_sub(self.sums.get(by).offset), block),
        }
    }

    pub(super) fn plus(&mut self, mut value: Value, mut offset: u32, block: Block) -> Value {
        while let Some(def) = self.func.def_inst(value)
            && let InstData::Binary { op: BinaryOp::Add, ty: Type::I32, args: [of, by] } =
                self.func.insts[def]
            && let Some(by) = self.func.as_const(by)
        {
            (value, offset) = (of, offset.wrapping_add(by as u32));
        }
        if offset == 0 {
            return value;
        }
        let by = self.constant(offset, block);
        self.append(block, InstData::Binary { op: BinaryOp::Add, ty: Type::I32, args: [value, by] })
    }

    /// Appends an instruction with an `i32` result to the walked part of a block.
    pub(super) fn append(&mut self, block: Block, data: InstData) -> Value {
        self.func.append_value(block, data, Type::I32)
    }

    /// Makes an access use `value + distance`.
    pub(super) fn rebase(&mut self, inst: Inst, value: Value, distance: u32) {
        if let InstData::Load { addr, .. } | InstData::Store { addr, .. } = &mut self.func.insts[inst] {
            (addr.index, addr.offset) = (Some(value), distance as i32);
        }
    }
}
