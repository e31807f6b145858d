//! Integer operators whose operands and results have lanes of one width.
//!
//! Lanes of 8 and 16 bits stay in their words, larger ones are computed one by one.

use inkwell::IntPredicate;
use inkwell::values::{InstructionOpcode, IntValue};
use wasm_program::vectors::Lanes;

use super::super::Translator;
use super::by_lane::{mask, predicate};
use super::packed::Packed;
use super::words::int;

/// Translates an operator of this family; returns false if it belongs to another.
pub fn translate(t: &mut Translator<'_, '_, '_>, lanes: Lanes, operation: &str) -> bool {
    if !matches!(lanes, Lanes::I8x16 | Lanes::I16x8 | Lanes::I32x4 | Lanes::I64x2) {
        return false;
    }
    let bits = lanes.bits();
    match operation {
        "splat" => {
            let value = t.pop_int();
            t.splat(bits, value);
        }
        "shl" | "shr_s" | "shr_u" => t.shift(bits, operation),
        "all_true" => t.all_true(bits),
        "bitmask" => t.bitmask(bits),
        _ if bits < 32 => return t.in_words(bits, operation),
        _ => return t.in_lanes(bits, operation),
    }
    true
}

fn opcode(operation: &str) -> Option<InstructionOpcode> {
    Some(match operation {
        "add" => InstructionOpcode::Add,
        "sub" => InstructionOpcode::Sub,
        "mul" => InstructionOpcode::Mul,
        _ => return None,
    })
}

fn minimum_or_maximum(operation: &str) -> Option<&'static str> {
    Some(match operation {
        "min_s" => "llvm.smin",
        "min_u" => "llvm.umin",
        "max_s" => "llvm.smax",
        "max_u" => "llvm.umax",
        _ => return None,
    })
}

type Unary = for<'ctx> fn(&Packed<'_, 'ctx>, IntValue<'ctx>) -> IntValue<'ctx>;
type Binary = for<'ctx> fn(&Packed<'_, 'ctx>, IntValue<'ctx>, IntValue<'ctx>) -> IntValue<'ctx>;

fn unary(operation: &str) -> Option<Unary> {
    Some(match operation {
        "abs" => |p, a| p.abs(a),
        "neg" => |p, a| p.neg(a),
        "popcnt" => |p, a| p.population(a),
        _ => return None,
    })
}

fn binary(operation: &str) -> Option<Binary> {
    Some(match operation {
        "add" => |p, a, b| p.add(a, b),
        "sub" => |p, a, b| p.sub(a, b),
        "mul" => |p, a, b| p.mul(a, b),
        "avgr_u" => |p, a, b| p.average(a, b),
        "add_sat_s" => |p, a, b| p.add_signed(a, b),
        "add_sat_u" => |p, a, b| p.add_unsigned(a, b),
        "sub_sat_s" => |p, a, b| p.sub_signed(a, b),
        "sub_sat_u" => |p, a, b| p.sub_unsigned(a, b),
        "min_s" => |p, a, b| p.min(a, b, true),
        "min_u" => |p, a, b| p.min(a, b, false),
        "max_s" => |p, a, b| p.max(a, b, true),
        "max_u" => |p, a, b| p.max(a, b, false),
        _ => return None,
    })
}

/// Lanes that compare so, as masks.
fn compared<'ctx>(
    p: &Packed<'_, 'ctx>,
    predicate: IntPredicate,
    a: IntValue<'ctx>,
    b: IntValue<'ctx>,
) -> IntValue<'ctx> {
    let flags = match predicate {
        IntPredicate::EQ => p.equal(a, b),
        IntPredicate::NE => p.nonzero(p.ir.xor(a, b)),
        IntPredicate::SLT => p.less(a, b, true),
        IntPredicate::ULT => p.less(a, b, false),
        IntPredicate::SGT => p.less(b, a, true),
        IntPredicate::UGT => p.less(b, a, false),
        IntPredicate::SLE => p.not(p.less(b, a, true)),
        IntPredicate::ULE => p.not(p.less(b, a, false)),
        IntPredicate::SGE => p.not(p.less(a, b, true)),
        IntPredicate::UGE => p.not(p.less(a, b, false)),
    };
    p.spread(flags)
}

impl<'ctx> Translator<'_, 'ctx, '_> {
    /// An operator on small lanes.
    fn in_words(&mut self, bits: u32, operation: &str) -> bool {
        if let Some(operation) = unary(operation) {
            self.map_words(bits, operation);
        } else if let Some(operation) = binary(operation) {
            self.zip_words(bits, operation);
        } else if let Some(predicate) = predicate(operation) {
            self.zip_words(bits, |p, a, b| compared(p, predicate, a, b));
        } else {
            return false;
        }
        true
    }

    /// Replaces a vector by the results of its words.
    pub fn map_words(
        &mut self,
        bits: u32,
        operation: impl Fn(&Packed<'_, 'ctx>, IntValue<'ctx>) -> IntValue<'ctx>,
    ) {
        let vector = self.pop_vector();
        let packed = self.packed(bits);
        let words = vector.words(self.ir(), self.plan.bits).into_iter();
        let results = words.map(|word| operation(&packed, word)).collect();
        self.push_vector(results);
    }

    /// Replaces two vectors by the results of their pairs of words.
    pub fn zip_words(
        &mut self,
        bits: u32,
        operation: impl Fn(&Packed<'_, 'ctx>, IntValue<'ctx>, IntValue<'ctx>) -> IntValue<'ctx>,
    ) {
        let (b, a) = (self.pop_vector(), self.pop_vector());
        let packed = self.packed(bits);
        let [a, b] = [a, b].map(|vector| vector.words(self.ir(), self.plan.bits));
        let results = a.into_iter().zip(b).map(|(a, b)| operation(&packed, a, b)).collect();
        self.push_vector(results);
    }

    /// An operator on large lanes.
    fn in_lanes(&mut self, bits: u32, operation: &str) -> bool {
        if let Some(opcode) = opcode(operation) {
            self.zip_lanes(bits, |t, a, b| t.ir().binary(opcode, a, b));
        } else if let Some(name) = minimum_or_maximum(operation) {
            self.zip_lanes(bits, |t, a, b| t.intrinsic(name, &[a, b]));
        } else if let Some(predicate) = predicate(operation) {
            self.zip_lanes(bits, |t, a, b| mask(t.ir(), t.ir().icmp(predicate, a, b), bits));
        } else if operation == "neg" {
            self.map_lanes(bits, |t, a| t.ir().sub(a.get_type().const_zero(), a));
        } else if operation == "abs" {
            self.map_lanes(bits, |t, a| {
                let negated = t.ir().sub(a.get_type().const_zero(), a);
                t.intrinsic("llvm.smax", &[a, negated])
            });
        } else {
            return false;
        }
        true
    }

    /// A shift of all lanes by one count, modulo their width.
    fn shift(&mut self, bits: u32, operation: &str) {
        let count = self.pop_int();
        let count = self.ir().and(count, self.ir().c32(bits - 1));
        if bits >= 32 {
            let opcode = match operation {
                "shl" => InstructionOpcode::Shl,
                "shr_s" => InstructionOpcode::AShr,
                _ => InstructionOpcode::LShr,
            };
            let count = if bits == 64 { self.ir().zext(count, self.ir().i64) } else { count };
            return self.map_lanes(bits, |t, lane| t.ir().binary(opcode, lane, count));
        }
        let word = int(self.ir(), self.plan.bits);
        let count = if self.plan.bits == 64 { self.ir().zext(count, word) } else { count };
        self.map_words(bits, |p, word| match operation {
            "shl" => p.shift_left(word, count),
            "shr_s" => p.shift_right_signed(word, count),
            _ => p.shift_right(word, count),
        });
    }

    fn all_true(&mut self, bits: u32) {
        let vector = self.pop_vector();
        let ir = self.ir();
        let all = if bits < 32 {
            let packed = self.packed(bits);
            let words = vector.words(ir, self.plan.bits).into_iter();
            let flags = words.map(|word| packed.nonzero(word)).reduce(|a, b| ir.and(a, b));
            let flags = ir.and(flags.expect("a vector has words"), packed.high());
            ir.icmp(IntPredicate::EQ, flags, packed.high())
        } else {
            let lanes = vector.lanes(ir, bits).into_iter();
            let all = lanes.map(|lane| ir.is_nonzero(lane)).reduce(|a, b| ir.and(a, b));
            all.expect("a vector has lanes")
        };
        self.push_bool(all);
    }

    /// The signs of all lanes as a number.
    fn bitmask(&mut self, bits: u32) {
        let vector = self.pop_vector();
        let ir = self.ir();
        let (count, parts): (u32, Vec<_>) = if bits < 32 {
            let packed = self.packed(bits);
            let words = vector.words(ir, self.plan.bits).into_iter();
            (packed.count(), words.map(|word| packed.bitmask(word)).collect())
        } else {
            let sign = int(ir, bits).const_int(u64::from(bits) - 1, false);
            (1, vector.lanes(ir, bits).into_iter().map(|lane| ir.lshr(lane, sign)).collect())
        };
        let placed = (0..).zip(parts).map(|(n, part)| {
            let part = if part.get_type() == ir.i64 { ir.trunc(part, ir.i32) } else { part };
            ir.shl(part, ir.c32(n * count))
        });
        let mask = placed.reduce(|a, b| ir.or(a, b)).expect("a vector has words");
        self.push(mask);
    }
}
