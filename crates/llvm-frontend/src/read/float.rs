//! Float operations: arithmetic, comparisons, conversions and intrinsics with one `ssa` instruction each.

use ssa::{BinaryOp, Cond, FCond, InstData, Type, UnaryOp, Value};

use super::Refused;
use super::function::Reader;
use super::repr::{Repr, Shape, container};
use crate::llvm::{self, Opcode, RealPredicate};

/// A relation, or a constant.
enum Relation {
    Always(bool),
    Cond(FCond),
}

fn relation_of(predicate: RealPredicate) -> Relation {
    Relation::Cond(match predicate {
        RealPredicate::LLVMRealPredicateFalse => return Relation::Always(false),
        RealPredicate::LLVMRealPredicateTrue => return Relation::Always(true),
        RealPredicate::LLVMRealOEQ => FCond::Oeq,
        RealPredicate::LLVMRealOGT => FCond::Ogt,
        RealPredicate::LLVMRealOGE => FCond::Oge,
        RealPredicate::LLVMRealOLT => FCond::Olt,
        RealPredicate::LLVMRealOLE => FCond::Ole,
        RealPredicate::LLVMRealONE => FCond::One,
        RealPredicate::LLVMRealORD => FCond::Ord,
        RealPredicate::LLVMRealUNO => FCond::Uno,
        RealPredicate::LLVMRealUEQ => FCond::Ueq,
        RealPredicate::LLVMRealUGT => FCond::Ugt,
        RealPredicate::LLVMRealUGE => FCond::Uge,
        RealPredicate::LLVMRealULT => FCond::Ult,
        RealPredicate::LLVMRealULE => FCond::Ule,
        RealPredicate::LLVMRealUNE => FCond::Une,
    })
}

fn unary_intrinsic(base: &str) -> Option<UnaryOp> {
    Some(match base {
        "fabs" => UnaryOp::Fabs,
        "sqrt" => UnaryOp::Fsqrt,
        "ceil" => UnaryOp::Fceil,
        "floor" => UnaryOp::Ffloor,
        "trunc" => UnaryOp::Ftrunc,
        "rint" | "nearbyint" | "roundeven" => UnaryOp::Fnearest,
        _ => return None,
    })
}

fn binary_intrinsic(base: &str) -> Option<BinaryOp> {
    Some(match base {
        "copysign" => BinaryOp::Fcopysign,
        "minimum" => BinaryOp::Fmin,
        "maximum" => BinaryOp::Fmax,
        _ => return None,
    })
}

impl<'m> Reader<'_, '_, 'm> {
    /// Reads float arithmetic, comparisons and conversions.
    pub(super) fn float_operation(&mut self, inst: llvm::Value<'m>, opcode: Opcode) -> Result<Repr, Refused> {
        use Opcode::*;
        let value = match opcode {
            LLVMFAdd => self.float_binary(inst, BinaryOp::Fadd)?,
            LLVMFSub => self.float_binary(inst, BinaryOp::Fsub)?,
            LLVMFMul => self.float_binary(inst, BinaryOp::Fmul)?,
            LLVMFDiv => self.float_binary(inst, BinaryOp::Fdiv)?,
            LLVMFNeg => self.float_unary(inst, UnaryOp::Fneg)?,
            LLVMFPExt => self.float_unary(inst, UnaryOp::Fpromote)?,
            LLVMFPTrunc => self.float_unary(inst, UnaryOp::Fdemote)?,
            LLVMFCmp => self.float_compare(inst)?,
            LLVMFPToSI => self.float_to_int(inst, UnaryOp::FtoS)?,
            LLVMFPToUI => self.float_to_int(inst, UnaryOp::FtoU)?,
            LLVMSIToFP => self.int_to_float(inst, true)?,
            _ => self.int_to_float(inst, false)?,
        };
        Ok(Repr::One(value))
    }

    /// Reads an intrinsic on floats; `None` if it is not one.
    pub(super) fn float_intrinsic(
        &mut self,
        inst: llvm::Value<'m>,
        base: &str,
    ) -> Result<Option<Repr>, Refused> {
        let value = if let Some(op) = unary_intrinsic(base) {
            self.float_unary(inst, op)?
        } else if let Some(op) = binary_intrinsic(base) {
            self.float_binary(inst, op)?
        } else {
            match base {
                "fptosi.sat" => self.float_to_int_saturating(inst, true)?,
                "fptoui.sat" => self.float_to_int_saturating(inst, false)?,
                "is.fpclass" => self.float_class(inst)?,
                _ => return Ok(None),
            }
        };
        Ok(Some(Repr::One(value)))
    }

    fn float_type(inst: llvm::Value<'m>) -> Result<Type, Refused> {
        match Shape::of(inst.ty())? {
            Shape::Float(ty) => Ok(ty),
            _ => Err("a float operation on another type".into()),
        }
    }

    fn float_unary(&mut self, inst: llvm::Value<'m>, op: UnaryOp) -> Result<Value, Refused> {
        let ty = Self::float_type(inst)?;
        let arg = self.one(inst.operand(0))?;
        Ok(self.b.unary(op, ty, arg))
    }

    fn float_binary(&mut self, inst: llvm::Value<'m>, op: BinaryOp) -> Result<Value, Refused> {
        Self::float_type(inst)?;
        let (a, b) = (self.one(inst.operand(0))?, self.one(inst.operand(1))?);
        Ok(self.b.binary(op, a, b))
    }

    fn float_compare(&mut self, inst: llvm::Value<'m>) -> Result<Value, Refused> {
        let ty = Self::float_type(inst.operand(0))?;
        let args = [self.one(inst.operand(0))?, self.one(inst.operand(1))?];
        match relation_of(inst.real_predicate().ok_or("a comparison without a relation")?) {
            Relation::Always(result) => Ok(self.b.iconst(Type::I32, i64::from(result))),
            Relation::Cond(cond) => Ok(self.b.boolean(InstData::Fcmp { cond, ty, args })),
        }
    }

    fn float_to_int(&mut self, inst: llvm::Value<'m>, op: UnaryOp) -> Result<Value, Refused> {
        Self::float_type(inst.operand(0))?;
        let bits = Self::width(inst)?;
        if bits > 64 {
            return Err("a conversion to more than 64 bits".into());
        }
        let arg = self.one(inst.operand(0))?;
        Ok(self.b.unary(op, container(bits), arg))
    }

    fn float_to_int_saturating(&mut self, inst: llvm::Value<'m>, signed: bool) -> Result<Value, Refused> {
        let op = if signed { UnaryOp::FtoSSat } else { UnaryOp::FtoUSat };
        let bits = Self::width(inst)?;
        let value = self.float_to_int(inst, op)?;
        if bits == container(bits).bits() {
            return Ok(value);
        }
        if !signed {
            return Ok(self.b.binary_const(BinaryOp::MinU, value, (u64::MAX >> (64 - bits)).cast_signed()));
        }
        let value = self.b.binary_const(BinaryOp::MinS, value, !(i64::MIN >> (64 - bits)));
        Ok(self.b.binary_const(BinaryOp::MaxS, value, i64::MIN >> (64 - bits)))
    }

    fn int_to_float(&mut self, inst: llvm::Value<'m>, signed: bool) -> Result<Value, Refused> {
        let ty = Self::float_type(inst)?;
        let bits = Self::width(inst.operand(0))?;
        if bits > 64 {
            return Err("a conversion from more than 64 bits".into());
        }
        let value = self.one(inst.operand(0))?;
        let value = self.extend_to(value, bits, container(bits), signed);
        let op = if signed { UnaryOp::StoF } else { UnaryOp::UtoF };
        Ok(self.b.unary(op, ty, value))
    }

    /// Whether a float is of one of the classes of a mask: the intervals of its bits that the mask selects.
    fn float_class(&mut self, inst: llvm::Value<'m>) -> Result<Value, Refused> {
        let ty = Self::float_type(inst.operand(0))?;
        let mask = inst.operand(1).const_int().ok_or("a class that is not constant")?;
        let value = self.one(inst.operand(0))?;
        let int = container(ty.bits());
        let bits = self.b.unary(UnaryOp::Bitcast, int, value);
        let mut result = self.b.iconst(Type::I32, 0);
        for (class, first, last) in class_intervals(ty) {
            if mask >> class & 1 == 1 {
                let distance = self.b.binary_const(BinaryOp::Sub, bits, first.cast_signed());
                let inside = self.b.icmp_const(Cond::LeU, distance, (last - first).cast_signed());
                result = self.b.binary(BinaryOp::Or, result, inside);
            }
        }
        Ok(result)
    }
}

/// The classes of floats as bits of the mask of `llvm.is.fpclass`, with first and last bit pattern.
fn class_intervals(ty: Type) -> [(u32, u64, u64); 12] {
    let (fraction_bits, width) = if ty == Type::F32 { (23, 32) } else { (52, 64) };
    let sign = 1u64 << (width - 1);
    let smallest_normal = 1u64 << fraction_bits;
    let infinity = sign - smallest_normal;
    let quiet = infinity | smallest_normal >> 1;
    [
        (0, infinity + 1, quiet - 1),
        (0, sign | (infinity + 1), sign | (quiet - 1)),
        (1, quiet, sign - 1),
        (1, sign | quiet, sign | (sign - 1)),
        (2, sign | infinity, sign | infinity),
        (3, sign | smallest_normal, sign | (infinity - 1)),
        (4, sign | 1, sign | (smallest_normal - 1)),
        (5, sign, sign),
        (6, 0, 0),
        (7, 1, smallest_normal - 1),
        (8, smallest_normal, infinity - 1),
        (9, infinity, infinity),
    ]
}
