//! Comparisons: as booleans, as conditions of branches, and as tests for conditional moves.
//!
//! The machine compares whole registers. Two sign-extended `i32` compare correctly in signed and in unsigned order, and
//! immediates are sign-extended, too. Zero extension of both suffices for equality and unsigned order.
//!
//! Only "less" and "greater" have instructions with a boolean result. Equality becomes an exclusive or, and "at most c"
//! becomes "less than c + 1". Otherwise two registers are exchanged or the result is flipped.

use codegen::VReg;
use pvm_isa::Opcode;
use ssa::{BinaryOp, Cond, InstData, Type, Value};

use super::{Cx, any, binary_temp, constant, immediate, sext, temp, unary_imm};
use crate::isa::Inst;

/// A comparison of two values of a type, with a constant on the right if there is one.
#[derive(Clone, Copy)]
pub struct Comparison {
    cond: Cond,
    ty: Type,
    a: Value,
    b: Value,
}

impl Comparison {
    /// A comparison with a constant that fits no immediate may depend on the high bits alone. Then the shifted value is
    /// compared with a shifted constant that fits.
    fn of_high_bits(self, cx: &Cx<'_>) -> Option<HighBits> {
        let constant = constant(cx, self.b).filter(|_| self.ty == Type::I64)?;
        match self.cond {
            Cond::Eq | Cond::Ne => {
                let (masked, mask) = masked(cx, self.a).filter(|&(_, mask)| i32::try_from(mask).is_err())?;
                let count = mask.trailing_zeros();
                let is_high_mask = mask >> count == -1;
                let is_high = constant.trailing_zeros() >= count;
                let imm = i32::try_from((constant as u64 >> count) as i64).ok()?;
                (is_high_mask && is_high).then_some(HighBits { value: masked, count, cond: self.cond, imm })
            }
            Cond::LtU if constant > i64::from(i32::MAX) && constant.count_ones() == 1 => {
                let count = constant.trailing_zeros();
                Some(HighBits { value: self.a, count, cond: Cond::Eq, imm: 0 })
            }
            Cond::GtU if constant > i64::from(i32::MAX) && (constant as u64 + 1).is_power_of_two() => {
                let count = constant.trailing_ones();
                Some(HighBits { value: self.a, count, cond: Cond::Ne, imm: 0 })
            }
            _ => None,
        }
    }

    fn new(cx: &Cx<'_>, cond: Cond, ty: Type, [a, b]: [Value; 2]) -> Self {
        match constant(cx, a).is_some() && constant(cx, b).is_none() {
            true => Self { cond: cond.swapped(), ty, a: b, b: a },
            false => Self { cond, ty, a, b },
        }
    }

    /// The opposite comparison.
    fn inverse(self) -> Self {
        Self { cond: self.cond.inverse(), ..self }
    }

    const fn is_signed(self) -> bool {
        matches!(self.cond, Cond::LtS | Cond::LeS | Cond::GtS | Cond::GeS)
    }

    /// The left operand for a comparison with an immediate.
    fn left(self, cx: &mut Cx<'_>, imm: i32) -> VReg {
        let is_zext = self.ty == Type::I32 && !self.is_signed() && cx.facts.is_zext(self.a);
        // The immediate and its neighbours must be the same number in both forms.
        match is_zext && (0..i32::MAX).contains(&imm) {
            true => any(cx, self.a),
            false => sext(cx, self.a),
        }
    }

    /// Both operands in comparable forms.
    fn both(self, cx: &mut Cx<'_>) -> (VReg, VReg) {
        let both_zext = cx.facts.is_zext(self.a) && cx.facts.is_zext(self.b);
        let both_sext = cx.facts.is_sext(self.a) && cx.facts.is_sext(self.b);
        match self.ty == Type::I64 || both_sext || both_zext && !self.is_signed() {
            true => (any(cx, self.a), any(cx, self.b)),
            false => (sext(cx, self.a), sext(cx, self.b)),
        }
    }
}

/// An equality comparison of the high bits of an `i64`, without its low `count` bits, with an immediate.
struct HighBits {
    value: Value,
    count: u32,
    cond: Cond,
    imm: i32,
}

impl HighBits {
    /// A register that holds the high bits.
    fn shifted(&self, cx: &mut Cx<'_>) -> VReg {
        let src = any(cx, self.value);
        unary_imm(cx, Opcode::ShloRImm64, src, self.count as i32)
    }

    /// A register that is zero exactly when the high bits equal the immediate.
    fn difference(&self, cx: &mut Cx<'_>) -> VReg {
        let shifted = self.shifted(cx);
        if self.imm == 0 { shifted } else { unary_imm(cx, Opcode::XorImm, shifted, self.imm) }
    }
}

/// The operands of a bitwise and with a constant.
fn masked(cx: &Cx<'_>, value: Value) -> Option<(Value, i64)> {
    match *cx.pure_def(value)? {
        InstData::Binary { op: BinaryOp::And, args: [masked, mask], .. } => {
            Some((masked, constant(cx, mask)?))
        }
        _ => None,
    }
}

/// Selects a comparison whose result is needed in a register.
pub fn boolean(cx: &mut Cx<'_>, result: Value, cond: Cond, ty: Type, args: [Value; 2]) {
    let comparison = Comparison::new(cx, cond, ty, args);
    let dst = cx.def_reg(result);
    set(cx, comparison, dst);
}

/// Appends instructions that set `dst` to 1 or 0.
fn set(cx: &mut Cx<'_>, comparison: Comparison, dst: VReg) {
    if let Some(high) = comparison.of_high_bits(cx) {
        let difference = high.difference(cx);
        return set_zero(cx, high.cond, dst, difference);
    }
    let Some(imm) = immediate(cx, comparison.b) else { return set_by_registers(cx, comparison, dst) };
    if comparison.cond == Cond::LtS && imm == 0 {
        return set_sign(cx, comparison, dst);
    }
    let src = comparison.left(cx, imm);
    match comparison.cond {
        Cond::Eq | Cond::Ne => {
            let src = if imm == 0 { src } else { unary_imm(cx, Opcode::XorImm, src, imm) };
            set_zero(cx, comparison.cond, dst, src);
        }
        _ => {
            let (op, imm, flip) = set_order(comparison.cond, comparison.ty, imm);
            flipped(cx, flip, dst, |cx, dst| cx.emit(Inst::BinaryImm { op, dst, src, imm }));
        }
    }
}

/// `dst = src == 0` or `dst = src != 0`.
fn set_zero(cx: &mut Cx<'_>, cond: Cond, dst: VReg, src: VReg) {
    let (op, imm) = if cond == Cond::Eq { (Opcode::SetLtUImm, 1) } else { (Opcode::SetGtUImm, 0) };
    cx.emit(Inst::BinaryImm { op, dst, src, imm });
}

/// `a < 0` is the sign bit.
fn set_sign(cx: &mut Cx<'_>, comparison: Comparison, dst: VReg) {
    let src = any(cx, comparison.a);
    let (op, imm) = match comparison.ty == Type::I64 || cx.facts.is_sext(comparison.a) {
        true => (Opcode::ShloRImm64, 63),
        false => (Opcode::ShloRImm32, 31),
    };
    cx.emit(Inst::BinaryImm { op, dst, src, imm });
}

/// Opcode and immediate of an ordered comparison, and whether the result must be flipped.
fn set_order(cond: Cond, ty: Type, imm: i32) -> (Opcode, i32, bool) {
    let above = match ty {
        Type::I32 => Some(imm.wrapping_add(1)),
        _ => imm.checked_add(1),
    };
    let below = match ty {
        Type::I32 => Some(imm.wrapping_sub(1)),
        _ => imm.checked_sub(1),
    };
    let (less, greater, limit) = match cond {
        Cond::LtU | Cond::LeU => (Opcode::SetLtUImm, Opcode::SetGtUImm, -1),
        Cond::GtU | Cond::GeU => (Opcode::SetLtUImm, Opcode::SetGtUImm, 0),
        Cond::LtS | Cond::LeS => (Opcode::SetLtSImm, Opcode::SetGtSImm, i32::MAX),
        _ => (Opcode::SetLtSImm, Opcode::SetGtSImm, i32::MIN),
    };
    match cond {
        Cond::LtU | Cond::LtS => (less, imm, false),
        Cond::GtU | Cond::GtS => (greater, imm, false),
        Cond::LeU | Cond::LeS => match above.filter(|_| imm != limit) {
            Some(above) => (less, above, false),
            None => (greater, imm, true),
        },
        Cond::GeU | Cond::GeS => match below.filter(|_| imm != limit) {
            Some(below) => (greater, below, false),
            None => (less, imm, true),
        },
        Cond::Eq | Cond::Ne => panic!("equality is no order"),
    }
}

/// Computes a boolean with `emit` into `dst`, flipped if `flip` is set.
fn flipped(cx: &mut Cx<'_>, flip: bool, dst: VReg, emit: impl FnOnce(&mut Cx<'_>, VReg)) {
    if flip {
        let opposite = temp(cx);
        emit(cx, opposite);
        cx.emit(Inst::BinaryImm { op: Opcode::XorImm, dst, src: opposite, imm: 1 });
    } else {
        emit(cx, dst);
    }
}

fn set_by_registers(cx: &mut Cx<'_>, comparison: Comparison, dst: VReg) {
    let (a, b) = comparison.both(cx);
    if matches!(comparison.cond, Cond::Eq | Cond::Ne) {
        let difference = binary_temp(cx, Opcode::Xor, a, b);
        return set_zero(cx, comparison.cond, dst, difference);
    }
    let op = if comparison.is_signed() { Opcode::SetLtS } else { Opcode::SetLtU };
    let (a, b, flip) = match comparison.cond {
        Cond::LtS | Cond::LtU => (a, b, false),
        Cond::GtS | Cond::GtU => (b, a, false),
        Cond::GeS | Cond::GeU => (a, b, true),
        _ => (b, a, true),
    };
    flipped(cx, flip, dst, |cx, dst| cx.emit(Inst::Binary { op, dst, a, b }));
}

/// A condition without its negations, and whether it is negated.
fn positive(cx: &Cx<'_>, mut cond: Value) -> (Value, bool) {
    let mut negated = false;
    while let Some(&InstData::Binary { op: BinaryOp::Xor, args: [inner, one], .. }) = cx.pure_def(cond)
        && constant(cx, one) == Some(1)
        && cx.facts.known(inner).unsigned <= 1
    {
        cond = inner;
        negated = !negated;
    }
    (cond, negated)
}

/// The comparison that computes a condition, if it is repeated where the condition is used.
fn folded(cx: &Cx<'_>, cond: Value) -> Option<Comparison> {
    match *cx.pure_def(cond)? {
        InstData::Icmp { cond: relation, ty, args } => {
            let comparison = Comparison::new(cx, relation, ty, args);
            (cx.has_one_use(cond) || constant(cx, comparison.b).is_some()).then_some(comparison)
        }
        _ => None,
    }
}

/// The branch instruction that is taken when `cond` is 1.
pub fn branch(cx: &mut Cx<'_>, cond: Value) -> Inst<VReg> {
    let (cond, negated) = positive(cx, cond);
    match folded(cx, cond) {
        Some(comparison) if negated => branch_if(cx, comparison.inverse()),
        Some(comparison) => branch_if(cx, comparison),
        None => {
            let op = if negated { Opcode::BranchEqImm } else { Opcode::BranchNeImm };
            Inst::BranchImm { op, src: sext(cx, cond), imm: 0 }
        }
    }
}

fn branch_if(cx: &mut Cx<'_>, comparison: Comparison) -> Inst<VReg> {
    if let Some(high) = comparison.of_high_bits(cx) {
        let op = if high.cond == Cond::Eq { Opcode::BranchEqImm } else { Opcode::BranchNeImm };
        return Inst::BranchImm { op, src: high.shifted(cx), imm: high.imm };
    }
    if let Some(imm) = immediate(cx, comparison.b) {
        let op = match comparison.cond {
            Cond::Eq => Opcode::BranchEqImm,
            Cond::Ne => Opcode::BranchNeImm,
            Cond::LtS => Opcode::BranchLtSImm,
            Cond::LeS => Opcode::BranchLeSImm,
            Cond::GtS => Opcode::BranchGtSImm,
            Cond::GeS => Opcode::BranchGeSImm,
            Cond::LtU => Opcode::BranchLtUImm,
            Cond::LeU => Opcode::BranchLeUImm,
            Cond::GtU => Opcode::BranchGtUImm,
            Cond::GeU => Opcode::BranchGeUImm,
        };
        return Inst::BranchImm { op, src: comparison.left(cx, imm), imm };
    }
    let (a, b) = comparison.both(cx);
    let (op, a, b) = match comparison.cond {
        Cond::Eq => (Opcode::BranchEq, a, b),
        Cond::Ne => (Opcode::BranchNe, a, b),
        Cond::LtS => (Opcode::BranchLtS, a, b),
        Cond::LeS => (Opcode::BranchGeS, b, a),
        Cond::GtS => (Opcode::BranchLtS, b, a),
        Cond::GeS => (Opcode::BranchGeS, a, b),
        Cond::LtU => (Opcode::BranchLtU, a, b),
        Cond::LeU => (Opcode::BranchGeU, b, a),
        Cond::GtU => (Opcode::BranchLtU, b, a),
        Cond::GeU => (Opcode::BranchGeU, a, b),
    };
    Inst::Branch { op, a, b }
}

/// A register that decides a condition by being zero or not.
#[derive(Clone, Copy)]
pub struct ZeroTest {
    /// The register.
    pub reg: VReg,
    /// Whether the condition holds when the register is zero; otherwise it holds when the register is not.
    pub holds_if_zero: bool,
}

/// A register that tells whether `cond` is 1, in the form that conditional moves test.
pub fn zero_test(cx: &mut Cx<'_>, cond: Value) -> ZeroTest {
    let (cond, negated) = positive(cx, cond);
    let Some(comparison) = folded(cx, cond).filter(|_| cx.has_one_use(cond)) else {
        return ZeroTest { reg: sext(cx, cond), holds_if_zero: negated };
    };
    if let Some(high) = comparison.of_high_bits(cx) {
        return ZeroTest { reg: high.difference(cx), holds_if_zero: (high.cond == Cond::Eq) != negated };
    }
    let (reg, holds_if_zero) = match comparison.cond {
        Cond::Eq | Cond::Ne => (difference(cx, comparison), comparison.cond == Cond::Eq),
        Cond::LeS | Cond::LeU | Cond::GeS | Cond::GeU => (ordered(cx, comparison.inverse()), true),
        _ => (ordered(cx, comparison), false),
    };
    ZeroTest { reg, holds_if_zero: holds_if_zero != negated }
}

fn ordered(cx: &mut Cx<'_>, comparison: Comparison) -> VReg {
    let dst = temp(cx);
    set(cx, comparison, dst);
    dst
}

/// A register that is zero exactly when the operands are equal.
fn difference(cx: &mut Cx<'_>, comparison: Comparison) -> VReg {
    match immediate(cx, comparison.b) {
        Some(0) => comparison.left(cx, 0),
        Some(imm) => {
            let src = comparison.left(cx, imm);
            unary_imm(cx, Opcode::XorImm, src, imm)
        }
        None => {
            let (a, b) = comparison.both(cx);
            binary_temp(cx, Opcode::Xor, a, b)
        }
    }
}
