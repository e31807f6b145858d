//! Products, and the saturating arithmetic of the DSP extension.

use thumb_isa::{Inst, Opcode as O};

use crate::cpu::Cpu;

/// The half of a register as a signed number.
const fn half(value: u32, is_top: bool) -> i64 {
    (if is_top { value >> 16 } else { value }) as i16 as i64
}

const fn signed(value: u32) -> i64 {
    value as i32 as i64
}

/// The product of two halves, or of a register and a half without its low 16 bits; `None` for other opcodes.
const fn half_product(op: O, a: u32, b: u32) -> Option<i64> {
    Some(match op {
        O::Smulbb | O::Smlabb | O::Smlalbb => half(a, false) * half(b, false),
        O::Smulbt | O::Smlabt | O::Smlalbt => half(a, false) * half(b, true),
        O::Smultb | O::Smlatb | O::Smlaltb => half(a, true) * half(b, false),
        O::Smultt | O::Smlatt | O::Smlaltt => half(a, true) * half(b, true),
        O::Smulwb | O::Smlawb => (signed(a) * half(b, false)) >> 16,
        O::Smulwt | O::Smlawt => (signed(a) * half(b, true)) >> 16,
        _ => return None,
    })
}

/// The product of two registers, or a saturating sum; `None` if the opcode is of another family.
pub fn of_two(cpu: &mut Cpu, op: O, a: u32, b: u32) -> Option<u32> {
    Some(match op {
        O::Smmul => ((signed(a) * signed(b)) >> 32) as u32,
        O::Qadd => saturated(cpu, signed(a) + signed(b)),
        O::Qsub => saturated(cpu, signed(a) - signed(b)),
        _ => half_product(op, a, b)? as u32,
    })
}

fn saturated(cpu: &mut Cpu, value: i64) -> u32 {
    let result = value.clamp(i32::MIN.into(), i32::MAX.into());
    cpu.status.q |= result != value;
    result as u32
}

/// Executes an instruction of this family.
pub fn execute(cpu: &mut Cpu, inst: &Inst) {
    match *inst {
        Inst::Reg4 { op, rd, rn, rm, ra } => {
            let value = accumulated(cpu, op, cpu.get(rn), cpu.get(rm), cpu.get(ra));
            cpu.set(rd, value);
        }
        Inst::MulLong { op, lo, hi, rn, rm } => {
            let (low, high) = (cpu.get(lo), cpu.get(hi));
            let value = long(op, cpu.get(rn), cpu.get(rm), low, high);
            cpu.set(lo, value as u32);
            cpu.set(hi, (value >> 32) as u32);
        }
        _ => unreachable!("{inst} is of another family"),
    }
}

fn accumulated(cpu: &mut Cpu, op: O, a: u32, b: u32, c: u32) -> u32 {
    match op {
        O::Mla => a.wrapping_mul(b).wrapping_add(c),
        O::Mls => c.wrapping_sub(a.wrapping_mul(b)),
        O::Smmla => ((signed(c) << 32).wrapping_add(signed(a) * signed(b)) >> 32) as u32,
        O::Smmls => ((signed(c) << 32).wrapping_sub(signed(a) * signed(b)) >> 32) as u32,
        _ => {
            let product = half_product(op, a, b).expect("other opcodes are above");
            let sum = product + signed(c);
            cpu.status.q |= i32::try_from(sum).is_err();
            sum as u32
        }
    }
}

fn long(op: O, a: u32, b: u32, low: u32, high: u32) -> u64 {
    let unsigned = u64::from(a) * u64::from(b);
    let product = (signed(a) * signed(b)) as u64;
    let sum = u64::from(high) << 32 | u64::from(low);
    match op {
        O::Umull => unsigned,
        O::Smull => product,
        O::Umlal => sum.wrapping_add(unsigned),
        O::Smlal => sum.wrapping_add(product),
        O::Umaal => unsigned + u64::from(low) + u64::from(high),
        _ => sum.wrapping_add(half_product(op, a, b).expect("other opcodes are above") as u64),
    }
}
