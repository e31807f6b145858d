//! Arithmetic on two-word values.

use codegen::{Unsupported, VReg};
use ssa::{BinaryOp, InstData, UnaryOp, Value};
use thumb_isa::{Cond, Opcode, Shift};

use super::{Cx, WordSource, arith, assign, compare, half, halves, reg, shift, source, src, temp, words};
use crate::isa::condition::Src;
use crate::isa::immediate::{fits_carry, fits_compare};
use crate::isa::inst::{Inst, Machine, PairOp, alu_reg, shift_imm};

/// Selects the extension of a word.
pub fn extend(cx: &mut Cx<'_>, result: Value, signed: bool, arg: Value) {
    let dst = cx.def_regs(result).pair();
    let low = source(cx, arg);
    assign(cx, dst[0], low);
    match (signed, low) {
        (false, _) => cx.emit(Inst::Const { dst: dst[1], value: 0 }),
        (true, WordSource::Imm(imm)) => {
            cx.emit(Inst::Const { dst: dst[1], value: (imm as i32 >> 31) as u32 })
        }
        (true, _) => {
            let low = reg(cx, low);
            cx.emit(shift_imm(Opcode::AsrImm, dst[1], low, 31));
        }
    }
}

/// Selects a binary operation on two words.
pub fn binary(cx: &mut Cx<'_>, result: Value, op: BinaryOp, args: [Value; 2]) -> Result<(), Unsupported> {
    let dst = cx.def_regs(result).pair();
    // The other half of the same product, if it is also computed here.
    let other = cx.facts.products.get(&result).copied().filter(|&other| cx.is_needed(other));
    match op {
        BinaryOp::Add => add(cx, dst, args),
        BinaryOp::Sub => sub(cx, dst, args),
        BinaryOp::Mul if other.is_some() => {}
        BinaryOp::Mul => mul(cx, dst, args),
        BinaryOp::MulhU => {
            let lower = match other {
                Some(lower) => cx.def_regs(lower).pair(),
                None => [(); 2].map(|()| temp(cx)),
            };
            product(cx, lower, dst, args);
        }
        BinaryOp::MulhS => mul_high_signed(cx, dst, args),
        BinaryOp::And | BinaryOp::Or | BinaryOp::Xor => {
            for (which, dst) in dst.into_iter().enumerate() {
                if !shift::bitwise_with_shift(cx, dst, op, args, which) {
                    let [a, b] = args.map(|arg| half(cx, arg, which));
                    arith::bitwise_sources(cx, dst, op, a, b);
                }
            }
        }
        BinaryOp::Shl | BinaryOp::ShrS | BinaryOp::ShrU | BinaryOp::Rotl | BinaryOp::Rotr => {
            shift::shift_pair(cx, dst, op, args);
        }
        BinaryOp::MinS | BinaryOp::MaxS | BinaryOp::MinU | BinaryOp::MaxU => extremum(cx, dst, op, args),
        _ => return Err(cx.unsupported(format!("`{op}` on 64-bit integers in selection"))),
    }
    Ok(())
}

/// The operands of a widening multiplication.
fn widening_factors(cx: &Cx<'_>, [a, b]: [Value; 2]) -> Option<(bool, [WordSource; 2])> {
    let extended = |value: Value| match cx.def(value) {
        Some(&InstData::Unary { op: op @ (UnaryOp::Sext | UnaryOp::Zext), arg, .. }) => {
            Some((op == UnaryOp::Sext, source(cx, arg)))
        }
        Some(&InstData::Const { bits, .. }) if i64::from(bits as i32) == bits => {
            Some((true, WordSource::Imm(bits as u32)))
        }
        _ => None,
    };
    match (extended(a), extended(b)) {
        (Some((true, a)), Some((true, b))) => Some((true, [a, b])),
        _ => {
            let [low, high] = [0, 1].map(|which| [half(cx, a, which), half(cx, b, which)]);
            (high == [WordSource::Imm(0); 2]).then_some((false, low))
        }
    }
}

fn mul(cx: &mut Cx<'_>, dst: [VReg; 2], args: [Value; 2]) {
    if let Some((signed, factors)) = widening_factors(cx, args) {
        return arith::mul_long(cx, signed, dst, factors);
    }
    let [[al, ah], [bl, bh]] = args.map(|arg| halves(cx, arg));
    let mut high = temp(cx);
    arith::mul_long(cx, false, [dst[0], high], [al, bl]);
    let crossed: Vec<_> = [(al, bh), (ah, bl)]
        .into_iter()
        .filter(|(a, b)| *a != WordSource::Imm(0) && *b != WordSource::Imm(0))
        .collect();
    let count = crossed.len();
    for (n, (a, b)) in crossed.into_iter().enumerate() {
        let sum = if n + 1 == count { dst[1] } else { temp(cx) };
        let (a, b) = (reg(cx, a), reg(cx, b));
        cx.emit(Inst::Plain(Machine::reg4(Opcode::Mla, sum, a, b, high)));
        high = sum;
    }
    if count == 0 {
        cx.emit(Inst::copy(dst[1], high));
    }
}

/// The unsigned four-word product. Each `umlal` adds a word to a product of words, which can't overflow two words.
fn product(cx: &mut Cx<'_>, lower: [VReg; 2], upper: [VReg; 2], args: [Value; 2]) {
    let [[al, ah], [bl, bh]] = args.map(|arg| words(cx, arg));
    let zero = super::constant(cx, 0);
    let [carry, low_cross, high_cross, last, low, high] = [(); 6].map(|()| temp(cx));
    cx.emit(Inst::Plain(Machine::mul_long(Opcode::Umull, lower[0], carry, al, bl)));
    let mut umlal = |lo, hi, a, b, old| {
        let inst = Machine::mul_long(Opcode::Umlal, lo, hi, a, b);
        cx.emit(Inst::UpdatePair { inst, old });
    };
    umlal(low_cross, high_cross, al, bh, [carry, zero]);
    umlal(lower[1], last, ah, bl, [low_cross, zero]);
    umlal(low, high, ah, bh, [high_cross, zero]);
    cx.emit(Inst::Pair { op: PairOp::Add, dst: upper, a: [low, high], b: [Src::Reg(last), Src::Imm(0)] });
}

/// The signed high product is the unsigned one minus each factor whose other factor is negative.
fn mul_high_signed(cx: &mut Cx<'_>, dst: [VReg; 2], [a, b]: [Value; 2]) {
    let [lower, mut product] = [[(); 2]; 2].map(|words| words.map(|()| temp(cx)));
    self::product(cx, lower, product, [a, b]);
    for (n, (factor, other)) in [(a, b), (b, a)].into_iter().enumerate() {
        let (factor, other) = (words(cx, factor), words(cx, other));
        let sign = temp(cx);
        cx.emit(shift_imm(Opcode::AsrImm, sign, other[1], 31));
        let masked = factor.map(|word| {
            let masked = temp(cx);
            cx.emit(alu_reg(Opcode::AndReg, masked, word, sign, Shift::NONE));
            masked
        });
        let rest = if n == 1 { dst } else { [(); 2].map(|()| temp(cx)) };
        cx.emit(Inst::Pair { op: PairOp::Sub, dst: rest, a: product, b: masked.map(Src::Reg) });
        product = rest;
    }
}

fn add(cx: &mut Cx<'_>, dst: [VReg; 2], [a, b]: [Value; 2]) {
    for (addend, product) in [(a, b), (b, a)] {
        if let Some(factors) = super::single_use_binary(cx, product, BinaryOp::Mul)
            && let Some((signed, factors)) = widening_factors(cx, factors)
        {
            return add_product(cx, dst, addend, signed, factors);
        }
    }
    let (a, b) = match halves(cx, a) {
        // A constant becomes the second operand.
        constant @ ([WordSource::Imm(_), _] | [_, WordSource::Imm(_)]) if cx.constant(a).is_some() => {
            (halves(cx, b), constant)
        }
        other => (other, halves(cx, b)),
    };
    add_sources(cx, dst, a, b);
}

/// `dst = addend + n * m`, with the two-word product of two words.
fn add_product(cx: &mut Cx<'_>, dst: [VReg; 2], addend: Value, signed: bool, factors: [WordSource; 2]) {
    let op = if signed { Opcode::Smlal } else { Opcode::Umlal };
    let old = words(cx, addend);
    let [n, m] = factors.map(|factor| reg(cx, factor));
    let inst = Machine::mul_long(op, dst[0], dst[1], n, m);
    cx.emit(Inst::UpdatePair { inst, old });
}

/// `dst = a + b`.
fn add_sources(cx: &mut Cx<'_>, dst: [VReg; 2], a: [WordSource; 2], b: [WordSource; 2]) {
    match b {
        [WordSource::Imm(0), high] => {
            assign(cx, dst[0], a[0]);
            add_words(cx, dst[1], a[1], high);
        }
        [WordSource::Imm(low), WordSource::Imm(high)] => {
            // The constant or its negation, whichever has the shorter low word.
            let negated = (u64::from(high) << 32 | u64::from(low)).wrapping_neg();
            let (op, value) = match (negated as u32) < low {
                true => (PairOp::Sub, negated),
                false => (PairOp::Add, u64::from(high) << 32 | u64::from(low)),
            };
            pair(cx, op, dst, a, [WordSource::Imm(value as u32), WordSource::Imm((value >> 32) as u32)]);
        }
        _ => pair(cx, PairOp::Add, dst, a, b),
    }
}

fn add_words(cx: &mut Cx<'_>, dst: VReg, a: WordSource, b: WordSource) {
    match (a, b) {
        (other, WordSource::Imm(imm)) | (WordSource::Imm(imm), other) => {
            arith::add_constant(cx, dst, other, imm)
        }
        _ => {
            let (a, b) = (reg(cx, a), reg(cx, b));
            cx.emit(alu_reg(Opcode::AddReg, dst, a, b, Shift::NONE));
        }
    }
}

/// Appends two-word arithmetic; constants go into the instruction where they fit.
fn pair(cx: &mut Cx<'_>, op: PairOp, dst: [VReg; 2], a: [WordSource; 2], b: [WordSource; 2]) {
    let a = a.map(|source| reg(cx, source));
    let b = [src(cx, b[0], fits_compare), src(cx, b[1], fits_carry)];
    cx.emit(Inst::Pair { op, dst, a, b });
}

fn sub(cx: &mut Cx<'_>, dst: [VReg; 2], [a, b]: [Value; 2]) {
    let (left, right) = (halves(cx, a), halves(cx, b));
    match (left, right) {
        (_, [WordSource::Imm(low), WordSource::Imm(high)]) => {
            let negated = (u64::from(high) << 32 | u64::from(low)).wrapping_neg();
            add_sources(
                cx,
                dst,
                left,
                [WordSource::Imm(negated as u32), WordSource::Imm((negated >> 32) as u32)],
            );
        }
        ([WordSource::Imm(0), WordSource::Imm(0)], _) => {
            let src = right.map(|source| reg(cx, source));
            cx.emit(Inst::PairNeg { dst, src });
        }
        (_, [WordSource::Imm(0), high]) => {
            assign(cx, dst[0], left[0]);
            let (n, m) = (reg(cx, left[1]), reg(cx, high));
            cx.emit(alu_reg(Opcode::SubReg, dst[1], n, m, Shift::NONE));
        }
        _ => pair(cx, PairOp::Sub, dst, left, right),
    }
}

fn extremum(cx: &mut Cx<'_>, dst: [VReg; 2], op: BinaryOp, [a, b]: [Value; 2]) {
    let cond = match op {
        BinaryOp::MinS => Cond::Lt,
        BinaryOp::MaxS => Cond::Ge,
        BinaryOp::MinU => Cond::Lo,
        _ => Cond::Hs,
    };
    let (left, right) = (halves(cx, a), halves(cx, b));
    let test = compare::pair(cx, cond, left, right);
    let fits = crate::isa::immediate::fits_select;
    let if_true = left.map(|source| src(cx, source, fits));
    let if_false = right.map(|source| src(cx, source, fits));
    cx.emit(Inst::SelectPair { test, dst, if_true, if_false });
}
