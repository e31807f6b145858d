//! Semantics of the operators.
//!
//! Every function takes and returns values as bits. A NaN result is the canonical NaN, which wasm always allows, so
//! runs are reproducible.

use crate::{BinaryOp, Cond, FCond, InstData, Type, UnaryOp, Value};

/// A result that the instruction set leaves open.
pub(super) struct Unspecified(pub u64);

/// The result of an integer instruction. `arg` returns type and bits of an operand, if they are known. `None` if an
/// operand is unknown, the instruction is not an integer operation, or its result is unspecified.
pub fn evaluate(data: &InstData, arg: &mut dyn FnMut(Value) -> Option<(Type, u64)>) -> Option<u64> {
    let bits = match *data {
        InstData::Const { ty, bits } => truncated(ty, bits as u64),
        InstData::Unary { op, ty, arg: operand } => {
            let (operand, bits) = arg(operand)?;
            unary(op, ty, operand, bits).ok()?
        }
        InstData::Binary { op, ty, args: [a, b] } => binary(op, ty, [arg(a)?.1, arg(b)?.1]).ok()?,
        InstData::Icmp { cond, ty, args: [a, b] } => icmp(cond, ty, [arg(a)?.1, arg(b)?.1]).into(),
        InstData::Select { cond, if_true, if_false, .. } => {
            let chosen = if arg(cond)?.1 != 0 { if_true } else { if_false };
            arg(chosen)?.1
        }
        _ => return None,
    };
    Some(bits)
}

/// `bits` truncated to the width of the type.
const fn truncated(ty: Type, bits: u64) -> u64 {
    if ty.bits() == 32 { bits & 0xffff_ffff } else { bits }
}

pub(super) fn unary(op: UnaryOp, ty: Type, operand: Type, bits: u64) -> Result<u64, Unspecified> {
    Ok(match (op, ty) {
        (UnaryOp::Sext, _) => i64::from(bits as i32) as u64,
        (UnaryOp::Zext | UnaryOp::Trunc, _) => u64::from(bits as u32),
        (UnaryOp::Bitcast, _) => bits,
        (UnaryOp::Fpromote, _) => bits64(f64::from(f32::from_bits(bits as u32))),
        (UnaryOp::Fdemote, _) => bits32(f64::from_bits(bits) as f32),
        (UnaryOp::FtoS | UnaryOp::FtoU | UnaryOp::FtoSSat | UnaryOp::FtoUSat, _) => {
            return float_to_int(op, ty, to_f64(operand, bits));
        }
        (UnaryOp::StoF | UnaryOp::UtoF, _) => int_to_float(op == UnaryOp::StoF, ty, operand, bits),
        (_, Type::I32) => u64::from(unary_u32(op, bits as u32)),
        (_, Type::I64) => unary_u64(op, bits),
        (_, Type::F32) => unary_f32(op, bits as u32).into(),
        (_, Type::F64) => unary_f64(op, bits),
    })
}

pub(super) fn binary(op: BinaryOp, ty: Type, [a, b]: [u64; 2]) -> Result<u64, Unspecified> {
    match ty {
        Type::I32 => match binary_u32(op, a as u32, b as u32) {
            Ok(result) => Ok(result.into()),
            Err(result) => Err(Unspecified(result.into())),
        },
        Type::I64 => binary_u64(op, a, b).map_err(Unspecified),
        Type::F32 => Ok(binary_f32(op, a as u32, b as u32).into()),
        Type::F64 => Ok(binary_f64(op, a, b)),
    }
}

pub(super) fn icmp(cond: Cond, ty: Type, [a, b]: [u64; 2]) -> bool {
    let (x, y) = (super::signed(ty, a), super::signed(ty, b));
    match cond {
        Cond::Eq => a == b,
        Cond::Ne => a != b,
        Cond::LtS => x < y,
        Cond::LeS => x <= y,
        Cond::GtS => x > y,
        Cond::GeS => x >= y,
        Cond::LtU => a < b,
        Cond::LeU => a <= b,
        Cond::GtU => a > b,
        Cond::GeU => a >= b,
    }
}

pub(super) fn fcmp(cond: FCond, ty: Type, [a, b]: [u64; 2]) -> bool {
    let (x, y) = (to_f64(ty, a), to_f64(ty, b));
    let unordered = x.is_nan() || y.is_nan();
    match cond {
        FCond::Oeq => x == y,
        FCond::One => !unordered && x != y,
        FCond::Olt => x < y,
        FCond::Ole => x <= y,
        FCond::Ogt => x > y,
        FCond::Oge => x >= y,
        FCond::Ord => !unordered,
        FCond::Ueq => unordered || x == y,
        FCond::Une => x != y,
        FCond::Ult => unordered || x < y,
        FCond::Ule => unordered || x <= y,
        FCond::Ugt => unordered || x > y,
        FCond::Uge => unordered || x >= y,
        FCond::Uno => unordered,
    }
}

/// A float of type `ty` as a double, exactly.
fn to_f64(ty: Type, bits: u64) -> f64 {
    if ty == Type::F32 { f64::from(f32::from_bits(bits as u32)) } else { f64::from_bits(bits) }
}

fn float_to_int(op: UnaryOp, ty: Type, x: f64) -> Result<u64, Unspecified> {
    let signed = matches!(op, UnaryOp::FtoS | UnaryOp::FtoSSat);
    let result = match (signed, ty) {
        (true, Type::I32) => u64::from(x as i32 as u32),
        (false, Type::I32) => u64::from(x as u32),
        (true, _) => x as i64 as u64,
        (false, _) => x as u64,
    };
    let limit = 2f64.powi(ty.bits() as i32 - i32::from(signed));
    let lower = if signed { -limit } else { 0.0 };
    let in_range = x.trunc() >= lower && x.trunc() < limit;
    let saturates = matches!(op, UnaryOp::FtoSSat | UnaryOp::FtoUSat);
    if in_range || saturates { Ok(result) } else { Err(Unspecified(result)) }
}

fn int_to_float(signed: bool, ty: Type, operand: Type, bits: u64) -> u64 {
    let value = if signed { i128::from(super::signed(operand, bits)) } else { i128::from(bits) };
    match ty {
        Type::F32 => bits32(value as f32),
        _ => bits64(value as f64),
    }
}

fn bits32(x: f32) -> u64 {
    u64::from(if x.is_nan() { 0x7fc0_0000 } else { x.to_bits() })
}

fn bits64(x: f64) -> u64 {
    if x.is_nan() { 0x7ff8_0000_0000_0000 } else { x.to_bits() }
}

macro_rules! int_ops {
    ($unary:ident $binary:ident $unsigned:ty, $signed:ty, $wide_unsigned:ty, $wide_signed:ty) => {
        fn $unary(op: UnaryOp, x: $unsigned) -> $unsigned {
            match op {
                UnaryOp::Clz => x.leading_zeros() as $unsigned,
                UnaryOp::Ctz => x.trailing_zeros() as $unsigned,
                UnaryOp::Popcnt => x.count_ones() as $unsigned,
                UnaryOp::Bswap => x.swap_bytes(),
                UnaryOp::Bitrev => x.reverse_bits(),
                UnaryOp::Sext8 => x as i8 as $unsigned,
                UnaryOp::Sext16 => x as i16 as $unsigned,
                _ => unreachable!("{op} has no integer operand and result of one type"),
            }
        }

        /// The result; in `Err`, an arbitrary result if it is unspecified.
        fn $binary(op: BinaryOp, a: $unsigned, b: $unsigned) -> Result<$unsigned, $unsigned> {
            const BITS: u32 = <$unsigned>::BITS;
            let (x, y) = (a as $signed, b as $signed);
            let count = b as u32 & (BITS - 1);
            let shift = |result: $unsigned| if b < BITS as $unsigned { Ok(result) } else { Err(result) };
            Ok(match op {
                BinaryOp::Add => a.wrapping_add(b),
                BinaryOp::Sub => a.wrapping_sub(b),
                BinaryOp::Mul => a.wrapping_mul(b),
                BinaryOp::MulhS => ((x as $wide_signed * y as $wide_signed) >> BITS) as $unsigned,
                BinaryOp::MulhU => ((a as $wide_unsigned * b as $wide_unsigned) >> BITS) as $unsigned,
                BinaryOp::DivU => a.checked_div(b).ok_or(<$unsigned>::MAX)?,
                BinaryOp::RemU => a.checked_rem(b).ok_or(a)?,
                BinaryOp::DivS if b == 0 => Err(<$unsigned>::MAX)?,
                BinaryOp::DivS => x.checked_div(y).ok_or(a)? as $unsigned,
                BinaryOp::RemS if b == 0 => Err(a)?,
                BinaryOp::RemS => x.checked_rem(y).ok_or(0 as $unsigned)? as $unsigned,
                BinaryOp::And => a & b,
                BinaryOp::Or => a | b,
                BinaryOp::Xor => a ^ b,
                BinaryOp::Shl => shift(a << count)?,
                BinaryOp::ShrS => shift((x >> count) as $unsigned)?,
                BinaryOp::ShrU => shift(a >> count)?,
                BinaryOp::Rotl => a.rotate_left(count),
                BinaryOp::Rotr => a.rotate_right(count),
                BinaryOp::MinS => x.min(y) as $unsigned,
                BinaryOp::MaxS => x.max(y) as $unsigned,
                BinaryOp::MinU => a.min(b),
                BinaryOp::MaxU => a.max(b),
                _ => unreachable!("{op} computes floats"),
            })
        }
    };
}

int_ops! { unary_u32 binary_u32 u32, i32, u64, i64 }
int_ops! { unary_u64 binary_u64 u64, i64, u128, i128 }

macro_rules! float_ops {
    ($unary:ident $binary:ident $minimum:ident $float:ty, $bits:ty, $canonical:ident) => {
        fn $unary(op: UnaryOp, bits: $bits) -> $bits {
            const SIGN: $bits = 1 << (<$bits>::BITS - 1);
            let x = <$float>::from_bits(bits);
            let result = match op {
                UnaryOp::Fneg => return bits ^ SIGN,
                UnaryOp::Fabs => return bits & !SIGN,
                UnaryOp::Fsqrt => x.sqrt(),
                UnaryOp::Fceil => x.ceil(),
                UnaryOp::Ffloor => x.floor(),
                UnaryOp::Ftrunc => x.trunc(),
                UnaryOp::Fnearest => x.round_ties_even(),
                _ => unreachable!("{op} has no float operand and result of one type"),
            };
            $canonical(result) as $bits
        }

        fn $binary(op: BinaryOp, a: $bits, b: $bits) -> $bits {
            const SIGN: $bits = 1 << (<$bits>::BITS - 1);
            let (x, y) = (<$float>::from_bits(a), <$float>::from_bits(b));
            let result = match op {
                BinaryOp::Fadd => x + y,
                BinaryOp::Fsub => x - y,
                BinaryOp::Fmul => x * y,
                BinaryOp::Fdiv => x / y,
                BinaryOp::Fmin => $minimum(x, y),
                BinaryOp::Fmax => -$minimum(-x, -y),
                BinaryOp::Fcopysign => return (a & !SIGN) | (b & SIGN),
                _ => unreachable!("{op} computes integers"),
            };
            $canonical(result) as $bits
        }

        fn $minimum(x: $float, y: $float) -> $float {
            if x.is_nan() || y.is_nan() {
                <$float>::NAN
            } else if x < y || (x == y && x.is_sign_negative()) {
                x
            } else {
                y
            }
        }
    };
}

float_ops! { unary_f32 binary_f32 minimum_f32 f32, u32, bits32 }
float_ops! { unary_f64 binary_f64 minimum_f64 f64, u64, bits64 }
