//! Integers of 65 to 128 bits as two `i64`, low half first.
//!
//! Bits above the width are unspecified in the high half, as in narrow integers; [`Builder::wide_extend`]
//! defines them for the operations that need them. Multiplication has a special case for operands extended from 64
//! bits, the usual ones of wide arithmetic in wasm programs.

use ssa::{BinaryOp, Cond, InstData, Type, UnaryOp, Value};

use super::builder::Builder;
use super::integer::{is_signed, unsigned};

/// The halves of a wide integer, low first.
pub type Halves = [Value; 2];

impl Builder {
    /// A 64-bit value extended to 128 bits.
    pub fn widen(&mut self, low: Value, signed: bool) -> Halves {
        let high =
            if signed { self.binary_const(BinaryOp::ShrS, low, 63) } else { self.iconst(Type::I64, 0) };
        [low, high]
    }

    /// Defines the bits above `bits`.
    pub fn wide_extend(&mut self, [low, high]: Halves, bits: u32, signed: bool) -> Halves {
        let high = if signed { self.sign_extend(high, bits - 64) } else { self.zero_extend(high, bits - 64) };
        [low, high]
    }

    /// Bitwise logic.
    pub fn wide_logic(&mut self, op: BinaryOp, a: Halves, b: Halves) -> Halves {
        [self.binary(op, a[0], b[0]), self.binary(op, a[1], b[1])]
    }

    /// Either `a` or `b`.
    pub fn wide_select(&mut self, cond: Value, a: Halves, b: Halves) -> Halves {
        [self.select(cond, a[0], b[0]), self.select(cond, a[1], b[1])]
    }

    fn carry(&mut self, flag: Value) -> Value {
        self.unary(UnaryOp::Zext, Type::I64, flag)
    }

    /// Sum.
    pub fn wide_add(&mut self, a: Halves, b: Halves) -> Halves {
        let low = self.binary(BinaryOp::Add, a[0], b[0]);
        let flag = self.icmp(Cond::LtU, low, b[0]);
        let carry = self.carry(flag);
        let high = self.binary(BinaryOp::Add, a[1], b[1]);
        [low, self.binary(BinaryOp::Add, high, carry)]
    }

    /// Difference.
    pub fn wide_sub(&mut self, a: Halves, b: Halves) -> Halves {
        let low = self.binary(BinaryOp::Sub, a[0], b[0]);
        let flag = self.icmp(Cond::LtU, a[0], b[0]);
        let borrow = self.carry(flag);
        let high = self.binary(BinaryOp::Sub, a[1], b[1]);
        [low, self.binary(BinaryOp::Sub, high, borrow)]
    }

    /// Product.
    pub fn wide_mul(&mut self, a: Halves, b: Halves) -> Halves {
        let low = self.binary(BinaryOp::Mul, a[0], b[0]);
        if self.is_sign_extended(a) && self.is_sign_extended(b) {
            return [low, self.binary(BinaryOp::MulhS, a[0], b[0])];
        }
        let mut high = self.high_product(a[0], b[0]);
        for (x, y) in [(a[0], b[1]), (a[1], b[0])] {
            let cross = self.binary(BinaryOp::Mul, x, y);
            high = self.binary(BinaryOp::Add, high, cross);
        }
        [low, high]
    }

    /// The high half of an unsigned product of two `i64`.
    pub fn high_product(&mut self, a: Value, b: Value) -> Value {
        if self.known(a).unsigned + self.known(b).unsigned <= 64 {
            return self.iconst(Type::I64, 0);
        }
        self.binary(BinaryOp::MulhU, a, b)
    }

    fn is_sign_extended(&self, [low, high]: Halves) -> bool {
        if let (Some(l), Some(h)) = (self.as_const(low), self.as_const(high)) {
            return h == l >> 63;
        }
        match self.def(high) {
            Some(&InstData::Binary { op: BinaryOp::ShrS, args: [x, count], .. }) => {
                x == low && self.as_const(count) == Some(63)
            }
            _ => false,
        }
    }

    /// Left shift by the low seven bits of `count`.
    pub fn wide_shl(&mut self, [low, high]: Halves, count: Value) -> Halves {
        let zero = self.iconst(Type::I64, 0);
        if let Some(count) = self.as_const(count).map(|c| c & 127) {
            return match count {
                0 => [low, high],
                64.. => [zero, self.binary_const(BinaryOp::Shl, low, count - 64)],
                _ => {
                    let moved = self.binary_const(BinaryOp::ShrU, low, 64 - count);
                    let kept = self.binary_const(BinaryOp::Shl, high, count);
                    [self.binary_const(BinaryOp::Shl, low, count), self.binary(BinaryOp::Or, kept, moved)]
                }
            };
        }
        let (is_far, count, inverse) = self.split_count(count);
        let shifted = self.binary(BinaryOp::Shl, low, count);
        let kept = self.binary(BinaryOp::Shl, high, count);
        let half = self.binary_const(BinaryOp::ShrU, low, 1);
        let moved = self.binary(BinaryOp::ShrU, half, inverse);
        let near = self.binary(BinaryOp::Or, kept, moved);
        [self.select(is_far, zero, shifted), self.select(is_far, shifted, near)]
    }

    /// Right shift by the low seven bits of `count`; `op` is [`BinaryOp::ShrU`] or [`BinaryOp::ShrS`].
    pub fn wide_shr(&mut self, [low, high]: Halves, count: Value, op: BinaryOp) -> Halves {
        if let Some(count) = self.as_const(count).map(|c| c & 127) {
            let fill = self.fill(high, op);
            return match count {
                0 => [low, high],
                64.. => [self.binary_const(op, high, count - 64), fill],
                _ => {
                    let moved = self.binary_const(BinaryOp::Shl, high, 64 - count);
                    let kept = self.binary_const(BinaryOp::ShrU, low, count);
                    [self.binary(BinaryOp::Or, kept, moved), self.binary_const(op, high, count)]
                }
            };
        }
        let (is_far, count, inverse) = self.split_count(count);
        let shifted = self.binary(op, high, count);
        let kept = self.binary(BinaryOp::ShrU, low, count);
        let double = self.binary_const(BinaryOp::Shl, high, 1);
        let moved = self.binary(BinaryOp::Shl, double, inverse);
        let near = self.binary(BinaryOp::Or, kept, moved);
        let fill = self.fill(high, op);
        [self.select(is_far, shifted, near), self.select(is_far, fill, shifted)]
    }

    fn fill(&mut self, high: Value, op: BinaryOp) -> Value {
        match op {
            BinaryOp::ShrS => self.binary_const(BinaryOp::ShrS, high, 63),
            _ => self.iconst(Type::I64, 0),
        }
    }

    /// Whether a count is 64 or more, its low six bits, and 63 minus those.
    fn split_count(&mut self, count: Value) -> (Value, Value, Value) {
        let bit = self.binary_const(BinaryOp::And, count, 64);
        let is_far = self.icmp_const(Cond::Ne, bit, 0);
        let low = self.binary_const(BinaryOp::And, count, 63);
        (is_far, low, self.binary_const(BinaryOp::Xor, low, 63))
    }

    /// Comparison of integers of `bits` bits.
    pub fn wide_icmp(&mut self, cond: Cond, a: Halves, b: Halves, bits: u32) -> Value {
        let a = self.wide_extend(a, bits, is_signed(cond));
        let b = self.wide_extend(b, bits, is_signed(cond));
        if matches!(cond, Cond::Eq | Cond::Ne) {
            let [low, high] = self.wide_logic(BinaryOp::Xor, a, b);
            let difference = self.binary(BinaryOp::Or, low, high);
            return self.icmp_const(cond, difference, 0);
        }
        // With a suitable low half on one side, the high halves alone decide.
        let decided_high = matches!(
            (unsigned(cond), self.as_const(b[0])),
            (Cond::LtU | Cond::GeU, Some(0)) | (Cond::GtU | Cond::LeU, Some(-1))
        );
        let high = self.icmp(cond, a[1], b[1]);
        if decided_high {
            return high;
        }
        let low = self.icmp(unsigned(cond), a[0], b[0]);
        let equal = self.icmp(Cond::Eq, a[1], b[1]);
        self.select(equal, low, high)
    }
}
