//! Appending `ssa` instructions, with the simplifications that keep expansions small.
//!
//! The instruction families of the reader expand one LLVM instruction into several, often with constant or already
//! extended operands. The builder folds constants, drops identities and redundant extensions and keeps
//! constants on the right, so that the families can be written plainly.
//!
//! Constants are made once per block, at their first use there: a longer live range has no benefit, and a constant
//! next to its use folds into an immediate.
//!
//! LLVM's narrow integers are in the low bits of an `i32` or `i64`, and the bits above are unspecified, so that
//! additions, logic and left shifts need no extension. An instruction that uses the whole register (a comparison, a
//! right shift, a widening) extends its operands first. Most extensions are redundant: the value was loaded with
//! extension, masked, or is a comparison. Known bits of each value show it.
//!
//! Invariant: [`Builder::known`] is sound for every value made so far. The facts are derived from the `ssa` instructions
//! themselves, never from LLVM's flags. A wrong flag makes the result poison, which a later `freeze` turns into an
//! arbitrary but well-formed narrow value. A fact derived from the flag would not hold for that value.

use ssa::known_bits::KnownBits;
use ssa::{
    Addr, BinaryOp, Block, Cond, DataId, EntityId as _, Function, IdVec, InstData, MemFlags, MemType, SigId,
    Type, UnaryOp, Value,
};

use crate::llvm::lookup::LookupMap;

/// A function under construction and the block that instructions go to.
pub struct Builder {
    /// The function so far.
    pub func: Function,
    block: Block,
    known: IdVec<Value, KnownBits>,
    consts: LookupMap<(u32, Type, i64), Value>,
    addresses: LookupMap<(u32, DataId, i32), Value>,
}

impl Builder {
    /// A builder for an empty function.
    pub fn new(name: String, sig: SigId) -> Self {
        Self {
            func: Function::new(name, sig),
            block: Block::new(0),
            known: IdVec::new(),
            consts: LookupMap::default(),
            addresses: LookupMap::default(),
        }
    }

    /// Appends to `block` from now on.
    pub fn switch_to(&mut self, block: Block) {
        self.block = block;
    }

    /// The block that instructions go to.
    pub fn current(&self) -> Block {
        self.block
    }

    /// Appends a parameter for which `known` holds.
    pub fn param(&mut self, block: Block, ty: Type, known: KnownBits) -> Value {
        self.known.push(known);
        self.func.add_param(block, ty)
    }

    /// Appends an instruction with any number of results.
    pub fn inst(&mut self, data: InstData, results: &[Type]) -> Vec<Value> {
        let inst = self.func.append(self.block, data, results);
        for ty in results {
            self.known.push(KnownBits::nothing(ty.bits()));
        }
        self.func.results[inst].clone()
    }

    fn value(&mut self, data: InstData, ty: Type, known: KnownBits) -> Value {
        self.known.push(known);
        self.func.append_value(self.block, data, ty)
    }

    /// The type of a value.
    pub fn ty(&self, value: Value) -> Type {
        self.func.values[value].ty
    }

    /// The known facts about a value's upper bits.
    pub fn known(&self, value: Value) -> KnownBits {
        self.known[value]
    }

    /// The instruction that made `value`, unless it is a block parameter.
    pub fn def(&self, value: Value) -> Option<&InstData> {
        self.func.def_inst(value).map(|inst| &self.func.insts[inst])
    }

    /// A constant; for `i32` only the low half of `bits` counts.
    pub fn iconst(&mut self, ty: Type, bits: i64) -> Value {
        let bits = normalize(ty, bits);
        let key = (self.block.index() as u32, ty, bits);
        if let Some(&value) = self.consts.get(&key) {
            return value;
        }
        let known = if ty.is_int() { KnownBits::of_const(bits, ty) } else { KnownBits::nothing(ty.bits()) };
        let value = self.value(InstData::Const { ty, bits }, ty, known);
        self.consts.insert(key, value);
        value
    }

    /// The machine address of a data object plus `offset`.
    pub fn data_addr(&mut self, data: DataId, offset: i32) -> Value {
        let key = (self.block.index() as u32, data, offset);
        if let Some(&value) = self.addresses.get(&key) {
            return value;
        }
        let value = self.value(InstData::DataAddr { data, offset }, Type::I32, KnownBits::nothing(32));
        self.addresses.insert(key, value);
        value
    }

    /// The value of a constant.
    pub fn as_const(&self, value: Value) -> Option<i64> {
        self.func.as_const(value)
    }

    /// A unary instruction with result type `ty`.
    pub fn unary(&mut self, op: UnaryOp, ty: Type, arg: Value) -> Value {
        if let Some(bits) = self.as_const(arg).and_then(|bits| fold_unary(op, bits)) {
            return self.iconst(ty, bits);
        }
        if let Some(value) = self.simplify_unary(op, ty, arg) {
            return value;
        }
        let known = KnownBits::of_unary(op, ty, self.known(arg));
        self.value(InstData::Unary { op, ty, arg }, ty, known)
    }

    fn simplify_unary(&mut self, op: UnaryOp, ty: Type, arg: Value) -> Option<Value> {
        let signed = self.known(arg).signed;
        match (op, self.def(arg)) {
            (UnaryOp::Sext8, _) if signed <= 8 => Some(arg),
            (UnaryOp::Sext16, _) if signed <= 16 => Some(arg),
            (
                UnaryOp::Trunc,
                Some(&InstData::Unary { op: UnaryOp::Zext | UnaryOp::Sext, arg: inner, .. }),
            ) => Some(inner),
            (UnaryOp::Sext, Some(&InstData::Unary { op: UnaryOp::Trunc, arg: inner, .. }))
                if self.known(inner).signed <= 32 =>
            {
                Some(inner)
            }
            (UnaryOp::Zext, Some(&InstData::Unary { op: UnaryOp::Trunc, arg: inner, .. }))
                if self.known(inner).unsigned <= 32 =>
            {
                Some(inner)
            }
            (UnaryOp::Sext, Some(&InstData::Unary { op: inner_op, arg: inner, .. }))
                if matches!(inner_op, UnaryOp::Sext8 | UnaryOp::Sext16) =>
            {
                self.wide_source(inner).map(|wide| self.unary(inner_op, ty, wide))
            }
            _ => None,
        }
    }

    /// The `i64` whose truncation `value` is.
    fn wide_source(&self, value: Value) -> Option<Value> {
        match self.def(value) {
            Some(&InstData::Unary { op: UnaryOp::Trunc, arg, .. }) => Some(arg),
            _ => None,
        }
    }

    /// A binary instruction; the type is the operands'.
    pub fn binary(&mut self, op: BinaryOp, a: Value, b: Value) -> Value {
        let ty = self.ty(a);
        debug_assert_eq!(ty, self.ty(b), "{}: {op:?} {a} {b}", self.func.name);
        if !ty.is_int() {
            return self.value(InstData::Binary { op, ty, args: [a, b] }, ty, KnownBits::nothing(ty.bits()));
        }
        let (a, b) = if is_commutative(op) && self.as_const(a).is_some() && self.as_const(b).is_none() {
            (b, a)
        } else {
            (a, b)
        };
        let constant = self.as_const(b);
        if let Some(bits) = self.as_const(a).zip(constant).and_then(|(x, y)| fold_binary(op, ty, x, y)) {
            return self.iconst(ty, bits);
        }
        if let Some(value) = constant.and_then(|c| self.simplify_binary(op, a, c)) {
            return value;
        }
        let known = KnownBits::of_binary(op, ty, self.known(a), self.known(b), constant);
        self.value(InstData::Binary { op, ty, args: [a, b] }, ty, known)
    }

    /// `op a, c` without a new instruction, or with a simpler one.
    fn simplify_binary(&mut self, op: BinaryOp, a: Value, c: i64) -> Option<Value> {
        use BinaryOp::{Add, And, DivU, Mul, Or, Rotl, Rotr, Shl, ShrS, ShrU, Sub, Xor};
        let ty = self.ty(a);
        match (op, c) {
            (Add | Sub | Or | Xor | Shl | ShrS | ShrU | Rotl | Rotr, 0) | (Mul | DivU, 1) | (And, -1) => {
                Some(a)
            }
            (And | Mul, 0) => Some(self.iconst(ty, 0)),
            (And, mask) if mask > 0 && mask & mask.wrapping_add(1) == 0 => {
                (self.known(a).unsigned <= 64 - mask.leading_zeros()).then_some(a)
            }
            // A sign extension in a register.
            (ShrS, _) if matches!(i64::from(ty.bits()) - c, 8 | 16 | 32) => match self.def(a) {
                Some(&InstData::Binary { op: Shl, args: [x, y], .. }) if self.as_const(y) == Some(c) => {
                    Some(self.sign_extend(x, ty.bits() - c as u32))
                }
                _ => None,
            },
            (And | Xor | Or, _) => match self.def(a) {
                Some(&InstData::Binary { op: inner_op, args: [x, y], .. }) if inner_op == op => {
                    let bits = fold_binary(op, ty, self.as_const(y)?, c)?;
                    Some(self.binary_const(op, x, bits))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// A binary instruction with a constant second operand.
    pub fn binary_const(&mut self, op: BinaryOp, a: Value, c: i64) -> Value {
        let b = self.iconst(self.ty(a), c);
        self.binary(op, a, b)
    }

    /// An integer comparison; 0 or 1.
    pub fn icmp(&mut self, cond: Cond, a: Value, b: Value) -> Value {
        let ty = self.ty(a);
        debug_assert_eq!(ty, self.ty(b), "{}: icmp {a} {b}", self.func.name);
        let swap = self.as_const(a).is_some() && self.as_const(b).is_none();
        let (cond, a, b) = if swap { (cond.swapped(), b, a) } else { (cond, a, b) };
        match (self.as_const(a), self.as_const(b)) {
            (Some(x), Some(y)) => return self.iconst(Type::I32, i64::from(compare(cond, ty, x, y))),
            (None, Some(c)) if ty == Type::I32 && self.known(a).unsigned <= 1 => match (cond, c) {
                (Cond::Ne, 0) | (Cond::Eq, 1) => return a,
                (Cond::Eq, 0) | (Cond::Ne, 1) => return self.not(a),
                _ => {}
            },
            _ => {}
        }
        self.value(InstData::Icmp { cond, ty, args: [a, b] }, Type::I32, KnownBits::below(1, 32))
    }

    /// An integer comparison with a constant.
    pub fn icmp_const(&mut self, cond: Cond, a: Value, c: i64) -> Value {
        let b = self.iconst(self.ty(a), c);
        self.icmp(cond, a, b)
    }

    /// The negation of a boolean.
    pub fn not(&mut self, a: Value) -> Value {
        match self.def(a) {
            Some(&InstData::Icmp { cond, args: [x, y], .. }) => self.icmp(cond.inverse(), x, y),
            _ => self.binary_const(BinaryOp::Xor, a, 1),
        }
    }

    /// `if cond { if_true } else { if_false }`.
    pub fn select(&mut self, cond: Value, if_true: Value, if_false: Value) -> Value {
        let ty = self.ty(if_true);
        if let Some(bits) = self.as_const(cond) {
            return if bits == 0 { if_false } else { if_true };
        }
        if if_true == if_false {
            return if_true;
        }
        let known = KnownBits::either(self.known(if_true), self.known(if_false));
        if known.unsigned <= 1
            && ty == Type::I32
            && let Some(value) = self.select_boolean(cond, if_true, if_false)
        {
            return value;
        }
        self.value(InstData::Select { ty, cond, if_true, if_false }, ty, known)
    }

    /// A choice between booleans of which one is constant.
    fn select_boolean(&mut self, cond: Value, if_true: Value, if_false: Value) -> Option<Value> {
        match (self.as_const(if_true), self.as_const(if_false)) {
            (Some(1), Some(0)) => Some(cond),
            (Some(0), Some(1)) => Some(self.not(cond)),
            (Some(1), None) => Some(self.binary(BinaryOp::Or, cond, if_false)),
            (None, Some(0)) => Some(self.binary(BinaryOp::And, cond, if_true)),
            (Some(0), None) => {
                let not = self.not(cond);
                Some(self.binary(BinaryOp::And, not, if_false))
            }
            (None, Some(1)) => {
                let not = self.not(cond);
                Some(self.binary(BinaryOp::Or, not, if_true))
            }
            _ => None,
        }
    }

    /// A load.
    pub fn load(&mut self, mem: MemType, ty: Type, addr: Addr, flags: MemFlags) -> Value {
        self.value(InstData::Load { mem, ty, addr, flags }, ty, KnownBits::of_load(mem, ty))
    }

    /// An instruction with one result, without known facts.
    pub fn opaque(&mut self, data: InstData, ty: Type) -> Value {
        self.value(data, ty, KnownBits::nothing(ty.bits()))
    }

    /// A comparison that is not of integers: its result is 0 or 1.
    pub fn boolean(&mut self, data: InstData) -> Value {
        self.value(data, Type::I32, KnownBits::below(1, 32))
    }

    /// The low `bits` bits of `value`, zeros above.
    pub fn zero_extend(&mut self, value: Value, bits: u32) -> Value {
        let width = self.ty(value).bits();
        if bits >= width || self.known(value).unsigned <= bits {
            return value;
        }
        self.binary_const(BinaryOp::And, value, (u64::MAX >> (64 - bits)).cast_signed())
    }

    /// The low `bits` bits of `value`, copies of the highest of them above.
    pub fn sign_extend(&mut self, value: Value, bits: u32) -> Value {
        let ty = self.ty(value);
        if bits >= ty.bits() || self.known(value).signed <= bits {
            return value;
        }
        match bits {
            8 => self.unary(UnaryOp::Sext8, ty, value),
            16 => self.unary(UnaryOp::Sext16, ty, value),
            32 => {
                let low = self.unary(UnaryOp::Trunc, Type::I32, value);
                self.unary(UnaryOp::Sext, ty, low)
            }
            _ => {
                let count = i64::from(ty.bits() - bits);
                let high = self.binary_const(BinaryOp::Shl, value, count);
                self.binary_const(BinaryOp::ShrS, high, count)
            }
        }
    }

    /// The value in another integer type: the low half, or unspecified bits above.
    pub fn resize(&mut self, value: Value, ty: Type) -> Value {
        match (self.ty(value), ty) {
            (Type::I64, Type::I32) => self.unary(UnaryOp::Trunc, ty, value),
            (Type::I32, Type::I64) => self.unary(UnaryOp::Zext, ty, value),
            _ => value,
        }
    }
}

fn is_commutative(op: BinaryOp) -> bool {
    use BinaryOp::{Add, And, MaxS, MaxU, MinS, MinU, Mul, MulhS, MulhU, Or, Xor};
    matches!(op, Add | And | MaxS | MaxU | MinS | MinU | Mul | MulhS | MulhU | Or | Xor)
}

/// `bits` as a constant of type `ty` stores them: 32-bit ones are sign-extended if integer, zero-extended if
/// float.
pub fn normalize(ty: Type, bits: i64) -> i64 {
    match ty {
        Type::I32 => i64::from(bits as i32),
        Type::F32 => bits & 0xffff_ffff,
        Type::I64 | Type::F64 => bits,
    }
}

fn fold_unary(op: UnaryOp, bits: i64) -> Option<i64> {
    match op {
        UnaryOp::Sext8 => Some(i64::from(bits as i8)),
        UnaryOp::Sext16 => Some(i64::from(bits as i16)),
        UnaryOp::Sext | UnaryOp::Trunc => Some(i64::from(bits as i32)),
        UnaryOp::Zext => Some(i64::from(bits as u32)),
        _ => None,
    }
}

fn fold_binary(op: BinaryOp, ty: Type, a: i64, b: i64) -> Option<i64> {
    let unsigned = |x: i64| x.cast_unsigned() & (u64::MAX >> (64 - ty.bits()));
    let count = || u32::try_from(b).ok().filter(|&c| c < ty.bits());
    let bits = match op {
        BinaryOp::Add => a.wrapping_add(b),
        BinaryOp::Sub => a.wrapping_sub(b),
        BinaryOp::Mul => a.wrapping_mul(b),
        BinaryOp::And => a & b,
        BinaryOp::Or => a | b,
        BinaryOp::Xor => a ^ b,
        BinaryOp::Shl => a << count()?,
        BinaryOp::ShrU => (unsigned(a) >> count()?).cast_signed(),
        BinaryOp::ShrS => a >> count()?,
        BinaryOp::MinS => a.min(b),
        BinaryOp::MaxS => a.max(b),
        BinaryOp::MinU => unsigned(a).min(unsigned(b)).cast_signed(),
        BinaryOp::MaxU => unsigned(a).max(unsigned(b)).cast_signed(),
        _ => return None,
    };
    Some(normalize(ty, bits))
}

fn compare(cond: Cond, ty: Type, a: i64, b: i64) -> bool {
    let unsigned = |x: i64| x.cast_unsigned() & (u64::MAX >> (64 - ty.bits()));
    match cond {
        Cond::Eq => a == b,
        Cond::Ne => a != b,
        Cond::LtS => a < b,
        Cond::LeS => a <= b,
        Cond::GtS => a > b,
        Cond::GeS => a >= b,
        Cond::LtU => unsigned(a) < unsigned(b),
        Cond::LeU => unsigned(a) <= unsigned(b),
        Cond::GtU => unsigned(a) > unsigned(b),
        Cond::GeU => unsigned(a) >= unsigned(b),
    }
}
