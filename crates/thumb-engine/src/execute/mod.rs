//! The effects of instructions, by family.
//!
//! An instruction reads its operands, computes, and writes its results; a fault leaves the registers as they were,
//! except for those that a load of several words has already loaded.

mod arithmetic;
mod branch;
mod float;
mod memory;
mod multiply;
mod real;
mod shift;
mod system;

use thumb_isa::Inst;

use crate::cpu::Cpu;
use crate::fault::{Ending, Fault};
use crate::memory::Memory;

/// The continuation after an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// The next instruction.
    Sequential,
    /// The instruction at an address, which is even.
    Jump(u32),
}

/// The result of an instruction.
pub type Step = Result<Next, Ending>;

impl From<Fault> for Ending {
    fn from(fault: Fault) -> Self {
        Self::Faulted(fault)
    }
}

/// The state that instructions work on.
pub struct State<'a> {
    pub cpu: &'a mut Cpu,
    pub memory: &'a mut Memory,
    /// Whether words and half-words may be at any address.
    pub is_unaligned: bool,
    /// Bytes of the current instruction.
    pub bytes: u32,
}

/// Executes one instruction whose condition holds.
#[inline]
pub fn execute(state: &mut State<'_>, inst: &Inst) -> Step {
    match *inst {
        Inst::AluImm { .. }
        | Inst::AluReg { .. }
        | Inst::MovImm { .. }
        | Inst::MovHalf { .. }
        | Inst::MovReg { .. }
        | Inst::MovShifted { .. }
        | Inst::CmpImm { .. }
        | Inst::CmpReg { .. }
        | Inst::AddPlain { .. }
        | Inst::ShiftImm { .. }
        | Inst::Reg3S { .. }
        | Inst::Extend { .. }
        | Inst::ExtendAdd { .. }
        | Inst::BitField { .. }
        | Inst::BitClear { .. }
        | Inst::Saturate { .. }
        | Inst::Adr { .. } => arithmetic::execute(state.cpu, inst),
        Inst::Reg4 { .. } | Inst::MulLong { .. } => multiply::execute(state.cpu, inst),
        Inst::Reg2 { op, rd, rm } => float::two(state.cpu, op, rd, rm),
        Inst::Reg3 { op, rd, rn, rm } => float::three(state.cpu, op, rd, rn, rm),
        Inst::FloatCmpZero { .. } | Inst::FloatImm { .. } => float::constant(state.cpu, inst),
        Inst::Mem { .. }
        | Inst::MemPre { .. }
        | Inst::MemPost { .. }
        | Inst::MemReg { .. }
        | Inst::MemLit { .. }
        | Inst::Dual { .. }
        | Inst::DualPre { .. }
        | Inst::DualPost { .. } => return memory::single(state, inst),
        Inst::Multi { .. } | Inst::Stack { .. } | Inst::FloatStack { .. } => {
            return memory::several(state, inst);
        }
        Inst::Branch { .. }
        | Inst::BranchCond { .. }
        | Inst::CmpBranch { .. }
        | Inst::BranchReg { .. }
        | Inst::TableBranch { .. } => return branch::execute(state, inst),
        Inst::NoArg { .. }
        | Inst::Imm { .. }
        | Inst::Reg1 { .. }
        | Inst::It { .. }
        | Inst::ReadSys { .. }
        | Inst::WriteSys { .. } => return system::execute(state.cpu, inst),
    }
    Ok(Next::Sequential)
}
