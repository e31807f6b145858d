//! Floats.
//!
//! Unless the target computes with them, a float is represented as an integer of its width: parameters, locals, loads,
//! stores, constants and reinterpretations are moves of bits. Every other float operator is a trap; if it is to be an
//! error, [`wasm_program::survey`] has found the reachable ones. On a target with a float unit the operators become LLVM's,
//! with wasm's rules where the two differ: minimum and maximum propagate NaN and order zeros, rounding is to even, and
//! conversions to integers check their range.

use inkwell::FloatPredicate;
use inkwell::types::{BasicTypeEnum, FloatType, IntType};
use inkwell::values::{BasicValueEnum, FloatValue};
use ssa::TrapCode;
use wasm_program::floats;
use wasm_program::module_info::ValueType;
use wasm_program::options::Floats;
use wasmparser::Operator;

use super::Translator;

/// Translates an operator of this family; returns false if it belongs to another.
pub fn translate(t: &mut Translator<'_, '_, '_>, op: &Operator<'_>) -> bool {
    let moves = floats::is_move(op);
    if !moves && !floats::computes(op) {
        return false;
    }
    match t.program().options.floats {
        _ if moves => t.float(op),
        Floats::Native => t.float(op),
        Floats::Soft => t.soft_float(op),
        Floats::Reject | Floats::Trap => t.trap_always(TrapCode::Float),
    }
    true
}

fn compare(op: &Operator<'_>) -> Option<FloatPredicate> {
    use Operator as Op;
    Some(match op {
        Op::F32Eq | Op::F64Eq => FloatPredicate::OEQ,
        Op::F32Ne | Op::F64Ne => FloatPredicate::UNE,
        Op::F32Lt | Op::F64Lt => FloatPredicate::OLT,
        Op::F32Gt | Op::F64Gt => FloatPredicate::OGT,
        Op::F32Le | Op::F64Le => FloatPredicate::OLE,
        Op::F32Ge | Op::F64Ge => FloatPredicate::OGE,
        _ => return None,
    })
}

/// LLVM's intrinsic for an operator with one operand; negation has none.
fn unary(op: &Operator<'_>) -> Option<Option<&'static str>> {
    use Operator as Op;
    Some(match op {
        Op::F32Neg | Op::F64Neg => None,
        Op::F32Abs | Op::F64Abs => Some("llvm.fabs"),
        Op::F32Ceil | Op::F64Ceil => Some("llvm.ceil"),
        Op::F32Floor | Op::F64Floor => Some("llvm.floor"),
        Op::F32Trunc | Op::F64Trunc => Some("llvm.trunc"),
        Op::F32Nearest | Op::F64Nearest => Some("llvm.roundeven"),
        Op::F32Sqrt | Op::F64Sqrt => Some("llvm.sqrt"),
        _ => return None,
    })
}

/// An operator with two operands.
enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Intrinsic(&'static str),
}

fn binary(op: &Operator<'_>) -> Option<Binary> {
    use Operator as Op;
    Some(match op {
        Op::F32Add | Op::F64Add => Binary::Add,
        Op::F32Sub | Op::F64Sub => Binary::Sub,
        Op::F32Mul | Op::F64Mul => Binary::Mul,
        Op::F32Div | Op::F64Div => Binary::Div,
        Op::F32Min | Op::F64Min => Binary::Intrinsic("llvm.minimum"),
        Op::F32Max | Op::F64Max => Binary::Intrinsic("llvm.maximum"),
        Op::F32Copysign | Op::F64Copysign => Binary::Intrinsic("llvm.copysign"),
        _ => return None,
    })
}

/// A conversion between types.
#[derive(Clone, Copy)]
enum Conversion {
    /// Float to integer of so many bits; trapping or saturating.
    ToInt {
        bits: u32,
        signed: bool,
        saturating: bool,
    },
    /// Integer to float of so many bits.
    FromInt {
        bits: u32,
        signed: bool,
    },
    Promote,
    Demote,
}

fn conversion(op: &Operator<'_>) -> Option<Conversion> {
    use Operator as Op;
    let to_int = |bits, signed, saturating| Conversion::ToInt { bits, signed, saturating };
    let from_int = |bits, signed| Conversion::FromInt { bits, signed };
    Some(match op {
        Op::I32TruncF32S | Op::I32TruncF64S => to_int(32, true, false),
        Op::I32TruncF32U | Op::I32TruncF64U => to_int(32, false, false),
        Op::I64TruncF32S | Op::I64TruncF64S => to_int(64, true, false),
        Op::I64TruncF32U | Op::I64TruncF64U => to_int(64, false, false),
        Op::I32TruncSatF32S | Op::I32TruncSatF64S => to_int(32, true, true),
        Op::I32TruncSatF32U | Op::I32TruncSatF64U => to_int(32, false, true),
        Op::I64TruncSatF32S | Op::I64TruncSatF64S => to_int(64, true, true),
        Op::I64TruncSatF32U | Op::I64TruncSatF64U => to_int(64, false, true),
        Op::F32ConvertI32S | Op::F32ConvertI64S => from_int(32, true),
        Op::F32ConvertI32U | Op::F32ConvertI64U => from_int(32, false),
        Op::F64ConvertI32S | Op::F64ConvertI64S => from_int(64, true),
        Op::F64ConvertI32U | Op::F64ConvertI64U => from_int(64, false),
        Op::F64PromoteF32 => Conversion::Promote,
        Op::F32DemoteF64 => Conversion::Demote,
        _ => return None,
    })
}

impl<'ctx> Translator<'_, 'ctx, '_> {
    fn float(&mut self, op: &Operator<'_>) {
        if floats::is_move(op) {
            self.float_move(op);
        } else if let Some(predicate) = compare(op) {
            let (b, a) = (self.pop_float(), self.pop_float());
            let result = self.ir().builder.build_float_compare(predicate, a, b, "");
            self.push_bool(result.expect("operands have one type"));
        } else if let Some(intrinsic) = unary(op) {
            self.float_unary(intrinsic);
        } else if let Some(operation) = binary(op) {
            self.float_binary(&operation);
        } else if let Some(conversion) = conversion(op) {
            self.float_conversion(conversion);
        }
    }

    fn float_move(&mut self, op: &Operator<'_>) {
        let (f32, f64) = (self.env.one_part(ValueType::F32), self.env.one_part(ValueType::F64));
        let (i32, i64) = (self.ir().i32.into(), self.ir().i64.into());
        match *op {
            Operator::F32Const { value } => {
                let is_neutral = is_neutral(f32::from_bits(value.bits()).into());
                self.push_float_constant(value.bits().into(), ValueType::F32, is_neutral);
            }
            Operator::F64Const { value } => {
                let is_neutral = is_neutral(f64::from_bits(value.bits()));
                self.push_float_constant(value.bits(), ValueType::F64, is_neutral);
            }
            Operator::F32Load { memarg } => self.load(memarg, f32),
            Operator::F64Load { memarg } => self.load(memarg, f64),
            Operator::F32Store { memarg } | Operator::F64Store { memarg } => self.store(memarg),
            Operator::I32ReinterpretF32 => self.reinterpret(i32),
            Operator::I64ReinterpretF64 => self.reinterpret(i64),
            Operator::F32ReinterpretI32 => self.reinterpret(f32),
            Operator::F64ReinterpretI64 => self.reinterpret(f64),
            _ => unreachable!("the moves are listed above"),
        }
    }

    fn push_float_constant(&mut self, bits: u64, ty: ValueType, is_neutral: bool) {
        match self.float_constant(bits, ty) {
            BasicValueEnum::FloatValue(value) if is_neutral => self.fence(value),
            value => self.push(value),
        }
    }

    /// Pushes a value that is opaque to LLVM. LLVM treats a signalling NaN as a quiet one, so it drops an operation
    /// whose other operand is neutral; in wasm the operation makes the NaN quiet.
    pub(super) fn fence(&mut self, value: FloatValue<'ctx>) {
        self.call_float_intrinsic("llvm.arithmetic.fence", &[value.get_type().into()], &[value.into()]);
    }

    /// A float constant by its bits, in the representation of the options.
    pub(super) fn float_constant(&mut self, bits: u64, ty: ValueType) -> BasicValueEnum<'ctx> {
        let int = if ty == ValueType::F32 { self.ir().i32 } else { self.ir().i64 };
        let value = int.const_int(bits, false);
        match self.env.one_part(ty) {
            BasicTypeEnum::FloatType(ty) => {
                self.ir().builder.build_bit_cast(value, ty, "").expect("widths match")
            }
            _ => value.into(),
        }
    }

    fn reinterpret(&mut self, ty: BasicTypeEnum<'ctx>) {
        let value = self.pop();
        let value = if value.get_type() == ty {
            value
        } else {
            self.ir().builder.build_bit_cast(value, ty, "").expect("widths match")
        };
        self.push(value);
    }

    fn pop_float(&mut self) -> FloatValue<'ctx> {
        self.pop().into_float_value()
    }

    fn float_unary(&mut self, intrinsic: Option<&'static str>) {
        let value = self.pop_float();
        let Some(name) = intrinsic else {
            let result = self.ir().builder.build_float_neg(value, "").expect("the builder is positioned");
            return self.push(result);
        };
        self.call_float_intrinsic(name, &[value.get_type().into()], &[value.into()]);
    }

    fn call_float_intrinsic(
        &mut self,
        name: &'static str,
        types: &[BasicTypeEnum<'ctx>],
        args: &[BasicValueEnum<'ctx>],
    ) {
        let function = self.env.intrinsic(name, types);
        let result = self.ir().call(function, args).expect("the intrinsic has a result");
        self.push(result);
    }

    fn float_binary(&mut self, operation: &Binary) {
        let (b, a) = (self.pop_float(), self.pop_float());
        let builder = &self.ir().builder;
        let result = match *operation {
            Binary::Add => builder.build_float_add(a, b, ""),
            Binary::Sub => builder.build_float_sub(a, b, ""),
            Binary::Mul => builder.build_float_mul(a, b, ""),
            Binary::Div => builder.build_float_div(a, b, ""),
            Binary::Intrinsic(name) => {
                return self.call_float_intrinsic(name, &[a.get_type().into()], &[a.into(), b.into()]);
            }
        };
        self.push(result.expect("operands have one type"));
    }

    fn float_conversion(&mut self, conversion: Conversion) {
        let builder = &self.env.ir.builder;
        let float = |bits| if bits == 32 { self.env.ir.f32 } else { self.env.ir.f64 };
        let result = match conversion {
            Conversion::ToInt { bits, signed, saturating } => return self.truncate(bits, signed, saturating),
            Conversion::FromInt { bits, signed } => {
                let value = self.stack.pop_one().into_int_value();
                if signed {
                    builder.build_signed_int_to_float(value, float(bits), "")
                } else {
                    builder.build_unsigned_int_to_float(value, float(bits), "")
                }
            }
            Conversion::Promote => {
                let value = self.stack.pop_one().into_float_value();
                let promoted = builder.build_float_ext(value, self.env.ir.f64, "");
                // Demoting the result must not restore the signalling NaN.
                return self.fence(promoted.expect("the builder is positioned"));
            }
            Conversion::Demote => {
                let value = self.stack.pop_one().into_float_value();
                builder.build_float_trunc(value, self.env.ir.f32, "")
            }
        };
        self.push(result.expect("the builder is positioned"));
    }

    fn truncate(&mut self, bits: u32, signed: bool, saturating: bool) {
        let value = self.pop_float();
        let ty = if bits == 32 { self.ir().i32 } else { self.ir().i64 };
        if saturating {
            let name = if signed { "llvm.fptosi.sat" } else { "llvm.fptoui.sat" };
            return self.call_float_intrinsic(name, &[ty.into(), value.get_type().into()], &[value.into()]);
        }
        self.check_conversion(value, ty, signed);
        let builder = &self.ir().builder;
        let result = if signed {
            builder.build_float_to_signed_int(value, ty, "")
        } else {
            builder.build_float_to_unsigned_int(value, ty, "")
        };
        self.push(result.expect("the builder is positioned"));
    }

    /// Traps unless the truncation of `value` fits the integer type.
    fn check_conversion(&mut self, value: FloatValue<'ctx>, ty: IntType<'ctx>, signed: bool) {
        let compare = |t: &Self, predicate, bound: f64| {
            let bound = value.get_type().const_float(bound);
            t.ir().builder.build_float_compare(predicate, value, bound, "").expect("operands have one type")
        };
        let nan = self.ir().builder.build_float_compare(FloatPredicate::UNO, value, value, "");
        self.trap_if(nan.expect("operands have one type"), TrapCode::BadConversion);
        let (below, lowest, above) = range(value.get_type(), ty.get_bit_width(), signed, &self.env.ir);
        let low = compare(self, below, lowest);
        self.trap_if(low, TrapCode::IntegerOverflow);
        let high = compare(self, FloatPredicate::OGE, above);
        self.trap_if(high, TrapCode::IntegerOverflow);
    }
}

/// Whether adding, subtracting, multiplying or dividing by a constant changes at most a sign.
fn is_neutral(value: f64) -> bool {
    value == 0.0 || value.abs() == 1.0
}

/// The floats outside of an integer type: anything below-or-equal (`OLE`) or below (`OLT`) the second
/// element, and anything from the third element on. All bounds are exact in the float type.
fn range(
    float: FloatType<'_>,
    bits: u32,
    signed: bool,
    ir: &super::ir::Ir<'_>,
) -> (FloatPredicate, f64, f64) {
    let above = if signed { 2f64.powi(bits as i32 - 1) } else { 2f64.powi(bits as i32) };
    match (signed, float == ir.f64 && bits == 32) {
        (false, _) => (FloatPredicate::OLE, -1.0, above),
        (true, true) => (FloatPredicate::OLE, -above - 1.0, above),
        (true, false) => (FloatPredicate::OLT, -above, above),
    }
}
