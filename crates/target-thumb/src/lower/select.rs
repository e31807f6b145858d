//! Selects, and comparisons whose result is needed as a number.

use codegen::VReg;
use ssa::{Cond as SsaCond, InstData, Type, Value};
use thumb_isa::Cond;

use super::{Cx, WordSource, bits, compare, half, halves, is_in_core, reg, source, src, temp};
use crate::isa::condition::{Compare, Src, Test, Word};
use crate::isa::immediate::fits_select;
use crate::isa::inst::{Inst, alu_imm, alu_reg, shift_imm};
use thumb_isa::Opcode;

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
        word(cx, test, dst, if_true, if_false);
    } else {
        let dst = cx.def_regs(result).pair();
        let [if_true, if_false] = [if_true, if_false].map(|value| halves(cx, value));
        pair(cx, test, dst, if_true, if_false);
    }
}

fn word(cx: &mut Cx<'_>, test: Test<VReg>, dst: VReg, if_true: WordSource, if_false: WordSource) {
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
            word(cx, test, dst[other], if_true[other], if_false[other]);
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
