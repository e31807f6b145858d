//! Addressing: `base + index + offset` as an operand of a load or store.
//!
//! Addresses are computed modulo 2^32, so constants of any sign that are added to the index move into the offset. The
//! rest is matched with the machine's operands: a register plus a constant from -255 to 4095, a register plus another
//! one shifted by up to 3, or a stack slot. The wasm address of a stack object is its machine address minus the base of
//! linear memory, so the base cancels in accesses to it.

use codegen::{StackSlot, VReg};
use ssa::{Addr, BinaryOp, DataId, InstData, Value};
use thumb_isa::{Opcode, Shift};

use super::{Cx, WordSource, arith, constant, reg, source, temp, word};
use crate::isa::inst::{Base, Inst, add_imm, alu_reg};

/// The operand of a load or store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mem {
    /// A register plus a constant.
    Offset(VReg, i32),
    /// A register plus a shifted register.
    Index(VReg, VReg, u32),
    /// The base register plus a register.
    BaseIndex(VReg),
    /// The base register plus a constant.
    BaseOffset(i32),
    /// A slot of the frame.
    Slot(StackSlot),
}

/// The offsets that an access can have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reach {
    /// The lowest.
    pub min: i32,
    /// The highest.
    pub max: i32,
    /// Distance between neighbouring offsets, a power of two.
    pub step: i32,
    /// Whether a second register can be added.
    pub indexed: bool,
}

impl Reach {
    /// Integer accesses of a word or less.
    pub const WORD: Self = Self { min: -255, max: 4095, step: 1, indexed: true };
    /// Two accesses to neighbouring words of a core without the main extension.
    pub const NARROW_WORDS: Self = Self { min: 0, max: 120, step: 4, indexed: false };
    /// Two accesses to neighbouring words.
    pub const TWO_WORDS: Self = Self { min: -255, max: 4091, step: 1, indexed: false };
    /// An access of a double word.
    pub const DUAL: Self = Self { min: -1020, max: 1020, step: 4, indexed: false };
    /// Float accesses.
    pub const FLOAT: Self = Self { min: -1020, max: 1020, step: 4, indexed: false };

    /// The accesses to `bytes` bytes, at most a word, of a core without the main extension.
    pub const fn narrow(bytes: u32) -> Self {
        let step = bytes as i32;
        Self { min: 0, max: 31 * step, step, indexed: true }
    }

    const fn contains(self, offset: i32) -> bool {
        self.min <= offset && offset <= self.max && offset & (self.step - 1) == 0
    }

    /// A reachable offset such that the rest of `offset` is likely to be a short constant.
    const fn low_part(self, offset: i32) -> i32 {
        let mask = self.max.unsigned_abs().next_power_of_two() as i32 - 1;
        let low = offset & mask & -self.step;
        if self.contains(low) { low } else { 0 }
    }
}

/// The operand for an address.
pub fn operand(cx: &mut Cx<'_>, addr: &Addr, reach: Reach) -> Mem {
    let mut sum = Sum { base: addr.base, index: addr.index, offset: addr.offset };
    sum.fold(cx);
    if let Some(slot) = sum.frame_slot(cx) {
        return Mem::Slot(slot);
    }
    match (sum.base.and_then(|data| cx.target.base_of(data)), sum.index) {
        (None, None) => absolute(cx, sum.offset, reach),
        (None, Some(index)) => indexed(cx, index, sum.offset, reach),
        (Some(Base::Data(data)), None) => symbol(cx, data, sum.offset, reach),
        (Some(Base::Data(data)), Some(index)) => symbol_indexed(cx, data, index, sum.offset, reach),
        (Some(Base::Register), index) => from_register(cx, index, sum.offset, reach),
    }
}

/// The parts of a sum.
struct Sum {
    base: Option<DataId>,
    index: Option<Value>,
    offset: i32,
}

impl Sum {
    /// Moves constants and a symbol from the index to their places.
    fn fold(&mut self, cx: &Cx<'_>) {
        while let Some(value) = self.index {
            if let WordSource::Imm(imm) = source(cx, value) {
                self.offset = self.offset.wrapping_add(imm as i32);
                self.index = None;
            } else if let Some((rest, imm)) = split_constant(cx, value)
                && !replaces(cx, value, rest)
            {
                self.offset = self.offset.wrapping_add(imm);
                self.index = Some(rest);
            } else if let Some((data, offset, rest)) = self.split_symbol(cx, value) {
                self.base = Some(data);
                self.offset = self.offset.wrapping_add(offset);
                self.index = rest;
            } else {
                break;
            }
        }
    }

    /// The address of a data object in the index, if the sum has no base yet.
    fn split_symbol(&self, cx: &Cx<'_>, value: Value) -> Option<(DataId, i32, Option<Value>)> {
        if self.base.is_some() {
            return None;
        }
        let symbol = |value: Value| match cx.def(value) {
            Some(&InstData::DataAddr { data, offset }) => Some((data, offset)),
            _ => None,
        };
        if let Some((data, offset)) = symbol(value) {
            return Some((data, offset, None));
        }
        let [a, b] = super::single_use_binary(cx, value, BinaryOp::Add)?;
        let found = symbol(a).map(|found| (found, b)).or_else(|| Some((symbol(b)?, a)));
        found.map(|((data, offset), rest)| (data, offset, Some(rest)))
    }

    /// The stack object that contains the address, if its wasm address is used as one.
    fn frame_slot(&self, cx: &Cx<'_>) -> Option<StackSlot> {
        let (slot, base) = frame_address(cx, self.index?, self.offset)?;
        let counts_from = self.base.and_then(|data| cx.target.base_of(data));
        (counts_from == base).then_some(slot)
    }
}

/// Whether an address should use the register of a sum with a constant instead of the one of its other operand `rest`:
/// the sum is needed in a register anyway, and `rest` isn't. An example is a pointer that is incremented.
fn replaces(cx: &Cx<'_>, sum: Value, rest: Value) -> bool {
    let is_free = |data: &InstData| codegen::Remat::of(data).is_some();
    cx.is_needed(sum)
        && !cx.is_needed(rest)
        && !cx.def(rest).is_some_and(is_free)
        && frame_address(cx, rest, 0).is_none()
}

/// The slot at a value plus `offset`, and the base that its address is relative to.
pub fn frame_address(cx: &Cx<'_>, value: Value, offset: i32) -> Option<(StackSlot, Option<Base>)> {
    match *cx.def(value)? {
        InstData::FrameAddr { slot } => Some((StackSlot::Object { slot, offset }, cx.target.memory_base())),
        InstData::Binary { op: BinaryOp::Add, args: [a, b], .. } => match source(cx, b).imm() {
            Some(imm) => frame_address(cx, a, offset.wrapping_add(imm as i32)),
            None => match frame_sum(cx, [a, b])? {
                StackSlot::Object { slot, offset: start } => {
                    Some((StackSlot::Object { slot, offset: offset.wrapping_add(start) }, None))
                }
                _ => None,
            },
        },
        _ => None,
    }
}

/// The slot whose machine address is the sum of linear memory's base and the wasm address of a stack object.
pub fn frame_sum(cx: &Cx<'_>, [base, address]: [Value; 2]) -> Option<StackSlot> {
    let &InstData::FrameAddr { slot } = cx.def(address)? else { return None };
    let &InstData::DataAddr { data, offset } = cx.def(base)? else { return None };
    (cx.target.linear_memory == Some(data)).then_some(StackSlot::Object { slot, offset })
}

/// The summands of a value that is a sum with a constant.
fn split_constant(cx: &Cx<'_>, value: Value) -> Option<(Value, i32)> {
    let InstData::Binary { op, args: [a, b], .. } = *cx.pure_def(value)? else { return None };
    let imm = source(cx, b).imm()? as i32;
    match op {
        BinaryOp::Add => Some((a, imm)),
        BinaryOp::Sub => Some((a, imm.wrapping_neg())),
        _ => None,
    }
}

fn absolute(cx: &mut Cx<'_>, offset: i32, reach: Reach) -> Mem {
    let low = reach.low_part(offset);
    Mem::Offset(constant(cx, offset.wrapping_sub(low) as u32), low)
}

fn indexed(cx: &mut Cx<'_>, index: Value, offset: i32, reach: Reach) -> Mem {
    if reach.contains(offset) {
        if offset == 0
            && reach.indexed
            && let Some((a, b, scale)) = two_registers(cx, index)
        {
            return Mem::Index(a, b, scale);
        }
        return Mem::Offset(word(cx, index), offset);
    }
    let low = reach.low_part(offset);
    let high = offset.wrapping_sub(low) as u32;
    let index = word(cx, index);
    if reach.indexed && !crate::isa::immediate::fits_add(high) {
        let offset = constant(cx, offset as u32);
        return Mem::Index(index, offset, 0);
    }
    let sum = temp(cx);
    if crate::isa::immediate::fits_add(high) {
        cx.emit(add_imm(sum, index, high));
    } else {
        let high = constant(cx, high);
        cx.emit(alu_reg(Opcode::AddReg, sum, index, high, Shift::NONE));
    }
    Mem::Offset(sum, low)
}

/// The operands of an address that is the sum of a register and a shifted register.
fn two_registers(cx: &mut Cx<'_>, index: Value) -> Option<(VReg, VReg, u32)> {
    let [a, b] = super::single_use_binary(cx, index, BinaryOp::Add)?;
    for (plain, other) in [(a, b), (b, a)] {
        if let Some((arg, Shift::Lsl(scale @ 1..=3))) = arith::shifted(cx, other) {
            return Some((word(cx, plain), word(cx, arg), u32::from(scale)));
        }
    }
    Some((word(cx, a), word(cx, b), 0))
}

fn symbol(cx: &mut Cx<'_>, data: DataId, offset: i32, reach: Reach) -> Mem {
    let is_memory = cx.target.linear_memory == Some(data);
    // Neighbouring places share an anchor; a single object is its own.
    let low = match (is_memory, reach.contains(offset)) {
        (false, true) => offset,
        _ => reach.low_part(offset),
    };
    let base = cx.remat(codegen::Remat::Data(data, offset.wrapping_sub(low))).single();
    Mem::Offset(base, low)
}

fn symbol_indexed(cx: &mut Cx<'_>, data: DataId, index: Value, offset: i32, reach: Reach) -> Mem {
    if reach.indexed {
        let base = cx.remat(codegen::Remat::Data(data, offset)).single();
        if let Some((arg, Shift::Lsl(scale @ 1..=3))) = arith::shifted(cx, index) {
            return Mem::Index(base, word(cx, arg), u32::from(scale));
        }
        return Mem::Index(base, word(cx, index), 0);
    }
    let low = if reach.contains(offset) { offset } else { 0 };
    let base = cx.remat(codegen::Remat::Data(data, offset.wrapping_sub(low))).single();
    let sum = temp(cx);
    let (index, shift) = match arith::shifted(cx, index) {
        Some((arg, shift)) => (word(cx, arg), shift),
        None => (word(cx, index), Shift::NONE),
    };
    cx.emit(alu_reg(Opcode::AddReg, sum, base, index, shift));
    Mem::Offset(sum, low)
}

fn from_register(cx: &mut Cx<'_>, index: Option<Value>, offset: i32, reach: Reach) -> Mem {
    let Some(index) = index else {
        if reach.contains(offset) && cx.target.cpu.has_main() {
            return Mem::BaseOffset(offset);
        }
        let low = reach.low_part(offset);
        let sum = temp(cx);
        let high = constant(cx, offset.wrapping_sub(low) as u32);
        cx.emit(Inst::FromBase { dst: sum, src: Some(high), offset: 0 });
        return Mem::Offset(sum, low);
    };
    if offset == 0 && reach.indexed && cx.target.cpu.has_main() {
        return Mem::BaseIndex(word(cx, index));
    }
    let source = source(cx, index);
    let index = reg(cx, source);
    let low = if reach.contains(offset) { offset } else { reach.low_part(offset) };
    let mut sum = index;
    if offset != low {
        sum = temp(cx);
        arith::add_constant(cx, sum, source, offset.wrapping_sub(low) as u32);
    }
    let address = temp(cx);
    cx.emit(Inst::FromBase { dst: address, src: Some(sum), offset: 0 });
    Mem::Offset(address, low)
}
