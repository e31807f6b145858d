//! Shifts and rotations.
//!
//! The machine's shifts by a register use the low byte of the count, and shift all bits out if it is 32 or more. That
//! makes two-word shifts by a variable count branch-free. Each word of the result is the or of three parts: from the
//! same word, from the other word for counts below 32, and from the other word for counts from 32. Parts that don't
//! apply are zero because their counts are out of range. Only the arithmetic shift needs a select, because shifting all
//! bits out leaves the sign.

use std::collections::{BTreeMap, BTreeSet};

use codegen::VReg;
use ssa::{BinaryOp, Function, InstData, Type, Value};
use thumb_isa::{Cond, Opcode, Shift};

use super::arith::bitwise_opcode;
use super::{Cx, WordSource, assign, half, halves, reg, source, temp, word};
use crate::isa::condition::{Compare, Src, Test};
use crate::isa::inst::{Inst, PairOp, alu_imm, alu_reg, reg3_s, shift_imm};

/// Shifted words that are selected as shifted operands of their users: additions, subtractions and bitwise operations
/// with another register, which shift for free. Short forms can't shift an operand. So when optimising for size this
/// applies only to rotations by a constant, which have no short form themselves, with at most two uses.
pub fn operands(func: &Function) -> BTreeSet<Value> {
    let shift = |value: Value| match func.insts[func.def_inst(value)?] {
        InstData::Binary { op, ty: Type::I32, args: [_, count] } if is_shift(op) => {
            func.as_const(count).filter(|count| (1..32).contains(count)).map(|_| op)
        }
        _ => None,
    };
    let mut uses: BTreeMap<Value, (u32, bool)> = BTreeMap::new();
    for &inst in func.blocks.values().flat_map(|block| &block.insts) {
        let data = &func.insts[inst];
        data.for_each_arg(|arg| {
            if shift(arg).is_some() {
                let (count, suits) = uses.entry(arg).or_insert((0, true));
                *count += 1;
                *suits &= takes_shifted(func, data, arg, &shift);
            }
        });
    }
    let is_rotation = |value: Value| matches!(shift(value), Some(BinaryOp::Rotl | BinaryOp::Rotr));
    let pays = |value: Value, count: u32| !func.optimize_for_size || count <= 2 && is_rotation(value);
    uses.into_iter()
        .filter(|&(value, (count, suits))| suits && pays(value, count))
        .map(|(value, _)| value)
        .collect()
}

const fn is_shift(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::Shl | BinaryOp::ShrS | BinaryOp::ShrU | BinaryOp::Rotl | BinaryOp::Rotr)
}

/// Whether an instruction takes an argument as a shifted operand; its other one must be a plain register.
fn takes_shifted(
    func: &Function,
    data: &InstData,
    arg: Value,
    shift: &impl Fn(Value) -> Option<BinaryOp>,
) -> bool {
    let InstData::Binary { op, ty: Type::I32, args: [a, b] } = *data else { return false };
    let other = if a == arg { b } else { a };
    let is_plain = a != b && func.as_const(other).is_none() && shift(other).is_none();
    is_plain && matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::And | BinaryOp::Or | BinaryOp::Xor)
}

/// Selects a shift or rotation of a word.
pub fn shift(cx: &mut Cx<'_>, dst: VReg, op: BinaryOp, [a, b]: [Value; 2]) {
    let value = source(cx, a);
    if let WordSource::Imm(count) = source(cx, b) {
        return shift_constant(cx, dst, op, value, count & 31);
    }
    let n = reg(cx, value);
    let count = word(cx, b);
    let (op, count) = match op {
        BinaryOp::Shl => (Opcode::LslReg, count),
        BinaryOp::ShrU => (Opcode::LsrReg, count),
        BinaryOp::ShrS => (Opcode::AsrReg, count),
        BinaryOp::Rotr => (Opcode::RorReg, count),
        _ => {
            let negated = temp(cx);
            cx.emit(alu_imm(Opcode::RsbImm, negated, count, 0));
            (Opcode::RorReg, negated)
        }
    };
    cx.emit(reg3_s(op, dst, n, count));
}

/// `dst = a op count`, the count below 32.
fn shift_constant(cx: &mut Cx<'_>, dst: VReg, op: BinaryOp, a: WordSource, count: u32) {
    if count == 0 {
        return assign(cx, dst, a);
    }
    if op == BinaryOp::Shl && shift_of_masked(cx, dst, a, count) {
        return;
    }
    let n = reg(cx, a);
    cx.emit(match op {
        BinaryOp::Shl => shift_imm(Opcode::LslImm, dst, n, count),
        BinaryOp::ShrU => shift_imm(Opcode::LsrImm, dst, n, count),
        BinaryOp::ShrS => shift_imm(Opcode::AsrImm, dst, n, count),
        BinaryOp::Rotr => shift_imm(Opcode::RorImm, dst, n, count),
        _ => shift_imm(Opcode::RorImm, dst, n, 32 - count),
    });
}

/// Selects a shift of a masked word without the mask, if all masked bits are shifted out.
fn shift_of_masked(cx: &mut Cx<'_>, dst: VReg, a: WordSource, count: u32) -> bool {
    let WordSource::Word(value) = a else { return false };
    let Some([inner, mask]) = super::single_use_binary(cx, value, BinaryOp::And) else { return false };
    let WordSource::Imm(mask) = source(cx, mask) else { return false };
    if !mask << count != 0 {
        return false;
    }
    let n = word(cx, inner);
    cx.emit(shift_imm(Opcode::LslImm, dst, n, count));
    true
}

/// Selects a shift or rotation of two words.
pub fn shift_pair(cx: &mut Cx<'_>, dst: [VReg; 2], op: BinaryOp, [a, b]: [Value; 2]) {
    let value = halves(cx, a);
    let count = half(cx, b, 0);
    match (op, count) {
        (_, WordSource::Imm(count)) => pair_by_constant(cx, dst, op, value, count & 63),
        (BinaryOp::Shl, _) => {
            let value = value.map(|source| reg(cx, source));
            let count = reg(cx, count);
            logical(cx, [dst[1], dst[0]], [value[1], value[0]], count, [Opcode::LslReg, Opcode::LsrReg]);
        }
        (BinaryOp::ShrU, _) => {
            let value = value.map(|source| reg(cx, source));
            let count = reg(cx, count);
            logical(cx, dst, value, count, [Opcode::LsrReg, Opcode::LslReg]);
        }
        (BinaryOp::ShrS, _) => {
            let value = value.map(|source| reg(cx, source));
            let count = reg(cx, count);
            arithmetic(cx, dst, value, count);
        }
        _ => {
            let value = value.map(|source| reg(cx, source));
            let count = reg(cx, count);
            rotate(cx, dst, value, count, op == BinaryOp::Rotl);
        }
    }
}

/// Selects a logical two-word shift. `near` is the word that receives bits from the other, `far` the one that receives
/// zeros: in a left shift, the high word is near. `ops` shift in the direction of the whole and against it.
fn logical(
    cx: &mut Cx<'_>,
    [near_dst, far_dst]: [VReg; 2],
    [near, far]: [VReg; 2],
    count: VReg,
    [along, against]: [Opcode; 2],
) {
    let [own, rest, crossing, both, beyond, crossed] = [(); 6].map(|()| temp(cx));
    cx.emit(reg3_s(along, own, near, count));
    cx.emit(alu_imm(Opcode::RsbImm, rest, count, 32));
    cx.emit(reg3_s(against, crossing, far, rest));
    cx.emit(alu_reg(Opcode::OrrReg, both, own, crossing, Shift::NONE));
    cx.emit(alu_imm(Opcode::SubImm, beyond, count, 32));
    cx.emit(reg3_s(along, crossed, far, beyond));
    cx.emit(alu_reg(Opcode::OrrReg, near_dst, both, crossed, Shift::NONE));
    cx.emit(reg3_s(along, far_dst, far, count));
}

fn arithmetic(cx: &mut Cx<'_>, dst: [VReg; 2], [low, high]: [VReg; 2], count: VReg) {
    let [own, rest, crossing, both, beyond, crossed] = [(); 6].map(|()| temp(cx));
    cx.emit(reg3_s(Opcode::LsrReg, own, low, count));
    cx.emit(alu_imm(Opcode::RsbImm, rest, count, 32));
    cx.emit(reg3_s(Opcode::LslReg, crossing, high, rest));
    cx.emit(alu_reg(Opcode::OrrReg, both, own, crossing, Shift::NONE));
    cx.emit(alu_imm(Opcode::SubImm, beyond, count, 32));
    cx.emit(reg3_s(Opcode::AsrReg, crossed, high, beyond));
    let compare = Compare::imm(Opcode::CmpImm, count, 32);
    let test = Test { cond: Cond::Hs, compare };
    cx.emit(Inst::Select { test, dst: dst[0], if_true: Src::Reg(crossed), if_false: Src::Reg(both) });
    cx.emit(reg3_s(Opcode::AsrReg, dst[1], high, count));
}

/// A rotation by 32 exchanges the words; the rest of the count is below 32 and combines both words.
fn rotate(cx: &mut Cx<'_>, dst: [VReg; 2], [low, high]: [VReg; 2], count: VReg, left: bool) {
    let [first, second, below, rest] = [(); 4].map(|()| temp(cx));
    let compare = Compare::imm(Opcode::TstImm, count, 32);
    let test = Test { cond: Cond::Ne, compare };
    cx.emit(Inst::SelectPair {
        test,
        dst: [first, second],
        if_true: [Src::Reg(high), Src::Reg(low)],
        if_false: [Src::Reg(low), Src::Reg(high)],
    });
    cx.emit(alu_imm(Opcode::AndImm, below, count, 31));
    cx.emit(alu_imm(Opcode::RsbImm, rest, below, 32));
    let [along, against] = match left {
        true => [Opcode::LslReg, Opcode::LsrReg],
        false => [Opcode::LsrReg, Opcode::LslReg],
    };
    for (dst, own, other) in [(dst[0], first, second), (dst[1], second, first)] {
        let [kept, crossing] = [(); 2].map(|()| temp(cx));
        cx.emit(reg3_s(along, kept, own, below));
        cx.emit(reg3_s(against, crossing, other, rest));
        cx.emit(alu_reg(Opcode::OrrReg, dst, kept, crossing, Shift::NONE));
    }
}

fn pair_by_constant(cx: &mut Cx<'_>, dst: [VReg; 2], op: BinaryOp, value: [WordSource; 2], count: u32) {
    let [low, high] = value;
    match (op, count) {
        (_, 0) => {
            assign(cx, dst[0], low);
            assign(cx, dst[1], high);
        }
        (BinaryOp::Rotl | BinaryOp::Rotr, _) => {
            let left = if op == BinaryOp::Rotl { count } else { 64 - count };
            let [low, high] = if left >= 32 { [high, low] } else { [low, high] };
            let left = left & 31;
            if left == 0 {
                assign(cx, dst[0], low);
                assign(cx, dst[1], high);
            } else {
                funnel(cx, dst[1], high, low, left);
                funnel(cx, dst[0], low, high, left);
            }
        }
        (BinaryOp::Shl, 1) => {
            let value = value.map(|source| reg(cx, source));
            cx.emit(Inst::Pair { op: PairOp::Add, dst, a: value, b: value.map(Src::Reg) });
        }
        (BinaryOp::Shl, 32..) => {
            shift_constant(cx, dst[1], op, low, count - 32);
            cx.emit(Inst::Const { dst: dst[0], value: 0 });
        }
        (BinaryOp::Shl, _) => {
            funnel(cx, dst[1], high, low, count);
            shift_constant(cx, dst[0], op, low, count);
        }
        (BinaryOp::ShrU, 32..) => {
            shift_constant(cx, dst[0], op, high, count - 32);
            cx.emit(Inst::Const { dst: dst[1], value: 0 });
        }
        (_, 32..) => {
            shift_constant(cx, dst[0], op, high, count - 32);
            let high = reg(cx, high);
            cx.emit(shift_imm(Opcode::AsrImm, dst[1], high, 31));
        }
        (_, 1) if high.imm().is_none() => {
            let src = value.map(|source| reg(cx, source));
            cx.emit(Inst::PairHalve { signed: op == BinaryOp::ShrS, dst, src });
        }
        _ => {
            funnel(cx, dst[0], high, low, 32 - count);
            shift_constant(cx, dst[1], op, high, count);
        }
    }
}

/// `dst` = the high word of `(high:low) << left`, where `left` is 1 to 31.
fn funnel(cx: &mut Cx<'_>, dst: VReg, high: WordSource, low: WordSource, left: u32) {
    match (high, low) {
        (WordSource::Imm(0), _) => return shift_constant(cx, dst, BinaryOp::ShrU, low, 32 - left),
        (_, WordSource::Imm(0)) => return shift_constant(cx, dst, BinaryOp::Shl, high, left),
        _ => {}
    }
    let (high, low) = (reg(cx, high), reg(cx, low));
    let upper = temp(cx);
    cx.emit(shift_imm(Opcode::LslImm, upper, high, left));
    cx.emit(alu_reg(Opcode::OrrReg, dst, upper, low, Shift::Lsr(32 - left as u8)));
}

/// Selects word `which` of a bitwise operation on two-word values of which one is shifted by a constant, with only this
/// use: shifted words are operands. Returns `false` if the operation is not of that kind.
pub fn bitwise_with_shift(
    cx: &mut Cx<'_>,
    dst: VReg,
    op: BinaryOp,
    [a, b]: [Value; 2],
    which: usize,
) -> bool {
    for (plain, shifted) in [(a, b), (b, a)] {
        let plain = half(cx, plain, which);
        let Some(words) = shifted_words(cx, shifted, which) else { continue };
        if plain.imm().is_some() || op == BinaryOp::And && words.len() > 1 {
            continue;
        }
        let mut result = reg(cx, plain);
        for (n, &(word, shift)) in words.iter().enumerate() {
            let to = if n + 1 == words.len() { dst } else { temp(cx) };
            let word = reg(cx, word);
            cx.emit(alu_reg(bitwise_opcode(op), to, result, word, shift));
            result = to;
        }
        return true;
    }
    false
}

/// Word `which` of a two-word value that is shifted by a constant and has one use: one or two shifted words without
/// common bits.
fn shifted_words(cx: &Cx<'_>, value: Value, which: usize) -> Option<Vec<(WordSource, Shift)>> {
    let InstData::Binary { op, args: [arg, count], .. } = *cx.pure_def(value)? else { return None };
    let count = u8::try_from(cx.constant(count)?).ok().filter(|count| (1..64).contains(count))?;
    // Addition and halving shift by one bit in fewer bytes.
    if !cx.has_one_use(value) || cx.for_size() && (count == 1 || count == 63) {
        return None;
    }
    let [low, high] = halves(cx, arg);
    let signed = |count| if op == BinaryOp::ShrS { Shift::Asr(count) } else { Shift::Lsr(count) };
    let words = match (op, which, count) {
        (_, _, 32) => return None,
        (BinaryOp::Rotl | BinaryOp::Rotr, ..) => {
            let left = if op == BinaryOp::Rotl { count } else { 64 - count };
            let is_low = (which == 0) != (left > 32);
            let (own, other) = if is_low { (low, high) } else { (high, low) };
            vec![(own, Shift::Lsl(left & 31)), (other, Shift::Lsr(32 - (left & 31)))]
        }
        (BinaryOp::Shl, 0, ..32) => vec![(low, Shift::Lsl(count))],
        (BinaryOp::Shl, 1, ..32) => vec![(high, Shift::Lsl(count)), (low, Shift::Lsr(32 - count))],
        (BinaryOp::Shl, 1, _) => vec![(low, Shift::Lsl(count - 32))],
        (BinaryOp::ShrU | BinaryOp::ShrS, 0, ..32) => {
            vec![(low, Shift::Lsr(count)), (high, Shift::Lsl(32 - count))]
        }
        (BinaryOp::ShrU | BinaryOp::ShrS, 0, _) => vec![(high, signed(count - 32))],
        (BinaryOp::ShrU | BinaryOp::ShrS, 1, ..32) => vec![(high, signed(count))],
        _ => return None,
    };
    let words: Vec<_> = words.into_iter().filter(|&(word, _)| word != WordSource::Imm(0)).collect();
    (!words.is_empty() && words.iter().all(|(word, _)| word.imm().is_none())).then_some(words)
}
