//! Floating-point instructions, and the other instructions with two or three registers.

use core::cmp::Ordering;

use thumb_isa::value::float_imm_to_f64;
use thumb_isa::{Cond, Inst, Opcode as O, Reg};

use super::real::{self, Binary, Double, Real, Rounding, Single};
use super::{arithmetic, multiply};
use crate::cpu::Cpu;

/// The control bit of FPSCR for default NaNs.
const DN: u32 = 1 << 25;

/// A format of numbers with its registers.
trait Registers: Real {
    fn get(cpu: &Cpu, reg: Reg) -> Self;
    fn set(self, cpu: &mut Cpu, reg: Reg);
}

impl Registers for Single {
    fn get(cpu: &Cpu, reg: Reg) -> Self {
        Self(cpu.single(reg))
    }
    fn set(self, cpu: &mut Cpu, reg: Reg) {
        cpu.set_single(reg, self.0);
    }
}

impl Registers for Double {
    fn get(cpu: &Cpu, reg: Reg) -> Self {
        Self(cpu.double(reg))
    }
    fn set(self, cpu: &mut Cpu, reg: Reg) {
        cpu.set_double(reg, self.0);
    }
}

const fn dn(cpu: &Cpu) -> bool {
    cpu.fpscr & DN != 0
}

/// Comparisons with zero, and constants.
pub fn constant(cpu: &mut Cpu, inst: &Inst) {
    match *inst {
        Inst::FloatCmpZero { op: O::VcmpZeroF32 | O::VcmpeZeroF32, rd } => {
            compare(cpu, Single(cpu.single(rd)), Single(0));
        }
        Inst::FloatCmpZero { rd, .. } => compare(cpu, Double(cpu.double(rd)), Double(0)),
        Inst::FloatImm { op, rd, imm } => {
            let value = float_imm_to_f64(imm);
            if op == O::VmovImmF32 {
                cpu.set_single(rd, (value as f32).to_bits());
            } else {
                cpu.set_double(rd, value.to_bits());
            }
        }
        _ => unreachable!("{inst} is of another family"),
    }
}

fn compare<T: Real>(cpu: &mut Cpu, a: T, b: T) {
    let flags = match a.compared(b) {
        Some(Ordering::Less) => 8,
        Some(Ordering::Equal) => 6,
        Some(Ordering::Greater) => 2,
        None => 3,
    };
    cpu.fpscr = cpu.fpscr & 0x0fff_ffff | flags << 28;
}

/// Instructions with two registers.
pub fn two(cpu: &mut Cpu, op: O, rd: Reg, rm: Reg) {
    match op {
        O::VmovToSingle => cpu.set_single(rd, cpu.get(rm)),
        O::VmovFromSingle => cpu.set(rd, cpu.single(rm)),
        O::VcvtF64F32 => cpu.set_double(rd, widened(cpu.single(rm), dn(cpu))),
        O::VcvtF32F64 => cpu.set_single(rd, narrowed(cpu.double(rm), dn(cpu))),
        O::VcvtF32S32 => cpu.set_single(rd, (cpu.single(rm) as i32 as f32).to_bits()),
        O::VcvtF32U32 => cpu.set_single(rd, (cpu.single(rm) as f32).to_bits()),
        O::VcvtF64S32 => cpu.set_double(rd, f64::from(cpu.single(rm) as i32).to_bits()),
        O::VcvtF64U32 => cpu.set_double(rd, f64::from(cpu.single(rm)).to_bits()),
        _ if is_integer_result(cpu, op, rd, rm) => {}
        _ => match element(op) {
            Some((Element::Single, op)) => one::<Single>(cpu, op, rd, rm),
            Some((Element::Double, op)) => one::<Double>(cpu, op, rd, rm),
            None => {
                let is_plain = arithmetic::write_plain(cpu, op, rd, 0, cpu.get(rm));
                assert!(is_plain, "{op:?} has an effect");
            }
        },
    }
}

/// The format of an operation that exists for both.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Element {
    Single,
    Double,
}

/// An operation on one number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum One {
    Move,
    Abs,
    Neg,
    Sqrt,
    Compare,
    Round(Rounding),
}

const fn element(op: O) -> Option<(Element, One)> {
    use Element::{Double, Single};
    Some(match op {
        O::VmovF32 => (Single, One::Move),
        O::VmovF64 => (Double, One::Move),
        O::VabsF32 => (Single, One::Abs),
        O::VabsF64 => (Double, One::Abs),
        O::VnegF32 => (Single, One::Neg),
        O::VnegF64 => (Double, One::Neg),
        O::VsqrtF32 => (Single, One::Sqrt),
        O::VsqrtF64 => (Double, One::Sqrt),
        O::VcmpF32 | O::VcmpeF32 => (Single, One::Compare),
        O::VcmpF64 | O::VcmpeF64 => (Double, One::Compare),
        O::VrintrF32 | O::VrintxF32 | O::VrintnF32 => (Single, One::Round(Rounding::Nearest)),
        O::VrintrF64 | O::VrintxF64 | O::VrintnF64 => (Double, One::Round(Rounding::Nearest)),
        O::VrintzF32 => (Single, One::Round(Rounding::Zero)),
        O::VrintzF64 => (Double, One::Round(Rounding::Zero)),
        O::VrintaF32 => (Single, One::Round(Rounding::Away)),
        O::VrintaF64 => (Double, One::Round(Rounding::Away)),
        O::VrintpF32 => (Single, One::Round(Rounding::Up)),
        O::VrintpF64 => (Double, One::Round(Rounding::Up)),
        O::VrintmF32 => (Single, One::Round(Rounding::Down)),
        O::VrintmF64 => (Double, One::Round(Rounding::Down)),
        _ => return None,
    })
}

fn one<T: Registers>(cpu: &mut Cpu, op: One, rd: Reg, rm: Reg) {
    let value = T::get(cpu, rm);
    let result = match op {
        One::Move => value,
        One::Abs => value.magnitude(),
        One::Neg => value.negated(),
        One::Sqrt => real::root(value, dn(cpu)),
        One::Round(rounding) => real::rounded(value, rounding, dn(cpu)),
        One::Compare => return compare(cpu, T::get(cpu, rd), value),
    };
    result.set(cpu, rd);
}

/// A single as a double. The payload of a NaN is kept.
fn widened(bits: u32, dn: bool) -> u64 {
    match Single(bits) {
        value if !value.is_nan() => f64::from(value.value()).to_bits(),
        _ if dn => Double::DEFAULT.0,
        _ => {
            let sign = u64::from(bits >> 31) << 63;
            let payload = u64::from(bits & 0x007f_ffff) << 29;
            Double(sign | 0x7ff0_0000_0000_0000 | payload).quieted().0
        }
    }
}

/// A double as a single. The upper bits of the payload of a NaN are kept.
fn narrowed(bits: u64, dn: bool) -> u32 {
    match Double(bits) {
        value if !value.is_nan() => (value.value() as f32).to_bits(),
        _ if dn => Single::DEFAULT.0,
        _ => {
            let sign = (bits >> 63) as u32 * 0x8000_0000;
            let payload = (bits >> 29) as u32 & 0x007f_ffff;
            Single(sign | 0x7f80_0000 | payload).quieted().0
        }
    }
}

/// Conversions to integers. Those out of range saturate, NaNs give 0, as in Rust.
fn is_integer_result(cpu: &mut Cpu, op: O, rd: Reg, rm: Reg) -> bool {
    let Some((element, rounding, is_signed)) = integer(op) else { return false };
    let value = match element {
        Element::Single => f64::from(Single(cpu.single(rm)).host_rounded(rounding).value()),
        Element::Double => Double(cpu.double(rm)).host_rounded(rounding).value(),
    };
    cpu.set_single(rd, if is_signed { value as i32 as u32 } else { value as u32 });
    true
}

const fn integer(op: O) -> Option<(Element, Rounding, bool)> {
    use Element::{Double, Single};
    Some(match op {
        O::VcvtS32F32 => (Single, Rounding::Zero, true),
        O::VcvtS32F64 => (Double, Rounding::Zero, true),
        O::VcvtU32F32 => (Single, Rounding::Zero, false),
        O::VcvtU32F64 => (Double, Rounding::Zero, false),
        O::VcvtrS32F32 | O::VcvtnS32F32 => (Single, Rounding::Nearest, true),
        O::VcvtrS32F64 | O::VcvtnS32F64 => (Double, Rounding::Nearest, true),
        O::VcvtrU32F32 | O::VcvtnU32F32 => (Single, Rounding::Nearest, false),
        O::VcvtrU32F64 | O::VcvtnU32F64 => (Double, Rounding::Nearest, false),
        O::VcvtaS32F32 => (Single, Rounding::Away, true),
        O::VcvtaS32F64 => (Double, Rounding::Away, true),
        O::VcvtaU32F32 => (Single, Rounding::Away, false),
        O::VcvtaU32F64 => (Double, Rounding::Away, false),
        O::VcvtpS32F32 => (Single, Rounding::Up, true),
        O::VcvtpS32F64 => (Double, Rounding::Up, true),
        O::VcvtpU32F32 => (Single, Rounding::Up, false),
        O::VcvtpU32F64 => (Double, Rounding::Up, false),
        O::VcvtmS32F32 => (Single, Rounding::Down, true),
        O::VcvtmS32F64 => (Double, Rounding::Down, true),
        O::VcvtmU32F32 => (Single, Rounding::Down, false),
        O::VcvtmU32F64 => (Double, Rounding::Down, false),
        _ => return None,
    })
}

/// Instructions with three registers.
pub fn three(cpu: &mut Cpu, op: O, rd: Reg, rn: Reg, rm: Reg) {
    match op {
        O::VmovToDouble => {
            let bits = u64::from(cpu.get(rm)) << 32 | u64::from(cpu.get(rn));
            cpu.set_double(rd, bits);
        }
        O::VmovFromDouble => {
            let bits = cpu.double(rm);
            cpu.set(rd, bits as u32);
            cpu.set(rn, (bits >> 32) as u32);
        }
        _ => match pair(op) {
            Some((Element::Single, op)) => float_three::<Single>(cpu, op, rd, rn, rm),
            Some((Element::Double, op)) => float_three::<Double>(cpu, op, rd, rn, rm),
            None => {
                let (a, b) = (cpu.get(rn), cpu.get(rm));
                if !arithmetic::write_plain(cpu, op, rd, a, b) {
                    let value = multiply::of_two(cpu, op, a, b).expect("every opcode has an effect");
                    cpu.set(rd, value);
                }
            }
        },
    }
}

/// An operation on two numbers, and perhaps the destination.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Three {
    Plain(Binary),
    /// The negated product.
    NegMul,
    /// The destination, negated if the first flag is set, plus the rounded product, negated if the second is.
    Chained(bool, bool),
    /// The same, rounded once.
    Fused(bool, bool),
    Extreme(Ordering),
    Select(Cond),
}

const fn pair(op: O) -> Option<(Element, Three)> {
    use Element::{Double, Single};
    Some(match op {
        O::VaddF32 => (Single, Three::Plain(Binary::Add)),
        O::VaddF64 => (Double, Three::Plain(Binary::Add)),
        O::VsubF32 => (Single, Three::Plain(Binary::Sub)),
        O::VsubF64 => (Double, Three::Plain(Binary::Sub)),
        O::VmulF32 => (Single, Three::Plain(Binary::Mul)),
        O::VmulF64 => (Double, Three::Plain(Binary::Mul)),
        O::VdivF32 => (Single, Three::Plain(Binary::Div)),
        O::VdivF64 => (Double, Three::Plain(Binary::Div)),
        O::VnmulF32 => (Single, Three::NegMul),
        O::VnmulF64 => (Double, Three::NegMul),
        O::VmaxnmF32 => (Single, Three::Extreme(Ordering::Greater)),
        O::VmaxnmF64 => (Double, Three::Extreme(Ordering::Greater)),
        O::VminnmF32 => (Single, Three::Extreme(Ordering::Less)),
        O::VminnmF64 => (Double, Three::Extreme(Ordering::Less)),
        O::VseleqF32 => (Single, Three::Select(Cond::Eq)),
        O::VseleqF64 => (Double, Three::Select(Cond::Eq)),
        O::VselvsF32 => (Single, Three::Select(Cond::Vs)),
        O::VselvsF64 => (Double, Three::Select(Cond::Vs)),
        O::VselgeF32 => (Single, Three::Select(Cond::Ge)),
        O::VselgeF64 => (Double, Three::Select(Cond::Ge)),
        O::VselgtF32 => (Single, Three::Select(Cond::Gt)),
        O::VselgtF64 => (Double, Three::Select(Cond::Gt)),
        _ => return accumulating(op),
    })
}

const fn accumulating(op: O) -> Option<(Element, Three)> {
    use Element::{Double, Single};
    Some(match op {
        O::VmlaF32 => (Single, Three::Chained(false, false)),
        O::VmlaF64 => (Double, Three::Chained(false, false)),
        O::VmlsF32 => (Single, Three::Chained(false, true)),
        O::VmlsF64 => (Double, Three::Chained(false, true)),
        O::VnmlsF32 => (Single, Three::Chained(true, false)),
        O::VnmlsF64 => (Double, Three::Chained(true, false)),
        O::VnmlaF32 => (Single, Three::Chained(true, true)),
        O::VnmlaF64 => (Double, Three::Chained(true, true)),
        O::VfmaF32 => (Single, Three::Fused(false, false)),
        O::VfmaF64 => (Double, Three::Fused(false, false)),
        O::VfmsF32 => (Single, Three::Fused(false, true)),
        O::VfmsF64 => (Double, Three::Fused(false, true)),
        O::VfnmsF32 => (Single, Three::Fused(true, false)),
        O::VfnmsF64 => (Double, Three::Fused(true, false)),
        O::VfnmaF32 => (Single, Three::Fused(true, true)),
        O::VfnmaF64 => (Double, Three::Fused(true, true)),
        _ => return None,
    })
}

fn float_three<T: Registers>(cpu: &mut Cpu, op: Three, rd: Reg, rn: Reg, rm: Reg) {
    let (a, b, dn) = (T::get(cpu, rn), T::get(cpu, rm), dn(cpu));
    let negated = |value: T, is_negated: bool| if is_negated { value.negated() } else { value };
    let result = match op {
        Three::Plain(op) => real::binary(op, a, b, dn),
        Three::NegMul => real::binary(Binary::Mul, a, b, dn).negated(),
        Three::Chained(first, second) => {
            let product = negated(real::binary(Binary::Mul, a, b, dn), second);
            real::binary(Binary::Add, negated(T::get(cpu, rd), first), product, dn)
        }
        Three::Fused(first, second) => {
            real::fused(negated(T::get(cpu, rd), first), negated(a, second), b, dn)
        }
        Three::Extreme(wanted) => real::extreme(a, b, wanted, dn),
        Three::Select(cond) => match cpu.status.holds(cond) {
            true => a,
            false => b,
        },
    };
    result.set(cpu, rd);
}
