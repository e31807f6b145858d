//! Loads that may be from the arguments of an entry.
//!
//! All checks of addresses with one root that are certain to follow each other become one, of the bytes from the
//! lowest to the highest. These are loaded at their address if they are in the arguments, else at its clamp. With
//! `distance` from the start of the arguments to the last byte, the condition is `distance < length`, which an address
//! up to that many bytes below the arguments also meets. Nothing is mapped there, so the load of the lowest
//! byte faults then. It has to be certain, as has that of the highest byte, which faults beyond the end of memory;
//! where one is missing it is added.
//!
//! Loads that are certain in a function that only its wrapper calls, at constant distances from the pointer that it gets,
//! need no more than one comparison of the arguments' length, which the wrapper makes. Others of this kind are made at
//! `length < bytes ? limit : address`.

use ssa::{
    Addr, BinaryOp, Block, CheckedAccess, Cond, FuncId, Function, IdVec, InstData, MemFlags, MemType, Type,
    Value,
};

use super::ahead::{Ahead, as_check, failing_blocks};
use super::clamps::{Check, Clamper, Position};
use super::facts::Fact;
use super::linear::{Root, Sum, Sums};

/// Bytes above and below a checked address that are checked with it. Unmapped bytes before the arguments are more.
const MAX_DISTANCE: i32 = 4096;
/// The arguments, and so many bytes before and after them, are farther than this from memory.
const FAR_FROM_MEMORY: u32 = 1 << 15;
/// A block is executed often if its frequency is this multiple of the entry's.
const HOT: f32 = 2.0;

/// The bytes that an entered function is certain to load from the pointer that it gets, before anything can be seen
/// from outside, and what is known about the pointer if the arguments have so many bytes.
pub fn certain_bytes(func: &Function, check: FuncId, sums: &Sums) -> Option<(u32, Root, Fact)> {
    let entry = func.entry();
    let &pointer = func.blocks[entry].params.first()?;
    let root = Root::Value(pointer);
    let (fails, walked) = (failing_blocks(func), IdVec::filled(false, func.blocks.len()));
    let mut bytes = 0;
    let insts = &func.blocks[entry].insts;
    let _ = Ahead { fails: &fails, check, walked: &walked }.find(func, entry, insts, |inst, _| {
        if let Some((address, access)) = as_check(func, inst, check)
            && access.reads_arguments
            && let at = sums.get(address)
            && at.root == root
            && at.offset < CheckedAccess::OFFSETS
        {
            bytes = bytes.max(at.offset + access.span());
        }
        None::<()>
    });
    let fact =
        Fact { offset: 0, value: pointer, block: entry, extent: 0, readable: bytes, first: 0, proof: None };
    (bytes > 0).then_some((bytes, root, fact))
}

/// Bytes that are checked together.
struct Bytes {
    /// How far the lowest address is below that of the first check.
    below: u32,
    /// The first byte, from the lowest address.
    first: u32,
    /// The end, from the lowest address.
    end: u32,
}

impl Bytes {
    /// Adds those from `first` to `end` of an address, all in relation to the address of the first check.
    fn include(&mut self, address: i32, first: i32, end: i32) {
        let lower = (-address).max(0).unsigned_abs().saturating_sub(self.below);
        self.below += lower;
        self.first += lower;
        self.end += lower;
        let [first, end] = [first, end].map(|byte| byte.saturating_add_unsigned(self.below).unsigned_abs());
        self.first = self.first.min(first);
        self.end = self.end.max(end);
    }
}

impl Clamper<'_> {
    /// Replaces a check of bytes that may be in the arguments.
    pub(super) fn replace_argument(&mut self, check: &Check, here: Position<'_>) {
        let bytes = self.certain_together(check, here);
        let base = self.argument_base(check, here);
        let start = Sum { root: check.at.root, offset: base.offset };
        for byte in [bytes.first, bytes.end - 1] {
            let found = self.ahead().find(self.func, here.block, here.rest, |inst, block| {
                let access = self.access(inst)?;
                let distance = access.at.minus(start)?;
                let fits = if byte == bytes.first {
                    distance == byte
                } else {
                    (bytes.first..=byte).contains(&distance) && distance + access.width > byte
                };
                (fits && self.dominators.dominates(here.block, block)).then_some((inst, distance))
            });
            match found {
                Some((inst, distance)) => {
                    self.rebase(inst, base.value, distance);
                    self.faulting.push(inst);
                }
                None => self.probe(base.value, byte, here.block),
            }
        }
        self.facts.record(check.at.root, base);
    }

    /// Whether an address is near one in memory, or the program traps. Then it can't be in the arguments: from memory
    /// to them it is farther, in both directions.
    pub(super) fn is_near_memory(&self, at: Sum, here: Position<'_>) -> bool {
        let is_near = |distance: u32| (distance as i32).unsigned_abs() < FAR_FROM_MEMORY;
        let stores = || {
            self.ahead().find(self.func, here.block, here.rest, |inst, _| {
                let other = self.as_check(inst).filter(|other| !other.or_arguments)?;
                other.at.minus(at).filter(|&distance| is_near(distance))
            })
        };
        let (block, dominators) = (here.block, &self.dominators);
        self.facts.is_near_memory(at, FAR_FROM_MEMORY, block, dominators) || stores().is_some()
    }

    /// The bytes of this check, and of those with the same root that are certain to follow.
    fn certain_together(&self, check: &Check, here: Position<'_>) -> Bytes {
        let CheckedAccess { offset, .. } = check.access;
        let mut bytes = Bytes { below: 0, first: offset, end: check.access.span() };
        let _ = self.ahead().find(self.func, here.block, here.rest, |inst, _| {
            let other = self.as_check(inst).filter(|other| other.or_arguments)?;
            let distance = other.at.minus(check.at)? as i32;
            let first = distance.checked_add_unsigned(other.access.offset)?;
            if distance.abs() <= MAX_DISTANCE && first.abs_diff(offset as i32) <= MAX_DISTANCE as u32 {
                let end = first.saturating_add_unsigned(other.access.width);
                bytes.include(distance, first, end);
            }
            None::<()>
        });
        bytes
    }

    /// The lowest address that is certain to be checked with this one, as a value that is clamped unless all bytes up
    /// to the highest are in the arguments.
    pub(super) fn argument_base(&mut self, check: &Check, here: Position<'_>) -> Fact {
        let bytes = self.certain_together(check, here);
        let at = Sum { root: check.at.root, offset: check.at.offset.wrapping_sub(bytes.below) };
        let address = self.address(at, check.address, here.block);
        let value = match self.entered_pointer {
            Some(pointer) if at.root == Root::Value(pointer) && at.offset < CheckedAccess::OFFSETS => {
                self.clamp_at_start(address, at.offset + bytes.end, here.block)
            }
            _ => self.clamp_argument(address, bytes.end - 1, here.block),
        };
        self.sums.clamp(value, at);
        let Bytes { first, end: readable, .. } = bytes;
        Fact { offset: at.offset, value, block: here.block, extent: 0, readable, first, proof: None }
    }

    /// An address if the byte at a distance from it is in the arguments, else clamped.
    fn clamp_argument(&mut self, address: Value, to_last: u32, block: Block) -> Value {
        let clamped = self.clamped(address, block);
        let data = self.limits.memory;
        let offset = to_last.wrapping_sub(self.limits.arguments_start) as i32;
        let start = self.append(block, InstData::DataAddr { data, offset });
        let args = [address, start];
        let distance = self.append(block, InstData::Binary { op: BinaryOp::Add, ty: Type::I32, args });
        let length = self.argument_length(block);
        let args = [distance, length];
        let inside = self.append(block, InstData::Icmp { cond: Cond::LtU, ty: Type::I32, args });
        let (if_true, if_false) = (address, clamped);
        self.append(block, InstData::Select { ty: Type::I32, cond: inside, if_true, if_false })
    }

    /// An address in the arguments if they have so many bytes, else the limit.
    fn clamp_at_start(&mut self, address: Value, bytes: u32, block: Block) -> Value {
        let length = self.argument_length(block);
        let args = [length, self.constant(bytes, block)];
        let is_less = InstData::Icmp { cond: Cond::LtU, ty: Type::I32, args };
        let is_less = self.append(block, is_less);
        let limit = self.constant(self.limits.limit, block);
        let (if_true, if_false) = (limit, address);
        self.append(block, InstData::Select { ty: Type::I32, cond: is_less, if_true, if_false })
    }

    /// The length of the arguments. It is loaded at the function's entry if a block is executed often: it doesn't
    /// change while code of the module runs.
    fn argument_length(&mut self, block: Block) -> Value {
        let entry = self.func.entry();
        if let Some((value, at)) = self.argument_length.filter(|&(_, at)| at == entry || at == block) {
            debug_assert!(self.dominators.dominates(at, block), "entries dominate all blocks");
            return value;
        }
        let addr = Addr { base: self.limits.arguments, index: None, offset: 0 };
        let flags = MemFlags { volatile: false, align_log2: 2 };
        let load = InstData::Load { mem: MemType::S32, ty: Type::I32, addr, flags };
        if block == entry || self.func.blocks[block].freq <= HOT * self.func.blocks[entry].freq {
            let value = self.append(block, load);
            self.argument_length = Some((value, block));
            return value;
        }
        let inst = self.func.make_inst(load, &[Type::I32]);
        self.func.blocks[entry].insts.insert(0, inst);
        let value = self.func.result(inst);
        self.argument_length = Some((value, entry));
        value
    }
}
