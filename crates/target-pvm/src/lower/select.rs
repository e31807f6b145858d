//! `select` as a conditional move.
//!
//! A conditional move keeps the old value of its destination or overwrites it. The sense of the test decides which of
//! the two values is the old one: a value that dies here saves a copy, and a constant can only be the moved one. Two
//! neighbouring constants are computed from the condition.

use pvm_isa::Opcode;
use ssa::{Value, ValueDef};

use super::compare::{ZeroTest, zero_test};
use super::{Cx, any, constant, define, immediate, sext};
use crate::isa::Inst;

/// Selects a `select`.
pub fn select(cx: &mut Cx<'_>, result: Value, cond: Value, if_true: Value, if_false: Value) {
    if let (Some(t), Some(f)) = (constant(cx, if_true), constant(cx, if_false))
        && let Some((op, imm)) = from_boolean(t, f)
    {
        let src = sext(cx, cond);
        let dst = cx.def_reg(result);
        cx.emit(Inst::BinaryImm { op, dst, src, imm });
        return;
    }
    define(cx, result, |cx, dst| {
        let test = zero_test(cx, cond);
        let keep_false = match (immediate(cx, if_true), immediate(cx, if_false)) {
            (Some(_), _) => true,
            (None, Some(_)) => false,
            (None, None) => dies(cx, if_false) || !dies(cx, if_true),
        };
        let (kept, moved) = if keep_false { (if_false, if_true) } else { (if_true, if_false) };
        let moves_if_zero = test.holds_if_zero == keep_false;
        conditional_move(cx, dst, test, moves_if_zero, kept, moved);
    });
}

/// `dst = moved` if the register of the test is zero (or not zero), else `kept`.
fn conditional_move(
    cx: &mut Cx<'_>,
    dst: codegen::VReg,
    test: ZeroTest,
    moves_if_zero: bool,
    kept: Value,
    moved: Value,
) {
    let old = any(cx, kept);
    let cond = test.reg;
    if let Some(imm) = immediate(cx, moved) {
        let op = if moves_if_zero { Opcode::CmovIzImm } else { Opcode::CmovNzImm };
        cx.emit(Inst::CmovImm { op, dst, old, cond, imm });
    } else {
        let op = if moves_if_zero { Opcode::CmovIz } else { Opcode::CmovNz };
        let src = any(cx, moved);
        cx.emit(Inst::Cmov { op, dst, old, src, cond });
    }
}

/// Whether a value probably needs no register after its use here.
fn dies(cx: &Cx<'_>, value: Value) -> bool {
    cx.has_one_use(value) && matches!(cx.func.values[value].def, ValueDef::Result(..))
}

/// An instruction that computes `t` from 1 and `f` from 0.
fn from_boolean(t: i64, f: i64) -> Option<(Opcode, i32)> {
    let imm = |value: i64| i32::try_from(value).ok();
    match (t, f) {
        (0, 1) => Some((Opcode::XorImm, 1)),
        _ if t.checked_sub(f) == Some(1) => Some((Opcode::AddImm64, imm(f)?)),
        _ if f.checked_sub(t) == Some(1) => Some((Opcode::NegAddImm64, imm(f)?)),
        (1.., 0) if t & (t - 1) == 0 => Some((Opcode::ShloLImm64, t.trailing_zeros() as i32)),
        _ => None,
    }
}
