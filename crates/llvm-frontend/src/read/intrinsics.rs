//! LLVM's intrinsics.
//!
//! An integer pipeline produces a known set of intrinsics. Each is expanded here, on operands
//! that are extended as needed. Hints are dropped. Everything else is refused by name.

use ssa::{BinaryOp, Cond, Type, UnaryOp, Value};

use super::Refused;
use super::function::Reader;
use super::repr::{Repr, container};
use crate::llvm;

/// The name of an intrinsic without `llvm.` and without type suffixes: `uadd.with.overflow`.
pub(super) fn base_name(symbol: &str) -> &str {
    let mut name = symbol.strip_prefix("llvm.").unwrap_or(symbol);
    while let Some((rest, last)) = name.rsplit_once('.') {
        let is_type =
            last.starts_with(['i', 'f', 'p']) && last[1..].starts_with(|c: char| c.is_ascii_digit());
        if !is_type {
            break;
        }
        name = rest;
    }
    name
}

/// Hints that need no code.
const DROPPED: &[&str] = &[
    "assume",
    "donothing",
    "experimental.noalias.scope.decl",
    "invariant.end",
    "lifetime.end",
    "lifetime.start",
    "prefetch",
    "pseudoprobe",
    "sideeffect",
];

/// An extended operand pair and its width.
#[derive(Clone, Copy)]
struct Operands {
    a: Value,
    b: Value,
    bits: u32,
}

impl Operands {
    /// Whether the operands fill their registers.
    fn is_full(self) -> bool {
        self.bits == 32 || self.bits == 64
    }
}

impl<'m> Reader<'_, '_, 'm> {
    /// Reads a call of an intrinsic; `None` if it has no result.
    pub(super) fn intrinsic(&mut self, inst: llvm::Value<'m>, base: &str) -> Result<Option<Repr>, Refused> {
        if DROPPED.contains(&base) || base.starts_with("dbg.") {
            return Ok(None);
        }
        match base {
            "memcpy" | "memcpy.inline" | "memmove" | "memset" | "memset.inline" => {
                let base = base.trim_end_matches(".inline");
                return self.block_operation(inst, base).map(|()| None);
            }
            "trap" | "debugtrap" | "ubsantrap" => {
                self.terminate(ssa::InstData::Trap { code: ssa::TrapCode::Unreachable });
                return Ok(None);
            }
            "expect"
            | "expect.with.probability"
            | "ssa.copy"
            | "launder.invariant.group"
            | "strip.invariant.group"
            | "ptr.annotation"
            | "annotation"
            | "arithmetic.fence" => {
                return self.repr(inst.operand(0)).map(Some);
            }
            "var.annotation" => return self.check(inst).map(|()| None),
            "is.constant" => return Ok(Some(Repr::One(self.b.iconst(Type::I32, 0)))),
            "objectsize" => return self.object_size(inst).map(Some),
            _ => {}
        }
        if let Some(repr) = self.float_intrinsic(inst, base)? {
            return Ok(Some(repr));
        }
        let Some(first) = inst.arguments().first().copied() else { return Err(unknown(base)) };
        match first.ty().int_width() {
            Some(65..=128) => self.wide_intrinsic(inst, base).map(Some),
            Some(1..=64) => self.integer_intrinsic(inst, base).map(Some),
            _ => Err(unknown(base)),
        }
    }

    /// The size of an unknown object: the largest or smallest number.
    fn object_size(&mut self, inst: llvm::Value<'m>) -> Result<Repr, Refused> {
        let wants_minimum = inst.arguments().get(1).and_then(|arg| arg.const_int()) == Some(1);
        let ty = container(Self::width(inst)?);
        Ok(Repr::One(self.b.iconst(ty, if wants_minimum { 0 } else { -1 })))
    }

    fn integer_intrinsic(&mut self, inst: llvm::Value<'m>, base: &str) -> Result<Repr, Refused> {
        if let Some(operation) = base.strip_suffix(".with.overflow") {
            let operands = self.operands(inst, operation.starts_with('s'))?;
            let (value, overflow) = self.with_overflow(operation, operands).ok_or_else(|| unknown(base))?;
            return Ok(self.new_struct(vec![Repr::One(value), Repr::One(overflow)]));
        }
        if let Some(operation) = base.strip_suffix(".sat") {
            let operands = self.operands(inst, operation.starts_with('s'))?;
            return self.saturating(operation, operands).map(Repr::One).ok_or_else(|| unknown(base));
        }
        match base {
            "smax" | "smin" | "umax" | "umin" => self.min_max(inst, base),
            "scmp" | "ucmp" => self.three_way(inst, base == "scmp"),
            "abs" => {
                let value = self.signed_operand(inst, 0)?;
                let zero = self.b.iconst(self.b.ty(value), 0);
                let negated = self.b.binary(BinaryOp::Sub, zero, value);
                Ok(Repr::One(self.b.binary(BinaryOp::MaxS, value, negated)))
            }
            "fshl" | "fshr" => self.funnel_shift(inst, base == "fshl"),
            "bswap" | "bitreverse" | "ctpop" | "ctlz" | "cttz" => self.bit_operation(inst, base),
            _ => Err(unknown(base)),
        }
    }

    fn signed_operand(&mut self, inst: llvm::Value<'m>, n: u32) -> Result<Value, Refused> {
        let value = self.one(inst.operand(n))?;
        let bits = Self::width(inst.operand(n))?;
        Ok(self.b.sign_extend(value, bits))
    }

    fn unsigned_operand(&mut self, inst: llvm::Value<'m>, n: u32) -> Result<Value, Refused> {
        let value = self.one(inst.operand(n))?;
        let bits = Self::width(inst.operand(n))?;
        Ok(self.b.zero_extend(value, bits))
    }

    fn operands(&mut self, inst: llvm::Value<'m>, signed: bool) -> Result<Operands, Refused> {
        let bits = Self::width(inst.operand(0))?;
        let (a, b) = if signed {
            (self.signed_operand(inst, 0)?, self.signed_operand(inst, 1)?)
        } else {
            (self.unsigned_operand(inst, 0)?, self.unsigned_operand(inst, 1)?)
        };
        Ok(Operands { a, b, bits })
    }

    fn min_max(&mut self, inst: llvm::Value<'m>, base: &str) -> Result<Repr, Refused> {
        let Operands { a, b, bits } = self.operands(inst, base.starts_with('s'))?;
        // The order of signed booleans is the reverse of the unsigned one.
        let op = match (base, bits) {
            ("smin", 1) | ("umax", _) => BinaryOp::MaxU,
            ("smax", 1) | ("umin", _) => BinaryOp::MinU,
            ("smin", _) => BinaryOp::MinS,
            _ => BinaryOp::MaxS,
        };
        let (a, b) = if bits == 1 { (self.b.zero_extend(a, 1), self.b.zero_extend(b, 1)) } else { (a, b) };
        Ok(Repr::One(self.b.binary(op, a, b)))
    }

    /// -1, 0 or 1 as the first operand is less, equal or greater.
    fn three_way(&mut self, inst: llvm::Value<'m>, signed: bool) -> Result<Repr, Refused> {
        let bits = Self::width(inst)?;
        let Operands { a, b, .. } = self.operands(inst, signed)?;
        let (greater, less) = if signed { (Cond::GtS, Cond::LtS) } else { (Cond::GtU, Cond::LtU) };
        let (greater, less) = (self.b.icmp(greater, a, b), self.b.icmp(less, a, b));
        Ok(self.three_way_result(greater, less, bits))
    }

    pub(super) fn three_way_result(&mut self, greater: Value, less: Value, bits: u32) -> Repr {
        let value = self.b.binary(BinaryOp::Sub, greater, less);
        match bits {
            ..=32 => Repr::One(value),
            33..=64 => Repr::One(self.b.unary(UnaryOp::Sext, Type::I64, value)),
            _ => {
                let low = self.b.unary(UnaryOp::Sext, Type::I64, value);
                Repr::Pair(self.b.widen(low, true))
            }
        }
    }

    /// `fshl` and `fshr`: the high (low) half of two concatenated operands shifted left (right).
    fn funnel_shift(&mut self, inst: llvm::Value<'m>, left: bool) -> Result<Repr, Refused> {
        let bits = Self::width(inst)?;
        let (high, low) = (self.one(inst.operand(0))?, self.one(inst.operand(1))?);
        let count = self.unsigned_operand(inst, 2)?;
        let full = bits == 32 || bits == 64;
        if full && high == low {
            let op = if left { BinaryOp::Rotl } else { BinaryOp::Rotr };
            return Ok(Repr::One(self.b.binary(op, high, count)));
        }
        let ty = self.b.ty(count);
        let count = if bits.is_power_of_two() {
            self.b.binary_const(BinaryOp::And, count, i64::from(bits) - 1)
        } else if let Some(constant) = self.b.as_const(count) {
            let unsigned = constant.cast_unsigned() & (u64::MAX >> (64 - ty.bits()));
            self.b.iconst(ty, (unsigned % u64::from(bits)).cast_signed())
        } else {
            self.b.binary_const(BinaryOp::RemU, count, i64::from(bits))
        };
        if let Some(0) = self.b.as_const(count) {
            return Ok(Repr::One(if left { high } else { low }));
        }
        let low = self.b.zero_extend(low, bits);
        Ok(Repr::One(self.funnel_parts(high, low, count, bits, left)))
    }

    /// A funnel shift by a count below the width.
    ///
    /// The opposite shift is by `bits - count`, which for a count of 0 is the width; a full register is
    /// shifted by 1 and then by one less.
    fn funnel_parts(&mut self, high: Value, low: Value, count: Value, bits: u32, left: bool) -> Value {
        let ty = self.b.ty(high);
        let (kept_op, moved_op) =
            if left { (BinaryOp::Shl, BinaryOp::ShrU) } else { (BinaryOp::ShrU, BinaryOp::Shl) };
        let (kept, moved) = if left { (high, low) } else { (low, high) };
        let kept = self.b.binary(kept_op, kept, count);
        let moved = if bits == ty.bits() && self.b.as_const(count).is_none() {
            let inverse = self.b.binary_const(BinaryOp::Xor, count, i64::from(bits) - 1);
            let once = self.b.binary_const(moved_op, moved, 1);
            self.b.binary(moved_op, once, inverse)
        } else {
            let width = self.b.iconst(ty, i64::from(bits));
            let inverse = self.b.binary(BinaryOp::Sub, width, count);
            self.b.binary(moved_op, moved, inverse)
        };
        self.b.binary(BinaryOp::Or, kept, moved)
    }

    /// Byte and bit reversal, and counting.
    fn bit_operation(&mut self, inst: llvm::Value<'m>, base: &str) -> Result<Repr, Refused> {
        let bits = Self::width(inst)?;
        let ty = container(bits);
        let spare = i64::from(ty.bits() - bits);
        let value = match base {
            "bswap" | "bitreverse" => {
                let op = if base == "bswap" { UnaryOp::Bswap } else { UnaryOp::Bitrev };
                let value = self.one(inst.operand(0))?;
                let reversed = self.b.unary(op, ty, value);
                self.b.binary_const(BinaryOp::ShrU, reversed, spare)
            }
            "ctpop" => {
                let value = self.unsigned_operand(inst, 0)?;
                self.b.unary(UnaryOp::Popcnt, ty, value)
            }
            "ctlz" => {
                let value = self.unsigned_operand(inst, 0)?;
                let count = self.b.unary(UnaryOp::Clz, ty, value);
                self.b.binary_const(BinaryOp::Sub, count, spare)
            }
            _ => {
                // A bit above the width stops the count there.
                let value = self.one(inst.operand(0))?;
                let value =
                    if spare == 0 { value } else { self.b.binary_const(BinaryOp::Or, value, 1i64 << bits) };
                self.b.unary(UnaryOp::Ctz, ty, value)
            }
        };
        Ok(Repr::One(value))
    }

    /// The result and the overflow flag of an operation on extended operands.
    fn with_overflow(&mut self, operation: &str, operands: Operands) -> Option<(Value, Value)> {
        match operation {
            "uadd" => Some(self.add_unsigned(operands)),
            "usub" => {
                let value = self.b.binary(BinaryOp::Sub, operands.a, operands.b);
                Some((value, self.b.icmp(Cond::LtU, operands.a, operands.b)))
            }
            "sadd" => Some(self.add_or_sub_signed(BinaryOp::Add, operands)),
            "ssub" => Some(self.add_or_sub_signed(BinaryOp::Sub, operands)),
            "umul" => Some(self.multiply_checked(operands, false)),
            "smul" => Some(self.multiply_checked(operands, true)),
            _ => None,
        }
    }

    fn add_unsigned(&mut self, operands: Operands) -> (Value, Value) {
        let value = self.b.binary(BinaryOp::Add, operands.a, operands.b);
        let overflow = if operands.is_full() {
            self.b.icmp(Cond::LtU, value, operands.b)
        } else {
            self.b.icmp_const(Cond::GtU, value, unsigned_max(operands.bits))
        };
        (value, overflow)
    }

    fn add_or_sub_signed(&mut self, op: BinaryOp, operands: Operands) -> (Value, Value) {
        let Operands { a, b, bits } = operands;
        let value = self.b.binary(op, a, b);
        if !operands.is_full() {
            let wrapped = self.b.sign_extend(value, bits);
            return (value, self.b.icmp(Cond::Ne, value, wrapped));
        }
        // Overflow: the sum differs in sign from both operands; the difference from `a`, and `b` from `a`,
        // too.
        let changed = self.b.binary(BinaryOp::Xor, value, a);
        let other = if op == BinaryOp::Add { value } else { a };
        let differs = self.b.binary(BinaryOp::Xor, other, b);
        let both = self.b.binary(BinaryOp::And, changed, differs);
        (value, self.b.icmp_const(Cond::LtS, both, 0))
    }

    /// A product and whether it fits: computed in a register twice as wide where there is one.
    fn multiply_checked(&mut self, operands: Operands, signed: bool) -> (Value, Value) {
        let Operands { a, b, bits } = operands;
        let ty = self.b.ty(a);
        if bits > 32 {
            return self.multiply_checked_wide(operands, signed);
        }
        let (a, b) = if bits > 16 {
            let op = if signed { UnaryOp::Sext } else { UnaryOp::Zext };
            (self.b.unary(op, Type::I64, a), self.b.unary(op, Type::I64, b))
        } else {
            (a, b)
        };
        let product = self.b.binary(BinaryOp::Mul, a, b);
        let overflow = if signed {
            let wrapped = self.b.sign_extend(product, bits);
            self.b.icmp(Cond::Ne, product, wrapped)
        } else {
            self.b.icmp_const(Cond::GtU, product, unsigned_max(bits))
        };
        (self.b.resize(product, ty), overflow)
    }

    /// A product of more than 32 bits: the high half of the full product must be the extension of the low
    /// one.
    fn multiply_checked_wide(&mut self, operands: Operands, signed: bool) -> (Value, Value) {
        let Operands { a, b, bits } = operands;
        let low = self.b.binary(BinaryOp::Mul, a, b);
        let high = if signed { self.b.binary(BinaryOp::MulhS, a, b) } else { self.b.high_product(a, b) };
        let extension =
            if signed { self.b.binary_const(BinaryOp::ShrS, low, 63) } else { self.b.iconst(Type::I64, 0) };
        let overflow = self.b.icmp(Cond::Ne, high, extension);
        if bits == 64 {
            return (low, overflow);
        }
        let wrapped = if signed { self.b.sign_extend(low, bits) } else { self.b.zero_extend(low, bits) };
        let narrow_overflow = self.b.icmp(Cond::Ne, low, wrapped);
        (low, self.b.binary(BinaryOp::Or, overflow, narrow_overflow))
    }

    /// Saturating arithmetic on extended operands.
    fn saturating(&mut self, operation: &str, operands: Operands) -> Option<Value> {
        let Operands { a, b, bits } = operands;
        match operation {
            "uadd" => {
                let (value, overflow) = self.add_unsigned(operands);
                let max = self.b.iconst(self.b.ty(a), unsigned_max(bits));
                Some(self.b.select(overflow, max, value))
            }
            "usub" => {
                let larger = self.b.binary(BinaryOp::MaxU, a, b);
                Some(self.b.binary(BinaryOp::Sub, larger, b))
            }
            "sadd" => Some(self.saturate_signed(BinaryOp::Add, operands)),
            "ssub" => Some(self.saturate_signed(BinaryOp::Sub, operands)),
            "ushl" | "sshl" => Some(self.saturate_shift(operands, operation == "sshl")),
            _ => None,
        }
    }

    fn saturate_signed(&mut self, op: BinaryOp, operands: Operands) -> Value {
        let (min, max) = signed_limits(operands.bits);
        if !operands.is_full() {
            let value = self.b.binary(op, operands.a, operands.b);
            let value = self.b.binary_const(BinaryOp::MinS, value, max);
            return self.b.binary_const(BinaryOp::MaxS, value, min);
        }
        let (value, overflow) = self.add_or_sub_signed(op, operands);
        // A wrapped result has the wrong sign: negative means too large.
        let sign = self.b.binary_const(BinaryOp::ShrS, value, i64::from(operands.bits) - 1);
        let limit = self.b.binary_const(BinaryOp::Xor, sign, min);
        self.b.select(overflow, limit, value)
    }

    /// A left shift that saturates when shifting back doesn't give the operand again.
    fn saturate_shift(&mut self, operands: Operands, signed: bool) -> Value {
        let Operands { a, b: count, bits } = operands;
        let ty = self.b.ty(a);
        // The count was extended like the operand; a valid one is below the width and so the same either way.
        let shifted = self.b.binary(BinaryOp::Shl, a, count);
        let shifted =
            if signed { self.b.sign_extend(shifted, bits) } else { self.b.zero_extend(shifted, bits) };
        let back = self.b.binary(if signed { BinaryOp::ShrS } else { BinaryOp::ShrU }, shifted, count);
        let lost = self.b.icmp(Cond::Ne, back, a);
        let limit = if signed {
            let sign = self.b.binary_const(BinaryOp::ShrS, a, i64::from(ty.bits()) - 1);
            self.b.binary_const(BinaryOp::Xor, sign, signed_limits(bits).1)
        } else {
            self.b.iconst(ty, unsigned_max(bits))
        };
        self.b.select(lost, limit, shifted)
    }
}

/// The reason for refusing an intrinsic.
pub(super) fn unknown(base: &str) -> Refused {
    format!("no lowering for the intrinsic `{base}`")
}

fn unsigned_max(bits: u32) -> i64 {
    (u64::MAX >> (64 - bits)).cast_signed()
}

fn signed_limits(bits: u32) -> (i64, i64) {
    let min = i64::MIN >> (64 - bits);
    (min, !min)
}
