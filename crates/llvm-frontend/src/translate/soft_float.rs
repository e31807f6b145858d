//! Floats on machines without floating-point hardware: integer code made of the routines of [`runtime::float`].
//!
//! Short operations are appended where they occur. The others are functions of the program, made in a part of their
//! own ([`define`]): the quick routine, and a call of the general one in the rare case that the quick one doesn't hold.
//! Functions that the program doesn't use are dropped like any other.

use std::ops::{Add, BitAnd, BitOr, BitXor, Mul, Not, Sub};

use inkwell::IntPredicate;
use inkwell::llvm_sys::LLVMTailCallKind;
use inkwell::values::{FunctionValue, IntValue};
use runtime::float::arithmetic::Quick;
use runtime::float::order::Comparison;
use runtime::float::rounding::Direction;
use runtime::float::routines::{Operation, Routine, bits_of};
use runtime::float::{Bit, F32, F64, Format, Word, convert, order};
use ssa::{TrapCode, Type};
use wasm_program::options::OptLevel;
use wasmparser::Operator;

use super::Translator;
use super::env::Env;
use super::ir::Ir;

/// The builder of one function, with the intrinsics that routines use.
struct Machine<'e, 'ctx> {
    ir: &'e Ir<'ctx>,
    leading_zeros: FunctionValue<'ctx>,
    rotate_left: FunctionValue<'ctx>,
    max: FunctionValue<'ctx>,
    min: FunctionValue<'ctx>,
}

impl<'e, 'ctx> Machine<'e, 'ctx> {
    fn new(env: &'e mut Env<'ctx, '_>) -> Self {
        let i64 = [env.ir.i64.into()];
        let leading_zeros = env.intrinsic("llvm.ctlz", &i64);
        let rotate_left = env.intrinsic("llvm.fshl", &i64);
        let max = env.intrinsic("llvm.umax", &i64);
        let min = env.intrinsic("llvm.umin", &i64);
        Self { ir: &env.ir, leading_zeros, rotate_left, max, min }
    }

    fn word<'m>(&'m self, value: IntValue<'ctx>) -> SoftWord<'m, 'ctx> {
        SoftWord { value, machine: self }
    }

    /// A float at the top of a word.
    fn float<'m>(&'m self, format: Format, value: IntValue<'ctx>) -> SoftWord<'m, 'ctx> {
        match format == F64 {
            true => self.word(value),
            false => self.word(self.ir.zext(value, self.ir.i64)).left(32),
        }
    }

    /// A float with sign-extended bits.
    fn sign_extended<'m>(&'m self, value: IntValue<'ctx>) -> SoftWord<'m, 'ctx> {
        self.word(if value.get_type() == self.ir.i64 { value } else { self.ir.sext(value, self.ir.i64) })
    }

    /// The bits of a float at the top of a word.
    fn bits(&self, format: Format, word: SoftWord<'_, 'ctx>) -> IntValue<'ctx> {
        match format == F64 {
            true => word.value,
            false => self.ir.trunc(word.sar(word.constant(32)).value, self.ir.i32),
        }
    }
}

/// A word of 64 bits in the code being made.
#[derive(Clone, Copy)]
struct SoftWord<'m, 'ctx> {
    value: IntValue<'ctx>,
    machine: &'m Machine<'m, 'ctx>,
}

/// A truth value in the code being made.
#[derive(Clone, Copy)]
struct SoftBit<'m, 'ctx> {
    value: IntValue<'ctx>,
    machine: &'m Machine<'m, 'ctx>,
}

macro_rules! operators {
    ($type:ident: $($trait:ident $name:ident $function:ident),*) => {
        $(impl $trait for $type<'_, '_> {
            type Output = Self;
            fn $name(self, other: Self) -> Self {
                Self { value: self.machine.ir.$function(self.value, other.value), ..self }
            }
        })*
    };
}

operators!(SoftWord: Add add add, Sub sub sub, Mul mul mul, BitAnd bitand and, BitOr bitor or, BitXor bitxor xor);
operators!(SoftBit: BitAnd bitand and, BitOr bitor or);

impl Not for SoftWord<'_, '_> {
    type Output = Self;
    fn not(self) -> Self {
        self ^ self.constant(u64::MAX)
    }
}

impl Not for SoftBit<'_, '_> {
    type Output = Self;
    fn not(self) -> Self {
        let ir = self.machine.ir;
        Self { value: ir.xor(self.value, ir.i1.const_int(1, false)), ..self }
    }
}

impl<'m, 'ctx> SoftWord<'m, 'ctx> {
    /// A shift amount, modulo 64.
    fn amount(self) -> IntValue<'ctx> {
        match self.value.get_zero_extended_constant() {
            Some(bits) if bits < 64 => self.value,
            _ => self.mask(63).value,
        }
    }

    fn with_value(self, value: IntValue<'ctx>) -> Self {
        Self { value, ..self }
    }

    fn compare(self, predicate: IntPredicate, other: Self) -> SoftBit<'m, 'ctx> {
        SoftBit { value: self.machine.ir.icmp(predicate, self.value, other.value), machine: self.machine }
    }

    fn call(self, function: FunctionValue<'ctx>, other: IntValue<'ctx>) -> Self {
        let result = self.machine.ir.call(function, &[self.value.into(), other.into()]);
        self.with_value(result.expect("the intrinsic has a result").into_int_value())
    }
}

impl<'m, 'ctx> Word for SoftWord<'m, 'ctx> {
    type Bit = SoftBit<'m, 'ctx>;

    fn constant(self, value: u64) -> Self {
        self.with_value(self.machine.ir.i64.const_int(value, false))
    }
    fn shl(self, bits: Self) -> Self {
        self.with_value(self.machine.ir.shl(self.value, bits.amount()))
    }
    fn shr(self, bits: Self) -> Self {
        self.with_value(self.machine.ir.lshr(self.value, bits.amount()))
    }
    fn sar(self, bits: Self) -> Self {
        self.with_value(self.machine.ir.ashr(self.value, bits.amount()))
    }
    fn rotate_left(self, bits: u32) -> Self {
        let arguments = [self.value.into(), self.value.into(), self.constant(bits.into()).value.into()];
        let result = self.machine.ir.call(self.machine.rotate_left, &arguments);
        self.with_value(result.expect("the intrinsic has a result").into_int_value())
    }
    fn mul_high(self, other: Self) -> Self {
        let ir = self.machine.ir;
        let product = ir.mul(ir.zext(self.value, ir.i128), ir.zext(other.value, ir.i128));
        self.with_value(ir.split128(product).1)
    }
    fn leading_zeros(self) -> Self {
        self.call(self.machine.leading_zeros, self.machine.ir.i1.const_zero())
    }
    fn max(self, other: Self) -> Self {
        self.call(self.machine.max, other.value)
    }
    fn min(self, other: Self) -> Self {
        self.call(self.machine.min, other.value)
    }
    fn below(self, other: Self) -> Self::Bit {
        self.compare(IntPredicate::ULT, other)
    }
    fn less(self, other: Self) -> Self::Bit {
        self.compare(IntPredicate::SLT, other)
    }
    fn equals(self, other: Self) -> Self::Bit {
        self.compare(IntPredicate::EQ, other)
    }
}

impl<'m, 'ctx> Bit<SoftWord<'m, 'ctx>> for SoftBit<'m, 'ctx> {
    fn select(self, if_true: SoftWord<'m, 'ctx>, if_false: SoftWord<'m, 'ctx>) -> SoftWord<'m, 'ctx> {
        let value = self.machine.ir.select(self.value, if_true.value.into(), if_false.value.into());
        if_true.with_value(value.into_int_value())
    }
    fn word(self) -> SoftWord<'m, 'ctx> {
        SoftWord { value: self.machine.ir.zext(self.value, self.machine.ir.i64), machine: self.machine }
    }
}

/// Appends the bodies of all functions that float operators call.
pub fn define(env: &mut Env<'_, '_>) {
    for routine in Routine::all() {
        let function = declare(env, routine);
        let entry = env.ir.context.append_basic_block(function, "");
        env.ir.at_end(entry);
        let params: Vec<_> = function.get_param_iter().map(|param| param.into_int_value()).collect();
        let result = match has_quick_routine(env, routine) {
            true => quick_or_general(env, routine, &params),
            false => body(&Machine::new(env), routine, &params),
        };
        env.ir.builder.build_return(Some(&result)).expect("the builder is positioned");
    }
}

/// Whether a routine has the quick case apart from the general one.
fn has_quick_routine(env: &Env<'_, '_>, routine: Routine) -> bool {
    let options = &env.program.options;
    let is_worth_it = options.target.has_wide_words || !matches!(options.level, OptLevel::Os | OptLevel::Oz);
    is_worth_it && routine.operation.has_quick_case() && !routine.is_general
}

fn declare<'ctx>(env: &mut Env<'ctx, '_>, routine: Routine) -> FunctionValue<'ctx> {
    let int = |ty| if ty == Type::I64 { env.ir.i64 } else { env.ir.i32 };
    let params: Vec<_> = routine.params().into_iter().map(|ty| int(ty).into()).collect();
    let ty = int(bits_of(routine.result())).fn_type(&params, false);
    env.pure_function(&routine.symbol(), ty)
}

/// The operands of a routine as words.
fn operands<'m, 'ctx>(
    machine: &'m Machine<'m, 'ctx>,
    routine: Routine,
    values: &[IntValue<'ctx>],
) -> Vec<SoftWord<'m, 'ctx>> {
    let operand = |&value| match routine.operation {
        Operation::FromSigned | Operation::FromUnsigned => machine.word(value),
        _ if routine.is_sign_extended() => machine.sign_extended(value),
        _ => machine.float(routine.format, value),
    };
    values.iter().map(operand).collect()
}

/// The quick result if it holds, else that of the general function.
fn quick_or_general<'ctx>(
    env: &mut Env<'ctx, '_>,
    routine: Routine,
    params: &[IntValue<'ctx>],
) -> IntValue<'ctx> {
    let general = declare(env, Routine { is_general: true, ..routine });
    env.add_flag(general, "noinline");
    env.add_flag(general, "cold");
    let machine = Machine::new(env);
    let operands: Vec<_> = params.iter().map(|&param| machine.sign_extended(param)).collect();
    let Quick { result, trouble } = routine.quick(&operands);
    let result = machine.bits(routine.result(), result);
    let ir = machine.ir;
    let (rare, usual) = (ir.new_block(), ir.new_block());
    ir.branch(trouble.value, rare, usual);
    ir.at_end(rare);
    let params: Vec<_> = params.iter().map(|&param| param.into()).collect();
    let call = ir.builder.build_call(general, &params, "").expect("the builder is positioned");
    call.set_tail_call_kind(LLVMTailCallKind::LLVMTailCallKindMustTail);
    let other = call.try_as_basic_value().basic().expect("it has a result");
    ir.builder.build_return(Some(&other)).expect("the builder is positioned");
    ir.at_end(usual);
    result
}

/// The result of a routine in any case.
fn body<'ctx>(machine: &Machine<'_, 'ctx>, routine: Routine, values: &[IntValue<'ctx>]) -> IntValue<'ctx> {
    let result = routine.general(&operands(machine, routine, values));
    if routine.is_sign_extended() && routine.format != F64 {
        return machine.ir.trunc(result.value, machine.ir.i32);
    }
    machine.bits(routine.result(), result)
}

impl<'ctx> Translator<'_, 'ctx, '_> {
    /// Translates an operator that computes with floats.
    pub(super) fn soft_float(&mut self, op: &Operator<'_>) {
        use Operator as Op;
        match op {
            Op::F32Eq => self.soft_compare(F32, Comparison::Eq),
            Op::F64Eq => self.soft_compare(F64, Comparison::Eq),
            Op::F32Ne => self.soft_compare(F32, Comparison::Ne),
            Op::F64Ne => self.soft_compare(F64, Comparison::Ne),
            Op::F32Lt => self.soft_compare(F32, Comparison::Lt),
            Op::F64Lt => self.soft_compare(F64, Comparison::Lt),
            Op::F32Gt => self.soft_compare(F32, Comparison::Gt),
            Op::F64Gt => self.soft_compare(F64, Comparison::Gt),
            Op::F32Le => self.soft_compare(F32, Comparison::Le),
            Op::F64Le => self.soft_compare(F64, Comparison::Le),
            Op::F32Ge => self.soft_compare(F32, Comparison::Ge),
            Op::F64Ge => self.soft_compare(F64, Comparison::Ge),
            Op::F32Neg | Op::F64Neg | Op::F32Abs | Op::F64Abs | Op::F32Copysign | Op::F64Copysign => {
                self.soft_sign(op);
            }
            Op::F32Add => self.soft_call(Operation::Add, F32),
            Op::F64Add => self.soft_call(Operation::Add, F64),
            Op::F32Sub | Op::F64Sub => self.soft_subtract(),
            Op::F32Mul => self.soft_call(Operation::Mul, F32),
            Op::F64Mul => self.soft_call(Operation::Mul, F64),
            Op::F32Div => self.soft_call(Operation::Div, F32),
            Op::F64Div => self.soft_call(Operation::Div, F64),
            Op::F32Sqrt => self.soft_call(Operation::Sqrt, F32),
            Op::F64Sqrt => self.soft_call(Operation::Sqrt, F64),
            Op::F32Min => self.soft_call(Operation::Min, F32),
            Op::F64Min => self.soft_call(Operation::Min, F64),
            Op::F32Max => self.soft_call(Operation::Max, F32),
            Op::F64Max => self.soft_call(Operation::Max, F64),
            Op::F32Ceil => self.soft_call(Operation::Round(Direction::Ceil), F32),
            Op::F64Ceil => self.soft_call(Operation::Round(Direction::Ceil), F64),
            Op::F32Floor => self.soft_call(Operation::Round(Direction::Floor), F32),
            Op::F64Floor => self.soft_call(Operation::Round(Direction::Floor), F64),
            Op::F32Trunc => self.soft_call(Operation::Round(Direction::Trunc), F32),
            Op::F64Trunc => self.soft_call(Operation::Round(Direction::Trunc), F64),
            Op::F32Nearest => self.soft_call(Operation::Round(Direction::Nearest), F32),
            Op::F64Nearest => self.soft_call(Operation::Round(Direction::Nearest), F64),
            Op::F64PromoteF32 => self.soft_call(Operation::Promote, F32),
            Op::F32DemoteF64 => self.soft_call(Operation::Demote, F64),
            _ => self.soft_conversion(op),
        }
    }

    fn soft_conversion(&mut self, op: &Operator<'_>) {
        use Operator as Op;
        match op {
            Op::F32ConvertI32S => self.soft_from_int(F32, 32, true),
            Op::F32ConvertI32U => self.soft_from_int(F32, 32, false),
            Op::F32ConvertI64S => self.soft_from_int(F32, 64, true),
            Op::F32ConvertI64U => self.soft_from_int(F32, 64, false),
            Op::F64ConvertI32S => self.soft_from_int(F64, 32, true),
            Op::F64ConvertI32U => self.soft_from_int(F64, 32, false),
            Op::F64ConvertI64S => self.soft_from_int(F64, 64, true),
            Op::F64ConvertI64U => self.soft_from_int(F64, 64, false),
            Op::I32TruncF32S => self.soft_to_int(F32, 32, true),
            Op::I32TruncF32U => self.soft_to_int(F32, 32, false),
            Op::I32TruncF64S => self.soft_to_int(F64, 32, true),
            Op::I32TruncF64U => self.soft_to_int(F64, 32, false),
            Op::I64TruncF32S => self.soft_to_int(F32, 64, true),
            Op::I64TruncF32U => self.soft_to_int(F32, 64, false),
            Op::I64TruncF64S => self.soft_to_int(F64, 64, true),
            Op::I64TruncF64U => self.soft_to_int(F64, 64, false),
            Op::I32TruncSatF32S => self.soft_saturate(F32, 32, true),
            Op::I32TruncSatF32U => self.soft_saturate(F32, 32, false),
            Op::I32TruncSatF64S => self.soft_saturate(F64, 32, true),
            Op::I32TruncSatF64U => self.soft_saturate(F64, 32, false),
            Op::I64TruncSatF32S => self.soft_saturate(F32, 64, true),
            Op::I64TruncSatF32U => self.soft_saturate(F32, 64, false),
            Op::I64TruncSatF64S => self.soft_saturate(F64, 64, true),
            Op::I64TruncSatF64U => self.soft_saturate(F64, 64, false),
            _ => unreachable!("the float operators are listed above"),
        }
    }

    fn soft_compare(&mut self, format: Format, comparison: Comparison) {
        let (b, a) = (self.pop_int(), self.pop_int());
        let machine = Machine::new(self.env);
        let with = |comparison, a, constant: i64| {
            order::compare_constant(format, comparison, machine.sign_extended(a), constant as u64)
        };
        let result = match (a.get_sign_extended_constant(), b.get_sign_extended_constant()) {
            (_, Some(b)) => with(comparison, a, b),
            (Some(a), None) => with(comparison.swapped(), b, a),
            (None, None) => {
                order::compare(format, comparison, [a, b].map(|value| machine.sign_extended(value)))
            }
        };
        let result = result.value;
        self.push_bool(result);
    }

    /// Negation, absolute value, copying a sign: operations on bits.
    fn soft_sign(&mut self, op: &Operator<'_>) {
        use Operator as Op;
        let top = self.pop_int();
        let ty = top.get_type();
        let sign = ty.const_int(1 << (ty.get_bit_width() - 1), false);
        let rest = sign.const_not();
        let ir = self.ir();
        let result = match op {
            Op::F32Neg | Op::F64Neg => ir.xor(top, sign),
            Op::F32Abs | Op::F64Abs => ir.and(top, rest),
            _ => {
                let magnitude = self.pop_int();
                let ir = self.ir();
                ir.or(ir.and(magnitude, rest), ir.and(top, sign))
            }
        };
        self.push(result);
    }

    /// `a - b` as `a + -b`.
    fn soft_subtract(&mut self) {
        let b = self.pop_int();
        let ty = b.get_type();
        let negated = self.ir().xor(b, ty.const_int(1 << (ty.get_bit_width() - 1), false));
        self.push(negated);
        self.soft_call(Operation::Add, if ty == self.ir().i64 { F64 } else { F32 });
    }

    fn soft_call(&mut self, operation: Operation, format: Format) {
        let routine = Routine::new(operation, format);
        let mut args: Vec<_> = routine.params().iter().map(|_| self.pop_int()).collect();
        args.reverse();
        let is_inline = self.program().options.level == OptLevel::O2 && !operation.has_quick_case();
        let result = if is_inline {
            body(&Machine::new(self.env), routine, &args).into()
        } else {
            let callee = declare(self.env, routine);
            let args: Vec<_> = args.into_iter().map(Into::into).collect();
            self.ir().call(callee, &args).expect("it has a result")
        };
        self.push(result);
    }

    fn soft_from_int(&mut self, format: Format, bits: u32, is_signed: bool) {
        let value = self.pop_int();
        let ir = self.ir();
        let word = match (bits, is_signed) {
            (64, _) => value,
            (_, true) => ir.sext(value, ir.i64),
            (_, false) => ir.zext(value, ir.i64),
        };
        if bits == 32 && format == F64 {
            let machine = Machine::new(self.env);
            let result = convert::from_small(machine.word(word)).value;
            return self.push(result);
        }
        self.push(word);
        self.soft_call(if is_signed { Operation::FromSigned } else { Operation::FromUnsigned }, format);
    }

    fn soft_to_int(&mut self, format: Format, bits: u32, is_signed: bool) {
        let value = self.pop_int();
        let machine = Machine::new(self.env);
        let parts = convert::truncate(format, machine.float(format, value));
        let exceeds = if is_signed { parts.exceeds_signed(bits) } else { parts.exceeds_unsigned(bits) };
        let integer = if is_signed { parts.integer() } else { parts.magnitude };
        let (is_nan, exceeds, integer) = (parts.is_nan.value, exceeds.value, integer.value);
        // One branch to both traps.
        let bad = self.ir().new_block();
        let good = self.ir().new_block();
        self.ir().branch(exceeds, bad, good);
        self.ir().at_end(bad);
        self.trap_if(is_nan, TrapCode::BadConversion);
        self.emit_trap(TrapCode::IntegerOverflow);
        self.ir().at_end(good);
        self.push_integer(bits, integer);
    }

    fn soft_saturate(&mut self, format: Format, bits: u32, is_signed: bool) {
        let value = self.pop_int();
        let machine = Machine::new(self.env);
        let float = machine.float(format, value);
        let result = match is_signed {
            true => convert::saturate_signed(format, bits, float).value,
            false => convert::saturate_unsigned(format, bits, float).value,
        };
        self.push_integer(bits, result);
    }

    /// Pushes the low `bits` of a word.
    fn push_integer(&mut self, bits: u32, word: IntValue<'ctx>) {
        let ir = self.ir();
        let value = if bits == 64 { word } else { ir.trunc(word, ir.i32) };
        self.push(value);
    }
}
