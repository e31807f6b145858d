//! Float operations that the machine has no instruction for.
//!
//! - Operations on bits (sign, copying a sign) are expanded inline where the hardware lacks them. So are wasm's minimum
//!   and maximum, which all hardware lacks.
//! - Conversions to and from 64-bit integers, and rounding on units that lack it, are helper functions on bits.
//! - Arithmetic and comparisons without hardware are calls of the functions in [`FloatCalls`], if there are any.

use ssa::{BinaryOp, Cond, FCond, FuncDecl, FuncKind, InstData, Signature, Type, UnaryOp, Value};

use super::{FloatCalls, FloatFunctions, FloatUnit, Rewriter, Unsupported};

/// The sign bit of a float type.
const fn sign_bit(ty: Type) -> i64 {
    if ty.bits() == 32 { i32::MIN as i64 } else { i64::MIN }
}

impl Rewriter<'_> {
    fn unit(&self, ty: Type) -> FloatUnit {
        if ty == Type::F32 { self.capabilities.single } else { self.capabilities.double }
    }

    /// Whether arithmetic on a float type is in hardware.
    fn in_hardware(&self, ty: Type) -> bool {
        self.unit(ty).arithmetic
    }

    /// The bits of a float.
    fn bits(&mut self, ty: Type, value: Value) -> Value {
        self.unary(UnaryOp::Bitcast, ty.to_int(), value)
    }

    /// The float with these bits.
    fn float(&mut self, ty: Type, bits: Value) -> Value {
        self.unary(UnaryOp::Bitcast, ty, bits)
    }

    // ---- Binary operations ----

    pub(super) fn float_binary(
        &mut self,
        op: BinaryOp,
        ty: Type,
        args: [Value; 2],
    ) -> Result<Option<Value>, Unsupported> {
        let function: Function = match op {
            BinaryOp::Fmin | BinaryOp::Fmax => return self.extremum(op, ty, args).map(Some),
            BinaryOp::Fcopysign => return Ok(Some(self.copy_sign(ty, args))),
            _ if self.in_hardware(ty) => return Ok(None),
            BinaryOp::Fadd => |functions| functions.add,
            BinaryOp::Fsub => |functions| functions.sub,
            BinaryOp::Fmul => |functions| functions.mul,
            _ => |functions| functions.div,
        };
        let name = function(functions(self.calls(op.name())?, ty));
        Ok(Some(self.call_float(name, &args, ty)))
    }

    fn copy_sign(&mut self, ty: Type, [magnitude, sign]: [Value; 2]) -> Value {
        let bits = ty.to_int();
        let [magnitude, sign] = [magnitude, sign].map(|value| self.bits(ty, value));
        let magnitude = self.binary_const(BinaryOp::And, bits, magnitude, !sign_bit(ty));
        let sign = self.binary_const(BinaryOp::And, bits, sign, sign_bit(ty));
        let joined = self.binary(BinaryOp::Or, bits, [magnitude, sign]);
        self.float(ty, joined)
    }

    /// Minimum or maximum: the lesser (or greater) one if they differ. If they are equal, the result is the or (and) of
    /// their bits, for the sign of zero; if unordered, their sum, which is NaN.
    fn extremum(&mut self, op: BinaryOp, ty: Type, [a, b]: [Value; 2]) -> Result<Value, Unsupported> {
        let (cond, join) = match op {
            BinaryOp::Fmin => (FCond::Olt, BinaryOp::Or),
            _ => (FCond::Ogt, BinaryOp::And),
        };
        let bits = ty.to_int();
        let [a_bits, b_bits] = [a, b].map(|value| self.bits(ty, value));
        let joined = self.binary(join, bits, [a_bits, b_bits]);
        let joined = self.float(ty, joined);
        let sum = self.emit(InstData::Binary { op: BinaryOp::Fadd, ty, args: [a, b] }, ty)?;
        let equal = self.emit(InstData::Fcmp { cond: FCond::Oeq, ty, args: [a, b] }, Type::I32)?;
        let result = self.select(ty, equal, joined, sum);
        let other_first = self.emit(InstData::Fcmp { cond, ty, args: [b, a] }, Type::I32)?;
        let result = self.select(ty, other_first, b, result);
        let this_first = self.emit(InstData::Fcmp { cond, ty, args: [a, b] }, Type::I32)?;
        Ok(self.select(ty, this_first, a, result))
    }

    // ---- Comparisons ----

    pub(super) fn float_compare(
        &mut self,
        cond: FCond,
        ty: Type,
        args: [Value; 2],
    ) -> Result<Option<Value>, Unsupported> {
        if self.in_hardware(ty) {
            return Ok(None);
        }
        // The relation to test, and whether the result must be inverted.
        let (function, inverted): (Function, bool) = match cond {
            FCond::Oeq => (|functions| functions.eq, false),
            FCond::Une => (|functions| functions.eq, true),
            FCond::Olt => (|functions| functions.lt, false),
            FCond::Uge => (|functions| functions.lt, true),
            FCond::Ole => (|functions| functions.le, false),
            FCond::Ugt => (|functions| functions.le, true),
            FCond::Ogt => (|functions| functions.gt, false),
            FCond::Ule => (|functions| functions.gt, true),
            FCond::Oge => (|functions| functions.ge, false),
            FCond::Ult => (|functions| functions.ge, true),
            FCond::Uno => (|functions| functions.un, false),
            FCond::Ord => (|functions| functions.un, true),
            FCond::One | FCond::Ueq => return self.two_relations(cond, ty, args).map(Some),
        };
        let name = function(functions(self.calls("a float comparison")?, ty));
        let holds = self.call_float(name, &args, Type::I32);
        let zero = self.constant(Type::I32, 0);
        let wanted = if inverted { Cond::Eq } else { Cond::Ne };
        Ok(Some(self.icmp(wanted, Type::I32, [holds, zero])))
    }

    fn two_relations(&mut self, cond: FCond, ty: Type, args: [Value; 2]) -> Result<Value, Unsupported> {
        let conds = if cond == FCond::One { [FCond::Olt, FCond::Ogt] } else { [FCond::Oeq, FCond::Uno] };
        let first = self.emit(InstData::Fcmp { cond: conds[0], ty, args }, Type::I32)?;
        let second = self.emit(InstData::Fcmp { cond: conds[1], ty, args }, Type::I32)?;
        Ok(self.binary(BinaryOp::Or, Type::I32, [first, second]))
    }

    // ---- Unary operations ----

    pub(super) fn float_unary(
        &mut self,
        op: UnaryOp,
        ty: Type,
        arg: Value,
    ) -> Result<Option<Value>, Unsupported> {
        let from = self.func.values[arg].ty;
        Ok(Some(match op {
            UnaryOp::Fneg | UnaryOp::Fabs if !self.in_hardware(ty) => self.change_sign(op, ty, arg),
            UnaryOp::Fsqrt if !self.in_hardware(ty) => {
                let name = if ty == Type::F32 { "__wasm_f32_sqrt" } else { "__wasm_f64_sqrt" };
                self.on_bits(name, ty, arg)
            }
            UnaryOp::Fceil | UnaryOp::Ffloor | UnaryOp::Ftrunc | UnaryOp::Fnearest
                if !self.unit(ty).rounding =>
            {
                let rounder = self.helpers.rounding(self.module, op, ty);
                let bits = self.bits(ty, arg);
                let rounded = self.call(rounder, vec![bits])[0];
                self.float(ty, rounded)
            }
            UnaryOp::Fpromote if !self.in_hardware(Type::F64) => {
                let bits = self.bits(from, arg);
                let wide = self.call_helper("__wasm_f32_to_f64", vec![bits]);
                self.float(ty, wide)
            }
            UnaryOp::Fdemote if !self.in_hardware(Type::F64) => {
                let name = self.calls(op.name())?.demote;
                let bits = self.call_float(name, &[arg], Type::I32);
                self.float(ty, bits)
            }
            UnaryOp::StoF | UnaryOp::UtoF if !self.in_hardware(ty) || from == Type::I64 => {
                self.integer_to_float(op == UnaryOp::StoF, ty, from, arg)
            }
            UnaryOp::FtoS | UnaryOp::FtoSSat if !self.in_hardware(from) || ty == Type::I64 => {
                self.float_to_signed(ty, from, arg)
            }
            UnaryOp::FtoU | UnaryOp::FtoUSat if !self.in_hardware(from) || ty == Type::I64 => {
                self.float_to_unsigned(ty, from, arg)
            }
            _ => return Ok(None),
        }))
    }

    fn change_sign(&mut self, op: UnaryOp, ty: Type, arg: Value) -> Value {
        let bits = self.bits(ty, arg);
        let (op, mask) = match op {
            UnaryOp::Fneg => (BinaryOp::Xor, sign_bit(ty)),
            _ => (BinaryOp::And, !sign_bit(ty)),
        };
        let changed = self.binary_const(op, ty.to_int(), bits, mask);
        self.float(ty, changed)
    }

    /// The result of a helper from bits to bits of one type.
    fn on_bits(&mut self, helper: &str, ty: Type, arg: Value) -> Value {
        let bits = self.bits(ty, arg);
        let result = self.call_helper(helper, vec![bits]);
        self.float(ty, result)
    }

    // ---- Conversions ----

    /// Sign and magnitude are converted separately.
    fn integer_to_float(&mut self, signed: bool, ty: Type, from: Type, arg: Value) -> Value {
        let extend = if signed { UnaryOp::Sext } else { UnaryOp::Zext };
        let wide = if from == Type::I32 { self.unary(extend, Type::I64, arg) } else { arg };
        let helper = if ty == Type::F32 { "__wasm_u64_to_f32" } else { "__wasm_u64_to_f64" };
        if !signed {
            let bits = self.call_helper(helper, vec![wide]);
            return self.float(ty, bits);
        }
        let sign = self.binary_const(BinaryOp::ShrS, Type::I64, wide, 63);
        let magnitude = self.binary(BinaryOp::Xor, Type::I64, [wide, sign]);
        let magnitude = self.binary(BinaryOp::Sub, Type::I64, [magnitude, sign]);
        let bits = self.call_helper(helper, vec![magnitude]);
        let sign = if ty == Type::F32 { self.unary(UnaryOp::Trunc, Type::I32, sign) } else { sign };
        let sign = self.binary_const(BinaryOp::And, ty.to_int(), sign, sign_bit(ty));
        let bits = self.binary(BinaryOp::Or, ty.to_int(), [bits, sign]);
        self.float(ty, bits)
    }

    /// Magnitude of a float, truncated, at most 2^64 - 1 and 0 for NaN; and whether the sign is set.
    fn magnitude(&mut self, from: Type, arg: Value) -> (Value, Value) {
        let bits = self.bits(from, arg);
        let wide = if from == Type::F32 { self.call_helper("__wasm_f32_to_f64", vec![bits]) } else { bits };
        let magnitude = self.call_helper("__wasm_f64_to_u64", vec![wide]);
        let zero = self.constant(Type::I64, 0);
        let negative = self.icmp(Cond::LtS, Type::I64, [wide, zero]);
        (magnitude, negative)
    }

    fn float_to_unsigned(&mut self, ty: Type, from: Type, arg: Value) -> Value {
        let (magnitude, negative) = self.magnitude(from, arg);
        let zero = self.constant(Type::I64, 0);
        let value = self.select(Type::I64, negative, zero, magnitude);
        if ty == Type::I64 {
            return value;
        }
        let value = self.binary_const(BinaryOp::MinU, Type::I64, value, 0xffff_ffff);
        self.unary(UnaryOp::Trunc, Type::I32, value)
    }

    fn float_to_signed(&mut self, ty: Type, from: Type, arg: Value) -> Value {
        let (magnitude, negative) = self.magnitude(from, arg);
        let most = if ty == Type::I64 { i64::MAX } else { i64::from(i32::MAX) };
        let positive = self.binary_const(BinaryOp::MinU, Type::I64, magnitude, most);
        let limited = self.binary_const(BinaryOp::MinU, Type::I64, magnitude, most.wrapping_add(1));
        let zero = self.constant(Type::I64, 0);
        let negated = self.binary(BinaryOp::Sub, Type::I64, [zero, limited]);
        let value = self.select(Type::I64, negative, negated, positive);
        if ty == Type::I64 { value } else { self.unary(UnaryOp::Trunc, Type::I32, value) }
    }

    // ---- Callees ----

    /// The functions for float arithmetic; an error about `operation` if there are none.
    fn calls(&self, operation: &'static str) -> Result<&FloatCalls, Unsupported> {
        self.calls.ok_or_else(|| Unsupported { function: self.func.name.clone(), operation })
    }

    /// Appends a call of a function for float arithmetic, which is declared when first needed.
    fn call_float(&mut self, name: &str, args: &[Value], result: Type) -> Value {
        let kind = FuncKind::Intrinsic(name.to_owned());
        let known = self.module.decls.iter().find(|(_, decl)| decl.kind == kind).map(|(id, _)| id);
        let func = known.unwrap_or_else(|| {
            let params = args.iter().map(|&arg| self.func.values[arg].ty).collect();
            let sig = self.module.intern_signature(Signature { params, results: vec![result] });
            self.module.functions.push(None);
            self.module.decls.push(FuncDecl { name: name.to_owned(), sig, kind })
        });
        self.call(func, args.to_vec())[0]
    }
}

/// Selects a function from those on one float type.
type Function = fn(&FloatFunctions) -> &'static str;

/// The functions on a float type.
const fn functions(calls: &FloatCalls, ty: Type) -> &FloatFunctions {
    if matches!(ty, Type::F32) { &calls.single } else { &calls.double }
}
