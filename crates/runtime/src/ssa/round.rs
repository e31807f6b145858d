//! Rounding floats to integral floats by operations on their bits.
//!
//! If the exponent is between 0 and the width of the fraction, it tells how many of the lowest bits are below the
//! binary point. Truncation clears those bits. The other directions first add to the magnitude: all ones to round away
//! from zero; for nearest-even all ones but the highest, plus the lowest kept bit. Carries into the exponent give the
//! right result. A smaller exponent gives zero or one with the number's sign, a larger one the number itself. NaN
//! becomes the canonical NaN.

use ssa::{BinaryOp, Cond, Function, InstData, SigId, Type, UnaryOp, Value, estimate_frequencies};

/// The function from bits to bits of the float type `ty` that performs `op`, one of the four directions.
pub fn function(name: &str, sig: SigId, op: UnaryOp, ty: Type) -> Function {
    let mut func = Function::new(name, sig);
    let block = func.add_block();
    let bits = ty.to_int();
    let x = func.add_param(block, bits);
    let mut rounding = Rounding { func, block, ty: bits, x };
    let result = rounding.result(op);
    let Rounding { mut func, block, .. } = rounding;
    func.append(block, InstData::Return { args: vec![result] }, &[]);
    estimate_frequencies(&mut func);
    func
}

struct Rounding {
    func: Function,
    block: ssa::Block,
    /// The type of the bits.
    ty: Type,
    x: Value,
}

impl Rounding {
    /// Bits of the fraction.
    const fn fraction_bits(&self) -> i64 {
        if matches!(self.ty, Type::I32) { 23 } else { 52 }
    }

    /// Exponent of 1.0 as stored.
    const fn bias(&self) -> i64 {
        if matches!(self.ty, Type::I32) { 127 } else { 1023 }
    }

    fn constant(&mut self, bits: i64) -> Value {
        let bits = if self.ty == Type::I32 { i64::from(bits as i32) } else { bits };
        self.func.append_value(self.block, InstData::Const { ty: self.ty, bits }, self.ty)
    }

    fn binary(&mut self, op: BinaryOp, a: Value, b: Value) -> Value {
        self.func.append_value(self.block, InstData::Binary { op, ty: self.ty, args: [a, b] }, self.ty)
    }

    fn with(&mut self, op: BinaryOp, a: Value, bits: i64) -> Value {
        let b = self.constant(bits);
        self.binary(op, a, b)
    }

    fn compare(&mut self, cond: Cond, a: Value, bits: i64) -> Value {
        let b = self.constant(bits);
        self.func.append_value(self.block, InstData::Icmp { cond, ty: self.ty, args: [a, b] }, Type::I32)
    }

    fn select(&mut self, cond: Value, if_true: Value, if_false: Value) -> Value {
        let data = InstData::Select { ty: self.ty, cond, if_true, if_false };
        self.func.append_value(self.block, data, self.ty)
    }

    fn result(&mut self, op: UnaryOp) -> Value {
        let (fraction, bias) = (self.fraction_bits(), self.bias());
        let sign_bit = 1i64 << (self.ty.bits() - 1);
        let one = bias << fraction;
        let magnitude = self.with(BinaryOp::And, self.x, !sign_bit);
        let sign = self.with(BinaryOp::And, self.x, sign_bit);
        let stored = self.with(BinaryOp::ShrU, magnitude, fraction);
        // Kept in the range of the shift; the result is unused if it was outside.
        let exponent = self.with(BinaryOp::Sub, stored, bias);
        let exponent = self.with(BinaryOp::And, exponent, i64::from(self.ty.bits()) - 1);
        let ones = self.constant((1 << fraction) - 1);
        let mask = self.binary(BinaryOp::ShrU, ones, exponent);
        let (added, small) = self.direction(op, magnitude, sign, mask, one);
        let sum = self.binary(BinaryOp::Add, magnitude, added);
        let kept = self.with(BinaryOp::Xor, mask, -1);
        let rounded = self.binary(BinaryOp::And, sum, kept);
        let is_small = self.compare(Cond::LtU, magnitude, one);
        let rounded = self.select(is_small, small, rounded);
        let rounded = self.binary(BinaryOp::Or, rounded, sign);
        let infinity = (2 * bias + 1) << fraction;
        let nan = self.constant(infinity | 1 << (fraction - 1));
        let is_nan = self.compare(Cond::GtU, magnitude, infinity);
        let itself = self.select(is_nan, nan, self.x);
        let is_large = self.compare(Cond::GeU, magnitude, (bias + fraction) << fraction);
        self.select(is_large, itself, rounded)
    }

    /// The number added to the magnitude, and the magnitude of the result for numbers below one.
    fn direction(
        &mut self,
        op: UnaryOp,
        magnitude: Value,
        sign: Value,
        mask: Value,
        one: i64,
    ) -> (Value, Value) {
        let zero = self.constant(0);
        let one_bits = self.constant(one);
        match op {
            UnaryOp::Ftrunc => (zero, zero),
            UnaryOp::Fnearest => {
                let half = one - (1 << self.fraction_bits());
                let unit = self.with(BinaryOp::Add, mask, 1);
                let lowest = self.binary(BinaryOp::And, magnitude, unit);
                let is_even = self.compare(Cond::Eq, lowest, 0);
                let below_half = self.with(BinaryOp::ShrU, mask, 1);
                let at_half = self.with(BinaryOp::Add, below_half, 1);
                let added = self.select(is_even, below_half, at_half);
                let is_more = self.compare(Cond::GtU, magnitude, half);
                (added, self.select(is_more, one_bits, zero))
            }
            _ => {
                // Away from zero for this sign, unless the number is zero.
                let cond = if op == UnaryOp::Fceil { Cond::Eq } else { Cond::Ne };
                let is_away = self.compare(cond, sign, 0);
                let added = self.select(is_away, mask, zero);
                let is_zero = self.compare(Cond::Eq, magnitude, 0);
                let nonzero = self.select(is_zero, zero, one_bits);
                (added, self.select(is_away, nonzero, zero))
            }
        }
    }
}
