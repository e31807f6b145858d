//! Bitwise operations, bit reversal, and operations on the sign bit of floats, which need no float arithmetic.

use codegen::VReg;
use pvm_isa::Opcode;
use ssa::{BinaryOp, Type, Value};

use super::{
    Cx, any, arith, binary_temp, constant, define, immediate, single_use_binary, temp, unary_imm, unary_temp,
};
use crate::isa::Inst;

/// `a & b`: masks of low or high bits that fit no immediate become shifts, and complemented operands are free.
pub fn and(cx: &mut Cx<'_>, result: Value, ty: Type, a: Value, b: Value) {
    let (a, b) = arith::commuted(cx, a, b);
    let mask = constant(cx, b);
    if mask == Some(0xffff) {
        let (dst, src) = (cx.def_reg(result), any(cx, a));
        cx.emit(Inst::Unary { op: Opcode::ZeroExtend16, dst, src });
        return;
    }
    if let Some((first, second, count)) = mask.filter(|_| ty == Type::I64).and_then(mask_as_shifts) {
        let (dst, src) = (cx.def_reg(result), any(cx, a));
        let shifted = unary_imm(cx, first, src, count);
        cx.emit(Inst::BinaryImm { op: second, dst, src: shifted, imm: count });
        return;
    }
    let inverted = match (arith::complemented(cx, a), arith::complemented(cx, b)) {
        (_, Some(inverse)) => Some((a, inverse)),
        (Some(inverse), _) if mask.is_none() => Some((b, inverse)),
        _ => None,
    };
    match inverted {
        Some((a, b)) => two_registers(cx, result, Opcode::AndInv, a, b),
        None => arith::common(cx, result, BinaryOp::And, ty, a, b),
    }
}

/// A mask of consecutive bits from either end that fits no immediate, as two shifts by the same count.
fn mask_as_shifts(mask: i64) -> Option<(Opcode, Opcode, i32)> {
    if i32::try_from(mask).is_ok() {
        return None;
    }
    let (left, right) = (Opcode::ShloLImm64, Opcode::ShloRImm64);
    let (leading, trailing) = (mask.leading_zeros(), mask.trailing_zeros());
    if mask.count_ones() + leading == 64 && trailing == 0 {
        Some((left, right, leading as i32))
    } else if mask.count_ones() + trailing == 64 {
        Some((right, left, trailing as i32))
    } else {
        None
    }
}

/// `a | b`.
pub fn or(cx: &mut Cx<'_>, result: Value, a: Value, b: Value) {
    let (a, b) = arith::commuted(cx, a, b);
    match (arith::complemented(cx, a), arith::complemented(cx, b)) {
        (_, Some(inverse)) => two_registers(cx, result, Opcode::OrInv, a, inverse),
        (Some(inverse), _) if immediate(cx, b).is_none() => {
            two_registers(cx, result, Opcode::OrInv, b, inverse)
        }
        _ => arith::common(cx, result, BinaryOp::Or, cx.ty(result), a, b),
    }
}

/// `a ^ b`; the complement of another exclusive or is one instruction.
pub fn xor(cx: &mut Cx<'_>, result: Value, a: Value, b: Value) {
    let (a, b) = arith::commuted(cx, a, b);
    if constant(cx, b) == Some(-1)
        && let Some([c, d]) = plain_xor(cx, a)
    {
        two_registers(cx, result, Opcode::Xnor, c, d);
    } else if let Some(inverse) = arith::complemented(cx, b).filter(|_| immediate(cx, a).is_none()) {
        two_registers(cx, result, Opcode::Xnor, a, inverse);
    } else if let Some(inverse) = arith::complemented(cx, a).filter(|_| immediate(cx, b).is_none()) {
        two_registers(cx, result, Opcode::Xnor, inverse, b);
    } else {
        arith::common(cx, result, BinaryOp::Xor, cx.ty(result), a, b);
    }
}

/// The operands of an exclusive or of two registers that has only this use.
fn plain_xor(cx: &Cx<'_>, value: Value) -> Option<[Value; 2]> {
    let [c, d] = single_use_binary(cx, value, BinaryOp::Xor)?;
    let is_plain = immediate(cx, d).is_none() && cx.facts.how(value) != super::demand::How::Extend;
    is_plain.then_some([c, d])
}

fn two_registers(cx: &mut Cx<'_>, result: Value, op: Opcode, a: Value, b: Value) {
    define(cx, result, |cx, dst| {
        let (a, b) = (any(cx, a), any(cx, b));
        cx.emit(Inst::Binary { op, dst, a, b });
    });
}

/// Reverses the bits: the bytes first, then nibbles, pairs and single bits in each byte. The low half of a reversed
/// register is garbage for `i32` until the final shift.
pub fn reverse(cx: &mut Cx<'_>, result: Value, ty: Type, arg: Value) {
    const STEPS: [(i32, i64); 3] =
        [(4, 0x0f0f_0f0f_0f0f_0f0f), (2, 0x3333_3333_3333_3333), (1, 0x5555_5555_5555_5555)];
    let dst = cx.def_reg(result);
    let arg = any(cx, arg);
    let mut reg = unary_temp(cx, Opcode::ReverseBytes, arg);
    if ty == Type::I32 {
        reg = unary_imm(cx, Opcode::SharRImm64, reg, 32);
    }
    for (count, mask) in STEPS {
        reg = exchange(cx, ty, reg, count, mask);
    }
    match ty {
        Type::I32 => cx.emit(Inst::BinaryImm { op: Opcode::AddImm32, dst, src: reg, imm: 0 }),
        _ => cx.emit(Inst::copy(dst, reg)),
    }
}

/// Exchanges neighbouring groups of `count` bits; `mask` has the lower group of each pair.
fn exchange(cx: &mut Cx<'_>, ty: Type, reg: VReg, count: i32, mask: i64) -> VReg {
    let mask = if ty == Type::I32 { mask & 0xffff_ffff } else { mask };
    let masked = |cx: &mut Cx<'_>, reg| match i32::try_from(mask) {
        Ok(imm) => unary_imm(cx, Opcode::AndImm, reg, imm),
        Err(_) => {
            let mask = cx.constant_reg(Type::I64, mask);
            binary_temp(cx, Opcode::And, reg, mask)
        }
    };
    let shifted = unary_imm(cx, Opcode::ShloRImm64, reg, count);
    let high = masked(cx, shifted);
    let low = masked(cx, reg);
    let low = unary_imm(cx, Opcode::ShloLImm64, low, count);
    binary_temp(cx, Opcode::Or, low, high)
}

/// Flips the sign bit of a float.
pub fn negate_sign(cx: &mut Cx<'_>, result: Value, ty: Type, arg: Value) {
    let (dst, src) = (cx.def_reg(result), any(cx, arg));
    if ty == Type::F32 {
        cx.emit(Inst::BinaryImm { op: Opcode::XorImm, dst, src, imm: i32::MIN });
    } else {
        let sign = cx.constant_reg(Type::I64, i64::MIN);
        cx.emit(Inst::Binary { op: Opcode::Xor, dst, a: src, b: sign });
    }
}

/// Clears the sign bit of a float.
pub fn clear_sign(cx: &mut Cx<'_>, result: Value, ty: Type, arg: Value) {
    let (dst, src) = (cx.def_reg(result), any(cx, arg));
    without_sign(cx, ty, dst, src);
}

fn without_sign(cx: &mut Cx<'_>, ty: Type, dst: VReg, src: VReg) {
    if ty == Type::F32 {
        cx.emit(Inst::BinaryImm { op: Opcode::AndImm, dst, src, imm: i32::MAX });
    } else {
        let shifted = unary_imm(cx, Opcode::ShloLImm64, src, 1);
        cx.emit(Inst::BinaryImm { op: Opcode::ShloRImm64, dst, src: shifted, imm: 1 });
    }
}

/// The magnitude of `a` with the sign of `b`.
pub fn copy_sign(cx: &mut Cx<'_>, result: Value, ty: Type, a: Value, b: Value) {
    let (dst, a, b) = (cx.def_reg(result), any(cx, a), any(cx, b));
    let magnitude = temp(cx);
    without_sign(cx, ty, magnitude, a);
    let sign = match ty {
        Type::F32 => unary_imm(cx, Opcode::AndImm, b, i32::MIN),
        _ => {
            let shifted = unary_imm(cx, Opcode::ShloRImm64, b, 63);
            unary_imm(cx, Opcode::ShloLImm64, shifted, 63)
        }
    };
    cx.emit(Inst::Binary { op: Opcode::Or, dst, a: magnitude, b: sign });
}
