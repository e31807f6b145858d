//! Integer operations of any width up to 128 bits, comparisons, selects and conversions.
//!
//! Bits above a narrow integer's width are unspecified. Some operations, such as addition, need only the low bits of
//! their operands for the low bits of the result; they use the promoted operands unchanged. The others first extend
//! their operands, by zeros or by the sign as needed.

use ssa::{Addr, BinaryOp, Cond, Type, UnaryOp, Value};
use wasm_program::names;

use super::Refused;
use super::choices::Input;
use super::function::Reader;
use super::repr::{Repr, container};
use crate::llvm::{self, IntPredicate, Opcode};

/// The extension an operand needs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extension {
    None,
    Zero,
    Sign,
}

/// The operation and the extension its two operands need.
fn lowering_of(opcode: Opcode) -> Option<(BinaryOp, [Extension; 2])> {
    use Extension::{None as Any, Sign, Zero};
    Some(match opcode {
        Opcode::LLVMAdd => (BinaryOp::Add, [Any, Any]),
        Opcode::LLVMSub => (BinaryOp::Sub, [Any, Any]),
        Opcode::LLVMMul => (BinaryOp::Mul, [Any, Any]),
        Opcode::LLVMAnd => (BinaryOp::And, [Any, Any]),
        Opcode::LLVMOr => (BinaryOp::Or, [Any, Any]),
        Opcode::LLVMXor => (BinaryOp::Xor, [Any, Any]),
        Opcode::LLVMShl => (BinaryOp::Shl, [Any, Zero]),
        Opcode::LLVMLShr => (BinaryOp::ShrU, [Zero, Zero]),
        Opcode::LLVMAShr => (BinaryOp::ShrS, [Sign, Zero]),
        Opcode::LLVMUDiv => (BinaryOp::DivU, [Zero, Zero]),
        Opcode::LLVMURem => (BinaryOp::RemU, [Zero, Zero]),
        Opcode::LLVMSDiv => (BinaryOp::DivS, [Sign, Sign]),
        Opcode::LLVMSRem => (BinaryOp::RemS, [Sign, Sign]),
        _ => return None,
    })
}

/// The runtime function for a division of more than 64 bits, and whether it is signed.
fn wide_division(opcode: Opcode) -> Option<(&'static str, bool)> {
    match opcode {
        Opcode::LLVMUDiv => Some((names::UDIVTI3, false)),
        Opcode::LLVMURem => Some((names::UMODTI3, false)),
        Opcode::LLVMSDiv => Some((names::DIVTI3, true)),
        Opcode::LLVMSRem => Some((names::MODTI3, true)),
        _ => None,
    }
}

/// The `ssa` relation for LLVM's.
pub(super) fn cond_of(predicate: IntPredicate) -> Cond {
    match predicate {
        IntPredicate::LLVMIntEQ => Cond::Eq,
        IntPredicate::LLVMIntNE => Cond::Ne,
        IntPredicate::LLVMIntUGT => Cond::GtU,
        IntPredicate::LLVMIntUGE => Cond::GeU,
        IntPredicate::LLVMIntULT => Cond::LtU,
        IntPredicate::LLVMIntULE => Cond::LeU,
        IntPredicate::LLVMIntSGT => Cond::GtS,
        IntPredicate::LLVMIntSGE => Cond::GeS,
        IntPredicate::LLVMIntSLT => Cond::LtS,
        IntPredicate::LLVMIntSLE => Cond::LeS,
    }
}

/// Whether the relation orders its operands as signed numbers.
pub(super) const fn is_signed(cond: Cond) -> bool {
    matches!(cond, Cond::LtS | Cond::LeS | Cond::GtS | Cond::GeS)
}

impl<'m> Reader<'_, '_, 'm> {
    /// Reads arithmetic, logic, shifts and divisions.
    pub(super) fn integer_binary(&mut self, inst: llvm::Value<'m>, opcode: Opcode) -> Result<Repr, Refused> {
        let bits = Self::width(inst)?;
        if bits > 64 {
            return self.wide_binary(inst, opcode, bits).map(Repr::Pair);
        }
        let (op, extensions) = lowering_of(opcode).ok_or("not an integer operation")?;
        let a = self.one(inst.operand(0))?;
        let b = self.one(inst.operand(1))?;
        if bits == 1 && op == BinaryOp::Xor && self.b.as_const(b) == Some(1) {
            return Ok(Repr::One(self.negation(inst.operand(0), a)));
        }
        let a = self.extended(a, bits, extensions[0]);
        let b = self.extended(b, bits, extensions[1]);
        Ok(Repr::One(self.b.binary(op, a, b)))
    }

    /// The negation of a boolean. A comparison with other uses is kept and negated, so that it isn't made twice.
    fn negation(&mut self, source: llvm::Value<'m>, value: Value) -> Value {
        if source.users().nth(1).is_none() {
            self.b.not(value)
        } else {
            self.b.binary_const(BinaryOp::Xor, value, 1)
        }
    }

    fn extended(&mut self, value: Value, bits: u32, extension: Extension) -> Value {
        match extension {
            Extension::None => value,
            Extension::Zero => self.b.zero_extend(value, bits),
            Extension::Sign => self.b.sign_extend(value, bits),
        }
    }

    fn wide_binary(
        &mut self,
        inst: llvm::Value<'m>,
        opcode: Opcode,
        bits: u32,
    ) -> Result<[Value; 2], Refused> {
        let a = self.pair(inst.operand(0))?;
        let b = self.pair(inst.operand(1))?;
        if let Some((symbol, signed)) = wide_division(opcode) {
            let a = self.b.wide_extend(a, bits, signed);
            let b = self.b.wide_extend(b, bits, signed);
            let results = self.call_runtime(symbol, [a, b].concat(), &[Type::I64; 2])?;
            return Ok([results[0], results[1]]);
        }
        Ok(match opcode {
            Opcode::LLVMAdd => self.b.wide_add(a, b),
            Opcode::LLVMSub => self.b.wide_sub(a, b),
            Opcode::LLVMMul => self.b.wide_mul(a, b),
            Opcode::LLVMAnd => self.b.wide_logic(BinaryOp::And, a, b),
            Opcode::LLVMOr => self.b.wide_logic(BinaryOp::Or, a, b),
            Opcode::LLVMXor => self.b.wide_logic(BinaryOp::Xor, a, b),
            Opcode::LLVMShl => self.b.wide_shl(a, b[0]),
            Opcode::LLVMLShr => {
                let a = self.b.wide_extend(a, bits, false);
                self.b.wide_shr(a, b[0], BinaryOp::ShrU)
            }
            _ => {
                let a = self.b.wide_extend(a, bits, true);
                self.b.wide_shr(a, b[0], BinaryOp::ShrS)
            }
        })
    }

    /// Reads `icmp`, of integers or pointers.
    pub(super) fn compare(&mut self, inst: llvm::Value<'m>) -> Result<Repr, Refused> {
        let cond = cond_of(inst.int_predicate().ok_or("a comparison without a relation")?);
        let [x, y] = [inst.operand(0), inst.operand(1)];
        let Some(bits) = x.ty().int_width() else { return self.compare_pointers(cond, x, y).map(Repr::One) };
        if bits > 64 {
            let (a, b) = (self.pair(x)?, self.pair(y)?);
            return Ok(Repr::One(self.b.wide_icmp(cond, a, b, bits)));
        }
        let (a, b) = (self.one(x)?, self.one(y)?);
        Ok(Repr::One(self.compare_narrow(cond, a, b, bits)))
    }

    /// Compares integers of up to 64 bits.
    pub(super) fn compare_narrow(&mut self, cond: Cond, a: Value, b: Value, bits: u32) -> Value {
        // As a signed number, a set `i1` is -1: the order is the reverse of the unsigned one.
        let cond = if bits == 1 && is_signed(cond) { unsigned(cond).swapped() } else { cond };
        let equality = matches!(cond, Cond::Eq | Cond::Ne);
        let both_signed = self.b.known(a).signed <= bits && self.b.known(b).signed <= bits;
        let signed = if equality { both_signed || self.prefers_sign(a, b, bits) } else { is_signed(cond) };
        let extension = if signed && bits > 1 { Extension::Sign } else { Extension::Zero };
        let a = self.extended(a, bits, extension);
        let b = self.extended(b, bits, extension);
        self.b.icmp(cond, a, b)
    }

    /// Whether comparing for equality is cheaper on sign-extended operands.
    fn prefers_sign(&self, a: Value, b: Value, bits: u32) -> bool {
        let costs = |value| {
            let constant = self.b.as_const(value).is_some();
            let known = self.b.known(value);
            [!constant && known.unsigned > bits, !constant && known.signed > bits].map(u32::from)
        };
        let ([zero_a, sign_a], [zero_b, sign_b]) = (costs(a), costs(b));
        sign_a + sign_b < zero_a + zero_b
    }

    /// Reads `select`.
    pub(super) fn select(&mut self, inst: llvm::Value<'m>) -> Result<Repr, Refused> {
        let cond = self.one(inst.operand(0))?;
        if self.relative.contains_key(&inst) {
            return self.select_relative(inst, cond);
        }
        let if_true = self.repr(inst.operand(1))?;
        let if_false = self.repr(inst.operand(2))?;
        Ok(self.choose(cond, if_true, if_false))
    }

    fn choose(&mut self, cond: Value, if_true: Repr, if_false: Repr) -> Repr {
        match (if_true, if_false) {
            (Repr::Pair(a), Repr::Pair(b)) => Repr::Pair(self.b.wide_select(cond, a, b)),
            (Repr::Struct(a), Repr::Struct(b)) => {
                let pairs =
                    self.structs[a.0 as usize].clone().into_iter().zip(self.structs[b.0 as usize].clone());
                let fields = pairs.map(|(x, y)| self.choose(cond, x, y)).collect();
                self.new_struct(fields)
            }
            _ => {
                let (a, b) = (self.scalar(if_true), self.scalar(if_false));
                Repr::One(self.b.select(cond, a, b))
            }
        }
    }

    /// A representation that is known to be one value, computed.
    fn scalar(&mut self, repr: Repr) -> Value {
        match repr {
            Repr::One(value) => value,
            Repr::Addr(addr) => self.address_value(addr),
            Repr::Pair([low, _]) => low,
            Repr::Struct(id) => panic!("struct {id:?} where LLVM's types say there is a scalar"),
        }
    }

    /// Reads `trunc`, `zext` and `sext`.
    pub(super) fn convert(&mut self, inst: llvm::Value<'m>, opcode: Opcode) -> Result<Repr, Refused> {
        let source = inst.operand(0);
        let (from, to) = (Self::width(source)?, Self::width(inst)?);
        if opcode == Opcode::LLVMTrunc {
            let repr = self.repr(source)?;
            return Ok(match repr {
                Repr::Pair(halves) if to > 64 => Repr::Pair(halves),
                Repr::Pair([low, _]) => Repr::One(self.b.resize(low, container(to))),
                _ => {
                    let value = self.one(source)?;
                    Repr::One(self.b.resize(value, container(to)))
                }
            });
        }
        let signed = opcode == Opcode::LLVMSExt;
        if from > 64 {
            let halves = self.pair(source)?;
            return Ok(Repr::Pair(self.b.wide_extend(halves, from, signed)));
        }
        let value = self.one(source)?;
        if to > 64 {
            let low = self.extend_to(value, from, Type::I64, signed);
            return Ok(Repr::Pair(self.b.widen(low, signed)));
        }
        let signed = signed || inst.is_nneg() && from == 32;
        Ok(Repr::One(self.extend_to(value, from, container(to), signed)))
    }

    /// Extends an integer of `from` bits to all bits of `ty`.
    pub(super) fn extend_to(&mut self, value: Value, from: u32, ty: Type, signed: bool) -> Value {
        if from == 1 {
            let wide = self.b.resize(value, ty);
            let zero = self.b.iconst(ty, 0);
            return if signed { self.b.binary(BinaryOp::Sub, zero, wide) } else { wide };
        }
        let value = if signed { self.b.sign_extend(value, from) } else { self.b.zero_extend(value, from) };
        match (self.b.ty(value), ty) {
            (Type::I32, Type::I64) if signed => self.b.unary(UnaryOp::Sext, ty, value),
            (Type::I32, Type::I64) => self.b.unary(UnaryOp::Zext, ty, value),
            _ => value,
        }
    }

    /// Reads `ptrtoint` and `inttoptr`: a pointer is an `i32`.
    pub(super) fn convert_pointer(&mut self, inst: llvm::Value<'m>) -> Result<Repr, Refused> {
        let source = inst.operand(0);
        if inst.ty().int_width().is_none() {
            let from = Self::width(source)?;
            let value = match self.repr(source)? {
                Repr::Pair([low, _]) => low,
                _ => self.one(source)?,
            };
            let value = self.b.zero_extend(value, from);
            return Ok(Repr::One(self.b.resize(value, Type::I32)));
        }
        let to = Self::width(inst)?;
        let value = self.one(source)?;
        if to > 64 {
            let low = self.b.resize(value, Type::I64);
            return Ok(Repr::Pair(self.b.widen(low, false)));
        }
        Ok(Repr::One(self.b.resize(value, container(to))))
    }

    /// Reads `bitcast`: between an integer and a float of the same width, or between equal types.
    pub(super) fn bitcast(&mut self, inst: llvm::Value<'m>) -> Result<Repr, Refused> {
        use super::repr::Shape;
        let source = inst.operand(0);
        match (Shape::of(source.ty())?, Shape::of(inst.ty())?) {
            (Shape::Int(bits), Shape::Float(ty)) | (Shape::Float(ty), Shape::Int(bits))
                if ty.bits() == bits =>
            {
                let to = if inst.ty().int_width().is_some() { container(bits) } else { ty };
                let value = self.one(source)?;
                Ok(Repr::One(self.b.unary(UnaryOp::Bitcast, to, value)))
            }
            (from, to) if from == to => self.repr(source),
            _ => Err("a bitcast between these types".into()),
        }
    }

    /// Compares pointers as unsigned machine addresses.
    fn compare_pointers(
        &mut self,
        cond: Cond,
        x: llvm::Value<'m>,
        y: llvm::Value<'m>,
    ) -> Result<Value, Refused> {
        let (a, b) = (self.address(x)?, self.address(y)?);
        // A common base doesn't change the equality of two sums; it may change their order, as sums wrap.
        let (a, b) = if a.base == b.base && matches!(cond, Cond::Eq | Cond::Ne) {
            (Addr { base: None, ..a }, Addr { base: None, ..b })
        } else {
            (a, b)
        };
        let (a, b) = (self.address_value(a), self.address_value(b));
        Ok(self.b.icmp(cond, a, b))
    }
}

/// The unsigned relation of the same direction.
pub(super) const fn unsigned(cond: Cond) -> Cond {
    match cond {
        Cond::LtS => Cond::LtU,
        Cond::LeS => Cond::LeU,
        Cond::GtS => Cond::GtU,
        Cond::GeS => Cond::GeU,
        _ => cond,
    }
}

/// Whether the representation of a narrow integer has zeros above its width without an extension.
///
/// This is a prediction from LLVM's instructions, and only the cost of code depends on it: edges extend the input of a
/// phi that is predicted to be extended, and the extension is free if the prediction is right.
pub(super) fn is_zero_extended(value: llvm::Value<'_>) -> Input<'_> {
    match value.opcode() {
        Some(Opcode::LLVMPHI | Opcode::LLVMSelect) => Input::If(value),
        Some(Opcode::LLVMLoad) if value.ty().int_width().is_some_and(|bits| bits % 8 == 0) => Input::Has,
        Some(Opcode::LLVMLShr | Opcode::LLVMZExt | Opcode::LLVMUDiv | Opcode::LLVMURem) => Input::Has,
        Some(Opcode::LLVMAnd) if value.operand(1).const_int().is_some() => Input::Has,
        Some(_) => Input::Lacks,
        None if value.const_int().is_some() || value.is_undef() => Input::Has,
        None => Input::Lacks,
    }
}
