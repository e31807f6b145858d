//! Integer arithmetic and comparisons.
//!
//! The differences between wasm and LLVM are spelled out: shift counts are masked, divisions are guarded, and the
//! wrapping operators have no overflow flags.

use inkwell::IntPredicate;
use inkwell::types::IntType;
use inkwell::values::{InstructionOpcode, IntValue};
use ssa::TrapCode;
use wasmparser::Operator;

use super::Translator;

/// The translation of an integer operator, apart from its width.
enum Action {
    Binary(InstructionOpcode),
    Shift(InstructionOpcode),
    Rotate(&'static str),
    Divide { op: InstructionOpcode, signed: bool },
    Count(&'static str),
    Popcount,
    Compare(IntPredicate),
    IsZero,
    SignExtend(u32),
}

/// Translates an operator of this family; returns false if it belongs to another.
pub fn translate(t: &mut Translator<'_, '_, '_>, op: &Operator<'_>) -> bool {
    match op {
        Operator::I32WrapI64 => {
            let value = t.pop_int();
            t.push(t.ir().trunc(value, t.ir().i32));
        }
        Operator::I64ExtendI32S => {
            let value = t.pop_int();
            t.push(t.ir().sext(value, t.ir().i64));
        }
        Operator::I64ExtendI32U => {
            let value = t.pop_int();
            t.push(t.ir().zext(value, t.ir().i64));
        }
        _ => match action(op) {
            Some(action) => t.integer(&action),
            None => return false,
        },
    }
    true
}

fn action(op: &Operator<'_>) -> Option<Action> {
    use InstructionOpcode as Llvm;
    use Operator as Op;
    Some(match op {
        Op::I32Add | Op::I64Add => Action::Binary(Llvm::Add),
        Op::I32Sub | Op::I64Sub => Action::Binary(Llvm::Sub),
        Op::I32Mul | Op::I64Mul => Action::Binary(Llvm::Mul),
        Op::I32And | Op::I64And => Action::Binary(Llvm::And),
        Op::I32Or | Op::I64Or => Action::Binary(Llvm::Or),
        Op::I32Xor | Op::I64Xor => Action::Binary(Llvm::Xor),
        Op::I32Shl | Op::I64Shl => Action::Shift(Llvm::Shl),
        Op::I32ShrS | Op::I64ShrS => Action::Shift(Llvm::AShr),
        Op::I32ShrU | Op::I64ShrU => Action::Shift(Llvm::LShr),
        Op::I32Rotl | Op::I64Rotl => Action::Rotate("llvm.fshl"),
        Op::I32Rotr | Op::I64Rotr => Action::Rotate("llvm.fshr"),
        Op::I32DivS | Op::I64DivS => Action::Divide { op: Llvm::SDiv, signed: true },
        Op::I32DivU | Op::I64DivU => Action::Divide { op: Llvm::UDiv, signed: false },
        Op::I32RemS | Op::I64RemS => Action::Divide { op: Llvm::SRem, signed: true },
        Op::I32RemU | Op::I64RemU => Action::Divide { op: Llvm::URem, signed: false },
        Op::I32Clz | Op::I64Clz => Action::Count("llvm.ctlz"),
        Op::I32Ctz | Op::I64Ctz => Action::Count("llvm.cttz"),
        Op::I32Popcnt | Op::I64Popcnt => Action::Popcount,
        Op::I32Eqz | Op::I64Eqz => Action::IsZero,
        Op::I32Eq | Op::I64Eq => Action::Compare(IntPredicate::EQ),
        Op::I32Ne | Op::I64Ne => Action::Compare(IntPredicate::NE),
        Op::I32LtS | Op::I64LtS => Action::Compare(IntPredicate::SLT),
        Op::I32LtU | Op::I64LtU => Action::Compare(IntPredicate::ULT),
        Op::I32GtS | Op::I64GtS => Action::Compare(IntPredicate::SGT),
        Op::I32GtU | Op::I64GtU => Action::Compare(IntPredicate::UGT),
        Op::I32LeS | Op::I64LeS => Action::Compare(IntPredicate::SLE),
        Op::I32LeU | Op::I64LeU => Action::Compare(IntPredicate::ULE),
        Op::I32GeS | Op::I64GeS => Action::Compare(IntPredicate::SGE),
        Op::I32GeU | Op::I64GeU => Action::Compare(IntPredicate::UGE),
        Op::I32Extend8S | Op::I64Extend8S => Action::SignExtend(8),
        Op::I32Extend16S | Op::I64Extend16S => Action::SignExtend(16),
        Op::I64Extend32S => Action::SignExtend(32),
        _ => return None,
    })
}

impl<'ctx> Translator<'_, 'ctx, '_> {
    fn integer(&mut self, action: &Action) {
        let b = self.pop_int();
        let ty = b.get_type();
        match *action {
            Action::Binary(op) => {
                let a = self.pop_int();
                self.push(self.ir().binary(op, a, b));
            }
            Action::Shift(op) => {
                let a = self.pop_int();
                let count = self.ir().and(b, ty.const_int(u64::from(ty.get_bit_width() - 1), false));
                self.push(self.ir().binary(op, a, count));
            }
            Action::Rotate(name) => {
                let a = self.pop_int();
                self.call_intrinsic(name, ty, &[a, a, b]);
            }
            Action::Divide { op, signed } => {
                let a = self.pop_int();
                self.divide(op, signed, a, b);
            }
            Action::Count(name) => {
                let defined_at_zero = self.ir().i1.const_zero();
                self.call_intrinsic(name, ty, &[b, defined_at_zero]);
            }
            Action::Popcount => self.call_intrinsic("llvm.ctpop", ty, &[b]),
            Action::Compare(predicate) => {
                let a = self.pop_int();
                let result = self.ir().icmp(predicate, a, b);
                self.push_bool(result);
            }
            Action::IsZero => {
                let result = self.ir().is_zero(b);
                self.push_bool(result);
            }
            Action::SignExtend(bits) => {
                let narrow = match bits {
                    8 => self.ir().i8,
                    16 => self.ir().i16,
                    _ => self.ir().i32,
                };
                let low = self.ir().trunc(b, narrow);
                self.push(self.ir().sext(low, ty));
            }
        }
    }

    fn call_intrinsic(&mut self, name: &'static str, ty: IntType<'ctx>, args: &[IntValue<'ctx>]) {
        let function = self.env.intrinsic(name, &[ty.into()]);
        let args: Vec<_> = args.iter().map(|&arg| arg.into()).collect();
        let result = self.ir().call(function, &args).expect("the intrinsic has a result");
        self.push(result);
    }

    /// Division and remainder: a zero divisor traps, an overflowing quotient traps, the remainder of the least
    /// number by -1 is 0.
    fn divide(&mut self, op: InstructionOpcode, signed: bool, a: IntValue<'ctx>, mut b: IntValue<'ctx>) {
        let ty = b.get_type();
        let zero = self.ir().is_zero(b);
        self.trap_if(zero, TrapCode::DivideByZero);
        let minus_one = ty.const_all_ones();
        if signed && (!b.is_const() || b == minus_one) {
            let is_minus_one = self.ir().icmp(IntPredicate::EQ, b, minus_one);
            if op == InstructionOpcode::SDiv {
                let least = ty.const_int(1 << (ty.get_bit_width() - 1), false);
                let is_least = self.ir().icmp(IntPredicate::EQ, a, least);
                let overflow = self.ir().and(is_least, is_minus_one);
                self.trap_if(overflow, TrapCode::IntegerOverflow);
            } else {
                // Any number has the same remainder, 0, by 1 as by -1.
                let one = ty.const_int(1, false);
                b = self.ir().select(is_minus_one, one.into(), b.into()).into_int_value();
            }
        }
        if b.get_zero_extended_constant() == Some(0) {
            // The trap above is unconditional, and the code after it is dead; LLVM must not see the division.
            return self.push(ty.const_zero());
        }
        self.push(self.ir().binary(op, a, b));
    }
}
