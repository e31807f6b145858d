//! Arithmetic and logic on core registers.

use thumb_isa::{Inst, Opcode as O, Reg, Shift};

use super::shift;
use crate::cpu::Cpu;

/// `a + b + carry` with carry and overflow.
const fn add_with_carry(a: u32, b: u32, carry: bool) -> (u32, bool, bool) {
    let sum = a as u64 + b as u64 + carry as u64;
    let result = sum as u32;
    (result, sum >> 32 == 1, (a ^ result) & (b ^ result) & 0x8000_0000 != 0)
}

/// The carry after a modified constant: bit 31 of a rotated one, else as before. A constant of one byte or with equal
/// halves is not rotated.
const fn constant_carry(imm: u32, carry: bool) -> bool {
    if imm < 256 || imm >> 16 == imm & 0xffff { carry } else { imm >> 31 == 1 }
}

/// Executes an instruction of this family.
pub fn execute(cpu: &mut Cpu, inst: &Inst) {
    match *inst {
        Inst::AluImm { op, s, rd, rn, imm } => {
            let carry = constant_carry(imm, cpu.status.c);
            let value = binary(cpu, op, s, cpu.get(rn), imm, carry);
            cpu.set(rd, value);
        }
        Inst::AluReg { op, s, rd, rn, rm, shift } => {
            let (operand, carry) = shift::by_constant(cpu.get(rm), shift, cpu.status.c);
            let value = binary(cpu, op, s, cpu.get(rn), operand, carry);
            cpu.set(rd, value);
        }
        Inst::CmpImm { op, rn, imm } => {
            let carry = constant_carry(imm, cpu.status.c);
            binary(cpu, op, true, cpu.get(rn), imm, carry);
        }
        Inst::CmpReg { op, rn, rm, shift } => {
            let (operand, carry) = shift::by_constant(cpu.get(rm), shift, cpu.status.c);
            binary(cpu, op, true, cpu.get(rn), operand, carry);
        }
        Inst::AddPlain { op, rd, rn, imm } => {
            let imm = if op == O::Addw { imm } else { imm.wrapping_neg() };
            cpu.set(rd, cpu.get(rn).wrapping_add(imm));
        }
        Inst::Adr { rd, offset, .. } => {
            let base = cpu.pc().wrapping_add(4) & !3;
            cpu.set(rd, base.wrapping_add_signed(offset));
        }
        Inst::Reg3S { op: O::Mul, s, rd, rn, rm } => {
            let value = cpu.get(rn).wrapping_mul(cpu.get(rm));
            cpu.set(rd, value);
            if s {
                set_nz(cpu, value);
            }
        }
        _ => moves(cpu, inst),
    }
}

fn set_nz(cpu: &mut Cpu, value: u32) {
    cpu.status.n = value >> 31 == 1;
    cpu.status.z = value == 0;
}

/// The result of an operation on two operands; sets the flags if `s`. `carry` is that of the second operand.
#[inline]
fn binary(cpu: &mut Cpu, op: O, s: bool, a: u32, b: u32, carry: bool) -> u32 {
    let old = cpu.status.c;
    let logic = match op {
        O::AndImm | O::AndReg | O::TstImm | O::TstReg => a & b,
        O::BicImm | O::BicReg => a & !b,
        O::OrrImm | O::OrrReg => a | b,
        O::OrnImm | O::OrnReg => a | !b,
        O::EorImm | O::EorReg | O::TeqImm | O::TeqReg => a ^ b,
        _ => {
            let (value, c, v) = match op {
                O::AddImm | O::AddReg | O::CmnImm | O::CmnReg => add_with_carry(a, b, false),
                O::AdcImm | O::AdcReg => add_with_carry(a, b, old),
                O::SbcImm | O::SbcReg => add_with_carry(a, !b, old),
                O::RsbImm | O::RsbReg => add_with_carry(!a, b, true),
                // Subtractions and comparisons.
                _ => add_with_carry(a, !b, true),
            };
            if s {
                set_nz(cpu, value);
                cpu.status.c = c;
                cpu.status.v = v;
            }
            return value;
        }
    };
    if s {
        set_nz(cpu, logic);
        cpu.status.c = carry;
    }
    logic
}

/// Moves and shifts, which set N, Z and C.
fn moves(cpu: &mut Cpu, inst: &Inst) {
    let old = cpu.status.c;
    let (s, rd, (value, carry)) = match *inst {
        Inst::MovImm { op, s, rd, imm } => {
            let value = if op == O::MvnImm { !imm } else { imm };
            (s, rd, (value, constant_carry(imm, old)))
        }
        Inst::MovReg { op, s, rd, rm } => {
            let shift = if op == O::Rrx { Shift::Rrx } else { Shift::NONE };
            (s, rd, shift::by_constant(cpu.get(rm), shift, old))
        }
        Inst::MovShifted { s, rd, rm, shift, .. } => {
            let (value, carry) = shift::by_constant(cpu.get(rm), shift, old);
            (s, rd, (!value, carry))
        }
        Inst::ShiftImm { op, s, rd, rm, amount } => (s, rd, shifted(op, cpu.get(rm), amount, old)),
        Inst::Reg3S { op, s, rd, rn, rm } => (s, rd, shifted(op, cpu.get(rn), cpu.get(rm) & 0xff, old)),
        Inst::MovHalf { op, rd, imm } => {
            let value = if op == O::Movt { cpu.get(rd) & 0xffff | imm << 16 } else { imm };
            (false, rd, (value, old))
        }
        _ => return bits(cpu, inst),
    };
    cpu.set(rd, value);
    if s {
        set_nz(cpu, value);
        cpu.status.c = carry;
    }
}

fn shifted(op: O, value: u32, amount: u32, carry: bool) -> (u32, bool) {
    match op {
        O::LslImm | O::LslReg => shift::left(value, amount, carry),
        O::LsrImm | O::LsrReg => shift::right(value, amount, carry),
        O::AsrImm | O::AsrReg => shift::arithmetic(value, amount, carry),
        _ => shift::rotate(value, amount, carry),
    }
}

/// Bit fields, extensions and saturation.
fn bits(cpu: &mut Cpu, inst: &Inst) {
    match *inst {
        Inst::Extend { op, rd, rm, rotation } => {
            cpu.set(rd, extended(op, cpu.get(rm), rotation));
        }
        Inst::ExtendAdd { op, rd, rn, rm, rotation } => {
            let (a, b) = (cpu.get(rn), extended(op, cpu.get(rm), rotation));
            let value = if matches!(op, O::Sxtab16 | O::Uxtab16) {
                (a & 0xffff).wrapping_add(b) & 0xffff | (a >> 16).wrapping_add(b >> 16) << 16
            } else {
                a.wrapping_add(b)
            };
            cpu.set(rd, value);
        }
        Inst::BitField { op, rd, rn, low, width } => {
            let value = cpu.get(rn);
            let result = match op {
                O::Bfi => cpu.get(rd) & !field(low, width) | value << low & field(low, width),
                O::Ubfx => (value & field(low, width)) >> low,
                _ => ((value << (32 - low - width)) as i32 >> (32 - width)) as u32,
            };
            cpu.set(rd, result);
        }
        Inst::BitClear { rd, low, width, .. } => cpu.set(rd, cpu.get(rd) & !field(low, width)),
        Inst::Saturate { op, rd, bits, rn } => {
            let value = i64::from(cpu.get(rn) as i32);
            let (min, max) = if op == O::Ssat {
                (-(1i64 << (bits - 1)), (1i64 << (bits - 1)) - 1)
            } else {
                (0, (1i64 << bits) - 1)
            };
            let result = value.clamp(min, max);
            cpu.status.q |= result != value;
            cpu.set(rd, result as u32);
        }
        _ => unreachable!("{inst} is of another family"),
    }
}

/// A mask of `width` bits from bit `low` on.
const fn field(low: u8, width: u8) -> u32 {
    (((1u64 << width) - 1) << low) as u32
}

/// The operand of an extension: rotated, and extended from 8 or 16 bits, or from 8 bits in each half.
fn extended(op: O, value: u32, rotation: u8) -> u32 {
    let value = value.rotate_right(8 * u32::from(rotation));
    match op {
        O::Sxtb | O::Sxtab => value as i8 as u32,
        O::Uxtb | O::Uxtab => value & 0xff,
        O::Sxth | O::Sxtah => value as i16 as u32,
        O::Uxth | O::Uxtah => value & 0xffff,
        O::Uxtb16 | O::Uxtab16 => value & 0x00ff_00ff,
        _ => u32::from(value as i8 as u16) | u32::from((value >> 16) as i8 as u16) << 16,
    }
}

/// Operations on one or two registers without flags.
pub fn plain(op: O, a: u32, b: u32) -> Option<u32> {
    Some(match op {
        O::Clz => b.leading_zeros(),
        O::Rbit => b.reverse_bits(),
        O::Rev => b.swap_bytes(),
        O::Rev16 => b.swap_bytes().rotate_left(16),
        O::Revsh => (b as u16).swap_bytes() as i16 as u32,
        O::Udiv => a.checked_div(b).unwrap_or(0),
        O::Sdiv if b == 0 => 0,
        O::Sdiv => (a as i32).wrapping_div(b as i32) as u32,
        _ => return None,
    })
}

/// Writes a core register, if `value` is the result of an operation of this family.
pub fn write_plain(cpu: &mut Cpu, op: O, rd: Reg, a: u32, b: u32) -> bool {
    plain(op, a, b).map(|value| cpu.set(rd, value)).is_some()
}
