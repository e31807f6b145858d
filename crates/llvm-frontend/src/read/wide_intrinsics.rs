//! LLVM's intrinsics on integers of 65 to 128 bits.

use ssa::{BinaryOp, Cond, Type, UnaryOp, Value};
use wasm_program::names;

use super::Refused;
use super::function::Reader;
use super::intrinsics::unknown;
use super::repr::Repr;
use super::wide::Halves;
use crate::llvm;

impl<'m> Reader<'_, '_, 'm> {
    /// Intrinsics on more than 64 bits.
    pub(super) fn wide_intrinsic(&mut self, inst: llvm::Value<'m>, base: &str) -> Result<Repr, Refused> {
        let bits = Self::width(inst.operand(0))?;
        let a = self.pair(inst.operand(0))?;
        match base {
            "smax" | "smin" | "umax" | "umin" | "scmp" | "ucmp" | "uadd.with.overflow"
            | "usub.with.overflow" | "sadd.with.overflow" | "ssub.with.overflow" | "sadd.sat"
            | "ssub.sat" | "uadd.sat" | "usub.sat" => {
                let b = self.pair(inst.operand(1))?;
                self.wide_two_operands(inst, base, a, b, bits)
            }
            "fshl" | "fshr" => {
                let (low, count) = (self.pair(inst.operand(1))?, self.pair(inst.operand(2))?);
                self.wide_funnel_shift(a, low, count, bits, base == "fshl").map(Repr::Pair)
            }
            "umul.with.overflow" | "smul.with.overflow" => {
                let b = self.pair(inst.operand(1))?;
                let (value, overflow) = self.wide_multiply_checked(a, b, bits, base == "smul.with.overflow");
                Ok(self.new_struct(vec![Repr::Pair(value), Repr::One(overflow)]))
            }
            "abs" => {
                let a = self.b.wide_extend(a, bits, true);
                let zero = self.b.iconst(Type::I64, 0);
                let negated = self.b.wide_sub([zero, zero], a);
                let negative = self.b.icmp_const(Cond::LtS, a[1], 0);
                Ok(Repr::Pair(self.b.wide_select(negative, negated, a)))
            }
            "bswap" | "bitreverse" => {
                let op = if base == "bswap" { UnaryOp::Bswap } else { UnaryOp::Bitrev };
                let reversed = [self.b.unary(op, Type::I64, a[1]), self.b.unary(op, Type::I64, a[0])];
                let spare = self.b.iconst(Type::I64, i64::from(128 - bits));
                Ok(Repr::Pair(self.b.wide_shr(reversed, spare, BinaryOp::ShrU)))
            }
            "ctpop" | "ctlz" | "cttz" => {
                let count = self.wide_count(base, a, bits);
                Ok(Repr::Pair(self.b.widen(count, false)))
            }
            _ => Err(unknown(base)),
        }
    }

    fn wide_count(&mut self, base: &str, a: Halves, bits: u32) -> Value {
        let [low, high] = self.b.wide_extend(a, bits, false);
        if base == "ctpop" {
            let ones = [low, high].map(|half| self.b.unary(UnaryOp::Popcnt, Type::I64, half));
            return self.b.binary(BinaryOp::Add, ones[0], ones[1]);
        }
        let (op, first, second) =
            if base == "ctlz" { (UnaryOp::Clz, high, low) } else { (UnaryOp::Ctz, low, high) };
        let second = if base == "cttz" && bits < 128 {
            self.b.binary_const(BinaryOp::Or, second, 1i64 << (bits - 64))
        } else {
            second
        };
        let near = self.b.unary(op, Type::I64, first);
        let far = self.b.unary(op, Type::I64, second);
        let far = self.b.binary_const(BinaryOp::Add, far, 64);
        let is_far = self.b.icmp_const(Cond::Eq, first, 0);
        let count = self.b.select(is_far, far, near);
        let spare = if base == "ctlz" { i64::from(128 - bits) } else { 0 };
        self.b.binary_const(BinaryOp::Sub, count, spare)
    }

    fn wide_two_operands(
        &mut self,
        inst: llvm::Value<'m>,
        base: &str,
        a: Halves,
        b: Halves,
        bits: u32,
    ) -> Result<Repr, Refused> {
        let signed = base.starts_with('s');
        let (a, b) = (self.b.wide_extend(a, bits, signed), self.b.wide_extend(b, bits, signed));
        let (less, greater) = if signed { (Cond::LtS, Cond::GtS) } else { (Cond::LtU, Cond::GtU) };
        match base {
            "smin" | "umin" | "smax" | "umax" => {
                let cond = if base.ends_with("min") { less } else { greater };
                let first = self.b.wide_icmp(cond, a, b, bits);
                Ok(Repr::Pair(self.b.wide_select(first, a, b)))
            }
            "scmp" | "ucmp" => {
                let (greater, less) =
                    (self.b.wide_icmp(greater, a, b, bits), self.b.wide_icmp(less, a, b, bits));
                Ok(self.three_way_result(greater, less, Self::width(inst)?))
            }
            _ => {
                let is_add = base[1..].starts_with("add");
                let value = if is_add { self.b.wide_add(a, b) } else { self.b.wide_sub(a, b) };
                let overflow = self.wide_overflow(is_add, signed, [a, b, value], bits);
                if !base.ends_with(".sat") {
                    return Ok(self.new_struct(vec![Repr::Pair(value), Repr::One(overflow)]));
                }
                let limit = if signed {
                    self.wide_limit(value, bits)
                } else {
                    [self.b.iconst(Type::I64, if is_add { -1 } else { 0 }); 2]
                };
                Ok(Repr::Pair(self.b.wide_select(overflow, limit, value)))
            }
        }
    }

    /// Whether a sum or difference of extended operands doesn't fit.
    fn wide_overflow(&mut self, is_add: bool, signed: bool, [a, b, value]: [Halves; 3], bits: u32) -> Value {
        if bits < 128 {
            let [_, wrapped] = self.b.wide_extend(value, bits, signed);
            return self.b.icmp(Cond::Ne, wrapped, value[1]);
        }
        if !signed {
            let (x, y) = if is_add { (value, b) } else { (a, b) };
            return self.b.wide_icmp(Cond::LtU, x, y, bits);
        }
        let changed = self.b.binary(BinaryOp::Xor, value[1], a[1]);
        let other = if is_add { value } else { a };
        let differs = self.b.binary(BinaryOp::Xor, other[1], b[1]);
        let both = self.b.binary(BinaryOp::And, changed, differs);
        self.b.icmp_const(Cond::LtS, both, 0)
    }

    /// The number that a signed result out of range saturates to. A result of 128 bits has wrapped and has
    /// the wrong sign; a narrower one has the right sign.
    fn wide_limit(&mut self, [_, high]: Halves, bits: u32) -> Halves {
        let sign = self.b.binary_const(BinaryOp::ShrS, high, 63);
        let low = if bits == 128 { sign } else { self.b.binary_const(BinaryOp::Xor, sign, -1) };
        [low, self.b.binary_const(BinaryOp::Xor, low, i64::MIN >> (128 - bits))]
    }

    /// A product and whether it fits.
    fn wide_multiply_checked(&mut self, a: Halves, b: Halves, bits: u32, signed: bool) -> (Halves, Value) {
        let (a, b) = (self.b.wide_extend(a, bits, signed), self.b.wide_extend(b, bits, signed));
        let (value, overflow) =
            if signed { self.multiply_magnitudes(a, b) } else { self.multiply_full(a, b) };
        if bits == 128 {
            return (value, overflow);
        }
        let [_, wrapped] = self.b.wide_extend(value, bits, signed);
        let too_wide = self.b.icmp(Cond::Ne, wrapped, value[1]);
        (value, self.b.binary(BinaryOp::Or, overflow, too_wide))
    }

    /// The unsigned product modulo 2^128, and whether it overflows.
    ///
    /// If both high halves are nonzero, the product is too large. Otherwise at most one cross product is nonzero, and
    /// it must fit in 64 bits together with the carry into it.
    fn multiply_full(&mut self, a: Halves, b: Halves) -> (Halves, Value) {
        let low = self.b.binary(BinaryOp::Mul, a[0], b[0]);
        let carried = self.b.high_product(a[0], b[0]);
        let mut cross = self.b.iconst(Type::I64, 0);
        let high_a = self.b.icmp_const(Cond::Ne, a[1], 0);
        let high_b = self.b.icmp_const(Cond::Ne, b[1], 0);
        let mut overflow = self.b.binary(BinaryOp::And, high_a, high_b);
        for (x, y) in [(a[0], b[1]), (a[1], b[0])] {
            let product = self.b.binary(BinaryOp::Mul, x, y);
            cross = self.b.binary(BinaryOp::Add, cross, product);
            let above = self.b.high_product(x, y);
            let above = self.b.icmp_const(Cond::Ne, above, 0);
            overflow = self.b.binary(BinaryOp::Or, overflow, above);
        }
        let high = self.b.binary(BinaryOp::Add, carried, cross);
        let wrapped = self.b.icmp(Cond::LtU, high, carried);
        ([low, high], self.b.binary(BinaryOp::Or, overflow, wrapped))
    }

    /// The signed product of the magnitudes: its sign must be the one that the operands' signs give, unless it is 0.
    fn multiply_magnitudes(&mut self, a: Halves, b: Halves) -> (Halves, Value) {
        let [sign_a, sign_b] = [a, b].map(|x| self.b.binary_const(BinaryOp::ShrS, x[1], 63));
        let (a, b) = (self.negate_if(a, sign_a), self.negate_if(b, sign_b));
        let (magnitude, overflow) = self.multiply_full(a, b);
        let sign = self.b.binary(BinaryOp::Xor, sign_a, sign_b);
        let value = self.negate_if(magnitude, sign);
        let changed = self.b.binary(BinaryOp::Xor, value[1], sign);
        let changed = self.b.icmp_const(Cond::LtS, changed, 0);
        let bits = self.b.binary(BinaryOp::Or, value[0], value[1]);
        let nonzero = self.b.icmp_const(Cond::Ne, bits, 0);
        let wrong = self.b.binary(BinaryOp::And, changed, nonzero);
        (value, self.b.binary(BinaryOp::Or, overflow, wrong))
    }

    /// The negation where `mask` is -1, the same where it is 0.
    fn negate_if(&mut self, value: Halves, mask: Value) -> Halves {
        let flipped = self.b.wide_logic(BinaryOp::Xor, value, [mask, mask]);
        self.b.wide_sub(flipped, [mask, mask])
    }

    /// `fshl` and `fshr`: see the narrow form. A full register is shifted by 1 and then by one less, because
    /// there is no shift by the whole width.
    fn wide_funnel_shift(
        &mut self,
        high: Halves,
        low: Halves,
        count: Halves,
        bits: u32,
        left: bool,
    ) -> Result<Halves, Refused> {
        let count = self.wide_shift_count(count, bits)?;
        let low = self.b.wide_extend(low, bits, false);
        let one = self.b.iconst(Type::I64, 1);
        let (once, inverse) = if bits == 128 {
            let once =
                if left { self.b.wide_shr(low, one, BinaryOp::ShrU) } else { self.b.wide_shl(high, one) };
            (once, self.b.binary_const(BinaryOp::Xor, count, 127))
        } else {
            let width = self.b.iconst(Type::I64, i64::from(bits));
            (if left { low } else { high }, self.b.binary(BinaryOp::Sub, width, count))
        };
        let (kept, moved) = if left {
            (self.b.wide_shl(high, count), self.b.wide_shr(once, inverse, BinaryOp::ShrU))
        } else {
            (self.b.wide_shr(low, count, BinaryOp::ShrU), self.b.wide_shl(once, inverse))
        };
        Ok(self.b.wide_logic(BinaryOp::Or, kept, moved))
    }

    /// A count modulo the width.
    fn wide_shift_count(&mut self, count: Halves, bits: u32) -> Result<Value, Refused> {
        if bits == 128 {
            return Ok(self.b.binary_const(BinaryOp::And, count[0], 127));
        }
        let count = self.b.wide_extend(count, bits, false);
        if let [Some(low), Some(0)] = count.map(|half| self.b.as_const(half)) {
            let reduced = low.cast_unsigned() % u64::from(bits);
            return Ok(self.b.iconst(Type::I64, reduced.cast_signed()));
        }
        let width = [self.b.iconst(Type::I64, i64::from(bits)), self.b.iconst(Type::I64, 0)];
        let results = self.call_runtime(names::UMODTI3, [count, width].concat(), &[Type::I64; 2])?;
        Ok(results[0])
    }
}
