//! Arithmetic and logic on one word.

use std::collections::BTreeSet;

use codegen::VReg;
use ssa::{BinaryOp, Function, InstData, Type, Value};
use thumb_isa::{Cond, Opcode, Shift};

use super::{
    Cx, WordSource, address, assign, bits, constant, reg, select, shift, single_use_binary, source, temp,
    word,
};
use crate::isa::MemoryMode;
use crate::isa::condition::{Compare, Src, Test};
use crate::isa::immediate::{fits_add, is_modified};
use crate::isa::inst::{Inst, Machine, add_imm, alu_imm, alu_reg, reg3_s, shift_imm};

/// Selects a binary operation on words.
pub fn binary(cx: &mut Cx<'_>, result: Value, op: BinaryOp, args: [Value; 2]) {
    let dst = cx.def_reg(result);
    if cx.target.cpu.has_main() && (select::joined(cx, dst, op, args) || predicated(cx, dst, op, args)) {
        return;
    }
    match op {
        BinaryOp::Add => add(cx, dst, args),
        BinaryOp::Sub => sub(cx, dst, args),
        BinaryOp::Mul => mul(cx, dst, args),
        BinaryOp::MulhS | BinaryOp::MulhU => {
            let low = temp(cx);
            mul_long(cx, op == BinaryOp::MulhS, [low, dst], args.map(|arg| source(cx, arg)));
        }
        BinaryOp::DivS | BinaryOp::DivU => {
            let [a, b] = args.map(|arg| word(cx, arg));
            cx.emit(divide(op == BinaryOp::DivS, dst, a, b));
        }
        BinaryOp::RemS | BinaryOp::RemU => {
            let [a, b] = args.map(|arg| word(cx, arg));
            let quotient = temp(cx);
            cx.emit(divide(op == BinaryOp::RemS, quotient, a, b));
            cx.emit(Inst::Plain(Machine::reg4(Opcode::Mls, dst, quotient, b, a)));
        }
        BinaryOp::And | BinaryOp::Or | BinaryOp::Xor => bitwise(cx, dst, op, args),
        BinaryOp::Shl | BinaryOp::ShrS | BinaryOp::ShrU | BinaryOp::Rotl | BinaryOp::Rotr => {
            shift::shift(cx, dst, op, args);
        }
        BinaryOp::MinS | BinaryOp::MaxS | BinaryOp::MinU | BinaryOp::MaxU => extremum(cx, dst, op, args),
        _ => panic!("{}: {op} computes floats", cx.func.name),
    }
}

fn predicated(cx: &mut Cx<'_>, dst: VReg, op: BinaryOp, args: [Value; 2]) -> bool {
    matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Or | BinaryOp::Xor)
        && select::predicated(cx, dst, op, args)
}

const fn divide(signed: bool, dst: VReg, a: VReg, b: VReg) -> Inst<VReg> {
    let op = if signed { Opcode::Sdiv } else { Opcode::Udiv };
    Inst::Plain(Machine::Reg3 { op, rd: dst, rn: a, rm: b })
}

/// `dst[1]:dst[0] = a * b`, the full product.
pub fn mul_long(cx: &mut Cx<'_>, signed: bool, dst: [VReg; 2], [a, b]: [WordSource; 2]) {
    let op = if signed { Opcode::Smull } else { Opcode::Umull };
    let (a, b) = (reg(cx, a), reg(cx, b));
    cx.emit(Inst::Plain(Machine::mul_long(op, dst[0], dst[1], a, b)));
}

/// The operands of a register shifted by a constant, if this is its only use or all its uses take shifted operands.
pub fn shifted(cx: &Cx<'_>, value: Value) -> Option<(Value, Shift)> {
    if !cx.target.cpu.has_main() {
        return None;
    }
    let InstData::Binary { op, args: [arg, count], .. } = *cx.pure_def(value)? else { return None };
    if !cx.has_one_use(value) && !cx.facts.operands.contains(&value) {
        return None;
    }
    let count = u8::try_from(cx.constant(count)?).ok().filter(|count| (1..32).contains(count))?;
    let shift = match op {
        BinaryOp::Shl => Shift::Lsl(count),
        BinaryOp::ShrU => Shift::Lsr(count),
        BinaryOp::ShrS => Shift::Asr(count),
        BinaryOp::Rotr => Shift::Ror(count),
        BinaryOp::Rotl => Shift::Ror(32 - count),
        _ => return None,
    };
    Some((arg, shift))
}

fn add(cx: &mut Cx<'_>, dst: VReg, [a, b]: [Value; 2]) {
    if let Some(slot) = address::frame_sum(cx, [a, b]) {
        cx.emit(Inst::SlotAddr { dst, slot, base: None });
        return;
    }
    match [source(cx, a), source(cx, b)] {
        [a, WordSource::Imm(imm)] | [WordSource::Imm(imm), a] => return add_constant(cx, dst, a, imm),
        _ => {}
    }
    for (other, base) in [(a, b), (b, a)] {
        if add_to_base(cx, dst, other, base) {
            return;
        }
    }
    for (addend, product) in [(a, b), (b, a)] {
        if let Some(factors) = single_use_binary(cx, product, BinaryOp::Mul)
            && factors.iter().all(|&factor| source(cx, factor).imm().is_none())
        {
            let [n, m] = factors.map(|factor| word(cx, factor));
            let addend = word(cx, addend);
            cx.emit(Inst::Plain(Machine::reg4(Opcode::Mla, dst, n, m, addend)));
            return;
        }
    }
    commutative(cx, dst, Opcode::AddReg, [a, b]);
}

/// `dst = other + base`, if `base` is the address of linear memory and a dedicated register holds it.
fn add_to_base(cx: &mut Cx<'_>, dst: VReg, other: Value, base: Value) -> bool {
    let Some(&InstData::DataAddr { data, offset: 0 }) = cx.def(base) else { return false };
    if cx.target.memory != MemoryMode::Register || cx.target.linear_memory != Some(data) {
        return false;
    }
    let src = word(cx, other);
    cx.emit(Inst::FromBase { dst, src: Some(src), offset: 0 });
    true
}

/// `dst = a + imm`.
pub fn add_constant(cx: &mut Cx<'_>, dst: VReg, a: WordSource, imm: u32) {
    if let Some(value) = a.imm() {
        assign(cx, dst, WordSource::Imm(value.wrapping_add(imm)));
        return;
    }
    if imm == 0 {
        assign(cx, dst, a);
        return;
    }
    if let WordSource::Word(value) = a
        && let Some((slot, base)) = address::frame_address(cx, value, imm as i32)
    {
        cx.emit(Inst::SlotAddr { dst, slot, base });
        return;
    }
    let a = reg(cx, a);
    if fits_add(imm) {
        cx.emit(add_imm(dst, a, imm));
    } else {
        let b = constant(cx, imm);
        cx.emit(alu_reg(Opcode::AddReg, dst, a, b, Shift::NONE));
    }
}

/// `op dst, a, b`, with either operand shifted.
fn commutative(cx: &mut Cx<'_>, dst: VReg, op: Opcode, [a, b]: [Value; 2]) {
    for (plain, other) in [(a, b), (b, a)] {
        if let Some((arg, shift)) = shifted(cx, other) {
            let (n, m) = (word(cx, plain), word(cx, arg));
            cx.emit(alu_reg(op, dst, n, m, shift));
            return;
        }
    }
    let (n, m) = (word(cx, a), word(cx, b));
    cx.emit(alu_reg(op, dst, n, m, Shift::NONE));
}

fn sub(cx: &mut Cx<'_>, dst: VReg, [a, b]: [Value; 2]) {
    if source(cx, a) == WordSource::Imm(0) && select::mask(cx, dst, b) {
        return;
    }
    match [source(cx, a), source(cx, b)] {
        [left, WordSource::Imm(imm)] => return add_constant(cx, dst, left, imm.wrapping_neg()),
        [WordSource::Imm(imm), _] if is_modified(imm) => {
            let src = word(cx, b);
            cx.emit(alu_imm(Opcode::RsbImm, dst, src, imm));
            return;
        }
        _ => {}
    }
    if let Some(factors) = single_use_binary(cx, b, BinaryOp::Mul) {
        let [n, m] = factors.map(|factor| word(cx, factor));
        let from = word(cx, a);
        cx.emit(Inst::Plain(Machine::reg4(Opcode::Mls, dst, n, m, from)));
    } else if let Some((arg, shift)) = shifted(cx, b) {
        let (n, m) = (word(cx, a), word(cx, arg));
        cx.emit(alu_reg(Opcode::SubReg, dst, n, m, shift));
    } else if let Some((arg, shift)) = shifted(cx, a) {
        let (n, m) = (word(cx, b), word(cx, arg));
        cx.emit(alu_reg(Opcode::RsbReg, dst, n, m, shift));
    } else {
        let (n, m) = (word(cx, a), word(cx, b));
        cx.emit(alu_reg(Opcode::SubReg, dst, n, m, Shift::NONE));
    }
}

fn mul(cx: &mut Cx<'_>, dst: VReg, [a, b]: [Value; 2]) {
    match [source(cx, a), source(cx, b)] {
        [factor, WordSource::Imm(imm)] | [WordSource::Imm(imm), factor] => mul_constant(cx, dst, factor, imm),
        [n, m] => {
            let (n, m) = (reg(cx, n), reg(cx, m));
            cx.emit(reg3_s(Opcode::Mul, dst, n, m));
        }
    }
}

/// `dst = a * imm`, by one operation with a shifted operand where `imm` is next to a power of two.
fn mul_constant(cx: &mut Cx<'_>, dst: VReg, a: WordSource, imm: u32) {
    let n = reg(cx, a);
    let below = imm.wrapping_sub(1);
    let above = imm.wrapping_add(1);
    if imm.is_power_of_two() && imm > 1 {
        cx.emit(shift_imm(Opcode::LslImm, dst, n, imm.trailing_zeros()));
    } else if below.is_power_of_two() && imm > 2 {
        let shift = Shift::Lsl(below.trailing_zeros() as u8);
        cx.emit(alu_reg(Opcode::AddReg, dst, n, n, shift));
    } else if above.is_power_of_two() && imm > 1 {
        let shift = Shift::Lsl(above.trailing_zeros() as u8);
        cx.emit(alu_reg(Opcode::RsbReg, dst, n, n, shift));
    } else {
        let m = constant(cx, imm);
        cx.emit(reg3_s(Opcode::Mul, dst, n, m));
    }
}

fn bitwise(cx: &mut Cx<'_>, dst: VReg, op: BinaryOp, [a, b]: [Value; 2]) {
    match [source(cx, a), source(cx, b)] {
        [other, WordSource::Imm(imm)] | [WordSource::Imm(imm), other] => {
            let is_field = op == BinaryOp::And
                && (bits::field_of(cx, dst, other, imm) || bits::shifted_field_of(cx, dst, other, imm));
            if is_field {
                return;
            }
            return bitwise_constant(cx, dst, op, other, imm);
        }
        _ => {}
    }
    if op == BinaryOp::Or && cx.target.cpu.has_main() && bits::insert(cx, dst, [a, b]) {
        return;
    }
    if op != BinaryOp::Xor {
        for (plain, other) in [(a, b), (b, a)] {
            if let Some(inner) = inverted(cx, other) {
                let inverting = if op == BinaryOp::And { Opcode::BicReg } else { Opcode::OrnReg };
                let (n, m) = (word(cx, plain), word(cx, inner));
                cx.emit(alu_reg(inverting, dst, n, m, Shift::NONE));
                return;
            }
        }
    }
    commutative(cx, dst, bitwise_opcode(op), [a, b]);
}

/// The opcode of a bitwise operation on registers.
pub const fn bitwise_opcode(op: BinaryOp) -> Opcode {
    match op {
        BinaryOp::And => Opcode::AndReg,
        BinaryOp::Or => Opcode::OrrReg,
        _ => Opcode::EorReg,
    }
}

/// The operand whose complement `value` is, if `value` has only this use.
fn inverted(cx: &Cx<'_>, value: Value) -> Option<Value> {
    let [a, b] = single_use_binary(cx, value, BinaryOp::Xor)?;
    (source(cx, b) == WordSource::Imm(u32::MAX)).then_some(a)
}

/// `dst = a op imm` for a bitwise operation.
pub fn bitwise_constant(cx: &mut Cx<'_>, dst: VReg, op: BinaryOp, a: WordSource, imm: u32) {
    if let Some(source) = super::logic_identity(op, a, WordSource::Imm(imm)) {
        assign(cx, dst, source);
        return;
    }
    let (imm_op, inverse_op) = match op {
        BinaryOp::And => (Opcode::AndImm, Some(Opcode::BicImm)),
        BinaryOp::Or => (Opcode::OrrImm, Some(Opcode::OrnImm)),
        _ => (Opcode::EorImm, None),
    };
    let n = reg(cx, a);
    if op == BinaryOp::Xor && imm == u32::MAX {
        cx.emit(Inst::Plain(Machine::mov_shifted(Opcode::MvnReg, false, dst, n, Shift::NONE)));
    } else if cx.target.cpu.has_main() && op == BinaryOp::And && bits::mask(cx, dst, n, imm) {
    } else if is_modified(imm) || !cx.target.cpu.has_main() {
        cx.emit(alu_imm(imm_op, dst, n, imm));
    } else if let Some(inverse_op) = inverse_op.filter(|_| is_modified(!imm)) {
        cx.emit(alu_imm(inverse_op, dst, n, !imm));
    } else {
        let m = constant(cx, imm);
        cx.emit(alu_reg(bitwise_opcode(op), dst, n, m, Shift::NONE));
    }
}

/// `dst = op a, b` for a bitwise operation on two words.
pub fn bitwise_sources(cx: &mut Cx<'_>, dst: VReg, op: BinaryOp, a: WordSource, b: WordSource) {
    match (a, b) {
        (other, WordSource::Imm(imm)) | (WordSource::Imm(imm), other) => {
            bitwise_constant(cx, dst, op, other, imm)
        }
        _ => {
            let (n, m) = (reg(cx, a), reg(cx, b));
            cx.emit(alu_reg(bitwise_opcode(op), dst, n, m, Shift::NONE));
        }
    }
}

/// A minimum of a maximum, or the reverse, that limits a signed number to the range of numbers with a certain number of
/// bits: the number, the opcode and the bits.
fn saturation(cx: &Cx<'_>, op: BinaryOp, [a, b]: [Value; 2]) -> Option<(Value, Opcode, u32)> {
    let InstData::Binary { op: inner, args: [value, other], .. } = *cx.pure_def(a)? else { return None };
    if !cx.target.cpu.has_main() {
        return None;
    }
    let (outer_bound, inner_bound) = (source(cx, b).imm()? as i32, source(cx, other).imm()? as i32);
    let (low, high) = match (op, inner) {
        (BinaryOp::MinS, BinaryOp::MaxS) => (inner_bound, outer_bound),
        (BinaryOp::MinU, BinaryOp::MaxS) if inner_bound == 0 => (inner_bound, outer_bound),
        (BinaryOp::MaxS, BinaryOp::MinS) => (outer_bound, inner_bound),
        _ => return None,
    };
    let above = high.checked_add(1).filter(|above| above.count_ones() == 1 && *above > 0)?;
    let bits = above.trailing_zeros();
    match low {
        0 => Some((value, Opcode::Usat, bits)),
        _ if low == -above => Some((value, Opcode::Ssat, bits + 1)),
        _ => None,
    }
}

/// The constants that several minima and maxima of words have as a bound.
pub fn shared_bounds(func: &Function) -> BTreeSet<u32> {
    let bound = |&inst: &ssa::Inst| match func.insts[inst] {
        InstData::Binary {
            op: BinaryOp::MinS | BinaryOp::MaxS | BinaryOp::MinU | BinaryOp::MaxU,
            ty: Type::I32,
            args: [_, b],
        } => func.as_const(b).map(|bits| bits as u32),
        _ => None,
    };
    let (mut seen, mut shared) = (BTreeSet::new(), BTreeSet::new());
    for imm in func.blocks.values().flat_map(|block| &block.insts).filter_map(bound) {
        if !seen.insert(imm) {
            shared.insert(imm);
        }
    }
    shared
}

fn extremum(cx: &mut Cx<'_>, dst: VReg, op: BinaryOp, [a, b]: [Value; 2]) {
    if let Some((value, op, bits)) = saturation(cx, op, [a, b]) {
        let rn = word(cx, value);
        cx.emit(Inst::Plain(Machine::saturate(op, dst, bits, rn)));
        return;
    }
    let cond = match op {
        BinaryOp::MinS => Cond::Lt,
        BinaryOp::MaxS => Cond::Gt,
        BinaryOp::MinU => Cond::Lo,
        _ => Cond::Hi,
    };
    if let WordSource::Imm(imm) = source(cx, b) {
        let a = word(cx, a);
        // Both instructions are short with a register, and several pairs of them share it.
        let is_shared = cx.for_size() && imm > 0xff && cx.facts.bounds.contains(&imm);
        let compare = match is_shared {
            true => Compare::regs(Opcode::CmpReg, a, constant(cx, imm), Shift::NONE),
            false => super::compare::with_constant(cx, a, imm),
        };
        // A constant that the comparison needs in a register is available there.
        let in_register = is_shared || !crate::isa::immediate::fits_compare(imm);
        let if_false = match in_register {
            true => Src::Reg(constant(cx, imm)),
            false => super::src(cx, WordSource::Imm(imm), crate::isa::immediate::fits_select),
        };
        cx.emit(Inst::Select { test: Test { cond, compare }, dst, if_true: Src::Reg(a), if_false });
        return;
    }
    let (a, b) = (word(cx, a), word(cx, b));
    let compare = Compare::regs(Opcode::CmpReg, a, b, Shift::NONE);
    cx.emit(Inst::Select { test: Test { cond, compare }, dst, if_true: Src::Reg(a), if_false: Src::Reg(b) });
}
