//! Float operators, lane by lane, as the scalar operators are.
//!
//! Relaxed minimum and maximum are the plain ones, relaxed conversions saturate, and a relaxed multiply-add rounds twice.

use inkwell::values::{BasicValueEnum, IntValue};
use wasm_program::module_info::ValueType;
use wasm_program::vectors::Lanes;
use wasmparser::Operator;

use super::super::{Translator, float};
use super::by_lane::mask;

/// Translates an operator of this family; returns false if it belongs to another.
pub fn translate(t: &mut Translator<'_, '_, '_>, lanes: Lanes, operation: &str) -> bool {
    if lanes == Lanes::I32x4 {
        return t.truncate_lanes(operation);
    }
    let Some(format) = Format::of(lanes) else { return false };
    match operation {
        "splat" => {
            let value = t.pop();
            let value = t.as_bits(value);
            t.splat(format.bits, value);
        }
        "pmin" => t.pseudo(format, |a, b| [b, a]),
        "pmax" => t.pseudo(format, |a, b| [a, b]),
        "relaxed_madd" => t.multiply_add(format, false),
        "relaxed_nmadd" => t.multiply_add(format, true),
        _ => match (format.arithmetic(operation), format.comparison(operation)) {
            (Some((op, 1)), _) => t.map_lanes(format.bits, |t, a| t.scalar(&op, &[a], Some(format.ty))),
            (Some((op, _)), _) => {
                t.zip_lanes(format.bits, |t, a, b| t.scalar(&op, &[a, b], Some(format.ty)));
            }
            (_, Some(op)) => t.zip_lanes(format.bits, |t, a, b| t.compared(format, &op, a, b)),
            _ => return t.conversion(operation),
        },
    }
    true
}

/// The format of a float lane.
#[derive(Clone, Copy)]
struct Format {
    bits: u32,
    ty: ValueType,
}

impl Format {
    fn of(lanes: Lanes) -> Option<Self> {
        match lanes {
            Lanes::F32x4 => Some(Self { bits: 32, ty: ValueType::F32 }),
            Lanes::F64x2 => Some(Self { bits: 64, ty: ValueType::F64 }),
            _ => None,
        }
    }

    /// One of two operators, by the format.
    fn choose<'a>(self, single: Operator<'a>, double: Operator<'a>) -> Operator<'a> {
        if self.bits == 32 { single } else { double }
    }

    /// The scalar operator of an operation on floats, with the number of its operands.
    fn arithmetic(self, operation: &str) -> Option<(Operator<'static>, usize)> {
        use Operator as Op;
        Some(match operation {
            "abs" => (self.choose(Op::F32Abs, Op::F64Abs), 1),
            "neg" => (self.choose(Op::F32Neg, Op::F64Neg), 1),
            "sqrt" => (self.choose(Op::F32Sqrt, Op::F64Sqrt), 1),
            "ceil" => (self.choose(Op::F32Ceil, Op::F64Ceil), 1),
            "floor" => (self.choose(Op::F32Floor, Op::F64Floor), 1),
            "trunc" => (self.choose(Op::F32Trunc, Op::F64Trunc), 1),
            "nearest" => (self.choose(Op::F32Nearest, Op::F64Nearest), 1),
            "add" => (self.choose(Op::F32Add, Op::F64Add), 2),
            "sub" => (self.choose(Op::F32Sub, Op::F64Sub), 2),
            "mul" => (self.choose(Op::F32Mul, Op::F64Mul), 2),
            "div" => (self.choose(Op::F32Div, Op::F64Div), 2),
            "min" | "relaxed_min" => (self.choose(Op::F32Min, Op::F64Min), 2),
            "max" | "relaxed_max" => (self.choose(Op::F32Max, Op::F64Max), 2),
            _ => return None,
        })
    }

    /// The scalar operator of a comparison.
    fn comparison(self, operation: &str) -> Option<Operator<'static>> {
        use Operator as Op;
        Some(match operation {
            "eq" => self.choose(Op::F32Eq, Op::F64Eq),
            "ne" => self.choose(Op::F32Ne, Op::F64Ne),
            "lt" => self.choose(Op::F32Lt, Op::F64Lt),
            "gt" => self.choose(Op::F32Gt, Op::F64Gt),
            "le" => self.choose(Op::F32Le, Op::F64Le),
            "ge" => self.choose(Op::F32Ge, Op::F64Ge),
            _ => return None,
        })
    }
}

impl<'ctx> Translator<'_, 'ctx, '_> {
    /// The bits of a scalar operator's result. Operands are bits: of floats if `ty` names their type.
    fn scalar(
        &mut self,
        op: &Operator<'static>,
        args: &[IntValue<'ctx>],
        ty: Option<ValueType>,
    ) -> IntValue<'ctx> {
        for &arg in args {
            match ty.map(|ty| self.as_float(arg, ty)) {
                // LLVM may know the bits, as it knows constants.
                Some(BasicValueEnum::FloatValue(value)) => self.fence(value),
                Some(value) => self.push(value),
                None => self.push(arg),
            }
        }
        let is_known = float::translate(self, op);
        debug_assert!(is_known, "{op:?} is an operator on floats");
        let result = self.pop();
        self.as_bits(result)
    }

    /// Whether a comparison holds, an `i1`.
    fn holds(&mut self, op: &Operator<'static>, args: [IntValue<'ctx>; 2], ty: ValueType) -> IntValue<'ctx> {
        let result = self.scalar(op, &args, Some(ty));
        self.ir().truth(result)
    }

    fn compared(
        &mut self,
        format: Format,
        op: &Operator<'static>,
        a: IntValue<'ctx>,
        b: IntValue<'ctx>,
    ) -> IntValue<'ctx> {
        let holds = self.holds(op, [a, b], format.ty);
        mask(self.ir(), holds, format.bits)
    }

    /// `b` if the first of `order` is less than the second, else `a`.
    fn pseudo(
        &mut self,
        format: Format,
        order: impl Fn(IntValue<'ctx>, IntValue<'ctx>) -> [IntValue<'ctx>; 2],
    ) {
        let less = format.choose(Operator::F32Lt, Operator::F64Lt);
        self.zip_lanes(format.bits, |t, a, b| {
            let is_less = t.holds(&less, order(a, b), format.ty);
            t.ir().select(is_less, b.into(), a.into()).into_int_value()
        });
    }

    /// `a * b + c`, or `-(a * b) + c`.
    fn multiply_add(&mut self, format: Format, is_negated: bool) {
        let c = self.pop_vector();
        let mul = format.choose(Operator::F32Mul, Operator::F64Mul);
        let neg = format.choose(Operator::F32Neg, Operator::F64Neg);
        let add = format.choose(Operator::F32Add, Operator::F64Add);
        self.zip_lanes(format.bits, |t, a, b| {
            let product = t.scalar(&mul, &[a, b], Some(format.ty));
            if is_negated { t.scalar(&neg, &[product], Some(format.ty)) } else { product }
        });
        self.push_vector(c.words);
        self.zip_lanes(format.bits, |t, product, c| t.scalar(&add, &[product, c], Some(format.ty)));
    }

    /// Conversions to floats. Two lanes become the lower half of a result of four.
    fn conversion(&mut self, operation: &str) -> bool {
        use Operator as Op;
        let single = Some(ValueType::F32);
        let (op, bits, ty, lanes) = match operation {
            "convert_i32x4_s" => (Op::F32ConvertI32S, 32, None, 4),
            "convert_i32x4_u" => (Op::F32ConvertI32U, 32, None, 4),
            "convert_low_i32x4_s" => (Op::F64ConvertI32S, 32, None, 2),
            "convert_low_i32x4_u" => (Op::F64ConvertI32U, 32, None, 2),
            "promote_low_f32x4" => (Op::F64PromoteF32, 32, single, 2),
            "demote_f64x2_zero" => (Op::F32DemoteF64, 64, Some(ValueType::F64), 2),
            _ => return false,
        };
        self.convert_lanes(&op, bits, ty, lanes);
        true
    }

    /// Conversions to integers, saturating.
    fn truncate_lanes(&mut self, operation: &str) -> bool {
        use Operator as Op;
        let (single, double) = (Some(ValueType::F32), Some(ValueType::F64));
        let (op, bits, ty, lanes) = match operation {
            "trunc_sat_f32x4_s" | "relaxed_trunc_f32x4_s" => (Op::I32TruncSatF32S, 32, single, 4),
            "trunc_sat_f32x4_u" | "relaxed_trunc_f32x4_u" => (Op::I32TruncSatF32U, 32, single, 4),
            "trunc_sat_f64x2_s_zero" | "relaxed_trunc_f64x2_s_zero" => (Op::I32TruncSatF64S, 64, double, 2),
            "trunc_sat_f64x2_u_zero" | "relaxed_trunc_f64x2_u_zero" => (Op::I32TruncSatF64U, 64, double, 2),
            _ => return false,
        };
        self.convert_lanes(&op, bits, ty, lanes);
        true
    }

    /// Converts the first lanes of `bits` bits. Zeros fill the result up.
    fn convert_lanes(&mut self, op: &Operator<'static>, bits: u32, ty: Option<ValueType>, lanes: usize) {
        let operands = self.pop_lanes(bits);
        let convert = |&lane: &IntValue<'ctx>| self.scalar(op, &[lane], ty);
        let mut results: Vec<_> = operands[..lanes].iter().map(convert).collect();
        let result = results[0].get_type();
        results.resize((128 / result.get_bit_width()) as usize, result.const_zero());
        self.push_lanes(&results);
    }
}
