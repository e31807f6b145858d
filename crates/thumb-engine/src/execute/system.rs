//! Hints, traps, IT blocks and special registers.

use thumb_isa::{Inst, ItState, Opcode as O, SysReg};

use super::{Next, Step};
use crate::cpu::{Cpu, Status};
use crate::fault::{Ending, Fault};

/// The condition flags of FPSCR and APSR.
const NZCV: u32 = 0xf000_0000;
/// The cumulative exceptions of FPSCR, which are not kept.
const EXCEPTIONS: u32 = 0x9f;
/// Flushing of denormal numbers and rounding modes of FPSCR, which arithmetic doesn't have.
const MODES: u32 = 0x01c0_0000;

/// Executes an instruction of this family.
pub fn execute(cpu: &mut Cpu, inst: &Inst) -> Step {
    match *inst {
        Inst::NoArg { op: O::VmrsApsr, .. } => {
            let flags = cpu.fpscr & NZCV | cpu.status.bits() & !NZCV;
            cpu.status = Status::from_bits(flags);
        }
        // Hints and barriers.
        Inst::NoArg { .. } => {}
        Inst::Imm { op: O::Udf, imm } => return Err(Ending::Trapped(imm)),
        Inst::Imm { .. } => return Err(Fault::System.into()),
        Inst::It { cond, mask, .. } => cpu.it = ItState::begin(cond, mask),
        Inst::Reg1 { op: O::Vmsr, rd } => {
            let value = cpu.get(rd);
            if value & MODES != 0 {
                return Err(Fault::System.into());
            }
            cpu.fpscr = value & !EXCEPTIONS;
        }
        Inst::Reg1 { rd, .. } => cpu.set(rd, cpu.fpscr),
        Inst::ReadSys { rd, sys, .. } => {
            let value = match sys {
                SysReg::Apsr => cpu.status.bits(),
                _ => cpu.masks[mask(sys)?],
            };
            cpu.set(rd, value);
        }
        Inst::WriteSys { sys: SysReg::Apsr, rn, .. } => cpu.status = Status::from_bits(cpu.get(rn)),
        Inst::WriteSys { sys, rn, .. } => {
            let bits = if sys == SysReg::Basepri { 0xff } else { 1 };
            cpu.masks[mask(sys)?] = cpu.get(rn) & bits;
        }
        _ => unreachable!("{inst} is of another family"),
    }
    Ok(Next::Sequential)
}

/// The index of a mask of exceptions. Other special registers belong to the system around the core.
const fn mask(sys: SysReg) -> Result<usize, Fault> {
    match sys {
        SysReg::Primask => Ok(0),
        SysReg::Basepri => Ok(1),
        SysReg::Faultmask => Ok(2),
        _ => Err(Fault::System),
    }
}
