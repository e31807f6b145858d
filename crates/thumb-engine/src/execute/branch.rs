//! Branches and calls.

use thumb_isa::{Inst, Opcode as O, Reg};

use super::{Next, State, Step};
use crate::fault::Fault;

/// A jump to an address whose bit 0 says that there is Thumb code.
pub const fn interworking(address: u32) -> Result<Next, Fault> {
    if address & 1 == 1 { Ok(Next::Jump(address & !1)) } else { Err(Fault::NotThumb { address }) }
}

/// Executes an instruction of this family.
pub fn execute(state: &mut State<'_>, inst: &Inst) -> Step {
    let counter = state.cpu.pc().wrapping_add(4);
    let jump = |is_taken: bool, offset: i32| match is_taken {
        true => Ok(Next::Jump(counter.wrapping_add_signed(offset))),
        false => Ok(Next::Sequential),
    };
    match *inst {
        Inst::Branch { op, offset } => {
            if op == O::Bl {
                link(state);
            }
            jump(true, offset)
        }
        Inst::BranchCond { cond, offset, .. } => jump(state.cpu.status.holds(cond), offset),
        Inst::CmpBranch { op, rn, offset } => jump((state.cpu.get(rn) == 0) == (op == O::Cbz), offset),
        Inst::BranchReg { op: O::AddPc, rm } => Ok(Next::Jump(counter.wrapping_add(state.cpu.get(rm)) & !1)),
        Inst::BranchReg { op, rm } => {
            let target = state.cpu.get(rm);
            if op == O::Blx {
                link(state);
            }
            Ok(interworking(target)?)
        }
        Inst::TableBranch { op, rn, rm } => {
            let base = if rn == Reg::PC { counter } else { state.cpu.get(rn) };
            let index = state.cpu.get(rm);
            let half_words = if op == O::Tbb {
                u32::from(state.memory.load::<1>(base.wrapping_add(index))?[0])
            } else {
                let address = base.wrapping_add(index << 1);
                if address & 1 == 1 && !state.is_unaligned {
                    return Err(Fault::Unaligned { address }.into());
                }
                u16::from_le_bytes(state.memory.load(address)?).into()
            };
            Ok(Next::Jump(counter.wrapping_add(2 * half_words)))
        }
        _ => unreachable!("{inst} is of another family"),
    }
}

fn link(state: &mut State<'_>) {
    state.cpu.set(Reg::LR, state.cpu.pc().wrapping_add(state.bytes) | 1);
}
