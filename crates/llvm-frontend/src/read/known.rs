//! Known facts about the upper bits of a value.
//!
//! LLVM's narrow integers are in the low bits of an `i32` or `i64`, and the bits above are unspecified, so
//! that additions, logic and left shifts need no extension. An instruction that uses the whole register (a
//! comparison, a right shift, a widening) extends its operands first. Most extensions are redundant: the
//! value was loaded with extension, masked, or is a comparison. [`KnownBits`] records two facts per `ssa` value
//! from which the builder recognises them.
//!
//! The facts are derived from the `ssa` instructions themselves, never from LLVM's flags. A wrong flag makes the
//! result poison, which a later `freeze` turns into an arbitrary but well-formed narrow value. A fact derived from the
//! flag would not hold for that value.

use ssa::{BinaryOp, MemType, Type, UnaryOp};

/// Facts about one integer value of `width` bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KnownBits {
    /// The value is below `2^unsigned`, as an unsigned number.
    pub unsigned: u32,
    /// The value is in `-2^(signed-1) .. 2^(signed-1)`, as a signed number.
    pub signed: u32,
}

impl KnownBits {
    /// No facts about a value of `width` bits.
    pub const fn nothing(width: u32) -> Self {
        Self { unsigned: width, signed: width }
    }

    /// The value is below `2^bits`.
    pub const fn below(bits: u32, width: u32) -> Self {
        if bits >= width { Self::nothing(width) } else { Self { unsigned: bits, signed: bits + 1 } }
    }

    /// The value is the sign extension of its low `bits` bits.
    pub const fn sign_extended(bits: u32, width: u32) -> Self {
        Self { unsigned: width, signed: if bits < width { bits } else { width } }
    }

    /// The exact facts of a constant.
    pub fn of_const(bits: i64, ty: Type) -> Self {
        let width = ty.bits();
        let signed = 65 - (bits ^ (bits >> 63)).leading_zeros();
        let masked = bits.cast_unsigned() & (u64::MAX >> (64 - width));
        Self { unsigned: 64 - masked.leading_zeros(), signed: signed.min(width) }
    }

    /// Facts about the result of an instruction with one operand.
    pub fn of_unary(op: UnaryOp, ty: Type, arg: Self) -> Self {
        let width = ty.bits();
        match op {
            UnaryOp::Zext => Self::below(arg.unsigned, width),
            UnaryOp::Sext if arg.unsigned < 32 => Self { unsigned: arg.unsigned, signed: arg.signed },
            UnaryOp::Sext => Self::sign_extended(arg.signed, width),
            UnaryOp::Trunc if arg.unsigned < 32 => {
                Self { unsigned: arg.unsigned, signed: arg.signed.min(32) }
            }
            UnaryOp::Trunc => Self::sign_extended(arg.signed, width),
            UnaryOp::Sext8 if arg.unsigned >= 8 => Self::sign_extended(8, width),
            UnaryOp::Sext16 if arg.unsigned >= 16 => Self::sign_extended(16, width),
            UnaryOp::Sext8 | UnaryOp::Sext16 => arg,
            UnaryOp::Clz | UnaryOp::Ctz | UnaryOp::Popcnt => Self::below(7, width),
            _ => Self::nothing(width),
        }
    }

    /// Facts about the result of an instruction with two operands; `count` is the second operand if it is a constant.
    pub fn of_binary(op: BinaryOp, ty: Type, a: Self, b: Self, count: Option<i64>) -> Self {
        let width = ty.bits();
        let count = count.and_then(|c| u32::try_from(c).ok()).filter(|&c| c < width);
        match op {
            BinaryOp::And => Self::capped(a.unsigned.min(b.unsigned), a.signed.max(b.signed), width),
            BinaryOp::Or | BinaryOp::Xor => {
                Self::capped(a.unsigned.max(b.unsigned), a.signed.max(b.signed), width)
            }
            BinaryOp::Add => Self::capped(a.unsigned.max(b.unsigned) + 1, a.signed.max(b.signed) + 1, width),
            BinaryOp::Sub => Self::sign_extended(a.signed.max(b.signed) + 1, width),
            BinaryOp::Mul => Self::capped(a.unsigned + b.unsigned, a.signed + b.signed, width),
            BinaryOp::Shl => match count {
                Some(c) => Self::capped(a.unsigned + c, a.signed + c, width),
                None => Self::nothing(width),
            },
            BinaryOp::ShrU => Self::below(a.unsigned - count.unwrap_or(0).min(a.unsigned), width),
            BinaryOp::ShrS if a.unsigned < width => {
                Self::below(a.unsigned - count.unwrap_or(0).min(a.unsigned), width)
            }
            BinaryOp::ShrS => {
                Self::sign_extended((a.signed - count.unwrap_or(0).min(a.signed - 1)).max(1), width)
            }
            BinaryOp::MinU => Self::below(a.unsigned.min(b.unsigned), width),
            BinaryOp::MaxU => Self::below(a.unsigned.max(b.unsigned), width),
            BinaryOp::MinS | BinaryOp::MaxS => {
                Self::capped(a.unsigned.max(b.unsigned), a.signed.max(b.signed), width)
            }
            BinaryOp::DivU | BinaryOp::RemU => Self::below(a.unsigned, width),
            _ => Self::nothing(width),
        }
    }

    /// Facts about a choice between two values.
    pub fn either(a: Self, b: Self) -> Self {
        Self { unsigned: a.unsigned.max(b.unsigned), signed: a.signed.max(b.signed) }
    }

    /// Facts about a loaded value.
    pub const fn of_load(mem: MemType, ty: Type) -> Self {
        let width = ty.bits();
        match mem {
            MemType::U8 => Self::below(8, width),
            MemType::U16 => Self::below(16, width),
            MemType::U32 => Self::below(32, width),
            MemType::S8 => Self::sign_extended(8, width),
            MemType::S16 => Self::sign_extended(16, width),
            MemType::S32 => Self::sign_extended(32, width),
            MemType::I64 | MemType::F32 | MemType::F64 => Self::nothing(width),
        }
    }

    /// Both facts together; a bound below the width implies one on the signed value.
    fn capped(unsigned: u32, signed: u32, width: u32) -> Self {
        let below = Self::below(unsigned, width);
        Self { unsigned: below.unsigned, signed: below.signed.min(signed) }
    }
}
