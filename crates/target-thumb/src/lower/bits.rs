//! Bit fields; counting and reversing bits.

use codegen::VReg;
use ssa::{BinaryOp, InstData, MemType, UnaryOp, Value};
use thumb_isa::{Cond, Opcode, Shift};

use super::{Cx, WordSource, constant, half, reg, source, temp, word};
use crate::isa::condition::{Compare, Src, Test};
use crate::isa::immediate::is_modified;
use crate::isa::inst::{Inst, Machine, alu_imm, alu_reg, reg3_s, shift_imm};

/// Selects a unary operation on a word.
pub fn unary(cx: &mut Cx<'_>, result: Value, op: UnaryOp, arg: Value) {
    let dst = cx.def_reg(result);
    if let (UnaryOp::Sext8 | UnaryOp::Sext16, Some((inner, low))) = (op, shifted_right(cx, arg))
        && low + sext_width(op) <= 32
    {
        let n = word(cx, inner);
        let (low, width) = (low as u8, sext_width(op) as u8);
        cx.emit(Inst::Plain(Machine::bit_field(Opcode::Sbfx, dst, n, low, width)));
        return;
    }
    let src = word(cx, arg);
    word_unary(cx, op, dst, src);
}

const fn sext_width(op: UnaryOp) -> u32 {
    if matches!(op, UnaryOp::Sext8) { 8 } else { 16 }
}

/// The value and count of a logical or arithmetic right shift by a constant that has only this use.
fn shifted_right(cx: &Cx<'_>, value: Value) -> Option<(Value, u32)> {
    match *cx.pure_def(value)? {
        InstData::Binary { op: BinaryOp::ShrU | BinaryOp::ShrS, args: [arg, count], .. }
            if cx.has_one_use(value) && cx.ty(value) == ssa::Type::I32 =>
        {
            Some((arg, u32::try_from(cx.constant(count)?).ok()?))
        }
        _ => None,
    }
}

fn word_unary(cx: &mut Cx<'_>, op: UnaryOp, dst: VReg, src: VReg) {
    match op {
        UnaryOp::Clz => cx.emit(reg2(Opcode::Clz, dst, src)),
        UnaryOp::Ctz => {
            let reversed = temp(cx);
            cx.emit(reg2(Opcode::Rbit, reversed, src));
            cx.emit(reg2(Opcode::Clz, dst, reversed));
        }
        UnaryOp::Popcnt => {
            let bytes = byte_counts(cx, src);
            sum_bytes(cx, dst, bytes);
        }
        UnaryOp::Bswap => cx.emit(reg2(Opcode::Rev, dst, src)),
        UnaryOp::Bitrev => cx.emit(reg2(Opcode::Rbit, dst, src)),
        UnaryOp::Sext8 => cx.emit(extend(Opcode::Sxtb, dst, src)),
        UnaryOp::Sext16 => cx.emit(extend(Opcode::Sxth, dst, src)),
        _ => panic!("{}: {op} is not an operation on one word", cx.func.name),
    }
}

fn reg2(op: Opcode, dst: VReg, src: VReg) -> Inst<VReg> {
    Inst::Plain(Machine::reg2(op, dst, src))
}

fn extend(op: Opcode, dst: VReg, src: VReg) -> Inst<VReg> {
    Inst::Plain(Machine::extend(op, dst, src, 0))
}

/// For each byte of `src`, the number of its set bits, in the same byte of the result.
fn byte_counts(cx: &mut Cx<'_>, src: VReg) -> VReg {
    const PAIRS: u32 = 0x5555_5555;
    const NIBBLES: u32 = 0x3333_3333;
    const BYTES: u32 = 0x0f0f_0f0f;
    let odd = temp(cx);
    cx.emit(shift_imm(Opcode::LsrImm, odd, src, 1));
    let odd_bits = temp(cx);
    cx.emit(alu_imm(Opcode::AndImm, odd_bits, odd, PAIRS));
    let pairs = temp(cx);
    cx.emit(alu_reg(Opcode::SubReg, pairs, src, odd_bits, Shift::NONE));
    let high = temp(cx);
    cx.emit(shift_imm(Opcode::LsrImm, high, pairs, 2));
    let high_pairs = temp(cx);
    cx.emit(alu_imm(Opcode::AndImm, high_pairs, high, NIBBLES));
    let low_pairs = temp(cx);
    cx.emit(alu_imm(Opcode::AndImm, low_pairs, pairs, NIBBLES));
    let nibbles = temp(cx);
    cx.emit(alu_reg(Opcode::AddReg, nibbles, low_pairs, high_pairs, Shift::NONE));
    let sums = temp(cx);
    cx.emit(alu_reg(Opcode::AddReg, sums, nibbles, nibbles, Shift::Lsr(4)));
    let bytes = temp(cx);
    cx.emit(alu_imm(Opcode::AndImm, bytes, sums, BYTES));
    bytes
}

/// `dst` = the sum of the bytes of `bytes`.
fn sum_bytes(cx: &mut Cx<'_>, dst: VReg, bytes: VReg) {
    let ones = constant(cx, 0x0101_0101);
    let product = temp(cx);
    cx.emit(reg3_s(Opcode::Mul, product, bytes, ones));
    cx.emit(shift_imm(Opcode::LsrImm, dst, product, 24));
}

/// Selects a unary operation on two words.
pub fn unary_pair(cx: &mut Cx<'_>, result: Value, op: UnaryOp, arg: Value) {
    let dst = cx.def_regs(result).pair();
    match op {
        UnaryOp::Clz | UnaryOp::Ctz => {
            // The word that is tested first, and the other.
            let (first, second) = if op == UnaryOp::Clz { (1, 0) } else { (0, 1) };
            let [first, second] = [first, second].map(|which| half(cx, arg, which));
            count_zeros(cx, op, dst[0], first, second);
            cx.emit(Inst::Const { dst: dst[1], value: 0 });
        }
        UnaryOp::Popcnt => {
            let counts = [0, 1].map(|which| {
                let source = half(cx, arg, which);
                let src = reg(cx, source);
                byte_counts(cx, src)
            });
            let bytes = temp(cx);
            cx.emit(alu_reg(Opcode::AddReg, bytes, counts[0], counts[1], Shift::NONE));
            sum_bytes(cx, dst[0], bytes);
            cx.emit(Inst::Const { dst: dst[1], value: 0 });
        }
        UnaryOp::Bswap | UnaryOp::Bitrev => {
            for (which, dst) in [(1, dst[0]), (0, dst[1])] {
                let source = half(cx, arg, which);
                let src = reg(cx, source);
                word_unary(cx, op, dst, src);
            }
        }
        UnaryOp::Sext8 | UnaryOp::Sext16 => {
            let source = half(cx, arg, 0);
            let src = reg(cx, source);
            word_unary(cx, op, dst[0], src);
            cx.emit(shift_imm(Opcode::AsrImm, dst[1], dst[0], 31));
        }
        _ => panic!("{}: {op} is not an operation on two words", cx.func.name),
    }
}

/// `dst` = the number of zeros before the first one, in `first` and then in `second`.
fn count_zeros(cx: &mut Cx<'_>, op: UnaryOp, dst: VReg, first: WordSource, second: WordSource) {
    let (first, second) = (reg(cx, first), reg(cx, second));
    let [near, far, sum] = [(); 3].map(|()| temp(cx));
    word_unary(cx, op, near, first);
    word_unary(cx, op, far, second);
    cx.emit(alu_imm(Opcode::AddImm, sum, far, 32));
    let compare = Compare::imm(Opcode::CmpImm, first, 0);
    let test = Test { cond: Cond::Eq, compare };
    cx.emit(Inst::Select { test, dst, if_true: Src::Reg(sum), if_false: Src::Reg(near) });
}

/// `dst = (a >> low) & mask` as a bit field, if `from` is such a shift and the mask consists of low bits.
pub fn field_of(cx: &mut Cx<'_>, dst: VReg, from: WordSource, imm: u32) -> bool {
    let WordSource::Word(value) = from else { return false };
    let Some((inner, low)) = shifted_right(cx, value) else { return false };
    let width = imm.trailing_ones();
    let is_low_mask = imm != 0 && u64::from(imm) + 1 == 1 << width;
    if !is_low_mask || low == 0 || low + width > 32 {
        return false;
    }
    let n = word(cx, inner);
    cx.emit(Inst::Plain(Machine::bit_field(Opcode::Ubfx, dst, n, low as u8, width as u8)));
    true
}

/// `dst = (a << low) & imm` as two shifts, which have short forms, if `from` is such a shift and the mask consists of one run
/// of bits from `low` on.
pub fn shifted_field_of(cx: &mut Cx<'_>, dst: VReg, from: WordSource, imm: u32) -> bool {
    let WordSource::Word(value) = from else { return false };
    let Some([inner, count]) = super::single_use_binary(cx, value, BinaryOp::Shl) else { return false };
    let Some((low, width)) = one_run(imm).filter(|&(low, width)| low > 0 && low + width < 32) else {
        return false;
    };
    if source(cx, count) != WordSource::Imm(low) {
        return false;
    }
    let (n, at_top) = (word(cx, inner), temp(cx));
    cx.emit(shift_imm(Opcode::LslImm, at_top, n, 32 - width));
    cx.emit(shift_imm(Opcode::LsrImm, dst, at_top, 32 - width - low));
    true
}

/// `dst = a | b` as the insertion of a bit field, if one operand has zeros in place of the field that the other is.
pub fn insert(cx: &mut Cx<'_>, dst: VReg, [a, b]: [Value; 2]) -> bool {
    for (kept, field) in [(a, b), (b, a)] {
        if let Some((old, low, width)) = cleared(cx, kept)
            && let Some(field) = field_at(cx, field, low, width)
        {
            let (old, n) = (word(cx, old), word(cx, field));
            let inst = Machine::bit_field(Opcode::Bfi, dst, n, low as u8, width as u8);
            cx.emit(Inst::Update { inst, old });
            return true;
        }
    }
    for (kept, field) in [(a, b), (b, a)] {
        if let Some((from, low, width)) = shifted_field(cx, field)
            && possible_ones(cx, kept, 0) & (u32::MAX >> (32 - width)) << low == 0
        {
            let (old, n) = (word(cx, kept), word(cx, from));
            let inst = Machine::bit_field(Opcode::Bfi, dst, n, low as u8, width as u8);
            cx.emit(Inst::Update { inst, old });
            return true;
        }
    }
    false
}

/// The value whose low bits `value` consists of, at some other bit and with zeros around them, if it has only this use:
/// that value, the lowest bit and the number of bits. Bits at the end of the word are left to shifted operands.
fn shifted_field(cx: &Cx<'_>, value: Value) -> Option<(Value, u32, u32)> {
    let (low, width) = match *cx.pure_def(value)? {
        InstData::Binary { op: BinaryOp::And, args: [_, mask], .. } => one_run(source(cx, mask).imm()?)?,
        InstData::Binary { op: BinaryOp::Shl, args: [inner, count], .. } => {
            let [_, mask] = super::single_use_binary(cx, inner, BinaryOp::And)?;
            let (first, width) = one_run(source(cx, mask).imm()?)?;
            (source(cx, count).imm().filter(|_| first == 0)?, width)
        }
        _ => return None,
    };
    let is_inside = low > 0 && low + width < 32;
    field_at(cx, value, low, width).filter(|_| is_inside).map(|from| (from, low, width))
}

/// The bits of a word that may be ones.
fn possible_ones(cx: &Cx<'_>, value: Value, depth: u32) -> u32 {
    let Some(def) = cx.def(value).filter(|_| depth < super::DEPTH) else { return u32::MAX };
    let of = |value: Value| possible_ones(cx, value, depth + 1);
    match *def {
        InstData::Const { bits, .. } => bits as u32,
        InstData::Load { mem: MemType::U8, .. } => 0xff,
        InstData::Load { mem: MemType::U16, .. } => 0xffff,
        InstData::Icmp { .. } | InstData::Fcmp { .. } => 1,
        InstData::Binary { op: BinaryOp::And, args: [a, b], .. } => match source(cx, b).imm() {
            Some(mask) => mask & of(a),
            None => of(a) & of(b),
        },
        InstData::Binary { op: BinaryOp::Or | BinaryOp::Xor, args: [a, b], .. } => of(a) | of(b),
        InstData::Binary { op: op @ (BinaryOp::Shl | BinaryOp::ShrU), args: [a, count], .. } => {
            let Some(count @ 0..32) = source(cx, count).imm() else { return u32::MAX };
            if op == BinaryOp::Shl { of(a) << count } else { of(a) >> count }
        }
        _ => u32::MAX,
    }
}

/// If `value` clears one run of bits of a value and has only this use: that value, and the run.
fn cleared(cx: &Cx<'_>, value: Value) -> Option<(Value, u32, u32)> {
    let [old, mask] = super::single_use_binary(cx, value, BinaryOp::And)?;
    let (low, width) = one_run(!source(cx, mask).imm()?)?;
    Some((old, low, width))
}

/// The value whose low `width` bits `value` consists of, at bit `low`, if it has only this use.
fn field_at(cx: &Cx<'_>, value: Value, low: u32, width: u32) -> Option<Value> {
    let run = u32::MAX >> (32 - width);
    let unmasked = |value: Value, run: u32| {
        let [inner, mask] = super::single_use_binary(cx, value, BinaryOp::And)?;
        (source(cx, mask) == WordSource::Imm(run)).then_some(inner)
    };
    let unshifted = |value: Value| {
        let [inner, count] = super::single_use_binary(cx, value, BinaryOp::Shl)?;
        (source(cx, count) == WordSource::Imm(low)).then_some(inner)
    };
    if low == 0 {
        return unmasked(value, run);
    }
    if let Some(shifted) = unmasked(value, run << low) {
        return unshifted(shifted);
    }
    let inner = unshifted(value)?;
    // Bits that are shifted out need no mask.
    unmasked(inner, run).or_else(|| (low + width == 32).then_some(inner))
}

/// `dst = n & imm` without loading the constant, where `and` and `bic` can't hold it or there is a short form. Returns
/// false if neither applies.
pub fn mask(cx: &mut Cx<'_>, dst: VReg, n: VReg, imm: u32) -> bool {
    let width = imm.trailing_ones();
    let is_low_mask = u64::from(imm) + 1 == 1 << width;
    match imm {
        0xff => cx.emit(extend(Opcode::Uxtb, dst, n)),
        0xffff => cx.emit(extend(Opcode::Uxth, dst, n)),
        _ if is_modified(imm) || is_modified(!imm) => return false,
        _ if is_low_mask => cx.emit(Inst::Plain(Machine::bit_field(Opcode::Ubfx, dst, n, 0, width as u8))),
        _ => match one_run(!imm) {
            Some((low, width)) => {
                let inst = Machine::bit_clear(Opcode::Bfc, dst, low as u8, width as u8);
                cx.emit(Inst::Update { inst, old: n });
            }
            None => return false,
        },
    }
    true
}

/// Lowest bit and length of the run of ones, if there is only one.
fn one_run(value: u32) -> Option<(u32, u32)> {
    let low = value.trailing_zeros();
    let width = value.checked_shr(low)?.trailing_ones();
    let run = (1u64 << width) - 1;
    (width > 0 && u64::from(value) == run << low).then_some((low, width))
}

/// `dst` = whether a word is zero.
pub fn is_zero(cx: &mut Cx<'_>, dst: VReg, src: VReg) {
    let zeros = temp(cx);
    cx.emit(reg2(Opcode::Clz, zeros, src));
    cx.emit(shift_imm(Opcode::LsrImm, dst, zeros, 5));
}
