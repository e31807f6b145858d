//! Integer arithmetic.
//!
//! Most binary operations have the same shape: a 64-bit and a 32-bit opcode, whose immediate forms are in the
//! instruction table. Those are rows of [`ops`]; each of the others has a function of its own.

use codegen::{StackSlot, Unsupported};
use pvm_isa::Opcode;
use ssa::{BinaryOp, InstData, Type, UnaryOp, Value};

use super::demand::How;
use super::{
    Cx, any, bits, constant, define, immediate, sext, single_use_binary, unary_imm, unary_temp, zext,
};
use crate::isa::Inst;

/// The opcodes of a binary operation, for 64 and for 32 bits.
struct Ops {
    regs: [Opcode; 2],
    /// Whether the operands may be exchanged.
    commutes: bool,
}

impl Ops {
    const fn new(wide: Opcode, narrow: Opcode) -> Self {
        Self { regs: [wide, narrow], commutes: false }
    }

    const fn commuting(wide: Opcode, narrow: Opcode) -> Self {
        Self { regs: [wide, narrow], commutes: true }
    }
}

/// The row of an operation of the common shape.
const fn ops(op: BinaryOp) -> Option<Ops> {
    use Opcode as O;
    Some(match op {
        BinaryOp::Add => Ops::commuting(O::Add64, O::Add32),
        BinaryOp::Sub => Ops::new(O::Sub64, O::Sub32),
        BinaryOp::Mul => Ops::commuting(O::Mul64, O::Mul32),
        BinaryOp::DivS => Ops::new(O::DivS64, O::DivS32),
        BinaryOp::DivU => Ops::new(O::DivU64, O::DivU32),
        BinaryOp::RemS => Ops::new(O::RemS64, O::RemS32),
        BinaryOp::RemU => Ops::new(O::RemU64, O::RemU32),
        BinaryOp::And => Ops::commuting(O::And, O::And),
        BinaryOp::Or => Ops::commuting(O::Or, O::Or),
        BinaryOp::Xor => Ops::commuting(O::Xor, O::Xor),
        BinaryOp::Shl => Ops::new(O::ShloL64, O::ShloL32),
        BinaryOp::ShrU => Ops::new(O::ShloR64, O::ShloR32),
        BinaryOp::ShrS => Ops::new(O::SharR64, O::SharR32),
        BinaryOp::Rotl => Ops::new(O::RotL64, O::RotL32),
        BinaryOp::Rotr => Ops::new(O::RotR64, O::RotR32),
        _ => return None,
    })
}

/// The opcode of an operation on whole registers: `i32` operands must be sign-extended, and the result is.
const fn whole_register_op(op: BinaryOp) -> Option<Opcode> {
    Some(match op {
        BinaryOp::MinS => Opcode::Min,
        BinaryOp::MaxS => Opcode::Max,
        BinaryOp::MinU => Opcode::MinU,
        BinaryOp::MaxU => Opcode::MaxU,
        _ => return None,
    })
}

/// Selects a binary operation.
pub fn binary(
    cx: &mut Cx<'_>,
    result: Value,
    op: BinaryOp,
    ty: Type,
    args: [Value; 2],
) -> Result<(), Unsupported> {
    let [a, b] = args;
    if let Some(op) = whole_register_op(op) {
        let (a, b) = (sext(cx, a), sext(cx, b));
        let dst = cx.def_reg(result);
        cx.emit(Inst::Binary { op, dst, a, b });
        return Ok(());
    }
    match op {
        BinaryOp::MulhS | BinaryOp::MulhU => high_product(cx, result, op, ty, a, b),
        BinaryOp::Fcopysign => bits::copy_sign(cx, result, ty, a, b),
        BinaryOp::And => bits::and(cx, result, ty, a, b),
        BinaryOp::Or => bits::or(cx, result, a, b),
        BinaryOp::Xor => bits::xor(cx, result, a, b),
        BinaryOp::Add if frame_address(cx, a, b).is_some() => {
            let (slot, bias) = frame_address(cx, a, b).expect("just looked");
            let dst = cx.def_reg(result);
            cx.emit(Inst::SlotAddr { dst, slot, bias });
        }
        BinaryOp::Sub if immediate(cx, b).is_some_and(|b| b != i32::MIN) => {
            subtract_constant(cx, result, a, b)
        }
        BinaryOp::Shl if ty == Type::I64 && shifted_zext(cx, a, b).is_some() => shift_zext(cx, result, a, b),
        BinaryOp::Rotl if constant(cx, b).is_some() => rotate_left_constant(cx, result, ty, a, b),
        _ if ops(op).is_some() => common(cx, result, op, ty, a, b),
        _ => return Err(cx.unsupported("float arithmetic")),
    }
    Ok(())
}

/// The sum of the address of a stack object and a constant, as the object and the distance from its machine address.
fn frame_address(cx: &Cx<'_>, a: Value, b: Value) -> Option<(StackSlot, i32)> {
    let Some(&InstData::FrameAddr { slot }) = cx.def(a) else { return None };
    let base = cx.target.plan.linear_base() as i32;
    Some((StackSlot::Object { slot, offset: 0 }, immediate(cx, b)?.wrapping_sub(base)))
}

/// Selects an operation of the common shape.
pub fn common(cx: &mut Cx<'_>, result: Value, op: BinaryOp, ty: Type, a: Value, b: Value) {
    let ops = ops(op).unwrap_or_else(|| panic!("{op:?} has opcodes of its own"));
    let is_narrow = ty == Type::I32 && cx.facts.how(result) == How::Narrow;
    let width = usize::from(is_narrow);
    let (a, b) = if ops.commutes { commuted(cx, a, b) } else { (a, b) };
    let is_shift =
        matches!(op, BinaryOp::Shl | BinaryOp::ShrU | BinaryOp::ShrS | BinaryOp::Rotl | BinaryOp::Rotr);
    let count_bits = if is_narrow { 5 } else { 6 };
    let b = if is_shift { shift_count(cx, b, count_bits) } else { b };
    let op = ops.regs[width];
    let second = immediate(cx, b).zip(op.immediate_form());
    let first = immediate(cx, a).zip(op.immediate_first_form());
    define(cx, result, |cx, dst| match (second, first) {
        (Some((imm, op)), _) => {
            let src = any(cx, a);
            cx.emit(Inst::BinaryImm { op, dst, src, imm });
        }
        (None, Some((imm, op))) => {
            let src = any(cx, b);
            cx.emit(Inst::BinaryImm { op, dst, src, imm });
        }
        (None, None) => {
            let (a, b) = (any(cx, a), any(cx, b));
            cx.emit(Inst::Binary { op, dst, a, b });
        }
    });
}

/// The operands in the best order: a constant second, else first the one that probably dies here, because a destination
/// in the same register saves a decode slot.
pub fn commuted(cx: &Cx<'_>, a: Value, b: Value) -> (Value, Value) {
    let swap = match (constant(cx, a), constant(cx, b)) {
        (_, Some(_)) => false,
        (Some(_), None) => true,
        (None, None) => !cx.has_one_use(a) && cx.has_one_use(b),
    };
    if swap { (b, a) } else { (a, b) }
}

/// A shift count without masks and conversions that keep its low `bits` bits.
fn shift_count(cx: &Cx<'_>, mut count: Value, bits: u32) -> Value {
    let needed = (1 << bits) - 1;
    loop {
        count = match cx.pure_def(count) {
            Some(&InstData::Binary { op: BinaryOp::And, args: [rest, mask], .. })
                if constant(cx, mask).is_some_and(|mask| mask & needed == needed) =>
            {
                rest
            }
            Some(&InstData::Unary { op: UnaryOp::Zext | UnaryOp::Sext | UnaryOp::Trunc, arg, .. }) => arg,
            _ => return count,
        }
    }
}

fn subtract_constant(cx: &mut Cx<'_>, result: Value, a: Value, b: Value) {
    let imm = -immediate(cx, b).expect("the caller looked");
    let op = if cx.facts.how(result) == How::Narrow { Opcode::AddImm32 } else { Opcode::AddImm64 };
    let (dst, src) = (cx.def_reg(result), any(cx, a));
    cx.emit(Inst::BinaryImm { op, dst, src, imm });
}

fn rotate_left_constant(cx: &mut Cx<'_>, result: Value, ty: Type, a: Value, count: Value) {
    let width = i64::from(ty.bits());
    let count = constant(cx, count).expect("the caller looked");
    let imm = count.wrapping_neg().rem_euclid(width) as i32;
    let op = if ty == Type::I32 { Opcode::RotR32Imm } else { Opcode::RotR64Imm };
    let (dst, src) = (cx.def_reg(result), any(cx, a));
    cx.emit(Inst::BinaryImm { op, dst, src, imm });
}

/// For `zext(x) << k` with `k` up to 32, both used only here and the extension not free: `x` and `k`.
fn shifted_zext(cx: &Cx<'_>, a: Value, count: Value) -> Option<(Value, i32)> {
    let count = immediate(cx, count).filter(|count| (1..=32).contains(count))?;
    match *cx.pure_def(a)? {
        InstData::Unary { op: UnaryOp::Zext, arg, .. } if cx.has_one_use(a) && !cx.facts.is_zext(arg) => {
            Some((arg, count))
        }
        _ => None,
    }
}

/// Extends and shifts in two instructions: left by 32, then right by the rest.
fn shift_zext(cx: &mut Cx<'_>, result: Value, a: Value, count: Value) {
    let (arg, count) = shifted_zext(cx, a, count).expect("the caller looked");
    let (dst, src) = (cx.def_reg(result), any(cx, arg));
    if count == 32 {
        cx.emit(Inst::BinaryImm { op: Opcode::ShloLImm64, dst, src, imm: 32 });
    } else {
        let high = unary_imm(cx, Opcode::ShloLImm64, src, 32);
        cx.emit(Inst::BinaryImm { op: Opcode::ShloRImm64, dst, src: high, imm: 32 - count });
    }
}

/// The high half of a product. For `i32` it is the high half of the exact 64-bit product.
fn high_product(cx: &mut Cx<'_>, result: Value, op: BinaryOp, ty: Type, a: Value, b: Value) {
    if ty == Type::I64 {
        let op = if op == BinaryOp::MulhS { Opcode::MulUpperSS } else { Opcode::MulUpperUU };
        let (dst, a, b) = (cx.def_reg(result), any(cx, a), any(cx, b));
        cx.emit(Inst::Binary { op, dst, a, b });
        return;
    }
    let (a, b) = match op {
        BinaryOp::MulhS => (sext(cx, a), sext(cx, b)),
        _ => (zext(cx, a), zext(cx, b)),
    };
    let product = super::binary_temp(cx, Opcode::Mul64, a, b);
    let dst = cx.def_reg(result);
    cx.emit(Inst::BinaryImm { op: Opcode::SharRImm64, dst, src: product, imm: 32 });
}

/// Selects a unary operation.
pub fn unary(cx: &mut Cx<'_>, result: Value, op: UnaryOp, ty: Type, arg: Value) -> Result<(), Unsupported> {
    let is_i64 = ty == Type::I64;
    let by_width = |wide, narrow| if is_i64 { wide } else { narrow };
    let opcode = match op {
        UnaryOp::Clz => by_width(Opcode::LeadingZeroBits64, Opcode::LeadingZeroBits32),
        UnaryOp::Ctz => by_width(Opcode::TrailingZeroBits64, Opcode::TrailingZeroBits32),
        UnaryOp::Popcnt => by_width(Opcode::CountSetBits64, Opcode::CountSetBits32),
        UnaryOp::Sext8 => Opcode::SignExtend8,
        UnaryOp::Sext16 => Opcode::SignExtend16,
        UnaryOp::Bswap if is_i64 => Opcode::ReverseBytes,
        UnaryOp::Sext | UnaryOp::Zext | UnaryOp::Trunc | UnaryOp::Bitcast => {
            convert(cx, result, op, arg);
            return Ok(());
        }
        _ => return sequence(cx, result, op, ty, arg),
    };
    let (dst, src) = (cx.def_reg(result), any(cx, arg));
    cx.emit(Inst::Unary { op: opcode, dst, src });
    Ok(())
}

/// Selects a conversion whose result needs a register of its own.
fn convert(cx: &mut Cx<'_>, result: Value, op: UnaryOp, arg: Value) {
    match op {
        UnaryOp::Zext if !cx.facts.is_zext(arg) => {
            let dst = cx.def_reg(result);
            let src = any(cx, arg);
            let high = unary_imm(cx, Opcode::ShloLImm64, src, 32);
            cx.emit(Inst::BinaryImm { op: Opcode::ShloRImm64, dst, src: high, imm: 32 });
        }
        UnaryOp::Sext if !cx.facts.is_sext(arg) => {
            let (dst, src) = (cx.def_reg(result), any(cx, arg));
            cx.emit(Inst::BinaryImm { op: Opcode::AddImm32, dst, src, imm: 0 });
        }
        UnaryOp::Trunc | UnaryOp::Bitcast if cx.facts.how(result) == How::Extend => {
            let (dst, src) = (cx.def_reg(result), any(cx, arg));
            cx.emit(Inst::BinaryImm { op: Opcode::AddImm32, dst, src, imm: 0 });
        }
        _ => {
            let (dst, src) = (cx.def_reg(result), any(cx, arg));
            cx.emit(Inst::copy(dst, src));
        }
    }
}

/// Selects operations that take several instructions.
fn sequence(cx: &mut Cx<'_>, result: Value, op: UnaryOp, ty: Type, arg: Value) -> Result<(), Unsupported> {
    match op {
        UnaryOp::Bswap => {
            let src = any(cx, arg);
            let swapped = unary_temp(cx, Opcode::ReverseBytes, src);
            let dst = cx.def_reg(result);
            cx.emit(Inst::BinaryImm { op: Opcode::SharRImm64, dst, src: swapped, imm: 32 });
        }
        UnaryOp::Bitrev => bits::reverse(cx, result, ty, arg),
        UnaryOp::Fneg => bits::negate_sign(cx, result, ty, arg),
        UnaryOp::Fabs => bits::clear_sign(cx, result, ty, arg),
        _ => return Err(cx.unsupported("float arithmetic")),
    }
    Ok(())
}

/// The value whose complement `v` is, if `v` has only this use and needs no extension.
pub fn complemented(cx: &Cx<'_>, v: Value) -> Option<Value> {
    let [a, b] = single_use_binary(cx, v, BinaryOp::Xor)?;
    (constant(cx, b) == Some(-1) && cx.facts.how(v) != How::Extend).then_some(a)
}
