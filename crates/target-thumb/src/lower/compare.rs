//! Comparisons as tests.
//!
//! A comparison whose result only decides a branch or a select is never computed as a number: its user contains it as a
//! [`Test`]. It is repeated for every user, because the flags are not preserved between users anyway.

use codegen::VReg;
use ssa::{BinaryOp, Cond as SsaCond, InstData, Type, Value};
use thumb_isa::{Cond, Opcode, Shift};

use super::{Cx, WordSource, arith, float, halves, reg, source, src, word};
use crate::isa::condition::{Compare, Test};
use crate::isa::immediate::{fits_carry, fits_compare, is_modified};

/// The machine's name of a condition.
const fn machine_cond(cond: SsaCond) -> Cond {
    match cond {
        SsaCond::Eq => Cond::Eq,
        SsaCond::Ne => Cond::Ne,
        SsaCond::LtS => Cond::Lt,
        SsaCond::LeS => Cond::Le,
        SsaCond::GtS => Cond::Gt,
        SsaCond::GeS => Cond::Ge,
        SsaCond::LtU => Cond::Lo,
        SsaCond::LeU => Cond::Ls,
        SsaCond::GtU => Cond::Hi,
        SsaCond::GeU => Cond::Hs,
    }
}

/// A test that holds when `cond`, which is 0 or 1, is 1.
pub fn test(cx: &mut Cx<'_>, cond: Value) -> Test<VReg> {
    match cx.pure_def(cond) {
        Some(&InstData::Icmp { cond, ty: Type::I32, args }) => words(cx, cond, args),
        Some(&InstData::Icmp { cond, args, .. }) => pairs(cx, cond, args),
        Some(&InstData::Fcmp { cond, ty, args }) => float::test(cx, cond, ty, args),
        Some(&InstData::Binary { op: BinaryOp::Xor, args: [inner, one], .. })
            if source(cx, one) == WordSource::Imm(1) && is_boolean(cx, inner) =>
        {
            test(cx, inner).invert()
        }
        Some(&InstData::Binary { op: op @ (BinaryOp::And | BinaryOp::Or), args, .. })
            if cx.has_one_use(cond) =>
        {
            chain(cx, op, args).unwrap_or_else(|| against_zero(cx, cond, Cond::Ne))
        }
        _ => against_zero(cx, cond, Cond::Ne),
    }
}

/// A conjunction or disjunction of two comparisons of words. The second is executed only if the first doesn't decide;
/// the flags of the last one executed then give the result.
pub fn chain(cx: &mut Cx<'_>, op: BinaryOp, args: [Value; 2]) -> Option<Test<VReg>> {
    let is_word = |value: Value| {
        let is_comparison = matches!(cx.pure_def(value), Some(InstData::Icmp { ty: Type::I32, .. }));
        is_comparison && cx.has_one_use(value)
    };
    if !args.into_iter().all(is_word) {
        return None;
    }
    // The conditions are known only after the tests are made. If the chain is not possible, the tests have requested no
    // more registers than the comparisons as numbers would.
    let tests = args.map(|arg| test(cx, arg));
    for [first, second] in [tests, [tests[1], tests[0]]] {
        let (Compare::Word(one), Compare::Word(two)) = (first.compare, second.compare) else { return None };
        let subtracts = one.subtracts();
        let (run, decides) = match op {
            BinaryOp::And => (first.cond, implies(second.cond, first.cond, subtracts)),
            _ => (first.cond.invert(), implies(first.cond, second.cond, subtracts)),
        };
        if decides {
            return Some(Test {
                cond: second.cond,
                compare: Compare::Chain { first: one, run, second: two },
            });
        }
    }
    None
}

/// Whether flags with one condition always satisfy another. For flags of a bitwise operation instead of a subtraction,
/// carry and overflow are undefined.
fn implies(condition: Cond, other: Cond, subtracts: bool) -> bool {
    let weaker: &[Cond] = match condition {
        Cond::Eq if subtracts => &[Cond::Hs, Cond::Ls, Cond::Ge, Cond::Le],
        Cond::Eq => &[Cond::Ls, Cond::Le],
        Cond::Hi if subtracts => &[Cond::Ne, Cond::Hs],
        Cond::Lo if subtracts => &[Cond::Ne, Cond::Ls],
        Cond::Gt if subtracts => &[Cond::Ne, Cond::Ge],
        Cond::Lt if subtracts => &[Cond::Ne, Cond::Le],
        Cond::Hi | Cond::Gt => &[Cond::Ne],
        _ => &[],
    };
    condition == other || weaker.contains(&other)
}

/// Whether a value is known to be 0 or 1.
pub fn is_boolean(cx: &Cx<'_>, value: Value) -> bool {
    is_boolean_at(cx, value, 0)
}

fn is_boolean_at(cx: &Cx<'_>, value: Value, depth: u32) -> bool {
    let Some(def) = cx.def(value).filter(|_| depth < super::DEPTH) else { return false };
    let is_bit = |value: Value| matches!(source(cx, value), WordSource::Imm(0 | 1));
    match *def {
        InstData::Icmp { .. } | InstData::Fcmp { .. } => true,
        InstData::Binary { op: BinaryOp::And, args: [_, mask], .. } if is_bit(mask) => true,
        InstData::Binary { op: BinaryOp::And | BinaryOp::Or | BinaryOp::Xor, args, .. } => {
            args.into_iter().all(|arg| is_bit(arg) || is_boolean_at(cx, arg, depth + 1))
        }
        _ => false,
    }
}

/// A comparison of a register with a constant that may not fit an instruction.
pub fn with_constant(cx: &mut Cx<'_>, a: VReg, imm: u32) -> Compare<VReg> {
    let negated = imm.wrapping_neg();
    if imm <= 0xff || is_modified(imm) && negated > 0xff {
        Compare::imm(Opcode::CmpImm, a, imm)
    } else if is_modified(negated) {
        // Adding the negation may become a short addition.
        Compare::imm(Opcode::CmnImm, a, negated)
    } else {
        let b = super::constant(cx, imm);
        Compare::regs(Opcode::CmpReg, a, b, Shift::NONE)
    }
}

/// The test of two words.
fn words(cx: &mut Cx<'_>, cond: SsaCond, [a, b]: [Value; 2]) -> Test<VReg> {
    let (left, right) = (source(cx, a), source(cx, b));
    if left.imm().is_some() && right.imm().is_none() {
        return words(cx, cond.swapped(), [b, a]);
    }
    if let WordSource::Imm(imm) = right {
        return word_with_constant(cx, cond, a, imm);
    }
    let cond_code = machine_cond(cond);
    if let Some((arg, shift)) = arith::shifted(cx, b) {
        let (a, b) = (word(cx, a), word(cx, arg));
        return Test { cond: cond_code, compare: Compare::regs(Opcode::CmpReg, a, b, shift) };
    }
    if let Some((arg, shift)) = arith::shifted(cx, a) {
        let (a, b) = (word(cx, b), word(cx, arg));
        let compare = Compare::regs(Opcode::CmpReg, a, b, shift);
        return Test { cond: machine_cond(cond.swapped()), compare };
    }
    let (a, b) = (reg(cx, left), reg(cx, right));
    Test { cond: cond_code, compare: Compare::regs(Opcode::CmpReg, a, b, Shift::NONE) }
}

fn word_with_constant(cx: &mut Cx<'_>, cond: SsaCond, a: Value, imm: u32) -> Test<VReg> {
    let (cond, imm) = encodable(cond, imm);
    if imm == 0
        && let SsaCond::Eq | SsaCond::Ne = cond
    {
        return against_zero(cx, a, machine_cond(cond));
    }
    let cond = match (cond, imm) {
        // Depends on the sign alone.
        (SsaCond::LtS, 0) => Cond::Mi,
        (SsaCond::GeS, 0) => Cond::Pl,
        _ => machine_cond(cond),
    };
    let a = word(cx, a);
    Test { cond, compare: with_constant(cx, a, imm) }
}

/// The same comparison with a neighbouring constant, where an instruction encodes that better.
fn encodable(cond: SsaCond, imm: u32) -> (SsaCond, u32) {
    let is_short = |imm: u32| imm <= 0xff;
    let (down, up) = (imm.wrapping_sub(1), imm.wrapping_add(1));
    let neighbour = match cond {
        SsaCond::LtU if imm == 1 => return (SsaCond::Eq, 0),
        SsaCond::GeU if imm == 1 => return (SsaCond::Ne, 0),
        SsaCond::LeU if imm == 0 => return (SsaCond::Eq, 0),
        SsaCond::GtU if imm == 0 => return (SsaCond::Ne, 0),
        SsaCond::GtS if imm == u32::MAX => return (SsaCond::GeS, 0),
        SsaCond::LeS if imm == u32::MAX => return (SsaCond::LtS, 0),
        SsaCond::LtU if imm != 0 => (SsaCond::LeU, down),
        SsaCond::GeU if imm != 0 => (SsaCond::GtU, down),
        SsaCond::LeU if up != 0 => (SsaCond::LtU, up),
        SsaCond::GtU if up != 0 => (SsaCond::GeU, up),
        SsaCond::LtS if imm != 0x8000_0000 => (SsaCond::LeS, down),
        SsaCond::GeS if imm != 0x8000_0000 => (SsaCond::GtS, down),
        SsaCond::LeS if imm != 0x7fff_ffff => (SsaCond::LtS, up),
        SsaCond::GtS if imm != 0x7fff_ffff => (SsaCond::GeS, up),
        _ => return (cond, imm),
    };
    let better = !is_short(imm) && is_short(neighbour.1) || !fits_compare(imm) && fits_compare(neighbour.1);
    if better { neighbour } else { (cond, imm) }
}

/// The test whether a word is zero (`eq`) or not (`ne`); masks and differences are not computed into a register.
fn against_zero(cx: &mut Cx<'_>, value: Value, cond: Cond) -> Test<VReg> {
    let masked = super::single_use_binary(cx, value, BinaryOp::And);
    if let Some([a, b]) = masked {
        match source(cx, b) {
            WordSource::Imm(imm) if is_modified(imm) => {
                let a = word(cx, a);
                return Test { cond, compare: Compare::imm(Opcode::TstImm, a, imm) };
            }
            WordSource::Imm(_) => {}
            _ => {
                let (a, b, shift) = match arith::shifted(cx, b) {
                    Some((inner, shift)) => (word(cx, a), word(cx, inner), shift),
                    None => (word(cx, a), word(cx, b), Shift::NONE),
                };
                return Test { cond, compare: Compare::regs(Opcode::TstReg, a, b, shift) };
            }
        }
    }
    let a = word(cx, value);
    Test { cond, compare: Compare::imm(Opcode::CmpImm, a, 0) }
}

/// The test of two two-word values.
fn pairs(cx: &mut Cx<'_>, cond: SsaCond, [a, b]: [Value; 2]) -> Test<VReg> {
    let (left, right) = (halves(cx, a), halves(cx, b));
    if cx.constant(a).is_some() && cx.constant(b).is_none() {
        return pairs(cx, cond.swapped(), [b, a]);
    }
    let (cond, right) = match cx.constant(b) {
        Some(bits) => {
            let (cond, bits) = orderable(cond, bits);
            (cond, [WordSource::Imm(bits as u32), WordSource::Imm((bits >> 32) as u32)])
        }
        None => (cond, right),
    };
    match cond {
        SsaCond::LeS | SsaCond::GtS | SsaCond::LeU | SsaCond::GtU => {
            pair(cx, machine_cond(cond.swapped()), right, left)
        }
        _ => pair(cx, machine_cond(cond), left, right),
    }
}

/// A comparison with a constant as less or greater-or-equal, which subtraction decides.
fn orderable(cond: SsaCond, bits: i64) -> (SsaCond, i64) {
    match cond {
        SsaCond::LeS if bits != i64::MAX => (SsaCond::LtS, bits + 1),
        SsaCond::GtS if bits != i64::MAX => (SsaCond::GeS, bits + 1),
        SsaCond::LeU if bits == 0 => (SsaCond::Eq, 0),
        SsaCond::GtU if bits == 0 => (SsaCond::Ne, 0),
        SsaCond::LtU if bits == 1 => (SsaCond::Eq, 0),
        SsaCond::GeU if bits == 1 => (SsaCond::Ne, 0),
        SsaCond::LeU if bits != -1 => (SsaCond::LtU, bits.wrapping_add(1)),
        SsaCond::GtU if bits != -1 => (SsaCond::GeU, bits.wrapping_add(1)),
        _ => (cond, bits),
    }
}

/// The test `a cond b` for equality, `lo`, `hs`, `lt` and `ge`.
pub fn pair(cx: &mut Cx<'_>, cond: Cond, a: [WordSource; 2], b: [WordSource; 2]) -> Test<VReg> {
    match (cond, b) {
        (Cond::Eq | Cond::Ne, _) => return equality(cx, cond, a, b),
        // The sign is in the high word; subtracting a low word of zero does not borrow.
        (Cond::Lt | Cond::Ge | Cond::Lo | Cond::Hs, [WordSource::Imm(0), WordSource::Imm(imm)]) => {
            let high = reg(cx, a[1]);
            let cond = match (cond, imm) {
                (Cond::Lt, 0) => Cond::Mi,
                (Cond::Ge, 0) => Cond::Pl,
                _ => cond,
            };
            return Test { cond, compare: with_constant(cx, high, imm) };
        }
        (Cond::Lo | Cond::Hs, [low, WordSource::Imm(0)]) if a[1] == WordSource::Imm(0) => {
            let left = reg(cx, a[0]);
            let compare = match low {
                WordSource::Imm(imm) => with_constant(cx, left, imm),
                _ => {
                    let right = reg(cx, low);
                    Compare::regs(Opcode::CmpReg, left, right, Shift::NONE)
                }
            };
            return Test { cond, compare };
        }
        _ => {}
    }
    let a = a.map(|source| reg(cx, source));
    let b = [src(cx, b[0], fits_compare), src(cx, b[1], fits_carry)];
    Test { cond, compare: Compare::Pair { a, b } }
}

fn equality(cx: &mut Cx<'_>, cond: Cond, a: [WordSource; 2], b: [WordSource; 2]) -> Test<VReg> {
    // If both high (or low) words are the same constant, the others decide.
    for (which, other) in [(1, 0), (0, 1)] {
        if let (WordSource::Imm(x), WordSource::Imm(y)) = (a[which], b[which])
            && x == y
        {
            let left = reg(cx, a[other]);
            let compare = match b[other] {
                WordSource::Imm(imm) => with_constant(cx, left, imm),
                source => {
                    let right = reg(cx, source);
                    Compare::regs(Opcode::CmpReg, left, right, Shift::NONE)
                }
            };
            return Test { cond, compare };
        }
    }
    let a = a.map(|source| reg(cx, source));
    let compare = match b {
        [WordSource::Imm(0), WordSource::Imm(0)] => Compare::PairZero { a },
        _ => Compare::Pair { a, b: [src(cx, b[0], fits_compare), src(cx, b[1], fits_compare)] },
    };
    Test { cond, compare }
}
