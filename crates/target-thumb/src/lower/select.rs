//! Selects, and comparisons whose result is needed as a number.

use codegen::VReg;
use ssa::{BinaryOp, Cond as SsaCond, InstData, Type, Value};
use thumb_isa::{Cond, Opcode, Shift};

use super::{Cx, WordSource, bits, compare, half, halves, is_in_core, reg, source, src, temp, word};
use crate::isa::condition::{Compare, Src, Test, Word};
use crate::isa::immediate::{fits_select, is_modified};
use crate::isa::inst::{Inst, Machine, alu_imm, alu_reg, shift_imm};

/// Selects a `select`.
pub fn select(cx: &mut Cx<'_>, result: Value, cond: Value, if_true: Value, if_false: Value) {
    let test = compare::test(cx, cond);
    let ty = cx.ty(result);
    if !is_in_core(cx, ty) {
        let dst = cx.def_reg(result);
        let (if_true, if_false) = (cx.reg(if_true), cx.reg(if_false));
        cx.emit(Inst::SelectFloat { test, double: ty == Type::F64, dst, if_true, if_false });
    } else if ty.bits() == 32 {
        let dst = cx.def_reg(result);
        let [if_true, if_false] = [if_true, if_false].map(|value| source(cx, value));
        one_word(cx, test, dst, if_true, if_false);
    } else {
        let dst = cx.def_regs(result).pair();
        let [if_true, if_false] = [if_true, if_false].map(|value| halves(cx, value));
        pair(cx, test, dst, if_true, if_false);
    }
}

fn one_word(cx: &mut Cx<'_>, test: Test<VReg>, dst: VReg, if_true: WordSource, if_false: WordSource) {
    let if_true = known(test, if_true).unwrap_or_else(|| src(cx, if_true, fits_select));
    let if_false = known(test.invert(), if_false).unwrap_or_else(|| src(cx, if_false, fits_select));
    cx.emit(Inst::Select { test, dst, if_true, if_false });
}

/// A register that holds the constant `source` whenever a test holds, if there is one.
fn known(test: Test<VReg>, source: WordSource) -> Option<Src<VReg>> {
    match test {
        Test { cond: Cond::Eq, compare: Compare::Word(Word::Imm { op: Opcode::CmpImm, a, imm }) } => {
            (source == WordSource::Imm(imm)).then_some(Src::Reg(a))
        }
        Test { cond: Cond::Eq, compare: Compare::Word(Word::Imm { op: Opcode::CmnImm, a, imm }) } => {
            (source == WordSource::Imm(imm.wrapping_neg())).then_some(Src::Reg(a))
        }
        _ => None,
    }
}

fn pair(
    cx: &mut Cx<'_>,
    test: Test<VReg>,
    dst: [VReg; 2],
    if_true: [WordSource; 2],
    if_false: [WordSource; 2],
) {
    // A word with the same source on both sides needs no select.
    for (same, other) in [(0, 1), (1, 0)] {
        if if_true[same] == if_false[same] {
            one_word(cx, test, dst[other], if_true[other], if_false[other]);
            super::assign(cx, dst[same], if_true[same]);
            return;
        }
    }
    let if_true = if_true.map(|source| src(cx, source, fits_select));
    let if_false = if_false.map(|source| src(cx, source, fits_select));
    cx.emit(Inst::SelectPair { test, dst, if_true, if_false });
}

/// Selects a comparison whose result is needed as 0 or 1.
pub fn boolean(cx: &mut Cx<'_>, result: Value) {
    let dst = cx.def_reg(result);
    if sign(cx, dst, result) {
        return;
    }
    let test = compare::test(cx, result);
    match test {
        _ if !cx.target.cpu.has_main() => {
            cx.emit(Inst::Select { test, dst, if_true: Src::Imm(1), if_false: Src::Imm(0) });
        }
        Test { cond: Cond::Eq, compare: Compare::Word(Word::Imm { op: Opcode::CmpImm, a, imm: 0 }) } => {
            bits::is_zero(cx, dst, a)
        }
        Test { cond: Cond::Ne, compare: Compare::Word(compare) } => differs(cx, dst, compare),
        _ => cx.emit(Inst::Select { test, dst, if_true: Src::Imm(1), if_false: Src::Imm(0) }),
    }
}

/// `dst` = 1 if the operands of a comparison differ, else 0: the difference itself is that 0.
fn differs(cx: &mut Cx<'_>, dst: VReg, compare: Word<VReg>) {
    let mut difference = temp(cx);
    match compare {
        Word::Imm { op: Opcode::CmpImm, a, imm: 0 } => difference = a,
        Word::Imm { op, a, imm } => cx.emit(alu_imm(computing(op)[0], difference, a, imm)),
        Word::Reg { op, a, b, shift } => cx.emit(alu_reg(computing(op)[1], difference, a, b, shift)),
    }
    let compare = Compare::imm(Opcode::CmpImm, difference, 0);
    let test = Test { cond: Cond::Ne, compare };
    cx.emit(Inst::Select { test, dst, if_true: Src::Imm(1), if_false: Src::Reg(difference) });
}

/// The opcodes that compute the number which a comparison compares with 0: with a constant and with a register.
fn computing(op: Opcode) -> [Opcode; 2] {
    match op {
        Opcode::CmpImm | Opcode::CmpReg => [Opcode::SubImm, Opcode::SubReg],
        Opcode::CmnImm | Opcode::CmnReg => [Opcode::AddImm, Opcode::AddReg],
        Opcode::TstImm | Opcode::TstReg => [Opcode::AndImm, Opcode::AndReg],
        Opcode::TeqImm | Opcode::TeqReg => [Opcode::EorImm, Opcode::EorReg],
        other => panic!("`{other}` is no comparison"),
    }
}

/// Selects a test for a negative word as a shift of its highest bit.
fn sign(cx: &mut Cx<'_>, dst: VReg, result: Value) -> bool {
    let Some(&InstData::Icmp { cond: SsaCond::LtS, ty, args: [a, b] }) = cx.def(result) else { return false };
    if cx.constant(b) != Some(0) {
        return false;
    }
    let high = if ty == Type::I64 { half(cx, a, 1) } else { source(cx, a) };
    let high = reg(cx, high);
    cx.emit(shift_imm(Opcode::LsrImm, dst, high, 31));
    true
}

/// Whether a comparison's only use is this one, and a test costs less than its number: the sign of a number is a shift.
fn is_tested(cx: &Cx<'_>, value: Value) -> bool {
    let is_sign = |cond: SsaCond, b: Value| cond == SsaCond::LtS && cx.constant(b) == Some(0);
    cx.has_one_use(value)
        && match cx.pure_def(value) {
            Some(&InstData::Icmp { cond, args: [_, b], .. }) => !is_sign(cond, b),
            Some(InstData::Fcmp { .. }) => true,
            _ => false,
        }
}

/// Selects a conjunction or disjunction with a comparison that has only this use, if the result is 0 or 1: either both
/// comparisons are one test, or the other operand is replaced where the comparison decides.
pub fn joined(cx: &mut Cx<'_>, dst: VReg, op: BinaryOp, [a, b]: [Value; 2]) -> bool {
    if !matches!(op, BinaryOp::And | BinaryOp::Or) {
        return false;
    }
    if is_tested(cx, a)
        && is_tested(cx, b)
        && let Some(test) = compare::chain(cx, op, [a, b])
    {
        cx.emit(Inst::Select { test, dst, if_true: Src::Imm(1), if_false: Src::Imm(0) });
        return true;
    }
    for (other, deciding) in [(a, b), (b, a)] {
        if is_tested(cx, deciding) && compare::is_boolean(cx, other) {
            let test = compare::test(cx, deciding);
            let other = source(cx, other);
            let other = Src::Reg(reg(cx, other));
            let (if_true, if_false) = match op {
                BinaryOp::And => (other, Src::Imm(0)),
                _ => (Src::Imm(1), other),
            };
            cx.emit(Inst::Select { test, dst, if_true, if_false });
            return true;
        }
    }
    false
}

/// Selects an operation that leaves its first operand unchanged unless a test holds: its second operand is the result of
/// a comparison, or chosen from 0 and another value, and has only this use.
pub fn predicated(cx: &mut Cx<'_>, dst: VReg, op: BinaryOp, [a, b]: [Value; 2]) -> bool {
    let orders: &[(Value, Value)] = if op == BinaryOp::Sub { &[(a, b)] } else { &[(a, b), (b, a)] };
    for &(old, change) in orders {
        if source(cx, old).imm().is_some() || !cx.has_one_use(change) {
            continue;
        }
        let (cond, by, holds) = match cx.pure_def(change) {
            Some(InstData::Icmp { .. } | InstData::Fcmp { .. }) if is_tested(cx, change) => {
                (change, WordSource::Imm(1), true)
            }
            Some(&InstData::Select { cond, if_true, if_false, .. }) => {
                match [if_true, if_false].map(|value| source(cx, value)) {
                    [by, WordSource::Imm(0)] => (cond, by, true),
                    [WordSource::Imm(0), by] => (cond, by, false),
                    _ => continue,
                }
            }
            _ => continue,
        };
        let test = compare::test(cx, cond);
        let test = if holds { test } else { test.invert() };
        let old = word(cx, old);
        let inst = changing(cx, op, dst, old, by);
        cx.emit(Inst::Conditional { test, inst });
        return true;
    }
    false
}

/// Selects the negation of an unsigned comparison, which follows from the carry.
pub fn mask(cx: &mut Cx<'_>, dst: VReg, value: Value) -> bool {
    let is_icmp = |value: Value| matches!(cx.pure_def(value), Some(InstData::Icmp { .. }));
    let is_inverted = match cx.pure_def(value) {
        Some(&InstData::Binary { op: BinaryOp::Xor, args: [inner, one], .. }) => {
            source(cx, one) == WordSource::Imm(1) && is_icmp(inner)
        }
        _ => false,
    };
    if !cx.target.cpu.has_main() || !cx.has_one_use(value) || !is_inverted && !is_icmp(value) {
        return false;
    }
    let test = compare::test(cx, value);
    let is_of_carry = matches!(test.cond, Cond::Lo | Cond::Hs | Cond::Hi | Cond::Ls);
    if is_of_carry {
        cx.emit(Inst::Select { test, dst, if_true: Src::Imm(u32::MAX), if_false: Src::Imm(0) });
    }
    is_of_carry
}

/// `dst = old op by`.
fn changing(cx: &mut Cx<'_>, op: BinaryOp, dst: VReg, old: VReg, by: WordSource) -> Machine<VReg> {
    let [imm_op, reg_op] = match op {
        BinaryOp::Add => [Opcode::AddImm, Opcode::AddReg],
        BinaryOp::Sub => [Opcode::SubImm, Opcode::SubReg],
        BinaryOp::Or => [Opcode::OrrImm, Opcode::OrrReg],
        _ => [Opcode::EorImm, Opcode::EorReg],
    };
    let opposite = match op {
        BinaryOp::Add => Some(Opcode::SubImm),
        BinaryOp::Sub => Some(Opcode::AddImm),
        _ => None,
    };
    match (by, opposite) {
        (WordSource::Imm(imm), Some(opposite)) if imm.wrapping_neg() <= 0xff => {
            Machine::alu_imm(opposite, false, dst, old, imm.wrapping_neg())
        }
        (WordSource::Imm(imm), _) if is_modified(imm) => Machine::alu_imm(imm_op, false, dst, old, imm),
        _ => {
            let by = reg(cx, by);
            Machine::alu_reg(reg_op, false, dst, old, by, Shift::NONE)
        }
    }
}
